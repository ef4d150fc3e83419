//! Timers of a partition. The journal has all of them; memory holds those due soon.

use std::collections::BTreeSet;

use windlass_proto::expression::steps_taken;
use windlass_proto::id::PartitionId;
use windlass_proto::limits::{self, MESSAGE_COST, TURN_COST};
use windlass_proto::time::Timestamp;

use super::message::Refusal;
use super::{Batch, Partition};
use crate::engine::{Input, Rejection};
use crate::journal::{Journal, JournalError, TimerKey};

/// Timers that are due soon.
pub(super) struct Timers {
    soon: BTreeSet<TimerKey>,
    /// Timers due before this are in memory as soon as they are set.
    horizon: Timestamp,
    unread: Option<Unread>,
}

/// A stretch still to be read from the journal; it ends where the horizon is.
#[derive(Clone, Copy)]
struct Unread {
    from: Timestamp,
    /// Only once this batch is durable does the journal show all timers set before.
    batch: u64,
    /// When to look again whether it is.
    again: Timestamp,
}

impl Timers {
    /// Reads the timers that are due soon.
    pub(super) fn load(
        journal: &dyn Journal,
        partition: PartitionId,
        now: Timestamp,
    ) -> Result<Self, JournalError> {
        let horizon = now.plus(limits::TIMER_HORIZON_MS);
        let mut timers = Self { soon: BTreeSet::new(), horizon, unread: None };
        timers.read(journal, partition, Timestamp(0))?;
        Ok(timers)
    }

    pub(super) fn set(&mut self, key: TimerKey) {
        if key.due < self.horizon {
            self.soon.insert(key);
        }
    }

    pub(super) fn clear(&mut self, key: &TimerKey) {
        self.soon.remove(key);
    }

    /// Takes out the soonest timer, if it is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<TimerKey> {
        if self.soon.first()?.due > now {
            return None;
        }
        self.soon.pop_first()
    }

    pub(super) fn next_wake(&self) -> Timestamp {
        let reading = match self.unread {
            Some(unread) => unread.from.max(unread.again),
            None => Timestamp(self.horizon.0.saturating_sub(limits::TIMER_HORIZON_MS / 2)),
        };
        self.soon.first().map_or(reading, |first| first.due.min(reading))
    }

    /// Moves the horizon on when half of it has passed. `submitted` is the last batch that was
    /// handed over, `durable` the last one that is durable.
    pub(super) fn extend(
        &mut self,
        journal: &dyn Journal,
        partition: PartitionId,
        now: Timestamp,
        submitted: u64,
        durable: u64,
    ) -> Result<(), JournalError> {
        if let Some(unread) = &mut self.unread {
            if durable < unread.batch {
                unread.again = now.plus(limits::TIMER_AGAIN_MS);
                return Ok(());
            }
            let from = unread.from;
            self.unread = None;
            self.read(journal, partition, from)?;
        } else if self.horizon.since(now) <= limits::TIMER_HORIZON_MS / 2 {
            let (from, again) = (self.horizon, now.plus(limits::TIMER_AGAIN_MS));
            self.unread = Some(Unread { from, batch: submitted, again });
            self.horizon = now.plus(limits::TIMER_HORIZON_MS);
        }
        Ok(())
    }

    /// Reads the timers due from `from` up to the horizon.
    fn read(
        &mut self,
        journal: &dyn Journal,
        partition: PartitionId,
        from: Timestamp,
    ) -> Result<(), JournalError> {
        let mut after = (from.0 > 0).then(|| TimerKey {
            due: from,
            instance: windlass_proto::id::InstanceId(uuid::Uuid::nil()),
            timer: 0,
        });
        loop {
            let page = journal.timers(partition, after, self.horizon, limits::TIMER_PAGE)?;
            let full = page.len() == limits::TIMER_PAGE;
            after = page.last().copied();
            self.soon.extend(page);
            if !full {
                return Ok(());
            }
        }
    }
}

impl Partition {
    /// Fires the timers that are due.
    pub(super) fn fire_timers(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        // As much again as messages may cost: neither keeps the other waiting.
        let most = self.cost + TURN_COST;
        for _ in 0..limits::TURN_TIMERS {
            if self.cost >= most || batch.is_full() {
                break;
            }
            let Some(key) = self.timers.take_due(batch.now) else { break };
            let before = steps_taken();
            let fired = Input::TimerFired { timer: key.timer };
            match self.input(batch, key.instance, fired)? {
                Ok(()) => {}
                // The timer was cleared by something else; its index entry goes with that.
                Err(Refusal::Rejected(Rejection::Stale | Rejection::Ended, _)) => {}
                // It is set again when the instance goes on.
                Err(Refusal::Quarantined) => {}
                Err(_) => batch.commit.timers_cleared.push(key),
            }
            self.cost += steps_taken().wrapping_sub(before) + MESSAGE_COST;
        }
        Ok(())
    }
}
