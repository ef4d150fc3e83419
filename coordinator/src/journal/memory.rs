//! A journal in memory: the same records under the same rules, for tests and simulation.
//!
//! What survives a crash can be taken out ([`MemoryJournal::durable`]) and opened again, and a
//! crash can be arranged around a commit ([`MemoryJournal::crash_at`]).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use super::JournalError;
use super::ordered::Ordered;
use super::space::{Change, Order, Space, Visit};
use super::store::{Store, lock};

/// A journal in memory.
pub type MemoryJournal = Store<Memory>;

/// The store under a [`MemoryJournal`].
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
}

/// A space and a key in it.
type Place = (Space, Arc<[u8]>);

/// What a [`MemoryJournal`] has made durable.
#[derive(Clone, Debug, Default)]
pub struct Durable {
    entries: BTreeMap<Place, Arc<[u8]>>,
}

/// Where a commit crashes. Every later write fails too, as after the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// Nothing of the commit is durable.
    BeforeWrite,
    /// The commit is written but not synced: it survives the end of the process, and may or may
    /// not survive the end of the machine.
    AfterWrite {
        /// Whether it survives.
        kept: bool,
    },
    /// The commit is durable, but the caller never hears of it.
    AfterSync,
}

#[derive(Debug, Default)]
struct State {
    durable: Durable,
    /// Writes that still succeed before the crash, and how it goes.
    crash: Option<(usize, CrashPoint)>,
    crashed: bool,
    writes: usize,
}

impl MemoryJournal {
    /// An empty journal with `partitions` partitions, at least one.
    ///
    /// # Errors
    /// None in practice: memory does not refuse.
    pub fn in_memory(partitions: u16) -> Result<Self, JournalError> {
        Self::reopen(Durable::default(), partitions)
    }

    /// The journal as it is found after a crash; `partitions` counts only when `durable` is empty.
    ///
    /// # Errors
    /// When `durable` does not come from a journal of this or an earlier version.
    pub fn reopen(durable: Durable, partitions: u16) -> Result<Self, JournalError> {
        let state = Mutex::new(State { durable, ..State::default() });
        Self::new(Memory { state }, partitions)
    }

    /// A copy of what would survive a crash now.
    #[must_use]
    pub fn durable(&self) -> Durable {
        lock(&self.ordered.state).durable.clone()
    }

    /// Crashes at the write after the next `writes` ones. Definitions and epochs are writes too.
    pub fn crash_at(&self, writes: usize, point: CrashPoint) {
        lock(&self.ordered.state).crash = Some((writes, point));
    }

    /// True once the arranged crash has happened.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        lock(&self.ordered.state).crashed
    }

    /// How many writes succeeded: the place of a crash is a number below this.
    #[must_use]
    pub fn writes(&self) -> usize {
        lock(&self.ordered.state).writes
    }
}

impl Durable {
    fn change(&mut self, space: Space, key: &[u8], value: Option<&[u8]>) {
        let key = (space, Arc::from(key));
        match value {
            Some(value) => {
                self.entries.insert(key, value.into());
            }
            None => {
                self.entries.remove(&key);
            }
        }
    }
}

impl State {
    fn write(&mut self, changes: Vec<Change>) -> Result<(), JournalError> {
        let crashed = || JournalError::Store("the journal crashed as arranged".to_owned());
        if self.crashed {
            return Err(crashed());
        }
        let point = match &mut self.crash {
            Some((0, point)) => Some(*point),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        let kept = match point {
            Some(CrashPoint::BeforeWrite) => false,
            Some(CrashPoint::AfterWrite { kept }) => kept,
            Some(CrashPoint::AfterSync) | None => true,
        };
        if kept {
            for Change { space, key, value } in changes {
                self.durable.change(space, &key, value.as_deref());
            }
        }
        if point.is_some() {
            self.crashed = true;
            return Err(crashed());
        }
        self.writes += 1;
        Ok(())
    }
}

impl Ordered for Memory {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        let state = lock(&self.state);
        Ok(state.durable.entries.get(&(space, Arc::from(key))).map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<(), JournalError> {
        if from >= to {
            return Ok(());
        }
        let state = lock(&self.state);
        let range = (
            Bound::Included((space, Arc::from(from))),
            Bound::Excluded((space, Arc::<[u8]>::from(to))),
        );
        let mut entries = state.durable.entries.range(range);
        while let Some(((_, key), value)) = match order {
            Order::Up => entries.next(),
            Order::Down => entries.next_back(),
        } {
            if visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), JournalError> {
        lock(&self.state).write(changes)
    }
}
