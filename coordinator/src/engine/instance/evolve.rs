//! How facts change the state. Total: whatever the facts, the state stays a state.

use std::collections::BTreeSet;

use windlass_proto::id::FrameId;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::held::{Held, Part, problem_bytes};
use super::{Body, Branch, Ending, Frame, Instance, Listening, ROOT, Timer};
use crate::engine::fact::{Fact, TimerPurpose};

impl Instance {
    /// Applies one fact that was decided at `at`.
    pub fn evolve(&mut self, at: Timestamp, fact: &Fact) {
        self.sequence += 1;
        match fact {
            Fact::Started { workflow, digest, input, parent, labels, priority } => {
                self.workflow = workflow.clone();
                self.digest = digest.clone();
                self.held.replace(&mut self.input, input.clone());
                self.parent = *parent;
                self.labels.clone_from(labels);
                self.priority = *priority;
                self.started_at = at;
                self.next_frame = 1;
                self.insert(ROOT, root(at, input));
            }
            Fact::InputTransformed(value) => {
                self.set_input(ROOT, value);
                self.set_body(ROOT, Body::Sequence { value: value.clone() });
            }
            Fact::TaskOpened { parent, position, task, raw } => {
                let raw = raw.clone().unwrap_or_else(|| self.raw_for_child(*parent));
                let context = self.branch_context(*parent);
                let frame = Frame {
                    parent: *parent,
                    position: *position,
                    task: Some(*task),
                    visit: self.next_visit(*parent, *position),
                    opened: 0,
                    extensions: Vec::new(),
                    delivery: 0,
                    started_at: at,
                    input: raw.clone(),
                    raw,
                    context,
                    body: Body::Begun,
                    losses: 0,
                };
                let id = FrameId(self.next_frame);
                self.next_frame = self.next_frame.saturating_add(1);
                // Whoever walks up the frames relies on parents that are older than their children.
                if *parent < id && self.frames.contains_key(parent) {
                    self.insert(id, frame);
                }
            }
            Fact::TaskInput { frame, input } => {
                self.set_input(*frame, input);
            }
            Fact::TaskSkipped { parent, position, frame, .. } => {
                let output = self.raw_for_child(*parent);
                if let Some(frame) = frame {
                    self.close(*frame);
                }
                self.settle(*parent, *position, output, None);
            }
            Fact::Dispatched { frame, delivery } => {
                self.set_body(*frame, Body::Dispatched { delivery: *delivery });
                self.set_delivery(*frame, *delivery);
            }
            Fact::EvaluationRequested { frame, field, value, delivery, flow } => {
                // Branches that lost a competition may still run.
                self.empty(*frame);
                let before = self.body_mut(*frame).map_or(Body::Begun, |body| body.doing().clone());
                let body = Body::Evaluating {
                    field: *field,
                    value: value.clone(),
                    delivery: *delivery,
                    flow: *flow,
                    before: Box::new(before),
                };
                self.set_body(*frame, body);
                self.set_delivery(*frame, *delivery);
            }
            Fact::DeliveryLost { frame, blamed, .. } => {
                if let Some(frame) = self.frames.get_mut(frame) {
                    frame.losses = frame.losses.saturating_add(u32::from(*blamed));
                }
            }
            // For those who read the history.
            Fact::SecretsUsed { .. } => {}
            Fact::TaskCompleted { frame, output, context } => {
                self.complete(*frame, output.clone(), context.clone());
            }
            Fact::TaskFaulted { frame, .. } => self.close(*frame),
            Fact::ChildStarted { frame, child, workflow, input, wait } => {
                let body = Body::Child {
                    child: *child,
                    workflow: workflow.clone(),
                    input: input.clone(),
                    wait: *wait,
                };
                self.set_body(*frame, body);
            }
            Fact::Emitted { frame, event } => {
                self.set_body(*frame, Body::Publishing { event: event.clone() });
            }
            Fact::ChildAbandoned { child } => drop(self.abandoned.insert(*child)),
            Fact::ChildGone { child } => drop(self.abandoned.remove(child)),
            Fact::Yielded(steps) => self.pending.clone_from(steps),
            Fact::Continued => self.pending.clear(),
            Fact::Suspended => self.suspended = true,
            Fact::Quarantined(reason) => {
                self.suspended = true;
                self.quarantine = Some(reason.clone());
            }
            Fact::Resumed => {
                self.suspended = false;
                self.quarantine = None;
            }
            Fact::Completed(output) => self.end(at, Ending::Completed(output.clone())),
            Fact::Faulted(problem) => self.end(at, Ending::Faulted(problem.clone())),
            Fact::Cancelled(reason) => self.end(at, Ending::Cancelled(reason.clone())),
            Fact::TimerSet { frame, purpose, due } => {
                let timer = self.next_timer;
                self.next_timer += 1;
                self.timers.insert(timer, Timer { due: *due, frame: *frame, purpose: *purpose });
                self.changes.timers_set.push((timer, *due));
                if *purpose == TimerPurpose::Wait {
                    self.set_body(*frame, Body::Waiting);
                }
            }
            Fact::TimerFired { timer } => self.clear_timer(*timer),
            Fact::ExtensionsBegan { .. }
            | Fact::ExtensionBegan { .. }
            | Fact::ExtensionsEnded { .. } => self.evolve_extending(fact),
            Fact::LoopBegan { .. }
            | Fact::Iterated { .. }
            | Fact::Forked { .. }
            | Fact::ContextMerged { .. }
            | Fact::BranchFaulted { .. }
            | Fact::SequenceBegan { .. }
            | Fact::AttemptBegan { .. }
            | Fact::RetryScheduled { .. }
            | Fact::Caught { .. } => self.evolve_composite(fact),
            Fact::Subscribed { .. }
            | Fact::EventConsumed { .. }
            | Fact::ItemBegan { .. }
            | Fact::ItemEnded { .. }
            | Fact::ListenClosed { .. } => self.evolve_listening(fact),
        }
    }

