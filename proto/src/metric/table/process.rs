//! Of the process itself.

use super::families;
use crate::metric::Kind::{Counter, Gauge};

families! {
    "Process", "coordinator and worker";
    BUILD_INFO: Gauge, "windlass_build_info" ["version"] "The version that runs: always 1.";
    UPTIME: Gauge, "windlass_uptime_seconds" [] "Seconds since the start.";
    BUS_CONNECTED: Gauge, "windlass_bus_connected" [] "1 while NATS is connected.";
    BUS_RECONNECTS: Counter, "windlass_bus_reconnects_total" []
        "Connections to NATS after the first one.";
    TELEMETRY: Counter, "windlass_telemetry_items_total" ["signal", "outcome"]
        "Spans, log records and exports of metrics, where an endpoint is set: exported, dropped (no room in \
         the queue), rejected (the collector took others of the same export) or failed.";
    TELEMETRY_WAITING: Gauge, "windlass_telemetry_items_waiting" ["signal"]
        "Spans and log records that wait for their export.";
}
