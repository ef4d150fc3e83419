//! The table, in the order of the specification's reference.

mod calls;
mod data;
mod events;
mod loading;
mod rest;
mod tasks;

use super::{Part, Row, deviates, not, works};

/// All of it.
pub(super) const PARTS: &[Part] = &[
    Part { title: "1.1 Loading a definition", rows: loading::LOADING },
    Part { title: "1.2 Data flow", rows: data::FLOW },
    Part { title: "1.3 Expressions", rows: data::EXPRESSIONS },
    Part { title: "1.4 Secrets", rows: data::SECRETS },
    Part { title: "1.5 Tasks, order and scopes", rows: tasks::ORDER },
    Part { title: "1.6 Calls", rows: calls::CALLS },
    Part { title: "1.7 Do, set, switch, raise, wait", rows: tasks::SIMPLE },
    Part { title: "1.8 For", rows: tasks::LOOPS },
    Part { title: "1.9 Fork", rows: tasks::FORK },
    Part { title: "1.10 Try, catch, retry", rows: tasks::TRY },
    Part { title: "1.11 Emit and listen", rows: events::EVENTS },
    Part { title: "1.12 Run", rows: rest::RUN },
    Part { title: "1.13 Timeouts, cancelling, suspending", rows: rest::TIMEOUTS },
    Part { title: "1.14 Errors", rows: rest::ERRORS },
    Part { title: "1.15 Authentication", rows: rest::AUTHENTICATION },
    Part { title: "1.16 External resources", rows: rest::RESOURCES },
    Part { title: "1.17 Extensions", rows: rest::EXTENSIONS },
    Part { title: "1.18 Catalogs", rows: rest::CATALOGS },
    Part { title: "1.19 Schedules", rows: events::SCHEDULES },
    Part { title: "1.20 Lifecycle events", rows: events::LIFECYCLE },
    Part { title: "1.21 URI templates and durations", rows: loading::TEMPLATES },
];
