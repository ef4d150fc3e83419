//! What is counted of instances: how they start, end and fail.
//!
//! Counted as it is decided, a moment before it is durable: if that fails the process ends, and
//! its counters with it.

mod open;
mod schedules;

use std::sync::Arc;

use windlass_proto::limits;
use windlass_proto::metric::table::instances as table;
use windlass_proto::metric::{Counter, Gauge, Histogram, OTHER, Series, Snapshot, Traced};
use windlass_proto::plan::Plan;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::trace::span_of_instance;

use crate::engine::{Fact, Instance, LossReason};
use crate::trace::trace_id;

pub(super) use open::OpenCounts;

/// What all partitions count of instances.
#[derive(Debug)]
pub struct InstanceCounts {
    workflows: Series<WorkflowCounts, 2>,
    /// By [`OUTCOMES`].
    tasks: [Counter; OUTCOMES.len()],
    /// By [`REASONS`], and one for losses without a reason.
    losses: [Counter; REASONS.len()],
    consumed: Counter,
    emitted: Counter,
    /// Claims on limits that wait.
    pub(super) limited: Gauge,
    pub(super) schedules: schedules::ScheduleCounts,
}

/// What is counted of the instances of one workflow.
#[derive(Debug)]
pub(super) struct WorkflowCounts {
    started: Counter,
    open: Gauge,
    completed: Counter,
    cancelled: Counter,
    /// By the standard type of the error; the last one for all other types.
    faulted: [Counter; Standard::ALL.len() + 1],
    duration: Histogram,
    retries: Counter,
    incidents: Counter,
}

/// How visits of tasks end.
const OUTCOMES: [&str; 3] = ["completed", "faulted", "skipped"];

/// Why deliveries are lost; journals of earlier versions do not say.
const REASONS: [&str; 7] =
    ["silent", "left", "handed_back", "not_held", "not_sent", "not_shown", "unknown"];

impl WorkflowCounts {
    fn new() -> Self {
        Self {
            started: Counter::default(),
            open: Gauge::default(),
            completed: Counter::default(),
            cancelled: Counter::default(),
            faulted: Default::default(),
            duration: Histogram::of(&table::DURATION),
            retries: Counter::default(),
            incidents: Counter::default(),
        }
    }

    fn faulted(&self, problem: &Problem) {
        let standard = Standard::parse(&problem.kind);
        let at = standard.and_then(|it| Standard::ALL.iter().position(|all| *all == it));
        let [standard @ .., other] = &self.faulted;
        at.and_then(|at| standard.get(at)).unwrap_or(other).one();
    }
}

impl Default for InstanceCounts {
    fn default() -> Self {
        Self {
            workflows: Series::new(limits::METRIC_WORKFLOWS, WorkflowCounts::new),
            tasks: Default::default(),
            losses: Default::default(),
            consumed: Counter::default(),
            emitted: Counter::default(),
            limited: Gauge::default(),
            schedules: schedules::ScheduleCounts::default(),
        }
    }
}

impl InstanceCounts {
    /// What is counted of a workflow, for an instance of it to keep.
    pub(super) fn of(&self, plan: &Plan) -> Arc<WorkflowCounts> {
        self.workflows.get([&plan.id.namespace, &plan.id.name])
    }

    /// Counts what `facts`, which have led to `instance`, say. An instance that is `traced` is an
    /// exemplar.
    pub(super) fn note(
        &self,
        workflow: &WorkflowCounts,
        instance: &Instance,
        at: Timestamp,
        facts: &[Fact],
        traced: bool,
    ) {
        let [completed, faulted, skipped] = &self.tasks;
        for fact in facts {
            match fact {
                Fact::Started { .. } | Fact::Succeeds { .. } => workflow.started.one(),
                Fact::TaskCompleted { .. } => completed.one(),
                Fact::TaskFaulted { .. } => faulted.one(),
                Fact::TaskSkipped { .. } => skipped.one(),
                Fact::RetryScheduled { .. } => workflow.retries.one(),
                Fact::Halted { .. } => workflow.incidents.one(),
                Fact::EventConsumed { .. } => self.consumed.one(),
                Fact::Emitted { .. } => self.emitted.one(),
                Fact::DeliveryLost { reason, .. } => self.lost(*reason),
                Fact::Completed(_) | Fact::CompletedUnchanged => workflow.completed.one(),
                Fact::Faulted(problem) => workflow.faulted(problem),
                Fact::Cancelled(_) => workflow.cancelled.one(),
                _ => {}
            }
            if fact.is_end() {
                let traced = traced.then(|| Traced {
                    trace: trace_id(instance).number(),
                    span: span_of_instance(instance.id).number(),
                    at,
                });
                workflow.duration.traced_milliseconds(at.since(instance.started_at), traced);
            }
        }
    }

    fn lost(&self, reason: Option<LossReason>) {
        let at = match reason {
            Some(LossReason::Silent) => 0,
            Some(LossReason::Left) => 1,
            Some(LossReason::HandedBack) => 2,
            Some(LossReason::NotHeld) => 3,
            Some(LossReason::NotSent) => 4,
            Some(LossReason::NotShown) => 5,
            None => 6,
        };
        self.losses[at].one();
    }

    /// Adds what there is to tell.
    pub fn measured(&self, snapshot: &mut Snapshot) {
        snapshot.add(&table::LIMIT_WAITING, self.limited.value());
        for (labels, counts) in self.workflows.all() {
            let [namespace, name] = &labels;
            snapshot.labelled(&table::STARTED, labels.clone(), &counts.started);
            snapshot.labelled(&table::OPEN, labels.clone(), counts.open.value());
            let kinds = Standard::ALL.map(Standard::suffix);
            let faulted = kinds.into_iter().chain([OTHER]).map(|kind| ("faulted", kind));
            let ended = faulted.zip(&counts.faulted).chain([
                (("completed", ""), &counts.completed),
                (("cancelled", ""), &counts.cancelled),
            ]);
            // Errors that never came would be most of all samples.
            for ((status, error), count) in ended.filter(|it| it.0.1.is_empty() || it.1.count() > 0)
            {
                let labels = [&**namespace, &**name, status, error];
                snapshot.labelled(&table::ENDED, labels, count);
            }
            snapshot.labelled(&table::DURATION, labels.clone(), &counts.duration);
            snapshot.labelled(&table::RETRIES, labels.clone(), &counts.retries);
            snapshot.labelled(&table::INCIDENTS, labels.clone(), &counts.incidents);
        }
        for (outcome, count) in OUTCOMES.into_iter().zip(&self.tasks) {
            snapshot.labelled(&table::TASKS_ENDED, [outcome], count);
        }
        for (reason, count) in REASONS.into_iter().zip(&self.losses) {
            snapshot.labelled(&table::LOSSES, [reason], count);
        }
        snapshot.add(&table::EVENTS_CONSUMED, &self.consumed);
        snapshot.add(&table::EVENTS_EMITTED, &self.emitted);
        self.schedules.measured(snapshot);
    }
}

#[cfg(test)]
mod tests;
