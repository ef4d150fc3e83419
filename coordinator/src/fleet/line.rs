//! One session: what is to be said next, and the channel it goes through.

use async_nats::Subject;
use serde_bytes::ByteBuf;
use windlass_proto::value::Value;
use windlass_proto::wire::message::{Call, Sent, ToWorker, encode};
use windlass_proto::wire::session::Channel;
use windlass_proto::wire::{Assignment, AssignmentKey};

/// Bytes of assignments that one message carries at most, unless a single one is larger.
const MESSAGE_WEIGHT: u64 = 4 << 20;

/// A session with one worker.
pub(super) struct Line {
    pub(super) channel: Channel,
    /// Where its worker listens.
    pub(super) subject: Subject,
    /// False when arguments must be evaluated for it.
    pub(super) evaluates: bool,
    pub(super) out: ToWorker,
    /// Bytes of the assignments in `out`.
    weight: u64,
    /// True while it stands in the list of those with something to say.
    pub(super) waiting: bool,
}

/// Frames ready to be published, and what was in them.
pub(super) struct Sealed {
    pub(super) frames: Vec<Vec<u8>>,
    /// The assignments they carry.
    pub(super) keys: Vec<AssignmentKey>,
    /// The counter of the last frame.
    pub(super) last: u64,
}

impl Line {
    pub(super) fn new(channel: Channel, subject: Subject, evaluates: bool) -> Self {
        let out = ToWorker::default();
        Self { channel, subject, evaluates, out, weight: 0, waiting: false }
    }

    /// Adds an assignment; true when the message should go before more is added.
    pub(super) fn assign(&mut self, sent: Sent) -> bool {
        self.weight += weight(&sent.assignment);
        self.out.assignments.push(sent);
        self.weight >= MESSAGE_WEIGHT
    }

    /// Adds a call; true when the message should go before more is added.
    pub(super) fn call(&mut self, call: Call) -> bool {
        self.weight += call.arguments.weight();
        self.out.calls.push(call);
        self.weight >= MESSAGE_WEIGHT
    }

    /// Seals what is to be said.
    pub(super) fn seal(&mut self, frame_bytes: usize) -> Sealed {
        self.weight = 0;
        let message = std::mem::take(&mut self.out);
        let keys = message.assignments.iter().map(|it| &it.assignment.key);
        let keys = keys.chain(message.calls.iter().map(|it| &it.key)).cloned().collect();
        let frames = match encode(&message) {
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
    function: std::sync::Arc<str>,
    arguments: Value,
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
    }
}
