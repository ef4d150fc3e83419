//! Forgetting: instances that ended long ago, and keys nobody asks for any more.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use crate::clock;
use crate::early::EarlyEvents;
use crate::journal::{Journal, JournalError};

/// Starts to forget; ends when the sender is dropped. Without `keep`, instances stay for ever.
pub(super) fn start(
    journal: Arc<dyn Journal>,
    early: Arc<EarlyEvents>,
    keep: Option<Duration>,
) -> Result<Sender<()>, JournalError> {
    let (sender, receiver) = mpsc::channel();
    let run = move || {
        while receiver.recv_timeout(Duration::from_millis(limits::RETENTION_MS))
            == Err(RecvTimeoutError::Timeout)
        {
            // Removing writes too; it frees room within the journal only.
            if journal.room().paused {
                continue;
            }
            if let Err(error) = early.forget(clock::steady()) {
                tracing::warn!(%error, "forgetting events that were kept in vain failed");
            }
            let stopped = || receiver.try_recv() == Err(mpsc::TryRecvError::Disconnected);
            if let Err(error) = forget(&*journal, clock::steady(), keep, stopped) {
                // Writing goes through the committer too, which ends the process when it must.
                tracing::warn!(%error, "removing ended instances failed");
            }
        }
    };
    thread::Builder::new()
        .name("retention".to_owned())
        .spawn(run)
        .map_err(|error| JournalError::Store(format!("no thread to be had: {error}")))?;
    Ok(sender)
}

/// Removes what can go at `now`; returns how many instances went.
fn forget(
    journal: &dyn Journal,
    now: Timestamp,
    keep: Option<Duration>,
    stopped: impl Fn() -> bool,
) -> Result<usize, JournalError> {
    journal.forget(now)?;
    let Some(keep) = keep else { return Ok(0) };
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let before = Timestamp(now.0.saturating_sub(keep));
    let mut gone = 0;
    for _ in 0..limits::RETENTION_GOES {
        let went = journal.retain(before, limits::RETENTION_INSTANCES)?;
        gone += went;
        if went == 0 || stopped() {
            break;
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use windlass_proto::id::{Digest, InstanceId, PartitionId, WorkflowId};
    use windlass_proto::time::Timestamp;

    use super::forget;
    use crate::journal::memory::MemoryJournal;
    use crate::journal::{Commit, Head, InstanceWrite, Journal, Status};

    fn ended(id: u128, at: u64) -> Commit {
        let text = |it: &str| Arc::<str>::from(it);
        let head = Head {
            workflow: WorkflowId { namespace: text("n"), name: text("w"), version: text("1.0.0") },
            digest: Digest::of("text"),
            status: Status::Completed,
            started_at: Timestamp(at),
            ended_at: Some(Timestamp(at)),
            labels: Vec::new(),
            parent: None,
            root: None,
            output: None,
            error: None,
        };
        let write = InstanceWrite {
            instance: InstanceId(uuid::Uuid::from_u128(id)),
            sequence: 0,
            count: 1,
            facts: vec![1].into(),
            head: Some(head),
            hot: None,
            snapshot: None,
        };
        Commit { partition: PartitionId(0), writes: vec![write], ..Commit::default() }
    }

    #[test]
    fn only_what_ended_before_its_time_goes() {
        let journal = MemoryJournal::in_memory(1).unwrap();
        journal.commit(&[ended(1, 1_000), ended(2, 50_000)]).unwrap();
        let now = Timestamp(60_000);
        assert_eq!(forget(&journal, now, None, || false).unwrap(), 0);
        assert_eq!(forget(&journal, now, Some(Duration::from_secs(30)), || false).unwrap(), 1);
        let head = |id| journal.head(InstanceId(uuid::Uuid::from_u128(id))).unwrap();
        assert!(head(1).is_none());
        assert!(head(2).is_some());
    }
}
