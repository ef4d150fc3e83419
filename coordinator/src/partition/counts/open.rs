//! How many instances are open: counted with what is written of them, and kept in the journal.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use windlass_proto::id::PartitionId;
use windlass_proto::plan::Plan;

use super::{InstanceCounts, WorkflowCounts};
use crate::journal::{Commit, Journal, JournalError, OpenInstances};

/// Namespace and name of a workflow.
type Name = (Arc<str>, Arc<str>);

/// Open instances of a partition by workflow: of all there are, as the journal has to say each,
/// while metrics have a bound.
pub(in crate::partition) struct OpenCounts {
    counts: HashMap<Name, Counted>,
    /// Those that have changed in this turn.
    changed: BTreeSet<Name>,
}

struct Counted {
    count: u64,
    /// Where it is shown.
    shown: Arc<WorkflowCounts>,
}

impl OpenCounts {
    /// As the journal has them.
    pub(in crate::partition) fn load(
        journal: &dyn Journal,
        partition: PartitionId,
        all: &InstanceCounts,
    ) -> Result<Self, JournalError> {
        let mut counts = HashMap::new();
        let known = journal.open_instances(partition)?.unwrap_or_default();
        for OpenInstances { namespace, name, count } in known {
            let shown = all.workflows.get([&namespace, &name]);
            shown.open.add(count);
            counts.insert((namespace, name), Counted { count, shown });
        }
        Ok(Self { counts, changed: BTreeSet::new() })
    }

    /// An instance was open or not as far as the journal knows, and is now.
    pub(in crate::partition) fn note(
        &mut self,
        plan: &Plan,
        all: &InstanceCounts,
        (was, is): (bool, bool),
    ) {
        if was == is {
            return;
        }
        let name = (plan.id.namespace.clone(), plan.id.name.clone());
        let made = || Counted { count: 0, shown: all.of(plan) };
        let counted = self.counts.entry(name.clone()).or_insert_with(made);
        if is {
            counted.count += 1;
            counted.shown.open.add(1);
        } else {
            debug_assert!(counted.count > 0, "more of {name:?} have ended than were open");
            counted.count = counted.count.saturating_sub(1);
            counted.shown.open.subtract(1);
        }
        self.changed.insert(name);
    }

    /// Takes what has changed into what becomes durable. A workflow that has none is forgotten.
    pub(in crate::partition) fn keep(&mut self, commit: &mut Commit) {
        for name in std::mem::take(&mut self.changed) {
            let count = self.counts.get(&name).map_or(0, |it| it.count);
            if count == 0 {
                self.counts.remove(&name);
            }
            let (namespace, name) = name;
            commit.open.push(OpenInstances { namespace, name, count });
        }
    }
}
