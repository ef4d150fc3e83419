//! Whose entries are where in a log in which somebody else's messages may be as well.

use std::time::{Duration, Instant};

use windlass_proto::limits;

use super::entry::Sealer;
use super::stream::{Away, LogStream};
use crate::journal::JournalError;
use crate::journal::replicated::LogPosition;

/// What became of an attempt to go on.
#[derive(Debug)]
pub(super) enum FollowError {
    /// The log does not answer; to be tried again.
    Away(Away),
    /// It cannot go on.
    Journal(JournalError),
}

impl From<Away> for FollowError {
    fn from(away: Away) -> Self {
        Self::Away(away)
    }
}

impl From<JournalError> for FollowError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// Whose message is at a place that is known here: the entry that was meant for it, further on
/// where somebody else's message had come before it, or another one's.
pub(super) async fn owner(
    log: &LogStream,
    sealer: &Sealer,
    meant: LogPosition,
) -> Result<Option<LogPosition>, FollowError> {
    let mut is_first = true;
    for sequence in (meant.sequence..).take(limits::CLUSTER_JUNK) {
        let Some(message) = log.message(sequence).await? else { return Ok(None) };
        let Some(opened) = sealer.open(sequence, &message)? else { continue };
        let is_own = opened.position.is_of(&meant);
        // It goes on from an entry at that very place, which the log has lost since.
        let is_next = sequence > meant.sequence && opened.previous >= meant.sequence;
        if std::mem::replace(&mut is_first, false) && is_own && is_next {
            return Ok(Some(meant));
        }
        // One entry of a leadership was under way, so its next end is that one's.
        if opened.ends() || !is_own {
            return Ok(Some(opened.position));
        }
    }
    Err(too_much_junk(meant.sequence))
}

/// Whose the last message of the cluster is that is there.
pub(super) async fn end(
    log: &LogStream,
    sealer: &Sealer,
) -> Result<Option<LogPosition>, FollowError> {
    let Some((last, message)) = log.end().await? else { return Ok(None) };
    if let Some(message) = sealer.open(last, &message)? {
        return Ok(Some(message.position));
    }
    let first = log.extent().await?.first.max(1);
    for sequence in (first..last).rev().take(limits::CLUSTER_JUNK) {
        let Some(message) = log.message(sequence).await? else { continue };
        if let Some(message) = sealer.open(sequence, &message)? {
            return Ok(Some(message.position));
        }
    }
    Err(too_much_junk(last))
}

/// Whose the first message of the cluster is from a sequence number on.
pub(super) async fn first_from(
    log: &LogStream,
    sealer: &Sealer,
    from: u64,
) -> Result<Option<LogPosition>, FollowError> {
    let mut from = from;
    for _ in 0..limits::CLUSTER_JUNK {
        let Some((sequence, message)) = log.next(from).await? else { return Ok(None) };
        if let Some(message) = sealer.open(sequence, &message)? {
            return Ok(Some(message.position));
        }
        from = sequence + 1;
    }
    Err(too_much_junk(from))
}

/// To be tried again: it ends no process, as anybody could end all of them by that.
fn too_much_junk(sequence: u64) -> FollowError {
    Away(format!(
        "around message {sequence} the cluster's log has more messages of somebody else's than can be \
         looked through: let only coordinators publish there, see docs/cluster.md"
    ))
    .into()
}

/// What there is to say where a message goes on from one that was not read.
pub(super) fn lacks(missing: u64, sequence: u64) -> JournalError {
    JournalError::LogDamaged(format!(
        "message {missing} of the cluster's log is missing or was replaced, and {sequence} goes on from \
         it: where another message has its place, take that out (`nats stream rmm`). Then start the \
         leader again, which writes all that it has to the log"
    ))
}

/// Messages of somebody else's that were met, which are told of now and then.
#[derive(Default)]
pub(super) struct Junk {
    untold: u64,
    told: Option<Instant>,
}

impl Junk {
    /// How many there were since that was told last, where it is to be told again.
    pub(super) fn met(&mut self, count: u64) -> Option<u64> {
        self.untold = self.untold.saturating_add(count);
        let pause = Duration::from_millis(limits::CLUSTER_JUNK_TOLD_MS);
        if self.told.is_some_and(|it| it.elapsed() < pause) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.untold))
    }

    /// One was passed over by who reads the log.
    pub(super) fn passed_over(&mut self, sequence: u64) {
        if let Some(count) = self.met(1) {
            tracing::warn!(
                sequence,
                count,
                "messages in the log are not the cluster's: passed over"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Junk;

    #[test]
    fn a_flood_is_told_of_once() {
        let mut junk = Junk::default();
        assert_eq!(junk.met(2), Some(2));
        assert_eq!((junk.met(3), junk.met(4)), (None, None));
        assert_eq!(junk.untold, 7);
    }
}
