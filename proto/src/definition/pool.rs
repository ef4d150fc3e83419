//! `metadata.windlass.pool`: which workers a task goes to.

use std::sync::Arc;

use super::codes;
use super::decoder::Decoder;
use super::node::Node;
use crate::limits::POOL_NAME_BYTES;
use crate::plan::{DEFAULT_POOL, is_pool_name};

impl Decoder<'_> {
    /// The pool that `metadata` names, where it names one.
    pub(super) fn pool(&mut self, metadata: Option<&Node>) -> Option<Option<Arc<str>>> {
        let Some(own) = metadata.and_then(|node| node.get("windlass")) else { return Some(None) };
        // What is meant for us and not known would be passed over in silence otherwise.
        self.closed(own, "`metadata.windlass`", &["pool"])?;
        let Some(node) = own.get("pool") else { return Some(None) };
        if let Some(name) = node.as_str().filter(|name| is_pool_name(name)) {
            return Some(Some(name.into()));
        }
        let message = match node.as_str() {
            Some(name) => format!("`pool` cannot be `{name}`"),
            None => format!("`pool` must be a string, not {}", node.what()),
        };
        let hint = format!(
            "the name of a pool is 1 to {POOL_NAME_BYTES} letters, digits, dashes and underscores"
        );
        self.error(codes::BAD_POOL, node.place, message, &hint);
        None
    }

    /// Gives every task its pool: its own, else the document's.
    pub(super) fn assign_pools(&mut self, document: Option<&Arc<str>>) {
        for task in self.tasks.iter_mut().flatten() {
            let pool = task.pool.take().or_else(|| document.cloned());
            task.pool = pool.filter(|name| **name != *DEFAULT_POOL);
        }
    }
}
