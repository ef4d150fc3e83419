#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use windlass_proto::problem::Problem;
use windlass_proto::value::Value;

use super::{Call, Function, FunctionError, into_problem};
use crate::testing::{assignment, in_ms, json, kind_of};
use crate::{Worker, WorkerError};

#[derive(Deserialize)]
struct Charge {
    card: String,
    cents: u64,
}

#[derive(Serialize)]
struct Receipt {
    card: String,
    cents: u128,
}

/// Calls a function with this input.
async fn invoke(function: &Function, input: Value) -> Result<Value, Problem> {
    let call = Call::new(&assignment(Value::Null), &CancellationToken::new());
    function.invoke(input, call).await.map_err(into_problem)
}

fn charge() -> Function {
    Function::new("charge", |charge: Charge, _: Call| async move {
        Ok(Receipt { card: charge.card, cents: u128::from(charge.cents) + 1 })
    })
}

#[tokio::test]
async fn types_come_in_and_go_out() {
    let largest = json(r#"{"card": "4111", "cents": 18446744073709551615}"#);
    let receipt = json(r#"{"card": "4111", "cents": 18446744073709551616}"#);
    assert_eq!(invoke(&charge(), largest).await.unwrap().to_json(), receipt.to_json());
    let unit = Function::new("unit", |(): (), _: Call| async { Ok(()) });
    assert_eq!(invoke(&unit, Value::Null).await, Ok(Value::Null));
}

#[tokio::test]
async fn values_pass_as_they_are() {
    let same = Function::new("same", |input: Value, _: Call| async { Ok(input) });
    let input = json(r#"{"b": [1], "a": 2}"#);
    assert!(invoke(&same, input.clone()).await.unwrap().is_same(&input));
}

#[tokio::test]
async fn input_that_does_not_fit_is_a_validation_error() {
    for (input, said) in [
        (r#"{"card": "4111"}"#, "missing field `cents`"),
        (r#"{"card": "4111", "cents": -1}"#, "invalid value: integer `-1`, expected u64"),
        ("null", "invalid type: null, expected struct Charge"),
    ] {
        let problem = invoke(&charge(), json(input)).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("validation".to_owned(), 400));
        let detail = problem.detail.unwrap();
        assert_eq!(&*detail, format!("the input does not fit the function `charge`: {said}"));
    }
}

#[tokio::test]
async fn output_that_is_no_json_is_a_runtime_error() {
    let odd = Function::new("odd", |_: Value, _: Call| async { Ok(BTreeMap::from([([1], 2)])) });
    let problem = invoke(&odd, Value::Null).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".to_owned(), 500));
    assert!(problem.detail.unwrap().contains("key must be a string"));
}

#[derive(Debug, thiserror::Error)]
#[error("the till is closed")]
struct Closed(#[source] std::num::ParseIntError);

#[tokio::test]
async fn numbers_that_json_has_no_words_for_are_runtime_errors() {
    #[derive(Serialize)]
    struct Weather {
        place: Option<String>,
        degrees: BTreeMap<String, Vec<f64>>,
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let weather = Function::new("weather", move |(): (), _: Call| async move {
            let degrees = [("max".to_owned(), vec![1.5, number])].into();
            Ok(Weather { place: None, degrees })
        });
        let single =
            Function::new(
                "single",
                move |(): (), _: Call| async move { Ok((number as f32, "null")) },
            );
        let same = Function::new("same", move |(): (), _: Call| async move {
            Ok(Value::array(vec![Value::Float(number)]))
        });
        for function in [weather, single, same] {
            let problem = invoke(&function, Value::Null).await.unwrap_err();
            assert!(problem.kind.ends_with("/runtime"), "{problem:?}");
            let detail = problem.detail.unwrap();
            let said = format!("{number}, which is no value of JSON");
            assert!(detail.contains(&said), "{detail}");
        }
    }
    let empty = Function::new("empty", |(): (), _: Call| async {
        Ok(Weather { place: None, degrees: [("max".to_owned(), vec![1.5])].into() })
    });
    let given = invoke(&empty, Value::Null).await.unwrap();
    assert_eq!(given.to_json(), r#"{"place":null,"degrees":{"max":[1.5]}}"#);
}

#[tokio::test]
async fn errors_become_problems() {
    let declined = Function::new("declined", |_: Value, _: Call| async {
        let error = FunctionError::new("https://example.com/declined", 402);
        Err::<Value, _>(error.title("Declined").detail("ask the bank"))
    });
    let problem = invoke(&declined, Value::Null).await.unwrap_err();
    assert_eq!((&*problem.kind, problem.status), ("https://example.com/declined", 402));
    assert_eq!(problem.title.as_deref(), Some("Declined"));
    assert_eq!((problem.detail.as_deref(), problem.instance), (Some("ask the bank"), None));

    let closed = Function::new("closed", |text: String, _: Call| async move {
        text.parse::<u8>().map_err(Closed)?;
        Err::<Value, _>(FunctionError::runtime("parsed"))
    });
    for (input, said) in
        [(r#""x""#, "the till is closed: invalid digit found in string"), (r#""7""#, "parsed")]
    {
        let problem = invoke(&closed, json(input)).await.unwrap_err();
        assert_eq!(kind_of(&problem), ("runtime".to_owned(), 500));
        assert_eq!(problem.detail.as_deref(), Some(said));
    }
}

#[tokio::test]
async fn a_call_knows_where_it_comes_from() {
    let mut given = assignment(Value::Null);
    (given.deadline, given.traceparent) = (Some(in_ms(5_000)), Some("00-1-2-01".into()));
    let call = Call::new(&given, &CancellationToken::new());
    assert_eq!(call.idempotency_key(), given.idempotency_key());
    assert_eq!((call.workflow(), call.instance()), (&given.workflow, given.key.instance));
    assert_eq!((call.reference(), call.traceparent()), ("/do/0/task", Some("00-1-2-01")));
    let left = call.deadline().unwrap().duration_since(std::time::SystemTime::now()).unwrap();
    assert!(left <= Duration::from_secs(5) && left > Duration::from_secs(1), "{left:?}");
}

/// Says when it is dropped.
struct Told(Arc<AtomicBool>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_function_times_out_and_a_beating_one_does_not() {
    let stall = Duration::from_secs(10);
    let dropped = Arc::new(AtomicBool::new(false));
    let told = dropped.clone();
    let stuck = Function::new("stuck", move |_: Value, _: Call| {
        let told = Told(told.clone());
        async move {
            let _told = told;
            std::future::pending::<Result<Value, FunctionError>>().await
        }
    })
    .stall(stall);
    let call = Call::new(&assignment(Value::Null), &CancellationToken::new());
    let begun = tokio::time::Instant::now();
    let problem = into_problem(stuck.invoke(Value::Null, call.clone()).await.unwrap_err());
    assert_eq!(kind_of(&problem), ("timeout".to_owned(), 408));
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(dropped.load(Ordering::Relaxed) && call.is_cancelled());

    let beats = Arc::new(AtomicU32::new(0));
    let count = beats.clone();
    let busy = Function::new("busy", move |_: Value, call: Call| {
        let count = count.clone();
        async move {
            while count.fetch_add(1, Ordering::Relaxed) < 5 {
                tokio::time::sleep(stall * 9 / 10).await;
                call.heartbeat();
            }
            Ok("done")
        }
    });
    assert_eq!(invoke(&busy.clone().stall(stall), Value::Null).await, Ok(Value::from("done")));
    assert_eq!(invoke(&busy.stall(Duration::MAX), Value::Null).await, Ok(Value::from("done")));
}

#[tokio::test]
async fn what_a_handler_began_elsewhere_learns_of_the_end() {
    let cancelled = CancellationToken::new();
    let call = Call::new(&assignment(Value::Null), &cancelled);
    assert!(!call.is_cancelled());
    cancelled.cancel();
    call.cancelled().await;

    let (sender, handed) = tokio::sync::oneshot::channel();
    let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
    let brief = Function::new("brief", move |_: Value, call: Call| {
        let sender = sender.lock().unwrap().take();
        async move {
            sender.unwrap().send(call).unwrap();
            Ok(())
        }
    });
    assert_eq!(invoke(&brief, Value::Null).await, Ok(Value::Null));
    handed.await.unwrap().cancelled().await;
}

fn named(name: &str) -> Function {
    Function::new(name, |_: Value, _: Call| async { Ok(()) })
}

#[test]
fn a_name_is_given_once() {
    for name in ["echo", "log", "http", "function", "", "a@b", "file://a", &"x".repeat(200)] {
        let refused = Worker::builder().offer(named(name)).build().err();
        let is_named =
            matches!(&refused, Some(WorkerError::Function { name: it, .. }) if it == name);
        assert!(is_named, "{name}: {refused:?}");
    }
    let twice = Worker::builder().offer(named("a")).offer(named("a"));
    let said = twice.build().err().unwrap().to_string();
    assert!(said.starts_with("the name of the function `a` is taken"), "{said}");
    let replaced = Worker::builder().offer(named("a")).offer(named("a").replacing());
    assert!(replaced.offer(named("echo").replacing()).build().is_ok());
}

#[test]
fn a_worker_offers_what_it_has() {
    let worker = Worker::builder().offer(named("a")).build().unwrap();
    let offered: Vec<_> = worker.capabilities().iter().map(ToString::to_string).collect();
    for it in ["http", "evaluate", "function:a", "function:echo", "function:function"] {
        assert!(offered.iter().any(|offer| offer == it), "{it} is not among {offered:?}");
    }
    let worker = Worker::builder().offer(named("a")).only_functions().build().unwrap();
    assert_eq!(worker.capabilities(), [Arc::from("function:a")]);
}
