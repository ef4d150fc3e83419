//! What a generated workflow must come to: a reference interpreter that knows nothing of frames,
//! facts, time or crashes. It walks the model, depth first.
//!
//! Where the outcome depends on who is first, it says so ([`Stop::Unknown`]), and only the
//! invariants are checked.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::model::{
    Call, Condition, Expr, Items, Kind, Listen, Mode, OOPS, OUTSIDE, SECRET, Shape, Task, Then,
    Timeout, Try, Workflow,
};

/// Base of the standard error types.
const STANDARD: &str = "https://serverlessworkflow.io/spec/1.0.0/errors/";

/// Waits from here on count as longer than any race.
pub(super) const FOREVER_MS: u64 = 86_400_000;

/// Tasks visited until the oracle gives up: more than any generated workflow visits.
const VISITS: u32 = 20_000;

/// An error, as far as it is compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) kind: String,
    pub(super) status: u16,
    pub(super) at: String,
}

/// Why a list of tasks is left early.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// An error on its way up.
    Failed(Failure),
    /// `then: end`
    Ended(Value),
    /// It depends.
    Unknown,
}

/// What an instance must come to; `None` where that is not determined.
pub(super) type Expected = Option<Result<Value, Failure>>;

/// The outcome of a workflow for an input.
pub(super) fn outcome(workflows: &[Workflow], name: &str, input: &Value) -> Expected {
    let workflow = workflows.iter().find(|it| it.name == name)?;
    let mut oracle = Oracle {
        workflows,
        workflow,
        start: input.clone(),
        calls: HashMap::new(),
        emitted: Vec::new(),
        visits: 0,
    };
    match oracle.workflow() {
        Ok(output) => Some(Ok(output)),
        Err(Stop::Failed(failure)) => Some(Err(failure)),
        Err(Stop::Ended(_) | Stop::Unknown) => None,
    }
}

struct Oracle<'w> {
    workflows: &'w [Workflow],
    workflow: &'w Workflow,
    start: Value,
    /// How often each call was visited, by pointer.
    calls: HashMap<String, u32>,
    /// Events emitted in the fork at hand: type and data.
    emitted: Vec<(String, Value)>,
    visits: u32,
}

/// What `for`, `catch` and `foreach` bind.
#[derive(Clone, Copy, Default)]
struct Bound {
    item: i64,
    index: i64,
    status: i64,
}

type Context = Map<String, Value>;

/// What an expression sees.
struct View<'v> {
    dot: &'v Value,
    input: &'v Value,
    context: &'v Context,
    bound: Bound,
}

fn failed(kind: &str, status: u16, at: &str) -> Stop {
    let kind = if kind.contains('/') { kind.into() } else { format!("{STANDARD}{kind}") };
    Stop::Failed(Failure { kind, status, at: at.into() })
}

