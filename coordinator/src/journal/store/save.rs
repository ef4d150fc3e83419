//! What saving a damaged journal asks of the new one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use windlass_proto::id::{Digest, InstanceId, PartitionId};

use super::super::ordered::Ordered;
use super::super::space::{Change, Order, Space};
use super::super::{Journal, JournalError, keys, record};
use super::{JournalPosition, Store, settle_all};

impl<O: Ordered> Store<O> {
    /// Moves facts from the ring to where those of one instance lie together.
    pub(in super::super) fn settle(&self) -> Result<(), JournalError> {
        let _exclusive = self.exclusive();
        settle_all(self)
    }

    /// Instances that have a head.
    pub(in super::super) fn heads(&self, space: Space) -> Result<Vec<InstanceId>, JournalError> {
        let (mut heads, end) = (Vec::new(), keys::end_of(&[keys::HEAD]));
        self.ordered.scan(space, &[keys::HEAD], &end, Order::Up, &mut |key, _| {
            heads.push(keys::instance(key)?.0);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(heads)
    }

    /// True when head and facts of an instance are there from the first on, as far as can be told.
    pub(in super::super) fn is_whole(&self, instance: InstanceId) -> bool {
        let facts = self.facts(instance, 0, usize::MAX).unwrap_or_default();
        let mut due = 0;
        let gapless = facts.iter().all(|facts| {
            let follows = facts.sequence == due;
            due = facts.sequence.saturating_add(u64::from(facts.count));
            follows
        });
        let head = self.head(instance).is_ok_and(|head| head.is_some());
        head && due > 0 && gapless && self.load(instance).is_ok()
    }

    /// Parts of records that are gone, or shorter.
    pub(in super::super) fn stray_parts(&self, space: Space) -> Result<Vec<Vec<u8>>, JournalError> {
        let end = keys::end_of(&[keys::PART]);
        let (mut from, mut stray) = (vec![keys::PART], Vec::new());
        loop {
            let page = self.entries(space, &from, &end, Order::Up, 512)?;
            let Some((last, _)) = page.last() else { return Ok(stray) };
            from = keys::next(last.clone());
            for (key, _) in page {
                if !self.has_part(space, &key)? {
                    stray.push(key);
                }
            }
        }
    }

    /// True when a record has the part under this key.
    pub(in super::super) fn has_part(
        &self,
        space: Space,
        key: &[u8],
    ) -> Result<bool, JournalError> {
        let (record, number) = key
            .get(1..)
            .and_then(|rest| rest.split_last_chunk::<4>())
            .ok_or_else(|| keys::malformed(key))?;
        let parts = match self.ordered.get(space, record)? {
            Some(value) => record::open(record, &value)?.parts(),
            None => 0,
        };
        Ok((u32::from_be_bytes(*number) as usize) < parts)
    }

    /// Removes records.
    pub(in super::super) fn remove_all(&self, changes: &[Change]) -> Result<(), JournalError> {
        let _exclusive = self.exclusive();
        for change in changes {
            if let Some(instance) = keys::owner(&change.key) {
                self.forget_hot(instance);
            }
        }
        changes.chunks(1_000).try_for_each(|changes| self.write(changes.to_vec()))
    }

    /// Removes names of definitions that are not whole, and those themselves; returns how many
    /// names are left.
    pub(in super::super) fn prune_definitions(&self) -> Result<u64, JournalError> {
        let space = Space::Common;
        let (mut left, mut gone) = (0, Vec::new());
        let end = keys::end_of(&[keys::CURRENT]);
        for (key, value) in self.entries(space, &[keys::CURRENT], &end, Order::Up, usize::MAX)? {
            let body = record::open(&key, &value)?.first;
            let digest = std::str::from_utf8(&body).ok().map(|digest| Digest(digest.into()));
            match digest.map(|digest| self.read_definition(&digest)) {
                Some(Ok(Some(_))) => left += 1,
                _ => gone.push(Change { space, key, value: None }),
            }
        }
        let end = keys::end_of(&[keys::DEFINITION]);
        for (key, value) in self.entries(space, &[keys::DEFINITION], &end, Order::Up, usize::MAX)? {
            if self.whole(space, &key, value).is_err() {
                let parts = keys::parts(&key);
                let end = keys::end_of(&parts);
                for (key, _) in self.entries(space, &parts, &end, Order::Up, usize::MAX)? {
                    gone.push(Change { space, key, value: None });
                }
                gone.push(Change { space, key, value: None });
            }
        }
        self.remove_all(&gone)?;
        Ok(left)
    }

    /// How many instances fewer than a witness knew of each partition has.
    pub(in super::super) fn fewer_than(
        &self,
        witness: &JournalPosition,
    ) -> BTreeMap<PartitionId, u64> {
        let position = self.position();
        let pairs = witness.tally.spaces().zip(position.tally.spaces());
        pairs
            .filter_map(|((space, due), (_, found))| match space {
                Space::Common => None,
                Space::Partition(partition) => {
                    let fewer = due.instances.saturating_sub(found.instances);
                    (fewer > 0).then_some((partition, fewer))
                }
            })
            .collect()
    }
}
