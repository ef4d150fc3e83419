//! Of the journal.

use super::families;
use crate::metric::Buckets;
use crate::metric::Kind::{Gauge, Histogram};

families! {
    "Journal", "coordinator";
    COMMIT: Histogram(&Buckets::BRIEF), "windlass_journal_commit_duration_seconds" []
        "Time to write and sync a group of commits.";
    SYNC: Histogram(&Buckets::BRIEF), "windlass_journal_sync_duration_seconds" []
        "Of this: the disk's part, a write and a sync of the write-ahead log.";
    GROUP: Histogram(&Buckets::NUMBER), "windlass_journal_group_commits" []
        "Commits (turns of partitions) in a group.";
    GROUP_RECORDS: Histogram(&Buckets::NUMBER), "windlass_journal_group_instances" []
        "Instances that a group has facts of.";
    GROUP_BYTES: Histogram(&Buckets::BYTES), "windlass_journal_group_bytes" []
        "Bytes of facts and snapshots in a group, before they are packed.";
    SIZE: Gauge, "windlass_journal_size_bytes" ["part"] "Bytes that the journal takes of its disk.";
    OPENING: Gauge, "windlass_journal_open_duration_seconds" []
        "Time that opening the journal took at the start, with what was read from its log.";
    RECOVERY: Gauge, "windlass_recovery_duration_seconds" []
        "Time from the start until all that was open before it had been taken up again; 0 until then.";
    PAUSED: Gauge, "windlass_journal_paused" []
        "1 while the journal's disk is full and nothing new is taken up.";
    FREE: Gauge, "windlass_journal_disk_free_bytes" [] "Bytes free on the journal's disk.";
}
