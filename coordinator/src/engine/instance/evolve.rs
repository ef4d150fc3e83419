//! How facts change the state: a method a fact, a file a kind.
//!
//! The table in `legality` is asked first, and what it does not allow is noted as a misfit. The
//! fact is applied all the same, as far as what it is about is there: whatever the facts, the state
//! stays a state, and a journal adds up to the same state for ever. So where these methods find
//! nothing to change, the misfit has been noted, and the state is left as it is.

mod approve;
mod composite;
mod extend;
mod limit;
mod listen;
mod repair;
mod tree;
mod visit;
mod whole;

use windlass_proto::time::Timestamp;

use super::{Ending, Instance};
use crate::engine::fact::Fact;

impl Instance {
    /// Applies one fact that was decided at `at`. One that cannot be, as the instance stands, is
    /// noted among its [`super::Changes`].
    pub fn evolve(&mut self, at: Timestamp, fact: &Fact) {
        let transition = self.transition(fact);
        self.sequence += 1;
        self.apply(at, fact);
        match transition {
            Ok(after) => debug_assert!(self.is_after(&after), "{} leads elsewhere", after.name()),
            Err(misfit) => self.changes.misfits.add(misfit),
        }
    }

    fn apply(&mut self, at: Timestamp, fact: &Fact) {
        match fact {
            Fact::Started { workflow, digest, input, parent, labels, priority, trace } => {
                self.pinned(workflow, digest, (*parent, trace.as_ref()));
                self.started(at, input, labels, *priority);
            }
            Fact::InputTransformed(value) => self.input_transformed(value),
            Fact::Yielded(steps) => self.pending.clone_from(steps),
            Fact::Continued => self.pending.clear(),
            // What they asked for has facts of its own.
            Fact::Requested { .. } => {}
            Fact::Suspended | Fact::Quarantined(_) | Fact::Resumed => self.stopped(at, fact),
            Fact::Halted { .. }
            | Fact::HandlerStarted { .. }
            | Fact::HandlerSettled { .. }
            | Fact::Overridden { .. }
            | Fact::Succeeds { .. }
            | Fact::Succeeded { .. } => self.repaired(at, fact),
            Fact::Completed(output) => self.end(at, Ending::Completed(output.clone())),
            Fact::CompletedUnchanged => self.completed_unchanged(at),
            Fact::Faulted(problem) => self.end(at, Ending::Faulted(problem.clone())),
            Fact::Cancelled(reason) => self.end(at, Ending::Cancelled(reason.clone())),
            Fact::ChildAbandoned { .. } | Fact::ChildGone { .. } => self.child_left(fact),
            Fact::TaskOpened { parent, position, task, raw } => {
                self.opened(at, (*parent, *position), *task, raw.clone());
            }
            Fact::TaskInput { frame, input } => self.set_input(*frame, input),
            Fact::TaskSkipped { parent, position, frame, .. } => {
                self.skipped(*parent, *position, *frame);
            }
            Fact::Dispatched { frame, delivery } => self.dispatched(*frame, *delivery),
            Fact::EvaluationRequested { frame, field, value, delivery, flow } => {
                self.evaluating(*frame, (*field, value), *delivery, *flow);
            }
            Fact::DeliveryLost { frame, blamed, .. } => self.lost(*frame, *blamed),
            Fact::SecretsUsed { .. } => {} // For those who read the history.
            Fact::TaskCompleted { frame, output, context } => {
                self.complete(*frame, output.clone(), context.clone());
            }
            Fact::TaskFaulted { frame, .. } => self.close(*frame),
            Fact::ChildStarted { frame, child, workflow, input, wait } => {
                self.child_started(*frame, *child, (workflow, input), *wait);
            }
            Fact::Emitted { frame, event } => self.emitted(*frame, event),
            Fact::TimerSet { frame, purpose, due } => self.timer_set(*frame, *purpose, *due),
            Fact::TimerFired { timer } => self.clear_timer(*timer),
            Fact::ExtensionsBegan { frame, extensions, value, flow, after } => {
                self.extensions_began(*frame, extensions, value, (*flow, *after));
            }
            Fact::ExtensionBegan { frame, place } => self.extension_began(*frame, *place),
            Fact::ExtensionsEnded { frame } => self.extensions_ended(*frame),
            Fact::SequenceBegan { frame, value } => self.sequence_began(*frame, value.as_ref()),
            Fact::LoopBegan { frame, items } => self.loop_began(*frame, items),
            Fact::Iterated { frame, index } => self.iterated(*frame, *index),
            Fact::Forked { frame, branches } => self.forked(*frame, *branches),
            Fact::ContextMerged { frame, context } => self.set_context(*frame, context.clone()),
            Fact::BranchFaulted { frame, position, problem } => {
                self.branch_faulted(*frame, *position, problem);
            }
            Fact::AttemptBegan { frame, attempt } => self.attempt_began(*frame, *attempt),
            Fact::RetryScheduled { frame, clause, problem, .. } => {
                self.retry_scheduled(*frame, *clause, problem);
            }
            Fact::Caught { frame, clause, problem } => self.caught(*frame, *clause, problem),
            Fact::ApprovalAsked { frame, question } => self.approval_asked(*frame, question),
            Fact::ApprovalDecided { frame, .. } => self.approval_decided(*frame),
            Fact::LimitAsked { .. } | Fact::LimitTaken { .. } | Fact::LimitRefused { .. } => {
                self.limited(at, fact);
            }
            Fact::Subscribed { .. }
            | Fact::EventConsumed { .. }
            | Fact::ItemBegan { .. }
            | Fact::ItemEnded { .. }
            | Fact::ListenClosed { .. } => self.listened(fact),
        }
    }
}
