//! The one thread that writes.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use uuid::Uuid;
use windlass_proto::audit::AuditEvent;
use windlass_proto::limits;
use windlass_proto::metric::Histogram;
use windlass_proto::time::Timestamp;
use windlass_telemetry::AuditRecords;

use super::chain::{Composer, Lines, Made, Position, Tip};
use super::file::AuditFile;
use super::heads::Heads;
use super::key::AuditKey;
use super::share::Shares;
use super::{Publish, Told, noted};
use crate::clock;

/// Events to be written.
pub(super) struct Message {
    pub(super) events: Vec<AuditEvent>,
    /// True when all there is has to be signed with it.
    pub(super) sign: bool,
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
    /// The last line on disk.
    pub(super) last: watch::Sender<Position>,
    /// What workers have written.
    pub(super) shares: Arc<Mutex<Shares>>,
}

/// Where events go beside the file.
#[derive(Default)]
pub(super) struct Copies {
    pub(super) publish: Option<Publish>,
    pub(super) records: Option<AuditRecords>,
    pub(super) heads: Option<Arc<Heads>>,
}

/// The file and the chain in it.
pub(super) struct Kept {
    pub(super) file: AuditFile,
    pub(super) tip: Tip,
    pub(super) key: AuditKey,
    /// Where the last head is noted beside the file.
    pub(super) noted: std::path::PathBuf,
}

/// See the module.
pub(super) struct Writer {
    /// None keeps nothing.
    kept: Option<Kept>,
    copies: Copies,
    shared: Shared,
    known: HashSet<Uuid>,
    /// Those known, the oldest first.
    order: VecDeque<Uuid>,
    /// True while events are not published for want of room: said once.
    overflowed: bool,
    /// When the first event was written that is not signed.
    unsigned_since: Option<Instant>,
}

impl Writer {
    pub(super) fn new(kept: Option<Kept>, copies: Copies, shared: Shared) -> Self {
        let (known, order) = Default::default();
        let unsigned = kept.as_ref().is_some_and(|it| it.tip.unsigned > 0);
        let unsigned_since = unsigned.then(Instant::now);
        Self { kept, copies, shared, known, order, overflowed: false, unsigned_since }
    }

