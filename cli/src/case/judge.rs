//! Holds what happened in a case against what was expected.

use windlass_coordinator::catalog::difference;
use windlass_coordinator::status::Status;
use windlass_coordinator::view::InstanceView;
use windlass_proto::duration;
use windlass_proto::id::WorkflowId;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, same_type};
use windlass_proto::sealed::SHOWN;
use windlass_proto::value::Value;
use windlass_worker::CallPurpose;

use super::golden;
use super::mocks::{Made, evaluate, fits, names, plain};
use super::play::Played;
use super::texts::Texts;
use super::{Case, Check, Expectation, ExpectedCall, ExpectedError, ExpectedTask, Target};

/// What came of a case.
pub(crate) struct Outcome {
    /// Its name.
    pub(crate) name: String,
    /// The line where it begins.
    pub(crate) line: usize,
    /// What is not as it was expected; nothing where it passed.
    pub(crate) failures: Vec<Failure>,
    /// Milliseconds that the instance took by its own clock.
    pub(crate) took: u64,
    /// What happened, where something failed: the last entries of the history.
    pub(crate) before: Vec<String>,
}

/// One thing that is not as it was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What, in one sentence.
    pub(crate) message: String,
    /// More lines: a difference, what to write.
    pub(crate) detail: String,
    /// The line of the file of tests.
    pub(crate) line: usize,
    /// `FILE:LINE /pointer` of the task concerned.
    pub(crate) task: Option<String>,
}

impl Failure {
    pub(crate) fn new(line: usize, message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { message: message.into(), detail: detail.into(), line, task: None }
    }

    fn at(mut self, texts: &Texts, workflow: &WorkflowId, reference: &str) -> Self {
        self.task = texts.place(workflow, reference).map(|it| format!("{it} {reference}"));
        self
    }
}

/// Judges a case that was played.
pub(crate) fn judge(case: &Case, played: &Played, texts: &Texts) -> Outcome {
    let mut judge = Judge { case, played, texts, failures: Vec::new() };
    judge.all();
    let failures = judge.failures;
    let before = if failures.is_empty() { Vec::new() } else { last(played) };
    Outcome { name: case.name.clone(), line: case.line, failures, took: played.took, before }
}

/// The last entries of the history, cut to what a screen has room for.
fn last(played: &Played) -> Vec<String> {
    let text = golden::text(played);
    let lines: Vec<_> = text.lines().collect();
    let skipped = lines.len().saturating_sub(limits::TEST_SHOWN_ENTRIES);
    let shown = lines.iter().skip(skipped).map(|it| {
        let mut line: String = it.chars().take(limits::FINDING_COLUMNS).collect();
        if line.len() < it.len() {
            line.push('…');
        }
        line
    });
    let cut = (skipped > 0).then(|| format!("… {skipped} entries before"));
    cut.into_iter().chain(shown).collect()
}

struct Judge<'c> {
    case: &'c Case,
    played: &'c Played,
    texts: &'c Texts,
    failures: Vec<Failure>,
}

