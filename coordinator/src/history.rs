//! An instance's history for people, read in pages.
//!
//! Facts do not repeat what is known of the tasks they are about, so telling them takes the state
//! they lead to. A page does not fold all facts before it: it goes on from a state that an earlier
//! page has left ([`States`]), or from the instance's latest snapshot.

mod states;
mod writer;

use std::sync::Arc;

use serde::Serialize;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::plan::TaskIx;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use crate::catalog::Catalog;
use crate::engine::{FactError, Instance, decode};
use crate::journal::{Head, Journal, JournalError, StoredFacts};
use states::Place;
pub(crate) use states::States;
use writer::{HistoryWriter, Page};

/// A page of an instance's history.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The entries, oldest first.
    pub entries: Vec<HistoryEntry>,
    /// Where the next page begins; none when this one was not full.
    pub next: Option<u64>,
}

/// One line of an instance's history.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEntry {
    /// Sequence number of the fact.
    pub sequence: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened: `instance.started`, `task.started`, `task.completed`, …
    pub event: &'static str,
    /// JSON pointer of the task concerned.
    pub task: Option<Arc<str>>,
    /// Name of the task concerned.
    pub name: Option<Arc<str>>,
    /// Which task of the definition that is: of a function, the pointer says where it was called.
    #[serde(skip)]
    pub index: Option<TaskIx>,
    /// Details: input, output, error, attempt, …
    pub data: Value,
    /// The visit, and which sending of it, where it was sent to a worker and is not over yet.
    pub sent: Option<(FrameId, u32)>,
}

/// Reads histories.
pub(crate) struct Reader<'r> {
    pub(crate) journal: &'r dyn Journal,
    pub(crate) catalog: &'r Catalog,
    pub(crate) states: &'r States,
}

impl Reader<'_> {
    /// Tells an instance's facts from `from` on: a page ends after `limit` entries or about
    /// [`limits::HISTORY_BYTES`] of values. `None` when there is no such instance.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) fn read(
        &self,
        id: InstanceId,
        from: u64,
        limit: usize,
    ) -> Result<Option<HistoryPage>, JournalError> {
        let Some(head) = self.journal.head(id)? else { return Ok(None) };
        let digest = &head.digest;
        let missing = || JournalError::Damaged(format!("the definition {digest} is missing"));
        let plan = self.catalog.plan(digest).ok_or_else(missing)?;
        let (start, quiet) = self.start(id, &head, from)?;
        let began_at = start.sequence;
        let mut writer = HistoryWriter::new(&plan, start, Page::new(from, limit));
        let full = self.fill(id, &mut writer)?;
        writer.forget_ended();
        let HistoryWriter { instance, page: Page { entries, .. }, .. } = writer;
        let after = entries.last().map(|it| it.sequence.saturating_add(1));
        let quiet = match after {
            Some(after) => after,
            // Nothing is told of the facts from `from` on, and before it of none from `quiet` on.
            None if began_at >= from => quiet,
            None => from.min(instance.sequence),
        };
        self.states.keep(instance, quiet);
        Ok(Some(HistoryPage { entries, next: after.filter(|_| full) }))
    }

    /// The state to start from, and the first sequence number from which on a page may do so.
    fn start(
        &self,
        id: InstanceId,
        head: &Head,
        from: u64,
    ) -> Result<(Instance, u64), JournalError> {
        let known = self.states.nearest(Place { id, head, from });
        let reached = known.as_ref().map_or(0, |(instance, _)| instance.sequence);
        // Reading a snapshot is not free either.
        if from.saturating_sub(reached) > limits::HISTORY_STATE_FACTS
            && let Some((sequence, bytes)) = self.journal.snapshot(id, from)?
            && sequence > reached
        {
            let instance = Instance::from_bytes(&bytes).map_err(|error| damaged(id, &error))?;
            return Ok((instance, sequence));
        }
        Ok(known.unwrap_or_else(|| (Instance::not_started(id), 0)))
    }

    /// Tells the facts that follow; true when the page is full.
    fn fill(&self, id: InstanceId, writer: &mut HistoryWriter<'_>) -> Result<bool, JournalError> {
        loop {
            let next = writer.instance.sequence;
            let records = self.journal.facts(id, next, limits::FACT_RECORDS)?;
            for stored in &records {
                if write_record(id, stored, writer)? {
                    return Ok(true);
                }
            }
            // A record that does not lead on would be read for ever.
            if records.len() < limits::FACT_RECORDS || writer.instance.sequence == next {
                return Ok(false);
            }
        }
    }
}

/// Tells the facts of a record that the state does not have yet; true when the page is full.
fn write_record(
    id: InstanceId,
    stored: &StoredFacts,
    writer: &mut HistoryWriter<'_>,
) -> Result<bool, JournalError> {
    let turns = decode(&stored.facts).map_err(|error| damaged(id, &error))?;
    let facts = turns.iter().flat_map(|turn| turn.facts.iter().map(|fact| (turn.at, fact)));
    for (sequence, (at, fact)) in (stored.sequence..).zip(facts) {
        if sequence >= writer.instance.sequence && writer.write(at, fact).is_break() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn damaged(id: InstanceId, error: &FactError) -> JournalError {
    JournalError::Damaged(format!("instance {id}: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
