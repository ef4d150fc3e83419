//! Whose entries are where in a log in which somebody else's messages may be as well.

use windlass_proto::limits;

use super::entry::Sealer;
use super::follow::FollowError;
use super::stream::LogStream;
use crate::journal::JournalError;
use crate::journal::replicated::LogPosition;

/// Whose message is at a place that is known here: the entry that was meant for it, further on
/// where somebody else's message had come before it, or another one's.
pub(super) async fn owner(
    log: &LogStream,
    sealer: &Sealer,
    meant: LogPosition,
) -> Result<Option<LogPosition>, FollowError> {
    for sequence in (meant.sequence..).take(limits::CLUSTER_JUNK) {
        let Some(message) = log.message(sequence).await? else { return Ok(None) };
        // One entry of a leadership was under way, so its next end is that one's.
        let opened = sealer.open(sequence, &message).ok();
        if let Some(opened) = opened.filter(|it| it.ends() || !it.position.is_of(&meant)) {
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
    if let Ok(message) = sealer.open(last, &message) {
        return Ok(Some(message.position));
    }
    let first = log.extent().await?.first.max(1);
    for sequence in (first..last).rev().take(limits::CLUSTER_JUNK) {
        let Some(message) = log.message(sequence).await? else { continue };
        if let Ok(message) = sealer.open(sequence, &message) {
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
        if let Ok(message) = sealer.open(sequence, &message) {
            return Ok(Some(message.position));
        }
        from = sequence + 1;
    }
    Err(too_much_junk(from))
}

fn too_much_junk(sequence: u64) -> FollowError {
    FollowError::Journal(JournalError::LogDamaged(format!(
        "around message {sequence} the cluster's log has more messages of somebody else's than can be \
         passed over: let only coordinators publish there, and delete them (`nats stream rmm`), see \
         docs/cluster.md"
    )))
}
