//! Taking over: the lease, the end of the log, an epoch of one's own; then what the log lacks, and
//! the journal.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use windlass_bus::Bus;
use windlass_proto::limits;
use windlass_proto::wire::subject::Prefix;

use super::appender::Appender;
use super::entry::{Entry, Part, Sealer};
use super::files::Told;
use super::follow::{FollowError, Follower};
use super::stream::{Appended, Away, Extent, LogStream, patience};
use crate::fleet::Fleet;
use crate::journal::JournalError;
use crate::journal::replicated::{Followed, LogPosition};
use crate::journal::sled::SledJournal;
use crate::journal::sled::replica::Replica;

/// What is needed to lead.
pub(super) struct Takeover<'a> {
    pub(super) log: &'a Arc<LogStream>,
    pub(super) sealer: &'a Arc<Sealer>,
    pub(super) bus: &'a Bus,
    pub(super) prefix: &'a Prefix,
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
    /// Which cluster it is.
    cluster: u64,
    message: Bytes,
}

/// What a log lacks that the directory has.
struct Lacking {
    extent: Extent,
    /// The last message of the cluster's; 0 where there is none.
    end: u64,
    followed: Option<LogPosition>,
    is_ahead: bool,
    has_held: bool,
    /// Whether the log begins with a snapshot, where it begins with an epoch.
    begins: Option<bool>,
}

impl Lacking {
    /// Whether it needs a snapshot: to append the batch that is held mends only a log that has all
    /// that is before it.
    fn is_more_than_the_held_batch(&self) -> bool {
        let Self { extent, end, followed, is_ahead, has_held, begins } = *self;
        let is_behind = followed.is_some_and(|it| end < it.sequence);
        let is_headless = begins.is_none_or(|snapshot| !snapshot && extent.first > 1);
        extent.messages == 0
            || extent.missing() > 0
            || is_headless
            || (is_ahead && (!has_held || is_behind))
    }
}

impl Takeover<'_> {
    /// Takes over, of who has the lease. Fails as [`FollowError::Away`] when others append all the
    /// time.
    pub(super) async fn run(
        &self,
        mut follower: Follower,
    ) -> Result<(Arc<Appender>, SledJournal), FollowError> {
        let deadline = Instant::now() + Duration::from_millis(limits::CLUSTER_CATCH_UP_MS);
        for _ in 0..limits::CLUSTER_EPOCH_TRIES {
            let extent = self.caught_up(&mut follower, deadline).await?;
            if extent.messages == 0 {
                self.is_alone().await?;
            }
            let plan = self.plan(&mut follower, extent).await?;
            if self.append_epoch(&plan, deadline).await? {
                return self.lead(follower, plan).await;
            }
            follower.unsettle();
        }
        Err(Away("others append to the log all the time".to_owned()).into())
    }

    /// A log that begins fences nobody: not who leads the fleet alone, nor a cluster of another
    /// name.
    async fn is_alone(&self) -> Result<(), FollowError> {
        if !Fleet::is_led(self.bus, self.prefix).await {
            return Ok(());
        }
        Err(FollowError::Journal(JournalError::LogMisfit(format!(
            "the log of this cluster is empty, and another coordinator leads a fleet under the name \
             `{}` already: stop it first; where it is of a cluster, give this one the same --cluster; \
             else give this one another --bus",
            self.prefix
        ))))
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
            follower.compare(extent.last);
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
        let (held, is_empty, known) = follower
            .with(|replica| {
                let known = (replica.held_batch(), replica.is_empty(), replica.identity());
                Ok((replica, known))
            })
            .await?;
        let end = follower.end().await?;
        let previous = end.map_or(0, |it| it.sequence);
        let last_epoch = end.map_or(0, |it| it.epoch);
        let begin = follower.log_begin(extent).await?;
        let cluster = match known.or(begin.map(|it| it.1)) {
            Some(known) => known,
            None => random()?,
        };
        let is_lacking = Lacking {
            extent,
            end: previous,
            followed: follower.followed().map(|it| it.position),
            is_ahead: follower.is_ahead(),
            has_held: held.is_some(),
            begins: begin.map(|it| it.0),
        }
        .is_more_than_the_held_batch();
        let snapshot = !is_empty && (follower.skips() || is_lacking);
        let mut after = follower.furthest();
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
        let epoch = last_epoch.max(after.map_or(0, |it| it.epoch)).saturating_add(1);
        let before = LogPosition { epoch, term: random()?, sequence: extent.last };
        let entry = Entry::Epoch { after, snapshot, cluster, url: self.url.to_owned() };
        let parts = Part::of(&entry, self.log.part_bytes());
        let [part] = parts.as_slice() else {
            return Err(JournalError::LogMisfit("--advertise is too long".to_owned()).into());
        };
        let message = self.sealer.seal(part, before, previous)?.into();
        Ok(Plan { before, after, held, snapshot, cluster, message })
    }

    /// Appends the epoch; false when another entry came first.
    async fn append_epoch(&self, plan: &Plan, deadline: Instant) -> Result<bool, FollowError> {
        let (message, last) = (plan.message.clone(), plan.before.sequence);
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
        let Plan { before, after, held, snapshot, cluster, .. } = plan;
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
            replica.identify(cluster)?;
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

#[cfg(test)]
mod tests {
    use super::{Extent, Lacking, LogPosition};

    fn lacking(first: u64, last: u64, messages: u64, followed: u64) -> Lacking {
        let followed = Some(LogPosition { epoch: 1, term: 1, sequence: followed });
        let extent = Extent { first, last, messages };
        let begins = (messages > 0).then_some(first > 1);
        Lacking { extent, end: last, followed, is_ahead: true, has_held: true, begins }
    }

    #[test]
    fn only_a_log_that_lacks_nothing_but_the_held_batch_gets_that_alone() {
        assert!(!lacking(1, 8, 8, 8).is_more_than_the_held_batch());
        assert!(!lacking(5, 8, 4, 8).is_more_than_the_held_batch());
        assert!(lacking(1, 7, 7, 8).is_more_than_the_held_batch(), "one more is lost");
        assert!(lacking(1, 9, 8, 8).is_more_than_the_held_batch(), "there is a hole");
        assert!(lacking(0, 0, 0, 8).is_more_than_the_held_batch(), "all is lost");
        let beheaded = Lacking { begins: Some(false), ..lacking(5, 8, 4, 8) };
        assert!(beheaded.is_more_than_the_held_batch(), "its begin is lost");
        let replaced = Lacking { end: 7, ..lacking(1, 8, 8, 8) };
        assert!(replaced.is_more_than_the_held_batch(), "somebody else's has the place");
        let none_held = Lacking { has_held: false, ..lacking(1, 7, 7, 8) };
        assert!(none_held.is_more_than_the_held_batch());
        let within = Lacking { is_ahead: false, has_held: false, ..lacking(1, 8, 8, 8) };
        assert!(!within.is_more_than_the_held_batch());
    }
}
