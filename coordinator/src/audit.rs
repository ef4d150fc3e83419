//! What was done with secrets, kept: a file of JSON lines, the truth, and a stream that copies it;
//! so do log records of a collector, where there is one. Heads go to a webhook as well.
//!
//! ```text
//!  workers ──> fleet ─┐
//!  coordinator ───────┼──> one thread: append ──> fdatasync ──> acknowledged ──> stream (best effort)
//!  embedded worker ───┘
//! ```
//!
//! **Invariant:** a worker forgets an event only when it is on disk here; one that comes again is
//! written once.
//! **Invariant:** each line has the number and the hash that follow from the line before it, and no
//! number is given twice: see `chain`.

mod chain;
mod error;
mod file;
mod heads;
mod key;
mod lines;
mod noted;
mod page;
mod pending;
mod share;
mod trail;
pub mod verify;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use uuid::Uuid;
use windlass_proto::audit::{AuditAction, AuditEvent, AuditOutcome};
use windlass_proto::limits;
use windlass_proto::metric::{Histogram, Snapshot, table};
use windlass_proto::trace::{SpanId, TraceContext, TraceId};
use windlass_telemetry::AuditRecords;

pub use chain::{AuditLine, LineHash, Position};
pub use error::AuditError;
pub use heads::{HeadsUrl, HeadsWebhook, NotAHeadsUrl};
pub use key::PublicKey;
pub use page::{Filter, Page, Start};

use crate::clock;
use chain::{Made, Tip};
use file::{AuditFile, Sizes};
use heads::Teller;
use key::AuditKey;
use share::{Shares, Verdict};
use writer::{Copies, Kept, Message, Shared, Writer};

/// The audit trail. It ends when it is dropped.
pub struct AuditLog {
    place: Option<PathBuf>,
    /// To the thread that writes; taken to end it.
    messages: Option<Sender<Message>>,
    /// Its other end goes with that thread.
    ended: Mutex<mpsc::Receiver<()>>,
    /// Events that are not on disk.
    waiting: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    /// How long events wait for the disk.
    written: Arc<Histogram>,
    /// What verifies the heads.
    public: PublicKey,
    /// The last line on disk.
    last: watch::Receiver<Position>,
    shares: Arc<Mutex<Shares>>,
    /// Tells heads elsewhere; ends after the thread that writes.
    teller: Option<Teller>,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Where lines go once they are on disk.
pub type Publish = tokio::sync::mpsc::Sender<Told>;

/// A line that is on disk, for others to keep.
#[derive(Clone, Debug)]
pub struct Told {
    /// Tells repeats.
    pub id: String,
    /// Whose it is; the coordinator's own where there is none.
    pub namespace: Option<Arc<str>>,
    /// Its bytes, without the end.
    pub line: Vec<u8>,
}

impl Told {
    fn of(made: Made) -> Self {
        let Made { line, event, at } = made;
        Self::new(line, event.as_ref(), at.sequence)
    }

    /// Of a line of the file; none where it is not one of ours.
    fn read(line: Vec<u8>) -> Option<Self> {
        if let Some(head) = chain::Head::parse(&line) {
            return Some(Self::new(line, None, head.sequence));
        }
        let read: AuditLine = serde_json::from_slice(&line).ok()?;
        Some(Self::new(line, Some(&read.event), 0))
    }

    fn new(line: Vec<u8>, event: Option<&AuditEvent>, sequence: u64) -> Self {
        let id = match event {
            Some(event) => event.id.to_string(),
            // Of two trails on one bus the heads differ.
            None => format!("head-{sequence}-{}", LineHash::of(&line)),
        };
        let task = event.and_then(|it| it.task.as_ref());
        let namespace = task.map(|it| it.workflow.namespace.clone());
        Self { id, namespace, line }
    }
}

/// Where a trail is kept, and how.
#[derive(Clone, Debug, Default)]
pub struct AuditOptions {
    /// The file; without one nothing is kept.
    pub place: Option<PathBuf>,
    /// Whether the key that signs is kept beside it; else it is of this process alone.
    pub keep_key: bool,
    /// Bytes of all its files; none keeps the usual.
    pub retention: Option<u64>,
    /// Where its heads are told, if anywhere.
    pub heads: Option<HeadsWebhook>,
}

impl AuditLog {
    /// Opens a trail. What is on disk goes to `publish` and `records` as well, as long as there is
    /// room. Blocking.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn open(
        options: AuditOptions,
        publish: Option<Publish>,
        records: Option<AuditRecords>,
    ) -> Result<Self, AuditError> {
        let sizes = Sizes::of(options.retention.unwrap_or(limits::AUDIT_RETENTION_BYTES));
        Self::sized(options, Copies { publish, records, heads: None }, sizes)
    }

