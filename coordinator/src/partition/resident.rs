//! Instances held in memory, and the way back to the journal.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use windlass_proto::id::InstanceId;
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;

use super::news::{Account, Open};
use super::release::Release;
use crate::engine::{Fact, Instance, Journaled, decode, encode};
use crate::events::lifecycle::Level;
use crate::journal::{Head, InstanceWrite, Journal, JournalError, Status, StoredInstance};
use crate::view;

/// Waiting instances one partition keeps in memory; the others are loaded when something happens
/// to them. A waiting instance takes a few KiB.
const KEPT: usize = 20_000;

/// Facts after which a snapshot is taken, so that loading never folds much more than this.
const SNAPSHOT_FACTS: u64 = 1_000;

/// Bytes of an output that a head still carries; a larger one is read from the facts.
const HEAD_OUTPUT_BYTES: u64 = 64 << 10;

/// An instance in memory.
pub(super) struct Resident {
    pub(super) instance: Instance,
    pub(super) plan: Arc<Plan>,
    /// New facts of the turn in progress, encoded.
    entry: Vec<u8>,
    /// How many they are.
    count: u32,
    /// Number of the last batch that has facts of it.
    written: u64,
    /// What the journal's indexes say now.
    status: Option<Status>,
    hot: bool,
    /// Facts covered by the latest snapshot.
    snapshot: u64,
    /// What is told of its open tasks, where something is.
    open: Option<Open>,
}

impl Resident {
    /// An instance that has just been created: nothing of it is in the journal.
    pub(super) fn new(instance: Instance, plan: Arc<Plan>) -> Self {
        Self {
            instance,
            plan,
            entry: Vec::new(),
            count: 0,
            written: 0,
            status: None,
            hot: false,
            snapshot: 0,
            open: None,
        }
    }

    /// Rebuilds an instance from the journal.
    pub(super) fn restore(
        id: InstanceId,
        plan: Arc<Plan>,
        stored: &StoredInstance,
    ) -> Result<Self, JournalError> {
        let (instance, snapshot) = fold(id, stored)?;
        let (status, hot) = (Some(instance.status()), instance.is_hot());
        Ok(Self {
            instance,
            plan,
            entry: Vec::new(),
            count: 0,
            written: 0,
            status,
            hot,
            snapshot,
            open: None,
        })
    }

    /// Adds what the facts of one decision have to tell; they are part of the state already.
    pub(super) fn tell(
        &mut self,
        level: Level,
        at: Timestamp,
        facts: &[Fact],
        releases: &mut Vec<Release>,
    ) {
        let account = Account { level, plan: &self.plan, instance: &self.instance, at };
        account.tell(facts, self.open.get_or_insert_default(), releases);
    }

    /// Takes note of what is open, before the first decision that is to be told of. Nothing is in an
    /// instance that has just been created: its first decision opens it all.
    pub(super) fn note(&mut self, level: Level) {
        if self.open.is_none() {
            self.open = Some(Open::of(level, &self.plan, &self.instance));
        }
    }

    /// Takes the facts of one decision; they are part of the state already. True for the first
    /// ones of a turn.
    pub(super) fn keep(&mut self, at: Timestamp, facts: Vec<Fact>) -> Result<bool, JournalError> {
        let first = self.count == 0;
        self.count += u32::try_from(facts.len()).unwrap_or(u32::MAX);
        encode(&Journaled { at, facts }, &mut self.entry)
            .map_err(|error| JournalError::Store(error.to_string()))?;
        Ok(first)
    }

    /// Hands over the new facts, with the index entries that changed.
    pub(super) fn write(&mut self, batch: u64) -> Result<InstanceWrite, JournalError> {
        let instance = &self.instance;
        let (status, hot) = (instance.status(), instance.is_hot());
        let head = (self.status != Some(status)).then(|| head(instance));
        let changed = (self.hot != hot).then_some(hot);
        let due = instance.sequence - self.snapshot >= SNAPSHOT_FACTS && instance.ending.is_none();
        let snapshot = match due {
            true => {
                let bytes = instance.to_bytes();
                self.snapshot = instance.sequence;
                Some(bytes.map_err(|error| JournalError::Store(error.to_string()))?)
            }
            false => None,
        };
        let write = InstanceWrite {
            instance: instance.id,
            sequence: instance.sequence - u64::from(self.count),
            count: self.count,
            facts: std::mem::take(&mut self.entry),
            head,
            hot: changed,
            snapshot,
        };
        self.count = 0;
        self.written = batch;
        self.status = Some(status);
        self.hot = hot;
        Ok(write)
    }
}