    /// Writes until the other end is gone.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        let recent = self.kept.as_ref().map(|it| it.file.recent()).unwrap_or_default();
        for id in recent {
            self.is_new(id);
        }
        self.publish_again();
        loop {
            let first = match self.next(inbox) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => sign(|| {}),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let group: Vec<_> =
                std::iter::once(first).chain(inbox.try_iter().take(limits::AUDIT_GROUP)).collect();
            if !self.write(group) {
                return;
            }
        }
        self.write(vec![sign(|| {})]);
    }

    /// The next message, unless it is time to sign what is there.
    fn next(&self, inbox: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        let Some(since) = self.unsigned_since else {
            return inbox.recv().map_err(|_| RecvTimeoutError::Disconnected);
        };
        let due = Duration::from_millis(limits::AUDIT_HEAD_MS);
        inbox.recv_timeout(due.saturating_sub(since.elapsed()))
    }

    /// Publishes what the last process may not have come to. The stream drops what it has.
    fn publish_again(&mut self) {
        // Half the time for which the stream knows what it has.
        let since = clock::now().0.saturating_sub(limits::DUPLICATE_WINDOW_MS / 2);
        if self.copies.publish.is_some()
            && let Some(kept) = &self.kept
        {
            let lines = kept.file.lines_since(Timestamp(since));
            lines.into_iter().filter_map(Told::read).for_each(|it| self.publish(it));
        }
    }

    /// False when it is to end before all is written.
    fn write(&mut self, group: Vec<Message>) -> bool {
        let (mut fresh, mut dones, mut count, mut sign) = (Vec::new(), Vec::new(), 0, false);
        let mut handed_over = Vec::with_capacity(group.len());
        for message in group {
            count += message.events.len();
            sign |= message.sign;
            handed_over.push(message.since);
            dones.push(message.done);
            fresh.extend(message.events.into_iter().filter(|it| self.is_new(it.id)));
        }
        // What waits since then is signed with what came meanwhile.
        sign |= self
            .unsigned_since
            .is_some_and(|it| it.elapsed() >= Duration::from_millis(limits::AUDIT_HEAD_MS));
        let Some(made) = self.put(&fresh, sign) else { return false };
        self.shared.waiting.fetch_sub(count, Ordering::Relaxed);
        handed_over.iter().for_each(|since| self.shared.written.time(since.elapsed()));
        dones.into_iter().for_each(|done| done());
        for made in made {
            if let (Some(records), Some(event)) = (&self.copies.records, &made.event) {
                records.tell(event);
            }
            if let (Some(heads), None) = (&self.copies.heads, &made.event) {
                heads.offer(made.line.clone(), made.at);
            }
            self.publish(Told::of(made));
        }
        true
    }

    /// Tries until all is on disk, and says which lines that made; none when told to stop
    /// meanwhile.
    fn put(&mut self, events: &[AuditEvent], sign: bool) -> Option<Vec<Made>> {
        let Some(kept) = &mut self.kept else {
            return Some(events.iter().cloned().map(Made::unchained).collect());
        };
        let (mut made, mut said) = (Vec::new(), false);
        while let Err(error) = kept.put(events, sign, &mut made) {
            if !std::mem::replace(&mut said, true) {
                tracing::error!(%error, "writing audit events failed; retrying");
            }
            if self.shared.stopping.load(Ordering::Relaxed) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(limits::AUDIT_AGAIN_MS));
        }
        if said {
            tracing::info!("writing audit events recovered");
        }
        self.shared.last.send_replace(kept.tip.at);
        let mut shares = self.shared.shares.lock().unwrap_or_else(PoisonError::into_inner);
        for it in &made {
            if let Some(worker) = it.event.as_ref().and_then(|it| it.worker.as_ref()) {
                shares.charge(worker, it.line.len() as u64 + 1, Instant::now());
            }
        }
        drop(shares);
        match kept.tip.unsigned {
            0 => self.unsigned_since = None,
            _ => _ = self.unsigned_since.get_or_insert_with(Instant::now),
        }
        Some(made)
    }

    fn publish(&mut self, told: Told) {
        let Some(publish) = &self.copies.publish else { return };
        let full = publish.try_send(told).is_err();
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

/// Asks for what is there to be signed.
pub(super) fn sign(done: impl FnOnce() + Send + 'static) -> Message {
    Message { events: Vec::new(), sign: true, since: Instant::now(), done: Box::new(done) }
}

impl Kept {
    /// Adds events and what heads are due, durably, and to `made` what lines those are. After an
    /// error it is as if nothing had been added, but for a head at the end of a full file.
    fn put(
        &mut self,
        events: &[AuditEvent],
        sign: bool,
        made: &mut Vec<Made>,
    ) -> std::io::Result<()> {
        let mut lines = self.compose(events, sign);
        // A head alone stays with what it signs.
        if !events.is_empty() && self.file.is_full_with(lines.bytes.len()) {
            if self.tip.unsigned > 0 {
                let mut end = Composer::new(self.tip, &self.key, clock::now());
                end.head();
                let end = end.lines();
                self.file.append(&end.bytes)?;
                self.tip = end.tip;
                made.extend(end.made);
            }
            self.file.rotate()?;
            lines = self.compose(events, sign);
        }
        self.file.append(&lines.bytes)?;
        self.tip = lines.tip;
        made.extend(lines.made);
        if let Some(head) = made.iter().rev().find(|it| it.event.is_none()) {
            noted::note(&self.noted, head.at);
        }
        Ok(())
    }

    fn compose(&self, events: &[AuditEvent], sign: bool) -> Lines {
        let mut composer = Composer::new(self.tip, &self.key, clock::now());
        // So that each file says what came before it, and the first that it is the first.
        let is_first = self.file.is_empty() || self.tip.at.sequence == 0;
        if is_first && !events.is_empty() {
            composer.head();
        }
        events.iter().for_each(|it| composer.event(it.clone()));
        if sign && composer.tip.unsigned > 0 {
            composer.head();
        }
        composer.lines()
    }
}
