//! From one task to the next: opening, closing, and the order of a task's parts.
//!
//! Order (dsl.md, "Data Flow"): `if` on the raw input, `input.schema`, `input.from`, the task,
//! `output.as`, `output.schema`, `export.as`, `export.schema`, then the flow directive. For a
//! dispatched task the worker does everything between `if` and `output.schema`.

use std::sync::Arc;

use windlass_proto::id::FrameId;
use windlass_proto::limits;
use windlass_proto::plan::{Duration, Flow, FunctionTarget, Kind, SchemaSource, Task, TaskIx};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::Field;

use super::evaluate::Unevaluated;
use super::fact::{Fact, TimerPurpose};
use super::instance::{Body, Ending, Frame, ROOT, Step};
use super::scope::Locals;
use super::turn::Turn;

impl<'a> Turn<'a> {
    /// The workflow's own beginning: timeout, input schema, `input.from`, first task.
    pub(super) fn begin_workflow(&mut self) {
        let plan = self.plan;
        if let Some(timeout) = &plan.timeout {
            match self.duration(timeout, ROOT) {
                Ok(after) => self.set_timer(ROOT, TimerPurpose::Timeout, after),
                Err(problem) => return self.fault(problem),
            }
        }
        let raw = self.state.input.clone();
        if let Err(problem) = check(plan.input.schema.as_ref(), &raw, "the workflow's input") {
            return self.fault(problem);
        }
        if let Some(from) = &plan.input.from {
            match self.template(from, &raw, ROOT, &Locals::default()) {
                Ok(input) => self.record(Fact::InputTransformed(input)),
                Err(it) => return self.fault(it.without_worker("the workflow's input.from")),
            }
        }
        match self.has_share(ROOT, plan.limit.as_deref()) {
            Ok(true) => self.steps.push_back(Step::Advance { frame: ROOT, position: 0 }),
            // It goes on when it is told.
            Ok(false) => {}
            Err(problem) => self.fault(problem),
        }
    }

    /// The workflow's own end: `output.as`, output schema.
    fn end_workflow(&mut self, last: Value) {
        let plan = self.plan;
        let mut output = last;
        if let Some(transform) = &plan.output.transform {
            match self.template(transform, &output, ROOT, &Locals::default()) {
                Ok(transformed) => output = transformed,
                Err(it) => return self.fault(it.without_worker("the workflow's output.as")),
            }
        }
        match check(plan.output.schema.as_ref(), &output, "the workflow's output") {
            Ok(()) => self.end(Ending::Completed(output)),
            Err(problem) => self.fault(problem),
        }
    }

    /// Ends the workflow with an error of its own.
    fn fault(&mut self, problem: Problem) {
        self.end(Ending::Faulted(problem.at(&Arc::from("/"))));
    }

    /// Goes on to a position of the frame's list.
    pub(super) fn advance(&mut self, id: FrameId, position: u32) {
        let Some(frame) = self.state.frame(id) else { return self.misfit("advance", id) };
        match self.listed(frame, position) {
            Some(task) => self.open(id, position, task, None),
            None => self.list_ended(id),
        }
    }

    /// The task at a position of the list that a frame runs.
    fn listed(&self, frame: &Frame, position: u32) -> Option<TaskIx> {
        let Some(task) = self.task_of(frame) else {
            return self.plan.root.get(position as usize).copied();
        };
        let list = match (&task.kind, &frame.body) {
            (_, Body::Extending { place, after, .. }) => self.extension_list(frame, *place, *after),
            (Kind::Do(list), _) => Some(list),
            (Kind::For(each), _) => Some(&each.body),
            (Kind::Try(attempt), Body::Trying { .. }) => Some(&attempt.body),
            (Kind::Try(attempt), Body::Catching { clause, .. }) => {
                attempt.clauses.get(*clause as usize).and_then(|clause| clause.body.as_ref())
            }
            (Kind::Listen(listen), _) => listen.each.as_ref().map(|each| &each.body),
            (Kind::Function(call), _) => {
                return match call.target {
                    FunctionTarget::Defined(task) if position == 0 => Some(task),
                    _ => None,
                };
            }
            _ => None,
        };
        list?.get(position as usize).copied()
    }

