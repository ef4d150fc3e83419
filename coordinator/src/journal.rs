//! The journal: what is known, on disk.
//!
//! A partition hands over one [`Commit`] at a time; all of it becomes durable or none of it. The
//! engine's facts are opaque bytes here, so that the store and the engine change apart.

pub mod committer;
pub mod disk;
pub mod memory;
pub mod ordered;
pub mod sled;
pub mod space;
pub mod store;

mod backup;
mod check;
#[cfg(test)]
mod contract;
mod filter;
mod head;
mod index;
mod indexer;
mod keys;
mod list;
mod record;
pub mod replicated;
mod retain;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId, WorkflowId};
use windlass_proto::limits;
use windlass_proto::metric::Snapshot as Metrics;
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use crate::admission::Suspended;
use crate::pieces::Pieces;
use crate::schedule::ScheduleId;

pub use crate::status::Status;
pub use backup::{BackupReport, NextPiece, TakePiece};
use filter::error_word;
pub use filter::{Counted, Filter, Found, Page, SearchCursor};
pub use store::Holder;

/// What a store of facts must do. Blocking: called from partition and committer threads, never
/// from async code.
pub trait Journal: Send + Sync + 'static {
    /// Number of partitions, fixed when the journal was made.
    fn partitions(&self) -> u16;

    /// Makes all commits durable, each atomically. When this returns `Ok`, they survive power loss.
    ///
    /// # Errors
    /// When the store cannot write. The caller must stop: what is in memory no longer equals what
    /// is on disk.
    fn commit(&self, commits: &[Commit]) -> Result<(), JournalError>;

    /// Everything needed to rebuild one instance: its latest snapshot and the facts after it.
    ///
    /// # Errors
    /// When records are damaged or of an unknown format.
    fn load(&self, instance: InstanceId) -> Result<Option<StoredInstance>, JournalError>;

    /// The latest snapshot of an instance, with the sequence number of the first fact after it;
    /// none where that is beyond `until`.
    ///
    /// # Errors
    /// When the record is damaged or of an unknown format.
    fn snapshot(&self, instance: InstanceId, until: u64) -> Result<Option<Snapshot>, JournalError>;

    /// The facts of an instance from sequence number `from` on, at most `limit` entries.
    ///
    /// # Errors
    /// When records are damaged or of an unknown format.
    fn facts(
        &self,
        instance: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredFacts>, JournalError>;

    /// The head of one instance.
    ///
    /// # Errors
    /// When the record is damaged.
    fn head(&self, instance: InstanceId) -> Result<Option<Head>, JournalError>;

    /// Instances matching `filter`, newest first by their ids, starting before `cursor`: what is
    /// stored is gone through, so this is for whoever wants all of it.
    ///
    /// # Errors
    /// When records are damaged.
    fn list(
        &self,
        filter: &Filter,
        cursor: Option<InstanceId>,
        limit: usize,
    ) -> Result<Page, JournalError>;

    /// Instances matching `filter`, those that started last first, from before `cursor`. Found by
    /// the search index.
    ///
    /// # Errors
    /// When records are damaged.
    fn search(
        &self,
        filter: &Filter,
        cursor: Option<SearchCursor>,
        limit: usize,
    ) -> Result<Found, JournalError>;

    /// How many instances match `filter`.
    ///
    /// # Errors
    /// When records are damaged.
    fn count(&self, filter: &Filter) -> Result<Counted, JournalError>;

    /// Brings the search index up to date: bounded work a call, while commits go on. True when
    /// there is more to do. Searches are right without it, and slower.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    fn index(&self) -> Result<bool, JournalError> {
        Ok(false)
    }

    /// Whether [`Journal::index`] has enough to do to be called.
    fn is_index_due(&self) -> bool {
        false
    }

    /// Instances of a partition with work that must be done again after a restart (dispatched
    /// assignments, events being published, children being started), in pages: at most `limit`,
    /// after `after`.
    ///
    /// # Errors
    /// When records are damaged.
    fn hot(
        &self,
        partition: PartitionId,
        after: Option<InstanceId>,
        limit: usize,
    ) -> Result<Vec<InstanceId>, JournalError>;

    /// Timers of a partition due before `until`, soonest first, at most `limit`, after `after`.
    ///
    /// # Errors
    /// When records are damaged.
    fn timers(
        &self,
        partition: PartitionId,
        after: Option<TimerKey>,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<TimerKey>, JournalError>;

    /// Subscriptions of a partition, in pages: at most `limit`, after `after`.
    ///
    /// # Errors
    /// When records are damaged.
    fn subscriptions(
        &self,
        partition: PartitionId,
        after: Option<(InstanceId, FrameId)>,
        limit: usize,
    ) -> Result<Vec<StoredSubscription>, JournalError>;

    /// The states of schedules of a partition, in pages: at most `limit`, after `after`.
    ///
    /// # Errors
    /// When records are damaged.
    fn schedules(
        &self,
        partition: PartitionId,
        after: Option<ScheduleId>,
        limit: usize,
    ) -> Result<Vec<(ScheduleId, Vec<u8>)>, JournalError>;

    /// The state of one schedule.
    ///
    /// # Errors
    /// When the record is damaged.
    fn schedule(&self, schedule: ScheduleId) -> Result<Option<Vec<u8>>, JournalError>;

    /// What is kept of a schedule's due times, in order of their places.
    ///
    /// # Errors
    /// When records are damaged.
    fn occurrences(&self, schedule: ScheduleId) -> Result<Vec<Vec<u8>>, JournalError>;

    /// Rows of a table of a partition, in pages: at most `limit`, after the name `after`.
    ///
    /// # Errors
    /// When records are damaged.
    fn rows(
        &self,
        partition: PartitionId,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, JournalError>;

    /// One row of a table of a partition.
    ///
    /// # Errors
    /// When the record is damaged.
    fn row(
        &self,
        partition: PartitionId,
        table: Table,
        name: &[u8],
    ) -> Result<Option<Vec<u8>>, JournalError>;

    /// How many instances of a partition are open, by workflow, as its commits have said; those
    /// with none are left out. None in a copy of a journal of an earlier version, which did not
    /// count them.
    ///
    /// # Errors
    /// When records are damaged.
    fn open_instances(
        &self,
        partition: PartitionId,
    ) -> Result<Option<Vec<OpenInstances>>, JournalError>;

    /// True when `partition` has recorded `key` by [`Commit::seen`] and not yet forgotten it.
    ///
    /// # Errors
    /// When the record is damaged.
    fn has_seen(&self, partition: PartitionId, key: &[u8]) -> Result<bool, JournalError>;

    /// Keeps the text of a definition under its digest, durably, and makes it current for its id.
    ///
    /// # Errors
    /// When the store cannot write.
    fn put_definition(&self, definition: &StoredDefinition) -> Result<(), JournalError>;

    /// Forgets a definition that no instance has, durably: its text, and that it is current for
    /// its id.
    ///
    /// # Errors
    /// When the store cannot write.
    fn remove_definition(&self, definition: &StoredDefinition) -> Result<(), JournalError>;

    /// The text of the definition with this digest.
    ///
    /// # Errors
    /// When the record is damaged.
    fn definition(&self, digest: &Digest) -> Result<Option<StoredDefinition>, JournalError>;

    /// The current definition of every workflow id.
    ///
    /// # Errors
    /// When records are damaged.
    fn definitions(&self) -> Result<Vec<StoredDefinition>, JournalError>;

    /// Keeps that something is suspended, since when, or that it is not any more; durably.
    ///
    /// # Errors
    /// When the store cannot write.
    fn put_suspended(&self, what: &Suspended, since: Option<Timestamp>)
    -> Result<(), JournalError>;

    /// All that is suspended, and since when.
    ///
    /// # Errors
    /// When records are damaged.
    fn suspended(&self) -> Result<Vec<(Suspended, Timestamp)>, JournalError>;

    /// Keeps how a bulk job stands, with more of its instances or of what came of them, durably.
    ///
    /// # Errors
    /// When the store cannot write.
    fn put_bulk(&self, write: &BulkWrite) -> Result<(), JournalError>;

    /// How all bulk jobs stand, oldest first, as it was written.
    ///
    /// # Errors
    /// When records are damaged.
    fn bulk_jobs(&self) -> Result<Vec<Vec<u8>>, JournalError>;

    /// A page of the instances of a bulk job, or of what came of them, as it was written.
    ///
    /// # Errors
    /// When the record is damaged.
    fn bulk_page(
        &self,
        page: BulkPage,
        job: Uuid,
        number: u32,
    ) -> Result<Option<Vec<u8>>, JournalError>;

    /// Events that are kept until somebody waits for them, as they were written, in order of their
    /// keys: at most `limit`, after `after`.
    ///
    /// # Errors
    /// When records are damaged.
    fn early_events(
        &self,
        after: Option<EarlyKey>,
        limit: usize,
    ) -> Result<Vec<(EarlyKey, Vec<u8>)>, JournalError>;

    /// Forgets events that were kept, durably.
    ///
    /// # Errors
    /// When the store cannot write.
    fn remove_early_events(&self, keys: &[EarlyKey]) -> Result<(), JournalError>;

    /// Instances that have ended and of which `is_over` says that they can go, at most `limit`;
    /// their heads lack output and error. One call does bounded work and the next one goes on
    /// where it stopped: call it now and then.
    ///
    /// # Errors
    /// When records are damaged.
    fn over(
        &self,
        is_over: &dyn Fn(&Head) -> bool,
        limit: usize,
    ) -> Result<Vec<(InstanceId, Head)>, JournalError>;

    /// Removes what is left of instances of [`Commit::removed`], of at most `limit`; returns of how
    /// many. Nothing finds them any more; this gives back what they take of the disk.
    ///
    /// # Errors
    /// When the store cannot write.
    fn sweep(&self, limit: usize) -> Result<usize, JournalError> {
        let _ = limit;
        Ok(0)
    }

    /// Starts a new term of ownership: durable, greater than every earlier one.
    ///
    /// # Errors
    /// When the store cannot write.
    fn next_epoch(&self) -> Result<u64, JournalError>;

    /// Forgets keys of [`Commit::seen`] whose time was over before `now`; returns how many. One
    /// call does bounded work: call it now and then.
    ///
    /// # Errors
    /// When the store cannot write.
    fn forget(&self, now: Timestamp) -> Result<usize, JournalError> {
        let _ = now;
        Ok(0)
    }

    /// Writes all records to `writer`, with checksums, while commits go on: the journal as it is at
    /// the end. `sled::restore` makes a journal of it again.
    ///
    /// # Errors
    /// When `writer` or the store fails, or more is written meanwhile than `writer` can take.
    fn backup(&self, writer: &mut dyn Write) -> Result<BackupReport, JournalError> {
        let _ = writer;
        Err(JournalError::Backup("this journal has no backup".to_owned()))
    }

    /// Hands all records to `take`, in pieces to be applied in order, while commits go on: the
    /// journal as it is at the end. What has not changed since the last time is cut into the same
    /// pieces. `sled::assemble` makes a journal of them again.
    ///
    /// # Errors
    /// When `take` or the store fails, or more is written meanwhile than `take` can keep up with.
    fn pieces<'a>(&self, take: &'a mut TakePiece<'a>) -> Result<BackupReport, JournalError> {
        let _ = take;
        Err(JournalError::Backup("this journal has no backup".to_owned()))
    }

    /// Whether its disk has room. Who decides what would have to be written asks first: a write
    /// that fails for want of room is the end of the journal until it is opened again.
    fn room(&self) -> Room {
        Room::enough()
    }

    /// Adds what there is to tell of itself.
    fn measured(&self, metrics: &mut Metrics) {
        let _ = metrics;
    }

    /// Adds up what is really stored and compares it with what ought to be, once after each opening
    /// and while commits go on: at most `limit` records a call. True once all was found to be
    /// there.
    ///
    /// # Errors
    /// [`JournalError::Lost`] when something is missing, others when the store cannot be read.
    fn verify(&self, limit: usize) -> Result<bool, JournalError> {
        let _ = limit;
        Ok(true)
    }

    /// Reads and checks every record: checksums, formats, gaps in sequences, dangling indexes.
    ///
    /// # Errors
    /// When the store cannot be read at all; damage found is in the report.
    fn check(&self) -> Result<CheckReport, JournalError>;
}

