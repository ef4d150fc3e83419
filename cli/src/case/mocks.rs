//! Answers in place of calls, and what was called.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_coordinator::engine::{ChildOutcome, Requester, Verdict};
use windlass_coordinator::glob;
use windlass_proto::definition::STANDARD_FUNCTIONS;
use windlass_proto::expression::{Budget, Program, Scope};
use windlass_proto::id::WorkflowId;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_worker::{CallPurpose, OutsideCall, StandIn, StandInAnswer};

use super::{Answer, Given, Mock, Target};

/// What the URLs of an authority's discovery documents end with.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Stands in for the world in one case.
pub(crate) struct Mocks {
    rules: Vec<Mock>,
    /// Whether calls that nothing is said of are made.
    allows_calls: bool,
    state: Mutex<State>,
}

/// A task that calls.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Its workflow.
    pub(crate) workflow: WorkflowId,
    /// Its JSON pointer.
    pub(crate) reference: Arc<str>,
    /// Its name.
    pub(crate) name: Arc<str>,
    /// What the time is.
    pub(crate) now: Timestamp,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// By which task.
    pub(crate) caller: Caller,
    /// What it was for.
    pub(crate) purpose: CallPurpose,
    /// Its kind, as definitions have it.
    pub(crate) kind: &'static str,
    /// Method and URL, where it is one of HTTP.
    pub(crate) request: Option<(String, String)>,
    /// What was sent.
    pub(crate) sent: Value,
}

#[derive(Default)]
struct State {
    /// Who calls now.
    caller: Option<Caller>,
    /// How often each rule has answered.
    used: Vec<u32>,
    made: Vec<Made>,
    /// What the answers to the caller take.
    delay: u64,
    /// True where it is never answered.
    never: bool,
    /// The first call that nothing is said of.
    unmocked: Option<Made>,
}

/// What the answers to a task take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// So many milliseconds.
    Milliseconds(u64),
    /// For ever.
    Forever,
}

/// Expressions of tests see no variables.
struct Nothing;

impl Scope for Nothing {
    fn variable(&self, _name: &str) -> Value {
        Value::Null
    }
}

/// What a program of a test gives.
///
/// # Errors
/// Why it gives nothing.
pub(crate) fn evaluate(program: &Program, on: &Value, now: Timestamp) -> Result<Value, String> {
    let plain = plain(on);
    program.evaluate(plain, &Nothing, Budget::at(now)).map_err(|error| error.message)
}

/// A value as people see it: what is sealed in it is a text that says so.
pub(crate) fn plain(value: &Value) -> Value {
    if !value.has_sealed() {
        return value.clone();
    }
    Value::from_json(&value.to_json()).unwrap_or_default()
}

impl Mocks {
    /// The first of `rules` that fits a call counts.
    pub(crate) fn new(rules: Vec<Mock>, allows_calls: bool) -> Self {
        let state = State { used: vec![0; rules.len()], ..State::default() };
        Self { rules, allows_calls, state: Mutex::new(state) }
    }

    /// From now on this task calls.
    pub(crate) fn begin(&self, caller: Caller) {
        let mut state = self.state();
        state.caller = Some(caller);
        (state.delay, state.never) = (0, false);
    }

    /// What the answers to the task that called took.
    pub(crate) fn end(&self) -> Takes {
        let mut state = self.state();
        state.caller = None;
        match state.never {
            true => Takes::Forever,
            false => Takes::Milliseconds(state.delay),
        }
    }

    /// What comes of a child workflow that `caller` starts; none where it is to be run.
    pub(crate) fn child(&self, caller: Caller, sent: Value) -> Option<(ChildOutcome, Takes)> {
        self.ended(caller, "workflow", sent)
    }

    /// What somebody decides whom `caller` asks; none where nobody does. What is no approval is a
    /// rejection.
    pub(crate) fn decision(&self, caller: Caller, sent: Value) -> Option<(Verdict, Takes)> {
        let (outcome, takes) = self.ended(caller, "approval", sent)?;
        let (output, failure) = match outcome {
            ChildOutcome::Completed(output) => (output, None),
            ChildOutcome::Faulted(problem) => (Value::Null, problem.detail),
            ChildOutcome::Cancelled(_) => (Value::Null, None),
        };
        let text = |name: &str| output.get(name).and_then(Value::as_str).map(Arc::<str>::from);
        let actor = text("by").map(|by| match by.split_once(':') {
            Some((issuer, subject)) => [issuer.into(), subject.into(), "test".into()],
            None => ["test".into(), by, "test".into()],
        });
        let by = Requester { actor, reason: text("reason").or(failure) };
        let approved = output.get("approved") == Some(&Value::Bool(true));
        let data = output.get("data").cloned().unwrap_or_default();
        Some((Verdict { approved, data, by: Some(Arc::new(by)) }, takes))
    }

    fn ended(
        &self,
        caller: Caller,
        kind: &'static str,
        sent: Value,
    ) -> Option<(ChildOutcome, Takes)> {
        let made = Made { caller, purpose: CallPurpose::Task, kind, request: None, sent };
        let mut state = self.state();
        let found = self.find(&mut state, &made, |_| true)?;
        state.keep(made.clone());
        let takes = match found.given {
            Given::Never => Takes::Forever,
            _ => Takes::Milliseconds(found.delay),
        };
        let outcome = match reply(&found.given, &made) {
            StandInAnswer::Output(output) => ChildOutcome::Completed(output),
            StandInAnswer::Failure(problem) => ChildOutcome::Faulted(problem),
            StandInAnswer::Response { .. } | StandInAnswer::Pass => {
                let detail = "the mock answers what is no HTTP call with a response of HTTP: give its output";
                ChildOutcome::Faulted(Problem::new(Standard::Configuration, detail))
            }
        };
        Some((outcome, takes))
    }

