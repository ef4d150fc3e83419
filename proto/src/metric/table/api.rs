//! Of the HTTP API.

use super::families;
use crate::metric::Buckets;
use crate::metric::Kind::{Counter, Gauge, Histogram};

families! {
    "HTTP API", "coordinator";
    REQUESTS: Counter, "windlass_http_requests_total" ["class"] "Requests answered.";
    REQUEST_SECONDS: Histogram(&Buckets::BRIEF), "windlass_http_request_duration_seconds" ["route", "class"]
        "Time from the whole request to the head of its answer, waits for outcomes left out.";
    IN_FLIGHT: Gauge, "windlass_http_requests_in_flight" [] "Requests under way.";
    WATCHERS: Gauge, "windlass_http_watchers" [] "Clients that watch an instance.";
    WAITS: Gauge, "windlass_http_waits" [] "Callers that wait for outcomes.";
    WAITS_SHED: Counter, "windlass_http_waits_shed_total" []
        "Callers told before their time that there is no outcome yet, as too many waited.";
    CONNECTIONS: Gauge, "windlass_http_connections" [] "Connections that are open.";
    CONNECTIONS_CLOSED: Counter, "windlass_http_connections_closed_total" ["at"]
        "Connections closed because their time was over or others needed room, by what they were at.";
    CONNECTIONS_REFUSED: Counter, "windlass_http_connections_refused_total" []
        "Connections refused because all others worked.";
    STARTS: Counter, "windlass_starts_total" [] "Starts accepted through the API.";
    STARTS_REPEATED: Counter, "windlass_starts_repeated_total" [] "Starts that repeated an earlier one.";
    EVENTS: Counter, "windlass_events_total" [] "Events accepted through the API.";
    EVENTS_UNQUOTED: Counter, "windlass_events_unquoted_total" []
        "Events through the API whose data was a JSON string without its quotes.";
}
