//! What has happened since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use super::stream::StreamStatus;

/// Declares the counters once: as they are counted and as they are shown.
macro_rules! counts {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Counters, as they grow.
        #[derive(Default)]
        pub(super) struct Counts { $(pub(super) $name: Count,)* }

        /// Totals of the events over the bus.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals { $($(#[doc = $doc])* pub $name: u64,)* }

        impl Counts {
            pub(super) fn totals(&self) -> Totals {
                Totals { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counts! {
    /// Events taken from the bus: what came of them is durable.
    received,
    /// Events that were none, and will not be sent again.
    malformed,
    /// Events that came back from the bus to the coordinator that had sent them.
    own,
    /// Events whose data was declared to be JSON and was a string without its quotes: taken as
    /// text.
    unquoted,
    /// Events put off because there was too much work.
    delayed,
    /// Emitted events that JetStream has acknowledged.
    emitted,
    /// Further tries to publish an emitted event.
    retried,
    /// Emitted events that can never be published.
    refused,
    /// Emitted events that found the queue full, and were taken up later.
    deferred,
    /// Lifecycle events published.
    told,
    /// Lifecycle events given up: the queue was full, or JetStream did not have them.
    dropped,
    /// Audit events that JetStream has acknowledged.
    audited,
}

/// One counter.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Ordering::Relaxed);
    }

    pub(super) fn one(&self) {
        self.add(1);
    }
}

/// What there is of events over the bus, for people and monitoring.
#[derive(Clone, Debug)]
pub struct EventsView {
    /// What has happened since the start.
    pub totals: Totals,
    /// The streams: what each is for, and how it stands.
    pub streams: Vec<(&'static str, StreamStatus)>,
    /// Emitted events that are not acknowledged yet.
    pub waiting: usize,
}
