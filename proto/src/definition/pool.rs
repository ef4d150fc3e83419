//! `metadata.windlass`: which workers a task goes to, how its call goes out, what becomes of the
//! instance when it fails, how long it is kept, and how long events are kept for it.

use std::sync::Arc;

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::Node;
use crate::limits::{EARLY_TTL_MOST_MS, POOL_NAME_BYTES};
use crate::plan::{DEFAULT_POOL, Duration, OnFault, is_pool_name};

impl Decoder<'_> {
    /// The pool that `metadata` names, where it names one; `known` is all it may have of ours.
    pub(super) fn pool(
        &mut self,
        metadata: Option<&Node>,
        known: &[&str],
    ) -> Option<Option<Arc<str>>> {
        let Some(own) = metadata.and_then(|node| node.get("windlass")) else { return Some(None) };
        // What is meant for us and not known would be passed over in silence otherwise.
        self.closed(own, "`metadata.windlass`", known)?;
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

    /// Whether `metadata` has a call go out with TLS, where it says so.
    pub(super) fn tls(&mut self, metadata: Option<&Node>) -> Option<Option<bool>> {
        let own = metadata.and_then(|node| node.get("windlass"));
        optional(own.and_then(|node| node.get("tls")), |node| {
            self.boolean(node, "`metadata.windlass.tls`")
        })
    }

    /// What `metadata` wants of an error that nothing catches, where it says so.
    pub(super) fn on_fault(&mut self, metadata: Option<&Node>) -> Option<Option<OnFault>> {
        let own = metadata.and_then(|node| node.get("windlass"));
        optional(own.and_then(|node| node.get("onFault")), |node| {
            self.choice(node, "`metadata.windlass.onFault`", OnFault::WORDS)
        })
    }

    /// How long `metadata` has events kept that nobody listens for yet, where it says so.
    pub(super) fn keep_events(&mut self, metadata: Option<&Node>) -> Option<Option<u64>> {
        let own = metadata.and_then(|node| node.get("windlass"));
        let Some(node) = own.and_then(|node| node.get("keepEvents")) else { return Some(None) };
        match self.duration(node, "`metadata.windlass.keepEvents`")? {
            Duration::Fixed(ms) if (1..=EARLY_TTL_MOST_MS).contains(&ms) => Some(Some(ms)),
            _ => {
                let message = "events cannot be kept for this long";
                let hint = "more than nothing and at most `P7D`, and no expression: one event is \
                            kept for all instances";
                self.error(codes::BAD_KEEP, node.place, message.to_owned(), hint);
                None
            }
        }
    }

    /// How long `metadata` wants instances to be kept once they have ended, where it says so.
    pub(super) fn retention(&mut self, metadata: Option<&Node>) -> Option<Option<Option<u64>>> {
        let own = metadata.and_then(|node| node.get("windlass"));
        optional(own.and_then(|node| node.get("retention")), |node| {
            self.fixed(node, "`metadata.windlass.retention`")
        })
    }

    /// Both of a task: its pool, and what it wants of an error.
    pub(super) fn pool_and_fault(
        &mut self,
        node: &Node,
    ) -> (Option<Option<Arc<str>>>, Option<Option<OnFault>>) {
        let is_grpc = node.get("call").and_then(Node::as_str) == Some("grpc");
        let known: &[&str] = if is_grpc {
            &["pool", "tls", "onFault", "limit"]
        } else {
            &["pool", "onFault", "limit"]
        };
        let metadata = node.get("metadata");
        (self.pool(metadata, known), self.on_fault(metadata))
    }

    /// Gives every task its pool: its own, else the document's.
    pub(super) fn assign_pools(&mut self, document: Option<&Arc<str>>) {
        for task in self.tasks.iter_mut().flatten() {
            let pool = task.pool.take().or_else(|| document.cloned());
            task.pool = pool.filter(|name| **name != *DEFAULT_POOL);
        }
    }
}
