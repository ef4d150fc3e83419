//! `metadata.windlass.limit`, of a document and of a task.

use std::sync::Arc;

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::{Data, Node};
use crate::limits::{LIMIT_CONCURRENCY, LIMIT_NAME_BYTES, LIMIT_RATE};
use crate::plan::{Limit, LimitTerms, OnFull, Rate};
use crate::value::Value;

const WHAT: &str = "`metadata.windlass.limit`";

const KEYS: &[&str] = &["name", "key", "concurrency", "rate", "onFull"];

impl Decoder<'_> {
    /// The limit that `metadata` has, where it has one.
    pub(super) fn limit(&mut self, metadata: Option<&Node>) -> Option<Option<Arc<Limit>>> {
        let own = metadata.and_then(|node| node.get("windlass"));
        optional(own.and_then(|node| node.get("limit")), |node| self.limit_at(node))
    }

    fn limit_at(&mut self, node: &Node) -> Option<Arc<Limit>> {
        self.closed(node, WHAT, KEYS)?;
        let name = optional(node.get("name"), |node| self.limit_name(node));
        let key = optional(node.get("key"), |node| self.text_template(node, "`limit.key`"));
        let most = i64::from(LIMIT_CONCURRENCY);
        let concurrency = optional(node.get("concurrency"), |node| {
            let number = self.integer(node, "`limit.concurrency`", 1..=most)?;
            u32::try_from(number).ok()
        });
        let rate = optional(node.get("rate"), |node| self.rate(node));
        let on_full =
            optional(node.get("onFull"), |node| self.choice(node, "`limit.onFull`", OnFull::WORDS));
        let (concurrency, rate) = (concurrency?, rate?);
        let on_full = on_full?.unwrap_or_default();
        if concurrency.is_none() && rate.is_none() {
            let message = format!("{WHAT} limits nothing");
            let hint = "give it `concurrency: 5`, `rate: 100/m` or both";
            self.error(codes::NO_LIMIT, node.place, message, hint);
            return None;
        }
        if on_full == OnFull::CancelOldest && concurrency.is_none() {
            let message = "`onFull: cancel-oldest` makes no room under a `rate` alone".to_owned();
            let hint = "give it `concurrency`, or use `wait`, `skip` or `fail`";
            self.error(codes::NO_LIMIT, node.place, message, hint);
            return None;
        }
        let terms = LimitTerms { concurrency, rate, on_full };
        Some(Arc::new(Limit { name: name?, key: key?, terms }))
    }

    fn rate(&mut self, node: &Node) -> Option<Rate> {
        let text = match &node.data {
            Data::Scalar { value: Value::String(text), .. } => text.clone(),
            _ => return self.no_rate(node, node.what()),
        };
        match Rate::parse(&text) {
            Some(rate) if (1..=LIMIT_RATE).contains(&rate.count) => Some(rate),
            _ => self.no_rate(node, &format!("`{text}`")),
        }
    }

    fn no_rate<T>(&mut self, node: &Node, found: &str) -> Option<T> {
        let hint = format!("write 1 to {LIMIT_RATE} and a unit (s, m, h, d): `100/m`");
        self.error(codes::BAD_RATE, node.place, format!("`limit.rate` cannot be {found}"), &hint);
        None
    }

    fn limit_name(&mut self, node: &Node) -> Option<Arc<str>> {
        let name = self.string(node, "`limit.name`")?;
        let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
        if (1..=LIMIT_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_plain) {
            return Some(name);
        }
        let hint = format!("use 1 to {LIMIT_NAME_BYTES} letters, digits, `-`, `_` and `.`");
        let message = format!("`limit.name` cannot be `{name}`");
        self.error(codes::BAD_LIMIT_NAME, node.place, message, &hint);
        None
    }
}
