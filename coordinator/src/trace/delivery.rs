//! What of a visit is at a worker, and which facts say that it has come back.

use windlass_proto::id::FrameId;
use windlass_proto::time::Timestamp;

use crate::engine::{Body, Fact, Frame, TimerPurpose};

/// A sending of a visit to a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    /// Which sending, from 1.
    pub(super) number: u32,
    /// When it was decided to send it.
    pub(super) sent: Timestamp,
    /// True for an expression.
    pub(super) evaluates: bool,
}

impl Delivery {
    /// The one that is open in a frame that was read from a snapshot, which does not say when it
    /// was sent: its visit's begin is close for the first.
    pub(super) fn of(frame: &Frame) -> Option<Self> {
        let (number, evaluates) = match &frame.body {
            Body::Dispatched { delivery } => (*delivery, false),
            Body::Evaluating { delivery, .. } => (*delivery, true),
            _ => return None,
        };
        Some(Self { number, sent: frame.started_at, evaluates })
    }
}

/// The visit that a fact is about, where it comes after the answer of a worker: what is at one is
/// not there any more.
pub(super) fn answered(fact: &Fact) -> Option<FrameId> {
    match fact {
        Fact::TaskInput { frame, .. }
        | Fact::TaskSkipped { frame: Some(frame), .. }
        | Fact::Dispatched { frame, .. }
        | Fact::EvaluationRequested { frame, .. }
        | Fact::SecretsUsed { frame, .. }
        | Fact::TaskCompleted { frame, .. }
        | Fact::TaskFaulted { frame, .. }
        | Fact::Halted { frame, .. }
        | Fact::Overridden { frame }
        | Fact::LoopBegan { frame, .. }
        | Fact::Iterated { frame, .. }
        | Fact::Forked { frame, .. }
        | Fact::ContextMerged { frame, .. }
        | Fact::SequenceBegan { frame, .. }
        | Fact::AttemptBegan { frame, .. }
        | Fact::RetryScheduled { frame, .. }
        | Fact::Caught { frame, .. }
        | Fact::TimerSet { frame, purpose: TimerPurpose::Wait, .. }
        | Fact::Emitted { frame, .. }
        | Fact::Subscribed { frame, .. }
        | Fact::ChildStarted { frame, .. }
        | Fact::ExtensionsBegan { frame, .. }
        | Fact::ExtensionBegan { frame, .. }
        | Fact::ExtensionsEnded { frame } => Some(*frame),
        _ => None,
    }
}
