//! Forgetting: instances that ended long ago, and keys nobody asks for any more.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use windlass_proto::id::{Digest, InstanceId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::removal::awaited;
use crate::archive::Archive;
use crate::catalog::Catalog;
use crate::clock;
use crate::early::EarlyEvents;
use crate::journal::{Head, Journal, JournalError};
use crate::partition::{Message, ReleaseTarget};
use crate::retention::RetentionPolicy;

/// What is forgotten, and by whom.
pub(super) struct Retention {
    journal: Arc<dyn Journal>,
    early: Arc<EarlyEvents>,
    catalog: Arc<Catalog>,
    /// The way to the partitions.
    target: Arc<dyn ReleaseTarget>,
    policy: RetentionPolicy,
    /// Where what is over is kept, where it is.
    archive: Option<Archive>,
    /// What definitions want: milliseconds, by digest.
    wanted: HashMap<Digest, Option<u64>>,
}

/// Starts to forget; ends when the sender is dropped.
pub(super) fn start(mut retention: Retention) -> Result<Sender<()>, JournalError> {
    let no_thread = |error| JournalError::Store(format!("no thread to be had: {error}"));
    let (sender, receiver) = mpsc::channel();
    let waits = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let waits = waits.map_err(no_thread)?;
    let run = move || {
        // What a restart has left is dealt with soon.
        let mut pause = limits::RETENTION_FIRST_MS;
        while receiver.recv_timeout(Duration::from_millis(pause)) == Err(RecvTimeoutError::Timeout)
        {
            pause = limits::RETENTION_MS;
            // Removing writes too; it frees room within the journal only.
            if retention.journal.room().paused {
                continue;
            }
            if let Err(error) = retention.early.forget(clock::steady()) {
                tracing::warn!(%error, "forgetting events that were kept in vain failed");
            }
            let stopped = || receiver.try_recv() == Err(mpsc::TryRecvError::Disconnected);
            if let Err(error) = retention.forget(&waits, clock::steady(), stopped) {
                // Writing goes through the committer too, which ends the process when it must.
                tracing::warn!(%error, "removing ended instances failed");
            }
        }
    };
    thread::Builder::new().name("retention".to_owned()).spawn(run).map_err(no_thread)?;
    Ok(sender)
}

impl Retention {
    pub(super) fn new(
        journal: Arc<dyn Journal>,
        early: Arc<EarlyEvents>,
        catalog: Arc<Catalog>,
        target: Arc<dyn ReleaseTarget>,
        (policy, archive): (RetentionPolicy, Option<Archive>),
    ) -> Self {
        Self { journal, early, catalog, target, policy, archive, wanted: HashMap::new() }
    }

    /// Removes what can go at `now`; returns how many instances went.
    fn forget(
        &mut self,
        waits: &tokio::runtime::Runtime,
        now: Timestamp,
        stopped: impl Fn() -> bool,
    ) -> Result<usize, JournalError> {
        self.journal.forget(now)?;
        let mut gone = 0;
        for _ in 0..limits::RETENTION_GOES {
            let known = self.wanted.len();
            let over = self.over(now)?;
            let went = self.remove(waits, over)?;
            gone += went;
            // What was passed over for want of its definition is met again.
            if (went == 0 && self.wanted.len() <= known) || stopped() {
                break;
            }
        }
        // What others have removed as well.
        while !stopped() && self.journal.sweep(limits::RETENTION_INSTANCES)? > 0 {}
        Ok(gone)
    }

    /// Some instances that can go.
    fn over(&mut self, now: Timestamp) -> Result<Vec<(InstanceId, Head)>, JournalError> {
        let unknown = RefCell::new(BTreeSet::new());
        let is_over = |head: &Head| {
            let Some(ended_at) = head.ended_at else { return false };
            let Some(own) = self.wanted.get(&head.digest) else {
                // A scan cannot read definitions: the next one knows it.
                unknown.borrow_mut().insert(head.digest.clone());
                return false;
            };
            let keep = self.policy.keeps(&head.workflow, *own);
            keep.is_some_and(|keep| ended_at.0 < now.0.saturating_sub(keep))
        };
        let over = self.journal.over(&is_over, limits::RETENTION_INSTANCES)?;
        let unknown = unknown.into_inner();
        if unknown.is_empty() {
            return Ok(over);
        }
        if self.wanted.len() + unknown.len() > limits::RETENTION_DEFINITIONS {
            self.wanted.clear();
        }
        for digest in unknown.into_iter().take(limits::RETENTION_DEFINITIONS) {
            let wants = self.wants(&digest);
            self.wanted.insert(digest, wants);
        }
        Ok(over)
    }

    /// What a definition wants. It is compiled only where it has the word.
    fn wants(&self, digest: &Digest) -> Option<u64> {
        let text = self.catalog.by_digest(digest)?.text;
        text.contains("retention").then(|| self.catalog.plan(digest)?.retention).flatten()
    }

    /// Those whose parents do not wait for them any more, and when they ended.
    fn not_awaited(
        &self,
        over: Vec<(InstanceId, Head)>,
    ) -> Result<Vec<(InstanceId, Option<Timestamp>)>, JournalError> {
        let mut known = HashMap::<InstanceId, BTreeSet<InstanceId>>::new();
        let mut left = Vec::with_capacity(over.len());
        for (id, head) in over {
            if let Some(parent) = head.parent {
                let awaited = match known.entry(parent) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(vacant) => vacant.insert(awaited(&*self.journal, parent)?),
                };
                if awaited.contains(&id) {
                    continue;
                }
            }
            left.push((id, head.ended_at));
        }
        Ok(left)
    }

    /// Has partitions remove what is over; returns how many went.
    fn remove(
        &self,
        waits: &tokio::runtime::Runtime,
        over: Vec<(InstanceId, Head)>,
    ) -> Result<usize, JournalError> {
        let mut left = self.not_awaited(over)?;
        if let Some(archive) = &self.archive {
            left.retain(|(id, _)| match archive.write(&*self.journal, &self.catalog, *id) {
                Ok(written) => written,
                Err(error) => {
                    tracing::error!(%id, %error, "not archived, and so not removed");
                    false
                }
            });
        }
        let answers = left.into_iter().map(|(instance, ended_at)| {
            let (reply, answer) = oneshot::channel();
            let partition = instance.partition(self.target.partitions());
            self.target.send(partition, Message::Remove { instance, ended_at, reply });
            answer
        });
        let patience = Duration::from_millis(limits::PARTITION_ANSWER_MS);
        let answers = join_all(answers.collect::<Vec<_>>());
        let answers = waits.block_on(async { tokio::time::timeout(patience, answers).await });
        // Who does not answer in time is asked again in the next round.
        let answers = answers.unwrap_or_default();
        Ok(answers.into_iter().filter(|it| matches!(it, Ok(Ok(())))).count())
    }
}
