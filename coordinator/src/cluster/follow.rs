//! Following the log: each entry that others append is applied to this directory, in order.
//!
//! Before anything is applied it must be clear that what the directory has is in the log: the last
//! batch may be one that the log never got (then it is dropped, as nobody was told of it), or one
//! that the log has lost (then it is kept, for when this coordinator leads).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_nats::jetstream::consumer::pull::Ordered;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use windlass_proto::limits;

use super::entry::{Assembler, Entry, Sealer};
use super::files;
pub(super) use super::places::FollowError;
use super::places::{Junk, end, first_from, lacks, owner};
use super::stream::{Away, Extent, LogStream};
use crate::journal::JournalError;
use crate::journal::replicated::{Followed, LogPosition};
use crate::journal::sled::Options;
use crate::journal::sled::replica::Replica;

/// How what the directory has stands to what the log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not looked at yet.
    Unknown,
    /// The log has all of it, and the next message is known.
    Within,
    /// The directory has more than the log.
    Ahead,
}

/// Follows the log of a group with a directory.
pub(super) struct Follower {
    log: Arc<LogStream>,
    sealer: Arc<Sealer>,
    directory: PathBuf,
    /// None while it is being worked on.
    replica: Option<Replica>,
    standing: Standing,
    /// The next sequence number that is to be read.
    next: u64,
    /// What that was at the last beat.
    seen: u64,
    /// Whose the message before that is; none where nothing was read.
    of: Option<LogPosition>,
    messages: Option<Ordered>,
    /// What was read and is not applied.
    read: VecDeque<(u64, Bytes)>,
    assembler: Assembler,
    junk: Junk,
    /// Changes count only after a snapshot.
    needs_snapshot: bool,
    /// A snapshot is going on of which the directory has all.
    skips: bool,
}

/// Entries that are applied in one go.
struct Applied {
    batches: Vec<Vec<u8>>,
    bytes: usize,
    at: Option<LogPosition>,
}

impl Follower {
    /// Opens the directory. Blocking.
    pub(super) fn open(
        log: Arc<LogStream>,
        sealer: Arc<Sealer>,
        cluster: &str,
        directory: &Path,
        options: &Options,
    ) -> Result<Self, JournalError> {
        let replica = Replica::open(directory, cluster, options)?;
        Ok(Self {
            log,
            sealer,
            directory: directory.to_owned(),
            replica: Some(replica),
            standing: Standing::Unknown,
            next: 0,
            seen: 0,
            of: None,
            messages: None,
            read: VecDeque::new(),
            assembler: Assembler::default(),
            junk: Junk::default(),
            needs_snapshot: false,
            skips: false,
        })
    }

    fn replica(&self) -> Result<&Replica, JournalError> {
        self.replica.as_ref().ok_or_else(broken)
    }

    /// How far the directory has come.
    pub(super) fn followed(&self) -> Option<Followed> {
        self.replica.as_ref()?.followed()
    }

    /// How far the directory has come, with what is held back.
    pub(super) fn furthest(&self) -> Option<LogPosition> {
        let held = self.replica.as_ref()?.held();
        held.or(self.followed().map(|it| it.position))
    }

    pub(super) fn is_ahead(&self) -> bool {
        self.standing == Standing::Ahead
    }

    /// Whether a snapshot was broken off of which the directory has all.
    pub(super) fn skips(&self) -> bool {
        self.skips
    }

    /// The last message of the cluster's, once all is read or this one is ahead.
    pub(super) async fn end(&self) -> Result<Option<LogPosition>, FollowError> {
        if self.standing == Standing::Ahead {
            return end(&self.log, &self.sealer).await;
        }
        let Some(of) = self.of else { return Ok(None) };
        // However many of somebody else's came behind it.
        if let Some(message) = self.log.message(of.sequence).await?
            && let Some(found) = self.sealer.open(of.sequence, &message)?
            && !found.position.is_of(&of)
        {
            return Err(Away("the log has gone another way meanwhile".to_owned()).into());
        }
        Ok(Some(of))
    }

