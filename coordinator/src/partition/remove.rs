//! Instances that are removed.
//!
//! What is removed may still be read from the journal until that is durable. So it is kept in mind
//! until then: nothing loads it, and nothing starts under its id.

use tokio::sync::oneshot;
use windlass_proto::id::InstanceId;
use windlass_proto::time::Timestamp;

use super::message::{NotRemoved, RemovalReply};
use super::release::Release;
use super::{Batch, Partition};
use crate::journal::JournalError;

impl Partition {
    /// Removes an instance that has ended; with `ended_at` only the one that ended then.
    pub(super) fn remove(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        ended_at: Option<Timestamp>,
        reply: oneshot::Sender<RemovalReply>,
    ) -> Result<(), JournalError> {
        let answer = self.may_remove(id, ended_at)?;
        if answer.is_ok() {
            self.residents.forget(id);
            self.watches.remove(&id);
            self.removed.insert(id, batch.number);
            batch.commit.removed.push(id);
        }
        batch.releases.push(Release::Removed(reply, answer));
        Ok(())
    }

    fn may_remove(
        &self,
        id: InstanceId,
        ended_at: Option<Timestamp>,
    ) -> Result<RemovalReply, JournalError> {
        if self.is_removed(id) {
            return Ok(Err(NotRemoved::Unknown));
        }
        if let Some(resident) = self.residents.get(id) {
            if resident.instance.ending.is_none() {
                return Ok(Err(NotRemoved::Status(resident.instance.status())));
            }
            // What is on its way to the disk goes first.
            if resident.is_unwritten(self.known_durable()) {
                return Ok(Err(NotRemoved::Busy));
            }
        }
        // After a restart nobody would ask for what its fault starts.
        if self.handlers.is_pending(id) {
            return Ok(Err(NotRemoved::Busy));
        }
        let head = match self.shared.journal.head(id) {
            // It stays, for whoever looks into that: one damaged instance is no reason to stop.
            Err(JournalError::Damaged(damage)) => {
                tracing::error!(instance = %id, damage, "not removed");
                return Ok(Err(NotRemoved::Unknown));
            }
            head => head?,
        };
        let Some(head) = head else { return Ok(Err(NotRemoved::Unknown)) };
        if !head.status.is_final() {
            return Ok(Err(NotRemoved::Status(head.status)));
        }
        // Its id may be another one's by now.
        let is_meant = ended_at.is_none_or(|at| head.ended_at == Some(at));
        Ok(if is_meant { Ok(()) } else { Err(NotRemoved::Unknown) })
    }

    /// Whether there is such an instance.
    pub(super) fn exists(&self, id: InstanceId) -> Result<bool, JournalError> {
        let is_known = || Ok(self.shared.journal.head(id)?.is_some());
        Ok(!self.is_removed(id) && (self.residents.get(id).is_some() || is_known()?))
    }

    /// What the journal does not show any more needs no keeping in mind. Before anything else of a
    /// turn: whoever was told that it is durable may come with its id.
    pub(super) fn forget_removed(&mut self) {
        let durable = self.known_durable();
        self.removed.retain(|_, removed| *removed > durable);
    }

    /// True for an instance that the journal may show and that is no more.
    pub(super) fn is_removed(&self, id: InstanceId) -> bool {
        self.removed.contains_key(&id)
    }
}