impl Judge<'_> {
    fn all(&mut self) {
        if let Some(call) = &self.played.unmocked {
            // What follows from it says nothing.
            return self.failures.push(unmocked(call, self.texts, self.case.line));
        }
        let Expectation { error, tasks, calls, .. } = &self.case.expect;
        match error {
            Some(expected) => self.error(expected),
            None => self.completion(),
        }
        tasks.iter().for_each(|it| self.task(it));
        calls.iter().for_each(|it| self.call(it));
        self.emitted();
        self.events();
        self.duration();
    }

    fn fail(&mut self, line: usize, message: impl Into<String>, detail: impl Into<String>) {
        self.failures.push(Failure::new(line, message, detail));
    }

    /// The instance was to complete.
    fn completion(&mut self) {
        let Some(main) = &self.played.main else {
            let message = "the schedule has not started the workflow so often";
            return self.fail(self.case.line, message, "");
        };
        let head = &main.head;
        match (head.status, &head.error) {
            (Status::Completed, _) => {
                let output = plain(head.output.as_ref().unwrap_or(&Value::Null));
                self.output(&output);
            }
            (Status::Faulted, Some(problem)) => {
                let failure = Failure::new(self.case.line, "it faulted", shown(problem));
                let at = problem.instance.as_deref().unwrap_or_default();
                let failure = failure.at(self.texts, &head.workflow, at);
                self.failures.push(failure);
            }
            (Status::Cancelled, _) => self.fail(self.case.line, "it was cancelled", ""),
            _ => self.stuck(),
        }
    }

    /// It waits, and nothing comes.
    fn stuck(&mut self) {
        let Some(main) = &self.played.main else { return };
        self.failures.push(stuck(main, self.texts, self.case.line));
    }

    fn output(&mut self, output: &Value) {
        let Expectation { output: expected, checks, .. } = &self.case.expect;
        if let Some((expected, line)) = expected
            && expected != output
        {
            self.fail(*line, "the output is another one", differs(expected, output));
        }
        for check in checks {
            self.check(check, output, output, "the output");
        }
    }

    /// A condition on something that people know as `what` and see as `seen`.
    fn check(&mut self, check: &Check, on: &Value, seen: &Value, what: &str) {
        let source = check.program.source();
        match evaluate(&check.program, on, self.played.began) {
            Ok(value) if value.is_truthy() => {}
            Ok(_) => {
                let message = format!("`{source}` does not hold of {what}");
                self.fail(check.line, message, pretty(seen));
            }
            Err(why) => {
                let message = format!("`{source}` cannot be evaluated on {what}");
                self.fail(check.line, message, without_credentials_of(on, why));
            }
        }
    }

    /// The instance was to fault.
    fn error(&mut self, expected: &ExpectedError) {
        let Some(main) = self.played.main.as_ref() else { return self.completion() };
        let Some(problem) =
            main.head.error.as_ref().filter(|_| main.head.status == Status::Faulted)
        else {
            if main.head.status.is_final() {
                let output = plain(main.head.output.as_ref().unwrap_or(&Value::Null));
                self.fail(expected.line, "it was to fault, and completed", pretty(&output));
            } else {
                self.stuck();
            }
            return;
        };
        let text = |it: &Option<std::sync::Arc<str>>| it.as_deref().unwrap_or_default().to_owned();
        let (title, detail) = (text(&problem.title), text(&problem.detail));
        let fits = expected.kind.as_ref().is_none_or(|it| same_type(it, &problem.kind))
            && expected.status.is_none_or(|it| it == problem.status)
            && expected.title.as_ref().is_none_or(|it| *it == title)
            && expected.detail.as_ref().is_none_or(|it| detail.contains(it.as_str()));
        if !fits {
            let at = problem.instance.as_deref().unwrap_or_default();
            let message = "it faulted with another error";
            let wanted = wanted(expected);
            let failure =
                Failure::new(expected.line, message, differs(&wanted, &problem.to_value()));
            self.failures.push(failure.at(self.texts, &main.head.workflow, at));
        }
    }

    fn task(&mut self, expected: &ExpectedTask) {
        let ExpectedTask { task, least, most, line } = expected;
        let entries = self.played.histories.iter().flat_map(|it| &it.entries);
        let ran = entries
            .filter(|it| it.event == "task.started")
            .filter(|it| match (&it.task, &it.name) {
                (Some(reference), Some(name)) => names(task, reference, name),
                _ => false,
            })
            .count() as u64;
        if (*least..=*most).contains(&ran) {
            return;
        }
        let wanted = match (*least, *most) {
            (0, 0) => "not at all".to_owned(),
            (least, u64::MAX) => format!("at least {}", times(least)),
            (least, _) => times(least),
        };
        let message = format!("the task `{task}` ran {}, expected {wanted}", times(ran));
        let mut failure = Failure::new(*line, message, "");
        if let (true, Some(first)) = (task.starts_with('/'), self.texts.0.first()) {
            failure = failure.at(self.texts, &first.plan.id, task);
        }
        self.failures.push(failure);
    }

    fn call(&mut self, expected: &ExpectedCall) {
        let ExpectedCall { target, times: wanted, number, sent, line } = expected;
        let made: Vec<_> = self.played.made.iter().filter(|it| fits(target, it)).collect();
        let count = made.len() as u64;
        let right = wanted.map_or(count > 0, |wanted| wanted == count);
        if !right {
            let wanted = wanted.map_or_else(|| "at least once".to_owned(), times);
            let message = format!("{} was made {}, expected {wanted}", what(target), times(count));
            let calls: Vec<_> = self.played.made.iter().map(told).collect();
            return self.fail(*line, message, format!("calls:\n{}", calls.join("\n")));
        }
        let number = *number;
        if let Some(missing) = number.filter(|it| *it > made.len()) {
            let message = format!(
                "{} was made {}, so there is none with the number {missing}",
                what(target),
                times(count)
            );
            return self.fail(*line, message, "");
        }
        for (at, call) in made.iter().enumerate() {
            if number.is_none_or(|it| it == at + 1) {
                let about = format!("what call {} sent", at + 1);
                let seen = without_credentials(&call.sent);
                sent.iter().for_each(|it| self.check(it, &call.sent, &seen, &about));
            }
        }
    }

    fn emitted(&mut self) {
        let Some((expected, line)) = &self.case.expect.emitted else { return };
        let emitted: Vec<_> = self.played.emitted.iter().map(|it| plain(it.envelope())).collect();
        let fits = expected.len() == emitted.len()
            && expected.iter().zip(&emitted).all(|(wanted, it)| has(it, wanted));
        if !fits {
            let shown: Vec<_> = emitted
                .iter()
                .zip(0..)
                .map(|(it, at)| {
                    expected.get(at).map_or_else(|| it.clone(), |wanted| part(it, wanted))
                })
                .collect();
            let difference = differs(&Value::array(expected.clone()), &Value::array(shown));
            self.fail(*line, "other events were emitted", difference);
        }
    }

    fn events(&mut self) {
        for (event, consumed) in self.case.around.events.iter().zip(&self.played.consumed) {
            let kind = event.event.get("type").map(Value::to_text).unwrap_or_default();
            let message = match (event.consumed, consumed) {
                (true, Some(0)) => format!("nothing took the event `{kind}`"),
                (true, None) => format!("the event `{kind}` was not sent: it ended before"),
                (false, Some(1..)) => format!("the event `{kind}` was taken"),
                _ => continue,
            };
            let hint = match event.consumed {
                true => "`consumed: false` expects that; `at` says when it comes",
                false => "",
            };
            self.fail(event.line, message, hint);
        }
    }

    fn duration(&mut self) {
        let Some((least, most, line)) = self.case.expect.duration else { return };
        let took = self.played.took;
        if (least..=most).contains(&took) {
            return;
        }
        let wanted = match (least, most) {
            (least, most) if least == most => duration::written(least),
            (least, u64::MAX) => format!("at least {}", duration::written(least)),
            (least, most) => {
                format!("{} to {}", duration::written(least), duration::written(most))
            }
        };
        let message = format!("it took {}, expected {wanted}", duration::written(took));
        self.fail(line, message, "");
    }
}

