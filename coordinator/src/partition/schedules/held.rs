//! A schedule in memory: there may be a hundred thousand, and nearly all of them rest.
//!
//! **Invariant:** what is put in comes out the same.

use std::sync::Arc;

use windlass_proto::id::Digest;
use windlass_proto::time::Timestamp;

use crate::catalog::Catalog;
use crate::journal::StoredDefinition;
use crate::schedule::{Busy, Listener, Pause, State};

/// Stands for a time that never comes.
const NEVER: Timestamp = Timestamp(u64::MAX);

/// The state of a schedule, and when it is looked at next.
pub(super) struct Held {
    /// The catalog's own, while it has it.
    definition: Arc<StoredDefinition>,
    since: Timestamp,
    next: [u64; 3],
    delay: u64,
    fired: u64,
    skipped: u64,
    sequence: u64,
    reckoned: Timestamp,
    wake: u64,
    more: Option<Box<More>>,
}

/// What most schedules have not.
#[derive(Clone)]
struct More {
    paused: Option<Box<Pause>>,
    busy: Option<Box<Busy>>,
    listener: Option<Box<Listener>>,
}

impl Held {
    /// Keeps a state, to be looked at at `wake`.
    pub(super) fn new(state: State, wake: Option<Timestamp>, catalog: &Catalog) -> Self {
        let State { workflow, digest, since, next, delay, fired, skipped, sequence, .. } = state;
        let State { reckoned, paused, busy, listener, .. } = state;
        let definition = catalog.shared(&workflow, &digest).unwrap_or_else(|| {
            // Replaced, retired or gone: what counts now is about to be told.
            let (text, retired_at) = ("".into(), None);
            Arc::new(StoredDefinition {
                id: workflow,
                digest,
                text,
                deployed_at: since,
                retired_at,
            })
        });
        let is_plain = paused.is_none() && busy.is_none() && listener.is_none();
        let more = (!is_plain).then(|| Box::new(More { paused, busy, listener }));
        let next = next.map(number);
        let wake = number(wake);
        Self { definition, since, next, delay, fired, skipped, sequence, reckoned, wake, more }
    }

    /// The state.
    pub(super) fn state(&self) -> State {
        self.with(self.more.as_deref().cloned())
    }

    /// The state, for who changes it.
    pub(super) fn into_state(mut self) -> State {
        let more = self.more.take().map(|it| *it);
        self.with(more)
    }

    fn with(&self, more: Option<More>) -> State {
        let (paused, busy, listener) =
            more.map_or((None, None, None), |it| (it.paused, it.busy, it.listener));
        State {
            workflow: self.definition.id.clone(),
            digest: self.definition.digest.clone(),
            since: self.since,
            next: self.next.map(time),
            delay: self.delay,
            paused,
            busy,
            fired: self.fired,
            skipped: self.skipped,
            sequence: self.sequence,
            listener,
            reckoned: self.reckoned,
        }
    }

    /// When it is looked at next.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        time(self.wake)
    }

    /// Which definition it is of.
    pub(super) fn definition(&self) -> &StoredDefinition {
        &self.definition
    }

    /// The digest of that.
    pub(super) fn digest(&self) -> &Digest {
        &self.definition.digest
    }

    /// When its due times were last reckoned.
    pub(super) fn reckoned(&self) -> Timestamp {
        self.reckoned
    }

    /// What it listens by.
    pub(super) fn listener(&self) -> Option<&Listener> {
        self.more.as_ref().and_then(|it| it.listener.as_deref())
    }

    /// True while there is nothing but due times.
    #[cfg(test)]
    pub(super) fn is_plain(&self) -> bool {
        self.more.is_none()
    }

    /// Takes over the definition that the catalog has now, which is the same text.
    pub(super) fn share(&mut self, catalog: &Catalog) {
        let StoredDefinition { id, digest, .. } = &*self.definition;
        if let Some(definition) = catalog.shared(id, digest) {
            self.definition = definition;
        }
    }
}

fn number(time: Option<Timestamp>) -> u64 {
    time.unwrap_or(NEVER).0
}

fn time(number: u64) -> Option<Timestamp> {
    (number != NEVER.0).then_some(Timestamp(number))
}
