//! Limits by key: this partition gives the shares of the keys that fall to it.
//!
//! A visit that wants a share says so in its facts, and the batch that has them writes a row to the
//! table of the partition that owns the key; once it is durable, that partition is told what the
//! row says. It gives shares in order of asking, and the visit takes what it was given by a fact,
//! with which the row says `taken`. So rows are all there is to know: a partition reads its own
//! before it gives anything, and there is no counter that could leak. Whatever a crash comes
//! between, who was given a share and has not taken it stands in line as before.

mod line;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::limits::LIMIT_PAGE;
use windlass_proto::time::Timestamp;

use super::release::Release;
use super::{Batch, Partition};
use crate::engine::{Claim, Input, LimitVerdict};
use crate::journal::{Journal, JournalError, RowWrite, Table};
use line::Line;

/// Whose claim it is.
pub(super) type Name = (InstanceId, FrameId);

/// What a partition is told of a claim.
#[derive(Clone, Debug)]
pub struct LimitNews {
    /// Whose it is.
    pub(super) name: Name,
    /// The claim.
    pub(super) claim: Claim,
    /// How it stands.
    pub(super) stage: Stage,
}

impl LimitNews {
    /// The namespace that it concerns.
    pub(super) fn namespace(&self) -> Arc<str> {
        self.claim.key.split('\0').next().unwrap_or_default().into()
    }
}

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Asked for, or taken.
    #[serde(rename = "o")]
    Open,
    /// Given back, and counted by its rate for a while.
    #[serde(rename = "s")]
    Spent,
    /// There is none.
    #[serde(rename = "g")]
    Gone,
}

/// Where somebody stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitPlace {
    /// How many wait before them; nothing where they do not wait.
    pub before: Option<usize>,
    /// How many hold a share.
    pub holding: usize,
}

/// What came of deciding.
#[derive(Default)]
pub(super) struct Told {
    pub(super) verdicts: Vec<(Name, LimitVerdict)>,
    /// Claims whose rows are not needed any more.
    pub(super) expired: Vec<Name>,
}

/// All lines of a partition.
#[derive(Default)]
pub(super) struct Limits {
    lines: HashMap<Arc<str>, Line>,
    wakes: BTreeSet<(Timestamp, Arc<str>)>,
    waiting: usize,
    /// Rows whose instances are gone.
    lost: Vec<Name>,
    /// How many of those that wait are counted for monitoring.
    counted: usize,
}

impl Limits {
    /// Reads who holds and who waits.
    pub(super) fn load(journal: &dyn Journal, id: PartitionId) -> Result<Self, JournalError> {
        let mut limits = Self::default();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = journal.rows(id, Table::Claims, after.as_deref(), LIMIT_PAGE)?;
            for (name, row) in &rows {
                let news = decode(name, row)?;
                // What a damaged journal has lost, or was saved without, must not hold a share.
                let head = journal.head(news.name.0)?;
                let is_open = head.is_some_and(|it| !it.status.is_final());
                match news.stage {
                    Stage::Open if !is_open => limits.lost.push(news.name),
                    _ => limits.learn(&news, &mut Told::default()),
                }
            }
            match rows.into_iter().nth(LIMIT_PAGE - 1) {
                Some((name, _)) => after = Some(name),
                None => return Ok(limits),
            }
        }
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    pub(super) fn place(&self, key: &str, name: Name) -> Option<LimitPlace> {
        let line = self.lines.get(key)?;
        Some(LimitPlace { before: line.before(name), holding: line.holding() })
    }

    fn learn(&mut self, news: &LimitNews, told: &mut Told) {
        let line = self.lines.entry(news.claim.key.clone()).or_default();
        let before = line.waiting();
        match news.stage {
            Stage::Open => line.claimed(news.name, &news.claim, told),
            Stage::Spent => line.over(news.name, &news.claim),
            Stage::Gone => line.gone(news.name),
        }
        self.waiting = self.waiting + line.waiting() - before;
    }

    fn decide(&mut self, key: &Arc<str>, now: Timestamp, told: &mut Told) {
        let Some(line) = self.lines.get_mut(key) else { return };
        if let Some(at) = line.wake.take() {
            self.wakes.remove(&(at, key.clone()));
        }
        let before = line.waiting();
        line.decide(now, told);
        self.waiting = self.waiting + line.waiting() - before;
        if let Some(at) = line.wake {
            self.wakes.insert((at, key.clone()));
        }
        if line.is_empty() {
            self.lines.remove(key);
        }
    }

