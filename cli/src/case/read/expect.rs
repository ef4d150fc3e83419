//! `expect`: what a case is to lead to.

use std::path::PathBuf;

use windlass_proto::definition::located::Located;
use windlass_proto::value::Value;

use super::Reader;
use crate::case::{Expectation, ExpectedCall, ExpectedError, ExpectedTask};

const EXPECT: &[&str] =
    &["output", "check", "error", "tasks", "calls", "events", "duration", "history"];
const ERROR: &[&str] = &["type", "status", "title", "detail"];
const CALL: &[&str] = &["task", "http", "function", "times", "number", "sent"];
const DURATION: &[&str] = &["min", "max"];

impl Reader {
    pub(super) fn expect(&mut self, at: Located<'_>) -> Expectation {
        self.known(at, EXPECT);
        let error = at.get("error").map(|it| self.expected_error(it));
        for key in ["output", "check"] {
            if let (Some(_), Some(it)) = (&error, at.get(key)) {
                let message = format!("`error` and `{key}` exclude each other");
                self.refuse(it, &message, "an instance that faults has no output");
            }
        }
        let emitted = at.get("events").map(|it| {
            (self.list(at, "events").into_iter().map(Located::value).collect(), it.line())
        });
        let calls = self.list(at, "calls");
        Expectation {
            output: at.get("output").map(|it| (it.value(), it.line())),
            checks: self.checks(at, "check"),
            error,
            tasks: self.expected_tasks(at),
            calls: calls.into_iter().filter_map(|it| self.expected_call(it)).collect(),
            emitted,
            duration: at.get("duration").and_then(|it| self.expected_duration(it)),
            history: self
                .optional_text(at, "history")
                .map(|it| (PathBuf::from(it), at.get("history").map_or(1, Located::line))),
        }
    }

    fn expected_error(&mut self, at: Located<'_>) -> ExpectedError {
        // Its type alone, or its parts.
        if let Some(kind) = at.as_str() {
            let kind = Some(kind.to_owned());
            return ExpectedError {
                kind,
                status: None,
                title: None,
                detail: None,
                line: at.line(),
            };
        }
        self.known(at, ERROR);
        let status = at.get("status").and_then(|it| self.number(it, 100, 599));
        ExpectedError {
            kind: self.optional_text(at, "type"),
            status: status.and_then(|it| u16::try_from(it).ok()),
            title: self.optional_text(at, "title"),
            detail: self.optional_text(at, "detail"),
            line: at.line(),
        }
    }

    fn expected_tasks(&mut self, of: Located<'_>) -> Vec<ExpectedTask> {
        let Some(at) = of.get("tasks") else { return Vec::new() };
        let Some(members) = at.members() else {
            self.mistyped(at, "a mapping of tasks to how often they run");
            return Vec::new();
        };
        let mut tasks = Vec::new();
        for (task, it) in members {
            let (least, most) = match it.value() {
                Value::Bool(true) => (1, u64::MAX),
                Value::Bool(false) => (0, 0),
                Value::Int(number) if number >= 0 => {
                    let number = u64::try_from(number).unwrap_or(0);
                    (number, number)
                }
                _ => {
                    let hint = "`true` is at least once, `false` is never";
                    self.refuse(it, "how often it runs belongs here", hint);
                    continue;
                }
            };
            tasks.push(ExpectedTask { task: task.to_owned(), least, most, line: it.line() });
        }
        tasks
    }

    fn expected_call(&mut self, at: Located<'_>) -> Option<ExpectedCall> {
        self.known(at, CALL);
        let target = self.target(at);
        let mut number = |key: &str, least| {
            at.get(key).and_then(|it| self.number(it, least, i64::from(u32::MAX)))
        };
        let (times, nth) = (number("times", 0), number("number", 1));
        Some(ExpectedCall {
            target: target?,
            times: times.and_then(|it| u64::try_from(it).ok()),
            number: nth.and_then(|it| usize::try_from(it).ok()),
            sent: self.checks(at, "sent"),
            line: at.line(),
        })
    }

    fn expected_duration(&mut self, at: Located<'_>) -> Option<(u64, u64, usize)> {
        if at.get("min").is_none() && at.get("max").is_none() {
            return self.duration(at).map(|it| (it, it, at.line()));
        }
        self.known(at, DURATION);
        let mut read = |key: &str| at.get(key).map(|it| self.duration(it));
        let (least, most) = (read("min"), read("max"));
        let least = least.map_or(Some(0), |it| it)?;
        let most = most.map_or(Some(u64::MAX), |it| it)?;
        Some((least, most, at.line()))
    }
}
