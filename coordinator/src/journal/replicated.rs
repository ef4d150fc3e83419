//! What a journal has to do with a log that others follow.
//!
//! Each batch of changes is an entry of the log; what a batch holds are values, not recipes, so
//! that an entry that is applied twice changes nothing. The journal and the log get a batch at the
//! same time: it is durable here while it waits for the log, and nobody meets it before both have
//! it. What a crash leaves in between is the last batch, which is held back when the directory is
//! opened until the log has told whether it has it.

use windlass_proto::metric::Snapshot;

use super::record::{self, push_varint, read_varint};
use super::space::{Change, Space};
use super::{JournalError, keys};

/// A place in the log, and whose entry is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// The epoch of the leadership that wrote it.
    pub epoch: u64,
    /// A number of that leadership's own: two logs may count epochs alike.
    pub term: u64,
    /// The sequence number in the log.
    pub sequence: u64,
}

impl LogPosition {
    /// Whether this is not after `other`, in one lineage. Two leaderships of one epoch are of two
    /// lineages: the log has lost the first one's.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let is_earlier = self.epoch < other.epoch || self.is_of(other);
        is_earlier && self.sequence <= other.sequence
    }

    /// Whether both were written by the same leadership.
    #[must_use]
    pub fn is_of(&self, other: &Self) -> bool {
        (self.epoch, self.term) == (other.epoch, other.term)
    }

    /// As it stands in records and entries.
    pub fn push(&self, bytes: &mut Vec<u8>) {
        push_varint(bytes, self.epoch);
        bytes.extend_from_slice(&self.term.to_be_bytes());
        push_varint(bytes, self.sequence);
    }

    /// What [`Self::push`] made, and what is behind it.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (epoch, rest) = read_varint(bytes)?;
        let (term, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, rest) = read_varint(rest)?;
        Some((Self { epoch, term: u64::from_be_bytes(*term), sequence }, rest))
    }
}

/// The log that must hold what the journal commits.
pub trait CommitLog: Send + Sync + 'static {
    /// Begins to append a batch. Blocks while another one is under way.
    ///
    /// # Errors
    /// [`JournalError::Fenced`] when another coordinator leads.
    fn append(&self, batch: Vec<u8>) -> Result<Box<dyn Appending + '_>, JournalError>;

    /// True while the log does not answer, so that nothing more should be taken up.
    fn is_away(&self) -> bool;

    /// True once so much time has passed without a word of the lease that another one may lead.
    fn is_unheard(&self) -> bool;

    /// Adds what there is to tell of it.
    fn measured(&self, metrics: &mut Snapshot);
}

/// A batch on its way to the log.
pub trait Appending {
    /// Where it is once it is there.
    fn position(&self) -> LogPosition;

    /// Waits until the log has it. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Fenced`] when another coordinator leads: it does not have it then.
    fn wait(&mut self) -> Result<(), JournalError>;
}

/// What a directory has of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The last entry that is applied.
    pub position: LogPosition,
    /// False in the middle of a snapshot: what is there is not a journal yet.
    pub whole: bool,
}

impl Followed {
    pub(super) fn change(&self) -> Vec<Change> {
        let mut body = vec![u8::from(self.whole)];
        self.position.push(&mut body);
        let mut changes = Vec::new();
        record::put(&mut changes, Space::Common, keys::FOLLOWED.to_vec(), &[&body]);
        changes
    }

    pub(super) fn of_value(value: &[u8]) -> Result<Self, JournalError> {
        let opened = record::open(keys::FOLLOWED, value)?;
        let read = || {
            let (whole, rest) = opened.first.split_first()?;
            let (position, _) = LogPosition::read(rest)?;
            Some(Self { position, whole: *whole == 1 })
        };
        read().ok_or_else(|| record::damaged(keys::FOLLOWED, "is no position"))
    }

    /// What a batch says, if it came through a log.
    pub(super) fn of(changes: &[Change]) -> Option<Self> {
        let said = changes.iter().rev().find(|it| is_followed(it))?;
        Self::of_value(said.value.as_deref()?).ok()
    }
}

pub(super) fn is_followed(change: &Change) -> bool {
    change.space == Space::Common && change.key == keys::FOLLOWED
}

/// True for what is about this directory alone, and is no business of the log.
pub(super) fn is_own(space: Space, key: &[u8]) -> bool {
    space == Space::Common && (key.starts_with(keys::HIDDEN) || key == keys::WITNESSED)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Followed, LogPosition};

    #[test]
    fn a_position_comes_back() {
        let position = LogPosition { epoch: 300, term: u64::MAX - 1, sequence: 1 << 40 };
        for whole in [true, false] {
            let followed = Followed { position, whole };
            assert_eq!(Followed::of(&followed.change()), Some(followed));
        }
        assert_eq!(Followed::of(&[]), None);
        assert_eq!(LogPosition::read(&[1, 2]), None);
        let later = LogPosition { epoch: 301, sequence: 1, ..position };
        assert!(!position.is_within(&later) && !later.is_within(&position));
        assert!(!position.is_of(&later) && !position.is_within(&later));
        let later = LogPosition { epoch: 301, sequence: 1 << 41, ..position };
        assert!(position.is_within(&later) && position.is_within(&position));
        // An epoch that counts alike, and one that was led on from a log that had lost its end.
        let other = LogPosition { term: 1, sequence: 1 << 41, ..position };
        assert!(!position.is_within(&other));
    }
}
