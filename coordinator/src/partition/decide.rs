//! What happens to an instance: the engine decides, the batch takes what follows.

use windlass_proto::id::InstanceId;

use super::effects::Sender;
use super::message::{Refusal, Reply};
use super::quarantine::reaches;
use super::{Batch, Partition, outcome};
use crate::engine::{self, Decision, Input, interest};
use crate::events::lifecycle::Level;
use crate::journal::{JournalError, TimerKey};
use crate::trace::Passing;

impl Partition {
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
        let resumed = aside && matches!(input.bare(), Input::Resume);
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
            let told = (self.lifecycle, self.shared.sampler);
            resident.announce(told, batch.now, &decision.facts, &mut batch.releases);
        }
        if let Some(sampler) = self.shared.sampler {
            resident.trace(sampler, batch.now, &decision.facts, &mut batch.releases);
        }
        if !decision.facts.is_empty() {
            let counts = &self.shared.counts;
            let of_workflow = resident.counts.get_or_insert_with(|| counts.of(&resident.plan));
            let traced = resident.recorder.is_some();
            outcome::log(&resident.plan, &resident.instance, &decision.facts);
            counts.note(of_workflow, &resident.instance, batch.now, &decision.facts, traced);
            let (first, bytes) = resident.keep(batch.now, decision.facts)?;
            batch.bytes += bytes;
            if first {
                batch.touched.push(id);
            }
        }
        self.residents.count(id);
        self.note_misfits(id);
        self.eager.went_on(id);
        self.index(batch, id)?;
        // Nothing drops an instance in the middle of a turn.
        let Some(resident) = self.residents.get_mut(id) else { return Ok(()) };
        self.handlers.note(id, resident.instance.repair.handler.as_ref(), batch.now);
        if decision.effects.is_empty() {
            return Ok(());
        }
        let sender = Sender {
            passing: Passing::of(self.shared.sampler, &resident.instance),
            partition: self.id,
            epoch: self.shared.epoch,
            plan: &resident.plan,
            instance: &resident.instance,
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
                    if !self.shared.early.is_empty() {
                        self.eager.add(id);
                    }
                    batch.commit.subscribed.push((id, frame, bytes.into()));
                }
            }
        }
        for frame in changes.unsubscribed {
            self.routing.remove((id, frame));
            batch.commit.subscribed.retain(|(of, it, _)| (*of, *it) != (id, frame));
            batch.commit.unsubscribed.push((id, frame));
        }
        self.keep_approvals(batch, id, changes.approvals)?;
        self.keep_claims(batch, id, changes.claims)
    }
}
