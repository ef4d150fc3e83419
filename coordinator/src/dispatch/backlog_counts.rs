//! How much waits for workers, by namespace: what admission asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts of waiting assignments.
#[derive(Default)]
pub struct BacklogCounts {
    waiting: Mutex<HashMap<Arc<str>, usize>>,
}

impl BacklogCounts {
    /// One more waits.
    pub(super) fn enters(&self, namespace: &Arc<str>) {
        let mut waiting = self.lock();
        match waiting.get_mut(namespace) {
            Some(count) => *count += 1,
            None => drop(waiting.insert(namespace.clone(), 1)),
        }
    }

    /// One less waits.
    pub(super) fn leaves(&self, namespace: &Arc<str>) {
        let mut waiting = self.lock();
        match waiting.get_mut(namespace) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(waiting.remove(namespace)),
        }
    }

    /// How many wait in a namespace.
    #[must_use]
    pub fn of(&self, namespace: &str) -> usize {
        self.lock().get(namespace).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.waiting.lock().unwrap_or_else(|it| it.into_inner())
    }
}
