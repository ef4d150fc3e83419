//! The leader's end of the log: what it appends, and how it finds out whether an append whose
//! answer did not come has come to pass.
//!
//! One entry is under way at a time, as the journal commits one batch after the other; so where the
//! next one will be is known before it is sent, and goes into the journal with it. An entry is
//! there or it is refused, and while neither can be found out nobody is told anything.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;
use windlass_proto::limits;
use windlass_proto::metric::{Histogram, Snapshot, table};

use super::entry::{Entry, Part, Sealer};
use super::places::Junk;
use super::stream::{Appended, Away, LogStream};
use crate::journal::JournalError;
use crate::journal::replicated::{Appending, CommitLog, LogPosition};

/// Why a leadership ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Another coordinator leads.
    Fenced(String),
    /// This one stops.
    Stopping,
    /// The log has what cannot be there.
    Damaged(String),
}

impl Ended {
    /// The error of whoever wants to write.
    pub(super) fn error(self) -> JournalError {
        match self {
            Self::Fenced(why) => JournalError::Fenced(why),
            Self::Stopping => JournalError::LogAway,
            Self::Damaged(why) => JournalError::LogDamaged(why),
        }
    }
}

/// What entries are appended to. The log with the state of one leadership.
pub(super) struct Appender {
    shared: Arc<Shared>,
    runtime: Handle,
    /// The last entry that is there.
    last: Mutex<LogPosition>,
}

struct Shared {
    /// Where the leadership began.
    first: LogPosition,
    log: Arc<LogStream>,
    sealer: Arc<Sealer>,
    ended: watch::Sender<Option<Ended>>,
    /// Since when an entry is under way, in milliseconds after `began`, one more; 0 while none is.
    since: AtomicU64,
    began: Instant,
    /// When somebody last heard that this one leads, in the same way.
    renewed: AtomicU64,
    lasts: Duration,
    /// The last messages: a log that lost its end gets them again.
    recent: Mutex<Recent>,
    junk: Mutex<Junk>,
    took: Histogram,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    bytes: AtomicU64,
    retries: AtomicU64,
    restored: AtomicU64,
    refused: AtomicU64,
    junk: AtomicU64,
}

#[derive(Default)]
struct Recent {
    messages: VecDeque<(u64, Bytes)>,
    bytes: usize,
    /// Nothing up to here is known.
    after: u64,
}

impl Recent {
    fn add(&mut self, sequence: u64, message: Bytes) {
        self.bytes += message.len();
        self.messages.push_back((sequence, message));
        while self.bytes > limits::CLUSTER_RECENT_BYTES {
            let Some((sequence, oldest)) = self.messages.pop_front() else { break };
            self.bytes -= oldest.len();
            self.after = sequence;
        }
    }