    /// Opens a task: its `if` first.
    pub(super) fn open(
        &mut self,
        parent: FrameId,
        position: u32,
        index: TaskIx,
        raw: Option<Value>,
    ) {
        let plan = self.plan;
        let task = plan.task(index);
        let opened = Fact::TaskOpened { parent, position, task: index, raw };
        let id = FrameId(self.state.next_frame);
        if let Err(problem) = self.room_for_another(parent) {
            self.record(opened);
            return self.fail(id, problem);
        }
        let Some(condition) = &task.condition else {
            self.record(opened);
            return self.enter(id, task);
        };
        let raw = self.state.raw_for_child(parent);
        let locals = Locals { task: Some((task, &raw)), ..Locals::default() };
        match self.program(condition, &raw, parent, &locals) {
            Ok(verdict) if verdict.is_truthy() => {
                self.record(opened);
                self.enter(id, task);
            }
            Ok(_) => {
                self.record(Fact::TaskSkipped { parent, position, task: index, frame: None });
                self.after_skipped(parent, position, raw);
            }
            Err(Unevaluated::Failed(problem)) => {
                self.record(opened);
                self.fail(id, problem);
            }
            Err(Unevaluated::Secret | Unevaluated::Sealed(_)) => {
                // A worker evaluates for a task that is open.
                self.record(opened);
                self.request_evaluation(id, Field::Condition, raw, None);
            }
        }
    }

    /// Depth and width of the instance are bounded.
    fn room_for_another(&self, parent: FrameId) -> Result<(), Problem> {
        if self.state.frames.len() >= limits::INSTANCE_FRAMES {
            let detail = format!("more than {} tasks are open at once", limits::INSTANCE_FRAMES);
            return Err(Problem::new(Standard::Runtime, detail));
        }
        if self.state.lineage(parent).take(limits::FRAME_DEPTH).count() >= limits::FRAME_DEPTH {
            let detail = format!(
                "tasks are nested more than {} levels deep: a function calls itself without end?",
                limits::FRAME_DEPTH
            );
            return Err(Problem::new(Standard::Runtime, detail));
        }
        self.room_for_frame()
    }

    /// The task's beginning: timeout, then input; a dispatched task goes to a worker.
    pub(super) fn enter(&mut self, id: FrameId, task: &'a Task) {
        if let Some(timeout) = &task.timeout {
            match self.duration(timeout, id) {
                Ok(after) => self.set_timer(id, TimerPurpose::Timeout, after),
                Err(problem) => return self.fail(id, problem),
            }
        }
        if !self.plan.extensions.is_empty() && self.begin_extensions(id, task) {
            return;
        }
        self.begin_task(id, task);
    }

    /// The task itself begins: a dispatched one goes to a worker, any other gets its input.
    pub(super) fn begin_task(&mut self, id: FrameId, task: &'a Task) {
        match self.has_share(id, task.limit.as_deref()) {
            Ok(true) => {}
            // It goes on when it is told.
            Ok(false) => return,
            Err(problem) => return self.fail(id, problem),
        }
        if task.kind.is_dispatched() {
            return self.dispatch(id);
        }
        let Some(frame) = self.state.frame(id) else { return self.misfit("begin_task", id) };
        let raw = frame.raw.clone();
        if let Err(problem) = check(task.input.schema.as_ref(), &raw, "the task's input") {
            return self.fail(id, problem);
        }
        if let Some(from) = &task.input.from {
            let here = |it: &Self| it.template(from, &raw, id, &Locals::before_input());
            let Some(input) = self.field(id, Field::InputFrom, (&raw, None), here) else { return };
            self.record(Fact::TaskInput { frame: id, input });
        }
        self.execute(id, task);
    }

