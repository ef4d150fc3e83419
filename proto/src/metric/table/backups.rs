//! Of backups.

use super::families;
use crate::metric::Kind::{Counter, Gauge};

families! {
    "Backups", "coordinator";
    TAKEN: Counter, "windlass_backups_total" ["outcome"]
        "Backups of this coordinator, and what came of them: `succeeded`; `sent` over the API, where \
         whoever asked knows what became of it; `damaged`, of a journal that has damaged records; \
         `failed`, which is counted where old ones cannot be removed as well.";
    LAST_SUCCESS: Gauge, "windlass_backup_last_success_timestamp_seconds" []
        "When the last backup by the schedule that succeeded was done; 0 where there is none.";
    LAST_DURATION: Gauge, "windlass_backup_last_duration_seconds" [] "How long it took.";
    LAST_BYTES: Gauge, "windlass_backup_last_size_bytes" []
        "Bytes that it read: what it added to its place is fewer.";
}
