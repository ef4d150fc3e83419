//! Adding up what is really there, page by page, while commits go on.

use std::ops::ControlFlow;

use windlass_proto::id::{InstanceId, PartitionId};

use super::super::ordered::Ordered;
use super::super::space::{Order, Space};
use super::super::{JournalError, Loss, keys, record};
use super::tally::{self, Sum, Tally};
use super::{Store, lock};

/// How far the adding up has come.
#[derive(Clone, Debug)]
pub(super) struct Verification {
    /// What was found before `space` and `from`, as changed since.
    found: Tally,
    space: usize,
    from: Vec<u8>,
}

impl Verification {
    /// From the start.
    pub(super) fn new(partitions: u16) -> Self {
        Self { found: Tally::of_nothing(partitions), space: 0, from: Vec::new() }
    }

    /// The sum to keep up with changes of a record that was added up already.
    pub(super) fn passed(&mut self, space: Space, key: &[u8]) -> Option<&mut Sum> {
        let place = match space {
            Space::Common => 0,
            Space::Partition(partition) => usize::from(partition.0) + 1,
        };
        let passed = place < self.space || (place == self.space && key < self.from.as_slice());
        passed.then(|| self.found.sum(space)).flatten()
    }
}

impl<O: Ordered> Store<O> {
    /// Adds up records that were not yet, at most `limit`; true when all were, and are what they
    /// should be.
    pub(in super::super) fn verify_some(&self, limit: usize) -> Result<bool, JournalError> {
        let _exclusive = self.exclusive();
        let mut verification = lock(&self.verification);
        let Some(it) = verification.as_mut() else { return Ok(true) };
        let Some(space) = self.space(it.space) else {
            let lost = lock(&self.tally).compare(&it.found);
            *verification = None;
            return if lost.is_empty() { Ok(true) } else { Err(JournalError::Lost(lost)) };
        };
        let (mut seen, mut last) = (0, None);
        let sum = it.found.sum(space);
        let Some(sum) = sum else { return Ok(true) };
        self.ordered.scan(space, &it.from, &[0xff], Order::Up, &mut |key, value| {
            if tally::is_covered(space, key) {
                if let Err(error) = record::open(key, value) {
                    tracing::error!(%error, "the journal is damaged");
                }
                sum.add(space, key, value);
            }
            seen += 1;
            last = Some(key.to_vec());
            Ok(if seen < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        match last {
            Some(last) if seen >= limit => it.from = keys::next(last),
            _ => {
                it.space += 1;
                it.from = Vec::new();
            }
        }
        Ok(false)
    }

    /// Records that ought to be there.
    pub(in super::super) fn records(&self) -> u64 {
        lock(&self.tally).records()
    }

    /// Instances that a partition ought to have.
    pub(in super::super) fn heads_due(&self, partition: PartitionId) -> u64 {
        lock(&self.tally).sum(Space::Partition(partition)).map_or(0, |it| it.instances)
    }

    /// Begins again with the adding up.
    #[cfg(test)]
    pub(in super::super) fn verify_anew(&self) {
        *lock(&self.verification) = Some(Verification::new(self.partitions));
    }

    fn space(&self, number: usize) -> Option<Space> {
        let tally = lock(&self.tally);
        tally.spaces().nth(number).map(|(space, _)| space)
    }

    /// What records that were found lack of what ought to be there.
    pub(in super::super) fn compare(&self, found: &Tally) -> Vec<Loss> {
        let mut lost = lock(&self.tally).compare(found);
        let missing = self.read_recent(|recent| recent.missing);
        if missing > 0 {
            let what = format!("of the recent facts, {missing} writes are missing");
            lost.push(Loss { what, ..Loss::default() });
        }
        lost
    }

    /// True when facts of the instance are in the ring and nowhere else.
    pub(in super::super) fn is_pending(&self, instance: InstanceId) -> bool {
        self.read_recent(|recent| recent.pending.contains_key(&instance))
    }

    /// What is there, added up in one go.
    pub(in super::super) fn add_up(&self) -> Result<Tally, JournalError> {
        let mut found = Tally::of_nothing(self.partitions);
        let spaces: Vec<Space> = found.spaces().map(|(space, _)| space).collect();
        for space in spaces {
            let Some(sum) = found.sum(space) else { continue };
            self.ordered.scan(space, &[], &[0xff], Order::Up, &mut |key, value| {
                if tally::is_covered(space, key) {
                    sum.add(space, key, value);
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(found)
    }
}