    /// The task of a visit is passed over: its `if` is false, or its limit is full.
    pub(super) fn pass_over(&mut self, id: FrameId, raw: Value) {
        let Some((frame, task)) = self.visit(id) else { return self.misfit("pass_over", id) };
        let (parent, position, task) = (frame.parent, frame.position, task.index);
        self.record(Fact::TaskSkipped { parent, position, task, frame: Some(id) });
        self.after_skipped(parent, position, raw);
    }

    /// Goes on where an evaluation by a worker was waited for.
    pub(super) fn resume_evaluation(
        &mut self,
        id: FrameId,
        field: Field,
        value: Value,
        flow: Option<Flow>,
    ) {
        let Some((_, task)) = self.visit(id) else {
            return self.misfit("resume_evaluation", id);
        };
        match field {
            Field::Condition => match self.take_evaluated(id, field) {
                None => self.misfit("resume_evaluation", id),
                Some(verdict) if verdict.is_truthy() => self.enter(id, task),
                Some(_) => self.pass_over(id, value),
            },
            Field::InputFrom => {
                let Some(input) = self.take_evaluated(id, field) else {
                    return self.misfit("resume_evaluation", id);
                };
                self.record(Fact::TaskInput { frame: id, input });
                self.execute(id, task);
            }
            Field::Definition => self.execute(id, task),
            Field::OutputAs => self.finish_task(id, value, flow),
            Field::ExportAs => self.export(id, None, value, flow),
        }
    }

    /// The result of an evaluation by a worker, once.
    pub(super) fn take_evaluated(&mut self, id: FrameId, field: Field) -> Option<Value> {
        match self.evaluated.take() {
            Some((frame, of, value)) if frame == id && of == field => Some(value),
            other => {
                self.evaluated = other;
                None
            }
        }
    }

    /// The task gave its raw output: `output.as` and the output schema follow.
    pub(super) fn finish_task(&mut self, id: FrameId, raw: Value, flow: Option<Flow>) {
        let Some((_, task)) = self.visit(id) else { return self.misfit("finish_task", id) };
        let output = match &task.output.transform {
            None => raw.clone(),
            Some(transform) => {
                let locals = Locals { raw_output: Some(&raw), ..Locals::default() };
                let here = |it: &Self| it.template(transform, &raw, id, &locals);
                match self.field(id, Field::OutputAs, (&raw, flow), here) {
                    Some(output) => output,
                    None => return,
                }
            }
        };
        match check(task.output.schema.as_ref(), &output, "the task's output") {
            Ok(()) => self.export(id, Some(&raw), output, flow),
            Err(problem) => self.fail(id, problem),
        }
    }

    /// A worker gave the transformed output of a task. It transformed the input as well and kept it
    /// to itself; where `export.as` names `$input`, it is made again.
    pub(super) fn performed(&mut self, id: FrameId, output: Value) {
        let Some((frame, task)) = self.visit(id) else { return self.misfit("performed", id) };
        let mut named = false;
        if let Some(transform) = &task.export.transform {
            transform.each_variable(&mut |name| named |= &**name == "input");
        }
        if let Some(from) = task.input.from.as_ref().filter(|_| named) {
            match self.template(from, &frame.raw, id, &Locals::before_input()) {
                Ok(input) => self.record(Fact::TaskInput { frame: id, input }),
                Err(Unevaluated::Secret) => {
                    let detail =
                        "`export.as` cannot use `$input` where `input.from` names a secret";
                    return self.fail(id, Problem::new(Standard::Configuration, detail));
                }
                Err(it) => {
                    let what = "`input.from` of a task whose `export.as` uses `$input`";
                    return self.fail(id, it.without_worker(what));
                }
            }
        }
        self.export(id, None, output, None);
    }

