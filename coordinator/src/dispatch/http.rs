//! Workers without NATS: they ask over HTTP, and get what others are sent.
//!
//! One request is a whole turn of a worker: what came of its work, what it holds, and that it
//! lives. It is answered when there is something for it, at the latest after a beat. Deliveries,
//! leases and losses are the dispatcher's, as for every worker; the same rules, in JSON.
//!
//! An answer has a number, and is repeated until the next request shows that it arrived. A worker
//! of this kind is given calls of functions with arguments that are data: the coordinator evaluates
//! them, which can read no secret and nothing that is sealed. So there is nothing secret to send,
//! with TLS or without.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::oneshot;
use windlass_proto::id::WorkflowId;
use windlass_proto::value::Value;
use windlass_proto::wire::AssignmentKey;
use windlass_proto::wire::hello::Introduction;
use windlass_proto::wire::message::{Held, ToCoordinator, TokenReport, decode, encode};
use windlass_proto::wire::outcome::Outcome;
use windlass_proto::wire::packed::Packed;
use windlass_proto::wire::session::SessionId;

/// What the API asks for workers over HTTP.
#[derive(Clone)]
pub struct HttpWorkers(Arc<Ask>);

/// Hands a request to who keeps the sessions; false when nobody does any more.
type Ask = dyn Fn(HttpRequest) -> bool + Send + Sync;

/// Who is on the other side, as access control knows them: a session is theirs alone.
pub type Owner = Arc<str>;

/// Why a worker over HTTP is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpRefusal {
    /// There is no such session, or it is somebody else's.
    Unknown,
    /// It may not join, for this reason.
    Refused(String),
    /// It may join in a moment: another process has its name, or many join.
    Later(&'static str),
    /// The coordinator ends.
    Closing,
}

/// What a worker that joined is told.
#[derive(Clone, Copy, Debug)]
pub struct HttpWelcome {
    /// Its session.
    pub session: SessionId,
    /// Silence after which it is taken for dead.
    pub lease: Duration,
    /// How often it has to ask at least.
    pub beat: Duration,
}

/// One turn of a worker.
#[derive(Clone, Debug, Default)]
pub struct HttpTurn {
    /// The number of the last answer that it has.
    pub seen: u64,
    /// What it works on.
    pub held: Vec<Held>,
    /// How much it takes at once, now.
    pub concurrency: u32,
    /// It takes nothing more.
    pub leaving: bool,
    /// It ends.
    pub goodbye: bool,
    /// What came of its work.
    pub reports: Vec<TokenReport>,
    /// What it hands back.
    pub released: Vec<AssignmentKey>,
    /// How long it waits for an answer.
    pub wait: Duration,
    /// What it takes of memory and of room, given back when this is dropped: once it was taken.
    pub kept: Option<Kept>,
}

/// Something to be dropped when a turn was taken.
pub type Kept = Arc<dyn std::any::Any + Send + Sync>;

/// What a worker is told.
#[derive(Debug, Default)]
pub struct HttpAnswer {
    /// To be named by the next turn.
    pub number: u64,
    /// What to do.
    pub calls: Vec<HttpCall>,
    /// What is not wanted any more.
    pub cancelled: Vec<String>,
    /// Reports that need not be sent again, and whether they count.
    pub settled: Vec<(String, bool)>,
}

/// A call of a function.
#[derive(Debug)]
pub struct HttpCall {
    /// Names this delivery, and proves that the worker was given it.
    pub delivery: String,
    /// The function.
    pub function: Arc<str>,
    /// Its arguments.
    pub arguments: Value,
    /// The workflow that calls.
    pub workflow: WorkflowId,
    /// JSON pointer of the task.
    pub reference: Arc<str>,
    /// The same for every attempt of this visit of the task.
    pub idempotency_key: String,
    /// Milliseconds until the task's time is over.
    pub remaining_ms: Option<u64>,
    /// W3C trace context.
    pub traceparent: Option<Arc<str>>,
}

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, HttpRefusal>>;

/// What the session task is asked.
pub enum HttpRequest {
    /// To let a worker in.
    Join(Box<Introduction>, Owner, Reply<HttpWelcome>),
    /// To take a turn.
    Turn(SessionId, Owner, Box<HttpTurn>, Reply<Arc<HttpAnswer>>),
}

