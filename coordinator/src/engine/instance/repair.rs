//! What operators have to repair of an instance, or have repaired.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Since when operators are waited for; until it is resumed, whoever of `halted` has gone.
    #[serde(default)]
    pub incident: Option<Incident>,
    /// What was started because it has faulted.
    #[serde(default)]
    pub handler: Option<FaultHandler>,
    /// True where it goes on for one that was started because of a fault, or below such a one.
    #[serde(default)]
    pub handles: bool,
}

/// An instance that is started because another one has faulted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultHandler {
    /// The instance.
    pub instance: InstanceId,
    /// Namespace, name, version.
    pub workflow: [Arc<str>; 3],
    /// True until it is known to have started, or not to start.
    pub pending: bool,
    /// Why it has not started, where it has not.
    pub refused: Option<Problem>,
}

/// Visits have failed, and since then nobody has let the instance go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// When the first of them did: timeouts do not count from then on.
    pub since: Timestamp,
    /// Whether that is what suspended the instance: then nothing does once none of them is left.
    pub suspends: bool,
}

impl Repair {
    /// What earlier versions did not keep follows from the visits that wait.
    pub(super) fn completed(&mut self) {
        if self.incident.is_none() {
            let first = self.halted.values().map(|it| it.since).min();
            self.incident = first.map(|since| Incident { since, suspends: true });
        }
    }
}

/// A visit that has failed and waits for an operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Halt {
    /// Its error.
    pub problem: Problem,
    /// When it failed.
    pub since: Timestamp,
}