    /// Facts of `do`, `for`, `fork`, `try` and function calls.
    fn evolve_composite(&mut self, fact: &Fact) {
        match fact {
            Fact::SequenceBegan { frame, value } => {
                let input = self.frames.get(frame).map(|it| it.input.clone()).unwrap_or_default();
                let value = value.clone().unwrap_or(input);
                self.set_body(*frame, Body::Sequence { value });
            }
            Fact::LoopBegan { frame, items } => {
                let value = self.frames.get(frame).map(|it| it.input.clone()).unwrap_or_default();
                self.set_body(*frame, Body::Loop { items: items.clone(), index: 0, value });
            }
            Fact::Iterated { frame, index } => {
                if let Some(Body::Loop { index: current, .. }) = self.body_mut(*frame) {
                    *current = *index;
                }
                self.restart(*frame);
            }
            Fact::Forked { frame, branches } => {
                let body = Body::Fork {
                    branches: vec![Branch::default(); *branches as usize],
                    running: *branches,
                };
                self.set_body(*frame, body);
            }
            Fact::ContextMerged { frame, context } => self.set_context(*frame, context.clone()),
            Fact::BranchFaulted { frame, position, problem } => {
                self.close_children(*frame, Some(*position));
                let Some((held, body)) = self.body_held(*frame) else { return };
                if let Body::Fork { branches, running } = body
                    && let Some(branch) = branches.get_mut(*position as usize)
                {
                    held.add_part(Part::Bytes(problem_bytes(problem)));
                    branch.problem = Some(problem.clone());
                    *running = running.saturating_sub(1);
                }
            }
            Fact::AttemptBegan { frame, attempt } => {
                let context = match self.body_mut(*frame) {
                    Some(Body::Retrying { context, .. }) => context.clone(),
                    _ => self.context_of(*frame).clone(),
                };
                if *attempt > 1 {
                    self.set_context(*frame, context.clone());
                }
                let value = self.frames.get(frame).map(|it| it.input.clone()).unwrap_or_default();
                self.set_body(*frame, Body::Trying { attempt: *attempt, value, context });
                self.restart(*frame);
            }
            Fact::RetryScheduled { frame, clause, problem, .. } => {
                self.abandon_attempt(*frame);
                if let Some(Body::Trying { attempt, context, .. }) = self.body_mut(*frame) {
                    let body = Body::Retrying {
                        attempt: *attempt,
                        context: context.clone(),
                        clause: *clause,
                        problem: problem.clone(),
                    };
                    self.set_body(*frame, body);
                }
            }
            Fact::Caught { frame, clause, problem } => {
                self.abandon_attempt(*frame);
                let value = self.frames.get(frame).map(|it| it.input.clone()).unwrap_or_default();
                let body = Body::Catching { clause: *clause, problem: problem.clone(), value };
                self.set_body(*frame, body);
                self.restart(*frame);
            }
            _ => {}
        }
    }