    /// Whether all before this sequence number is applied.
    pub(super) fn has_read(&self, last: u64) -> bool {
        self.standing == Standing::Within && self.read.is_empty() && self.next > last
    }

    /// Why it cannot lead, if it cannot.
    pub(super) fn unfit(&self) -> Option<&'static str> {
        let replica = self.replica.as_ref()?;
        match self.standing {
            Standing::Unknown => Some("has not read the log yet"),
            _ if !replica.is_whole() => Some("is being filled from the log"),
            _ if self.needs_snapshot => Some("waits for a snapshot in the log"),
            _ => None,
        }
    }

    /// Looks anew where the log does not reach to what was read of it: it has lost its end.
    pub(super) fn compare(&mut self, last: u64) {
        if self.standing == Standing::Within && self.next > last.saturating_add(1) {
            self.unsettle();
        }
    }

    /// Whether it is so far behind that another one should take over.
    pub(super) fn is_late(&self, last: u64) -> bool {
        let reach = self.next.saturating_add(limits::CLUSTER_APPLY_ENTRIES as u64);
        self.standing == Standing::Within && reach < last
    }

    /// Reads anew where messages do not come that are there: whoever sent them may have forgotten.
    pub(super) fn nudge(&mut self, last: u64) {
        let stuck = self.messages.is_some() && self.read.is_empty() && self.next <= last;
        if stuck && self.seen == self.next {
            self.read_anew();
        }
        self.seen = self.next;
    }

    pub(super) fn read_anew(&mut self) {
        self.messages = None;
    }

    /// Gives the directory away, to be led.
    pub(super) fn into_replica(self) -> Result<Replica, JournalError> {
        self.replica.ok_or_else(broken)
    }

    /// Runs what blocks with the directory.
    pub(super) async fn with<T: Send + 'static>(
        &mut self,
        run: impl FnOnce(Replica) -> Result<(Replica, T), JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let replica = self.replica.take().ok_or_else(broken)?;
        let done = tokio::task::spawn_blocking(move || run(replica)).await;
        let (replica, value) = done.map_err(|_| broken())??;
        self.replica = Some(replica);
        Ok(value)
    }

    /// Waits until there is something to apply, or to find out. Nothing is lost where this is
    /// dropped.
    pub(super) async fn ready(&mut self) -> Result<(), FollowError> {
        let Some(messages) = &mut self.messages else { return Ok(()) };
        if self.read.is_empty() {
            match messages.next().await {
                Some(Ok(message)) => self.read.push_back(numbered(&message)?),
                other => {
                    self.messages = None;
                    let why = other.and_then(Result::err).map(|it| it.to_string());
                    return Err(Away(why.unwrap_or_else(|| "reading ended".to_owned())).into());
                }
            }
        }
        // What is there already goes into the same write.
        while self.read.len() < limits::CLUSTER_APPLY_ENTRIES
            && let Some(Some(Ok(message))) = messages.next().now_or_never()
        {
            self.read.push_back(numbered(&message)?);
        }
        Ok(())
    }

    /// Applies what was read. Not to be dropped in the middle.
    pub(super) async fn go_on(&mut self) -> Result<(), FollowError> {
        if self.standing == Standing::Unknown {
            return self.look().await;
        }
        if self.messages.is_none() {
            self.read.clear();
            self.messages = Some(self.log.read(self.next).await?);
            return Ok(());
        }
        if self.standing == Standing::Ahead {
            // Each message of another may change how things stand.
            return self.look().await;
        }
        let mut applied = Applied { batches: Vec::new(), bytes: 0, at: None };
        while let Some((sequence, bytes)) = self.read.pop_front() {
            if sequence < self.next {
                // A consumer that was made anew before it had given anything begins at the begin.
                self.read_anew();
                break;
            }
            let Some(message) = self.sealer.open(sequence, &bytes)? else {
                // The next one of the cluster's says whether it was one.
                self.next = sequence + 1;
                self.junk.passed_over(sequence);
                continue;
            };
            let (position, begins) = (message.position, message.begins());
            if self.needs_snapshot && !begins {
                (self.next, self.of) = (sequence + 1, Some(position));
                continue;
            }
            if !begins && self.of.is_some_and(|it| !it.is_of(&position)) {
                // The epoch before it was not read: what was there when that was is not any more.
                self.flush(&mut applied).await?;
                self.unsettle();
                return Err(Away(format!("message {sequence} is of another leadership")).into());
            }
            let (previous, read) = (message.previous, self.of.map_or(0, |it| it.sequence));
            let missing = (previous != read && !self.needs_snapshot).then_some(previous);
            let entry = self.assembler.push(message)?;
            // Who writes all that it has fills every gap before that.
            let fills = matches!(entry, Some(Entry::Epoch { snapshot: true, .. }));
            if let Some(missing) = missing.filter(|_| !fills) {
                self.flush(&mut applied).await?;
                if missing < read {
                    // What was read here is not in the log that goes on.
                    self.unsettle();
                    return Err(Away(format!("message {sequence} goes on from {missing}")).into());
                }
                return Err(lacks(missing, sequence).into());
            }
            (self.next, self.of) = (sequence + 1, Some(position));
            if let Some(entry) = entry {
                self.take(entry, position, &mut applied).await?;
            }
        }
        Ok(self.flush(&mut applied).await?)
    }

    async fn flush(&mut self, applied: &mut Applied) -> Result<(), JournalError> {
        let Some(position) = applied.at.take() else { return Ok(()) };
        let batches = std::mem::take(&mut applied.batches);
        applied.bytes = 0;
        let whole = self.replica()?.is_whole();
        self.apply(batches, Followed { position, whole }).await
    }

    async fn apply(
        &mut self,
        batches: Vec<Vec<u8>>,
        followed: Followed,
    ) -> Result<(), JournalError> {
        let apply = move |mut replica: Replica| {
            replica.apply(&batches, followed)?;
            Ok((replica, ()))
        };
        self.with(apply).await
    }

    async fn take(
        &mut self,
        entry: Entry,
        position: LogPosition,
        applied: &mut Applied,
    ) -> Result<(), JournalError> {
        match entry {
            Entry::Batch(_) | Entry::Records(_) if self.skips => Ok(()),
            Entry::Batch(batch) | Entry::Records(batch) => {
                applied.bytes += batch.len();
                applied.batches.push(batch);
                applied.at = Some(position);
                match applied.bytes >= limits::CLUSTER_APPLY_BYTES {
                    true => self.flush(applied).await,
                    false => Ok(()),
                }
            }
            Entry::File { name, bytes } => {
                let directory = self.directory.clone();
                let put = move |replica| {
                    files::put(&directory, &name, bytes.as_deref())?;
                    Ok((replica, ()))
                };
                self.with(put).await?;
                if !self.skips {
                    applied.at = Some(position);
                }
                Ok(())
            }
            Entry::Epoch { after, snapshot, cluster, .. } => {
                self.flush(applied).await?;
                self.identify(cluster).await?;
                self.begin(position, after, snapshot).await
            }
            Entry::Whole => {
                self.flush(applied).await?;
                (self.needs_snapshot, self.skips) = (false, false);
                self.apply(Vec::new(), Followed { position, whole: true }).await
            }
        }
    }

    /// The log is of this cluster: the directory must be of it, too.
    async fn identify(&mut self, cluster: u64) -> Result<(), JournalError> {
        match self.replica()?.identity() {
            Some(own) if own == cluster => Ok(()),
            Some(_) => Err(self.of_another()),
            None => {
                self.with(move |mut replica| {
                    replica.identify(cluster)?;
                    Ok((replica, ()))
                })
                .await
            }
        }
    }

    fn of_another(&self) -> JournalError {
        JournalError::LogMisfit(format!(
            "{} is of a cluster of the same name whose log is gone: the log that is there was begun \
             anew. Move the directory aside and start again, and it is filled from the log; or, where \
             this directory is the one to go on with, stop all, delete the log (`nats stream rm`) and \
             start this one first",
            self.directory.display()
        ))
    }

    /// Another leadership begins.
    async fn begin(
        &mut self,
        position: LogPosition,
        after: Option<LogPosition>,
        snapshot: bool,
    ) -> Result<(), JournalError> {
        let followed = self.followed();
        let own = followed.filter(|it| it.whole).map(|it| it.position);
        let is_earlier = |own: LogPosition| own.epoch > position.epoch || own.is_of(&position);
        if !snapshot && self.needs_snapshot && own.is_some_and(is_earlier) {
            // It is passed over, as the directory had come further.
            return Ok(());
        }
        let is_within = own.is_none_or(|own| after.is_some_and(|after| own.is_within(&after)));
        if !is_within {
            return Err(self.diverged(position.epoch));
        }
        self.skips = false;
        if !snapshot {
            self.needs_snapshot |= followed.is_none() && after.is_some();
            if self.needs_snapshot {
                return Ok(());
            }
            let whole = followed.is_none_or(|it| it.whole);
            return self.apply(Vec::new(), Followed { position, whole }).await;
        }
        self.needs_snapshot = false;
        if own.is_some() && own == after {
            // All that follows is here already; where it ends this directory is as far.
            self.skips = true;
            return Ok(());
        }
        if own.is_some() {
            tracing::warn!("the leader writes all that it has: what is here is replaced by that");
        }
        self.with(move |replica| {
            let mut replica = replica.emptied()?;
            replica.apply(&[], Followed { position, whole: false })?;
            Ok((replica, ()))
        })
        .await
    }

    fn diverged(&self, epoch: u64) -> JournalError {
        JournalError::LogMisfit(format!(
            "{} holds entries of the cluster's log that the leader of epoch {epoch} does not have: the \
             log has lost them, or was another one. Move the directory aside and start again: it is \
             filled from the log; keep it until you know what is missing. Where every directory is \
             refused, stop all, delete the log (`nats stream rm`) and start the one with the most first",
            self.directory.display()
        ))
    }

    /// What is here is in the log at another place than was meant.
    async fn moved(&mut self, from: LogPosition, to: LogPosition) -> Result<(), JournalError> {
        match from == to {
            true => Ok(()),
            false => self.apply(Vec::new(), Followed { position: to, whole: true }).await,
        }
    }

    /// Whether the log begins with a snapshot, and its cluster, where it begins with an epoch.
    pub(super) async fn log_begin(
        &self,
        extent: Extent,
    ) -> Result<Option<(bool, u64)>, FollowError> {
        let Some(message) = self.log.message(extent.first).await? else { return Ok(None) };
        let opened = self.sealer.open(extent.first, &message)?;
        Ok(opened.ok_or_else(|| Sealer::unopened(extent.first))?.into_epoch())
    }

    /// Whether the log has all that is before the batch that is held, or has lost it: in both cases
    /// nobody else may have gone on.
    async fn fits_held(&self, held: LogPosition) -> Result<(), FollowError> {
        let Some(Followed { position, .. }) = self.followed() else { return Ok(()) };
        match owner(&self.log, &self.sealer, position).await? {
            Some(owner) if owner.is_of(&position) => Ok(()),
            Some(owner) => Err(self.diverged(owner.epoch).into()),
            None => match end(&self.log, &self.sealer).await? {
                Some(end) if end.sequence >= position.sequence => Ok(()),
                Some(end) if !end.is_of(&position) && !end.is_of(&held) => {
                    Err(self.diverged(end.epoch).into())
                }
                _ => Ok(()),
            },
        }
    }

    /// Finds out how what is here stands to what the log has.
    async fn look(&mut self) -> Result<(), FollowError> {
        (self.messages, self.assembler, self.skips) = (None, Assembler::default(), false);
        self.read.clear();
        self.of = None;
        let extent = self.log.extent().await?;
        let identity = self.replica()?.identity();
        if let Some((own, begin)) = identity.zip(self.log_begin(extent).await?)
            && own != begin.1
        {
            return Err(self.of_another().into());
        }
        if let Some(held) = self.replica()?.held()
            && !self.settle(held).await?
        {
            self.fits_held(held).await?;
            self.standing = Standing::Ahead;
            self.next = extent.last + 1;
            return Ok(());
        }
        let is_empty = self.replica()?.is_empty();
        if extent.messages == 0 {
            self.standing = if is_empty { Standing::Within } else { Standing::Ahead };
            self.next = extent.last + 1;
            // A log that was emptied has forgotten what there was; one that is new has not.
            self.needs_snapshot = is_empty && (extent.last > 0 || identity.is_some());
            return Ok(());
        }
        self.standing = Standing::Within;
        self.needs_snapshot = false;
        let Some(followed) = self.followed() else {
            if !is_empty {
                return Err(FollowError::Journal(JournalError::LogMisfit(format!(
                    "{} holds a journal that is not of this cluster, whose log has entries already: \
                     give this coordinator an empty --data-dir, or begin the cluster with that journal",
                    self.directory.display()
                ))));
            }
            self.next = extent.first;
            self.needs_snapshot = extent.first > 1;
            return Ok(());
        };
        let position = followed.position;
        if !followed.whole {
            self.with(move |replica| Ok((replica.emptied()?, ()))).await?;
            self.next = extent.first;
            self.needs_snapshot = extent.first > 1;
            return Ok(());
        }
        self.of = Some(position);
        match owner(&self.log, &self.sealer, position).await? {
            Some(owner) if owner.is_of(&position) => {
                self.moved(position, owner).await?;
                (self.next, self.of) = (owner.sequence + 1, Some(owner));
            }
            Some(owner) => return Err(self.diverged(owner.epoch).into()),
            None => self.rejoin(position, extent).await?,
        }
        Ok(())
    }

    /// The log does not reach to where this directory was: it was cut at its begin or at its end.
    async fn rejoin(
        &mut self,
        position: LogPosition,
        Extent { first, last, .. }: Extent,
    ) -> Result<(), FollowError> {
        let Some(end) = end(&self.log, &self.sealer).await? else {
            return Err(Away("the log was emptied a moment ago".to_owned()).into());
        };
        if position.sequence >= first && position.sequence <= end.sequence {
            self.next = position.sequence + 1;
            return Ok(());
        }
        if end.sequence < position.sequence && end.is_of(&position) {
            self.standing = Standing::Ahead;
            self.next = last + 1;
            return Ok(());
        }
        // Who leads now may have had all of it, and written that: its snapshot says so. One that
        // has gone another way since is no end that this directory could go on from.
        if !end.is_of(&position) && end.epoch <= position.epoch {
            return Err(self.diverged(end.epoch).into());
        }
        self.of = None;
        self.next = first;
        self.needs_snapshot = true;
        Ok(())
    }

    /// Keeps or drops the last batch; false when it may be one that the log has lost.
    async fn settle(&mut self, held: LogPosition) -> Result<bool, FollowError> {
        let owner = owner(&self.log, &self.sealer, held).await?.filter(|it| it.is_of(&held));
        if owner.is_none() {
            let before = self.followed().map_or(0, |it| it.position.sequence);
            let Some(next) = first_from(&self.log, &self.sealer, before + 1).await? else {
                return Ok(false);
            };
            let end = end(&self.log, &self.sealer).await?;
            let is_lost = |it: LogPosition| it.is_of(&held) && it.sequence < held.sequence;
            if next.is_of(&held) && end.is_none_or(is_lost) {
                return Ok(false);
            }
            tracing::warn!(
                sequence = held.sequence,
                "the last batch here is not in the log, and another coordinator leads: it is dropped. \
                 Nobody was told of it, unless the log has lost it"
            );
        }
        let resolve = move |mut replica: Replica| {
            replica.resolve(owner.is_some())?;
            Ok((replica, ()))
        };
        self.with(resolve).await?;
        if let Some(owner) = owner {
            self.moved(held, owner).await?;
        }
        Ok(true)
    }

    /// To be looked at anew.
    pub(super) fn unsettle(&mut self) {
        self.standing = Standing::Unknown;
        self.messages = None;
        self.read.clear();
        self.of = None;
    }
}

fn broken() -> JournalError {
    JournalError::Store("following the cluster's log failed before".to_owned())
}

fn numbered(message: &async_nats::jetstream::Message) -> Result<(u64, Bytes), Away> {
    let info = message.info().map_err(Away::of)?;
    Ok((info.stream_sequence, message.payload.clone()))
}
