//! Why a delivery will not be answered, and who had it: for the count of losses, and for people.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A delivery that will not be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryLoss {
    /// True when the worker ended while it performed the task, which may be the task's doing;
    /// false when it gave the assignment back, or never had it.
    pub blamed: bool,
    /// The worker it had been sent to, where that is known.
    pub worker: Option<Arc<str>>,
    /// Why.
    pub reason: Option<LossReason>,
}

/// Why a delivery will not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossReason {
    /// Its worker was not heard for a lease.
    #[serde(rename = "s")]
    Silent,
    /// Its worker left before it had done it.
    #[serde(rename = "l")]
    Left,
    /// Its worker handed it back.
    #[serde(rename = "b")]
    HandedBack,
    /// Its worker has received it and does not hold it, or has come back without it.
    #[serde(rename = "m")]
    NotHeld,
    /// The bus did not take the message that it was in.
    #[serde(rename = "u")]
    NotSent,
    /// The coordinator has restarted since, and no worker has shown it.
    #[serde(rename = "r")]
    NotShown,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "the worker was not heard for a lease",
            Self::Left => "the worker left before it had done it",
            Self::HandedBack => "the worker handed it back",
            Self::NotHeld => "the worker does not hold it any more",
            Self::NotSent => "the bus did not take the message",
            Self::NotShown => "no worker has shown it since the coordinator restarted",
        })
    }
}
