//! The tree of open visits: what goes in and out of it, and what goes with it.

use std::collections::BTreeSet;

use windlass_proto::id::FrameId;
use windlass_proto::value::Value;

use crate::engine::fact::TimerPurpose;
use crate::engine::instance::held::Held;
use crate::engine::instance::{Body, Frame, Instance, ROOT, Timer};

impl Instance {
    /// The body of a frame, and what counts the values that are put into it.
    pub(super) fn body_held(&mut self, id: FrameId) -> Option<(&mut Held, &mut Body)> {
        let frame = self.frames.get_mut(&id)?;
        Some((&mut self.held, &mut frame.body))
    }

    pub(super) fn body_mut(&mut self, id: FrameId) -> Option<&mut Body> {
        self.frames.get_mut(&id).map(|frame| &mut frame.body)
    }

    pub(super) fn set_input(&mut self, id: FrameId, input: &Value) {
        if let Some(frame) = self.frames.get_mut(&id) {
            self.held.replace(&mut frame.input, input.clone());
        }
    }

    pub(super) fn set_delivery(&mut self, id: FrameId, delivery: u32) {
        if let Some(frame) = self.frames.get_mut(&id) {
            frame.delivery = delivery;
        }
    }

    /// Replaces the context that tasks of this frame see. What listens below it may compare events
    /// with the context; in one branch such frames are all above the task that changes it.
    pub(super) fn set_context(&mut self, mut id: FrameId, context: Value) {
        while let Some(frame) = self.frames.get_mut(&id) {
            if let Body::Listening(listening) = frame.body.doing()
                && !listening.closed
            {
                self.changes.subscribed.push(id);
            }
            if frame.context.is_some() {
                self.held.fill(&mut frame.context, Some(context));
                return;
            }
            if id == ROOT {
                break;
            }
            id = frame.parent;
        }
        self.held.replace(&mut self.context, context);
    }

    pub(super) fn insert(&mut self, id: FrameId, mut frame: Frame) {
        frame.each_part(&mut |part| self.held.add_part(part));
        self.outstanding += u32::from(frame.body.is_outstanding());
        self.frames.insert(id, frame);
    }

    pub(super) fn set_body(&mut self, id: FrameId, mut body: Body) {
        let after = u32::from(body.is_outstanding());
        if let Some(frame) = self.frames.get_mut(&id) {
            let before = u32::from(frame.body.is_outstanding());
            body.each_part(&mut |part| self.held.add_part(part));
            frame.body.each_part(&mut |part| self.held.take_part(part));
            frame.body = body;
            self.outstanding = self.outstanding + after - before;
        }
    }

    /// The list of a frame begins anew.
    pub(super) fn restart(&mut self, id: FrameId) {
        if let Some(frame) = self.frames.get_mut(&id) {
            frame.opened = 0;
        }
    }

    /// Closes a frame and all it contains: timers, subscriptions, deliveries, children go with it.
    pub(super) fn close(&mut self, id: FrameId) {
        self.close_children(id, None);
        self.remove(id);
    }

    /// Ends all that goes on inside a frame, steps that were left for another turn included.
    pub(super) fn empty(&mut self, id: FrameId) {
        self.close_children(id, None);
        self.pending.retain(|step| step.frame() != Some(id));
    }

    /// Closes what a frame contains, or one branch of it.
    pub(super) fn close_children(&mut self, id: FrameId, position: Option<u32>) {
        if self.frames.keys().next_back().is_none_or(|last| *last <= id) {
            return;
        }
        let mut doomed = BTreeSet::new();
        // A frame's number is greater than its parent's, so one pass in order finds them all.
        for (child, frame) in self.frames.range(FrameId(id.0 + 1)..) {
            let direct = frame.parent == id && position.is_none_or(|it| it == frame.position);
            if direct || doomed.contains(&frame.parent) {
                doomed.insert(*child);
            }
        }
        for child in doomed {
            self.remove(child);
        }
    }

    fn remove(&mut self, id: FrameId) {
        let Some(mut frame) = self.frames.remove(&id) else { return };
        frame.each_part(&mut |part| self.held.take_part(part));
        self.outstanding -= u32::from(frame.body.is_outstanding());
        self.let_go(id, &frame.body);
        self.forget_halt(id);
        self.give_back(id);
        self.clear_all_timers(id);
    }

    /// Clears the timers of a frame.
    pub(super) fn clear_all_timers(&mut self, id: FrameId) {
        if self.timers.is_empty() {
            return;
        }
        let timers: Vec<u32> =
            self.timers.iter().filter(|(_, it)| it.frame == id).map(|(key, _)| *key).collect();
        for timer in timers {
            self.clear_timer(timer);
        }
    }

    /// Takes note of what outside works for a visit, or waits to hear of it, and is not to any
    /// more.
    pub(super) fn let_go(&mut self, id: FrameId, body: &Body) {
        match body {
            Body::Dispatched { delivery } | Body::Evaluating { delivery, .. } => {
                self.changes.abandoned.push((id, *delivery));
            }
            Body::Listening(listening) if !listening.closed => {
                self.changes.unsubscribed.push(id);
            }
            Body::Approving(it) => self.changes.approvals.push((id, it.number, false)),
            Body::Child { child, wait: true, .. } => self.changes.orphaned.push((id, *child)),
            // Nobody outside works for these, or waits to hear.
            Body::Child { wait: false, .. }
            | Body::Begun
            | Body::Sequence { .. }
            | Body::Loop { .. }
            | Body::Fork { .. }
            | Body::Trying { .. }
            | Body::Retrying { .. }
            | Body::Catching { .. }
            | Body::Extending { .. }
            | Body::Waiting
            | Body::Publishing { .. }
            | Body::Listening(_) => {}
        }
    }

    /// Clears the timers of a frame that are for `purpose`.
    pub(super) fn clear_timers(&mut self, id: FrameId, purpose: TimerPurpose) {
        let matches = |timer: &Timer| timer.frame == id && timer.purpose == purpose;
        let timers: Vec<u32> =
            self.timers.iter().filter(|(_, timer)| matches(timer)).map(|(key, _)| *key).collect();
        for timer in timers {
            self.clear_timer(timer);
        }
    }

    pub(super) fn clear_timer(&mut self, timer: u32) {
        if let Some(entry) = self.timers.remove(&timer) {
            self.changes.timers_cleared.push((timer, entry.due));
        }
    }
}
