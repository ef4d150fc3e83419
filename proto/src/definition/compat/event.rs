//! Filters of events in other words.

use super::{Compat, items};
use crate::definition::node::Node;

/// Attributes that are strings in every event.
const TEXTS: &[&str] =
    &["id", "source", "type", "subject", "time", "specversion", "datacontenttype", "dataschema"];

impl Compat<'_> {
    /// `one`, `all`, `any` and `until` of `listen.to` and `schedule.on`.
    pub(super) fn strategy(&mut self, node: &mut Node) {
        if let Some(filter) = node.get_mut("one") {
            self.event_filter(filter);
        }
        for word in ["all", "any"] {
            items(node.get_mut(word)).for_each(|filter| self.event_filter(filter));
        }
        if let Some(until) = node.get_mut("until") {
            self.strategy(until);
        }
    }

    fn event_filter(&mut self, filter: &mut Node) {
        if let Some(with) = filter.get_mut("with") {
            self.strings(with, TEXTS);
        }
    }
}
