//! What was done with secrets, kept: a file of JSON lines, the truth, and a stream that copies it;
//! so do log records of a collector, where there is one.
//!
//! ```text
//!  workers ──> fleet ─┐
//!  coordinator ───────┼──> one thread: append ──> fdatasync ──> acknowledged ──> stream (best effort)
//!  embedded worker ───┘
//! ```
//!
//! **Invariant:** a worker forgets an event only when it is on disk here; one that comes again is
//! written once.

mod file;
mod writer;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use uuid::Uuid;
use windlass_proto::audit::{AuditAction, AuditEvent};
use windlass_proto::limits;
use windlass_proto::metric::{Histogram, Snapshot, table};
use windlass_proto::trace::{SpanId, TraceContext, TraceId};
use windlass_telemetry::AuditRecords;

use crate::clock;
use file::{AuditFile, Sizes};
use writer::{Copies, Message, Shared, Writer};

/// Why the audit trail cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be used.
    #[error("the audit trail in {path} cannot be used: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// An event is not on disk in time.
    #[error("an audit event could not be written in time: the disk may be full")]
    Late,
}

/// One line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditLine {
    /// When, in RFC 3339.
    #[serde(default)]
    pub time: String,
    /// The event.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// The audit trail. It ends when it is dropped.
pub struct AuditLog {
    place: Option<PathBuf>,
    /// To the thread that writes.
    messages: Sender<Message>,
    /// Events that are not on disk.
    waiting: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    /// How long events wait for the disk.
    written: Arc<Histogram>,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Where lines go once they are on disk.
pub type Publish = tokio::sync::mpsc::Sender<AuditLine>;

impl AuditLog {
    /// Opens the trail that is kept at `place`; without one nothing is kept. What is on disk goes
    /// to `publish` and `records` as well, as long as there is room. Blocking.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(
        place: Option<PathBuf>,
        publish: Option<Publish>,
        records: Option<AuditRecords>,
    ) -> Result<Self, AuditError> {
        Self::sized(place, Copies { publish, records }, Sizes::default())
    }

    fn sized(place: Option<PathBuf>, copies: Copies, sizes: Sizes) -> Result<Self, AuditError> {
        let opened = place.as_ref().map(|path| {
            AuditFile::open(path, sizes)
                .map_err(|error| AuditError::File { path: path.clone(), error })
        });
        let file = opened.transpose()?;
        let (messages, inbox) = mpsc::channel();
        let (waiting, stopping) = (Arc::default(), Arc::default());
        let written = Arc::new(Histogram::of(&table::events::AUDIT_LAG));
        let shared = Shared {
            waiting: Arc::clone(&waiting),
            stopping: Arc::clone(&stopping),
            written: Arc::clone(&written),
        };
        let writer = Writer::new(file, copies, shared);
        let thread = std::thread::Builder::new().name("windlass-audit".to_owned());
        if let Err(error) = thread.spawn(move || writer.run(&inbox)) {
            return Err(AuditError::File { path: place.unwrap_or_default(), error });
        }
        Ok(Self { place, messages, waiting, stopping, written })
    }

    /// False while so many events wait for the disk that nothing more should be done with secrets.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting() < limits::AUDIT_QUEUE
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
        let message = Message { events, since: Instant::now(), done: Box::new(done) };
        // The thread ends only after this end has.
        let _ = self.messages.send(message);
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

    /// The last lines, newest first, at most `limit`. Blocking.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn last(&self, limit: usize) -> Result<Vec<AuditLine>, AuditError> {
        let Some(path) = &self.place else { return Ok(Vec::new()) };
        file::last(path, limit).map_err(|error| AuditError::File { path: path.clone(), error })
    }

    /// Waits until what it was given is on disk, for a bounded time. Blocking.
    pub fn flush(&self) {
        let (done, flushed) = mpsc::channel::<()>();
        self.keep(Vec::new(), move || drop(done));
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
    }
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

/// A trace of its own.
fn apart() -> TraceContext {
    let (trace_id, span_id) = (Uuid::new_v4().as_u128(), Uuid::new_v4().as_u64_pair().0);
    let (trace_id, span_id) = (TraceId::new(trace_id), SpanId::new(span_id));
    TraceContext { trace_id, span_id, sampled: false, random: false, state: None }
}

#[cfg(test)]
mod tests;
