//! Taking over: the lease, the end of the log, an epoch of one's own; then what the log lacks, and
//! the journal.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use windlass_proto::limits;

use super::appender::Appender;
use super::entry::{Entry, Sealer};
use super::files::Told;
use super::follow::{FollowError, Follower};
use super::stream::{Appended, Away, Extent, LogStream, patience};
use crate::journal::JournalError;
use crate::journal::replicated::{Followed, LogPosition};
use crate::journal::sled::SledJournal;
use crate::journal::sled::replica::Replica;

/// What is needed to lead.
pub(super) struct Takeover<'a> {
    pub(super) log: &'a Arc<LogStream>,
    pub(super) sealer: &'a Arc<Sealer>,
    pub(super) url: &'a str,
    pub(super) lasts: Duration,
    pub(super) directory: &'a Path,
}

/// How a leadership begins.
struct Plan {
    before: LogPosition,
    after: Option<LogPosition>,
    /// The batch that the log has lost.
    held: Option<Vec<u8>>,
    snapshot: bool,
    messages: Vec<Vec<u8>>,
}

impl Takeover<'_> {
    /// Takes over, of who has the lease. None when the log went on for too long.
    pub(super) async fn run(
        &self,
        mut follower: Follower,
    ) -> Result<(Arc<Appender>, SledJournal), FollowError> {
        let deadline = Instant::now() + Duration::from_millis(limits::CLUSTER_CATCH_UP_MS);
        for _ in 0..limits::CLUSTER_EPOCH_TRIES {
            let extent = self.caught_up(&mut follower, deadline).await?;
            let plan = self.plan(&mut follower, extent).await?;
            if self.append_epoch(&plan, deadline).await? {
                return self.lead(follower, plan).await;
            }
            follower.unsettle();
        }
        Err(Away("others append to the log all the time".to_owned()).into())
    }

    /// Applies all that the log has.
    async fn caught_up(
        &self,
        follower: &mut Follower,
        deadline: Instant,
    ) -> Result<Extent, FollowError> {
        let pause = Duration::from_millis(limits::CLUSTER_RETRY_MS);
        // Who sent the messages so far may be gone with the leader.
        follower.read_anew();
        while Instant::now() < deadline {
            let extent = self.log.extent().await?;
            if follower.is_ahead() || follower.has_read(extent.last) {
                return Ok(extent);
            }
            let tried = match timeout(patience(), follower.ready()).await {
                Ok(Ok(())) => follower.go_on().await,
                Ok(Err(error)) => Err(error),
                Err(_) => Err(Away("messages do not come".to_owned()).into()),
            };
            match tried {
                Err(FollowError::Away(_)) => {
                    follower.read_anew();
                    tokio::time::sleep(pause).await;
                }
                done => done?,
            }
        }
        Err(Away("the end of the log was not reached in time".to_owned()).into())
    }

    async fn plan(&self, follower: &mut Follower, extent: Extent) -> Result<Plan, FollowError> {
        let is_ahead = follower.is_ahead();
        let skips = follower.skips();
        let (held, is_empty, followed) = follower
            .with(|replica| {
                let known = (replica.held_batch(), replica.is_empty(), replica.followed());
                Ok((replica, known))
            })
            .await?;
        let furthest = follower.furthest();
        let last = self.log.message(extent.last).await?;
        let last = last.map(|it| self.sealer.open(extent.last, &it)).transpose()?;
        let last_epoch = last.map_or(0, |it| it.position.epoch);
        let mut after = furthest;
        if !is_empty && after.is_none() {
            // A journal that begins a cluster has a place before all others, to be known again by.
            let genesis = LogPosition { epoch: 0, term: random()?, sequence: 0 };
            let begin = move |mut replica: Replica| {
                replica.apply(&[], Followed { position: genesis, whole: true })?;
                Ok((replica, ()))
            };
            follower.with(begin).await?;
            after = Some(genesis);
        }
        let unfilled = match (&held, followed, furthest) {
            // What is missing at the end is what is held.
            (Some(_), Some(followed), Some(held)) => {
                extent.missing() > held.sequence.saturating_sub(followed.position.sequence)
            }
            _ => extent.missing() > 0,
        };
        let empty_log = extent.messages == 0;
        let snapshot =
            !is_empty && (empty_log || skips || unfilled || (is_ahead && held.is_none()));
        let epoch = last_epoch.max(after.map_or(0, |it| it.epoch)).saturating_add(1);
        let before = LogPosition { epoch, term: random()?, sequence: extent.last };
        let entry = Entry::Epoch { after, snapshot, url: self.url.to_owned() };
        let messages = self.sealer.seal(&entry, before, self.log.part_bytes())?;
        Ok(Plan { before, after, held, snapshot, messages })
    }

    /// Appends the epoch; false when another entry came first.
    async fn append_epoch(&self, plan: &Plan, deadline: Instant) -> Result<bool, FollowError> {
        let [message] = plan.messages.as_slice() else {
            return Err(JournalError::LogMisfit("--advertise is too long".to_owned()).into());
        };
        let (message, last) = (Bytes::from(message.clone()), plan.before.sequence);
        loop {
            let appended = self.log.append(last, message.clone()).await;
            match (appended, self.log.message(last + 1).await) {
                (Ok(Appended::Done), _) => return Ok(true),
                (_, Ok(Some(found))) => return Ok(found == message),
                (Ok(Appended::Refused), Ok(None)) => return Ok(false),
                // Whether it came to pass is not known yet.
                (Err(_), Ok(None)) | (_, Err(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(limits::CLUSTER_RETRY_MS)).await;
                }
                (Err(away), _) | (_, Err(away)) => return Err(away.into()),
            }
        }
    }

    async fn lead(
        &self,
        mut follower: Follower,
        plan: Plan,
    ) -> Result<(Arc<Appender>, SledJournal), FollowError> {
        let Plan { before, after, held, snapshot, .. } = plan;
        let first = LogPosition { sequence: before.sequence + 1, ..before };
        let epoch = first.epoch;
        tracing::info!(epoch, sequence = first.sequence, "leads the cluster");
        let runtime = Handle::current();
        let (log, sealer) = (self.log.clone(), self.sealer.clone());
        let appender = Arc::new(Appender::new(log, sealer, first, self.lasts, runtime));
        appender.renewed();
        match after.filter(|_| held.is_some() || snapshot) {
            Some(after) if after.epoch == 0 => {
                tracing::info!("writes its journal to the log of a new cluster");
            }
            Some(after) if !snapshot => tracing::error!(
                here = after.sequence,
                log = before.sequence,
                "the log of the cluster has lost its last entry: it is appended again"
            ),
            Some(after) => tracing::error!(
                here = after.sequence,
                log = before.sequence,
                "the log of the cluster is not whole: this leader writes all that it has to it"
            ),
            None => {}
        }
        let (writer, directory) = (appender.clone(), self.directory.to_owned());
        let complete = move |mut replica: Replica| {
            if snapshot {
                replica.resolve(true)?;
                replica
                    .records(&mut |batch| writer.append_entry(&Entry::Records(batch)).map(drop))?;
                Told::default().tell(&writer, &directory)?;
                let position = writer.append_entry(&Entry::Whole)?;
                replica.apply(&[], Followed { position, whole: true })?;
            } else if let Some(batch) = held {
                let position = writer.append_entry(&Entry::Batch(batch))?;
                replica.resolve(true)?;
                replica.apply(&[], Followed { position, whole: true })?;
            }
            Ok((replica, ()))
        };
        follower.with(complete).await?;
        if snapshot && let Err(error) = self.log.purge(first.sequence).await {
            tracing::warn!(%error, "what is before the snapshot stays in the log for now");
        }
        let (replica, writer) = (follower.into_replica()?, appender.clone());
        let journal = tokio::task::spawn_blocking(move || replica.lead(writer)).await;
        let journal = journal.map_err(|error| JournalError::Store(error.to_string()))??;
        Ok((appender, journal))
    }
}

fn random() -> Result<u64, JournalError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| JournalError::Store(error.to_string()))?;
    Ok(u64::from_be_bytes(bytes))
}