impl Oracle<'_> {
    fn workflow(&mut self) -> Result<Value, Stop> {
        let workflow = self.workflow;
        let (start, mut context) = (self.start.clone(), Context::new());
        let bound = Bound::default();
        let input =
            self.shaped(workflow.from.as_ref(), start, &Value::Null, &context, bound, "/")?;
        match workflow.timeout {
            None | Some(Timeout::Never) => {}
            Some(Timeout::Sure(_)) => return Err(failed("timeout", 408, "/")),
            Some(Timeout::Racy(_)) => return Err(Stop::Unknown),
        }
        let last = match self.list(&workflow.tasks, "/do", input, &mut context, bound) {
            Err(Stop::Ended(output)) => output,
            other => other?,
        };
        // At its end, the context of a fork's branch is not the workflow's: generated workflows
        // do not look at it there.
        self.shaped(workflow.output.as_ref(), last, &Value::Null, &context, bound, "/")
    }

    fn list(
        &mut self,
        tasks: &[Task],
        path: &str,
        mut value: Value,
        context: &mut Context,
        bound: Bound,
    ) -> Result<Value, Stop> {
        let mut position = 0;
        while let Some(task) = tasks.get(position) {
            let at = format!("{path}/{position}/{}", task.name);
            let (output, then) = self.task(task, &at, value, context, bound)?;
            value = output;
            match then {
                Then::Continue => position += 1,
                Then::Exit => break,
                Then::End => return Err(Stop::Ended(value)),
                Then::To(name) => {
                    position = tasks.iter().position(|it| it.name == name).unwrap();
                }
            }
        }
        Ok(value)
    }

    fn task(
        &mut self,
        task: &Task,
        at: &str,
        raw: Value,
        context: &mut Context,
        bound: Bound,
    ) -> Result<(Value, Then), Stop> {
        self.visits += 1;
        if self.visits > VISITS {
            return Err(Stop::Unknown);
        }
        if let Some(condition) = &task.condition {
            let view = View { dot: &raw, input: &Value::Null, context, bound };
            if !self.holds(condition, &view) {
                return Ok((raw, Then::Continue));
            }
        }
        match task.timeout {
            None | Some(Timeout::Never) => {}
            Some(Timeout::Sure(_)) => return Err(failed("timeout", 408, at)),
            Some(Timeout::Racy(_)) => return Err(Stop::Unknown),
        }
        if matches!(task.kind, Kind::Call(Call::Flaky(..), _)) {
            // It counts as a visit even when its input cannot be made.
            *self.calls.entry(at.into()).or_default() += 1;
        }
        let input = self.shaped(task.from.as_ref(), raw, &Value::Null, context, bound, at)?;
        let (output, then) = self.kind(&task.kind, at, input.clone(), context, bound)?;
        let output = self.shaped(task.output.as_ref(), output, &Value::Null, context, bound, at)?;
        if let Some((key, expr)) = &task.export {
            let view = View { dot: &output, input: &input, context, bound };
            let number = self.number(expr, &view);
            context.insert(key.clone(), json!(number));
        }
        Ok((output, then.unwrap_or_else(|| task.then.clone())))
    }

    fn kind(
        &mut self,
        kind: &Kind,
        at: &str,
        input: Value,
        context: &mut Context,
        bound: Bound,
    ) -> Result<(Value, Option<Then>), Stop> {
        let output = match kind {
            Kind::Set(shape) => {
                self.shaped(Some(shape), input.clone(), &input, context, bound, at)?
            }
            Kind::Do(tasks) => self.list(tasks, &format!("{at}/do"), input, context, bound)?,
            Kind::Switch(cases) => {
                let view = View { dot: &input, input: &input, context, bound };
                let fits = |when: &Option<Condition>| {
                    when.as_ref().is_some_and(|when| self.holds(when, &view))
                };
                let chosen = cases.iter().find(|(when, _)| fits(when));
                let chosen = chosen.or_else(|| cases.iter().find(|(when, _)| when.is_none()));
                return Ok((input.clone(), chosen.map(|(_, then)| then.clone())));
            }
            Kind::For { items, condition, body } => {
                self.each(items, condition.as_ref(), body, at, input, context, bound)?
            }
            Kind::Fork { compete: true, branches } => {
                self.race(branches, at, input, context, bound)?
            }
            Kind::Fork { compete: false, branches } => {
                self.fork(branches, at, input, context, bound)?
            }
            Kind::Try(it) => return self.attempts(it, at, input, context, bound),
            Kind::Raise(status) => return Err(failed(OOPS, *status, at)),
            Kind::Wait(_) | Kind::Ask => input,
            Kind::Emit(kind, expr) => {
                let view = View { dot: &input, input: &input, context, bound };
                let data = json!({"n": self.number(expr, &view)});
                self.emitted.push((kind.clone(), data.clone()));
                json!({"type": kind, "data": data})
            }
            Kind::Listen(listen) => self.listen(listen, at, context, bound)?,
            Kind::Call(call, with) => self.call(call, with.as_ref(), at, input, context, bound)?,
            Kind::Child(name, wait, with) => {
                let start =
                    self.shaped(with.as_ref(), input.clone(), &input, context, bound, at)?;
                if !self.workflows.iter().any(|it| it.name == *name) {
                    return Err(failed("configuration", 400, at));
                }
                if *wait { self.child(name, &start, at)? } else { input }
            }
        };
        Ok((output, None))
    }

    #[allow(clippy::too_many_arguments)]
    fn each(
        &mut self,
        items: &Items,
        condition: Option<&Condition>,
        body: &[Task],
        at: &str,
        input: Value,
        context: &mut Context,
        bound: Bound,
    ) -> Result<Value, Stop> {
        let items: Vec<i64> = match items {
            Items::List(items) => items.clone(),
            Items::Range(count) => (0..*count).collect(),
            Items::Null => Vec::new(),
            Items::Bad => return Err(failed("expression", 400, at)),
        };
        let mut value = input.clone();
        for (index, item) in (0..).zip(items) {
            let bound = Bound { item, index, ..bound };
            if let Some(condition) = condition {
                let view = View { dot: &value, input: &input, context, bound };
                if !self.holds(condition, &view) {
                    break;
                }
            }
            value = self.list(body, &format!("{at}/do"), value, context, bound)?;
        }
        Ok(value)
    }

    fn fork(
        &mut self,
        branches: &[Task],
        at: &str,
        input: Value,
        context: &mut Context,
        bound: Bound,
    ) -> Result<Value, Stop> {
        let listens = |task: &Task| matches!(&task.kind, Kind::Listen(listen) if listen.own);
        if branches.iter().any(listens) {
            self.emitted.clear();
        }
        // Who listens comes last here: what the others emit is known then.
        let mut order: Vec<usize> = (0..branches.len()).collect();
        order.sort_by_key(|number| listens(&branches[*number]));
        let mut outputs = vec![Value::Null; branches.len()];
        let mut contexts = vec![context.clone(); branches.len()];
        let mut stops = Vec::new();
        for number in order {
            let task = &branches[number];
            let at = format!("{at}/fork/branches/{number}/{}", task.name);
            match self.task(task, &at, input.clone(), &mut contexts[number], bound) {
                Ok((_, Then::End)) => return Err(Stop::Unknown),
                Ok((output, _)) => outputs[number] = output,
                Err(stop) => stops.push((number, stop)),
            }
        }
        match stops.len() {
            0 => {}
            1 => {
                let (stopped, stop) = stops.remove(0);
                // What the others have done by then shows in what comes after.
                let rest = branches.iter().enumerate().filter(|(number, _)| *number != stopped);
                let shows = rest.map(|(_, task)| task).any(leaves_traces);
                return Err(if shows { Stop::Unknown } else { stop });
            }
            _ => return Err(Stop::Unknown),
        }
        let base = context.clone();
        for changed in contexts {
            for (key, value) in changed {
                if base.get(&key) != Some(&value) {
                    context.insert(key, value);
                }
            }
        }
        Ok(Value::Array(outputs))
    }

    /// Branches that compete: told only where all but one fail at once or take for ever.
    fn race(
        &mut self,
        branches: &[Task],
        at: &str,
        input: Value,
        context: &mut Context,
        bound: Bound,
    ) -> Result<Value, Stop> {
        let slow = |task: &Task| matches!(task.kind, Kind::Wait(after) if after >= FOREVER_MS);
        let fails = |task: &Task| matches!(task.kind, Kind::Raise(_));
        let wins = |task: &Task| matches!(task.kind, Kind::Set(Shape::Object(_)));
        let plain = |task: &Task| task.condition.is_none() && task.timeout.is_none();
        let known = branches.iter().all(|it| plain(it) && (slow(it) || fails(it) || wins(it)));
        if !known || branches.iter().filter(|it| wins(it)).count() > 1 {
            return Err(Stop::Unknown);
        }
        let path = |number: usize| format!("{at}/fork/branches/{number}/{}", branches[number].name);
        if let Some(winner) = branches.iter().position(wins) {
            let task = &branches[winner];
            return self.task(task, &path(winner), input, context, bound).map(|it| it.0);
        }
        match branches.iter().all(fails) {
            true => self.task(&branches[0], &path(0), input, context, bound).map(|it| it.0),
            false => Err(Stop::Unknown),
        }
    }

    fn attempts(
        &mut self,
        it: &Try,
        at: &str,
        input: Value,
        context: &mut Context,
        bound: Bound,
    ) -> Result<(Value, Option<Then>), Stop> {
        let before = context.clone();
        let retries = it.retry.as_ref().map_or(0, |retry| retry.count);
        let limit = it.retry.as_ref().and_then(|retry| retry.attempt);
        let mut attempt = 0;
        let failure = loop {
            let result = match limit {
                Some(Timeout::Racy(_)) => return Err(Stop::Unknown),
                Some(Timeout::Sure(_)) => Err(failed("timeout", 408, at)),
                _ => self.list(&it.body, &format!("{at}/try"), input.clone(), context, bound),
            };
            let failure = match result {
                Ok(output) => return Ok((output, None)),
                Err(Stop::Failed(failure)) => failure,
                Err(stop) => return Err(stop),
            };
            let status = i64::from(failure.status);
            let caught = it.status.is_none_or(|wanted| wanted == failure.status)
                && it.when.as_ref().is_none_or(|when| {
                    let bound = Bound { status, ..bound };
                    let (dot, input) = (&Value::Null, &Value::Null);
                    self.holds(when, &View { dot, input, context, bound })
                });
            if !caught {
                return Err(Stop::Failed(failure));
            }
            if attempt == retries {
                break failure;
            }
            attempt += 1;
            *context = before.clone();
        };
        let spent = it.retry.is_some() && it.handler.is_none() && it.then.is_none();
        if spent {
            return Err(Stop::Failed(failure));
        }
        let output = match &it.handler {
            None => input,
            Some(tasks) => {
                let bound = Bound { status: i64::from(failure.status), ..bound };
                self.list(tasks, &format!("{at}/catch/do"), input, context, bound)?
            }
        };
        Ok((output, it.then.clone()))
    }

    fn listen(
        &mut self,
        listen: &Listen,
        at: &str,
        context: &mut Context,
        bound: Bound,
    ) -> Result<Value, Stop> {
        let outside = || json!({"n": OUTSIDE});
        let events: Vec<Value> = if listen.own {
            let wanted = |kind: &String| listen.types.contains(kind);
            let until = match &listen.mode {
                Mode::UntilType(last) => self.emitted.iter().position(|(kind, _)| kind == last),
                _ => None,
            };
            let events = self.emitted.iter().take(until.unwrap_or(usize::MAX));
            let events = events.filter(|(kind, _)| wanted(kind)).map(|(_, data)| data.clone());
            match &listen.mode {
                Mode::One | Mode::Any => events.take(1).collect(),
                Mode::UntilCount(count) => events.take(*count as usize).collect(),
                Mode::All | Mode::UntilType(_) => events.collect(),
            }
        } else {
            match &listen.mode {
                Mode::One | Mode::Any => vec![outside()],
                Mode::All => vec![outside(); listen.types.len()],
                Mode::UntilCount(count) => vec![outside(); *count as usize],
                Mode::UntilType(_) => return Err(Stop::Unknown),
            }
        };
        let mut outputs = Vec::new();
        for (index, event) in (0..).zip(events) {
            outputs.push(match &listen.foreach {
                None => event,
                Some(tasks) => {
                    let bound = Bound { index, ..bound };
                    self.list(tasks, &format!("{at}/foreach/do"), event, context, bound)?
                }
            });
        }
        Ok(Value::Array(outputs))
    }

    fn call(
        &mut self,
        call: &Call,
        with: Option<&Vec<(String, Expr)>>,
        at: &str,
        input: Value,
        context: &mut Context,
        bound: Bound,
    ) -> Result<Value, Stop> {
        let mut arguments = match with {
            None => input,
            Some(members) => {
                self.object(members, &View { dot: &input, input: &Value::Null, context, bound })
            }
        };
        match call {
            Call::Echo => Ok(arguments),
            Call::Flaky(times, status) => {
                if self.calls.get(at).is_some_and(|visits| visits <= times) {
                    return Err(failed("runtime", *status, at));
                }
                arguments["fail"] = json!(times);
                arguments["status"] = json!(status);
                Ok(arguments)
            }
            Call::Deadly => Err(failed("runtime", 500, at)),
            Call::Own(name) => {
                let workflow = self.workflow;
                let (_, task) = workflow.functions.iter().find(|it| it.0 == *name).unwrap();
                match self.task(task, at, arguments, context, bound)? {
                    (output, Then::End) => Err(Stop::Ended(output)),
                    (output, _) => Ok(output),
                }
            }
        }
    }

    fn child(&mut self, name: &str, input: &Value, at: &str) -> Result<Value, Stop> {
        match outcome(self.workflows, name, input) {
            Some(Ok(output)) => Ok(output),
            Some(Err(failure)) => Err(Stop::Failed(Failure { at: at.into(), ..failure })),
            None => Err(Stop::Unknown),
        }
    }

    fn shaped(
        &self,
        shape: Option<&Shape>,
        dot: Value,
        input: &Value,
        context: &Context,
        bound: Bound,
        at: &str,
    ) -> Result<Value, Stop> {
        let view = View { dot: &dot, input, context, bound };
        Ok(match shape {
            None | Some(Shape::Keep) => dot,
            Some(Shape::Object(members)) => self.object(members, &view),
            Some(Shape::Wrap(expr)) => json!({"n": self.number(expr, &view), "was": dot}),
            Some(Shape::Text(expr)) => json!(format!("v{}", self.number(expr, &view))),
            Some(Shape::Bad) => return Err(failed("expression", 400, at)),
        })
    }

    fn object(&self, members: &[(String, Expr)], view: &View<'_>) -> Value {
        let number = |expr| json!(self.number(expr, view));
        Value::Object(members.iter().map(|(key, expr)| (key.clone(), number(expr))).collect())
    }

    fn holds(&self, Condition(expr, modulus, below): &Condition, view: &View<'_>) -> bool {
        self.number(expr, view) % modulus < *below
    }

    fn number(&self, expr: &Expr, view: &View<'_>) -> i64 {
        let member = |value: &Value, key: &str| value.get(key).and_then(Value::as_i64);
        match expr {
            Expr::Int(number) => *number,
            Expr::Field(name) => member(view.dot, name).unwrap_or(0),
            Expr::Context(key) => view.context.get(key).and_then(Value::as_i64).unwrap_or(0),
            Expr::Input => member(view.input, "n").unwrap_or(0),
            Expr::Start => member(&self.start, "n").unwrap_or(0),
            Expr::Item => view.bound.item,
            Expr::Index => view.bound.index,
            Expr::Status => view.bound.status,
            Expr::Secret => i64::try_from(SECRET.1.len()).unwrap(),
            Expr::Sum(left, right) => self.number(left, view) + self.number(right, view),
        }
    }
}

/// True for a task of which it shows later how far it has come: calls are counted, and events that
/// were emitted before may be consumed after.
fn leaves_traces(task: &Task) -> bool {
    let any = |tasks: &[Task]| tasks.iter().any(leaves_traces);
    match &task.kind {
        Kind::Call(Call::Flaky(..) | Call::Own(_), _) | Kind::Listen(_) | Kind::Emit(..) => true,
        Kind::Do(tasks) | Kind::For { body: tasks, .. } | Kind::Fork { branches: tasks, .. } => {
            any(tasks)
        }
        Kind::Try(it) => any(&it.body) || it.handler.as_ref().is_some_and(|it| any(it)),
        Kind::Set(_)
        | Kind::Switch(_)
        | Kind::Raise(_)
        | Kind::Wait(_)
        | Kind::Ask
        | Kind::Call(Call::Echo | Call::Deadly, _)
        | Kind::Child(..) => false,
    }
}
