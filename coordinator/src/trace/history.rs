//! Tells the spans of an instance from its journal: of those that fault and were not recorded.
//!
//! On a thread of its own: whoever decides on instances does not wait for it. What finds no place in
//! line is not told, and counted as dropped.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_telemetry::FinishedSpan;

use super::Tracer;
use super::recorder::{Decided, Recorder};
use crate::catalog::Catalog;
use crate::engine::{Fact, FactError, Instance, decode};
use crate::journal::{Journal, JournalError, StoredFacts};

/// Tells instances from their journal.
pub(crate) struct Teller {
    sender: Mutex<Option<SyncSender<InstanceId>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    tracer: Tracer,
}

impl Teller {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start(
        tracer: Tracer,
        journal: Arc<dyn Journal>,
        catalog: Arc<Catalog>,
    ) -> Result<Self, JournalError> {
        let (sender, receiver) = sync_channel(limits::TOLD_QUEUED);
        let told = tracer.clone();
        let thread = thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || tell_all(&receiver, &told, &*journal, &catalog))
            .map_err(|error| JournalError::Store(format!("no thread to be had: {error}")))?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), tracer })
    }

    /// Puts an instance in line; never blocks.
    pub(crate) fn tell(&self, instance: InstanceId) {
        let sender = self.sender.lock().unwrap_or_else(|it| it.into_inner());
        if sender.as_ref().is_none_or(|it| it.try_send(instance).is_err()) {
            self.tracer.spans.missed();
        }
    }

    /// Tells what is in line, and ends. Blocking.
    pub(crate) fn close(&self) {
        drop(self.sender.lock().unwrap_or_else(|it| it.into_inner()).take());
        let thread = self.thread.lock().unwrap_or_else(|it| it.into_inner()).take();
        // A panic there was reported by it.
        thread.into_iter().for_each(|it| drop(it.join()));
    }
}

fn tell_all(
    receiver: &Receiver<InstanceId>,
    tracer: &Tracer,
    journal: &dyn Journal,
    catalog: &Catalog,
) {
    while let Ok(instance) = receiver.recv() {
        match spans(instance, journal, catalog) {
            Ok(spans) => tracer.record(spans),
            Err(error) => {
                tracing::warn!(%instance, %error, "the trace of an instance cannot be told");
                tracer.spans.missed();
            }
        }
    }
}

/// All spans of an instance that are over.
pub(crate) fn spans(
    id: InstanceId,
    journal: &dyn Journal,
    catalog: &Catalog,
) -> Result<Vec<FinishedSpan>, JournalError> {
    // It may have been removed meanwhile.
    let Some(head) = journal.head(id)? else { return Ok(Vec::new()) };
    let plan = catalog.required(&head.digest)?;
    let (mut instance, mut recorder) = (Instance::not_started(id), Recorder::new());
    let mut spans = Vec::new();
    loop {
        let next = instance.sequence;
        let records = journal.facts(id, next, limits::FACT_RECORDS)?;
        for stored in &records {
            follow(&plan, &mut instance, stored, |decided, facts| {
                spans.append(&mut recorder.take(decided, facts));
            })?;
        }
        // A record that does not lead on would be read for ever.
        if records.len() < limits::FACT_RECORDS || instance.sequence == next {
            return Ok(spans);
        }
    }
}

/// Lets a state follow the facts of a record that it does not have yet; `told` sees those of each
/// decision, with the state they led to.
pub(crate) fn follow(
    plan: &Plan,
    instance: &mut Instance,
    stored: &StoredFacts,
    mut told: impl FnMut(&Decided, &[Fact]),
) -> Result<(), JournalError> {
    let id = instance.id;
    let turns = decode(&stored.facts).map_err(|error| damaged(id, &error))?;
    let mut sequence = stored.sequence;
    for turn in turns {
        let known = usize::try_from(instance.sequence.saturating_sub(sequence));
        sequence += turn.facts.len() as u64;
        let Some(facts) = known.ok().and_then(|it| turn.facts.get(it..)) else { continue };
        facts.iter().for_each(|fact| instance.evolve(turn.at, fact));
        if !facts.is_empty() {
            told(&Decided { plan, instance, at: turn.at }, facts);
        }
    }
    Ok(())
}

pub(super) fn damaged(id: InstanceId, error: &FactError) -> JournalError {
    JournalError::Damaged(format!("instance {id}: {error}"))
}
