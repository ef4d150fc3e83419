//! Of events over the bus, and of the audit trail.

use super::families;
use crate::metric::Buckets;
use crate::metric::Kind::{Counter, Gauge, Histogram};

families! {
    "Events over the bus, and audit", "coordinator of a fleet (audit: every coordinator)";
    STREAM_READY: Gauge, "windlass_stream_ready" ["stream"] "1 while a stream is there and as it must be.";
    RECEIVED: Counter, "windlass_bus_events_received_total" [] "Events taken from the bus.";
    INTAKE: Histogram(&Buckets::LONG), "windlass_bus_event_age_seconds" []
        "Age of an event, by when its stream got it, once it is durable here.";
    MALFORMED: Counter, "windlass_bus_events_malformed_total" [] "Messages dropped: no CloudEvents.";
    UNQUOTED: Counter, "windlass_bus_events_unquoted_total" []
        "Events taken whose data was a JSON string without its quotes.";
    OWN: Counter, "windlass_bus_events_own_total" [] "Events that came back to their sender.";
    DELAYED: Counter, "windlass_bus_events_delayed_total" [] "Events put off: too much work.";
    WAITING: Gauge, "windlass_bus_events_waiting" [] "Emitted events that JetStream has not acknowledged.";
    EMITTED: Counter, "windlass_bus_events_emitted_total" [] "Emitted events acknowledged.";
    RETRIED: Counter, "windlass_bus_events_retried_total" [] "Further tries to publish one.";
    REFUSED: Counter, "windlass_bus_events_refused_total" [] "Emitted events too large to publish.";
    DEFERRED: Counter, "windlass_bus_events_deferred_total" [] "Emitted events that found no room.";
    LIFECYCLE: Counter, "windlass_lifecycle_events_total" [] "Lifecycle events published.";
    LIFECYCLE_DROPPED: Counter, "windlass_lifecycle_events_dropped_total" [] "Lifecycle events given up.";
    AUDIT_PUBLISHED: Counter, "windlass_audit_events_published_total" [] "Audit events published.";
    AUDIT_WAITING: Gauge, "windlass_audit_events_waiting" []
        "Audit events that are not on disk; past a limit no more secrets are read.";
    AUDIT_LAG: Histogram(&Buckets::BRIEF), "windlass_audit_write_seconds" []
        "Time until audit events that were handed over together are on disk.";
    AUDIT_HEADS: Counter, "windlass_audit_heads_total" ["outcome"]
        "Heads of the audit trail for `--audit-heads-webhook`: delivered, failed (attempts), dropped for newer ones.";
    AUDIT_HEADS_WAITING: Gauge, "windlass_audit_heads_waiting" []
        "Heads of the audit trail that its webhook has not taken.";
}
