//! Backups of a running coordinator: one at a time, each in the audit trail with what came of it.

mod schedule;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use windlass_proto::audit::AuditAction;
use windlass_proto::metric::Snapshot;
use windlass_proto::metric::table::backups;
use windlass_proto::time::Timestamp;

use super::outcomes::Outcomes;
use super::{Coordinator, CoordinatorError, Operator};
use crate::audit;
use crate::backup::{self, BackupError, LastBackup, Restored, Sink, Source, Totals};
use crate::clock;

pub use schedule::BackupSchedule;
pub(super) use schedule::keep;

/// What there is to know of backups.
#[derive(Debug, Default)]
pub(super) struct BackupState {
    /// The directory that has the files beside the journal.
    data_dir: Option<PathBuf>,
    running: AtomicBool,
    succeeded: AtomicU64,
    /// Handed over to whoever asked; whether they have it, they know.
    sent: AtomicU64,
    /// Of a journal that has damaged records.
    damaged: AtomicU64,
    failed: AtomicU64,
    last: Mutex<Option<LastBackup>>,
}

impl BackupState {
    pub(super) fn new(data_dir: Option<PathBuf>) -> Self {
        Self { data_dir, ..Self::default() }
    }

    pub(super) fn measured(&self, snapshot: &mut Snapshot) {
        let counts = [
            ("succeeded", &self.succeeded),
            ("sent", &self.sent),
            ("damaged", &self.damaged),
            ("failed", &self.failed),
        ];
        for (outcome, count) in counts {
            snapshot.labelled(&backups::TAKEN, [outcome], count.load(Ordering::Relaxed));
        }
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        snapshot.add(&backups::LAST_SUCCESS, last.map_or(0.0, |it| seconds(it.done_at.0)));
        snapshot
            .add(&backups::LAST_DURATION, last.map_or(0.0, |it| seconds(it.done_at.since(it.at))));
        snapshot.add(&backups::LAST_BYTES, last.map_or(0, |it| it.bytes));
    }

    /// Takes note of the last one that is kept, unless what it is of was damaged.
    fn kept(&self, last: LastBackup) {
        if last.damaged == 0 {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        }
    }
}

/// A backup that may be taken now. When it is dropped, another one may.
pub(crate) struct BackupRun {
    state: Arc<BackupState>,
    coordinator: Coordinator,
    outcomes: Option<Outcomes>,
    /// What is handed over is kept once that is done.
    kept: bool,
    began: Timestamp,
    done: bool,
}

impl Drop for BackupRun {
    fn drop(&mut self) {
        self.state.running.store(false, Ordering::Release);
        if !self.done {
            self.state.failed.fetch_add(1, Ordering::Relaxed);
            self.tell(Err("the backup could not be begun".to_owned()));
        }
    }
}

/// Counts what goes through, until the coordinator stops.
struct Counting<'a> {
    sink: &'a mut dyn Sink,
    coordinator: &'a Coordinator,
    bytes: u64,
}

