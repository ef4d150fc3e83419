//! Reading and checking every record.

use windlass_proto::id::{Digest, InstanceId, PartitionId};
use windlass_proto::limits;

use super::ordered::Ordered;
use super::space::{Order, Space};
use super::store::{Store, check_ring, in_slot, open_instances, stored_head};
use super::{CheckReport, Journal, JournalError, head, keys, record};

/// Checks all; commits wait meanwhile, so that what belongs together is seen together.
pub(super) fn check<O: Ordered>(store: &Store<O>) -> Result<CheckReport, JournalError> {
    let _exclusive = store.exclusive();
    let mut check = Check { store, report: CheckReport::default(), facts_of: None };
    check.space(Space::Common)?;
    for number in 0..store.partitions() {
        check.space(Space::Partition(PartitionId(number)))?;
    }
    check.report.lost = store.compare(&store.add_up()?);
    Ok(check.report)
}

/// What is a number.
const NUMBERS: [&[u8]; 5] =
    [keys::PARTITIONS, keys::EPOCH, keys::VERSION, keys::WITNESSED, keys::COUNTED];

struct Check<'a, O> {
    store: &'a Store<O>,
    report: CheckReport,
    /// The instance whose facts were read last.
    facts_of: Option<InstanceId>,
}

impl<O: Ordered> Check<'_, O> {
    fn space(&mut self, space: Space) -> Result<(), JournalError> {
        let mut from = Vec::new();
        loop {
            let page = self.store.entries(space, &from, &[0xff], Order::Up, limits::CHECK_PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = keys::next(last.clone());
            for (key, value) in &page {
                self.report.stored += 1;
                match self.record(space, key, value) {
                    Ok(()) => {}
                    // The store itself does not answer: nothing more can be said.
                    Err(error @ JournalError::Store(_)) => return Err(error),
                    Err(error) => self.damage(error.to_string()),
                }
            }
        }
    }

    fn damage(&mut self, line: String) {
        if self.report.damage.len() < limits::CHECK_LINES {
            self.report.damage.push(line);
        }
    }

    fn record(&mut self, space: Space, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        let kind = key.first().copied().unwrap_or_default();
        if kind == keys::PART {
            record::open(key, value)?;
            return self.part(space, key);
        }
        let body = self.store.whole(space, key, value.to_vec())?.unwrap_or_default();
        match (space, kind) {
            (Space::Common, keys::RING) => {
                check_ring(key, value)?;
                self.recent(key, value)
            }
            (Space::Common, keys::DEFINITION) => {
                rmp_serde::from_slice::<super::StoredDefinition>(&body)
                    .map(|_| ())
                    .map_err(|_| record::damaged(key, "is not a definition"))
            }
            (Space::Common, keys::SUSPENDED) => super::store::suspended(key, &body).map(|_| ()),
            // What they say is not for the journal to know.
            (Space::Common, keys::BULK | keys::BULK_IDS | keys::BULK_RESULTS) => Ok(()),
            (Space::Common, keys::EARLY) => keys::early_of(key).map(drop),
            (Space::Common, keys::CURRENT) => self.current(key, &body),
            (Space::Common, _) if NUMBERS.contains(&key) => {
                if body.len() == 8 {
                    Ok(())
                } else {
                    Err(record::damaged(key, "is no number"))
                }
            }
            // It was read when the journal opened.
            (Space::Common, _) if key == keys::TALLY => Ok(()),
            (Space::Partition(_), keys::HEAD) => self.head(key, &body),
            (Space::Partition(_), keys::REMOVED) => keys::instance(key).map(drop),
            (Space::Partition(_), keys::FACTS) => {
                let (instance, _) = keys::facts_of(key)?;
                if self.facts_of.replace(instance) != Some(instance) {
                    self.owned(space, key, instance, "facts")?;
                }
                Ok(())
            }
            (Space::Partition(_), keys::HOT) => self.owned_by_key(space, key, "a mark as hot"),
            (Space::Partition(_), keys::SNAPSHOT) => self.snapshot(space, key, &body),
            (Space::Partition(_), keys::SUBSCRIPTION) => {
                let (instance, _) = keys::subscription_of(key)?;
                self.owned(space, key, instance, "a subscription")
            }
            (Space::Partition(_), keys::TIMER) => {
                let instance = keys::timer_of(key)?.instance;
                self.owned(space, key, instance, "a timer")
            }
            (Space::Partition(_), keys::SCHEDULE) => {
                keys::schedule_of(key)?;
                rmp_serde::from_slice::<crate::schedule::State>(&body)
                    .map(drop)
                    .map_err(|_| record::damaged(key, "is no schedule"))
            }
            (Space::Partition(_), keys::OCCURRENCE) => {
                rmp_serde::from_slice::<crate::schedule::Kept>(&body)
                    .map(drop)
                    .map_err(|_| record::damaged(key, "is no due time of a schedule"))
            }
            // What they say is for partitions to know.
            (Space::Partition(_), keys::CLAIM | keys::START_KEY | keys::APPROVAL) => Ok(()),
            (Space::Partition(_), keys::OPEN) => open_instances(key, &body).map(drop),
            (Space::Partition(_), keys::SEEN) if body.len() == 8 => Ok(()),
            (Space::Partition(_), keys::SEEN) => Err(record::damaged(key, "is no time")),
            _ => Err(keys::malformed(key)),
        }
    }

    /// Whoever has facts in a slot has a head, or is gone.
    fn recent(&mut self, key: &[u8], value: &[u8]) -> Result<(), JournalError> {
        for instance in in_slot(key, value) {
            let space = self.store.space_of(instance);
            let head = keys::of_instance(keys::HEAD, instance);
            // A slot that is not needed any more may name one that was removed long ago.
            if self.store.is_pending(instance) && self.store.ordered.get(space, &head)?.is_none() {
                self.gone(instance);
            }
        }
        Ok(())
    }

    fn gone(&mut self, instance: InstanceId) {
        if self.report.lost_instances.len() < limits::CHECK_GONE {
            self.report.lost_instances.insert(instance);
        }
    }

    /// A head decodes, and the facts of its instance follow each other from the first on.
    fn head(&mut self, key: &[u8], body: &[u8]) -> Result<(), JournalError> {
        self.report.instances += 1;
        let (instance, _) = keys::instance(key)?;
        let (head, _) = stored_head(body).ok_or_else(|| record::damaged(key, "is not a head"))?;
        head::decode(key, head)?;
        let mut expected = 0;
        for facts in self.store.facts(instance, 0, usize::MAX)? {
            if facts.sequence != expected {
                return Err(JournalError::Damaged(format!(
                    "instance {instance} has facts from {} on where {expected} was due",
                    facts.sequence
                )));
            }
            expected = facts.sequence.saturating_add(u64::from(facts.count));
        }
        Ok(())
    }

    fn snapshot(&mut self, space: Space, key: &[u8], body: &[u8]) -> Result<(), JournalError> {
        self.owned_by_key(space, key, "a snapshot")?;
        let (instance, _) = keys::instance(key)?;
        let (after, _) =
            body.split_first_chunk::<8>().ok_or_else(|| record::damaged(key, "is no snapshot"))?;
        let after = u64::from_be_bytes(*after);
        let known = after == 0
            || self.store.is_gone(instance)
            || !self.store.facts(instance, after - 1, 1)?.is_empty();
        if known {
            Ok(())
        } else {
            Err(JournalError::Damaged(format!(
                "instance {instance} has a snapshot of facts up to {after} that are missing"
            )))
        }
    }

    fn current(&self, key: &[u8], body: &[u8]) -> Result<(), JournalError> {
        let digest = std::str::from_utf8(body).ok().map(|digest| Digest(digest.into()));
        let digest = digest.ok_or_else(|| record::damaged(key, "is no digest"))?;
        match self.store.ordered.get(Space::Common, &keys::definition(&digest))? {
            Some(_) => Ok(()),
            None => Err(record::damaged(key, "names a definition that is missing")),
        }
    }

    fn owned_by_key(&mut self, space: Space, key: &[u8], what: &str) -> Result<(), JournalError> {
        self.owned(space, key, keys::instance(key)?.0, what)
    }

    /// What belongs to an instance has one, in the right partition.
    fn owned(
        &mut self,
        space: Space,
        key: &[u8],
        instance: InstanceId,
        what: &str,
    ) -> Result<(), JournalError> {
        if self.store.space_of(instance) != space {
            return Err(record::damaged(key, "lies in the wrong partition"));
        }
        match self.store.ordered.get(space, &keys::of_instance(keys::HEAD, instance))? {
            Some(_) => Ok(()),
            // It was removed, and the rest is to go.
            None if self.store.is_gone(instance) => Ok(()),
            None => {
                self.gone(instance);
                Err(JournalError::Damaged(format!(
                    "there is {what} of instance {instance}, which does not exist"
                )))
            }
        }
    }

    /// A part belongs to a record that has so many.
    fn part(&self, space: Space, key: &[u8]) -> Result<(), JournalError> {
        let is_gone = keys::owner(key).is_some_and(|it| self.store.is_gone(it));
        if is_gone || self.store.has_part(space, key)? {
            Ok(())
        } else {
            Err(record::damaged(key, "is a part that no record has"))
        }
    }
}
