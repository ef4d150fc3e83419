//! Backups by themselves: when the next one is due follows from the last one that is there, so a
//! restart neither repeats nor forgets one.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::spawn_blocking;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::super::runtime::Runtime;
use super::super::{Coordinator, Operator};
use crate::backup::{self, BackupError, BackupSummary, Backups, Protection, Writer};
use crate::clock;

/// Where backups go by themselves, how often, and how many stay.
pub struct BackupSchedule {
    /// A directory.
    pub to: PathBuf,
    /// The time between the beginnings of two.
    pub every: Duration,
    /// How many of the last stay.
    pub keep: usize,
    /// What keeps them from others.
    pub protection: Protection,
}

impl std::fmt::Debug for BackupSchedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupSchedule").field("to", &self.to).finish_non_exhaustive()
    }
}

impl BackupSchedule {
    /// When the next one is due; none where nobody can tell, and so at once.
    fn due(&self) -> Option<Timestamp> {
        let last = Backups::open(&self.to, &self.protection).ok()?.last_at().ok()??;
        Some(last.plus(u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX)))
    }

    fn write(&self, run: super::BackupRun) -> Result<BackupSummary, BackupError> {
        let mut writer = Writer::in_directory(&self.to, &self.protection)?;
        run.take(&mut writer)?;
        let summary = writer.finish()?;
        let pruned = backup::prune(&self.to, &self.protection, self.keep)?;
        let (backup, added_bytes) = (&*summary.backup, summary.added_bytes);
        let (removed, kept) = (pruned.removed.len(), pruned.kept);
        tracing::info!(backup, added_bytes, removed, kept, "scheduled backup kept");
        Ok(summary)
    }
}

/// Takes them until the coordinator stops.
pub(in crate::coordinator) async fn keep(runtime: Weak<Runtime>, schedule: Arc<BackupSchedule>) {
    let look = Duration::from_millis(limits::BACKUP_LOOK_MS);
    let every = u64::try_from(schedule.every.as_millis()).unwrap_or(u64::MAX);
    // Asked once: what opens a backup is made dear on purpose.
    let known = schedule.clone();
    let due = spawn_blocking(move || known.due()).await.ok().flatten();
    let mut due = due.unwrap_or_default();
    loop {
        {
            let Some(runtime) = runtime.upgrade().filter(|it| !it.is_stopping()) else { return };
            let now = clock::now();
            // A clock that was set back must not put it off for ever.
            due = due.min(now.plus(every));
            if due <= now {
                let taken = take(Coordinator { runtime, requester: None }, schedule.clone()).await;
                due = now.plus(every);
                if let Err(error) = taken {
                    tracing::error!(%error, "scheduled backup failed; it is tried again");
                    due = due.min(clock::now().plus(limits::BACKUP_AGAIN_MS));
                }
            }
        }
        tokio::time::sleep(look).await;
    }
}

async fn take(coordinator: Coordinator, schedule: Arc<BackupSchedule>) -> Result<(), BackupError> {
    let to = schedule.to.display().to_string();
    let run = coordinator
        .begin_backup(&format!("by its schedule, to {to}"), &Operator::default())
        .await
        .map_err(|error| BackupError::Unusable(error.to_string()))?;
    let written = spawn_blocking(move || schedule.write(run)).await;
    written.map_err(|error| BackupError::Unusable(error.to_string()))?.map(drop)
}
