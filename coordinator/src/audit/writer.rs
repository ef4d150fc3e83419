//! The one thread that writes.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use uuid::Uuid;
use windlass_proto::audit::AuditEvent;
use windlass_proto::limits;
use windlass_proto::metric::Histogram;
use windlass_proto::time::Timestamp;
use windlass_telemetry::AuditRecords;

use super::file::AuditFile;
use super::{AuditLine, Publish};
use crate::clock;

/// Events to be written.
pub(super) struct Message {
    pub(super) events: Vec<AuditEvent>,
    /// Since when they wait.
    pub(super) since: Instant,
    /// Called once they are on disk.
    pub(super) done: Box<dyn FnOnce() + Send>,
}

/// What the thread shares with who hands over events.
pub(super) struct Shared {
    /// Events that are not on disk.
    pub(super) waiting: Arc<AtomicUsize>,
    /// Set when it is to end.
    pub(super) stopping: Arc<AtomicBool>,
    /// How long events waited for the disk.
    pub(super) written: Arc<Histogram>,
}

/// Where events go beside the file.
#[derive(Default)]
pub(super) struct Copies {
    pub(super) publish: Option<Publish>,
    pub(super) records: Option<AuditRecords>,
}

/// See the module.
pub(super) struct Writer {
    /// None keeps nothing.
    file: Option<AuditFile>,
    copies: Copies,
    shared: Shared,
    known: HashSet<Uuid>,
    /// Those known, the oldest first.
    order: VecDeque<Uuid>,
    /// True while events are not published for want of room: said once.
    overflowed: bool,
}

impl Writer {
    pub(super) fn new(file: Option<AuditFile>, copies: Copies, shared: Shared) -> Self {
        let (known, order) = Default::default();
        Self { file, copies, shared, known, order, overflowed: false }
    }

    /// Writes until the other end is gone.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        let recent = self.file.as_ref().map(AuditFile::recent).unwrap_or_default();
        for id in recent {
            self.is_new(id);
        }
        self.publish_again();
        while let Ok(first) = inbox.recv() {
            let group: Vec<_> =
                std::iter::once(first).chain(inbox.try_iter().take(limits::AUDIT_GROUP)).collect();
            if !self.write(group) {
                return;
            }
        }
    }

    /// Publishes what the last process may not have come to. The stream drops what it has.
    fn publish_again(&mut self) {
        // Half the time for which the stream knows what it has.
        let since = clock::now().0.saturating_sub(limits::DUPLICATE_WINDOW_MS / 2);
        if self.copies.publish.is_some()
            && let Some(file) = &self.file
        {
            let lines = file.lines_since(Timestamp(since));
            lines.into_iter().for_each(|line| self.publish(line));
        }
    }

    /// False when it is to end before all is written.
    fn write(&mut self, group: Vec<Message>) -> bool {
        let (mut bytes, mut lines, mut dones, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let mut handed_over = Vec::with_capacity(group.len());
        for Message { events, since, done } in group {
            count += events.len();
            handed_over.push(since);
            dones.push(done);
            for event in events {
                if self.is_new(event.id)
                    && let Some(line) = line(event, &mut bytes)
                {
                    lines.push(line);
                }
            }
        }
        if !self.append(&bytes) {
            return false;
        }
        self.shared.waiting.fetch_sub(count, Ordering::Relaxed);
        handed_over.iter().for_each(|since| self.shared.written.time(since.elapsed()));
        dones.into_iter().for_each(|done| done());
        for line in lines {
            if let Some(records) = &self.copies.records {
                records.tell(&line.event);
            }
            self.publish(line);
        }
        true
    }

    /// Tries until it is on disk; false when told to stop meanwhile.
    fn append(&mut self, bytes: &[u8]) -> bool {
        let Some(file) = &mut self.file else { return true };
        let mut said = false;
        while let Err(error) = file.append(bytes) {
            if !std::mem::replace(&mut said, true) {
                tracing::error!(%error, "writing audit events failed; retrying");
            }
            if self.shared.stopping.load(Ordering::Relaxed) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(limits::AUDIT_AGAIN_MS));
        }
        if said {
            tracing::info!("writing audit events recovered");
        }
        true
    }

    fn publish(&mut self, line: AuditLine) {
        let Some(publish) = &self.copies.publish else { return };
        let full = publish.try_send(line).is_err();
        if full && !self.overflowed {
            tracing::warn!("audit events not published, queue full: the file has them");
        }
        self.overflowed = full;
    }

    fn is_new(&mut self, id: Uuid) -> bool {
        let new = self.known.insert(id);
        if new {
            self.order.push_back(id);
            if self.order.len() > limits::AUDIT_REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        new
    }
}

/// Adds an event to `bytes` as one line. One that is too long loses what tells least; none of ours
/// is.
fn line(event: AuditEvent, bytes: &mut Vec<u8>) -> Option<AuditLine> {
    let mut line = AuditLine { time: event.at.to_rfc3339(), event };
    for attempt in 0..2 {
        // Strings and numbers: this cannot fail.
        let text = serde_json::to_vec(&line).unwrap_or_default();
        if text.len() <= limits::AUDIT_EVENT_BYTES {
            bytes.extend_from_slice(&text);
            bytes.push(b'\n');
            return Some(line);
        }
        if attempt == 0 {
            let event = &mut line.event;
            event.detail = Some("what was said of it was too long".into());
            (event.version, event.lease, event.request, event.traceparent) = Default::default();
        }
    }
    tracing::warn!(worker = ?line.event.worker, "audit event dropped: too large");
    None
}