/// Headers that say who asks.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// What a call sent as people may see it: reports are kept, and read by others. Conditions see what
/// is hidden here.
fn without_credentials(sent: &Value) -> Value {
    let (Some(members), Some(headers)) =
        (sent.as_object(), sent.get("headers").and_then(Value::as_object))
    else {
        return sent.clone();
    };
    let hides = |name: &str| CREDENTIALS.iter().any(|it| it.eq_ignore_ascii_case(name));
    let headers = Value::object(headers.iter().map(|(name, value)| {
        (name.clone(), if hides(name) { Value::from(SHOWN) } else { value.clone() })
    }));
    Value::object(members.iter().map(|(name, value)| {
        (name.clone(), if &**name == "headers" { headers.clone() } else { value.clone() })
    }))
}

/// A message about `on`, in which it may be cited, without the credentials that it has.
fn without_credentials_of(on: &Value, mut message: String) -> String {
    let headers = on.get("headers");
    let texts = CREDENTIALS.iter().filter_map(|it| headers?.get(it)?.as_str());
    for credential in texts.filter(|it| !it.is_empty()) {
        message = message.replace(credential, SHOWN);
    }
    message
}

/// A call that nothing is said of, and what to write.
pub(crate) fn unmocked(call: &Made, texts: &Texts, line: usize) -> Failure {
    let Made { caller, purpose, kind, request, .. } = call;
    let what = match request {
        Some((method, url)) => format!("{method} {url}"),
        None => format!("`{kind}`"),
    };
    let message = format!("the task `{}` calls {what}, which is not mocked", caller.name);
    let answer = match request {
        Some(_) => "{ status: 200, body: {} }",
        None => "{ output: {} }",
    };
    // A task's mock answers what the task does, not what it needs for that.
    let target = match request.as_ref().filter(|_| *purpose != CallPurpose::Task) {
        Some((method, url)) => format!("http: {method} {url}"),
        None => format!("task: {}", caller.reference),
    };
    let detail = format!(
        "add to `mocks`:\n  - {target}\n    answer: {answer}\nor let it be called for real: \
         --allow-calls"
    );
    Failure::new(line, message, detail).at(texts, &caller.workflow, &caller.reference)
}

