#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use windlass_proto::expression::{Names, Program, UriTemplate};
use windlass_proto::plan::{
    Case, Duration, ExternalResource, Flow, FunctionCall, FunctionTarget, Kind, Raise,
    SchemaSource, Task,
};
use windlass_proto::value::Value;
use windlass_proto::wire::{Field, Work};

use axum::Router;
use axum::routing::get;

use crate::testing::{
    Given, assignment, builder, endpoint, json, kind_of, perform, perform_with, plan, serve,
    source, task, template, text,
};
use crate::{CancellationToken, Worker};

fn echo(with: &str) -> Kind {
    let target = FunctionTarget::Registered("echo".into());
    Kind::Function(FunctionCall { target, with: Some(template(with)) })
}

async fn evaluate(task: Task, field: Field, variables: &[(&str, &str)]) -> Value {
    let mut asked = assignment(json(r#"{"n":2}"#));
    asked.work = Work::Evaluate(field);
    asked.variables =
        variables.iter().map(|(name, value)| (Arc::from(*name), json(value))).collect();
    let secrets = Given(vec![("key", Ok(Value::from("canary-key")))]);
    perform_with(builder(secrets), task, asked).await.unwrap()
}

#[tokio::test]
async fn data_flows_through_input_from_the_definition_and_output_as() {
    let mut task = task(echo(r#"{"dot":"${ . }","input":"${ $input }","given":"${ $x }"}"#));
    task.input.from = Some(template(r#""${ .inner }""#));
    let transform = r#"{"out":"${ . }","input":"${ $input }","task":"${ $task }"}"#;
    task.output.transform = Some(template(transform));
    let mut given = assignment(json(r#"{"inner":1}"#));
    given.variables = vec![
        ("x".into(), Value::from("given")),
        ("task".into(), json(r#"{"name":"task","output":null}"#)),
    ];
    let raw = r#"{"dot":1,"input":1,"given":"given"}"#;
    let expected = format!(r#"{{"out":{raw},"input":1,"task":{{"name":"task","output":{raw}}}}}"#);
    assert_eq!(perform_with(builder(Given(vec![])), task, given).await, Ok(json(&expected)));
}

#[tokio::test]
async fn an_expression_that_fails_is_an_expression_problem() {
    let problem = perform(echo(r#""${ .a + {} }""#), json(r#"{"a":1}"#)).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("expression".into(), 400));
    assert_eq!(problem.instance, None);
}

#[tokio::test]
async fn fields_that_name_a_secret_are_evaluated_for_the_coordinator() {
    let names = Names { secrets: vec!["key".into()], bound: vec![], loose: false };
    let program = |text| Program::compile(text, &names).unwrap();

    let mut conditional = task(Kind::Do(Arc::from([])));
    conditional.condition = Some(program("$secrets.key | length"));
    assert_eq!(evaluate(conditional, Field::Condition, &[]).await, Value::Bool(true));

    let set = task(Kind::Set(template(r#"{"same":"${ $secrets.key == \"canary-key\" }"}"#)));
    assert_eq!(evaluate(set, Field::Definition, &[]).await, json(r#"{"same":true}"#));

    let mut exported = task(Kind::Do(Arc::from([])));
    exported.export.transform = Some(text("${ [., $input, $output, ($secrets.key | length)] }"));
    let bound = [("input", "1"), ("output", "2")];
    let value = evaluate(exported, Field::ExportAs, &bound).await;
    assert_eq!(value, json(r#"[{"n":2},1,2,10]"#));

    let case = |when, then| Case { name: "case".into(), when, then };
    let switch = |first| {
        let cases = vec![
            case(None, Flow::End),
            case(Some(program(first)), Flow::Exit),
            case(Some(program(".n == 2")), Flow::Continue),
        ];
        task(Kind::Switch(cases))
    };
    assert_eq!(
        evaluate(switch("$secrets.key == \"x\""), Field::Definition, &[]).await,
        Value::Int(2)
    );
    assert_eq!(evaluate(switch("$secrets.key"), Field::Definition, &[]).await, Value::Int(1));

    let raise = Raise {
        kind: UriTemplate { template: text("https://example.com/errors/x") },
        status: template("418"),
        title: None,
        detail: Some(text("${ \"n is \\(.n) and \\($secrets.key)\" }")),
        instance: None,
    };
    let expected =
        r#"{"type":"https://example.com/errors/x","status":418,"detail":"n is 2 and «sealed»"}"#;
    let value = evaluate(task(Kind::Raise(raise)), Field::Definition, &[]).await;
    assert_eq!(value, json(expected));

    let wait = task(Kind::Wait(Duration::Computed(text("${ \"PT\\(.n)S\" }"))));
    assert_eq!(evaluate(wait, Field::Definition, &[]).await, Value::from("PT2S"));
}

#[tokio::test]
async fn a_schema_elsewhere_is_fetched() {
    let router =
        Router::new().route("/schema", get(|| async { r#"{"type":"object","required":["a"]}"# }));
    let uri = format!("http://{}/schema", serve(router).await);
    let mut checked = task(echo("{}"));
    let resource = ExternalResource { name: None, endpoint: endpoint(&uri, None) };
    checked.input.schema = Some(SchemaSource::External(resource));
    let plan = Arc::new(plan(checked));
    let worker = builder(Given(vec![])).plans(source(plan)).build().unwrap();
    let with = |input| worker.perform(assignment(json(input)), CancellationToken::new());
    assert_eq!(with(r#"{"a":1}"#).await.result, Ok(json("{}")));
    let problem = with("{}").await.result.unwrap_err();
    assert_eq!(kind_of(&problem), ("validation".into(), 400));
}

#[tokio::test]
async fn what_a_worker_cannot_do_is_said() {
    let problem = perform(Kind::Wait(Duration::Fixed(1)), Value::Null).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".into(), 500));

    let report = Worker::builder().build().unwrap();
    let report = report.perform(assignment(Value::Null), CancellationToken::new()).await;
    assert_eq!(report.key, assignment(Value::Null).key);
    assert_eq!(kind_of(&report.result.unwrap_err()), ("runtime".into(), 503));

    let mut lost = assignment(Value::Null);
    lost.task.0 = 9;
    let problem = perform_with(builder(Given(vec![])), task(echo("1")), lost).await.unwrap_err();
    assert_eq!(kind_of(&problem), ("runtime".into(), 500));
}
