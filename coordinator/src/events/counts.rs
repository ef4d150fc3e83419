//! What has happened since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use super::stream::StreamStatus;

/// Declares the counters once: as they are counted, as they are shown, and as Prometheus calls
/// them.
macro_rules! counts {
    ($($name:ident = $family:literal, $help:literal;)*) => {
        /// Counters, as they grow.
        #[derive(Default)]
        pub(super) struct Counts { $(pub(super) $name: Count,)* }

        /// Totals of the events over the bus.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals { $(#[doc = $help] pub $name: u64,)* }

        impl Counts {
            pub(super) fn totals(&self) -> Totals {
                Totals { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }

        impl Totals {
            /// Each with its name and its help as a metric.
            pub(crate) fn families(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$(($family, $help, self.$name),)*].into_iter()
            }
        }
    };
}

counts! {
    received = "windlass_bus_events_received_total", "Events taken from the bus.";
    malformed = "windlass_bus_events_malformed_total", "Messages dropped: no CloudEvents.";
    unquoted = "windlass_bus_events_unquoted_total",
        "Events taken whose data was a JSON string without its quotes.";
    own = "windlass_bus_events_own_total", "Events that came back to their sender.";
    delayed = "windlass_bus_events_delayed_total", "Events put off: too much work.";
    emitted = "windlass_bus_events_emitted_total", "Emitted events acknowledged.";
    retried = "windlass_bus_events_retried_total", "Further tries to publish one.";
    refused = "windlass_bus_events_refused_total", "Emitted events too large to publish.";
    deferred = "windlass_bus_events_deferred_total", "Emitted events that found no room.";
    told = "windlass_lifecycle_events_total", "Lifecycle events published.";
    dropped = "windlass_lifecycle_events_dropped_total", "Lifecycle events given up.";
    audited = "windlass_audit_events_published_total", "Audit events published.";
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
