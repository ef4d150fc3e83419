//! Messages to instances: the engine decides, the batch takes what follows.

use std::sync::Arc;

use windlass_proto::expression::steps_taken;
use windlass_proto::id::{Digest, FrameId, InstanceId};
use windlass_proto::limits::{MESSAGE_COST, TURN_COST};
use windlass_proto::plan::Plan;
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::message::{Earlier, Message, NewInstance, Refusal, Reply, StartReply, Watch};
use super::quarantine::reaches;
use super::release::Release;
use super::{Batch, Partition, Resident};
use crate::engine::{
    self, ChildOutcome, Decision, Effect, Ending, Input, Parent, Rejection, interest,
};
use crate::events::lifecycle::Level;
use crate::journal::{JournalError, TimerKey};
use crate::quarantine::UNREAD;

/// Timers fired in one turn at most.
const TURN_TIMERS: usize = 256;

impl Partition {
    pub(super) fn take(&mut self, batch: &mut Batch, message: Message) -> Result<(), JournalError> {
        match message {
            Message::Start(start) => self.start(batch, *start),
            Message::Input { instance, input, reply } => {
                let answer = self.input(batch, instance, input)?;
                if let Some(reply) = reply {
                    batch.releases.push(Release::Answered(reply, answer));
                }
                Ok(())
            }
            Message::Reported(report) => self.reported(batch, report),
            Message::Lost { key, loss } => self.lost(batch, &key, loss),
            Message::CancelChild { parent, child } => {
                self.parked.remove(child);
                let reason = Some(Arc::from("the parent workflow does not wait for it any more"));
                // Refused, it has ended already or was never started: all the same to the parent.
                let _ = self.input(batch, child, Input::Cancel { reason })?;
                let gone = Input::ChildGone { child };
                batch.releases.push(Release::Tell(parent, gone));
                Ok(())
            }
            Message::Event(ticket) => self.event(batch, ticket),
            Message::EmitAgain { instance, frame } => self.emit_again(batch, instance, frame),
            Message::Show { instance, reply } => {
                let view = self
                    .load(instance)?
                    .map(|it| Box::new(crate::view::view(&it.plan, &it.instance)));
                batch.releases.push(Release::Shown(reply, view));
                Ok(())
            }
            Message::Watch { instance, watch } => self.watch(batch, instance, watch),
        }
    }

    /// The instance, from memory or from the journal.
    pub(super) fn load(&mut self, id: InstanceId) -> Result<Option<&mut Resident>, JournalError> {
        let quarantine = &self.shared.quarantine;
        let named = self.named.contains(&id);
        let is_read = self.residents.get(id).is_none();
        if is_read && !named {
            quarantine.begin(self.id, id, UNREAD);
        }
        let catalog = &self.shared.catalog;
        let plan_of = |digest: &Digest| plan_of(catalog, digest);
        let mut loaded =
            self.residents.load(id, &*self.shared.journal, &self.shared.memory, plan_of)?;
        if let Some(resident) = &mut loaded {
            if !named {
                quarantine.begin(self.id, id, resident.instance.sequence);
            }
            if is_read {
                let misfits = std::mem::take(&mut resident.instance.changes.misfits);
                self.shared.misfits.replayed(id, &misfits);
            }
        }
        Ok(loaded)
    }

    fn start(&mut self, batch: &mut Batch, start: NewInstance) -> Result<(), JournalError> {
        if let Some(resident) = self.load(start.id)? {
            let workflow = resident.plan.id.clone();
            // Only requests are told: the input of a child is a function of its parent.
            let same_input = start.reply.is_none() || resident.instance.input == start.input;
            return self.started(batch, start, Some(Earlier { workflow, same_input }));
        }
        if self.refuse_child(batch, &start) {
            return Ok(());
        }
        match self.admits(batch, start) {
            Some(start) => self.create(batch, start),
            None => Ok(()),
        }
    }

