//! What a fleet logs when everything is asked for.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::Api;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;

const WORKFLOW: &str = "document: {dsl: '1.0.3', namespace: fleet, name: says, version: '1.0.0'}
do:
- say: {call: log, with: {message: 'said in a fleet'}}
";

/// Libraries trace frames and headers, and secrets with them: they say nothing below INFO, in a
/// worker that began so and in a coordinator that was told so.
#[tokio::test(flavor = "multi_thread")]
async fn libraries_stay_silent_whatever_is_asked_for() {
    let nats = Nats::start().await;
    let json = ["--log-format", "json"];
    let layout = Layout::on(&nats.url(), 1).coordinator(&json).worker(&json);
    let mut fleet = Fleet::prepare(layout).await;
    fleet.workers[0].variables.push(("WINDLASS_LOG".to_owned(), "trace".to_owned()));
    fleet.start_all().await;
    let request = fleet.api.request(Method::PUT, "/v1/log").json(&json!({"directives": "trace"}));
    Api::send(request).await.unwrap().ok();
    let workflow = fleet.api.deploy(WORKFLOW).await;
    let ended = fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    let said = fleet.stderr();
    let lines = said.lines().filter(|it| !it.starts_with("-- "));
    let lines: Vec<Value> = lines.map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(lines.iter().any(|it| it["message"] == "said in a fleet"), "{said}");
    for line in lines.iter().filter(|it| it["level"] == "DEBUG" || it["level"] == "TRACE") {
        let target = line["target"].as_str().unwrap_or_default();
        assert!(target.starts_with("windlass"), "{line}");
    }
}
