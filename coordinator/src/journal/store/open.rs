//! How many instances are open, by workflow: kept with what changes it, since after a restart
//! nobody looks at instances that wait.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use windlass_proto::id::PartitionId;

use super::super::ordered::Ordered;
use super::super::record::{push_varint, read_varint};
use super::super::space::{Change, Order, Space};
use super::super::{JournalError, OpenInstances, head, keys, record};
use super::{Store, stored_head};

/// Open instances by namespace and name.
type Counts = BTreeMap<(Arc<str>, Arc<str>), u64>;

/// Adds the change that says how many there are now.
pub(super) fn put(changes: &mut Vec<Change>, space: Space, open: &OpenInstances) {
    let key = keys::open_instances(&open.namespace, &open.name);
    if open.count == 0 {
        changes.push(Change { space, key, value: None });
        return;
    }
    let mut body = Vec::with_capacity(10);
    push_varint(&mut body, open.count);
    record::put(changes, space, key, &[&body]);
}

/// The count that a record says.
pub(in super::super) fn decode(key: &[u8], body: &[u8]) -> Result<OpenInstances, JournalError> {
    let (namespace, name) = keys::open_instances_of(key)?;
    match read_varint(body) {
        Some((count, [])) => {
            Ok(OpenInstances { namespace: namespace.into(), name: name.into(), count })
        }
        _ => Err(record::damaged(key, "is no number")),
    }
}

/// Counts an instance by its head, or as much of it as is there, if it is open; false where that is
/// too little.
fn add(counts: &mut Counts, body: &[u8]) -> bool {
    let Some(head) = stored_head(body).and_then(|(head, _)| head::summary(head)) else {
        return false;
    };
    if let Some(workflow) = head.open_of() {
        *counts.entry((workflow.namespace.clone(), workflow.name.clone())).or_default() += 1;
    }
    true
}

impl<O: Ordered> Store<O> {
    pub(super) fn read_open(
        &self,
        partition: PartitionId,
    ) -> Result<Vec<OpenInstances>, JournalError> {
        let (space, end) = (Space::Partition(partition), keys::end_of(&[keys::OPEN]));
        let entries = self.entries(space, &[keys::OPEN], &end, Order::Up, usize::MAX)?;
        entries
            .into_iter()
            .map(|(key, value)| decode(&key, &record::open(&key, &value)?.first))
            .collect()
    }

    /// Counts the heads that are there: in a journal of an earlier version, or one of which
    /// something is lost.
    pub(in super::super) fn count_open(&self) -> Result<(), JournalError> {
        let _exclusive = self.exclusive();
        let mut changes = Vec::new();
        for number in 0..self.partitions {
            let partition = PartitionId(number);
            for ((namespace, name), count) in self.counted(partition)? {
                let counted = OpenInstances { namespace, name, count };
                put(&mut changes, Space::Partition(partition), &counted);
            }
        }
        let one = 1_u64.to_be_bytes();
        record::put(&mut changes, Space::Common, keys::COUNTED.to_vec(), &[&one]);
        self.write(changes)
    }

    /// How many are open by their heads; none of workflows that the count names and has no more of.
    fn counted(&self, partition: PartitionId) -> Result<Counts, JournalError> {
        let (space, end) = (Space::Partition(partition), keys::end_of(&[keys::HEAD]));
        let (mut counts, mut cut) = (Counts::new(), Vec::new());
        for old in self.read_open(partition)? {
            counts.insert((old.namespace, old.name), 0);
        }
        self.ordered.scan(space, &[keys::HEAD], &end, Order::Up, &mut |key, value| {
            // What cannot be read is damage, of which others tell.
            if record::open(key, value).is_ok_and(|it| !add(&mut counts, &it.first)) {
                cut.push(key.to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for key in cut {
            match self.body(space, &key) {
                Ok(body) => drop(body.map(|it| add(&mut counts, &it))),
                Err(JournalError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(counts)
    }

    /// True once open instances are counted.
    pub(super) fn is_counted(&self) -> Result<bool, JournalError> {
        Ok(self.number(keys::COUNTED)?.is_some())
    }
}