/// How a bulk job stands, opaque here.
#[derive(Clone, Debug)]
pub struct BulkWrite {
    /// The job.
    pub job: Uuid,
    /// How it stands; `None` when it is gone, with all that came of it.
    pub state: Option<Vec<u8>>,
    /// A page of its instances, and its number.
    pub ids: Option<(u32, Vec<u8>)>,
    /// A page of what came of instances, and its number.
    pub results: Option<(u32, Vec<u8>)>,
}

/// What a page of a bulk job has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkPage {
    /// Its instances.
    Ids,
    /// What came of them.
    Results,
}

/// What one partition wants durable, together or not at all.
#[derive(Debug, Default)]
pub struct Commit {
    /// The partition.
    pub partition: PartitionId,
    /// New facts, one entry an instance.
    pub writes: Vec<InstanceWrite>,
    /// Timers to add.
    pub timers_set: Vec<TimerKey>,
    /// Timers to remove.
    pub timers_cleared: Vec<TimerKey>,
    /// Subscriptions to add or replace: what the partition needs to route events to the instance
    /// without loading it.
    pub subscribed: Vec<Subscription>,
    /// Subscriptions to remove.
    pub unsubscribed: Vec<(InstanceId, FrameId)>,
    /// Keys to remember (events consumed, by source and id; idempotency keys), until the time
    /// given.
    pub seen: Vec<(Arc<[u8]>, Timestamp)>,
    /// What is new of schedules.
    pub schedules: Vec<ScheduleWrite>,
    /// What is new of events that are kept until somebody waits for them.
    pub early: Vec<EarlyWrite>,
    /// How many instances are open now, of workflows where that has changed.
    pub open: Vec<OpenInstances>,
    /// What is new in tables, of this partition or another one.
    pub rows: Vec<RowWrite>,
    /// Instances that are no more. They have ended, and all that was written of them before is
    /// durable.
    pub removed: Vec<InstanceId>,
}