impl Counting<'_> {
    fn count(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        if self.coordinator.runtime.is_stopping() {
            return Err(BackupError::Unusable("the coordinator is stopping".to_owned()));
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

impl Sink for Counting<'_> {
    fn begin(&mut self, about: backup::About) -> Result<(), BackupError> {
        self.sink.begin(about)
    }

    fn piece(&mut self, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.count(&bytes)?;
        self.sink.piece(bytes)
    }

    fn file(&mut self, head: backup::FileHead) -> Result<(), BackupError> {
        self.sink.file(head)
    }

    fn content(&mut self, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.count(&bytes)?;
        self.sink.content(bytes)
    }

    fn end(&mut self, totals: Totals) -> Result<(), BackupError> {
        self.sink.end(totals)
    }
}

impl BackupRun {
    /// Takes it. Blocking, for as long as that takes.
    ///
    /// # Errors
    /// When something cannot be read, or `sink` does not take it.
    pub(crate) fn take(mut self, sink: &mut dyn Sink) -> Result<Totals, BackupError> {
        let data_dir = self.state.data_dir.as_deref();
        let journal = self.coordinator.runtime.journal.clone();
        let mut counting = Counting { sink, coordinator: &self.coordinator, bytes: 0 };
        let taken = backup::take(Source { journal: &*journal, data_dir }, &mut counting);
        let bytes = counting.bytes;
        let now = clock::now();
        self.done = true;
        match &taken {
            Ok(totals) => {
                let duration_ms = now.since(self.began);
                let Totals { changes, damaged } = *totals;
                if self.kept {
                    let at = self.began;
                    self.state.kept(LastBackup { at, done_at: now, bytes, damaged });
                }
                let count = match (damaged, self.kept) {
                    (0, true) => &self.state.succeeded,
                    (0, false) => &self.state.sent,
                    _ => &self.state.damaged,
                };
                count.fetch_add(1, Ordering::Relaxed);
                tracing::info!(records = changes, damaged, bytes, duration_ms, "backup taken");
                if damaged > 0 {
                    tracing::error!(
                        damaged,
                        "records of the journal are damaged, and so they are in the backup: run \
                         `windlass fsck`"
                    );
                }
            }
            Err(error) => {
                self.state.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "backup failed");
            }
        }
        let told = match &taken {
            Ok(Totals { damaged: 0, .. }) => Ok(()),
            Ok(Totals { damaged, .. }) => {
                Err(format!("{damaged} records of the journal are damaged, and so in the backup"))
            }
            Err(error) => Err(error.to_string()),
        };
        self.tell(told);
        taken
    }

    /// Tells the audit trail what came of it.
    fn tell(&mut self, result: Result<(), String>) {
        match (self.outcomes.take(), result) {
            (Some(outcomes), result) => outcomes.are(result),
            // By its schedule: that it was begun is there already.
            (None, Ok(())) => {}
            (None, Err(why)) => {
                let action = AuditAction::BackupTaken;
                self.coordinator.refused(action, why, &Operator::default());
            }
        }
    }
}

impl Coordinator {
    /// Begins a backup that an operator asks for, or that is due. It is told to the audit trail
    /// first; what comes of it follows when it ends. It is `kept` where it is written here; who
    /// gets it over the API knows alone what became of it.
    ///
    /// # Errors
    /// When another one is being taken, or it cannot be kept in the trail.
    pub(crate) async fn begin_backup(
        &self,
        what: &str,
        kept: bool,
        by: &Operator,
    ) -> Result<BackupRun, CoordinatorError> {
        let state = self.runtime.backups.clone();
        if self.runtime.is_stopping() {
            return Err(self.stopped());
        }
        if state.running.swap(true, Ordering::AcqRel) {
            return Err(BackupError::Running.into());
        }
        // The answer begins before the backup ends, so this tells by itself what came of it.
        let by = by.apart();
        let outcomes = self.outcomes(&by);
        let run = BackupRun {
            state,
            coordinator: self.clone(),
            outcomes,
            kept,
            began: clock::now(),
            done: false,
        };
        let action = AuditAction::BackupTaken;
        self.audited_even_without_room(action, None, what.to_owned(), &by).await?;
        Ok(run)
    }

    /// Tells log and audit trail that this coordinator was restored from a backup, once.
    pub(super) fn tell_restored(&self) {
        let Some(directory) = self.runtime.backups.data_dir.clone() else { return };
        let restored = match backup::restored(&directory) {
            Ok(Some(restored)) => restored,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "what this was restored from is not known"),
        };
        let Restored { backup, at, generation, .. } = &restored;
        tracing::warn!(
            backup,
            at,
            generation,
            "restored from a backup: what happened after it was taken is not known here"
        );
        let event = audit::own(AuditAction::BackupRestored, true, |event| {
            event.detail = Some(format!("from the backup {backup} of {at}").into());
        });
        let told = move || forget_restored(&directory);
        self.runtime.router.secrets.audit.keep(vec![event], told);
    }
}

fn forget_restored(directory: &Path) {
    if let Err(error) = backup::forget_restored(directory) {
        tracing::warn!(%error, "that this was restored is told again at the next start");
    }
}
