//! Keys of starts: which instance has one, and what a start under it becomes.
//!
//! The first instance under a key has the id that follows from the key. One that takes its place
//! has an id that follows from that one and the number of places taken; both share a partition, so
//! the end of the one, the start of the other and the row that names it are one batch.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::time::Timestamp;

use super::message::{Earlier, NewInstance};
use super::start_policy::Turn;
use super::{Batch, Partition};
use crate::engine::Input;
use crate::journal::{Holder, JournalError, RowWrite, Status, Table};

/// Keys whose holder is not in the journal yet, by the batch that writes it.
pub(super) type RecentKeys = HashMap<InstanceId, (Holder, u64)>;

/// What is to be done with a start.
pub(super) enum Placed {
    /// Create it, under the id that it has now; the instance that had the key is to end before.
    New(NewInstance, Option<InstanceId>),
    /// It repeats this one.
    Repeat(NewInstance, Earlier),
    /// That id or key is taken.
    Refused(NewInstance, Status),
}

impl Partition {
    /// Finds what has the id or key of a start, and gives the start another id where it is to take
    /// its place.
    pub(super) fn place_start(
        &mut self,
        now: Timestamp,
        mut start: NewInstance,
    ) -> Result<Placed, JournalError> {
        let (root, policy) = (start.id, start.policy);
        let holder = if policy.keyed { self.holder(root)? } else { None };
        let first = Holder { instance: root, places: 0 };
        let Holder { instance, places } = holder.unwrap_or(first);
        let (id, partitions) = (self.id, self.shared.journal.partitions());
        let next = || next(root, places, (id, partitions));
        let kept = self.shared.admission.key_ms();
        let Some(resident) = self.load(instance)? else {
            // Retention has removed it; its id is not given a second time.
            start.id = if holder.is_some() { next() } else { root };
            return Ok(Placed::New(start, None));
        };
        let status = resident.instance.status();
        // What another instance goes on for (`windlass retry`, `reset`) is not done beside it.
        let goes_on = !resident.instance.repair.successors.is_empty();
        let is_over =
            policy.keyed && resident.instance.ended_at.is_some_and(|it| it.plus(kept) < now);
        start.id = instance;
        match policy.turn(status, is_over) {
            Turn::Refused => Ok(Placed::Refused(start, status)),
            Turn::Replaces if goes_on && !is_over => Ok(Placed::Refused(start, status)),
            Turn::Replaces => {
                start.id = next();
                Ok(Placed::New(start, (!status.is_final()).then_some(instance)))
            }
            Turn::Repeat => {
                // Only requests are told: the input of a child is a function of its parent.
                let same = start.reply.is_none() || resident.instance.input == start.input;
                let earlier = Earlier {
                    workflow: resident.plan.id.clone(),
                    digest: resident.plan.digest.clone(),
                    input: (!same).then(|| resident.instance.input.clone()),
                };
                Ok(Placed::Repeat(start, earlier))
            }
        }
    }

    /// Ends the instance that has the key of a start; false when that cannot be.
    pub(super) fn end_for(
        &mut self,
        batch: &mut Batch,
        old: InstanceId,
        new: InstanceId,
    ) -> Result<bool, JournalError> {
        let reason = format!("terminated: {new} was started under the same key");
        let input = Input::Cancel { reason: Some(reason.into()) };
        Ok(self.input(batch, old, input)?.is_ok())
    }

    /// Keeps who has a key now, where that is not the first instance under it.
    pub(super) fn keep_holder(
        &mut self,
        batch: &mut Batch,
        root: InstanceId,
        instance: InstanceId,
    ) -> Result<(), JournalError> {
        if instance == root {
            return Ok(());
        }
        let places = self.holder(root)?.map_or(0, |it| it.places).saturating_add(1);
        let holder = Holder { instance, places };
        let value = rmp_serde::to_vec(&holder)
            .map_err(|error| JournalError::Store(format!("a key cannot be encoded: {error}")))?;
        let name = Arc::from(root.0.as_bytes().as_slice());
        let (partition, table) = (self.id, Table::StartKeys);
        batch.commit.rows.push(RowWrite { partition, table, name, value: Some(value) });
        self.recent_keys.insert(root, (holder, batch.number));
        Ok(())
    }

    fn holder(&self, root: InstanceId) -> Result<Option<Holder>, JournalError> {
        if let Some((holder, _)) = self.recent_keys.get(&root) {
            return Ok(Some(*holder));
        }
        Holder::of(&*self.shared.journal, root)
    }
}

/// The id of the next instance under a key.
fn next(root: InstanceId, places: u32, (own, all): (PartitionId, u16)) -> InstanceId {
    let number = places.saturating_add(1).to_be_bytes();
    InstanceId(Uuid::new_v5(&root.0, &number)).placed(own, all)
}
