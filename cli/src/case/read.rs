//! From the text of a file of tests to a suite. All mistakes are collected, each with its place.

mod expect;
pub(crate) mod targets;

use std::path::PathBuf;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::definition::Diagnostic;
use windlass_proto::definition::located::{BAD_VALUE, Document, Located};
use windlass_proto::duration;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::{
    Answer, Case, Check, Expectation, Given, Mock, SentEvent, Start, Suite, Surroundings, Target,
};

/// Keys of a file of tests, and of one of mocks.
const SUITE: &[&str] = &["workflow", "with", "now", "secrets", "mocks", "events", "cases"];
const SURROUNDINGS: &[&str] = &["now", "secrets", "mocks", "events"];
const CASE: &[&str] = &["name", "input", "schedule", "now", "secrets", "mocks", "events", "expect"];
const MOCK: &[&str] = &["task", "http", "function", "when", "answer", "answers"];
const ANSWER: &[&str] =
    &["output", "compute", "status", "headers", "body", "error", "never", "delay", "times"];
const ERROR: &[&str] = &["type", "status", "title", "detail"];
const EVENT: &[&str] = &["at", "event", "consumed"];

/// Reads a file of tests.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn suite(text: &str) -> Result<Suite, Vec<Diagnostic>> {
    let document = Document::parse(text)?;
    let mut reader = Reader::default();
    let root = document.root();
    reader.known(root, SUITE);
    let workflow = reader.required_text(root, "workflow").map(PathBuf::from);
    let with = reader.list(root, "with");
    let with = with.into_iter().filter_map(|it| reader.text(it)).map(PathBuf::from).collect();
    let shared = reader.surroundings(root);
    let cases: Vec<Case> = match root.get("cases") {
        Some(cases) => reader.cases(cases, &shared),
        None => {
            reader.refuse(root, "`cases` is missing", "write a list of cases");
            Vec::new()
        }
    };
    match (workflow, reader.found.is_empty()) {
        (Some(workflow), true) => Ok(Suite { workflow, with, cases }),
        _ => Err(reader.finish()),
    }
}

/// Reads a file of mocks, secrets and events without cases; one of tests is taken as well.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn surroundings(text: &str) -> Result<Surroundings, Vec<Diagnostic>> {
    let document = Document::parse(text)?;
    let mut reader = Reader::default();
    let root = document.root();
    let is_suite = root.get("cases").is_some();
    reader.known(root, if is_suite { SUITE } else { SURROUNDINGS });
    let read = reader.surroundings(root);
    if reader.found.is_empty() { Ok(read) } else { Err(reader.finish()) }
}

/// Reads, and collects what is wrong.
#[derive(Default)]
struct Reader {
    found: Vec<Diagnostic>,
}

