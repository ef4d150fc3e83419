//! Showing, cancelling, suspending, resuming.

use serde_json::json;

use super::{definition, echo, long};
use crate::support::dev::Dev;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

#[tokio::test(flavor = "multi_thread")]
async fn show_tells_what_an_instance_waits_for() {
    let dev = Dev::start().await;
    let tasks =
        "  - note: { set: { x: 1 }, export: { as: '{ noted: .x }' } }\n  - rest: { wait: PT1H }";
    let workflow = dev.api.deploy(&definition("shown", tasks)).await;
    let id = dev.api.start(&workflow, &json!({"in": true})).await;
    let view = dev.api.reaches(&id, "waiting").await;
    assert_eq!(view["input"], json!({"in": true}));
    assert_eq!(view["context"], json!({"noted": 1}));
    assert_eq!(view["workflow"], workflow);
    let rest = view["open"].as_array().unwrap().iter().find(|it| it["name"] == "rest").unwrap();
    assert_eq!(rest["reference"], "/do/1/rest");
    assert!(rest["until"].is_string(), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_ends_an_instance_for_good() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(&long()).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    dev.api.reaches(&id, "waiting").await;
    let path = format!("/v1/instances/{id}/cancel");
    let answer = dev.api.post(&path, &json!({"reason": "ordered twice"})).await.ok();
    assert_eq!(answer["status"], "cancelled");
    dev.restart().await;
    let again = dev.api.post(&path, &json!({"reason": "once more"})).await.ok();
    assert_eq!(again, answer, "who sends it again has what was asked for");
    let ended = dev.api.run(&dev.api.deploy(&echo()).await, &json!({})).await;
    let path = format!("/v1/instances/{}/cancel", ended["id"].as_str().unwrap());
    assert_eq!(dev.api.post(&path, &json!({})).await.problem(409)["code"], "WL0505");
    assert_eq!(dev.api.show(&id).await["status"], "cancelled");
    let output = dev.api.get(&format!("/v1/instances/{id}/output?wait=30s")).await.ok();
    assert_eq!(output["status"], "cancelled");
    let history = dev.api.history(&id).await;
    let ends = history.iter().filter(|it| it["event"] == "instance.cancelled");
    assert_eq!(ends.count(), 1, "{history:?}");
    assert!(format!("{history:?}").contains("ordered twice"), "{history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_stops_a_call_under_way() {
    let dev = Dev::start().await;
    let stub = Stub::http(|_| Reply::Never).await;
    let call = format!(
        "  - call: {{ call: http, with: {{ method: get, endpoint: '{}' }} }}",
        stub.url("/slow")
    );
    let workflow = dev.api.deploy(&definition("slow", &call)).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    until(SOON, "the call", || async { (stub.count("/slow") == 1).then_some(()) }).await;
    dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    assert_eq!(dev.api.show(&id).await["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_instance_goes_on_when_resumed_also_after_a_restart() {
    let mut dev = Dev::start().await;
    let tasks = "  - rest: { wait: { milliseconds: 300 } }\n  - done: { set: { done: true } }";
    let workflow = dev.api.deploy(&definition("pauses", tasks)).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    let order = |word: &str| format!("/v1/instances/{id}/{word}");
    let answer = dev.api.post(&order("suspend"), &json!({})).await.ok();
    assert_eq!(answer["status"], "suspended");
    // Its timer fires meanwhile; that must not wake it.
    let output = dev.api.get(&format!("/v1/instances/{id}/output?wait=900ms")).await;
    assert_eq!(output.status.as_u16(), 202);
    assert_eq!(dev.api.show(&id).await["status"], "suspended");
    dev.restart().await;
    assert_eq!(dev.api.show(&id).await["status"], "suspended");
    dev.api.post(&order("resume"), &json!({})).await.ok();
    assert_eq!(dev.api.ends(&id).await["output"], json!({"done": true}));
    dev.api.post(&order("resume"), &json!({})).await.problem(409);
    dev.api.post(&order("suspend"), &json!({})).await.problem(409);
}
