//! Where an instance comes from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::trace::TraceContext;

use super::{ROOT, default_priority};
use crate::engine::requester::Requester;

/// The parent of a child instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The parent.
    pub instance: InstanceId,
    /// The visit of its `run.workflow`.
    pub frame: FrameId,
    /// Whether it waits for the end.
    pub waits: bool,
    /// How many instances above wait for this one, one through the other.
    pub depth: u32,
    /// The instance at the top of the chain of starts. Journals from before it was kept lack it.
    #[serde(default)]
    pub root: Option<InstanceId>,
    /// How many instances are above, awaited or not.
    #[serde(default)]
    pub generation: u32,
    /// True for what was started because the parent had faulted, and for all that it starts: their
    /// own faults start nothing more.
    #[serde(default)]
    pub handles: bool,
}

impl Parent {
    /// The instance at the top of the chain of starts, as far as it is known.
    #[must_use]
    pub fn root(&self) -> InstanceId {
        self.root.unwrap_or(self.instance)
    }

    /// True where it has faulted and starts what its definition names for that. It asks until it
    /// has an answer, and nobody is there to do without.
    #[must_use]
    pub fn has_faulted(&self) -> bool {
        self.handles && self.frame == ROOT
    }
}

/// Where an instance comes from, and what it was started with beside its input.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The instance that runs it as a child.
    pub parent: Option<Parent>,
    /// Labels.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// Its priority, 0 to 9.
    pub priority: u8,
    /// The trace it was started in, where there was one.
    pub trace: Option<TraceContext>,
    /// Who started it, where that is to be kept.
    pub by: Option<Arc<Requester>>,
}

impl Default for Origin {
    fn default() -> Self {
        let priority = default_priority();
        Self { parent: None, labels: Vec::new(), priority, trace: None, by: None }
    }
}
