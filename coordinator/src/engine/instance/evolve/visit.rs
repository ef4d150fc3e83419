//! Facts of one visit, from its opening to its end, and on its way to workers and back.

use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::plan::{Flow, TaskIx};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use crate::engine::fact::TimerPurpose;
use crate::engine::instance::{Body, Frame, Instance, Timer};

impl Instance {
    pub(super) fn opened(
        &mut self,
        at: Timestamp,
        (parent, position): (FrameId, u32),
        task: TaskIx,
        raw: Option<Value>,
    ) {
        let raw = raw.unwrap_or_else(|| self.raw_for_child(parent));
        let frame = Frame {
            parent,
            position,
            task: Some(task),
            context: self.branch_context(parent),
            visit: self.next_visit(parent, position),
            opened: 0,
            extensions: Vec::new(),
            delivery: 0,
            started_at: at,
            input: raw.clone(),
            raw,
            body: Body::Begun,
            losses: 0,
        };
        let id = FrameId(self.next_frame);
        self.next_frame = self.next_frame.saturating_add(1);
        // Whoever walks up the frames relies on parents that are older than their children.
        if parent < id && self.frames.contains_key(&parent) {
            self.insert(id, frame);
        }
    }

    pub(super) fn skipped(&mut self, parent: FrameId, position: u32, frame: Option<FrameId>) {
        let output = self.raw_for_child(parent);
        if let Some(frame) = frame {
            self.close(frame);
        }
        self.settle(parent, position, output, None);
    }

    pub(super) fn dispatched(&mut self, id: FrameId, delivery: u32) {
        self.set_body(id, Body::Dispatched { delivery });
        self.set_delivery(id, delivery);
    }

    pub(super) fn evaluating(
        &mut self,
        id: FrameId,
        (field, value): (Field, &Value),
        delivery: u32,
        flow: Option<Flow>,
    ) {
        // Branches that lost a competition may still run.
        self.empty(id);
        let before = self.body_mut(id).map_or(Body::Begun, |body| body.doing().clone());
        let (value, before) = (value.clone(), Box::new(before));
        self.set_body(id, Body::Evaluating { field, value, delivery, flow, before });
        self.set_delivery(id, delivery);
    }

    pub(super) fn lost(&mut self, id: FrameId, blamed: bool) {
        if let Some(frame) = self.frames.get_mut(&id) {
            frame.losses = frame.losses.saturating_add(u32::from(blamed));
        }
    }

    pub(super) fn child_started(
        &mut self,
        id: FrameId,
        child: InstanceId,
        (workflow, input): (&[Arc<str>; 3], &Value),
        wait: bool,
    ) {
        let (workflow, input) = (workflow.clone(), input.clone());
        self.set_body(id, Body::Child { child, workflow, input, wait });
    }

    pub(super) fn emitted(&mut self, id: FrameId, event: &CloudEvent) {
        self.set_body(id, Body::Publishing { event: event.clone() });
    }

    pub(super) fn timer_set(&mut self, frame: FrameId, purpose: TimerPurpose, due: Timestamp) {
        let timer = self.next_timer;
        self.next_timer += 1;
        self.timers.insert(timer, Timer { due, frame, purpose });
        self.changes.timers_set.push((timer, due));
        if purpose == TimerPurpose::Wait {
            self.set_body(frame, Body::Waiting);
        }
    }

    /// A task ended with an output: its frame closes, the enclosing one takes the output.
    pub(super) fn complete(&mut self, id: FrameId, output: Option<Value>, context: Option<Value>) {
        if let Some(context) = context {
            self.set_context(id, context);
        }
        // What the frame waited for has come: nothing is abandoned by closing it.
        self.set_body(id, Body::Begun);
        let Some(frame) = self.frames.get(&id) else { return };
        let output = output.unwrap_or_else(|| frame.input.clone());
        let (parent, position, context) = (frame.parent, frame.position, frame.context.clone());
        self.close(id);
        self.settle(parent, position, output, context);
    }

    /// The enclosing frame takes the output of its child.
    fn settle(&mut self, parent: FrameId, position: u32, output: Value, context: Option<Value>) {
        let Some((held, body)) = self.body_held(parent) else { return };
        match body {
            Body::Sequence { value }
            | Body::Loop { value, .. }
            | Body::Trying { value, .. }
            | Body::Catching { value, .. }
            | Body::Extending { value, .. } => held.replace(value, output),
            Body::Listening(listening) => held.replace(&mut listening.value, output),
            Body::Fork { branches, running } => {
                if let Some(branch) = branches.get_mut(position as usize) {
                    held.fill(&mut branch.output, Some(output));
                    held.fill(&mut branch.context, context);
                    *running = running.saturating_sub(1);
                }
            }
            // None of these has anything below it.
            Body::Begun
            | Body::Dispatched { .. }
            | Body::Evaluating { .. }
            | Body::Retrying { .. }
            | Body::Waiting
            | Body::Approving(_)
            | Body::Publishing { .. }
            | Body::Child { .. } => {}
        }
    }

    /// What a child of this frame gets as raw input.
    pub(in crate::engine) fn raw_for_child(&self, id: FrameId) -> Value {
        let Some(frame) = self.frames.get(&id) else { return Value::Null };
        frame.body.value().cloned().unwrap_or_else(|| frame.input.clone())
    }

    /// The number of the next visit below this frame: of the frame's own visit, of the iteration or
    /// clause it is in, and of how many tasks its list has opened before. Attempts do not count.
    fn next_visit(&mut self, parent: FrameId, position: u32) -> u64 {
        let Some(frame) = self.frames.get_mut(&parent) else { return 0 };
        let (phase, order) = match &frame.body {
            Body::Loop { index, .. } => (u64::from(*index) + 1, frame.opened),
            Body::Catching { clause, .. } => (u64::from(*clause) + 1, frame.opened),
            Body::Listening(listening) => (listening.outputs.len() as u64 + 1, frame.opened),
            Body::Extending { place, after, .. } => {
                (u64::from(*place) * 2 + u64::from(*after) + 1, frame.opened)
            }
            Body::Fork { .. } => (0, position),
            Body::Begun
            | Body::Dispatched { .. }
            | Body::Evaluating { .. }
            | Body::Sequence { .. }
            | Body::Trying { .. }
            | Body::Retrying { .. }
            | Body::Waiting
            | Body::Approving(_)
            | Body::Publishing { .. }
            | Body::Child { .. } => (0, frame.opened),
        };
        frame.opened = frame.opened.saturating_add(1);
        // FNV-1a over the three numbers.
        [frame.visit, phase, u64::from(order)]
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }

    /// The context a new child of this frame starts with: branches get their own copy.
    fn branch_context(&self, parent: FrameId) -> Option<Value> {
        let is_fork = matches!(self.frames.get(&parent)?.body, Body::Fork { .. });
        is_fork.then(|| self.context_of(parent).clone())
    }
}
