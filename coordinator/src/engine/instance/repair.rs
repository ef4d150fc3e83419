//! What operators have to repair of an instance, or have repaired.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;

/// What operators have to repair of an instance, or have repaired.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Repair {
    /// Visits that have failed and wait for an operator.
    pub halted: BTreeMap<FrameId, Halt>,
    /// The instance that this one goes on for.
    pub predecessor: Option<InstanceId>,
    /// The one that goes on for it at the task that failed.
    pub retried: Option<InstanceId>,
    /// All instances that go on for this one, oldest first.
    pub successors: Vec<InstanceId>,
}

/// A visit that has failed and waits for an operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Halt {
    /// Its error.
    pub problem: Problem,
    /// When it failed.
    pub since: Timestamp,
}