    fn sized(options: AuditOptions, mut copies: Copies, sizes: Sizes) -> Result<Self, AuditError> {
        let AuditOptions { place, keep_key, heads, .. } = options;
        let key_place = place.as_deref().map(key::place).filter(|_| keep_key);
        let key = AuditKey::open(key_place.as_deref())?;
        let public = key.public();
        let kept = place.as_ref().map(|path| {
            kept(path, sizes, key).map_err(|error| AuditError::File { path: path.clone(), error })
        });
        let kept = kept.transpose()?;
        let unsettled = place.as_deref().map_or(Ok(Vec::new()), |path| {
            pending::settle(path).map_err(|error| AuditError::File { path: path.to_owned(), error })
        })?;
        let teller = heads.map(|it| Teller::start(it, place.as_deref())).transpose()?;
        copies.heads = teller.as_ref().map(Teller::heads);
        let at = kept.as_ref().map(|it| it.tip.at).unwrap_or_default();
        let (last, told_last) = watch::channel(at);
        let (messages, inbox) = mpsc::channel();
        let (waiting, stopping) = (Arc::default(), Arc::default());
        let written = Arc::new(Histogram::of(&table::events::AUDIT_LAG));
        let shares = Arc::new(Mutex::new(Shares::new(sizes)));
        let shared = Shared {
            shares: Arc::clone(&shares),
            waiting: Arc::clone(&waiting),
            stopping: Arc::clone(&stopping),
            written: Arc::clone(&written),
            last,
        };
        let writer = Writer::new(kept, copies, shared);
        let thread = std::thread::Builder::new().name("windlass-audit".to_owned());
        let (ends, ended) = mpsc::channel();
        let run = move || {
            writer.run(&inbox);
            drop(ends);
        };
        if let Err(error) = thread.spawn(run) {
            return Err(AuditError::File { path: place.unwrap_or_default(), error });
        }
        let (messages, ended, last) = (Some(messages), Mutex::new(ended), told_last);
        let log = Self {
            place,
            messages,
            ended,
            waiting,
            stopping,
            written,
            public,
            last,
            shares,
            teller,
        };
        if !unsettled.is_empty() {
            tracing::warn!(
                actions = unsettled.len(),
                "actions of operators whose outcome is unknown, as the coordinator ended meanwhile"
            );
            log.keep(unsettled, || {});
        }
        Ok(log)
    }

    /// What verifies the heads of this trail.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// The last line on disk.
    #[must_use]
    pub fn last_position(&self) -> Position {
        *self.last.borrow()
    }

    /// False while so many events wait for the disk that nothing more should be done with secrets.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting() < limits::AUDIT_QUEUE
    }

    /// Whether events of a worker, with these numbers of its life, may be written now: not when it
    /// has used its share of the trail. That is in the trail then, with how many had to wait.
    pub fn admits(&self, worker: &Arc<str>, first: u64, last: u64) -> bool {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = shares.admits(worker, first, last, Instant::now());
        drop(shares);
        if let Verdict::Deferred { tell: Some(count) } = verdict {
            tracing::warn!(
                worker = &**worker,
                events = count,
                "audit events of a worker deferred: it has used its share of the trail, keeps them, \
                 and takes no more tasks with secrets meanwhile; --audit-retention makes shares larger"
            );
            self.record(own(AuditAction::Deferred, false, |event| {
                event.worker = Some(worker.clone());
                event.detail = Some(format!("{count} events have to wait: it keeps them").into());
            }));
        }
        verdict == Verdict::Taken
    }

    /// Events that are not on disk yet: what grows when the disk is full.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Adds what there is to tell of the trail.
    pub fn measured(&self, snapshot: &mut Snapshot) {
        snapshot.add(&table::events::AUDIT_WAITING, self.waiting());
        snapshot.add(&table::events::AUDIT_LAG, &*self.written);
        match &self.teller {
            Some(teller) => teller.heads().measured(snapshot),
            // Nobody is told, and nothing waits.
            None => heads::Heads::default().measured(snapshot),
        }
    }

    /// Takes events, and calls `done` once they are on disk; never when that cannot be. Does not
    /// block.
    pub fn keep(&self, events: Vec<AuditEvent>, done: impl FnOnce() + Send + 'static) {
        let waiting = self.waiting.fetch_add(events.len(), Ordering::Relaxed);
        // Who asks for room first leaves some for what is under way; past that something is wrong.
        if waiting > 2 * limits::AUDIT_QUEUE {
            self.waiting.fetch_sub(events.len(), Ordering::Relaxed);
            tracing::error!(events = events.len(), "audit events dropped: queue full");
            return;
        }
        let (since, done) = (Instant::now(), Box::new(done));
        let message = Message { events, sign: false, since, done };
        self.send(message);
    }

    fn send(&self, message: Message) {
        // The thread ends only after this end has.
        let _ = self.messages.as_ref().map(|it| it.send(message));
    }

    /// Takes one event and lets it get to the disk.
    pub fn record(&self, event: AuditEvent) {
        self.keep(vec![event], || {});
    }

    /// Takes events; returns once they are on disk.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn kept(&self, events: Vec<AuditEvent>) -> Result<(), AuditError> {
        let (done, kept) = oneshot::channel();
        self.keep(events, move || {
            // Who asked may have gone.
            let _ = done.send(());
        });
        let patience = Duration::from_millis(limits::AUDIT_KEEP_MS);
        match tokio::time::timeout(patience, kept).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(AuditError::Late),
        }
    }

    /// Some lines: those that `filter` takes, at most `limit`. Blocking.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn page(&self, filter: &Filter, start: Start, limit: usize) -> Result<Page, AuditError> {
        let Some(path) = &self.place else { return Ok(Page::default()) };
        page::read(path, filter, start, limit)
            .map_err(|error| AuditError::File { path: path.clone(), error })
    }

    /// Tells of the last line on disk, as it changes.
    #[must_use]
    pub fn grows(&self) -> watch::Receiver<Position> {
        self.last.clone()
    }

    /// The last events, newest first, at most `limit`. Blocking.
    #[cfg(test)]
    pub(crate) fn last(&self, limit: usize) -> Result<Vec<AuditLine>, AuditError> {
        let Some(path) = &self.place else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        if limit > 0 {
            trail::backwards(path, &mut |line| {
                lines.extend(serde_json::from_slice::<AuditLine>(line).ok());
                lines.len() < limit
            })
            .map_err(|error| AuditError::File { path: path.clone(), error })?;
        }
        Ok(lines)
    }

    /// Waits until what it was given is on disk and signed, for a bounded time. Blocking.
    pub fn flush(&self) {
        let (done, flushed) = mpsc::channel::<()>();
        self.send(writer::sign(move || drop(done)));
        // An error says that the other end was dropped: it was called.
        let patience = Duration::from_millis(limits::AUDIT_KEEP_MS);
        if flushed.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::error!("writing audit events timed out");
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        drop(self.messages.take());
        // Whoever opens the trail next must find it at rest. A disk that hangs holds nobody up.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(Duration::from_millis(limits::AUDIT_KEEP_MS));
    }
}