    /// Creates an instance that has been admitted.
    pub(super) fn create(
        &mut self,
        batch: &mut Batch,
        mut start: NewInstance,
    ) -> Result<(), JournalError> {
        let (id, now, plan) = (start.id, batch.now, start.plan.clone());
        let (input, labels) = (std::mem::take(&mut start.input), std::mem::take(&mut start.labels));
        let (parent, priority) = (start.parent, start.priority);
        let (instance, decision) = engine::create(&plan, id, now, input, parent, labels, priority);
        let charge = self.shared.memory.of_instance(&plan.id.namespace);
        self.residents.insert(Resident::new(instance, plan, charge));
        self.apply(batch, id, decision)?;
        self.started(batch, start, None)
    }

    /// Tells who asked for it of an instance that there is.
    fn started(
        &mut self,
        batch: &mut Batch,
        start: NewInstance,
        earlier: Option<Earlier>,
    ) -> Result<(), JournalError> {
        let (id, repeated) = (start.id, earlier.is_some());
        if let Some(reply) = start.reply {
            batch.releases.push(Release::Started(reply, StartReply { earlier }));
        }
        if let Some(ended) = start.ended {
            self.watch(batch, id, Watch::End(ended))?;
        }
        match start.parent {
            Some(parent) if !parent.waits => {
                let accepted = Input::ChildAccepted { frame: parent.frame };
                batch.releases.push(Release::Tell(parent.instance, accepted));
            }
            Some(parent) if repeated => self.answer_parent(batch, id, parent)?,
            _ => {}
        }
        Ok(())
    }

    /// A parent asks again for a child that may have ended while nobody listened.
    fn answer_parent(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        parent: Parent,
    ) -> Result<(), JournalError> {
        let ending = self.load(id)?.and_then(|it| it.instance.ending.clone());
        let outcome = match ending {
            None => return Ok(()),
            Some(Ending::Completed(output)) => ChildOutcome::Completed(output),
            Some(Ending::Faulted(problem)) => ChildOutcome::Faulted(problem),
            Some(Ending::Cancelled(_)) => ChildOutcome::Cancelled(id),
        };
        let input = Input::ChildEnded { frame: parent.frame, outcome };
        batch.releases.push(Release::Tell(parent.instance, input));
        Ok(())
    }

    /// Lets the engine decide on an input.
    pub(super) fn input(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        input: Input,
    ) -> Result<Reply, JournalError> {
        let now = batch.now;
        let level = self.lifecycle;
        if self.is_untouchable(id) && !reaches(&input) {
            return Ok(Err(Refusal::Quarantined));
        }
        let Some(resident) = self.load(id)? else { return Ok(Err(Refusal::Unknown)) };
        let aside = resident.instance.quarantine.is_some();
        if aside && !reaches(&input) {
            return Ok(Err(Refusal::Quarantined));
        }
        let resumed = aside && matches!(input, Input::Resume);
        if level != Level::Off {
            resident.note(level);
        }
        let plan = resident.plan.clone();
        resident.limit();
        match engine::decide(&plan, &mut resident.instance, now, input) {
            Ok(decision) => {
                self.apply(batch, id, decision)?;
                if resumed {
                    self.let_go(batch, id)?;
                }
                Ok(Ok(()))
            }
            // Refused before anything was decided: there are no facts, and nothing has changed.
            Err(rejection) => {
                let status = resident.instance.status();
                self.note_misfits(id);
                Ok(Err(Refusal::Rejected(rejection, status)))
            }
        }
    }

    /// Sends again what an instance waits for from outside; returns the bytes that it holds.
    pub(super) fn recover_instance(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
    ) -> Result<u64, JournalError> {
        let now = batch.now;
        let level = self.lifecycle;
        if self.is_untouchable(id) {
            return Ok(0);
        }
        let Some(resident) = self.load(id)? else { return Ok(0) };
        let (plan, parent) = (resident.plan.clone(), resident.instance.parent);
        let (quarantined, ended) =
            (resident.instance.quarantine.is_some(), resident.instance.ending.is_some());
        if let (Some(parent), false) = (parent, ended) {
            self.shared.admission.readmit(id, parent.root(), &plan.id.namespace);
        }
        let Some(resident) = self.residents.get_mut(id) else { return Ok(0) };
        if quarantined {
            return Ok(0);
        }
        let held = resident.instance.held.bytes();
        if level != Level::Off {
            resident.note(level);
        }
        let decision = engine::recover(&plan, &mut resident.instance, now);
        self.apply(batch, id, decision)?;
        Ok(held)
    }

