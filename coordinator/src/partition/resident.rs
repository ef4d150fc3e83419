//! Instances held in memory, and the way back to the journal.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;
use windlass_telemetry::Sampler;

use super::PartitionContext;
use super::counts::WorkflowCounts;
use super::lifecycle::{Announcer, Open};
use super::release::Release;
use crate::engine::{Changes, Fact, FactError, Instance, Journaled, decode, encode};
use crate::events::lifecycle::Level;
use crate::journal::{Head, InstanceWrite, Journal, JournalError, Status, StoredInstance};
use crate::memory::Charge;
use crate::pieces::PieceWriter;
use crate::trace::{Decided, Passing, Recorder, is_recorded};
use crate::view;

/// An instance in memory.
pub(super) struct Resident {
    pub(super) instance: Instance,
    pub(super) plan: Arc<Plan>,
    /// New facts of the turn in progress, encoded.
    entry: PieceWriter,
    /// How many they are.
    count: u32,
    /// Number of the last batch that has facts of it.
    written: u64,
    /// What the journal's indexes say now.
    status: Option<(Status, bool)>,
    hot: bool,
    /// Facts covered by the latest snapshot.
    covered: u64,
    /// What is told of its open tasks, where something is.
    open: Option<Open>,
    /// What of it goes on, where its trace is recorded.
    pub(super) recorder: Option<Box<Recorder>>,
    /// What it takes of the memory.
    pub(super) charge: Charge,
    /// What is counted of its workflow; none before anything was decided on it.
    pub(super) counts: Option<Arc<WorkflowCounts>>,
    /// Bytes of facts since the latest snapshot.
    behind: u64,
    /// Bytes of facts before which no snapshot is made: what the latest one took, or would have
    /// taken.
    worth: u64,
}

impl Resident {
    /// An instance that has just been created: nothing of it is in the journal.
    pub(super) fn new(instance: Instance, plan: Arc<Plan>, charge: Charge) -> Self {
        Self {
            instance,
            plan,
            entry: PieceWriter::default(),
            count: 0,
            written: 0,
            status: None,
            hot: false,
            covered: 0,
            open: None,
            recorder: None,
            charge,
            counts: None,
            behind: 0,
            worth: 0,
        }
    }

