//! Facts of the instance as a whole: its beginning, its end, and when it is stopped for a while.

use std::sync::Arc;

use windlass_proto::id::{Digest, WorkflowId};
use windlass_proto::time::Timestamp;
use windlass_proto::trace::TraceContext;
use windlass_proto::value::Value;

use crate::engine::fact::Fact;
use crate::engine::instance::held::{Part, problem_bytes};
use crate::engine::instance::{Body, Ending, Frame, Instance, Parent, ROOT};

impl Instance {
    /// What it runs, and for whom.
    pub(super) fn pinned(
        &mut self,
        workflow: &WorkflowId,
        digest: &Digest,
        (parent, trace): (Option<Parent>, Option<&TraceContext>),
    ) {
        self.workflow = workflow.clone();
        self.digest = digest.clone();
        self.parent = parent;
        self.trace = trace.cloned();
    }

    pub(super) fn started(
        &mut self,
        at: Timestamp,
        input: &Value,
        labels: &[(Arc<str>, Arc<str>)],
        priority: u8,
    ) {
        self.held.replace(&mut self.input, input.clone());
        self.labels = labels.to_vec();
        self.priority = priority;
        self.started_at = at;
        self.next_frame = 1;
        self.insert(ROOT, root(at, input));
    }

    pub(super) fn input_transformed(&mut self, value: &Value) {
        self.set_input(ROOT, value);
        self.set_body(ROOT, Body::Sequence { value: value.clone() });
    }

    /// Nobody waits for a child any more, or it has gone.
    pub(super) fn child_left(&mut self, fact: &Fact) {
        match fact {
            Fact::ChildAbandoned { child } => drop(self.abandoned.insert(*child)),
            Fact::ChildGone { child } => drop(self.abandoned.remove(child)),
            // No other is handed here.
            _ => {}
        }
    }

    /// It stops for a while, or goes on.
    pub(super) fn stopped(&mut self, at: Timestamp, fact: &Fact) {
        match fact {
            Fact::Suspended => self.suspended = true,
            Fact::Quarantined(reason) => self.quarantined(reason),
            Fact::Resumed => self.resumed(at),
            // No other is handed here.
            _ => {}
        }
    }

    fn quarantined(&mut self, reason: &Arc<str>) {
        self.suspended = true;
        self.quarantine = Some(reason.clone());
    }

    fn resumed(&mut self, at: Timestamp) {
        self.suspended = false;
        if self.quarantine.take().is_some() {
            self.ask_for_shares();
        }
        if let Some(incident) = self.repair.incident {
            self.put_off(at.since(incident.since));
        }
        for id in self.repair.halted.keys().copied().collect::<Vec<_>>() {
            self.forget_attempts(at, id);
        }
        self.forget_halts();
    }

    pub(super) fn completed_unchanged(&mut self, at: Timestamp) {
        let output = self.last_output();
        self.end(at, Ending::Completed(output));
    }

    /// It is over: nothing of it goes on.
    pub(super) fn end(&mut self, at: Timestamp, ending: Ending) {
        self.close(ROOT);
        for timer in self.timers.keys().copied().collect::<Vec<_>>() {
            self.clear_timer(timer);
        }
        self.pending.clear();
        self.forget_halts();
        self.suspended = false;
        self.quarantine = None;
        self.ended_at = Some(at);
        match &ending {
            Ending::Completed(output) => self.held.add(output),
            Ending::Faulted(problem) => {
                self.held.add_part(Part::Bytes(problem_bytes(problem)));
            }
            Ending::Cancelled(_) => {}
        }
        self.ending = Some(ending);
    }
}

/// The frame of the workflow's own list.
fn root(at: Timestamp, input: &Value) -> Frame {
    Frame {
        parent: ROOT,
        position: 0,
        task: None,
        visit: 0,
        opened: 0,
        extensions: Vec::new(),
        delivery: 0,
        started_at: at,
        raw: input.clone(),
        input: input.clone(),
        context: None,
        body: Body::Sequence { value: input.clone() },
        losses: 0,
    }
}