    /// A message up to the last one; an empty one where somebody else's was passed over.
    fn get(&self, sequence: u64) -> Option<Bytes> {
        if sequence <= self.after {
            return None;
        }
        let place = self.messages.binary_search_by_key(&sequence, |it| it.0).ok();
        let message = place.and_then(|it| self.messages.get(it));
        Some(message.map(|it| it.1.clone()).unwrap_or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Appender {
    /// Goes on after `last`, which is of this leadership.
    pub(super) fn new(
        log: Arc<LogStream>,
        sealer: Arc<Sealer>,
        last: LogPosition,
        lasts: Duration,
        runtime: Handle,
    ) -> Self {
        let shared = Shared {
            first: last,
            log,
            sealer,
            ended: watch::Sender::new(None),
            since: AtomicU64::new(0),
            began: Instant::now(),
            renewed: AtomicU64::new(0),
            lasts,
            recent: Mutex::new(Recent { after: last.sequence, ..Recent::default() }),
            junk: Mutex::default(),
            took: Histogram::of(&table::cluster::APPEND),
            counts: Counts::default(),
        };
        Self { shared: Arc::new(shared), runtime, last: Mutex::new(last) }
    }

    /// Appends an entry and waits until it is there. Blocking.
    pub(super) fn append_entry(&self, entry: &Entry) -> Result<LogPosition, JournalError> {
        let mut under_way = self.begin(entry)?;
        under_way.wait()?;
        Ok(under_way.position)
    }

    fn begin(&self, entry: &Entry) -> Result<UnderWay<'_>, JournalError> {
        let last = lock(&self.last);
        if let Some(ended) = self.shared.ended.borrow().clone() {
            self.shared.counts.refused.fetch_add(1, Ordering::Relaxed);
            return Err(ended.error());
        }
        let parts = Part::of(entry, self.shared.log.part_bytes());
        let count = parts.len() as u64;
        let position = LogPosition { sequence: last.sequence + count, ..*last };
        let (sender, receiver) = mpsc::sync_channel(1);
        let (shared, before) = (self.shared.clone(), *last);
        self.shared.since.store(self.shared.now(), Ordering::Release);
        self.runtime.spawn(async move {
            let began = Instant::now();
            let appended = shared.append_all(before, parts).await;
            shared.took.time(began.elapsed());
            shared.since.store(0, Ordering::Release);
            // Nobody waits any more where the process ends.
            let _ = sender.send(appended);
        });
        Ok(UnderWay { last, shared: self.shared.clone(), receiver, position, waited: false })
    }

    /// Nothing more is written: another coordinator leads, or this one ends.
    pub(super) fn end(&self, ended: Ended) {
        self.shared.end(ended);
    }

    /// Tells when the leadership ends.
    pub(super) fn ended(&self) -> watch::Receiver<Option<Ended>> {
        self.shared.ended.subscribe()
    }

    /// The lease was renewed.
    pub(super) fn renewed(&self) {
        self.shared.renewed.store(self.shared.now(), Ordering::Release);
    }

    /// Writes that were refused since.
    pub(super) fn refused(&self) -> u64 {
        self.shared.counts.refused.load(Ordering::Relaxed)
    }

    /// Where it stands, as far as nobody has to wait for that.
    pub(super) fn last_if_idle(&self) -> LogPosition {
        let seen = lock(&self.shared.recent).messages.back().map(|it| it.0);
        match self.last.try_lock() {
            Ok(last) => *last,
            Err(_) => LogPosition {
                sequence: seen.unwrap_or(self.shared.first.sequence),
                ..self.shared.first
            },
        }
    }
}

impl CommitLog for Appender {
    fn append(&self, batch: Vec<u8>) -> Result<Box<dyn Appending + '_>, JournalError> {
        Ok(Box::new(self.begin(&Entry::Batch(batch))?))
    }

    fn is_away(&self) -> bool {
        self.shared.is_away()
    }

    fn is_unheard(&self) -> bool {
        self.shared.is_unheard()
    }

    fn measured(&self, snapshot: &mut Snapshot) {
        let counts = &self.shared.counts;
        let number = |it: &AtomicU64| it.load(Ordering::Relaxed);
        let last = self.last_if_idle();
        snapshot.add(&table::cluster::EPOCH, last.epoch);
        snapshot.add(&table::cluster::SEQUENCE, last.sequence);
        snapshot.add(&table::cluster::APPEND, &self.shared.took);
        snapshot.add(&table::cluster::APPENDED_BYTES, number(&counts.bytes));
        snapshot.add(&table::cluster::RETRIES, number(&counts.retries));
        snapshot.add(&table::cluster::RESTORED, number(&counts.restored));
        snapshot.add(&table::cluster::REFUSED, number(&counts.refused));
        snapshot.add(&table::cluster::JUNK, number(&counts.junk));
        snapshot.add(&table::cluster::AWAY, self.shared.is_away());
    }
}

/// An entry on its way; no other one is.
struct UnderWay<'a> {
    last: MutexGuard<'a, LogPosition>,
    shared: Arc<Shared>,
    receiver: Receiver<Result<u64, Ended>>,
    position: LogPosition,
    waited: bool,
}

impl Appending for UnderWay<'_> {
    fn position(&self) -> LogPosition {
        self.position
    }

    fn wait(&mut self) -> Result<(), JournalError> {
        self.waited = true;
        // It ends when the entry is there, another one leads, or this one stops.
        let appended = self.receiver.recv().unwrap_or(Err(Ended::Stopping));
        match appended {
            Ok(sequence) => {
                // Further on than was meant, where somebody else's message had its place.
                self.position.sequence = sequence;
                *self.last = self.position;
                Ok(())
            }
            Err(ended) => {
                self.shared.counts.refused.fetch_add(1, Ordering::Relaxed);
                self.shared.end(ended.clone());
                Err(ended.error())
            }
        }
    }
}