    /// Facts of extensions around a task.
    fn evolve_extending(&mut self, fact: &Fact) {
        match fact {
            Fact::ExtensionsBegan { frame, extensions, value, flow, after } => {
                self.empty(*frame);
                let (held, value) = (value.clone(), value.clone());
                let before = match self.body_mut(*frame).map(|body| body.doing()) {
                    Some(body) if !body.is_outstanding() => Box::new(body.clone()),
                    _ => Box::new(Body::Begun),
                };
                let (after, flow) = (*after, *flow);
                let body = Body::Extending { place: 0, after, held, flow, before, value };
                if let Some(frame) = self.frames.get_mut(frame) {
                    frame.extensions.clone_from(extensions);
                }
                self.set_body(*frame, body);
                self.restart(*frame);
            }
            Fact::ExtensionBegan { frame, place } => {
                if let Some((kept, Body::Extending { place: current, held, value, .. })) =
                    self.body_held(*frame)
                {
                    *current = *place;
                    kept.replace(value, held.clone());
                }
                self.restart(*frame);
            }
            Fact::ExtensionsEnded { frame } => {
                let Some(open) = self.frames.get_mut(frame) else { return };
                let Body::Extending { after, before, .. } = &open.body else { return };
                let before = (**before).clone();
                if *after {
                    open.extensions.clear();
                }
                self.set_body(*frame, before);
                self.restart(*frame);
            }
            _ => {}
        }
    }

    /// Facts of `listen`.
    fn evolve_listening(&mut self, fact: &Fact) {
        match fact {
            Fact::Subscribed { frame, expectations } => {
                let listening = Listening {
                    correlations: expectations.iter().cloned().collect(),
                    ..Listening::default()
                };
                self.set_body(*frame, Body::Listening(Box::new(listening)));
                self.changes.subscribed.push(*frame);
            }
            Fact::EventConsumed { frame, filter, item, correlations, last } => {
                if let Some((held, Body::Listening(listening))) = self.body_held(*frame) {
                    let matched = match item {
                        Some(_) => &mut listening.matched,
                        None => &mut listening.until_matched,
                    };
                    if let Some(filter) = filter
                        && !matched.contains(filter)
                    {
                        matched.push(*filter);
                    }
                    for (key, value) in correlations {
                        held.add(value);
                        let old = listening.correlations.insert(key.clone(), value.clone());
                        old.iter().for_each(|old| held.take(old));
                    }
                    listening.weight += item.as_ref().map_or(0, Value::weight);
                    item.iter().for_each(|item| held.add(item));
                    listening.queue.extend(item.clone());
                }
                self.close_listening(*frame, *last);
            }
            Fact::ItemBegan { frame } => {
                if let Some((held, Body::Listening(listening))) = self.body_held(*frame) {
                    let next = listening.queue.pop_front();
                    held.replace(&mut listening.value, next.clone().unwrap_or_default());
                    held.fill(&mut listening.item, next.clone());
                    next.iter().for_each(|it| held.take(it));
                }
                self.restart(*frame);
            }
            Fact::ItemEnded { frame, output, context } => {
                if let Some((held, Body::Listening(listening))) = self.body_held(*frame) {
                    held.add(output);
                    let taken = listening.item.take();
                    taken.iter().for_each(|item| held.take(item));
                    let taken = taken.map_or(0, |item| item.weight());
                    listening.weight = listening.weight.saturating_sub(taken) + output.weight();
                    listening.outputs.push(output.clone());
                }
                if let Some(context) = context {
                    self.set_context(*frame, context.clone());
                }
            }
            Fact::ListenClosed { frame } => {
                if let Some((held, Body::Listening(listening))) = self.body_held(*frame) {
                    listening.queue.iter().for_each(|item| held.take(item));
                    let dropped = listening.queue.drain(..).map(|item| item.weight()).sum();
                    listening.weight = listening.weight.saturating_sub(dropped);
                }
                self.close_listening(*frame, true);
            }
            _ => {}
        }
    }

    /// Stops wanting events once `last` is true.
    fn close_listening(&mut self, frame: FrameId, last: bool) {
        if let Some(Body::Listening(listening)) = self.body_mut(frame)
            && last
            && !listening.closed
        {
            listening.closed = true;
            self.changes.unsubscribed.push(frame);
        }
    }

