//! Facts of visits that have failed and begin again.

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use crate::engine::fact::{Fact, TimerPurpose};
use crate::engine::instance::held::{Part, problem_bytes};
use crate::engine::instance::{Body, FaultHandler, Halt, Incident, Instance, ROOT, Step};

impl Instance {
    /// Applies a fact of repair.
    pub(super) fn repaired(&mut self, at: Timestamp, fact: &Fact) {
        match fact {
            Fact::Halted { frame, problem } => self.halted(at, *frame, problem),
            Fact::Overridden { frame } => self.overridden(at, *frame),
            Fact::Succeeds { predecessor, frame, since, pending, raw, context } => {
                self.succeeds(at, *predecessor, (*frame, *since), pending);
                self.given(*frame, raw.as_ref(), context.as_ref());
            }
            Fact::Succeeded { by, reset } => self.succeeded(*by, *reset),
            Fact::HandlerStarted { child, workflow } => {
                let (instance, workflow) = (*child, workflow.clone());
                let handler = FaultHandler { instance, workflow, pending: true, refused: None };
                self.repair.handler = Some(handler);
            }
            Fact::HandlerSettled { refused } => {
                if let Some(handler) = &mut self.repair.handler {
                    handler.pending = false;
                    handler.refused.clone_from(refused);
                }
            }
            // No other is handed here.
            _ => {}
        }
    }

    fn halted(&mut self, at: Timestamp, id: FrameId, problem: &Problem) {
        self.begin_again(at, id);
        self.forget_halt(id);
        self.held.add_part(Part::Bytes(problem_bytes(problem)));
        self.repair.halted.insert(id, Halt { problem: problem.clone(), since: at });
        let suspends = !self.suspended;
        self.repair.incident.get_or_insert(Incident { since: at, suspends });
        self.suspended = true;
    }

    fn overridden(&mut self, at: Timestamp, id: FrameId) {
        self.begin_again(at, id);
        self.forget_halt(id);
    }

    /// The visit does not wait for an operator any more.
    pub(super) fn forget_halt(&mut self, id: FrameId) {
        if let Some(halt) = self.repair.halted.remove(&id) {
            self.held.take_part(Part::Bytes(problem_bytes(&halt.problem)));
        }
    }

    /// None does, nor has.
    pub(super) fn forget_halts(&mut self) {
        self.repair.incident = None;
        for halt in std::mem::take(&mut self.repair.halted).into_values() {
            self.held.take_part(Part::Bytes(problem_bytes(&halt.problem)));
        }
    }

    /// Goes on for another instance, whose facts have led here.
    fn succeeds(
        &mut self,
        at: Timestamp,
        predecessor: InstanceId,
        (frame, since): (FrameId, Timestamp),
        pending: &[Step],
    ) {
        self.repair.predecessor = Some(predecessor);
        self.repair.retried = None;
        self.repair.successors.clear();
        self.repair.handler = None;
        self.repair.handles |= self.parent.is_some_and(|it| it.handles);
        self.started_at = at;
        // Nobody waits for this one, and the other's children are its own.
        self.parent = None;
        self.abandoned.clear();
        self.forget_halts();
        self.suspended = false;
        self.quarantine = None;
        self.pending = pending.to_vec();
        // The shares were the other one's.
        self.ask_anew(at);
        self.put_off(at.since(since));
        self.begin_again(at, frame);
        self.forget_attempts(at, frame);
    }

    /// An operator gives another input, or another context.
    fn given(&mut self, id: FrameId, raw: Option<&Value>, context: Option<&Value>) {
        if let (Some(raw), Some(frame)) = (raw, self.frames.get_mut(&id)) {
            self.held.replace(&mut frame.raw, raw.clone());
            self.held.replace(&mut frame.input, raw.clone());
        }
        if let Some(context) = context {
            self.set_context(id, context.clone());
            self.keep_for_attempts(id, context);
        }
    }

    /// Each `try` around the visit that has kept the context which the visit sees keeps this one:
    /// its next attempt starts from it.
    fn keep_for_attempts(&mut self, mut id: FrameId, context: &Value) {
        while let Some(frame) = self.frames.get_mut(&id) {
            if let Body::Trying { context: kept, .. } | Body::Retrying { context: kept, .. } =
                &mut frame.body
            {
                self.held.replace(kept, context.clone());
            }
            if id == ROOT || frame.context.is_some() {
                break;
            }
            id = frame.parent;
        }
    }

    fn succeeded(&mut self, by: InstanceId, reset: bool) {
        if !reset {
            self.repair.retried = Some(by);
        }
        self.repair.successors.push(by);
    }

    /// A visit is to begin again from its raw input. What it has changed of the context stays.
    fn begin_again(&mut self, at: Timestamp, id: FrameId) {
        self.empty(id);
        self.clear_all_timers(id);
        let Some(frame) = self.frames.get_mut(&id) else { return };
        frame.opened = 0;
        frame.losses = 0;
        frame.started_at = at;
        frame.extensions.clear();
        let raw = frame.raw.clone();
        self.held.replace(&mut frame.input, raw);
        let body = frame.body.clone();
        self.let_go(id, &body);
        self.set_body(id, Body::Begun);
    }

    /// The attempts of each `try` around a visit count anew, as does their time.
    pub(super) fn forget_attempts(&mut self, at: Timestamp, mut id: FrameId) {
        while let Some(frame) = self.frames.get_mut(&id) {
            if let Body::Trying { attempt, .. } = &mut frame.body {
                *attempt = 1;
                frame.started_at = at;
            }
            if id == ROOT {
                break;
            }
            id = frame.parent;
        }
    }

    /// Timeouts come later by what they do not count.
    fn put_off_timer(&mut self, timer: u32, by: u64) {
        let Some(set) = self.timers.get_mut(&timer) else { return };
        let (before, due) = (set.due, set.due.plus(by));
        set.due = due;
        let visit = set.frame;
        self.approval_put_off(visit);
        self.changes.timers_cleared.push((timer, before));
        self.changes.timers_set.push((timer, due));
    }

    /// Timeouts come later by `milliseconds`; what is waited for does not.
    pub(super) fn put_off(&mut self, milliseconds: u64) {
        if milliseconds == 0 {
            return;
        }
        let counts = |it: TimerPurpose| matches!(it, TimerPurpose::Timeout | TimerPurpose::Attempt);
        let timers = self.timers.iter().filter(|(_, it)| counts(it.purpose));
        for timer in timers.map(|(timer, _)| *timer).collect::<Vec<_>>() {
            self.put_off_timer(timer, milliseconds);
        }
    }
}
