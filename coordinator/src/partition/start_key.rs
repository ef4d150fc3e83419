//! Keys of starts: which instance has one, and what a start under it becomes.
//!
//! The first instance under a key has the id that follows from the key. One that takes its place
//! has an id that follows from that one and the number of places taken; both share a partition, so
//! the end of the one, the start of the other and the row that names it are one batch.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass_proto::id::InstanceId;

use super::message::{Earlier, NewInstance};
use super::{Batch, Partition};
use crate::engine::Input;
use crate::journal::{JournalError, RowWrite, Status, Table};

/// What becomes of a start under the id or key of an instance that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnRunning {
    /// It is a repeat: nothing is started, and that instance is answered for.
    #[default]
    UseExisting,
    /// It is refused.
    Fail,
    /// That instance is cancelled, and another one started.
    TerminateExisting,
}

/// What becomes of a start under the id or key of an instance that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnEnded {
    /// It is a repeat: nothing is started, and that instance is answered for.
    #[default]
    UseExisting,
    /// It is refused.
    Fail,
    /// Another one is started.
    Replace,
    /// Another one is started where that one has faulted or was cancelled; else it is a repeat.
    ReplaceFailed,
}

/// What a start is to become where its id or key has been used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartPolicy {
    /// While the instance runs.
    pub running: OnRunning,
    /// Once it has ended.
    pub ended: OnEnded,
    /// True where the id is made from a key, which another instance may get.
    pub keyed: bool,
}

/// Which instance has a key.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) instance: InstanceId,
    /// How many had it before.
    pub(crate) places: u32,
}

impl Holder {
    /// Reads a row.
    pub(crate) fn decode(row: &[u8]) -> Result<Self, JournalError> {
        rmp_serde::from_slice(row)
            .map_err(|_| JournalError::Damaged("the row of a key of starts is none".to_owned()))
    }
}

/// Keys whose holder is not in the journal yet, by the batch that writes it.
pub(super) type RecentKeys = HashMap<InstanceId, (Holder, u64)>;

/// What a start under a key that has been used becomes.
enum Turn {
    Repeat,
    Refused,
    Replaces,
}

impl StartPolicy {
    fn turn(self, status: Status, is_over: bool) -> Turn {
        if !status.is_final() {
            return match self.running {
                OnRunning::UseExisting => Turn::Repeat,
                OnRunning::Fail => Turn::Refused,
                OnRunning::TerminateExisting if self.keyed => Turn::Replaces,
                OnRunning::TerminateExisting => Turn::Refused,
            };
        }
        let replaces = match self.ended {
            _ if is_over => true,
            OnEnded::UseExisting => return Turn::Repeat,
            OnEnded::Fail => false,
            OnEnded::ReplaceFailed if status == Status::Completed => return Turn::Repeat,
            OnEnded::Replace | OnEnded::ReplaceFailed => true,
        };
        if replaces && self.keyed { Turn::Replaces } else { Turn::Refused }
    }
}

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
    pub(super) fn place_start(&mut self, mut start: NewInstance) -> Result<Placed, JournalError> {
        let (root, policy) = (start.id, start.policy);
        let holder = if policy.keyed { self.holder(root)? } else { None };
        let first = Holder { instance: root, places: 0 };
        let Holder { instance, places } = holder.unwrap_or(first);
        let next = next(self, root, places);
        let kept = self.shared.admission.key_ms();
        let now = self.now;
        let Some(resident) = self.load(instance)? else {
            // Retention has removed it; its id is not given a second time.
            start.id = if holder.is_some() { next } else { root };
            return Ok(Placed::New(start, None));
        };
        let status = resident.instance.status();
        let is_over =
            policy.keyed && resident.instance.ended_at.is_some_and(|it| it.plus(kept) < now);
        start.id = instance;
        match policy.turn(status, is_over) {
            Turn::Refused => Ok(Placed::Refused(start, status)),
            Turn::Replaces => {
                start.id = next;
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
        let row = self.shared.journal.row(self.id, Table::StartKeys, root.0.as_bytes())?;
        row.map(|it| Holder::decode(&it)).transpose()
    }
}

/// The id of the next instance under a key.
fn next(partition: &Partition, root: InstanceId, places: u32) -> InstanceId {
    let number = places.saturating_add(1).to_be_bytes();
    let partitions = partition.shared.journal.partitions();
    InstanceId(Uuid::new_v5(&root.0, &number)).placed(partition.id, partitions)
}

#[cfg(test)]
mod tests {
    use super::{OnEnded, OnRunning, StartPolicy, Turn};
    use crate::journal::Status;

    #[test]
    fn an_id_is_never_given_twice() {
        let all = [OnEnded::UseExisting, OnEnded::Fail, OnEnded::Replace, OnEnded::ReplaceFailed];
        for ended in all {
            let running = OnRunning::TerminateExisting;
            let policy = StartPolicy { running, ended, keyed: false };
            for status in [Status::Running, Status::Faulted, Status::Completed] {
                assert!(!matches!(policy.turn(status, true), Turn::Replaces), "{status:?}");
            }
        }
    }
}