/// The state that snapshot and facts add up to, and how many facts the snapshot covers.
pub(crate) fn fold(
    id: InstanceId,
    stored: &StoredInstance,
) -> Result<(Instance, u64), JournalError> {
    let damaged =
        |error: crate::engine::FactError| JournalError::Damaged(format!("instance {id}: {error}"));
    let (mut instance, covered) = match &stored.snapshot {
        Some((sequence, bytes)) => (Instance::from_bytes(bytes).map_err(damaged)?, *sequence),
        None => (Instance::unborn(id), 0),
    };
    for entry in &stored.facts {
        for turn in decode(&entry.facts).map_err(damaged)? {
            for fact in &turn.facts {
                instance.evolve(turn.at, fact);
            }
        }
    }
    instance.changes = Default::default();
    Ok((instance, covered))
}

/// What the journal keeps for lists: without an output that is too large.
fn head(instance: &Instance) -> Head {
    let mut head = view::head(instance);
    head.output = head.output.filter(|output| output.weight() <= HEAD_OUTPUT_BYTES);
    head
}

/// The instances of a partition that are in memory.
pub(super) struct Residents {
    all: HashMap<InstanceId, Resident>,
    /// How many waiting ones stay, roughly.
    kept: usize,
    /// Instances that have ended, with the batch that says so: dropped once it is durable.
    retired: VecDeque<(InstanceId, u64)>,
}

impl Default for Residents {
    fn default() -> Self {
        Self { all: HashMap::new(), kept: KEPT, retired: VecDeque::new() }
    }
}

impl Residents {
    pub(super) fn keep(&mut self, waiting: usize) {
        self.kept = waiting;
    }

    pub(super) fn get(&self, id: InstanceId) -> Option<&Resident> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: InstanceId) -> Option<&mut Resident> {
        self.all.get_mut(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn insert(&mut self, resident: Resident) {
        self.all.insert(resident.instance.id, resident);
    }

    /// The instance, from memory or from the journal; `None` when there is no such instance.
    pub(super) fn load(
        &mut self,
        id: InstanceId,
        journal: &dyn Journal,
        plan_of: impl FnOnce(&windlass_proto::id::Digest) -> Result<Arc<Plan>, JournalError>,
    ) -> Result<Option<&mut Resident>, JournalError> {
        if !self.all.contains_key(&id) {
            let Some(head) = journal.head(id)? else { return Ok(None) };
            let Some(stored) = journal.load(id)? else { return Ok(None) };
            let plan = plan_of(&head.digest)?;
            let resident = Resident::restore(id, plan, &stored)?;
            if resident.instance.ending.is_some() {
                self.retired.push_back((id, 0));
            }
            self.all.insert(id, resident);
        }
        Ok(self.all.get_mut(&id))
    }

    /// Marks an instance to be dropped once `batch` is durable.
    pub(super) fn retire(&mut self, id: InstanceId, batch: u64) {
        self.retired.push_back((id, batch));
    }

    /// Drops what need not stay: ended instances, and waiting ones beyond the number kept. Only
    /// between turns: what a turn has decided is written at its end.
    pub(super) fn shed(&mut self, durable: u64) {
        while let Some((id, batch)) = self.retired.front() {
            if *batch > durable {
                break;
            }
            // Something may have been written of it after its end.
            let written = self.all.get(id).map_or(0, |resident| resident.written);
            match self.retired.pop_front() {
                Some((id, _)) if written > durable => self.retired.push_back((id, written)),
                Some((id, _)) => drop(self.all.remove(&id)),
                None => {}
            }
        }
        if self.all.len() > self.kept + self.kept / 10 {
            let mut surplus = self.all.len() - self.kept;
            self.all.retain(|_, resident| {
                let busy = resident.instance.is_hot() || resident.written > durable;
                if busy || surplus == 0 {
                    return true;
                }
                surplus -= 1;
                false
            });
        }
    }
}
