//! What people see of events that are kept, and of those that were in vain.

use std::sync::Arc;

use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::{EarlyEvent, EarlyEvents, State};
use crate::journal::EarlyKey;

/// Why nobody will have an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyDead {
    /// Nobody waited for it while it was kept.
    Expired,
    /// There was no room for it.
    Full,
}

impl WhyDead {
    /// As people read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Full => "no-room",
        }
    }
}

/// An event as lists show it.
#[derive(Clone, Debug)]
pub struct EarlyView {
    /// By what it is asked for.
    pub key: EarlyKey,
    /// The namespace that keeps it.
    pub namespace: Arc<str>,
    /// The only instance that may have it.
    pub instance: Option<InstanceId>,
    /// `id`, `source` and `type` of the event, as much as lists show of them.
    pub attributes: [Arc<str>; 3],
    /// When it came.
    pub at: Timestamp,
    /// Until when it is kept, or was.
    pub until: Timestamp,
    /// Why nobody will have it, where that is so.
    pub dead: Option<WhyDead>,
    /// The event, where there is one.
    pub event: Option<Value>,
}

/// An event that was not kept for want of room.
#[derive(Clone, Debug)]
pub struct DeadLetter(EarlyView);

impl DeadLetter {
    pub(super) fn of(event: &EarlyEvent, why: WhyDead, now: Timestamp) -> Self {
        Self(EarlyView { until: now, dead: Some(why), event: None, ..view(event, now) })
    }
}

fn view(event: &EarlyEvent, now: Timestamp) -> EarlyView {
    let short = |text: &str| -> Arc<str> {
        text.chars().take(limits::EARLY_PART_CHARACTERS).collect::<String>().into()
    };
    let of = &event.event;
    EarlyView {
        key: event.key,
        namespace: event.namespace.clone(),
        instance: event.instance,
        attributes: [short(of.id()), short(of.source()), short(of.kind())],
        at: event.at,
        until: event.until,
        dead: (event.until <= now).then_some(WhyDead::Expired),
        event: Some(of.envelope().clone()),
    }
}

impl EarlyEvents {
    /// Those of a namespace, by the time they came: what is kept, or what was in vain.
    #[must_use]
    pub fn list(&self, namespace: &str, dead: bool, now: Timestamp) -> Vec<EarlyView> {
        let (events, refused) = {
            let shelves = self.lock();
            let Some(shelf) = shelves.by_namespace.get(namespace) else { return Vec::new() };
            let entries = shelf.events().filter_map(|event| shelves.events.get(&event.key));
            let there = entries.filter(|it| matches!(it.state, State::Shown | State::Offered(_)));
            let there = there.filter(|it| (it.event.until <= now) == dead);
            let events: Vec<_> = there.map(|it| it.event.clone()).collect();
            let refused: Vec<_> = shelf.refused().filter(|_| dead).map(|it| it.0.clone()).collect();
            (events, refused)
        };
        // Texts are made once nobody waits for the lock.
        let mut all: Vec<_> = events.iter().map(|it| view(it, now)).collect();
        all.extend(refused);
        all.sort_by_key(|it| (it.at, it.key));
        all
    }

    /// The namespaces that have some.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Arc<str>> {
        self.lock().by_namespace.keys().cloned().collect()
    }

    /// One of them.
    #[must_use]
    pub fn show(&self, key: EarlyKey, now: Timestamp) -> Option<EarlyView> {
        let shelves = self.lock();
        if let Some(entry) = shelves.events.get(&key) {
            return matches!(entry.state, State::Shown | State::Offered(_))
                .then(|| view(&entry.event, now));
        }
        let mut refused = shelves.by_namespace.values().flat_map(|shelf| shelf.refused());
        refused.find(|it| it.0.key == key).map(|it| it.0.clone())
    }
}