/// An instance that waits for what does not come.
pub(crate) fn stuck(main: &InstanceView, texts: &Texts, line: usize) -> Failure {
    let open: Vec<_> = main.open.iter().filter(|it| it.state != "running").collect();
    let waits: Vec<_> = open.iter().map(|it| format!("{} is {}", it.reference, it.state)).collect();
    let hint = "an event that it listens for comes by `events`, an answer by `mocks`";
    let failure = Failure::new(line, "it does not end", format!("{}\n{hint}", waits.join("\n")));
    match open.last() {
        Some(task) => failure.at(texts, &main.head.workflow, &task.reference),
        None => failure,
    }
}

fn times(number: u64) -> String {
    match number {
        0 => "not at all".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

fn what(target: &Target) -> String {
    match target {
        Target::Task(task) => format!("a call of the task `{task}`"),
        Target::Http(Some(method), url) => format!("the request {method} {url}"),
        Target::Http(None, url) => format!("a request to {url}"),
        Target::Function(name) => format!("a call of the function `{name}`"),
    }
}

fn told(call: &Made) -> String {
    match &call.request {
        Some((method, url)) => format!("  {} {method} {url}", call.caller.reference),
        None => format!("  {} {}", call.caller.reference, call.kind),
    }
}

/// What was expected of an error, as data.
fn wanted(expected: &ExpectedError) -> Value {
    let text = |it: &Option<String>| it.as_deref().map(Value::from);
    let members = [
        ("type", text(&expected.kind)),
        ("status", expected.status.map(|it| Value::Int(i64::from(it)))),
        ("title", text(&expected.title)),
        ("detail", text(&expected.detail)),
    ];
    Value::object(members.into_iter().filter_map(|(name, it)| it.map(|it| (name, it))))
}

/// True when `value` has all that `wanted` has; lists are compared whole.
fn has(value: &Value, wanted: &Value) -> bool {
    match (value.as_object(), wanted.as_object()) {
        (Some(members), Some(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| members.get(&**name).is_some_and(|it| has(it, wanted))),
        _ => value == wanted,
    }
}

/// Of `value` what `wanted` is about, for a difference that shows no more.
fn part(value: &Value, wanted: &Value) -> Value {
    match (value.as_object(), wanted.as_object()) {
        (Some(members), Some(wanted)) => {
            Value::object(wanted.iter().filter_map(|(name, wanted)| {
                members.get(&**name).map(|it| (name.clone(), part(it, wanted)))
            }))
        }
        _ => value.clone(),
    }
}

/// The difference of two values, what was expected first.
fn differs(expected: &Value, actual: &Value) -> String {
    let lines = difference(&pretty(expected), &pretty(actual));
    format!("- expected\n+ actual\n{}", lines.trim_end())
}

fn pretty(value: &Value) -> String {
    let data: serde_json::Value = serde_json::from_str(&value.to_json()).unwrap_or_default();
    serde_json::to_string_pretty(&data).unwrap_or_default() + "\n"
}

fn shown(problem: &Problem) -> String {
    pretty(&problem.to_value())
}
