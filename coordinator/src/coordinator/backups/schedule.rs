//! Backups by themselves: when the next one is due follows from the last one that is there, so a
//! restart neither repeats nor forgets one.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::spawn_blocking;
use windlass_proto::audit::AuditAction;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::super::runtime::Runtime;
use super::super::{Coordinator, Operator};
use super::BackupRun;
use crate::backup::{self, BackupError, Backups, LastBackup, Protection, Writer};
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
    /// The last one that is there.
    fn last(&self) -> Option<LastBackup> {
        Backups::open(&self.to, &self.protection).ok()?.last().ok()?
    }

    /// When the next one is due; at once where nobody can tell, or where the last one was taken
    /// while the clock was ahead.
    fn due(&self, last: Option<&LastBackup>, now: Timestamp) -> Timestamp {
        match last.filter(|it| it.at <= now) {
            Some(last) => last.at.plus(self.every_ms()),
            None => now,
        }
    }

    fn every_ms(&self) -> u64 {
        u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX)
    }

    fn write(&self, run: BackupRun, mut writer: Writer) -> Result<(), BackupError> {
        let state = run.state.clone();
        run.take(&mut writer)?;
        let summary = writer.finish()?;
        let (backup, added_bytes) = (&*summary.backup, summary.added_bytes);
        match backup::prune(&self.to, &self.protection, self.keep) {
            Ok(pruned) => {
                let (removed, kept) = (pruned.removed.len(), pruned.kept);
                tracing::info!(backup, added_bytes, removed, kept, "scheduled backup kept");
            }
            // It is there all the same, and another one would help nobody.
            Err(error) => {
                state.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, backup, "old backups cannot be removed, and fill the disk");
            }
        }
        Ok(())
    }
}

/// Takes them until the coordinator stops.
pub(in crate::coordinator) async fn keep(runtime: Weak<Runtime>, schedule: Arc<BackupSchedule>) {
    let look = Duration::from_millis(limits::BACKUP_LOOK_MS);
    let every = schedule.every_ms();
    // Asked once: what opens a backup is made dear on purpose.
    let known = schedule.clone();
    let last = spawn_blocking(move || known.last()).await.ok().flatten();
    let mut due = schedule.due(last.as_ref(), clock::now());
    if let (Some(last), Some(runtime)) = (last, runtime.upgrade()) {
        runtime.backups.kept(last);
    }
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
    let unusable = |error: String| BackupError::Unusable(error);
    // First, as whoever has the directory is waited for: until then another backup may be taken.
    let opening = schedule.clone();
    let opened = spawn_blocking(move || Writer::in_directory(&opening.to, &opening.protection));
    let writer = match opened.await.map_err(|error| unusable(error.to_string()))? {
        Ok(writer) => writer,
        Err(error) => {
            coordinator.runtime.backups.failed.fetch_add(1, Ordering::Relaxed);
            let action = AuditAction::BackupTaken;
            coordinator.refused(action, error.to_string(), &Operator::default());
            return Err(error);
        }
    };
    let what = format!("by its schedule, to {}", schedule.to.display());
    let run = coordinator.begin_backup(&what, true, &Operator::default()).await;
    let run = run.map_err(|error| unusable(error.to_string()))?;
    let written = spawn_blocking(move || schedule.write(run, writer)).await;
    written.map_err(|error| unusable(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use windlass_proto::time::Timestamp;

    use super::{BackupSchedule, LastBackup};
    use crate::backup::Protection;

    #[test]
    fn a_backup_of_tomorrow_does_not_put_the_next_one_off() {
        let schedule = BackupSchedule {
            to: "/nowhere".into(),
            every: Duration::from_secs(3_600),
            keep: 2,
            protection: Protection::None,
        };
        let now = Timestamp(1_795_000_000_000);
        let at = |at: Timestamp| LastBackup { at, done_at: at, bytes: 0, damaged: 0 };
        let hour = 3_600_000;
        assert_eq!(schedule.due(None, now), now);
        assert_eq!(schedule.due(Some(&at(now.plus(24 * hour))), now), now);
        assert_eq!(schedule.due(Some(&at(now)), now), now.plus(hour));
    }
}
