//! What can happen to an instance from outside.

use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::problem::Problem;
use windlass_proto::secret::SecretUse;
use windlass_proto::value::Value;

use super::loss::DeliveryLoss;
use super::requester::Requester;

/// Something that happened outside the instance.
#[derive(Clone, Debug)]
pub enum Input {
    /// A worker reports on an assignment.
    Reported {
        /// The visit the assignment was for.
        frame: FrameId,
        /// Which delivery of it.
        delivery: u32,
        /// The output, or the error.
        result: Result<Value, Problem>,
        /// The secrets that were read for it.
        secrets: Vec<SecretUse>,
        /// Milliseconds for which whoever was asked does not want to be asked again.
        retry_after_ms: Option<u64>,
    },
    /// An assignment will not be answered.
    Lost {
        /// The visit the assignment was for.
        frame: FrameId,
        /// Which delivery of it.
        delivery: u32,
        /// Who had it, and why it is lost.
        loss: DeliveryLoss,
        /// How many workers may be blamed on one visit before it fails.
        most: u32,
    },
    /// A timer is due.
    TimerFired {
        /// Its number in the instance.
        timer: u32,
    },
    /// An event that the instance may be waiting for.
    EventArrived(Arc<CloudEvent>),
    /// An emitted event has been handed over, durably, to all who wait for it.
    Published {
        /// The visit of the `emit`.
        frame: FrameId,
        /// Why it could not be.
        result: Result<(), Problem>,
    },
    /// A child that is not awaited has been accepted.
    ChildAccepted {
        /// The visit of the `run.workflow`.
        frame: FrameId,
    },
    /// A child has ended, or could not be started.
    ChildEnded {
        /// The visit of the `run.workflow`.
        frame: FrameId,
        /// How.
        outcome: ChildOutcome,
    },
    /// A child that was abandoned has ended, or never began.
    ChildGone {
        /// The child.
        child: InstanceId,
    },
    /// The last turn left steps over.
    Continue,
    /// An operator ends it.
    Cancel {
        /// Why.
        reason: Option<Arc<str>>,
    },
    /// An operator stops it for a while.
    Suspend,
    /// The process ended over it too often: it is suspended until an operator lets it go on.
    Quarantine {
        /// Why, for people.
        reason: Arc<str>,
    },
    /// An operator lets it go on.
    Resume,
    /// What became of a share that a visit asked for, or has.
    Limit {
        /// The visit.
        frame: FrameId,
        /// What.
        verdict: LimitVerdict,
    },
    /// Somebody decides what a task asks.
    Decide {
        /// The number of the question.
        number: u64,
        /// What they decide.
        verdict: Verdict,
    },
    /// An operator gives the output of a task.
    Skip {
        /// The visit.
        frame: FrameId,
        /// What stands for its transformed output.
        output: Value,
    },
    /// Any of the four that operators send, where it is to be kept who asked for it.
    Requested {
        /// Who.
        by: Arc<Requester>,
        /// What for.
        input: Box<Input>,
    },
}

impl Input {
    /// Without who asked for it.
    #[must_use]
    pub fn bare(&self) -> &Self {
        match self {
            Self::Requested { input, .. } => input.bare(),
            _ => self,
        }
    }

    /// The same, with who asks for it.
    #[must_use]
    pub fn requested(self, by: Option<Arc<Requester>>) -> Self {
        match by {
            Some(by) => Self::Requested { by, input: Box::new(self) },
            None => self,
        }
    }
}

/// What somebody decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Whether it is approved.
    pub approved: bool,
    /// What they give.
    pub data: Value,
    /// Who, and why, as far as that is known.
    pub by: Option<Arc<Requester>>,
}

/// What became of a share of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitVerdict {
    /// The visit has it.
    Taken,
    /// There is none, and the visit does not wait.
    Full,
    /// The visit had it, and has to make room.
    Displaced,
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq)]
pub enum ChildOutcome {
    /// With an output.
    Completed(Value),
    /// With an error, or it could not be started.
    Faulted(Problem),
    /// By an operator.
    Cancelled(InstanceId),
}

/// Why an input changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The instance has ended.
    #[error("the instance has ended")]
    Ended,
    /// The report, timer or answer is for something that is no longer open: a late or repeated one.
    #[error("nothing is open that this belongs to")]
    Stale,
    /// The instance is not waiting for this event.
    #[error("the event is not waited for")]
    NotWaited,
    /// It is suspended already, or not suspended.
    #[error("the instance is not in a state that allows this")]
    WrongStatus,
}
