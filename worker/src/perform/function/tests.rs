#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass_proto::plan::{FunctionCall, FunctionTarget, Kind, SchemaSource};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::schema::Schema;
use windlass_proto::value::Value;

use crate::testing::{
    Given, assignment, builder, in_ms, json, kind_of, perform, perform_with, task, template,
};
use crate::{Call, CancellationToken};

fn call(name: &str, with: Option<&str>) -> Kind {
    let target = FunctionTarget::Registered(name.into());
    Kind::Function(FunctionCall { target, with: with.map(template) })
}

#[tokio::test]
async fn the_default_catalog_gives_its_arguments_back() {
    for name in windlass_proto::definition::STANDARD_FUNCTIONS {
        let with = perform(call(name, Some(r#"{"message":"hi"}"#)), json("1")).await;
        assert_eq!(with, Ok(json(r#"{"message":"hi"}"#)), "{name}");
        assert_eq!(perform(call(name, None), json("[1]")).await, Ok(json("[1]")), "{name}");
    }
}

#[tokio::test]
async fn a_users_function_gets_its_arguments_and_the_idempotency_key() {
    let seen = Arc::new(Mutex::new(None));
    let keep = seen.clone();
    let worker = builder(Given(vec![])).function("double", move |input: Value, call: Call| {
        let keep = keep.clone();
        async move {
            *keep.lock().unwrap() = Some((call.idempotency_key(), call.deadline()));
            let number =
                input.as_i64().ok_or_else(|| Problem::new(Standard::Validation, "not a number"))?;
            Ok(Value::Int(number * 2))
        }
    });
    let assignment = assignment(Value::Null);
    let expected = assignment.idempotency_key();
    let kind = call("double", Some("21"));
    assert_eq!(perform_with(worker, task(kind), assignment).await, Ok(Value::Int(42)));
    assert_eq!(*seen.lock().unwrap(), Some((expected, None)));
}

#[tokio::test]
async fn what_a_function_fails_with_becomes_a_problem() {
    let worker = || {
        builder(Given(vec![]))
            .function("refuse", |_: Value, _: Call| async {
                Err::<Value, _>(Problem::new(Standard::Authorization, "no").with_status(418).into())
            })
            .function("parse", |input: Value, _: Call| async move {
                Ok(Value::Int(input.to_text().parse()?))
            })
            .function("panic", |_: Value, _: Call| async {
                let explode = || -> Value { panic!("with a secret in it") };
                Ok(explode())
            })
    };
    for (name, kind, status, detail) in [
        ("refuse", "authorization", 418, "no"),
        ("parse", "runtime", 500, "invalid digit found in string"),
        ("panic", "runtime", 500, "the worker failed while it performed the task"),
    ] {
        let task = task(call(name, Some("\"x\"")));
        let problem = perform_with(worker(), task, assignment(Value::Null)).await.unwrap_err();
        assert_eq!(kind_of(&problem), (kind.to_owned(), status));
        assert_eq!(problem.detail.as_deref(), Some(detail));
    }
}

#[tokio::test]
async fn a_function_ends_at_its_deadline_and_when_cancelled() {
    let worker = || {
        builder(Given(vec![])).function("stuck", |_: Value, _: Call| async {
            std::future::pending::<()>().await;
            Ok(Value::Null)
        })
    };
    let mut late = assignment(Value::Null);
    late.deadline = Some(in_ms(30));
    let problem = perform_with(worker(), task(call("stuck", None)), late).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("timeout".into(), 408));

    let mut past = assignment(Value::Null);
    past.deadline = Some(in_ms(0));
    let problem = perform_with(worker(), task(call("echo", None)), past).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("timeout".into(), 408));

    let plan = Arc::new(crate::testing::plan(task(call("stuck", None))));
    let worker = worker().plans(crate::testing::source(plan)).build().unwrap();
    let cancelled = CancellationToken::new();
    let running = worker.perform(assignment(Value::Null), cancelled.clone());
    let mut running = std::pin::pin!(running);
    assert!(tokio::time::timeout(Duration::ZERO, &mut running).await.is_err());
    cancelled.cancel();
    let problem = running.await.result.unwrap_err();
    assert_eq!(problem.detail.as_deref(), Some("the task was cancelled"));
}

#[tokio::test]
async fn a_name_given_as_data_is_called() {
    let with = r#"{"function":"echo","arguments":{"message":"hi"}}"#;
    assert_eq!(
        perform(call("function", Some(with)), Value::Null).await,
        Ok(json(r#"{"message":"hi"}"#))
    );
    for (name, with) in
        [("function", "{}"), ("nobody", "{}"), ("function", r#"{"function":"nobody"}"#)]
    {
        let problem = perform(call(name, Some(with)), Value::Null).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("configuration".into(), 400));
    }
}

#[tokio::test]
async fn input_and_output_are_checked_by_their_schemas() {
    let schema = |text| Some(SchemaSource::Inline(Schema::compile(&json(text)).unwrap()));
    let checked = || {
        let mut task = task(call("echo", None));
        task.input.schema = schema(r#"{"type":"object"}"#);
        task.output.schema = schema(r#"{"required":["a"]}"#);
        task
    };
    for (input, good) in [("1", false), ("{}", false), (r#"{"a":1}"#, true)] {
        let worker = builder(Given(vec![]));
        match perform_with(worker, checked(), assignment(json(input))).await {
            Ok(output) => assert!(good && output == json(input), "{input}"),
            Err(problem) => {
                assert!(!good, "{input}");
                assert_eq!(kind_of(&problem), ("validation".into(), 400));
            }
        }
    }
}