impl Drop for UnderWay<'_> {
    /// Where the journal failed meanwhile, nobody knows what the log has.
    fn drop(&mut self) {
        if !self.waited {
            self.shared.end(Ended::Stopping);
        }
    }
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn end(&self, ended: Ended) {
        self.ended.send_if_modified(|it| {
            let first = it.is_none();
            if first {
                *it = Some(ended);
            }
            first
        });
    }

    fn is_away(&self) -> bool {
        let since = self.since.load(Ordering::Acquire);
        let stalled = since > 0 && self.now().saturating_sub(since) > limits::CLUSTER_STALLED_MS;
        stalled || self.is_unheard() || !self.log.is_up()
    }

    fn is_unheard(&self) -> bool {
        let unheard = self.now().saturating_sub(self.renewed.load(Ordering::Acquire));
        let most = self.lasts.as_millis() + u128::from(limits::CLUSTER_UNHEARD_MS);
        u128::from(unheard) > most
    }

    /// Appends the messages of one entry.
    async fn append_all(&self, mut last: LogPosition, parts: Vec<Part>) -> Result<u64, Ended> {
        let mut previous = last.sequence;
        for part in parts {
            // Each round passes over what was not there in the one before.
            loop {
                let sealed = self.sealer.seal(&part, last, previous);
                let message = Bytes::from(sealed.map_err(|it| Ended::Damaged(it.to_string()))?);
                match self.append(last.sequence, &message).await? {
                    Placed::There => {
                        last.sequence += 1;
                        previous = last.sequence;
                        self.counts.bytes.fetch_add(message.len() as u64, Ordering::Relaxed);
                        lock(&self.recent).add(last.sequence, message);
                        break;
                    }
                    Placed::Behind(junk) => self.pass_over(&mut last, junk),
                }
            }
        }
        Ok(last.sequence)
    }

    /// Goes on behind messages that are not of the cluster.
    fn pass_over(&self, last: &mut LogPosition, junk: u64) {
        let (first, count) = (last.sequence + 1, junk - last.sequence);
        self.counts.junk.fetch_add(count, Ordering::Relaxed);
        // Where the log loses its end, empty messages take their places again.
        last.sequence = junk;
        let Some(count) = lock(&self.junk).met(count) else { return };
        tracing::error!(
            first,
            count,
            "somebody else has published to the log of the cluster: passed over. Let only \
             coordinators publish there (docs/cluster.md)"
        );
    }

    /// Appends a message after the sequence number `last`, however often that takes.
    async fn append(&self, last: u64, message: &Bytes) -> Result<Placed, Ended> {
        let mut ended = self.ended.subscribe();
        let pause = Duration::from_millis(limits::CLUSTER_RETRY_MS);
        let stalled = Duration::from_millis(limits::CLUSTER_STALLED_MS);
        let (mut said, began) = (false, Instant::now());
        loop {
            let sent = self.log.append(last, message.clone()).await;
            let why = match sent {
                Ok(Appended::Done) => return Ok(Placed::There),
                Ok(Appended::Refused) => None,
                Err(away) => Some(away),
            };
            self.counts.retries.fetch_add(1, Ordering::Relaxed);
            let found = match self.find_out(last, message).await {
                Ok(Some(placed)) => return Ok(placed),
                Ok(None) => None,
                Err(Trouble::Ended(ended)) => return Err(ended),
                Err(Trouble::Away(away)) => Some(away),
            };
            // One that was deleted is made anew at a start, by who writes all that it has to it.
            if found.is_some() && began.elapsed() > stalled && self.log.is_gone().await {
                return Err(Ended::Damaged(
                    "the stream with the log of the cluster was deleted: start this coordinator again, \
                     before the standbys, and it writes all that it has to a new one"
                        .to_owned(),
                ));
            }
            if let Some(why) = why.or(found)
                && !std::mem::replace(&mut said, true)
            {
                tracing::warn!(%why, "the log of the cluster takes nothing; trying again");
            }
            if let Some(ended) = ended.borrow_and_update().clone() {
                return Err(ended);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = ended.changed() => {}
            }
        }
    }

    /// Where a message is after all, or what has its place; none when it can be appended again.
    async fn find_out(&self, last: u64, message: &Bytes) -> Result<Option<Placed>, Trouble> {
        if let Some(found) = self.log.message(last + 1).await? {
            return self.found(last + 1, found, message).await.map(Some);
        }
        let extent = self.log.extent().await?;
        if extent.last > last {
            // It may have come between the two looks.
            if let Some(found) = self.log.message(last + 1).await? {
                return self.found(last + 1, found, message).await.map(Some);
            }
            // Another one's messages are further on, or it came and was removed.
            let found = self.log.message(extent.last).await?.unwrap_or_default();
            return Err(self.overtaken(extent.last, &found));
        }
        if extent.last < last {
            self.restore(extent.last, last).await?;
        }
        Ok(None)
    }

    /// What a message is that has the place of one that was to be appended. It was sealed for that
    /// place, so it is not further on.
    async fn found(
        &self,
        mut sequence: u64,
        mut found: Bytes,
        message: &Bytes,
    ) -> Result<Placed, Trouble> {
        if found == *message {
            return Ok(Placed::There);
        }
        // A bounded run of them at a time: what follows is met by the next append.
        for _ in 0..limits::CLUSTER_JUNK {
            if !self.is_junk(sequence, &found) {
                return Err(self.overtaken(sequence, &found));
            }
            match self.log.message(sequence + 1).await? {
                Some(next) => (sequence, found) = (sequence + 1, next),
                None => break,
            }
        }
        // The last one of a whole run was not looked at.
        let is_junk = self.is_junk(sequence, &found);
        Ok(Placed::Behind(if is_junk { sequence } else { sequence - 1 }))
    }

    /// What is of a newer format is not.
    fn is_junk(&self, sequence: u64, found: &[u8]) -> bool {
        matches!(self.sealer.open(sequence, found), Ok(None))
    }

    fn overtaken(&self, sequence: u64, found: &[u8]) -> Trouble {
        let opened = self.sealer.open(sequence, found);
        let why = match opened.and_then(|it| it.ok_or_else(|| Sealer::unopened(sequence))) {
            Ok(message) => format!("epoch {}", message.position.epoch),
            Err(error) => return Trouble::Ended(Ended::Damaged(error.to_string())),
        };
        Trouble::Ended(Ended::Fenced(why))
    }

    /// The log has lost its end: it gets from `from` on what it had, under the same numbers.
    async fn restore(&self, from: u64, to: u64) -> Result<(), Trouble> {
        let lost = to - from;
        tracing::error!(
            lost,
            first = from + 1,
            last = to,
            "the log of the cluster has lost acknowledged entries: this leader appends them again"
        );
        let unknown = || {
            Trouble::Ended(Ended::Damaged(format!(
                "the log of the cluster has lost its end: {lost} messages up to {to}, more than this \
                 process remembers. Start this coordinator again: it writes all that it has to the log"
            )))
        };
        let known = lock(&self.recent).get(from);
        if let Some(known) = known.filter(|it| !it.is_empty())
            && self.log.message(from).await?.is_some_and(|it| it != known)
        {
            return Err(Trouble::Ended(Ended::Fenced("the log has gone another way".to_owned())));
        }
        for sequence in from..to {
            let message = lock(&self.recent).get(sequence + 1).ok_or_else(unknown)?;
            match self.log.append(sequence, message).await? {
                Appended::Done => self.counts.restored.fetch_add(1, Ordering::Relaxed),
                // Another one appends: what there is to say of that is found out the next time.
                Appended::Refused => return Ok(()),
            };
        }
        Ok(())
    }
}

/// What became of a message that was to be appended.
enum Placed {
    There,
    /// All up to this sequence number is not of the cluster.
    Behind(u64),
}

/// Why it is not known, or over.
enum Trouble {
    Away(Away),
    Ended(Ended),
}

impl From<Away> for Trouble {
    fn from(away: Away) -> Self {
        Self::Away(away)
    }
}
