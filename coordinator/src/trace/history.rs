//! Spans of an instance from its journal.

use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_telemetry::{FinishedSpan, Sampler};

use super::is_recorded;
use super::lives::Life;
use super::recorder::{Decided, Recorder};
use crate::catalog::Catalog;
use crate::engine::{Fact, FactError, Instance, decode};
use crate::journal::{Journal, JournalError, Status, StoredFacts};

/// Reads instances once more.
pub(super) struct History<'h> {
    pub(super) sampler: Sampler,
    pub(super) journal: &'h dyn Journal,
    pub(super) catalog: &'h Catalog,
}

impl History<'_> {
    /// All spans of an instance that are over; none of one that is neither recorded nor has
    /// faulted: within a life, where it is given.
    ///
    /// # Errors
    /// When the journal cannot be read, or its facts do not belong there.
    pub(super) fn spans(
        &self,
        id: InstanceId,
        within: Option<&Life>,
    ) -> Result<Vec<FinishedSpan>, JournalError> {
        // It may have been removed meanwhile.
        let Some(head) = self.journal.head(id)? else { return Ok(Vec::new()) };
        let is_within = |life: &Life| head.ended_at.is_some_and(|it| life.has(it));
        let faulted = head.status == Status::Faulted && within.is_none_or(is_within);
        let faulted = faulted && self.sampler.tells_of_faults();
        let plan = self.catalog.required(&head.digest)?;
        let (mut instance, mut recorder) = (Instance::not_started(id), Recorder::new(id));
        let mut spans = Vec::new();
        loop {
            let next = instance.sequence;
            // The first record alone says whether it is recorded.
            let count = if next == 0 { 1 } else { limits::FACT_RECORDS };
            let records = self.journal.facts(id, next, count)?;
            for stored in &records {
                follow(&plan, &mut instance, stored, |decided, facts| {
                    if facts.iter().any(|it| matches!(it, Fact::Succeeds { .. })) {
                        // Those before are the other one's, which has told them.
                        spans.clear();
                    }
                    spans.append(&mut recorder.take(decided, facts));
                })?;
            }
            if !faulted && !is_recorded(self.sampler, &instance) {
                return Ok(Vec::new());
            }
            // A record that does not lead on would be read for ever.
            if records.len() < count || instance.sequence == next {
                return Ok(spans);
            }
        }
    }
}

/// Lets a state follow the facts of a record that it does not have yet; `told` sees those of each
/// decision, with the state they led to.
pub(super) fn follow(
    plan: &Plan,
    instance: &mut Instance,
    stored: &StoredFacts,
    mut told: impl FnMut(&Decided, &[Fact]),
) -> Result<(), JournalError> {
    let turns = decode(&stored.facts).map_err(|error| damaged(instance.id, &error))?;
    let mut sequence = stored.sequence;
    for turn in turns {
        let known = usize::try_from(instance.sequence.saturating_sub(sequence));
        sequence += turn.facts.len() as u64;
        let Some(facts) = known.ok().and_then(|it| turn.facts.get(it..)) else { continue };
        facts.iter().for_each(|fact| instance.evolve(turn.at, fact));
        instance.changes = Default::default();
        if !facts.is_empty() {
            told(&Decided { plan, instance, at: turn.at }, facts);
        }
    }
    Ok(())
}

pub(super) fn damaged(id: InstanceId, error: &FactError) -> JournalError {
    JournalError::Damaged(format!("instance {id}: {error}"))
}