/// How many instances of a workflow, whatever its version, have started in a partition and not
/// ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenInstances {
    /// `document.namespace`
    pub namespace: Arc<str>,
    /// `document.name`
    pub name: Arc<str>,
    /// How many.
    pub count: u64,
}

/// What a partition keeps beside its instances, in rows that are opaque here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Who has and who wants a share of a limit, with the partition that gives them.
    Claims,
    /// Which instance has the key of a start, where that is not the first one under it.
    StartKeys,
    /// Questions to people that are open: their instances are in the partition.
    Approvals,
}

/// A row as it is read: its name, and what it has.
pub type Row = (Vec<u8>, Vec<u8>);

/// Something new in a table.
#[derive(Debug)]
pub struct RowWrite {
    /// Whose table.
    pub partition: PartitionId,
    /// Which.
    pub table: Table,
    /// The row.
    pub name: Arc<[u8]>,
    /// What it has now; `None` when it is gone.
    pub value: Option<Vec<u8>>,
}

/// What tells an event that is kept from others: whose it is, and which event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EarlyKey(pub [u8; 16]);

impl fmt::Display for EarlyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for EarlyKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 32 || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(());
        }
        let key = u128::from_str_radix(text, 16).map_err(|_| ())?;
        Ok(Self(key.to_be_bytes()))
    }
}

