//! What has happened since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use windlass_proto::metric::table::events as table;
use windlass_proto::metric::{Distribution, Family, Histogram};

use super::stream::StreamStatus;

/// Declares the counters once: as they are counted, as they are shown, and their families.
macro_rules! counts {
    ($($name:ident = $family:expr, $help:literal;)*) => {
        /// Counters, as they grow.
        #[derive(Default)]
        pub(super) struct Counts {
            $(pub(super) $name: Count,)*
            pub(super) age: Age,
        }

        /// Totals of the events over the bus.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals { $(#[doc = $help] pub $name: u64,)* }

        impl Counts {
            pub(super) fn totals(&self) -> Totals {
                Totals { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }

        impl Totals {
            /// Each with its family.
            pub(crate) fn families(&self) -> impl Iterator<Item = (&'static Family, u64)> {
                [$((&$family, self.$name),)*].into_iter()
            }
        }
    };
}

counts! {
    received = table::RECEIVED, "Events taken from the bus.";
    malformed = table::MALFORMED, "Messages dropped: no CloudEvents.";
    unquoted = table::UNQUOTED, "Events taken whose data was a JSON string without its quotes.";
    own = table::OWN, "Events that came back to their sender.";
    delayed = table::DELAYED, "Events put off: too much work.";
    emitted = table::EMITTED, "Emitted events acknowledged.";
    retried = table::RETRIED, "Further tries to publish one.";
    refused = table::REFUSED, "Emitted events too large to publish.";
    deferred = table::DEFERRED, "Emitted events that found no room.";
    told = table::LIFECYCLE, "Lifecycle events published.";
    dropped = table::LIFECYCLE_DROPPED, "Lifecycle events given up.";
    audited = table::AUDIT_PUBLISHED, "Audit events published.";
}

/// How old events are once they are durable here.
pub(super) struct Age(pub(super) Histogram);

impl Default for Age {
    fn default() -> Self {
        Self(Histogram::of(&table::INTAKE))
    }
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
    /// How old events from the bus were once they were durable.
    pub age: Distribution,
}
