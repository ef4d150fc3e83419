#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use windlass_proto::plan::{FunctionCall, FunctionTarget, HttpOutput, Kind, Return, Shell};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use crate::stand_in::{OutsideCall, StandIn, StandInAnswer};
use crate::testing::{
    Given, assignment, builder, http, json, kind_of, perform_with, task, template,
};

/// Gives one answer, and keeps what was asked.
struct One(StandInAnswer, Mutex<Vec<OutsideCall>>);

impl StandIn for One {
    fn answer(&self, call: &OutsideCall) -> StandInAnswer {
        self.1.lock().unwrap().push(call.clone());
        self.0.clone()
    }
}

/// Performs a task of `kind` on `{"n": 2}` with `answer` in place of its call; gives what came of
/// it and what was sent.
async fn answered(kind: Kind, answer: StandInAnswer) -> (Result<Value, Problem>, Value) {
    let one = Arc::new(One(answer, Mutex::default()));
    let secrets = Given(vec![("key", Ok(Value::from("canary-key")))]);
    let builder = builder(secrets).stand_in(one.clone());
    let result = perform_with(builder, task(kind), assignment(json(r#"{"n":2}"#))).await;
    let asked = one.1.lock().unwrap();
    let [call] = &asked[..] else { panic!("{asked:?}") };
    (result, call.sent.clone())
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> StandInAnswer {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    StandInAnswer::Response { status, headers, body: json(body) }
}

#[tokio::test]
async fn a_request_is_made_and_its_response_read_as_always() {
    let mut call = http("post", "http://host.test/a?x=1");
    call.query = Some(template(r#"{"y": ["${ .n }", 3]}"#));
    call.headers = Some(template(r#"{"X-Key": "${ $secrets.key }"}"#));
    call.body = Some(template(r#"{"n": "${ .n }"}"#));
    call.output = HttpOutput::Response;
    let answer = response(201, &[("x-b", "c")], r#"{"id": 9}"#);
    let (result, sent) = answered(Kind::Http(Box::new(call)), answer).await;
    let result = result.unwrap();
    assert_eq!(result.get("statusCode"), Some(&Value::Int(201)));
    assert_eq!(result.get("content"), Some(&json(r#"{"id":9}"#)));
    assert_eq!(result.get("headers").unwrap().get("x-b"), Some(&Value::from("c")));
    assert_eq!(sent.get("method"), Some(&Value::from("POST")));
    assert_eq!(sent.get("query"), Some(&json(r#"{"x":"1","y":["2","3"]}"#)));
    assert_eq!(sent.get("body"), Some(&json(r#"{"n":2}"#)));
    let headers = sent.get("headers").unwrap();
    assert_eq!(headers.get("x-key"), Some(&Value::from("canary-key")));
    assert!(headers.get("idempotency-key").is_some());
}

#[tokio::test]
async fn a_response_that_is_an_error_is_one() {
    let call = || Kind::Http(Box::new(http("get", "http://host.test/a")));
    let (result, _) = answered(call(), response(404, &[], r#""no such thing""#)).await;
    let problem = result.unwrap_err();
    assert_eq!(kind_of(&problem), ("communication".into(), 404));
    assert!(problem.detail.unwrap().contains("no such thing"));
    let failure = Problem::new(Standard::Timeout, "late");
    let (result, _) = answered(call(), StandInAnswer::Failure(failure)).await;
    assert_eq!(kind_of(&result.unwrap_err()), ("timeout".into(), 408));
    let (result, _) = answered(call(), StandInAnswer::Output(json("[1]"))).await;
    assert_eq!(result, Ok(json("[1]")));
}

/// Redirects what is asked of one host to another one, and that to itself where it is told so.
struct Elsewhere(bool, Mutex<Vec<OutsideCall>>);

impl StandIn for Elsewhere {
    fn answer(&self, call: &OutsideCall) -> StandInAnswer {
        self.1.lock().unwrap().push(call.clone());
        let (_, url) = call.request.clone().unwrap();
        match url.starts_with("http://host.test/") || self.0 {
            true => response(303, &[("location", "http://there.test/b")], "null"),
            false => response(200, &[], r#"{"there": true}"#),
        }
    }
}

#[tokio::test]
async fn a_redirect_is_followed_by_asking_again() {
    let went = async |follows: bool, for_ever: bool| {
        let elsewhere = Arc::new(Elsewhere(for_ever, Mutex::default()));
        let builder = builder(Given(Vec::new())).stand_in(elsewhere.clone());
        let mut call = http("post", "http://host.test/a");
        call.redirect = follows;
        call.headers = Some(template(r#"{"Authorization": "Bearer it", "X-A": "b"}"#));
        call.body = Some(template(r#"{"n": "${ .n }"}"#));
        let task = task(Kind::Http(Box::new(call)));
        let result = perform_with(builder, task, assignment(json(r#"{"n":2}"#))).await;
        (result, std::mem::take(&mut *elsewhere.1.lock().unwrap()))
    };
    let (result, asked) = went(true, false).await;
    assert_eq!(result, Ok(json(r#"{"there":true}"#)));
    let [_, second] = &asked[..] else { panic!("{asked:?}") };
    let to = ("GET".to_owned(), "http://there.test/b".to_owned());
    assert_eq!(second.request, Some(to));
    assert_eq!(second.sent.get("body"), Some(&Value::Null));
    let headers = second.sent.get("headers").unwrap();
    assert_eq!((headers.get("authorization"), headers.get("x-a")), (None, Some(&Value::from("b"))));

    let (result, asked) = went(false, false).await;
    assert_eq!((kind_of(&result.unwrap_err()).1, asked.len()), (303, 1));
    let (result, asked) = went(true, true).await;
    assert!(result.unwrap_err().detail.unwrap().contains("redirects more than"));
    assert!(asked.len() > 2);
}

#[tokio::test]
async fn functions_and_programs_do_not_run() {
    let target = FunctionTarget::Registered("charge".into());
    let call = FunctionCall { target, with: Some(template(r#"{"n": "${ .n }"}"#)) };
    let given = StandInAnswer::Output(json(r#"{"paid": true}"#));
    let (result, sent) = answered(Kind::Function(call), given).await;
    assert_eq!(result, Ok(json(r#"{"paid":true}"#)));
    assert_eq!(sent, json(r#"{"function":"charge","arguments":{"n":2}}"#));
    for (wait, expected) in [(true, r#""done""#), (false, r#"{"n":2}"#)] {
        let shell = Shell {
            command: template(r#""exit 1""#),
            stdin: None,
            arguments: Some(template(r#"["${ .n }"]"#)),
            environment: None,
            wait,
            output: Return::Stdout,
        };
        let given = StandInAnswer::Output(Value::from("done"));
        let (result, sent) = answered(Kind::Shell(Box::new(shell)), given).await;
        assert_eq!(result, Ok(json(expected)));
        assert_eq!(sent.get("arguments"), Some(&json("[2]")));
    }
}