/// Something new of an event that is kept until somebody waits for it; the event is opaque here.
#[derive(Debug)]
pub enum EarlyWrite {
    /// It is kept.
    Put(EarlyKey, Vec<u8>),
    /// Somebody has it.
    Remove(EarlyKey),
}

impl EarlyWrite {
    /// Bytes of it that can be many.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Put(_, body) => body.len(),
            Self::Remove(_) => 0,
        }
    }
}

/// Something new of a schedule, opaque here.
#[derive(Debug)]
pub enum ScheduleWrite {
    /// Its state; `None` when it is gone, with all that is kept of it.
    State(ScheduleId, Option<Vec<u8>>),
    /// What became of a due time, at its place, where an older one may be.
    Occurrence(ScheduleId, u8, Vec<u8>),
}

/// What waits for events, and what the partition keeps of it: opaque here.
pub type Subscription = (InstanceId, FrameId, Arc<[u8]>);

/// A subscription as it is read.
pub type StoredSubscription = (InstanceId, FrameId, Vec<u8>);

/// New facts of one instance.
#[derive(Debug)]
pub struct InstanceWrite {
    /// The instance.
    pub instance: InstanceId,
    /// Sequence number of the first of these facts; facts of an instance are numbered from 0
    /// without gaps.
    pub sequence: u64,
    /// How many facts `facts` holds.
    pub count: u32,
    /// The facts, encoded by the engine; stored as one value.
    pub facts: Pieces,
    /// The head to write: when the instance starts, ends, or changes its status.
    pub head: Option<Head>,
    /// Whether the instance is now in the hot index; `None` leaves it as it is.
    pub hot: Option<bool>,
    /// The whole state after these facts: loading then starts here.
    pub snapshot: Option<Vec<u8>>,
}

