//! Which tasks and branches of a definition an instance has come to.

use std::collections::BTreeSet;

use windlass_proto::id::FrameId;
use windlass_proto::plan::{Kind, Plan, TaskIx};
use windlass_proto::time::Timestamp;

use crate::engine::{Fact, Instance, case_of};

/// Something that an instance has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// A task was visited: one whose `if` is false is not.
    Task(TaskIx),
    /// A case of a `switch` was taken, by its number.
    Case(TaskIx, usize),
    /// A clause of a `try` caught an error, by its number.
    Clause(TaskIx, u32),
}

/// Adds what `fact`, which `instance` does not have yet, shows to be reached.
pub(super) fn by(
    plan: &Plan,
    instance: &Instance,
    at: Timestamp,
    fact: &Fact,
    reached: &mut BTreeSet<Reached>,
) {
    let task_of = |frame: &FrameId| instance.frames.get(frame).and_then(|it| it.task);
    match fact {
        Fact::TaskOpened { task, .. } => {
            reached.insert(Reached::Task(*task));
        }
        Fact::Caught { frame, clause, .. } | Fact::RetryScheduled { frame, clause, .. } => {
            reached.extend(task_of(frame).map(|task| Reached::Clause(task, *clause)));
        }
        Fact::TaskCompleted { frame, .. } => {
            let Some(task) = task_of(frame) else { return };
            if let Kind::Switch(cases) = &plan.task(task).kind {
                let case = case_of(plan, instance, at, *frame, cases);
                reached.extend(case.map(|number| Reached::Case(task, number)));
            }
        }
        _ => {}
    }
}
