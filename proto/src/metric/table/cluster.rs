//! Of a cluster of coordinators.

use super::families;
use crate::metric::Buckets;
use crate::metric::Kind::{Counter, Gauge, Histogram};

families! {
    "Cluster", "coordinator";
    EPOCH: Gauge, "windlass_cluster_epoch" []
        "The epoch in which this coordinator leads its cluster; a standby tells no metrics.";
    SEQUENCE: Gauge, "windlass_cluster_log_sequence" []
        "The sequence number of the last entry that the cluster's log has.";
    APPEND: Histogram(&Buckets::BRIEF), "windlass_cluster_append_duration_seconds" []
        "Time until the log had an entry. The journal's own sync goes on at the same time.";
    APPENDED_BYTES: Counter, "windlass_cluster_appended_bytes_total" []
        "Bytes appended to the log, packed and sealed.";
    RETRIES: Counter, "windlass_cluster_append_retries_total" []
        "Appends whose answer did not come or was a refusal, so that the log was read to find out.";
    RESTORED: Counter, "windlass_cluster_log_restored_total" []
        "Acknowledged messages that the log had lost and the leader has appended again.";
    JUNK: Counter, "windlass_cluster_log_junk_total" []
        "Messages of somebody else's that this leader met in the log and has passed over.";
    REFUSED: Counter, "windlass_cluster_writes_refused_total" []
        "Writes that were refused as another coordinator leads; the process ends after the first.";
    AWAY: Gauge, "windlass_cluster_log_away" []
        "1 while the log cannot be appended to and nothing new is taken up.";
}
