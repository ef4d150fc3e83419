//! What follows from what the dispatcher was told.

use std::sync::Arc;

use windlass_proto::wire::session::SessionId;
use windlass_proto::wire::{Assignment, AssignmentKey};

use crate::engine::{DeliveryLoss, LossReason};

/// Something to do for who keeps the sessions.
#[derive(Debug)]
pub enum Order {
    /// Send an assignment, then say with [`Dispatcher::sent`](super::Dispatcher::sent) in which
    /// frame it went.
    Send(SessionId, Box<Assignment>),
    /// Tell a worker that an assignment is not wanted any more.
    Cancel(SessionId, AssignmentKey),
    /// Tell the partition that a delivery will not be answered: who had it, and why.
    Lost(AssignmentKey, DeliveryLoss),
    /// Fail a task: workers have handed it back so often. Names the last of them.
    GiveUp(AssignmentKey, u32, Arc<str>),
    /// Nothing, but that a task was lost once more and rests for so many milliseconds: at which
    /// worker, and how often so far.
    Delayed(Arc<str>, AssignmentKey, u32, u64),
    /// Forget a session, which has ended for this reason.
    Dismiss(SessionId, Departure),
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Its worker said that it ends.
    Goodbye,
    /// Its worker was not heard for a lease.
    Silent,
    /// Its worker has another session.
    Replaced,
    /// The coordinator ends.
    Closing,
}

impl Departure {
    /// Why what the worker held is lost.
    pub(super) fn loses(self) -> LossReason {
        match self {
            Self::Goodbye | Self::Closing => LossReason::Left,
            Self::Silent => LossReason::Silent,
            Self::Replaced => LossReason::NotHeld,
        }
    }
}
