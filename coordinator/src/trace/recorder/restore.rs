//! What goes on of an instance that was read from the journal.
//!
//! A snapshot has the visits that are open and little of what has happened in them. The facts
//! before it are still in the journal: those of an instance with few of them are read once more, of
//! others is told what the state says.

use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::plan::Plan;

use super::Recorder;
use crate::engine::{Body, Frame, Instance};
use crate::journal::{Journal, JournalError, StoredInstance};
use crate::trace::delivery::Delivery;
use crate::trace::history::{damaged, follow};
use crate::trace::visit::Visit;
use crate::trace::{ROOT, is_traced};

impl Recorder {
    /// Of an instance that was read from the journal: the spans that ended before were told.
    ///
    /// # Errors
    /// When snapshot or facts do not belong there.
    pub(crate) fn restore(
        plan: &Plan,
        id: InstanceId,
        stored: &StoredInstance,
        journal: &dyn Journal,
    ) -> Result<Self, JournalError> {
        let (mut instance, mut recorder) = match &stored.snapshot {
            None => (Instance::not_started(id), Self::new(id)),
            Some((until, bytes)) => match retraced(plan, id, *until, journal) {
                Some(known) => known,
                None => {
                    let read = Instance::from_bytes(bytes);
                    let instance = read.map_err(|error| damaged(id, &error))?;
                    let recorder = Self::of(plan, &instance);
                    (instance, recorder)
                }
            },
        };
        for stored in &stored.facts {
            follow(plan, &mut instance, stored, |decided, facts| {
                recorder.take(decided, facts);
            })?;
        }
        Ok(recorder)
    }

    /// Of an instance of which only the state is known.
    pub(crate) fn of(plan: &Plan, instance: &Instance) -> Self {
        let mut recorder = Self { next: instance.next_frame, ..Self::new(instance.id) };
        recorder.begin(instance.started_at);
        let mut untraced = instance.next_frame.saturating_sub(1 + limits::SPANS_PER_INSTANCE);
        // A frame's number is greater than its parent's.
        for (id, frame) in &instance.frames {
            let Some(task) = frame.task else { continue };
            recorder.open(plan, *id, frame.parent, task, frame.started_at);
            if let Some(visit) = recorder.open.get_mut(id) {
                know(visit, plan, frame);
                untraced = untraced.saturating_sub(u32::from(!is_traced(*id)));
            }
        }
        // Inside of which visits they were is not known, nor how long they lasted.
        if untraced > 0
            && let Some(root) = recorder.open.get_mut(&ROOT)
        {
            let counted = root.untraced.get_or_insert_default();
            counted.count = counted.count.saturating_add(untraced);
        }
        // Workers may have had to do with all of these before.
        recorder.open.values_mut().for_each(|it| it.encloses = true);
        recorder.bytes = recorder.open.values().map(Visit::weight).sum();
        recorder
    }
}

/// Takes from the state what has happened in a visit.
fn know(visit: &mut Visit, plan: &Plan, frame: &Frame) {
    visit.delivery = Delivery::of(frame);
    match frame.body.doing() {
        Body::Loop { index, .. } => visit.more().iterations = index.saturating_add(1),
        Body::Listening(listening) if visit.is_foreach(plan) => {
            let begun = listening.outputs.len() + usize::from(listening.item.is_some());
            visit.more().iterations = u32::try_from(begun).unwrap_or(u32::MAX);
        }
        Body::Trying { attempt, .. } | Body::Retrying { attempt, .. } => {
            visit.more().attempts = *attempt;
        }
        Body::Child { child, .. } => visit.started(*child),
        Body::Publishing { event } => visit.emitted(event),
        _ => {}
    }
}

/// What goes on after so many facts, by the facts themselves. None where they are too many, or
/// cannot be read: spans are no reason to keep an instance from going on.
fn retraced(
    plan: &Plan,
    id: InstanceId,
    until: u64,
    journal: &dyn Journal,
) -> Option<(Instance, Recorder)> {
    if until > limits::RETRACED_FACTS {
        return None;
    }
    let (mut instance, mut recorder) = (Instance::not_started(id), Recorder::new(id));
    let mut bytes = 0;
    while instance.sequence < until {
        let next = instance.sequence;
        let records = journal.facts(id, next, limits::FACT_RECORDS).ok()?;
        for stored in &records {
            bytes += stored.facts.len();
            if bytes > limits::RETRACED_BYTES {
                return None;
            }
            let followed = follow(plan, &mut instance, stored, |decided, facts| {
                recorder.take(decided, facts);
            });
            followed.ok()?;
        }
        // A record that does not lead on would be read for ever.
        if instance.sequence == next {
            return None;
        }
    }
    Some((instance, recorder))
}