/// A durable timer: its key says all there is to say. Sorted by due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimerKey {
    /// When it fires, at the earliest.
    pub due: Timestamp,
    /// The instance it wakes.
    pub instance: InstanceId,
    /// The timer's number within the instance.
    pub timer: u32,
}

/// What lists show of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The workflow.
    pub workflow: WorkflowId,
    /// The definition the instance is pinned to.
    pub digest: Digest,
    /// Where it stands.
    pub status: Status,
    /// When it was accepted.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Labels given at the start.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// The instance that runs it as a child.
    pub parent: Option<InstanceId>,
    /// The instance at the top of the chain of starts, for a child. Journals from before it was
    /// kept lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<InstanceId>,
    /// The output, once completed; left out when over 64 KiB (the facts have it).
    pub output: Option<Value>,
    /// The error, once faulted; while it is quarantined, why.
    pub error: Option<Problem>,
}

/// A state and the sequence number of the first fact after it.
pub type Snapshot = (u64, Vec<u8>);

/// An instance as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredInstance {
    /// Its latest snapshot and the sequence number of the first fact after it.
    pub snapshot: Option<Snapshot>,
    /// The facts after the snapshot, in order, as they were written.
    pub facts: Vec<StoredFacts>,
}

/// Facts written together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFacts {
    /// Sequence number of the first.
    pub sequence: u64,
    /// How many there are.
    pub count: u32,
    /// The facts, encoded by the engine.
    pub facts: Vec<u8>,
}

/// A definition as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDefinition {
    /// Namespace, name, version.
    pub id: WorkflowId,
    /// Digest of the text.
    pub digest: Digest,
    /// The text as deployed.
    pub text: Arc<str>,
    /// When it was deployed.
    pub deployed_at: Timestamp,
    /// Since when nothing new is started of it.
    #[serde(default)]
    pub retired_at: Option<Timestamp>,
}

/// How much room a journal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// True when nothing more should be written until there is room again.
    pub paused: bool,
    /// True when the journal's reserve still has room for what operators ask for.
    pub reserve: bool,
    /// Bytes free on its disk, where that can be told.
    pub free_bytes: Option<u64>,
    /// True when it is paused as the cluster's log does not answer.
    pub log_away: bool,
    /// True when that has been so for so long that another coordinator may lead.
    pub log_unheard: bool,
}

impl Room {
    /// As much as anybody needs.
    #[must_use]
    pub fn enough() -> Self {
        Self { paused: false, reserve: true, free_bytes: None, log_away: false, log_unheard: false }
    }

    /// Nothing, while the log that must hold what is written does not answer.
    #[must_use]
    pub(crate) fn without_log(self, unheard: bool) -> Self {
        Self { paused: true, reserve: false, log_away: true, log_unheard: unheard, ..self }
    }

    /// What has to be written is refused before anything is decided, while there is no room.
    ///
    /// # Errors
    /// [`JournalError::NoRoom`] while it is paused, or [`JournalError::LogAway`].
    pub fn needed(self) -> Result<(), JournalError> {
        if self.paused { Err(self.refusal()) } else { Ok(()) }
    }

    /// The error for what there is no room for.
    pub(crate) fn refusal(self) -> JournalError {
        if self.log_away {
            return JournalError::LogAway;
        }
        let free_mib = self.free_bytes.unwrap_or_default() >> 20;
        JournalError::NoRoom { free_mib, again_mib: limits::DISK_AGAIN_BYTES >> 20 }
    }
}

/// What a check of the whole journal found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// Records read: those of the store's bookkeeping, of the ring and parts of large values among
    /// them.
    pub stored: u64,
    /// Instances seen.
    pub instances: u64,
    /// One line for each record that is damaged or inconsistent; at most a thousand are kept.
    pub damage: Vec<String>,
    /// What the journal held once and does not hold any more, a partition each.
    pub lost: Vec<Loss>,
    /// Instances that are gone, as far as something else still names them; at most a thousand.
    pub lost_instances: BTreeSet<InstanceId>,
    /// One line for each instance whose facts do not follow from one another, and for each workflow
    /// of which another number of instances is open than is counted; at most a thousand.
    /// Filled in by [`crate::replay`]: facts mean nothing to a journal.
    pub misfits: Vec<String>,
}