    /// The task gave its output: `export.as` and the context's schema follow. `$task.output` is the
    /// raw output where that is known: a worker keeps it to itself.
    pub(super) fn export(
        &mut self,
        id: FrameId,
        raw: Option<&Value>,
        output: Value,
        flow: Option<Flow>,
    ) {
        let Some((frame, task)) = self.visit(id) else { return self.misfit("export", id) };
        if !frame.extensions.is_empty() {
            let extensions = frame.extensions.clone();
            let flow = flow.or_else(|| caught_flow(task, frame.body.doing()));
            return self.begin_after(id, extensions, output, flow);
        }
        let context = match &task.export.transform {
            None => None,
            Some(transform) => {
                let raw_output = raw.or(Some(&output));
                let locals = Locals { output: Some(&output), raw_output, ..Locals::default() };
                let here = |it: &Self| it.template(transform, &output, id, &locals);
                match self.field(id, Field::ExportAs, (&output, flow), here) {
                    Some(context) => Some(context),
                    None => return,
                }
            }
        };
        let new = context.as_ref().unwrap_or_else(|| self.state.context_of(id));
        match check(task.export.schema.as_ref(), new, "the context") {
            Ok(()) => self.close_task(id, task, output, context, flow),
            Err(problem) => self.fail(id, problem),
        }
    }

    /// The task is done: its frame closes and the flow goes on.
    fn close_task(
        &mut self,
        id: FrameId,
        task: &Task,
        output: Value,
        context: Option<Value>,
        flow: Option<Flow>,
    ) {
        let Some(frame) = self.state.frame(id) else { return self.misfit("close_task", id) };
        let (parent, position) = (frame.parent, frame.position);
        let flow = flow.or_else(|| caught_flow(task, frame.body.doing())).unwrap_or(task.then);
        let kept = (!output.has_same_members(&frame.input)).then(|| output.clone());
        self.record(Fact::TaskCompleted { frame: id, output: kept, context });
        self.after(parent, position, flow, output);
    }

    /// Where the flow goes after the child at `position` gave `output`.
    pub(super) fn after(&mut self, parent: FrameId, position: u32, flow: Flow, output: Value) {
        if flow == Flow::End {
            return self.end_early(parent, position, output);
        }
        let Some(frame) = self.state.frame(parent) else { return self.misfit("after", parent) };
        if matches!(frame.body, Body::Fork { .. }) {
            return self.branch_ended(parent, position);
        }
        match flow {
            Flow::Continue => {
                self.steps.push_back(Step::Advance { frame: parent, position: position + 1 });
            }
            Flow::Task(position) => self.steps.push_back(Step::Advance { frame: parent, position }),
            Flow::Exit if self.bypasses(parent) => self.finish_task(parent, output, None),
            Flow::Exit => self.list_ended(parent),
            // Above.
            Flow::End => {}
        }
    }

    /// Where the flow goes after a task whose `if` was false: to the next one, whatever its `then`
    /// says.
    pub(super) fn after_skipped(&mut self, parent: FrameId, position: u32, output: Value) {
        match self.state.frame(parent).map(|frame| &frame.body) {
            Some(Body::Fork { .. }) => self.branch_skipped(parent, position),
            _ => self.after(parent, position, Flow::Continue, output),
        }
    }

    /// `then: end`: the workflow ends here, with the context as this path left it.
    fn end_early(&mut self, parent: FrameId, position: u32, output: Value) {
        let branch = match self.state.frame(parent).map(|frame| &frame.body) {
            Some(Body::Fork { branches, .. }) => branches.get(position as usize),
            _ => None,
        };
        let context = match branch.and_then(|branch| branch.context.as_ref()) {
            Some(context) => context,
            None => self.state.context_of(parent),
        };
        if !context.is_same(&self.state.context) {
            let context = context.clone();
            self.record(Fact::ContextMerged { frame: ROOT, context });
        }
        self.end_workflow(output);
    }

