//! One session: what is to be said next, and the channel it goes through.

use std::collections::VecDeque;
use std::sync::Arc;

use async_nats::Subject;
use serde_bytes::ByteBuf;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::message::{Call, MessageError, Sent, Settled, ToWorker, encode};
use windlass_proto::wire::packed::Packed;
use windlass_proto::wire::session::Channel;
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::http_link::HttpLink;
use crate::secrets::Granter;

/// The way to a worker.
pub(super) enum Link {
    /// Over the bus: the channel, and where its worker listens.
    Bus(Box<Channel>, Subject),
    /// Over HTTP, where it asks.
    Http(Box<HttpLink>),
}

/// A session with one worker.
pub(super) struct WorkerSession {
    pub(super) link: Link,
    /// False when arguments must be evaluated for it.
    pub(super) evaluates: bool,
    /// What its worker is called.
    pub(super) identity: Arc<str>,
    /// True once its worker drains.
    pub(super) leaving: bool,
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
    pub(super) fn new(link: Link, evaluates: bool, identity: Arc<str>) -> Self {
        let (out, weight) = (ToWorker::default(), 0);
        let (auditing, waiting) = (false, false);
        let store_ahead_ms = None;
        Self {
            link,
            evaluates,
            identity,
            leaving: false,
            auditing,
            store_ahead_ms,
            out,
            assignments: Vec::new(),
            weight,
            waiting,
        }
    }

    pub(super) fn is_http(&self) -> bool {
        matches!(self.link, Link::Http(_))
    }

    /// The channel of a worker that is on the bus.
    pub(super) fn channel(&mut self) -> Option<&mut Channel> {
        match &mut self.link {
            Link::Bus(channel, _) => Some(channel),
            Link::Http(_) => None,
        }
    }

    /// What a worker over HTTP has asked and was told.
    pub(super) fn http(&mut self) -> Option<&mut HttpLink> {
        match &mut self.link {
            Link::Bus(..) => None,
            Link::Http(link) => Some(link),
        }
    }

    /// The assignments that were not sent, first to last.
    pub(super) fn take_assignments(&mut self) -> VecDeque<Unsent> {
        self.weight = 0;
        std::mem::take(&mut self.assignments).into()
    }

    /// Puts back those that have to wait for another message.
    pub(super) fn put_back(&mut self, assignments: VecDeque<Unsent>) {
        self.weight = assignments.iter().map(|it| weight(&it.assignment)).sum();
        self.assignments = assignments.into();
    }

    /// Takes back the last ones that were not sent, at most this many.
    pub(super) fn take_last(&mut self, most: usize) -> Vec<AssignmentKey> {
        let from = self.assignments.len().saturating_sub(most);
        self.assignments.split_off(from).into_iter().map(|it| it.assignment.key).collect()
    }

    /// Has it told that this is not wanted any more. Who asks over HTTP may never fetch it: each
    /// is kept once, and no more than an answer holds. What is left out is said again, when it
    /// shows that it still holds it.
    pub(super) fn cancelled(&mut self, key: AssignmentKey) {
        let cancelled = &mut self.out.cancelled;
        let full = || cancelled.len() >= limits::HTTP_WORKER_DELIVERIES || cancelled.contains(&key);
        if matches!(self.link, Link::Bus(..)) || !full() {
            cancelled.push(key);
        }
    }

    /// Has it told what became of a report; bounded likewise, as who is not told reports again.
    pub(super) fn settled(&mut self, settled: Settled) {
        let all = &mut self.out.settled;
        let known = || all.iter().any(|it| it.key == settled.key);
        let full = || all.len() >= limits::HTTP_WORKER_DELIVERIES || known();
        if matches!(self.link, Link::Bus(..)) || !full() {
            all.push(settled);
        }
    }

    /// True when there is something to tell that is more than an answer to a beat.
    pub(super) fn has_news(&self) -> bool {
        let out = &self.out;
        !self.assignments.is_empty() || !out.cancelled.is_empty() || !out.settled.is_empty()
    }

    /// Takes back what was not sent and is not wanted any more; false where it was sent.
    pub(super) fn forget(&mut self, key: &AssignmentKey) -> bool {
        let before = self.assignments.len();
        self.assignments.retain(|it| it.assignment.key != *key);
        self.assignments.len() < before
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

    /// Seals what is to be said on the bus, and where; nothing where the worker is not there.
    pub(super) fn seal(&mut self, frame_bytes: usize) -> Option<(Sealed, Subject)> {
        let Link::Bus(channel, subject) = &mut self.link else { return None };
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
            Ok(bytes) => channel.seal(&bytes, frame_bytes),
            Err(error) => {
                // What it carried is found missing at the next beat.
                tracing::error!(%error, "a message to a worker could not be written");
                Vec::new()
            }
        };
        Some((Sealed { frames, keys, last: channel.sent() }, subject.clone()))
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
