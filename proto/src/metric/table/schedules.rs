//! Of schedules.

use super::families;
use crate::metric::Buckets;
use crate::metric::Kind::{Counter, Histogram};

families! {
    "Schedules", "coordinator";
    FIRED: Counter, "windlass_schedule_firings_total" ["trigger"]
        "Instances that schedules have started.";
    SKIPPED: Counter, "windlass_schedule_skipped_total" ["why"]
        "Due times that were skipped, and why.";
    LATENESS: Histogram(&Buckets::BRIEF), "windlass_schedule_lateness_seconds" []
        "Time from a due time to its start.";
}