/// Opens the file, and finds where its chain has come to.
fn kept(path: &Path, sizes: Sizes, key: AuditKey) -> io::Result<Kept> {
    let file = AuditFile::open(path, sizes)?;
    let mut tip = file.tip()?;
    let noted = noted::place(path);
    if let Some(head) = noted::read(&noted)?
        && head.sequence > tip.at.sequence
    {
        tracing::error!(
            last = tip.at.sequence,
            signed = head.sequence,
            "the audit trail ends before what was signed of it: lines were removed; see \
             `windlass audit verify`"
        );
        // Their numbers are not given again.
        tip = Tip { at: head, unsigned: 0 };
    }
    Ok(Kept { file, tip, key, noted })
}

/// An event of the coordinator's own; `more` adds what is known of it. It is of the trace of the
/// request that is answered; without one, of one of its own that nobody records, so that it can be
/// told from others.
pub(crate) fn own(
    action: AuditAction,
    success: bool,
    more: impl FnOnce(&mut AuditEvent),
) -> AuditEvent {
    let mut event = AuditEvent::new(Uuid::now_v7(), clock::now(), action, success);
    event.traceparent =
        Some(windlass_telemetry::current().unwrap_or_else(apart).traceparent().into());
    more(&mut event);
    event
}

/// The event that says what came of another one.
pub(crate) fn outcome(intent: &AuditEvent, outcome: AuditOutcome, why: Option<&str>) -> AuditEvent {
    let success = outcome == AuditOutcome::Done;
    let mut event = AuditEvent::new(Uuid::now_v7(), clock::now(), intent.action, success);
    event.outcome = Some(outcome);
    event.intent = Some(intent.id);
    event.request.clone_from(&intent.request);
    event.actor.clone_from(&intent.actor);
    event.address.clone_from(&intent.address);
    event.via.clone_from(&intent.via);
    event.namespace.clone_from(&intent.namespace);
    event.traceparent.clone_from(&intent.traceparent);
    let what = intent.detail.as_deref().unwrap_or_default();
    event.detail = Some(why.map_or_else(|| what.into(), |why| format!("{what}: {why}").into()));
    event
}

/// A trace of its own.
fn apart() -> TraceContext {
    let (trace_id, span_id) = (Uuid::new_v4().as_u128(), Uuid::new_v4().as_u64_pair().0);
    let (trace_id, span_id) = (TraceId::new(trace_id), SpanId::new(span_id));
    TraceContext { trace_id, span_id, sampled: false, random: false, state: None }
}

#[cfg(test)]
mod tests;