    /// A task ended with an output: its frame closes, the enclosing one takes the output.
    fn complete(&mut self, id: FrameId, output: Option<Value>, context: Option<Value>) {
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
            _ => {}
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
            _ => (0, frame.opened),
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

    /// The list of a frame begins anew.
    fn restart(&mut self, id: FrameId) {
        if let Some(frame) = self.frames.get_mut(&id) {
            frame.opened = 0;
        }
    }

    /// The context a new child of this frame starts with: branches get their own copy.
    fn branch_context(&self, parent: FrameId) -> Option<Value> {
        let is_fork = matches!(self.frames.get(&parent)?.body, Body::Fork { .. });
        is_fork.then(|| self.context_of(parent).clone())
    }

    /// Replaces the context that tasks of this frame see.
    fn set_context(&mut self, mut id: FrameId, context: Value) {
        while let Some(frame) = self.frames.get_mut(&id) {
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

    fn set_input(&mut self, id: FrameId, input: &Value) {
        if let Some(frame) = self.frames.get_mut(&id) {
            self.held.replace(&mut frame.input, input.clone());
        }
    }

    /// The body of a frame, and what counts the values that are put into it.
    fn body_held(&mut self, id: FrameId) -> Option<(&mut Held, &mut Body)> {
        let frame = self.frames.get_mut(&id)?;
        Some((&mut self.held, &mut frame.body))
    }

    fn body_mut(&mut self, id: FrameId) -> Option<&mut Body> {
        self.frames.get_mut(&id).map(|frame| &mut frame.body)
    }

    fn set_delivery(&mut self, id: FrameId, delivery: u32) {
        if let Some(frame) = self.frames.get_mut(&id) {
            frame.delivery = delivery;
        }
    }

    fn insert(&mut self, id: FrameId, mut frame: Frame) {
        frame.each_part(&mut |part| self.held.add_part(part));
        self.outstanding += u32::from(frame.body.is_outstanding());
        self.frames.insert(id, frame);
    }

    fn set_body(&mut self, id: FrameId, mut body: Body) {
        let after = u32::from(body.is_outstanding());
        if let Some(frame) = self.frames.get_mut(&id) {
            let before = u32::from(frame.body.is_outstanding());
            body.each_part(&mut |part| self.held.add_part(part));
            frame.body.each_part(&mut |part| self.held.take_part(part));
            frame.body = body;
            self.outstanding = self.outstanding + after - before;
        }
    }

    /// Closes a frame and all it contains: timers, subscriptions, deliveries, children go with it.
    fn close(&mut self, id: FrameId) {
        self.close_children(id, None);
        self.remove(id);
    }

    /// Clears the timers of a frame that are for `purpose`.
    fn clear_timers(&mut self, id: FrameId, purpose: TimerPurpose) {
        let matches = |timer: &Timer| timer.frame == id && timer.purpose == purpose;
        let timers: Vec<u32> =
            self.timers.iter().filter(|(_, timer)| matches(timer)).map(|(key, _)| *key).collect();
        for timer in timers {
            self.clear_timer(timer);
        }
    }

    /// Ends an attempt of a `try` where it stands.
    fn abandon_attempt(&mut self, id: FrameId) {
        self.empty(id);
        self.clear_timers(id, TimerPurpose::Attempt);
    }

    /// Ends all that goes on inside a frame, steps that were left for another turn included.
    fn empty(&mut self, id: FrameId) {
        self.close_children(id, None);
        self.pending.retain(|step| step.frame() != Some(id));
    }

    /// Closes what a frame contains, or one branch of it.
    fn close_children(&mut self, id: FrameId, position: Option<u32>) {
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
        match &frame.body {
            Body::Dispatched { delivery } | Body::Evaluating { delivery, .. } => {
                self.changes.abandoned.push((id, *delivery));
            }
            Body::Listening(listening) if !listening.closed => {
                self.changes.unsubscribed.push(id);
            }
            Body::Child { child, wait: true, .. } => self.changes.orphaned.push((id, *child)),
            _ => {}
        }
        if !self.timers.is_empty() {
            let timers: Vec<u32> =
                self.timers.iter().filter(|(_, it)| it.frame == id).map(|(key, _)| *key).collect();
            for timer in timers {
                self.clear_timer(timer);
            }
        }
    }

    fn clear_timer(&mut self, timer: u32) {
        if let Some(entry) = self.timers.remove(&timer) {
            self.changes.timers_cleared.push((timer, entry.due));
        }
    }

    fn end(&mut self, at: Timestamp, ending: Ending) {
        self.close(ROOT);
        for timer in self.timers.keys().copied().collect::<Vec<_>>() {
            self.clear_timer(timer);
        }
        self.pending.clear();
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
