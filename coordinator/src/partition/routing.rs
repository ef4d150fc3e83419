//! Which waiting instances an event can concern, known without loading them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use windlass_proto::id::{FrameId, InstanceId, PartitionId};

use crate::engine::Interest;
use crate::journal::{Journal, JournalError};

/// Subscriptions read from the journal at once.
const PAGE: usize = 4_096;

type Visit = (InstanceId, FrameId);

/// Subscriptions of a partition by what they want.
#[derive(Default)]
pub(super) struct Routing {
    by_type: HashMap<Arc<str>, BTreeSet<Visit>>,
    any: BTreeSet<Visit>,
    interests: HashMap<Visit, Interest>,
}

impl Routing {
    pub(super) fn load(
        journal: &dyn Journal,
        partition: PartitionId,
    ) -> Result<Self, JournalError> {
        let mut routing = Self::default();
        let mut after = None;
        loop {
            let page = journal.subscriptions(partition, after, PAGE)?;
            let full = page.len() == PAGE;
            for (instance, frame, bytes) in page {
                let interest = rmp_serde::from_slice(&bytes).map_err(|error| {
                    JournalError::Damaged(format!("subscription of {instance}: {error}"))
                })?;
                routing.insert((instance, frame), interest);
                after = Some((instance, frame));
            }
            if !full {
                return Ok(routing);
            }
        }
    }

    pub(super) fn insert(&mut self, visit: Visit, interest: Interest) {
        match &interest {
            Interest::All => {
                self.any.insert(visit);
            }
            Interest::Types(types) => {
                for kind in types {
                    self.by_type.entry(kind.clone()).or_default().insert(visit);
                }
            }
        }
        self.interests.insert(visit, interest);
    }

    pub(super) fn remove(&mut self, visit: Visit) {
        match self.interests.remove(&visit) {
            None => {}
            Some(Interest::All) => {
                self.any.remove(&visit);
            }
            Some(Interest::Types(types)) => {
                for kind in types {
                    if let Some(visits) = self.by_type.get_mut(&kind) {
                        visits.remove(&visit);
                        if visits.is_empty() {
                            self.by_type.remove(&kind);
                        }
                    }
                }
            }
        }
    }

    /// The instances that an event of this type can concern, each once.
    pub(super) fn candidates(&self, kind: &str) -> BTreeSet<InstanceId> {
        let typed = self.by_type.get(kind).into_iter().flatten();
        typed.chain(&self.any).map(|(instance, _)| *instance).collect()
    }
}
