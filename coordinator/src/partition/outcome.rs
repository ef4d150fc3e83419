//! What becomes of instances, for the log: `info` where one faults, `debug` for all else.
//!
//! Said as it is decided, a moment before it is durable. Of errors these lines have the type, cut
//! where it is long, and no text: the history has that, for those who may read it.

use windlass_proto::plan::Plan;
use windlass_telemetry::shortened;

use crate::engine::{Fact, Instance};
use crate::trace::trace_id;

/// Operators write it to hear of instances: `windlass_coordinator::instances=debug`.
const TARGET: &str = "windlass_coordinator::instances";

/// Tells of what `facts`, which have led to `instance`, say.
pub(super) fn log(plan: &Plan, instance: &Instance, facts: &[Fact]) {
    if !tracing::enabled!(target: TARGET, tracing::Level::INFO) {
        return;
    }
    let told = |fact: &&Fact| {
        fact.is_end()
            || matches!(
                fact,
                Fact::Started { .. }
                    | Fact::RetryScheduled { .. }
                    | Fact::Halted { .. }
                    | Fact::Succeeds { .. }
            )
    };
    for fact in facts.iter().filter(told) {
        line(plan, instance, fact);
    }
}

fn line(plan: &Plan, instance: &Instance, fact: &Fact) {
    let (workflow, trace) = (&plan.id, trace_id(instance));
    let instance = instance.id;
    match fact {
        Fact::Faulted(problem) => {
            let (error, status) = (&*shortened(&problem.kind), problem.status);
            tracing::info!(target: TARGET, %instance, %workflow, error, status, %trace, "instance faulted");
        }
        Fact::RetryScheduled { problem, .. } => {
            let (error, status) = (&*shortened(&problem.kind), problem.status);
            tracing::debug!(target: TARGET, %instance, %workflow, error, status, %trace, "retry scheduled");
        }
        Fact::Halted { problem, .. } => {
            let (error, status) = (&*shortened(&problem.kind), problem.status);
            tracing::info!(target: TARGET, %instance, %workflow, error, status, %trace, "instance suspended by a fault");
        }
        Fact::Succeeds { predecessor, .. } => {
            tracing::info!(target: TARGET, %instance, %workflow, %predecessor, %trace, "instance goes on for another");
        }
        Fact::Started { .. } => {
            tracing::debug!(target: TARGET, %instance, %workflow, %trace, "instance started");
        }
        Fact::Cancelled(_) => {
            tracing::debug!(target: TARGET, %instance, %workflow, %trace, "instance cancelled");
        }
        _ => tracing::debug!(target: TARGET, %instance, %workflow, %trace, "instance completed"),
    }
}