    /// Rebuilds an instance from the journal.
    pub(super) fn restore(
        id: InstanceId,
        plan: Arc<Plan>,
        charge: Charge,
        stored: &StoredInstance,
        sampler: Option<Sampler>,
        journal: &dyn Journal,
    ) -> Result<Self, JournalError> {
        let (instance, covered) = fold(id, stored)?;
        let recorder = match sampler {
            Some(sampler) if instance.ending.is_none() && is_recorded(sampler, &instance) => {
                Some(Box::new(Recorder::restore(&plan, id, stored, journal)?))
            }
            _ => None,
        };
        let behind = stored.facts.iter().map(|it| it.facts.len() as u64).sum();
        let worth = stored.snapshot.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64);
        let (status, hot) = (Some(status_of(&instance)), instance.is_hot());
        Ok(Self {
            instance,
            plan,
            entry: PieceWriter::default(),
            count: 0,
            written: 0,
            status,
            hot,
            covered,
            open: None,
            recorder,
            charge,
            counts: None,
            behind,
            worth,
        })
    }

    /// Adds what the facts of one decision have to tell; they are part of the state already.
    pub(super) fn announce(
        &mut self,
        (level, sampler): (Level, Option<Sampler>),
        at: Timestamp,
        facts: &[Fact],
        releases: &mut Vec<Release>,
    ) {
        let (plan, instance) = (&self.plan, &self.instance);
        let passing = Passing::of(sampler, instance);
        let announcer = Announcer { level, plan, instance, at, passing };
        announcer.announce(facts, self.open.get_or_insert_default(), releases);
    }

    /// Adds the spans that the facts of one decision end; they are part of the state already.
    pub(super) fn trace(
        &mut self,
        sampler: Sampler,
        at: Timestamp,
        facts: &[Fact],
        releases: &mut Vec<Release>,
    ) {
        let begins = matches!(facts.first(), Some(Fact::Started { .. }));
        if begins && is_recorded(sampler, &self.instance) {
            self.recorder = Some(Box::new(Recorder::new(self.instance.id)));
        }
        let Some(recorder) = &mut self.recorder else {
            let faults = facts.iter().any(|it| matches!(it, Fact::Faulted(_)));
            if faults && sampler.tells_of_faults() {
                releases.push(Release::TellTrace(self.instance.id));
            }
            return;
        };
        let decided = Decided { plan: &self.plan, instance: &self.instance, at };
        let spans = recorder.take(&decided, facts);
        if !spans.is_empty() {
            releases.push(Release::Spans(spans));
        }
    }

    /// Takes note of what is open, before the first decision that is to be told of. Nothing is in
    /// an instance that has just been created: its first decision opens it all.
    pub(super) fn note(&mut self, level: Level) {
        if self.open.is_none() {
            self.open = Some(Open::of(level, &self.plan, &self.instance));
        }
    }

    /// Takes the facts of one decision; they are part of the state already. True for the first
    /// ones of a turn; the number is the bytes that they take.
    pub(super) fn keep(
        &mut self,
        at: Timestamp,
        facts: Vec<Fact>,
    ) -> Result<(bool, u64), JournalError> {
        let first = self.count == 0;
        let before = self.entry.len();
        let mut weight = 0;
        facts.iter().for_each(|fact| fact.each_value(&mut |value| weight += value.weight()));
        self.count += u32::try_from(facts.len()).unwrap_or(u32::MAX);
        let encoded = if weight < limits::FACT_TEXT_SHARED_BYTES as u64 {
            encode(&Journaled { at, facts }, self.entry.small())
        } else {
            facts.iter().for_each(|fact| fact.each_value(&mut |value| self.entry.share(value)));
            encode(&Journaled { at, facts }, &mut self.entry)
        };
        encoded.map_err(|error| JournalError::Store(error.to_string()))?;
        let bytes = (self.entry.len() - before) as u64;
        self.behind += bytes;
        Ok((first, bytes))
    }

    /// Takes the facts that an instance begins with which goes on for another one; they are part of
    /// the state already.
    pub(super) fn begin_with(
        &mut self,
        turns: Vec<Journaled>,
    ) -> Result<(bool, u64), JournalError> {
        let mut kept = (false, 0);
        for Journaled { at, facts } in turns {
            let (first, bytes) = self.keep(at, facts)?;
            kept = (kept.0 || first, kept.1 + bytes);
        }
        Ok(kept)
    }

    /// True when it must stay in memory: something goes on, or the journal does not show it yet.
    fn is_busy(&self, durable: u64) -> bool {
        self.instance.is_hot() || self.is_unwritten(durable)
    }

    /// True when something of it is not durable yet.
    pub(super) fn is_unwritten(&self, durable: u64) -> bool {
        self.written > durable || self.count > 0
    }

    /// The state, when it is time to write it: a snapshot is no larger than the facts since the one
    /// before, so all snapshots together take no more than all facts.
    fn snapshot(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let instance = &self.instance;
        let long = instance.sequence - self.covered >= limits::SNAPSHOT_FACTS
            || self.behind >= limits::SNAPSHOT_BEHIND_BYTES;
        let spread = instance.held.spread();
        // Nothing is known of its size in the journal yet: it is not encoded only to see that.
        let worth = if self.worth == 0 && spread > limits::SNAPSHOT_RARE_BYTES {
            2 * spread
        } else {
            self.worth
        };
        let due = long && self.behind >= worth;
        if !due || instance.ending.is_some() || spread > limits::SNAPSHOT_BYTES {
            return Ok(None);
        }
        let bytes = instance.to_bytes();
        debug_assert!(is_kept(&bytes), "a snapshot is read back as another state");
        let bytes = bytes.map_err(|error| JournalError::Store(error.to_string()))?;
        self.worth = bytes.len() as u64;
        if self.worth > self.behind {
            // A state that grows as fast as its facts is not encoded each time to see that it has.
            self.worth = self.worth.max(2 * self.behind);
            return Ok(None);
        }
        if self.worth > limits::SNAPSHOT_RARE_BYTES {
            self.worth *= 2;
        }
        self.behind = 0;
        self.covered = instance.sequence;
        Ok(Some(bytes))
    }

    /// True while the journal knows of it and not of its end.
    pub(super) fn is_known_open(&self) -> bool {
        self.status.is_some_and(|(status, _)| !status.is_final())
    }

    /// Hands over the new facts, with the index entries that changed.
    pub(super) fn write(&mut self, batch: u64) -> Result<InstanceWrite, JournalError> {
        let snapshot = self.snapshot()?;
        let instance = &self.instance;
        let (status, hot) = (status_of(instance), instance.is_hot());
        let head = (self.status != Some(status)).then(|| head(instance));
        let changed = (self.hot != hot).then_some(hot);
        let write = InstanceWrite {
            instance: instance.id,
            sequence: instance.sequence - u64::from(self.count),
            count: self.count,
            facts: self.entry.take(),
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

/// Whether a snapshot gives the state that it was taken of.
fn is_kept(bytes: &Result<Vec<u8>, FactError>) -> bool {
    let reread = bytes.as_deref().ok().and_then(|it| Instance::from_bytes(it).ok());
    reread.is_none_or(|it| it.to_bytes() == *bytes)
}

/// What a head says that can change while an instance goes on.
fn status_of(instance: &Instance) -> (Status, bool) {
    let reason = instance.quarantine.is_some() || !instance.repair.halted.is_empty();
    (instance.status(), reason)
}

/// The state that snapshot and facts add up to, and how many facts the snapshot covers. What does
/// not fit is among the changes of the state.
pub(crate) fn fold(
    id: InstanceId,
    stored: &StoredInstance,
) -> Result<(Instance, u64), JournalError> {
    let damaged =
        |error: crate::engine::FactError| JournalError::Damaged(format!("instance {id}: {error}"));
    let (mut instance, covered) = match &stored.snapshot {
        Some((sequence, bytes)) => (Instance::from_bytes(bytes).map_err(damaged)?, *sequence),
        None => (Instance::not_started(id), 0),
    };
    for entry in &stored.facts {
        for turn in decode(&entry.facts).map_err(damaged)? {
            for fact in &turn.facts {
                instance.evolve(turn.at, fact);
            }
        }
    }
    // What must be done anew follows from the state.
    let misfits = std::mem::take(&mut instance.changes.misfits);
    instance.changes = Changes { misfits, ..Changes::default() };
    Ok((instance, covered))
}

/// What the journal keeps for lists: without an output that is too large.
fn head(instance: &Instance) -> Head {
    let mut head = view::head(instance);
    head.output = head.output.filter(|output| output.weight() <= limits::HEAD_OUTPUT_BYTES);
    head
}

/// The instances of a partition that are in memory.
pub(super) struct Residents {
    all: HashMap<InstanceId, Resident>,
    /// How many waiting ones stay, roughly.
    kept: usize,
    /// How many bytes may stay while there are waiting ones that are not small.
    kept_bytes: u64,
    /// Bytes that all hold.
    bytes: u64,
    /// Waiting ones that are not small, the one that waits longest first. Some may have gone on
    /// since, and stand here again.
    large: VecDeque<InstanceId>,
    /// Instances that have ended, with the batch that says so: dropped once it is durable.
    retired: VecDeque<(InstanceId, u64)>,
}

impl Default for Residents {
    fn default() -> Self {
        Self {
            all: HashMap::new(),
            kept: limits::WAITING_INSTANCES,
            kept_bytes: limits::WAITING_BYTES,
            bytes: 0,
            large: VecDeque::new(),
            retired: VecDeque::new(),
        }
    }
}

impl Residents {
    pub(super) fn keep(&mut self, waiting: usize, bytes: u64) {
        (self.kept, self.kept_bytes) = (waiting, bytes);
    }

    /// Counts anew what an instance holds.
    pub(super) fn count(&mut self, id: InstanceId) {
        if let Some(resident) = self.all.get_mut(&id) {
            let (before, now) = resident.count();
            self.bytes = self.bytes + now - before;
        }
    }

    /// Takes note that something happened to an instance: it is the last to leave.
    pub(super) fn touched(&mut self, id: InstanceId) {
        if self.all.get(&id).is_some_and(|it| it.charge.bytes() > limits::WAITING_SMALL_BYTES) {
            self.large.push_back(id);
        }
    }

    /// Drops an instance that is removed: another one may get its id.
    pub(super) fn forget(&mut self, id: InstanceId) {
        self.remove(id);
        self.retired.retain(|(of, _)| *of != id);
    }

    fn remove(&mut self, id: InstanceId) {
        if let Some(resident) = self.all.remove(&id) {
            self.bytes -= resident.charge.bytes();
        }
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
        shared: &PartitionContext,
    ) -> Result<Option<&mut Resident>, JournalError> {
        let PartitionContext { journal, memory, catalog, sampler, .. } = shared;
        if !self.all.contains_key(&id) {
            let Some(head) = journal.head(id)? else { return Ok(None) };
            let Some(stored) = journal.load(id)? else { return Ok(None) };
            let plan = catalog.required(&head.digest)?;
            let charge = memory.of_instance(&head.workflow.namespace);
            let resident = Resident::restore(id, plan, charge, &stored, *sampler, &**journal)?;
            if resident.instance.ending.is_some() {
                self.retired.push_back((id, 0));
            }
            self.all.insert(id, resident);
            self.count(id);
            // Also one that is only looked at must leave again.
            self.touched(id);
        }
        Ok(self.all.get_mut(&id))
    }

    /// Instances that are dropped once a batch is durable.
    pub(super) fn retired(&self) -> usize {
        self.retired.len()
    }

    /// Marks an instance to be dropped once `batch` is durable.
    pub(super) fn retire(&mut self, id: InstanceId, batch: u64) {
        self.retired.push_back((id, batch));
    }

    /// Drops what need not stay: ended instances, and waiting ones beyond the number kept. Only
    /// between turns: what a turn has decided is written at its end.
    pub(super) fn evict(&mut self, durable: u64) {
        while let Some((id, batch)) = self.retired.front() {
            if *batch > durable {
                break;
            }
            // Something may have been written of it after its end.
            let written = self.all.get(id).map_or(0, |resident| resident.written);
            match self.retired.pop_front() {
                Some((id, _)) if written > durable => self.retired.push_back((id, written)),
                Some((id, _)) => self.remove(id),
                None => {}
            }
        }
        self.evict_large(durable);
        if self.all.len() > self.kept + self.kept / 10 {
            let mut surplus = self.all.len() - self.kept;
            let bytes = &mut self.bytes;
            self.all.retain(|_, resident| {
                if surplus == 0 || resident.is_busy(durable) {
                    return true;
                }
                surplus -= 1;
                *bytes -= resident.charge.bytes();
                false
            });
        }
    }

    /// Drops waiting instances that are not small while all together hold too much, the one that
    /// nothing has happened to for longest first.
    fn evict_large(&mut self, durable: u64) {
        let mut looked_at = self.large.len();
        while (self.bytes > self.kept_bytes || self.large.len() > 2 * self.all.len())
            && looked_at > 0
            && let Some(id) = self.large.pop_front()
        {
            looked_at -= 1;
            match self.all.get(&id) {
                // It will stand here again when it waits.
                Some(resident) if resident.instance.is_hot() => {}
                Some(resident) if resident.is_busy(durable) => self.large.push_back(id),
                Some(_) if self.bytes > self.kept_bytes => self.remove(id),
                Some(_) | None => {}
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