impl Reader {
    fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|it| (it.line, it.column));
        self.found
    }

    fn refuse(&mut self, at: Located<'_>, message: &str, hint: &str) {
        self.found.push(at.finding(BAD_VALUE, message, hint));
    }

    /// Something else stands where `wanted` belongs.
    fn mistyped(&mut self, at: Located<'_>, wanted: &str) {
        self.refuse(at, &format!("{} stands where {wanted} belongs", at.what()), "");
    }

    /// Refuses what is no mapping, and keys of one that are not known.
    fn known(&mut self, at: Located<'_>, keys: &[&'static str]) {
        if at.members().is_none() {
            self.mistyped(at, "a mapping");
        }
        self.found.extend(at.unknown(keys));
    }

    fn text(&mut self, at: Located<'_>) -> Option<String> {
        let text = at.as_str().map(str::to_owned);
        if text.is_none() {
            self.mistyped(at, "a string");
        }
        text
    }

    fn optional_text(&mut self, of: Located<'_>, key: &str) -> Option<String> {
        let at = of.get(key)?;
        self.text(at)
    }

    fn required_text(&mut self, of: Located<'_>, key: &str) -> Option<String> {
        if of.get(key).is_none() && of.members().is_some() {
            self.refuse(of, &format!("`{key}` is missing"), "");
        }
        self.optional_text(of, key)
    }

    /// The elements of a list that may be missing.
    fn list<'d>(&mut self, of: Located<'d>, key: &str) -> Vec<Located<'d>> {
        let Some(at) = of.get(key) else { return Vec::new() };
        at.elements().unwrap_or_else(|| {
            self.mistyped(at, "a list");
            Vec::new()
        })
    }

    /// One element, or the elements of a list.
    fn one_or_more<'d>(of: Located<'d>, key: &str) -> Vec<Located<'d>> {
        let at = of.get(key);
        at.map(|it| it.elements().unwrap_or_else(|| vec![it])).unwrap_or_default()
    }

    fn number(&mut self, at: Located<'_>, least: i64, most: i64) -> Option<i64> {
        let number = at.value().as_i64().filter(|it| (least..=most).contains(it));
        if number.is_none() {
            self.refuse(at, &format!("a whole number from {least} to {most} belongs here"), "");
        }
        number
    }

    /// A duration in milliseconds.
    fn duration(&mut self, at: Located<'_>) -> Option<u64> {
        match duration::parse(&at.value()) {
            Ok(milliseconds) => Some(milliseconds.0),
            Err(error) => {
                self.refuse(at, &error.to_string(), "");
                None
            }
        }
    }

    fn flag(&mut self, of: Located<'_>, key: &str, usual: bool) -> bool {
        match of.get(key).map(|at| (at, at.value())) {
            None => usual,
            Some((_, Value::Bool(flag))) => flag,
            Some((at, _)) => {
                self.mistyped(at, "true or false");
                usual
            }
        }
    }

    /// Conditions: one, or a list.
    fn checks(&mut self, of: Located<'_>, key: &str) -> Vec<Check> {
        let all = Self::one_or_more(of, key).into_iter();
        let read = all.filter_map(|at| match at.program() {
            Ok(program) => Some(Check { program, line: at.line() }),
            Err(found) => {
                self.found.push(found);
                None
            }
        });
        read.collect()
    }

    fn surroundings(&mut self, of: Located<'_>) -> Surroundings {
        let now = of.get("now").and_then(|at| {
            let now = at.as_str().and_then(Timestamp::parse);
            if now.is_none() {
                self.refuse(at, "a time belongs here", "such as 2026-01-31T08:00:00Z");
            }
            now
        });
        let secrets = of.get("secrets").map(|at| match at.members() {
            Some(members) => {
                members.into_iter().map(|(name, it)| (name.to_owned(), it.value())).collect()
            }
            None => {
                self.mistyped(at, "a mapping of names to values");
                Vec::new()
            }
        });
        let mocks = self.list(of, "mocks");
        let mocks = mocks.into_iter().filter_map(|it| self.mock(it)).collect();
        let events = self.list(of, "events");
        let events = events.into_iter().filter_map(|it| self.event(it)).collect();
        Surroundings { now, secrets: secrets.unwrap_or_default(), mocks, events }
    }

    fn cases(&mut self, at: Located<'_>, shared: &Surroundings) -> Vec<Case> {
        let Some(elements) = at.elements() else {
            self.mistyped(at, "a list of cases");
            return Vec::new();
        };
        if elements.is_empty() || elements.len() > limits::TEST_CASES {
            let message = format!("a file has from 1 to {} cases", limits::TEST_CASES);
            self.refuse(at, &message, "divide it");
            return Vec::new();
        }
        let mut cases: Vec<Case> = Vec::new();
        for element in elements {
            let case = self.case(element, shared);
            if cases.iter().any(|it| it.name == case.name) && !case.name.is_empty() {
                let message = format!("two cases are called `{}`", case.name);
                self.refuse(element.get("name").unwrap_or(element), &message, "rename one");
            }
            cases.push(case);
        }
        cases
    }

    /// A case, whose surroundings come before those of all.
    fn case(&mut self, at: Located<'_>, shared: &Surroundings) -> Case {
        self.known(at, CASE);
        let name = self.required_text(at, "name").unwrap_or_default();
        let own = self.surroundings(at);
        let mut around = shared.clone();
        around.now = own.now.or(around.now);
        around.secrets.retain(|(name, _)| !own.secrets.iter().any(|(it, _)| it == name));
        around.secrets.extend(own.secrets);
        around.mocks.splice(0..0, own.mocks);
        around.events.splice(0..0, own.events);
        let start = match (at.get("schedule"), at.get("input")) {
            (Some(schedule), Some(_)) => {
                let hint = "a schedule starts a workflow without an input of somebody";
                self.refuse(schedule, "`schedule` and `input` exclude each other", hint);
                Start::Schedule(1)
            }
            (Some(schedule), None) => {
                let most = i64::try_from(limits::TEST_STARTS).unwrap_or(i64::MAX);
                let number = self.number(schedule, 1, most).unwrap_or(1);
                Start::Schedule(usize::try_from(number).unwrap_or(1))
            }
            (None, input) => Start::Input(input.map_or_else(Value::empty_object, Located::value)),
        };
        let expect = at.get("expect").map_or_else(Expectation::default, |it| self.expect(it));
        Case { name, line: at.line(), start, around, expect }
    }

    /// Which calls are meant: exactly one of the keys says it.
    fn target(&mut self, at: Located<'_>) -> Option<Target> {
        let given: Vec<_> = ["task", "http", "function"]
            .into_iter()
            .filter_map(|key| at.get(key).map(|it| (key, it)))
            .collect();
        let [(key, it)] = given[..] else {
            if at.members().is_some() {
                let hint =
                    "`task: charge`, `http: POST https://pay.example.com/*` or `function: name`";
                self.refuse(at, "one of `task`, `http` and `function` belongs here", hint);
            }
            return None;
        };
        let text = self.text(it)?;
        Some(match key {
            "task" => Target::Task(text),
            "function" => Target::Function(text),
            _ => match text.trim().split_once(char::is_whitespace) {
                Some((method, url)) => {
                    Target::Http(Some(method.to_ascii_uppercase()), url.trim().to_owned())
                }
                None => Target::Http(None, text.trim().to_owned()),
            },
        })
    }

    fn mock(&mut self, at: Located<'_>) -> Option<Mock> {
        self.known(at, MOCK);
        let target = self.target(at);
        let when =
            at.get("when").and_then(|it| it.program().map_err(|it| self.found.push(it)).ok());
        let answers = match (at.get("answer"), at.get("answers")) {
            (Some(one), None) => vec![one],
            (None, Some(_)) => self.list(at, "answers"),
            _ => Vec::new(),
        };
        if answers.is_empty() && at.members().is_some() {
            let hint = "`answer: { output: … }`, or a list of `answers`, one call after the other";
            self.refuse(at, "the mock has no answer", hint);
        }
        let answers: Vec<_> = answers.into_iter().filter_map(|it| self.answer(it)).collect();
        Some(Mock { target: target?, when, answers }).filter(|it| !it.answers.is_empty())
    }

    fn answer(&mut self, at: Located<'_>) -> Option<Answer> {
        self.known(at, ANSWER);
        let delay = at.get("delay").and_then(|it| self.duration(it)).unwrap_or(0);
        let times = at.get("times").and_then(|it| self.number(it, 1, i64::from(u32::MAX)));
        let times = times.and_then(|it| u32::try_from(it).ok()).unwrap_or(1);
        let kinds = ["output", "compute", "status", "error", "never"];
        let given: Vec<_> = kinds.into_iter().filter(|key| at.get(key).is_some()).collect();
        let given = match given[..] {
            ["output"] => Given::Output(at.get("output")?.value()),
            ["compute"] => match at.get("compute")?.program() {
                Ok(program) => Given::Computed(program),
                Err(found) => {
                    self.found.push(found);
                    return None;
                }
            },
            ["error"] => Given::Failure(self.failure(at.get("error")?)?),
            ["never"] if self.flag(at, "never", true) => Given::Never,
            ["status"] => self.response(at, Some(at.get("status")?))?,
            // A response is a good one unless it says otherwise.
            [] if at.get("body").is_some() || at.get("headers").is_some() => {
                self.response(at, None)?
            }
            _ => {
                let hint = "an `output` (or `compute`, a jq expression of what was sent); `status`, \
                            `headers` and `body` of a response; an `error`; or `never: true`";
                if at.members().is_some() {
                    self.refuse(at, "an answer is one of five things", hint);
                }
                return None;
            }
        };
        Some(Answer { given, delay, times })
    }

    fn response(&mut self, at: Located<'_>, status: Option<Located<'_>>) -> Option<Given> {
        let status = match status {
            Some(status) => u16::try_from(self.number(status, 100, 599)?).ok()?,
            None => 200,
        };
        let mut headers = Vec::new();
        for (name, value) in at.get("headers").and_then(Located::members).unwrap_or_default() {
            let values = value.elements().unwrap_or_else(|| vec![value]);
            headers.extend(values.iter().map(|it| (name.to_owned(), it.value().to_text())));
        }
        let body = at.get("body").map(Located::value).unwrap_or_default();
        Some(Given::Response { status, headers, body })
    }

    fn failure(&mut self, at: Located<'_>) -> Option<Problem> {
        self.known(at, ERROR);
        let kind = self.required_text(at, "type")?;
        let status = at.get("status").and_then(|it| self.number(it, 100, 599));
        let status = status.and_then(|it| u16::try_from(it).ok());
        let detail = self.optional_text(at, "detail").unwrap_or_else(|| "mocked".to_owned());
        let mut problem = match Standard::parse(&kind) {
            Some(standard) => Problem::new(standard, detail),
            None => {
                let runtime = Problem::new(Standard::Runtime, detail);
                Problem { kind: kind.as_str().into(), title: None, ..runtime }
            }
        };
        if let Some(status) = status {
            problem = problem.with_status(status);
        }
        if let Some(title) = self.optional_text(at, "title") {
            problem.title = Some(title.into());
        }
        Some(problem)
    }

    fn event(&mut self, at: Located<'_>) -> Option<SentEvent> {
        self.known(at, EVENT);
        let after = at.get("at").map(|it| self.duration(it));
        let Some(given) = at.get("event") else {
            if at.members().is_some() {
                self.refuse(at, "`event` is missing", "such as `event: { type: order.paid }`");
            }
            return None;
        };
        // What is not said is added when it is sent.
        if let Err(error) = CloudEvent::from_value(complete(&given.value(), "0", BEGAN)) {
            self.refuse(given, &error.to_string(), "`type` is enough, other attributes are added");
        }
        let (consumed, line) = (self.flag(at, "consumed", true), at.line());
        let at = match after {
            Some(after) => Some(after?),
            None => None,
        };
        Some(SentEvent { at, event: given.value(), consumed, line })
    }
}

/// Any time.
const BEGAN: Timestamp = super::BEGINNING;

/// An event with the attributes that it has to have.
pub(super) fn complete(event: &Value, id: &str, at: Timestamp) -> Value {
    let Some(mut members) = event.clone().into_members() else { return event.clone() };
    let time = at.to_rfc3339();
    let usual = [("specversion", "1.0"), ("id", id), ("source", "/test"), ("time", &*time)];
    for (name, value) in usual {
        members.entry(name.into()).or_insert_with(|| Value::from(value));
    }
    Value::from(members)
}

#[cfg(test)]
mod tests;
