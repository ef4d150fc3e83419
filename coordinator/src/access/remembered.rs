//! Credentials that were verified a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::principal::Principal;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    all: HashMap<[u8; 32], Entry>,
    /// Counts what may have ended somebody's rights.
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    principal: Arc<Principal>,
    until: Timestamp,
}

impl Remembered {
    /// Whoever showed this, if that counts still.
    pub(super) fn get(&self, hash: &[u8; 32], now: Timestamp) -> Option<Arc<Principal>> {
        self.state().all.get(hash).filter(|it| it.until > now).map(|it| it.principal.clone())
    }

    /// What is verified from now on is of this generation.
    pub(super) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Remembers it for a while, and not beyond its end; not at all when something has changed
    /// since its verification began.
    pub(super) fn put(
        &self,
        hash: [u8; 32],
        principal: Arc<Principal>,
        generation: u64,
        now: Timestamp,
    ) {
        let until = now.plus(limits::ACCESS_REMEMBERED_MS);
        let until = principal.expires.map_or(until, |it| it.min(until));
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        if state.all.len() >= limits::ACCESS_REMEMBERED {
            state.all.retain(|_, it| it.until > now);
        }
        if state.all.len() >= limits::ACCESS_REMEMBERED {
            // More are about than are remembered: each costs its verification again.
            state.all.clear();
        }
        state.all.insert(hash, Entry { principal, until });
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.all.clear();
        state.generation += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use windlass_proto::time::Timestamp;

    use super::Remembered;
    use crate::access::Principal;

    #[test]
    fn what_was_verified_before_a_change_is_not_remembered_after_it() {
        let (remembered, now) = (Remembered::default(), Timestamp(1));
        let anyone = Arc::new(Principal::anyone());
        let before = remembered.generation();
        remembered.put([1; 32], anyone.clone(), before, now);
        assert!(remembered.get(&[1; 32], now).is_some());
        remembered.clear();
        remembered.put([1; 32], anyone.clone(), before, now);
        assert!(remembered.get(&[1; 32], now).is_none());
        remembered.put([1; 32], anyone, remembered.generation(), now);
        assert!(remembered.get(&[1; 32], now).is_some());
    }
}