    /// The list of a frame is done.
    fn list_ended(&mut self, id: FrameId) {
        let Some(frame) = self.state.frame(id) else { return self.misfit("list_ended", id) };
        let value = frame.body.value().cloned().unwrap_or_default();
        match &frame.body {
            Body::Sequence { .. } if id == ROOT => self.end_workflow(value),
            Body::Loop { index, .. } => {
                let index = index + 1;
                self.steps.push_back(Step::Iterate { frame: id, index });
            }
            Body::Listening(_) => self.item_ended(id, value),
            Body::Extending { .. } => self.extension_ended(id),
            Body::Sequence { .. } | Body::Trying { .. } | Body::Catching { .. } => {
                self.finish_task(id, value, None);
            }
            Body::Begun
            | Body::Dispatched { .. }
            | Body::Evaluating { .. }
            | Body::Fork { .. }
            | Body::Retrying { .. }
            | Body::Waiting
            | Body::Approving(_)
            | Body::Publishing { .. }
            | Body::Child { .. } => self.misfit("list_ended", id),
        }
    }

    /// Milliseconds a duration of the definition stands for, evaluated for this frame.
    pub(super) fn duration(&self, duration: &Duration, id: FrameId) -> Result<u64, Problem> {
        match duration {
            Duration::Fixed(milliseconds) => Ok(*milliseconds),
            Duration::Computed(template) => {
                const WHAT: &str = "a duration";
                let input = self.state.frame(id).map(|it| it.input.clone()).unwrap_or_default();
                let value = self
                    .template(template, &input, id, &Locals::default())
                    .map_err(|it| it.without_worker(WHAT))?;
                if value.has_sealed() {
                    return Err(Unevaluated::plain_needed(WHAT).without_worker(WHAT));
                }
                windlass_proto::duration::parse(&value)
                    .map(|it| it.0)
                    .map_err(|error| Problem::new(Standard::Expression, error.to_string()))
            }
        }
    }

    /// Sets a timer that is due after `milliseconds`.
    pub(super) fn set_timer(&mut self, frame: FrameId, purpose: TimerPurpose, milliseconds: u64) {
        let due = self.at.plus(milliseconds);
        self.record(Fact::TimerSet { frame, purpose, due });
    }
}

/// `catch.then` decides where an error that was caught leads.
fn caught_flow(task: &Task, body: &Body) -> Option<Flow> {
    match (&task.kind, body) {
        (Kind::Try(attempt), Body::Catching { clause, .. }) => {
            attempt.clauses.get(*clause as usize)?.then
        }
        _ => None,
    }
}

/// Checks data against its schema, if it has one.
pub(super) fn check(
    schema: Option<&SchemaSource>,
    value: &Value,
    what: &str,
) -> Result<(), Problem> {
    match schema {
        None => Ok(()),
        Some(SchemaSource::Inline(schema)) => schema.validate(value).map_err(|error| {
            Problem::new(Standard::Validation, format!("{what} is refused by its schema: {error}"))
        }),
        Some(SchemaSource::External(_)) => Err(Problem::new(
            Standard::Configuration,
            format!("{what} has a schema at another place: write it inline as `document`"),
        )),
    }
}

/// Checks that a value which was put together from parts is not too large or too deep to keep.
pub(super) fn fit(value: &Value, what: &str) -> Result<(), Problem> {
    if value.weight() > limits::PAYLOAD_BYTES as u64 {
        let detail = format!(
            "{what} takes more than {} bytes: keep less with `output.as`",
            limits::PAYLOAD_BYTES
        );
        return Err(Problem::new(Standard::Runtime, detail));
    }
    if value.depth() > limits::VALUE_DEPTH {
        let detail = format!("{what} is nested more than {} levels deep", limits::VALUE_DEPTH);
        return Err(Problem::new(Standard::Runtime, detail));
    }
    Ok(())
}
