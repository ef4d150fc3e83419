//! Instances that go on for others, which have faulted.
//!
//! Both are in one partition, so what the new one begins with and the note in the old one are one
//! batch: after a crash there is one new instance, or none.

use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::plan::Plan;

use super::message::{NewSuccessor, NoSuccessor};
use super::release::Release;
use super::{Batch, Partition, Resident};
use crate::engine::{self, Ending};
use crate::events::lifecycle::Level;
use crate::journal::JournalError;
use crate::trace::{Recorder, is_recorded};

impl Partition {
    /// Starts an instance that goes on for another one, unless one does already.
    pub(super) fn succeed(
        &mut self,
        batch: &mut Batch,
        new: NewSuccessor,
    ) -> Result<(), JournalError> {
        let NewSuccessor { plan, succession, instance, reply } = new;
        if self.is_removed(instance.id) {
            // As for any start under the id of an instance that is just being removed.
            return Ok(());
        }
        let answer = match self.may_succeed(&succession, instance.id)? {
            Ok(Some(earlier)) => Ok((earlier, true)),
            // Its version was retired meanwhile, and perhaps deleted.
            Ok(None) if !self.may_run(&plan, succession.predecessor)? => Err(NoSuccessor::Retired),
            Ok(None) => {
                let id = instance.id;
                let charge = self.shared.memory.of_instance(&plan.id.namespace);
                let resident = Resident::new(instance, plan, charge);
                self.go_on_for(batch, resident, succession)?;
                Ok((id, false))
            }
            Err(refusal) => Err(refusal),
        };
        batch.releases.push(Release::Succeeded(reply, answer));
        Ok(())
    }

    /// Whether something may go on for an instance, and what does already.
    fn may_succeed(
        &mut self,
        succession: &engine::Succession,
        id: InstanceId,
    ) -> Result<Result<Option<InstanceId>, NoSuccessor>, JournalError> {
        if let Some(earlier) = self.load(id)? {
            // An operator repeats what they asked for under a key.
            let status = earlier.instance.status();
            let same = earlier.instance.repair.predecessor == Some(succession.predecessor);
            let other = NoSuccessor::Status(status);
            return Ok(if same { Ok(Some(id)) } else { Err(other) });
        }
        let retried = self.load(succession.predecessor)?.and_then(|it| it.instance.repair.retried);
        // One that was removed is no more: another one may go on.
        let retried = match retried {
            Some(id) if self.exists(id)? => Some(id),
            _ => None,
        };
        let Some(old) = self.load(succession.predecessor)? else {
            return Ok(Err(NoSuccessor::Unknown));
        };
        let repair = &old.instance.repair;
        Ok(match &old.instance.ending {
            Some(Ending::Faulted(_)) if succession.reset.is_none() && retried.is_some() => {
                Ok(retried)
            }
            Some(_) if repair.successors.len() >= limits::SUCCESSORS => Err(NoSuccessor::TooMany),
            Some(_) if succession.reset.is_some() => Ok(None),
            Some(Ending::Faulted(_)) => Ok(None),
            Some(_) | None => Err(NoSuccessor::Status(old.instance.status())),
        })
    }

    /// Whether the definition that an instance is to go on by is there: what the first one has is,
    /// for as long as that one is.
    fn may_run(&mut self, plan: &Plan, predecessor: InstanceId) -> Result<bool, JournalError> {
        let old = self.load(predecessor)?;
        let same = old.is_some_and(|it| it.instance.digest == plan.digest);
        Ok(same || self.is_deployed(plan))
    }

    fn go_on_for(
        &mut self,
        batch: &mut Batch,
        mut resident: Resident,
        mut succession: engine::Succession,
    ) -> Result<(), JournalError> {
        let (id, old) = (resident.instance.id, succession.predecessor);
        let reset = succession.reset.is_some();
        let (first, bytes) = resident.begin_with(std::mem::take(&mut succession.kept))?;
        batch.bytes += bytes;
        if first {
            batch.touched.push(id);
        }
        if self.lifecycle != Level::Off {
            resident.note(self.lifecycle);
        }
        if self.shared.sampler.is_some_and(|it| is_recorded(it, &resident.instance)) {
            let recorder = Recorder::of(&resident.plan, &resident.instance);
            resident.recorder = Some(Box::new(recorder));
        }
        resident.limit();
        let plan = resident.plan.clone();
        let decision = engine::succeed(&plan, &mut resident.instance, batch.now, &succession);
        self.residents.insert(resident);
        self.apply(batch, id, decision)?;
        let Some(resident) = self.load(old)? else { return Ok(()) };
        // Under a key, the one that had the id before was noted already.
        if resident.instance.repair.successors.contains(&id) {
            return Ok(());
        }
        let plan = resident.plan.clone();
        let decision = engine::succeeded(&plan, &mut resident.instance, batch.now, (id, reset));
        self.apply(batch, old, decision)
    }
}