    /// Fires the timers that are due.
    pub(super) fn fire_timers(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        // As much again as messages may cost: neither keeps the other waiting.
        let most = self.cost + TURN_COST;
        for _ in 0..TURN_TIMERS {
            if self.cost >= most || batch.is_full() {
                break;
            }
            let Some(key) = self.timers.take_due(batch.now) else { break };
            let before = steps_taken();
            let fired = Input::TimerFired { timer: key.timer };
            match self.input(batch, key.instance, fired)? {
                Ok(()) => {}
                // The timer was cleared by something else; its index entry goes with that.
                Err(Refusal::Rejected(Rejection::Stale | Rejection::Ended, _)) => {}
                // It is set again when the instance goes on.
                Err(Refusal::Quarantined) => {}
                Err(_) => batch.commit.timers_cleared.push(key),
            }
            self.cost += steps_taken().wrapping_sub(before) + MESSAGE_COST;
        }
        Ok(())
    }

    /// Takes what a decision leads to into the batch.
    pub(super) fn apply(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        decision: Decision,
    ) -> Result<(), JournalError> {
        let Some(resident) = self.residents.get_mut(id) else {
            debug_assert!(false, "a decision for {id}, which is not in memory");
            self.shared.misfits.dropped(id);
            return Ok(());
        };
        if self.lifecycle != Level::Off {
            resident.announce(self.lifecycle, batch.now, &decision.facts, &mut batch.releases);
        }
        if !decision.facts.is_empty() {
            let (first, bytes) = resident.keep(batch.now, decision.facts)?;
            batch.bytes += bytes;
            if first {
                batch.touched.push(id);
            }
        }
        self.residents.count(id);
        self.note_misfits(id);
        self.index(batch, id)?;
        // Nothing drops an instance in the middle of a turn.
        let Some(resident) = self.residents.get_mut(id) else { return Ok(()) };
        let sender = Sender {
            partition: self.id,
            epoch: self.shared.epoch,
            plan: &resident.plan,
            instance: id,
            priority: resident.instance.priority,
        };
        for effect in decision.effects {
            sender.send(batch, effect);
        }
        Ok(())
    }

    /// Counts what the engine met that cannot be.
    pub(super) fn note_misfits(&mut self, id: InstanceId) {
        let Some(resident) = self.residents.get_mut(id) else { return };
        let misfits = &mut resident.instance.changes.misfits;
        if misfits.count() > 0 {
            self.shared.misfits.decided(id, &std::mem::take(misfits));
        }
    }

    /// Takes the changes of timers and subscriptions into the batch.
    fn index(&mut self, batch: &mut Batch, id: InstanceId) -> Result<(), JournalError> {
        let Some(resident) = self.residents.get_mut(id) else { return Ok(()) };
        let changes = std::mem::take(&mut resident.instance.changes);
        for (timer, due) in changes.timers_set {
            let key = TimerKey { due, instance: id, timer };
            self.timers.set(key);
            batch.commit.timers_set.push(key);
        }
        for (timer, due) in changes.timers_cleared {
            let key = TimerKey { due, instance: id, timer };
            self.timers.clear(&key);
            match batch.commit.timers_set.iter().position(|set| *set == key) {
                Some(position) => drop(batch.commit.timers_set.swap_remove(position)),
                None => batch.commit.timers_cleared.push(key),
            }
        }
        for frame in changes.subscribed {
            if let Some(interest) = interest(&resident.plan, &resident.instance, frame) {
                let bytes = rmp_serde::to_vec(&interest)
                    .map_err(|error| JournalError::Store(error.to_string()))?;
                if self.routing.insert((id, frame), interest) {
                    batch.commit.subscribed.push((id, frame, bytes.into()));
                }
            }
        }
        for frame in changes.unsubscribed {
            self.routing.remove((id, frame));
            batch.commit.subscribed.retain(|(of, it, _)| (*of, *it) != (id, frame));
            batch.commit.unsubscribed.push((id, frame));
        }
        Ok(())
    }

