//! Who waits for news of an instance.

use windlass_proto::id::InstanceId;

use super::message::Watch;
use super::release::Release;
use super::{Batch, Partition};
use crate::engine::Ending;
use crate::journal::JournalError;

impl Partition {
    /// Somebody wants news of an instance.
    pub(super) fn watch(
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
