//! The instance that something happens to, from memory or from the journal.

use windlass_proto::id::InstanceId;

use super::{Partition, Resident};
use crate::journal::JournalError;
use crate::quarantine::UNREAD;

impl Partition {
    /// The instance, from memory or from the journal.
    pub(super) fn load(&mut self, id: InstanceId) -> Result<Option<&mut Resident>, JournalError> {
        if self.is_removed(id) {
            return Ok(None);
        }
        let quarantine = &self.shared.quarantine;
        let named = self.named.contains(&id);
        let is_read = self.residents.get(id).is_none();
        if is_read && !named {
            quarantine.begin(self.id, id, UNREAD);
        }
        let mut loaded = self.residents.load(id, &self.shared)?;
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
}
