//! One instance in full: from the partition that has it in memory, or read from the journal.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use windlass_proto::id::InstanceId;
use windlass_proto::limits;

use super::handle::{RETRY_AFTER, blocking};
use super::runtime::Runtime;
use super::{Coordinator, CoordinatorError, InstanceView};
use crate::journal::JournalError;
use crate::partition::{Message, Shown, fold, limit_owner};
use crate::view::{LimitView, view};

impl Coordinator {
    /// An instance in full.
    ///
    /// # Errors
    /// When there is no such instance.
    pub async fn show(&self, id: InstanceId) -> Result<InstanceView, CoordinatorError> {
        let mut view = self.view(id, None).await?;
        for share in view.limits.iter_mut().take(limits::VIEW_LIMITS) {
            // The rest of the view is of use without it.
            if self.place(id, share).await.is_err() {
                break;
            }
        }
        Ok(view)
    }

    /// What there is to see of an instance, or of its question to people of one number.
    pub(super) async fn view(
        &self,
        instance: InstanceId,
        approval: Option<u64>,
    ) -> Result<InstanceView, CoordinatorError> {
        let (reply, shown) = oneshot::channel();
        let message = Message::Show { instance, approval, reply };
        match self.ask(instance, message, shown).await? {
            Shown::View(view) => Ok(*view),
            Shown::NotInMemory => self.read(instance, approval).await,
        }
    }

    /// Asks who gives the shares of a limit how its line stands.
    async fn place(&self, id: InstanceId, share: &mut LimitView) -> Result<(), CoordinatorError> {
        let (reply, answer) = oneshot::channel();
        let (key, name) = (share.key.clone(), (id, share.frame));
        let owner = limit_owner(&key, self.runtime.journal.partitions());
        let message = Message::LimitPlace { key, name, reply };
        if let Some(place) = self.ask_partition(owner, message, answer).await? {
            share.place = place.before.map(|it| it + 1);
            share.holding = place.holding;
        }
        Ok(())
    }

    /// Reads an instance from the journal, which has all that was ever answered: in no partition's
    /// turn, so that nobody waits for it but who asks.
    async fn read(
        &self,
        id: InstanceId,
        approval: Option<u64>,
    ) -> Result<InstanceView, CoordinatorError> {
        let patience = Duration::from_millis(limits::PARTITION_ANSWER_MS);
        let Ok(room) = timeout(patience, self.runtime.reads.clone().acquire_owned()).await else {
            return Err(CoordinatorError::Overloaded(RETRY_AFTER));
        };
        let runtime = self.runtime.clone();
        let read = move || {
            // Also when nobody waits for it any more.
            let _room = room;
            stored(&runtime, id, approval)
        };
        blocking(read).await??.ok_or(CoordinatorError::UnknownInstance(id))
    }
}

/// The instance as the journal has it.
fn stored(
    runtime: &Runtime,
    id: InstanceId,
    approval: Option<u64>,
) -> Result<Option<InstanceView>, JournalError> {
    let Some(head) = runtime.journal.head(id)? else { return Ok(None) };
    let Some(stored) = runtime.journal.load(id)? else { return Ok(None) };
    let plan = runtime.router.catalog.required(&head.digest)?;
    let (instance, _) = fold(id, &stored)?;
    runtime.misfits.replayed(id, &instance.changes.misfits);
    Ok(Some(view(&plan, &instance, approval)))
}