    /// Somebody wants news of an instance.
    fn watch(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        watch: Watch,
    ) -> Result<(), JournalError> {
        let (sequence, ending) = match self.load(id)? {
            Some(resident) => (resident.instance.sequence, resident.instance.ending.clone()),
            None => return Ok(()),
        };
        match (watch, ending) {
            (Watch::End(reply), Some(ending)) => {
                batch.releases.push(Release::Ended(reply, ending));
            }
            (Watch::Change(_, reply), Some(_)) => batch.releases.push(Release::Changed(reply)),
            (Watch::Change(from, reply), None) if sequence > from => {
                batch.releases.push(Release::Changed(reply));
            }
            (watch, None) => {
                let watches = self.watches.entry(id).or_default();
                watches.retain(|watch| !watch.is_gone());
                watches.push(watch);
            }
        }
        Ok(())
    }

    /// Tells those who wait for news of an instance.
    pub(super) fn tell_watchers(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        sequence: u64,
        ending: Option<&Ending>,
    ) {
        let Some(watches) = self.watches.get_mut(&id) else { return };
        for watch in std::mem::take(watches) {
            match (watch, ending) {
                (Watch::End(reply), Some(ending)) => {
                    batch.releases.push(Release::Ended(reply, ending.clone()));
                }
                (Watch::Change(from, reply), ending) if ending.is_some() || sequence > from => {
                    batch.releases.push(Release::Changed(reply));
                }
                (watch, _) => watches.push(watch),
            }
        }
        if watches.is_empty() {
            self.watches.remove(&id);
        }
    }
}

impl Watch {
    /// True when nobody waits for the answer any more.
    fn is_gone(&self) -> bool {
        match self {
            Self::End(reply) => reply.is_closed(),
            Self::Change(_, reply) => reply.is_closed(),
        }
    }
}

/// Turns the engine's effects into releases.
struct Sender<'s> {
    partition: windlass_proto::id::PartitionId,
    epoch: u64,
    plan: &'s Arc<Plan>,
    instance: InstanceId,
    priority: u8,
}

impl Sender<'_> {
    fn key(&self, frame: FrameId, delivery: u32) -> AssignmentKey {
        let (instance, partition, epoch) = (self.instance, self.partition, self.epoch);
        AssignmentKey { instance, frame, delivery, partition, epoch }
    }

    fn send(&self, batch: &mut Batch, effect: Effect) {
        let release = match effect {
            Effect::Dispatch {
                frame,
                delivery,
                task,
                reference,
                visit,
                work,
                input,
                variables,
                deadline,
                losses,
                recovered,
            } => {
                let assignment = Assignment {
                    key: self.key(frame, delivery),
                    workflow: self.plan.id.clone(),
                    digest: self.plan.digest.clone(),
                    task,
                    reference,
                    visit,
                    work,
                    input,
                    variables,
                    now: batch.now,
                    deadline,
                    traceparent: None,
                    pool: self.plan.task(task).pool.clone(),
                    priority: self.priority,
                    losses,
                    grant: None,
                };
                Release::Dispatch { assignment: Box::new(assignment), recovered }
            }
            Effect::CancelAssignment { frame, delivery } => {
                Release::Cancel(self.key(frame, delivery))
            }
            Effect::Publish { frame, event } => {
                let namespace = self.plan.id.namespace.clone();
                Release::Publish { instance: self.instance, frame, event, namespace }
            }
            Effect::StartChild { parent, child, workflow, input } => {
                Release::StartChild { parent, child, workflow, input, priority: self.priority }
            }
            Effect::CancelChild { child } => Release::CancelChild { parent: self.instance, child },
            Effect::NotifyParent { parent, frame, outcome } => {
                Release::Tell(parent, Input::ChildEnded { frame, outcome })
            }
            Effect::Yield => Release::Tell(self.instance, Input::Continue),
            // Watchers are told when the batch is sealed.
            Effect::Ended(_) => return,
        };
        batch.releases.push(release);
    }
}

/// The definition an instance is pinned to.
fn plan_of(catalog: &crate::catalog::Catalog, digest: &Digest) -> Result<Arc<Plan>, JournalError> {
    catalog.plan(digest).ok_or_else(|| {
        JournalError::Damaged(format!("the definition {digest} of an instance is missing"))
    })
}
