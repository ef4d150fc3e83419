//! One session: what is to be said next, and the channel it goes through.

use std::sync::Arc;

use async_nats::Subject;
use serde_bytes::ByteBuf;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::message::{Call, MessageError, Sent, ToWorker, encode};
use windlass_proto::wire::packed::Packed;
use windlass_proto::wire::session::Channel;
use windlass_proto::wire::{Assignment, AssignmentKey};

use crate::secrets::Granter;

/// A session with one worker.
pub(super) struct WorkerSession {
    pub(super) channel: Channel,
    /// Where its worker listens.
    pub(super) subject: Subject,
    /// False when arguments must be evaluated for it.
    pub(super) evaluates: bool,
    /// What its worker is called.
    pub(super) identity: Arc<str>,
    /// True while audit events of its worker are on their way to the disk.
    pub(super) auditing: bool,
    /// By how many milliseconds the clock of its store of secrets is ahead of ours, where it said
    /// so.
    pub(super) store_ahead_ms: Option<i64>,
    pub(super) out: ToWorker,
    /// Assignments of the next message, which are packed when it goes.
    assignments: Vec<Unsent>,
    /// Bytes of the assignments and calls of the next message.
    weight: u64,
    /// True while it stands in the list of those with something to say.
    pub(super) waiting: bool,
}

/// An assignment that is about to go.
pub(super) struct Unsent {
    pub(super) assignment: Assignment,
    pub(super) token: ByteBuf,
    pub(super) remaining_ms: Option<u64>,
}

impl Unsent {
    fn pack(self) -> Result<Sent, MessageError> {
        let Self { assignment, token, remaining_ms } = self;
        let packed = Packed::of(&assignment)?;
        Ok(Sent { key: assignment.key, assignment: packed, token, remaining_ms })
    }
}

/// Frames ready to be published, and what was in them.
pub(super) struct Sealed {
    pub(super) frames: Vec<Vec<u8>>,
    /// The assignments they carry.
    pub(super) keys: Vec<AssignmentKey>,
    /// The counter of the last frame.
    pub(super) last: u64,
}

impl WorkerSession {
    pub(super) fn new(
        channel: Channel,
        subject: Subject,
        evaluates: bool,
        identity: Arc<str>,
    ) -> Self {
        let (out, weight) = (ToWorker::default(), 0);
        let (auditing, waiting) = (false, false);
        let store_ahead_ms = None;
        Self {
            channel,
            subject,
            evaluates,
            identity,
            auditing,
            store_ahead_ms,
            out,
            assignments: Vec::new(),
            weight,
            waiting,
        }
    }

    /// Lets the assignments that are about to go do with secrets what they may. Only now: what is
    /// proved by it lasts a minute, and they may have waited for the bus.
    pub(super) fn grant(&mut self, granter: &Granter, now: Timestamp) {
        for Unsent { assignment, .. } in &mut self.assignments {
            let granted = granter.grant(assignment, now);
            // Looked at before: it cannot fail now. Without a grant all would be permitted.
            assignment.grant = granted.unwrap_or_else(|_| Some(granter.nothing()));
        }
    }

    /// Adds an assignment; true when the message should go before more is added.
    pub(super) fn assign(&mut self, unsent: Unsent) -> bool {
        self.weight += weight(&unsent.assignment);
        self.assignments.push(unsent);
        self.weight >= limits::MESSAGE_WEIGHT
    }

    /// Adds a call; true when the message should go before more is added.
    pub(super) fn call(&mut self, call: Call) -> bool {
        self.weight += call.arguments.len() as u64;
        self.out.calls.push(call);
        self.weight >= limits::MESSAGE_WEIGHT
    }

    /// Seals what is to be said.
    pub(super) fn seal(&mut self, frame_bytes: usize) -> Sealed {
        self.weight = 0;
        let mut message = std::mem::take(&mut self.out);
        let assignments = std::mem::take(&mut self.assignments);
        let keys = assignments.iter().map(|it| &it.assignment.key);
        let keys = keys.chain(message.calls.iter().map(|it| &it.key)).cloned().collect();
        let packed: Result<_, _> = assignments.into_iter().map(Unsent::pack).collect();
        let bytes = packed.and_then(|assignments| {
            message.assignments = assignments;
            encode(&message)
        });
        let frames = match bytes {
            Ok(bytes) => self.channel.seal(&bytes, frame_bytes),
            Err(error) => {
                // What it carried is found missing at the next beat.
                tracing::error!(%error, "a message to a worker could not be written");
                Vec::new()
            }
        };
        Sealed { frames, keys, last: self.channel.sent() }
    }
}

/// Bytes of an assignment's values.
pub(super) fn weight(assignment: &Assignment) -> u64 {
    let variables = assignment.variables.iter().map(|(_, value)| value.weight());
    assignment.input.weight() + variables.sum::<u64>()
}

/// What a call consists of, beside its evaluated arguments.
pub(super) fn call(
    assignment: &Assignment,
    function: Arc<str>,
    arguments: Packed,
    token: ByteBuf,
    remaining_ms: Option<u64>,
) -> Call {
    Call {
        key: assignment.key.clone(),
        token,
        function,
        arguments,
        workflow: assignment.workflow.clone(),
        reference: assignment.reference.clone(),
        idempotency_key: assignment.idempotency_key(),
        remaining_ms,
        traceparent: assignment.traceparent.clone(),
        tracestate: assignment.tracestate.clone(),
    }
}
