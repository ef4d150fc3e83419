//! `schedule`

use std::sync::Arc;

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::Node;
use super::task::READS;
use crate::plan::Schedule;

impl Decoder<'_> {
    pub(super) fn schedule(&mut self, node: &Node) -> Option<Schedule> {
        self.closed(node, "`schedule`", &["every", "cron", "after", "on", "read"])?;
        let hint = "start it by `windlass start`, from a scheduler of your own or on an event";
        self.unsupported(node.place, "starting a workflow by `schedule`", hint);
        let every = optional(node.get("every"), |node| self.duration(node, "`every`"));
        let cron = optional(node.get("cron"), |node| self.cron(node));
        let after = optional(node.get("after"), |node| self.duration(node, "`after`"));
        let on = optional(node.get("on"), |node| self.strategy(node, "`schedule.on`"));
        let read = optional(node.get("read"), |node| self.choice(node, "`read`", READS));
        if let Some(read) = node.get("read").filter(|_| node.get("on").is_none()) {
            let message = "`schedule.read` needs `schedule.on`";
            self.error(codes::CONFLICT, read.place, message, "remove it, or add `on`");
        }
        Some(Schedule { every: every?, cron: cron?, after: after?, on: on?, read: read? })
    }

    /// Five fields, or six or seven with seconds and year; the scheduler reads them.
    fn cron(&mut self, node: &Node) -> Option<Arc<str>> {
        let text = self.string(node, "`cron`")?;
        let fields = text.split_whitespace().count();
        let field = |c: char| c.is_ascii_alphanumeric() || "*/,-?#".contains(c) || c == ' ';
        let known = text.starts_with('@') && fields == 1;
        if known || ((5..=7).contains(&fields) && text.chars().all(field)) {
            return Some(text);
        }
        let message = format!("`{text}` is not a cron expression");
        let hint = "five fields: minute, hour, day of month, month, day of week; as in `0 0 * * *`";
        self.error(codes::BAD_PATTERN, node.place, message, hint);
        None
    }
}