    /// The calls that were made.
    pub(crate) fn made(&self) -> Vec<Made> {
        self.state().made.clone()
    }

    /// The first call that nothing is said of.
    pub(crate) fn unmocked(&self) -> Option<Made> {
        self.state().unmocked.clone()
    }

    /// The answer of the first rule that fits, which has then given it.
    fn find(&self, state: &mut State, call: &Made, may: impl Fn(&Mock) -> bool) -> Option<Answer> {
        let fits = |rule: &&Mock| {
            may(rule)
                && fits(&rule.target, call)
                && rule.when.as_ref().is_none_or(|when| {
                    evaluate(when, &call.sent, call.caller.now).is_ok_and(|it| it.is_truthy())
                })
        };
        let at = self.rules.iter().position(|it| fits(&it))?;
        let used = state.used.get_mut(at)?;
        let answers = &self.rules.get(at)?.answers;
        let mut left = *used;
        *used = used.saturating_add(1);
        for answer in answers {
            match left.checked_sub(answer.times) {
                Some(rest) => left = rest,
                None => return Some(answer.clone()),
            }
        }
        answers.last().cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, call: Made) {
        if self.made.len() < limits::TEST_CALLS {
            self.made.push(call);
        }
    }
}

/// True when a call is one of those that are meant.
pub(crate) fn fits(target: &Target, call: &Made) -> bool {
    match target {
        Target::Task(task) => names(task, &call.caller.reference, &call.caller.name),
        Target::Http(method, pattern) => call.request.as_ref().is_some_and(|(by, url)| {
            let whole = pattern.contains('?');
            let url = if whole { url } else { url.split(['?', '#']).next().unwrap_or(url) };
            method.as_ref().is_none_or(|it| it == by) && glob::matches(pattern, url)
        }),
        Target::Function(name) => {
            call.kind == "function"
                && call.sent.get("function").and_then(Value::as_str) == Some(name)
        }
    }
}

/// True when `text` names a task: its JSON pointer, or its name.
pub(crate) fn names(text: &str, reference: &str, name: &str) -> bool {
    if text.starts_with('/') { text == reference } else { text == name }
}

fn reply(given: &Given, call: &Made) -> StandInAnswer {
    match given {
        Given::Output(value) => StandInAnswer::Output(value.clone()),
        Given::Computed(program) => match evaluate(program, &call.sent, call.caller.now) {
            Ok(value) => StandInAnswer::Output(value),
            Err(why) => StandInAnswer::Failure(Problem::new(Standard::Expression, why)),
        },
        Given::Response { status, headers, body } => StandInAnswer::Response {
            status: *status,
            headers: headers.clone(),
            body: body.clone(),
        },
        Given::Failure(problem) => StandInAnswer::Failure(problem.clone()),
        // Nobody waits for it.
        Given::Never => StandInAnswer::Output(Value::Null),
    }
}

/// What an authorization server says of which a test says nothing: a token, or where to get one.
fn made_up(call: &Made) -> Option<Value> {
    let object = |members: [(&str, &str); 2]| {
        Value::object(members.map(|(name, value)| (name, Value::from(value))))
    };
    match call.purpose {
        CallPurpose::Task => None,
        CallPurpose::Token => {
            Some(object([("access_token", "test-token"), ("token_type", "Bearer")]))
        }
        CallPurpose::Document => {
            let authority = call.request.as_ref()?.1.strip_suffix(DISCOVERY)?;
            let endpoint = format!("{authority}/token");
            Some(object([("issuer", authority), ("token_endpoint", &endpoint)]))
        }
    }
}

impl StandIn for Mocks {
    fn answer(&self, call: &OutsideCall) -> StandInAnswer {
        let mut state = self.state();
        // Calls are made within attempts, and each begins with its task.
        let Some(caller) = state.caller.clone() else { return StandInAnswer::Pass };
        let OutsideCall { purpose, kind, request, sent } = call.clone();
        let made = Made { caller, purpose, kind, request, sent };
        let is_task = purpose == CallPurpose::Task;
        // A task's mock answers what the task does, not what it needs for that.
        let found =
            self.find(&mut state, &made, |it| is_task || matches!(it.target, Target::Http(..)));
        if let Some(answer) = found {
            state.delay = state.delay.saturating_add(answer.delay);
            state.never |= matches!(answer.given, Given::Never);
            let reply = reply(&answer.given, &made);
            if is_task {
                state.keep(made);
            }
            return reply;
        }
        if is_task {
            state.keep(made.clone());
        }
        let name = made.sent.get("function").and_then(Value::as_str).unwrap_or_default();
        let is_harmless = made.kind == "function" && STANDARD_FUNCTIONS.contains(&name);
        if self.allows_calls || is_harmless {
            return StandInAnswer::Pass;
        }
        if let Some(made_up) = made_up(&made) {
            return StandInAnswer::Output(made_up);
        }
        let detail = format!("the test has no mock for {}", made.caller.reference);
        state.unmocked.get_or_insert(made);
        StandInAnswer::Failure(Problem::new(Standard::Runtime, detail))
    }
}
