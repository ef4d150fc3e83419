//! Who waits for news of an instance.

use windlass_proto::id::InstanceId;

use super::message::Watch;
use super::release::Release;
use super::{Batch, Partition};
use crate::engine::Ending;
use crate::journal::{Head, JournalError};

impl Partition {
    /// Somebody wants news of an instance.
    pub(super) fn watch(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        watch: Watch,
    ) -> Result<(), JournalError> {
        let Some(watch) = self.watch_ended(batch, id, watch)? else { return Ok(()) };
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

    /// Tells of an instance that has ended and is not in memory, where its head says enough: it is
    /// not loaded for that. Gives back what is still to be told.
    fn watch_ended(
        &self,
        batch: &mut Batch,
        id: InstanceId,
        watch: Watch,
    ) -> Result<Option<Watch>, JournalError> {
        if self.residents.get(id).is_some() {
            return Ok(Some(watch));
        }
        if self.is_removed(id) {
            return Ok(Some(watch));
        }
        let head = self.shared.journal.head(id)?.filter(|it| it.ended_at.is_some());
        match (watch, head) {
            (Watch::Change(_, reply), Some(_)) => batch.releases.push(Release::Changed(reply)),
            (Watch::End(reply), Some(Head { output: Some(output), .. })) => {
                batch.releases.push(Release::Ended(reply, Ending::Completed(output)));
            }
            (Watch::End(reply), Some(Head { error: Some(error), .. })) => {
                batch.releases.push(Release::Ended(reply, Ending::Faulted(error)));
            }
            (watch, _) => return Ok(Some(watch)),
        }
        Ok(None)
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
