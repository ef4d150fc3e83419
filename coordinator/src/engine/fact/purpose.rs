//! What timers are for.

use serde::{Deserialize, Serialize};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimerPurpose {
    /// A `wait` ends.
    #[serde(rename = "w")]
    Wait,
    /// The next attempt of a `try` begins.
    #[serde(rename = "r")]
    Retry,
    /// `timeout` of a task, or of the workflow when the frame is the root.
    #[serde(rename = "t")]
    Timeout,
    /// `limit.attempt.duration` of a retry policy.
    #[serde(rename = "a")]
    Attempt,
}
