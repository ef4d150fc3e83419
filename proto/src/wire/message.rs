//! What the two ends of a session say: MessagePack maps with named fields.
//!
//! What is an author's or a function's own (assignments, arguments, outcomes) is [`Packed`]: it can
//! be unreadable without spoiling the message.
//!
//! A field that the reader does not know is skipped and one that is missing takes its default, so
//! that fields can be added within a protocol. A message carries everything its sender has to say
//! at that moment: under load that makes few large messages, at rest small ones without delay.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::AssignmentKey;
use super::integer::integer;
use super::packed::Packed;
use crate::audit::AuditEvent;
use crate::id::{Digest, WorkflowId};
use crate::time::Timestamp;

/// Coordinator to worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ToWorker {
    /// Tasks to perform.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assignments: Vec<Sent>,
    /// Function calls, for workers that do not evaluate expressions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// Assignments no longer wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cancelled: Vec<AssignmentKey>,
    /// Reports that need not be sent again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<Settled>,
    /// Definitions that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub definitions: Vec<Definition>,
    /// The number of the last audit event that is on disk: see [`ToCoordinator::audit`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audited: Option<u64>,
    /// The number of the beat that this answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beat: Option<u64>,
}

/// A task, and what its delivery needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sent {
    /// Which delivery this is.
    pub key: AssignmentKey,
    /// The task, an [`Assignment`](super::Assignment). Its `deadline` is by the coordinator's
    /// clock; see [`Sent::remaining_ms`].
    pub assignment: Packed,
    /// Proves that this worker was given it.
    pub token: ByteBuf,
    /// Milliseconds until the deadline when it was sent: a worker's clock need not be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_ms: Option<u64>,
}

/// A function call whose arguments are evaluated already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// Which delivery this is.
    pub key: AssignmentKey,
    /// Proves that this worker was given it.
    pub token: ByteBuf,
    /// The function's name.
    pub function: Arc<str>,
    /// Its arguments, a [`Value`](crate::value::Value).
    pub arguments: Packed,
    /// The workflow that calls.
    pub workflow: WorkflowId,
    /// JSON pointer of the task.
    pub reference: Arc<str>,
    /// What a side effect should carry, so that its receiver can tell repeats.
    pub idempotency_key: String,
    /// Milliseconds until the task's time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_ms: Option<u64>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Arc<str>>,
    /// What vendors have added to it, as the caller gave it; none without a `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<Arc<str>>,
}

/// What became of a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settled {
    /// Which delivery it was for.
    pub key: AssignmentKey,
    /// True when it is part of the instance now; false when it came too late or for nothing.
    pub accepted: bool,
}

/// A definition's text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Definition {
    /// Its digest.
    pub digest: Digest,
    /// The text; none when the coordinator does not have it.
    #[serde(default)]
    pub text: Option<Arc<str>>,
}

/// Worker to coordinator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ToCoordinator {
    /// What came of assignments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<TokenReport>,
    /// Assignments handed back unfinished, or ended because they were cancelled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<AssignmentKey>,
    /// What it did with secrets, in order and without gaps; repeated until
    /// [`ToWorker::audited`] covers it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit: Vec<Audited>,
    /// Definitions it needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<Digest>,
    /// A sign of life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beat: Option<Beat>,
}

/// One audit event of a worker, under its number in the worker's life, from 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Audited {
    /// Its number.
    pub number: u64,
    /// What happened. The coordinator adds which worker said so.
    pub event: AuditEvent,
}

/// A report with the proof that it is this worker's to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenReport {
    /// Which delivery it answers.
    pub key: AssignmentKey,
    /// The assignment's token.
    pub token: ByteBuf,
    /// What came of it, an [`Outcome`](super::outcome::Outcome).
    #[serde(default)]
    pub outcome: Packed,
}

/// A sign of life, at least every `beat_ms`; the first message of a session is one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Beat {
    /// Its number in the session, from 1.
    #[serde(deserialize_with = "integer")]
    pub number: u64,
    /// The counter of the last frame received and dealt with.
    #[serde(deserialize_with = "integer")]
    pub seen: u64,
    /// Everything it works on or has not had an answer for; what is cancelled, until it has ended.
    pub held: Vec<Held>,
    /// Assignments it takes at once, now: 0 when it takes no more.
    #[serde(deserialize_with = "integer")]
    pub concurrency: u32,
    /// True when it goes as soon as it holds nothing.
    pub leaving: bool,
    /// True for its last word.
    pub goodbye: bool,
    /// What the clock of its store of secrets showed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreTime>,
}

/// What another machine's clock showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreTime {
    /// What it showed, in whole seconds.
    pub at: Timestamp,
    /// How long ago that was when this was sent, in milliseconds.
    pub ago_ms: u64,
}

/// An assignment a worker holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// Which.
    pub key: AssignmentKey,
    /// Its token.
    pub token: ByteBuf,
}

/// A message that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MessageError(String);

impl MessageError {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Writes a message.
///
/// # Errors
/// Never for the messages of this module; the encoder's signature allows it.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, MessageError> {
    rmp_serde::to_vec_named(message).map_err(|error| MessageError(error.to_string()))
}

/// Reads a message.
///
/// # Errors
/// When the bytes are not one, or more than one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MessageError> {
    let mut rest = bytes;
    let read = T::deserialize(&mut rmp_serde::Deserializer::new(&mut rest));
    let read = read.map_err(|error| MessageError(error.to_string()))?;
    match rest.len() {
        0 => Ok(read),
        more => Err(MessageError(format!("{more} bytes follow it"))),
    }
}
