//! `--log-format`, and what is logged changed while it runs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::Api;
use crate::support::command::windlass;
use crate::support::dev::Dev;

/// Logs a text under a name, at the level of information.
const SAYS: &str = "document: {dsl: '1.0.3', namespace: cli, name: says, version: '1.0.0'}
do:
- say: {call: log, with: {message: '${ .text }'}}
";

async fn put(dev: &Dev, directives: Value) -> crate::support::client::Answer {
    let request = dev.api.request(Method::PUT, "/v1/log").json(&json!({"directives": directives}));
    Api::send(request).await.unwrap()
}

/// The lines of the log, each an object.
fn lines(dev: &Dev) -> Vec<Value> {
    let text = dev.stderr();
    let line = |it| serde_json::from_str(it).unwrap_or_else(|error| panic!("{error}: {it}"));
    text.lines().map(line).collect()
}

/// Whether it is said in the log when a workflow says `text`.
async fn is_heard(dev: &Dev, workflow: &Value, text: &str) -> bool {
    let ended = dev.api.run(workflow, &json!({"text": text})).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    // It was written before the instance could end.
    lines(dev).iter().any(|it| it["message"] == text && it["level"] == "INFO")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_changes_while_it_runs_and_is_audited() {
    let mut dev = Dev::with(&["--log-format".to_owned(), "json".to_owned()]).await;
    let workflow = dev.api.deploy(SAYS).await;
    let usual = dev.api.get("/v1/log").await.ok()["directives"].clone();
    assert!(is_heard(&dev, &workflow, "as usual").await);
    put(&dev, json!("error")).await.ok();
    assert!(!is_heard(&dev, &workflow, "unheard").await);
    for (wrong, code) in [("debgu", "WL0527"), ("windlass_worker=loud", "WL0527"), ("", "WL0527")] {
        assert_eq!(put(&dev, json!(wrong)).await.problem(400)["code"], code, "{wrong}");
    }
    put(&dev, json!("x=info,".repeat(1_000))).await.problem(400);
    assert!(!is_heard(&dev, &workflow, "unheard as before").await);

    let url = dev.api.base();
    let asked = ["log", "level", "trace", "--url", &url];
    let answer = windlass(&asked).await.exits(0).json();
    assert_eq!(answer, json!({"directives": "trace", "initial": usual}));
    assert!(is_heard(&dev, &workflow, "heard").await);
    let told = windlass(&["log", "level", "debgu", "--url", &url]).await.exits(1);
    assert!(told.stderr.contains("WL0527"), "{told:?}");
    let audit = dev.api.get("/v1/audit").await.ok();
    let all = audit["items"].as_array().unwrap().iter().rev();
    // What came of it is told apart.
    let told = |it: &&Value| it["action"] == "log.changed" && it["intent"].is_null();
    let changes: Vec<_> = all.filter(told).collect();
    let details: Vec<_> = changes.iter().map(|it| it["detail"].clone()).collect();
    let usual = usual.as_str().unwrap();
    assert_eq!(details, [json!(format!("from {usual} to error")), json!("from error to trace")]);
    assert!(changes.iter().all(|it| it["success"] == true));

    // An array is read as the structure whose members it has in order, if it is let.
    for nonsense in [json!([]), json!(["warn"]), json!("warn"), json!({"directives": 7})] {
        let request = dev.api.request(Method::PUT, "/v1/log").json(&nonsense);
        let answer = Api::send(request).await.unwrap();
        assert_eq!(answer.status, 400, "{nonsense}: {answer:?}");
    }

    windlass(&["log", "level", "--reset", "--url", &url]).await.exits(0);
    assert_eq!(dev.api.get("/v1/log").await.ok()["directives"], usual);
    put(&dev, json!("off")).await.ok();
    dev.restart().await;
    assert_eq!(dev.api.get("/v1/log").await.ok()["directives"], usual, "a restart forgets it");
}

/// What a request asks for is kept with the trace that it belongs to, or with one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_operators_audit_event_has_the_trace_of_the_request() {
    let dev = Dev::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = dev.api.request(Method::PUT, "/v1/log").header("traceparent", trace);
    Api::send(request.json(&json!({"directives": "error"}))).await.unwrap().ok();
    put(&dev, json!("warn")).await.ok();
    let audit = dev.api.get("/v1/audit").await.ok();
    let all = audit["items"].as_array().unwrap().iter();
    let told: Vec<_> = all.filter(|it| it["intent"].is_null()).collect();
    assert_eq!(told[1]["traceparent"], trace);
    let own = told[0]["traceparent"].as_str().unwrap();
    assert!(own.len() == trace.len() && own.ends_with("-00"), "{own}");
}