impl HttpTurn {
    /// The same as workers on the bus say it.
    #[must_use]
    pub fn said(self, number: u64) -> ToCoordinator {
        use windlass_proto::wire::message::Beat;
        let Self { seen, held, concurrency, leaving, goodbye, .. } = self;
        let beat = Beat { number, seen, held, concurrency, leaving, goodbye, store: None };
        let (reports, released) = (self.reports, self.released);
        ToCoordinator { reports, released, beat: Some(beat), ..ToCoordinator::default() }
    }
}

impl HttpWorkers {
    /// Requests go to `ask`, which is false when nobody takes them any more.
    pub fn new(ask: impl Fn(HttpRequest) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Lets a worker in.
    ///
    /// # Errors
    /// When it may not join, or not now.
    pub async fn join(
        &self,
        introduction: Introduction,
        owner: Owner,
    ) -> Result<HttpWelcome, HttpRefusal> {
        let (reply, answer) = oneshot::channel();
        self.ask(HttpRequest::Join(Box::new(introduction), owner, reply), answer).await
    }

    /// Takes a turn: answered when there is something for the worker, at the latest after
    /// `turn.wait`.
    ///
    /// # Errors
    /// When there is no such session.
    pub async fn turn(
        &self,
        session: SessionId,
        owner: Owner,
        turn: HttpTurn,
    ) -> Result<Arc<HttpAnswer>, HttpRefusal> {
        let (reply, answer) = oneshot::channel();
        self.ask(HttpRequest::Turn(session, owner, Box::new(turn), reply), answer).await
    }

    async fn ask<T>(
        &self,
        request: HttpRequest,
        answer: oneshot::Receiver<Result<T, HttpRefusal>>,
    ) -> Result<T, HttpRefusal> {
        if !(self.0)(request) {
            return Err(HttpRefusal::Closing);
        }
        // A session that ends meanwhile drops whoever waits in it.
        answer.await.unwrap_or(Err(HttpRefusal::Unknown))
    }
}

/// A delivery and its token, as a worker over HTTP is told them.
#[must_use]
pub fn delivery(key: AssignmentKey, token: Vec<u8>) -> String {
    let held = Held { key, token: serde_bytes::ByteBuf::from(token) };
    // Never fails for what this crate makes; nobody could answer an empty one.
    URL_SAFE_NO_PAD.encode(encode(&held).unwrap_or_default())
}

/// The delivery that a worker names; none for a text that is none.
#[must_use]
pub fn held(delivery: &str) -> Option<Held> {
    decode(&URL_SAFE_NO_PAD.decode(delivery).ok()?).ok()
}

/// A report that cannot be read, or not all of it: the error of its task, as on the bus. It was
/// performed, and to do it again would give the same.
#[must_use]
pub fn unreadable(held: Held, why: &str) -> TokenReport {
    let outcome = Outcome::unreadable(why);
    TokenReport { key: held.key, token: held.token, outcome: outcome.pack().unwrap_or_default() }
}

/// What a worker tells of a call, read as what others pack: an error can be anything.
#[must_use]
pub fn report(
    held: Held,
    result: Result<Value, Value>,
    retry_after_ms: Option<u64>,
) -> TokenReport {
    #[derive(serde::Serialize)]
    struct Said {
        result: Result<Value, Value>,
        retry_after_ms: Option<u64>,
    }
    let outcome = Packed::of(&Said { result, retry_after_ms }).unwrap_or_default();
    TokenReport { key: held.key, token: held.token, outcome }
}

#[cfg(test)]
mod tests {
    use super::{delivery, held};
    use windlass_proto::wire::AssignmentKey;

    #[test]
    fn a_delivery_is_a_text_that_is_read_again() {
        let key = AssignmentKey {
            instance: windlass_proto::id::InstanceId(uuid::Uuid::from_u128(7)),
            frame: windlass_proto::id::FrameId(3),
            delivery: 2,
            partition: windlass_proto::id::PartitionId(1),
            epoch: 9,
        };
        let text = delivery(key.clone(), vec![1, 2, 3]);
        assert!(text.chars().all(|it| it.is_ascii_alphanumeric() || "-_".contains(it)), "{text}");
        let read = held(&text);
        assert_eq!(read.as_ref().map(|it| &it.key), Some(&key));
        assert_eq!(read.map(|it| it.token.into_vec()), Some(vec![1, 2, 3]));
        for wrong in ["", "é", "AAAA", &text[1..]] {
            assert!(held(wrong).is_none(), "{wrong}");
        }
    }
}
