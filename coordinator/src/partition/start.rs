//! Starts: whether there is such an instance already, whether it may start, and who is told.

use windlass_proto::id::{InstanceId, WorkflowId};
use windlass_proto::plan::Plan;

use super::message::{Earlier, NewInstance, StartReply, Watch};
use super::release::Release;
use super::start_key::Placed;
use super::{Batch, Partition, Resident};
use crate::engine::{self, ChildOutcome, Ending, Input, Origin, Parent};
use crate::journal::{JournalError, Status};

impl Partition {
    /// Starts an instance, unless there is one of its id or it may not start now.
    pub(super) fn start(
        &mut self,
        batch: &mut Batch,
        start: NewInstance,
    ) -> Result<(), JournalError> {
        let root = start.id;
        let (start, old) = match self.place_start(batch.now, start)? {
            Placed::Repeat(start, earlier) => return self.started(batch, start, Some(earlier)),
            Placed::Refused(start, status) => return self.refused(batch, start, status),
            // Who asks is told to try again: the one that had the id is just being removed. No
            // other start can be meant, as what is waited for is not removed.
            Placed::New(start, _) if self.is_removed(start.id) => return Ok(()),
            Placed::New(start, old) => (start, old),
        };
        let start = match self.refuse_retired(batch, start) {
            Some(start) => start,
            None => return Ok(()),
        };
        if self.refuse_child(batch, &start) {
            return Ok(());
        }
        if let Some(old) = old
            && !self.end_for(batch, old, start.id)?
        {
            return self.refused(batch, start, Status::Suspended);
        }
        self.keep_holder(batch, root, start.id)?;
        match self.admits(batch, start) {
            Some(start) => self.create(batch, start),
            None => Ok(()),
        }
    }

    /// Tells that the id or key of a start is taken.
    fn refused(
        &mut self,
        batch: &mut Batch,
        start: NewInstance,
        status: Status,
    ) -> Result<(), JournalError> {
        if let Some(reply) = start.reply {
            let (id, refused) = (start.id, Some(status));
            let answer = StartReply { id, earlier: None, retired: false, refused };
            batch.releases.push(Release::Started(reply, answer));
        }
        Ok(())
    }

    /// Refuses a request whose version was retired while it was on its way here. Who deletes a
    /// version waits until partitions have done what they were told before (`Message::Settle`), so
    /// what starts later would have no definition.
    fn refuse_retired(&self, batch: &mut Batch, mut start: NewInstance) -> Option<NewInstance> {
        let WorkflowId { namespace, name, version } = &start.plan.id;
        let stored = self.shared.catalog.stored(namespace, name, Some(version));
        let is_current = stored.is_some_and(|it| it.retired_at.is_none());
        if is_current || start.reply.is_none() {
            return Some(start);
        }
        let reply = start.reply.take()?;
        let id = start.id;
        let retired = StartReply { id, earlier: None, retired: true, refused: None };
        batch.releases.push(Release::Started(reply, retired));
        None
    }

    /// Whether what waited may still start with this plan: nobody has retired its version, as who
    /// deletes it does before.
    pub(super) fn is_deployed(&self, plan: &Plan) -> bool {
        let WorkflowId { namespace, name, version } = &plan.id;
        let stored = self.shared.catalog.stored(namespace, name, Some(version));
        stored.is_some_and(|it| it.retired_at.is_none() && it.digest == plan.digest)
    }

    /// Creates an instance that has been admitted.
    pub(super) fn create(
        &mut self,
        batch: &mut Batch,
        mut start: NewInstance,
    ) -> Result<(), JournalError> {
        let (id, now, plan) = (start.id, batch.now, start.plan.clone());
        let (input, labels) = (std::mem::take(&mut start.input), std::mem::take(&mut start.labels));
        let (parent, priority, trace) = (start.parent, start.priority, start.trace.take());
        let origin = Origin { parent, labels, priority, trace, by: start.by.take() };
        let (instance, decision) = engine::create(&plan, id, now, input, origin);
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
            let answer = StartReply { id, earlier, retired: false, refused: None };
            batch.releases.push(Release::Started(reply, answer));
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
}
