//! What brokers refuse, by the numbers that they give.

use windlass_proto::problem::{Problem, Standard};

use crate::http_client::connect::Peer;

pub(super) const OFFSET_OUT_OF_RANGE: i16 = 1;
pub(super) const UNKNOWN_TOPIC: i16 = 3;
pub(super) const LEADER_NOT_AVAILABLE: i16 = 5;
pub(super) const NOT_LEADER: i16 = 6;
pub(super) const COORDINATOR_LOADING: i16 = 14;
pub(super) const COORDINATOR_NOT_AVAILABLE: i16 = 15;
pub(super) const NOT_COORDINATOR: i16 = 16;
pub(super) const ILLEGAL_GENERATION: i16 = 22;
pub(super) const UNKNOWN_MEMBER: i16 = 25;
pub(super) const REBALANCING: i16 = 27;
pub(super) const UNSUPPORTED_MECHANISM: i16 = 33;
pub(super) const MEMBER_ID_REQUIRED: i16 = 79;

/// True of what another broker does, or this one a moment later: nothing was done.
pub(super) fn is_moved(code: i16) -> bool {
    // Fenced and unknown epochs of leaders, and a leader that is told before it knows itself.
    matches!(code, LEADER_NOT_AVAILABLE | NOT_LEADER | 74..=76)
}

/// What a number means, in the words of Kafka.
fn name(code: i16) -> &'static str {
    match code {
        -1 => "UNKNOWN_SERVER_ERROR",
        OFFSET_OUT_OF_RANGE => "OFFSET_OUT_OF_RANGE",
        2 => "CORRUPT_MESSAGE",
        UNKNOWN_TOPIC => "UNKNOWN_TOPIC_OR_PARTITION",
        LEADER_NOT_AVAILABLE => "LEADER_NOT_AVAILABLE",
        NOT_LEADER => "NOT_LEADER_OR_FOLLOWER",
        7 => "REQUEST_TIMED_OUT",
        10 => "MESSAGE_TOO_LARGE",
        COORDINATOR_LOADING => "COORDINATOR_LOAD_IN_PROGRESS",
        COORDINATOR_NOT_AVAILABLE => "COORDINATOR_NOT_AVAILABLE",
        NOT_COORDINATOR => "NOT_COORDINATOR",
        17 => "INVALID_TOPIC_EXCEPTION",
        18 => "RECORD_LIST_TOO_LARGE",
        19 => "NOT_ENOUGH_REPLICAS",
        20 => "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        ILLEGAL_GENERATION => "ILLEGAL_GENERATION",
        23 => "INCONSISTENT_GROUP_PROTOCOL",
        24 => "INVALID_GROUP_ID",
        UNKNOWN_MEMBER => "UNKNOWN_MEMBER_ID",
        26 => "INVALID_SESSION_TIMEOUT",
        REBALANCING => "REBALANCE_IN_PROGRESS",
        29 => "TOPIC_AUTHORIZATION_FAILED",
        30 => "GROUP_AUTHORIZATION_FAILED",
        31 => "CLUSTER_AUTHORIZATION_FAILED",
        UNSUPPORTED_MECHANISM => "UNSUPPORTED_SASL_MECHANISM",
        34 => "ILLEGAL_SASL_STATE",
        35 => "UNSUPPORTED_VERSION",
        56 => "KAFKA_STORAGE_ERROR",
        58 => "SASL_AUTHENTICATION_FAILED",
        MEMBER_ID_REQUIRED => "MEMBER_ID_REQUIRED",
        81 => "GROUP_MAX_SIZE_REACHED",
        87 => "INVALID_RECORD",
        89 => "THROTTLING_QUOTA_EXCEEDED",
        _ => "an error",
    }
}

/// The problem of a number other than 0.
pub(super) fn refused(peer: &Peer, code: i16) -> Problem {
    let status = match code {
        UNSUPPORTED_MECHANISM | 34 | 58 => 401,
        29..=31 => 403,
        UNKNOWN_TOPIC => 404,
        10 | 18 => 413,
        _ => 503,
    };
    let detail = format!("{} refused: {} ({code})", peer.shown(), name(code));
    Problem::new(Standard::Communication, detail).with_status(status)
}