    /// All that follows from what was read.
    pub(super) fn decide_all(&mut self, now: Timestamp) -> Told {
        let expired = std::mem::take(&mut self.lost);
        let mut told = Told { expired, ..Told::default() };
        for key in self.lines.keys().cloned().collect::<Vec<_>>() {
            self.decide(&key, now, &mut told);
        }
        told
    }

    fn hear(&mut self, news: &LimitNews, now: Timestamp) -> Told {
        let mut told = Told::default();
        self.learn(news, &mut told);
        self.decide(&news.claim.key, now, &mut told);
        told
    }

    fn due(&mut self, now: Timestamp) -> Told {
        let mut told = Told::default();
        while let Some((at, key)) = self.wakes.first().cloned()
            && at <= now
        {
            self.decide(&key, now, &mut told);
        }
        told
    }
}

impl Partition {
    /// Takes what is told of a claim.
    pub(super) fn limit_news(&mut self, batch: &mut Batch, news: &LimitNews) {
        let told = self.limits.hear(news, batch.now);
        self.tell_limits(batch, told);
    }

    /// Gives what time has made free.
    pub(super) fn fire_limits(&mut self, batch: &mut Batch) {
        let told = self.limits.due(batch.now);
        self.tell_limits(batch, told);
    }

    /// Gives what is free after a start.
    pub(super) fn recover_limits(&mut self, batch: &mut Batch) {
        let told = self.limits.decide_all(batch.now);
        self.tell_limits(batch, told);
    }

    fn tell_limits(&mut self, batch: &mut Batch, told: Told) {
        let (before, after) = (self.limits.counted, self.limits.waiting);
        // All partitions share the gauge, and most turns have nothing to do with limits.
        if before != after {
            self.limits.counted = after;
            let gauge = &self.shared.counts.limited;
            gauge.add(after.saturating_sub(before) as u64);
            gauge.subtract(before.saturating_sub(after) as u64);
        }
        for ((instance, frame), verdict) in told.verdicts {
            batch.releases.push(Release::Tell(instance, Input::Limit { frame, verdict }));
        }
        for name in told.expired {
            batch.commit.rows.push(row(self.id, name, None));
        }
    }

    /// Takes what has changed of an instance's claims into the batch: the rows, and what the
    /// partitions that own their keys are told.
    pub(super) fn keep_claims(
        &self,
        batch: &mut Batch,
        id: InstanceId,
        changes: Vec<(FrameId, Claim, bool)>,
    ) -> Result<(), JournalError> {
        for (frame, claim, open) in changes {
            let name = (id, frame);
            let counts = claim.taken.zip(claim.terms.rate);
            let stage = match counts {
                _ if open => Stage::Open,
                Some((taken, rate)) if taken.plus(rate.period_ms) > batch.now => Stage::Spent,
                _ => Stage::Gone,
            };
            let value = match stage {
                Stage::Gone => None,
                _ => Some(encode(&claim, stage)?),
            };
            let owner = owner(&claim.key, self.shared.journal.partitions());
            batch.commit.rows.push(row(owner, name, value));
            let news = Box::new(LimitNews { name, claim, stage });
            batch.releases.push(Release::Limit(owner, news));
        }
        Ok(())
    }
}

/// The partition that owns a key.
pub(crate) fn owner(key: &str, partitions: u16) -> PartitionId {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(key.as_bytes());
    PartitionId(u16::from_be_bytes([hash[0], hash[1]]) % partitions.max(1))
}

fn row(partition: PartitionId, (instance, frame): Name, value: Option<Vec<u8>>) -> RowWrite {
    let name = [instance.0.as_bytes().as_slice(), &frame.0.to_be_bytes()].concat();
    RowWrite { partition, table: Table::Claims, name: name.into(), value }
}

fn encode(claim: &Claim, stage: Stage) -> Result<Vec<u8>, JournalError> {
    rmp_serde::to_vec(&(claim, stage))
        .map_err(|error| JournalError::Store(format!("a claim cannot be encoded: {error}")))
}

fn decode(name: &[u8], row: &[u8]) -> Result<LimitNews, JournalError> {
    let damaged = || JournalError::Damaged("a row of a limit is none".to_owned());
    let (id, frame) = name.split_first_chunk::<16>().ok_or_else(damaged)?;
    let frame = <[u8; 4]>::try_from(frame).map_err(|_| damaged())?;
    let (claim, stage) = rmp_serde::from_slice(row).map_err(|_| damaged())?;
    let name = (InstanceId(uuid::Uuid::from_bytes(*id)), FrameId(u32::from_be_bytes(frame)));
    Ok(LimitNews { name, claim, stage })
}
