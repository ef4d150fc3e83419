//! Removing instances that have ended.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;
use windlass_proto::id::InstanceId;
use windlass_proto::limits;

use super::handle::{RETRY_AFTER, blocking};
use super::runtime::Runtime;
use super::{Coordinator, CoordinatorError};
use crate::archive::ArchivedInstance;
use crate::engine::Body;
use crate::journal::{Head, Journal, JournalError, Status};
use crate::partition::{Message, NotRemoved, fold};

impl Coordinator {
    /// Removes an instance and all that belongs to it, durably. One that has not ended is cancelled
    /// before where that is forced. It is archived first, where there is an archive and `archived`
    /// says so.
    ///
    /// # Errors
    /// When there is no such instance, it has not ended, or its parent waits for its end.
    pub async fn delete(
        &self,
        id: InstanceId,
        (force, archived): (bool, bool),
        reason: Option<String>,
    ) -> Result<(), CoordinatorError> {
        self.needs_room()?;
        if force {
            match self.end(id, reason).await {
                // It has ended in another way.
                Ok(_) | Err(CoordinatorError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.remove(id, archived).await {
                Ok(true) => return Ok(()),
                // Its end is on its way to the disk or to its parent: both take moments.
                Ok(false) if tries < limits::REMOVAL_TRIES => {}
                Ok(false) => return Err(CoordinatorError::Overloaded(RETRY_AFTER)),
                Err(CoordinatorError::Awaited { .. }) if force && tries < limits::REMOVAL_TRIES => {
                }
                Err(error) => return Err(error),
            }
            sleep(Duration::from_millis(limits::REMOVAL_AGAIN_MS)).await;
        }
    }

    /// Removes an instance that has ended; false where something of it is on its way to the disk.
    async fn remove(&self, id: InstanceId, archived: bool) -> Result<bool, CoordinatorError> {
        let journal = self.runtime.journal.clone();
        let head = blocking(move || journal.head(id)).await??;
        let head = head.ok_or(CoordinatorError::UnknownInstance(id))?;
        if !head.status.is_final() {
            return Err(CoordinatorError::NotEnded { id, status: head.status });
        }
        if let Some(parent) = head.parent {
            let awaited = move |runtime: &Runtime| Ok(awaited(&*runtime.journal, parent)?);
            if self.reading(awaited).await?.contains(&id) {
                return Err(CoordinatorError::Awaited { id, parent });
            }
        }
        if let Some(archive) = self.runtime.archive.clone().filter(|_| archived) {
            let catalog = self.runtime.router.catalog.clone();
            let write =
                move |runtime: &Runtime| Ok(archive.write(&*runtime.journal, &catalog, id)?);
            if !self.reading(write).await? {
                return Err(CoordinatorError::UnknownInstance(id));
            }
        }
        let (reply, answer) = oneshot::channel();
        // Its id may be another one's by then.
        let message = Message::Remove { instance: id, ended_at: head.ended_at, reply };
        match self.ask(id, message, answer).await? {
            Ok(()) => Ok(true),
            Err(NotRemoved::Busy) => Ok(false),
            Err(NotRemoved::Unknown) => Err(CoordinatorError::UnknownInstance(id)),
            Err(NotRemoved::Status(status)) => Err(CoordinatorError::NotEnded { id, status }),
        }
    }

    /// An instance that was removed, as it is archived.
    ///
    /// # Errors
    /// When its file is damaged, or cannot be read.
    pub async fn archived(
        &self,
        id: InstanceId,
    ) -> Result<Option<ArchivedInstance>, CoordinatorError> {
        let Some(archive) = self.runtime.archive.clone() else { return Ok(None) };
        self.reading(move |_| Ok(archive.read(id)?)).await
    }
}

/// The children that an instance waits for, as far as it has not ended, or what its fault has
/// started, until it knows that. It asks for them again after a restart, and one that is not there
/// any more would be started once more.
pub(super) fn awaited(
    journal: &dyn Journal,
    parent: InstanceId,
) -> Result<BTreeSet<InstanceId>, JournalError> {
    let waits = |head: &Head| !head.status.is_final() || head.status == Status::Faulted;
    if !journal.head(parent)?.as_ref().is_some_and(waits) {
        return Ok(BTreeSet::new());
    }
    let Some(stored) = journal.load(parent)? else { return Ok(BTreeSet::new()) };
    let (state, _) = fold(parent, &stored)?;
    let child = |body: &Body| match body.doing() {
        Body::Child { child, .. } => Some(*child),
        _ => None,
    };
    if state.ending.is_some() {
        let pending = state.repair.handler.filter(|it| it.pending);
        return Ok(pending.map(|it| it.instance).into_iter().collect());
    }
    Ok(state.frames.values().filter_map(|it| child(&it.body)).collect())
}