/// What a part of the journal lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The partition; absent for what belongs to none.
    pub partition: Option<PartitionId>,
    /// The last commit of which everything is there; none where that is not known.
    pub from_commit: Option<u64>,
    /// How many commits are missing after that; 0 when older records went, none where it is not
    /// known.
    pub commits: Option<u64>,
    /// How many records are missing, in all; none where that is not known.
    pub records: Option<u64>,
    /// How many instances are missing; none where that is not known.
    pub instances: Option<u64>,
    /// The same in words.
    pub what: String,
}

fn shown(losses: &[Loss]) -> String {
    losses.iter().map(|loss| loss.what.as_str()).collect::<Vec<_>>().join("; ")
}

/// Why the journal cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk or the store refused.
    #[error(
        "the journal cannot be written or read: {0}; check free space and permissions of its directory"
    )]
    Store(String),
    /// The disk refuses, and says why.
    #[error("{path}: {}", .refusal.advice())]
    Disk {
        /// What is concerned.
        path: String,
        /// Why.
        refusal: disk::Refusal,
    },
    /// There is too little room on the disk to take anything up.
    #[error(
        "the disk of the journal is full ({free_mib} MiB free): nothing is lost, and nothing more is \
         taken up until {again_mib} MiB are free; it goes on by itself then"
    )]
    NoRoom {
        /// MiB free.
        free_mib: u64,
        /// MiB from which work goes on.
        again_mib: u64,
    },
    /// A record fails its checksum or does not decode.
    #[error(
        "the journal holds a damaged record ({0}); run `windlass fsck`, then restore from a backup"
    )]
    Damaged(String),
    /// A record was written by a newer version.
    #[error(
        "the journal holds a record of format {found}, this version reads up to {known}: use a newer windlass"
    )]
    UnknownFormat {
        /// The record's format.
        found: u8,
        /// The newest this version knows.
        known: u8,
    },
    /// The store does not hold what it held before.
    #[error(
        "the journal has lost what was written to it ({}); restore a backup, or save what is left \
         with `windlass fsck DIR --salvage TO`, or start with --accept-loss to go on without it",
        shown(.0)
    )]
    Lost(Vec<Loss>),
    /// There was a store, and its file is gone.
    #[error(
        "the file {file} is gone from {path}, and all that the journal held with it; restore a backup, or \
         start with --accept-loss to begin with an empty journal"
    )]
    StoreGone {
        /// The directory.
        path: String,
        /// The file.
        file: &'static str,
    },
    /// There never was one.
    #[error("there is no journal in {0}")]
    NoJournal(String),
    /// Another process has the directory open.
    #[error("another windlass has {0} open; stop it or choose another --data-dir")]
    Locked(String),
    /// A backup cannot be taken or used.
    #[error("the backup fails: {0}; take or choose another one")]
    Backup(String),
    /// A copy that was restored from a backup has taken over.
    #[error(
        "this coordinator has been replaced: a worker holds a task of term {theirs}, of a copy that \
         was restored from a backup, and the term here is {own}; do not start it again on this \
         data directory"
    )]
    Superseded {
        /// The term here.
        own: u64,
        /// The term of the copy.
        theirs: u64,
    },
    /// Another coordinator leads the cluster.
    #[error(
        "another coordinator leads the cluster ({0}): nothing is written here any more; start \
         this one again, and it follows"
    )]
    Fenced(String),
    /// The log of the cluster does not answer.
    #[error(
        "the log of the cluster cannot be appended to, as NATS does not answer or has no quorum: \
         nothing is lost, and nothing more is taken up until it does; it goes on by itself then"
    )]
    LogAway,
    /// The log of the cluster, or what a directory has of it, does not fit.
    #[error("{0}")]
    LogMisfit(String),
    /// What is in the log of the cluster cannot be read.
    #[error("{0}")]
    LogDamaged(String),
    /// The store did not open.
    #[error(
        "the journal at {path} cannot be opened: {reason}; move the directory aside and restore a \
         backup, or save what can be read with `windlass fsck {path} --salvage TO`"
    )]
    Unopenable {
        /// The directory.
        path: String,
        /// Why.
        reason: String,
    },
}
