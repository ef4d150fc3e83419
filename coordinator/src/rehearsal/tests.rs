//! A workflow on a clock of its own.

use uuid::Uuid;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::InstanceId;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::Report;

use super::{Reached, Rehearsal, RehearsalError};
use crate::status::Status;

const START: Timestamp = Timestamp(1_767_225_600_000);
const ID: InstanceId = InstanceId(Uuid::from_u128(7));
const DAY_MS: u64 = 86_400_000;

fn begin(body: &str) -> Rehearsal {
    let document = "document: {dsl: '1.0.3', namespace: test, name: test, version: '1.0.0'}";
    let text = format!("{document}\n{body}\n");
    let mut rehearsal = Rehearsal::begin(&[&text], START, false).unwrap();
    let plan = rehearsal.catalog().find("test", "test", None).unwrap();
    rehearsal.start(ID, plan, Value::empty_object()).unwrap();
    rehearsal
}

fn status(rehearsal: &Rehearsal) -> Status {
    rehearsal.view(ID).unwrap().unwrap().head.status
}

/// Lets the time pass until nothing more is due by itself.
fn pass(rehearsal: &mut Rehearsal) {
    while let Some(due) = rehearsal.next_due().unwrap() {
        rehearsal.advance(due).unwrap();
    }
}

#[test]
fn waits_take_no_time_and_end_when_they_should() {
    let waits = ["P3D", "PT31S", "PT29S", "PT0.001S", "PT60S", "P20Y", "PT40S"];
    let tasks: String = waits.iter().map(|it| format!("  - w: {{ wait: {it} }}\n")).collect();
    let mut rehearsal = begin(&format!("do:\n{tasks}"));
    pass(&mut rehearsal);
    assert_eq!(status(&rehearsal), Status::Completed);
    let seconds = 3 * 86_400 + 31 + 29 + 60 + 20 * 365 * 86_400 + 40;
    let view = rehearsal.view(ID).unwrap().unwrap();
    let took = view.head.ended_at.unwrap().since(START);
    // A year of a duration is 365 days.
    assert_eq!(took, seconds * 1_000 + 1);
}

#[test]
fn workers_are_whoever_holds_it() {
    let body = "do:\n  - t:\n      try:\n        - a: { call: x }\n      catch:\n        \
                errors: { with: { status: 503 } }\n        retry: { delay: P1D, limit: { attempt: \
                { count: 3 } } }";
    let mut rehearsal = begin(body);
    for left in [2, 1, 0] {
        let [assignment] = &rehearsal.assignments()[..] else { panic!("one assignment") };
        let problem = Problem::new(Standard::Communication, "away").with_status(503);
        let result = if left > 0 { Err(problem) } else { Ok(Value::Int(7)) };
        rehearsal.report(Report::new(assignment.key.clone(), result)).unwrap();
        pass(&mut rehearsal);
    }
    assert_eq!(status(&rehearsal), Status::Completed);
    assert_eq!(rehearsal.now().since(START), 2 * DAY_MS);
    let (plan, reached) = rehearsal.reached(ID).unwrap().unwrap();
    assert_eq!(plan.tasks.len(), 2);
    assert!(reached.iter().any(|it| matches!(it, Reached::Clause(_, 0))), "{reached:?}");
    let history = rehearsal.history(ID).unwrap();
    assert_eq!(history.first().unwrap().event, "instance.started");
    assert_eq!(history.last().unwrap().event, "instance.completed");
}

#[test]
fn events_and_cases_are_followed() {
    let body = "do:\n  - l: { listen: { to: { one: { with: { type: a } } } } }\n  - s:\n      \
                switch:\n        - no: { when: '.[0] == 1', then: end }\n        - yes: { then: \
                end }";
    let mut rehearsal = begin(body);
    let event = |kind: &str| {
        let members = [("specversion", "1.0"), ("id", kind), ("source", "/t"), ("type", kind)];
        let value = Value::object(members.map(|(name, text)| (name, Value::from(text))));
        CloudEvent::from_value(value).unwrap()
    };
    assert!(rehearsal.listens().unwrap());
    assert_eq!(rehearsal.send(event("b")).unwrap(), 0);
    assert_eq!(rehearsal.send(event("a")).unwrap(), 1);
    assert_eq!(status(&rehearsal), Status::Completed);
    assert!(!rehearsal.listens().unwrap());
    let (_, reached) = rehearsal.reached(ID).unwrap().unwrap();
    let cases: Vec<_> = reached.iter().filter(|it| matches!(it, Reached::Case(..))).collect();
    assert!(matches!(cases[..], [Reached::Case(_, 1)]), "{cases:?}");
}

#[test]
fn what_never_ends_is_given_up() {
    let text = "document: {dsl: '1.0.3', namespace: test, name: test, version: '1.0.0'}\n\
                do:\n  - a: { set: { x: 1 }, then: a }\n";
    let mut rehearsal = Rehearsal::begin(&[text], START, false).unwrap();
    let plan = rehearsal.catalog().find("test", "test", None).unwrap();
    let ended = rehearsal.start(ID, plan, Value::empty_object());
    assert!(matches!(ended, Err(RehearsalError::Endless)), "{ended:?}");
}
