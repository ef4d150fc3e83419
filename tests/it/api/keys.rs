//! Starts under a key that has been used.

use reqwest::Method;
use serde_json::{Value, json};

use super::{definition, echo, long};
use crate::support::client::{Answer, Api};
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

/// Starts under the key `k`.
async fn keyed(api: &Api, workflow: &Value, more: Value) -> Answer {
    let mut body = json!({"workflow": workflow});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let request = api.request(Method::POST, "/v1/instances?wait=300ms").json(&body);
    Api::send(request.header("idempotency-key", "k")).await.unwrap()
}

fn id(answer: &Value) -> String {
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_under_a_key_is_used_refused_or_ended() {
    let mut dev = Dev::start().await;
    let long = dev.api.deploy(&long()).await;
    let first = keyed(&dev.api, &long, json!({"onRunning": "fail"})).await.ok();
    assert_eq!(first["repeated"], false, "{first}");
    let again = keyed(&dev.api, &long, json!({"onEnded": "replace"})).await.ok();
    assert_eq!((&again["id"], &again["repeated"]), (&first["id"], &json!(true)));
    let refused = keyed(&dev.api, &long, json!({"onRunning": "fail"})).await.problem(409);
    assert_eq!(refused["code"], "WL0551", "{refused}");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains(&id(&first)) && detail.contains("waiting"), "{detail}");

    let terminate = json!({"onRunning": "terminate-existing", "input": {"other": true}});
    let second = keyed(&dev.api, &long, terminate.clone()).await.ok();
    assert_eq!(second["repeated"], false, "another input is no mistake then: {second}");
    assert_ne!(second["id"], first["id"]);
    let ended = dev.api.get(&format!("/v1/instances/{}", id(&first))).await.ok();
    assert_eq!(ended["status"], "cancelled", "{ended}");
    dev.restart().await;
    let same = keyed(&dev.api, &long, json!({"input": {"other": true}})).await.ok();
    assert_eq!((&same["id"], &same["repeated"]), (&second["id"], &json!(true)));
    let third = keyed(&dev.api, &long, terminate).await.ok();
    assert!(third["id"] != second["id"] && third["id"] != first["id"], "{third}");
    let open = dev.api.get("/v1/instances?status=waiting").await.ok();
    assert_eq!(open["items"].as_array().unwrap().len(), 1, "{open}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_under_a_key_is_used_refused_or_replaced() {
    let dev = Dev::start().await;
    let echo = dev.api.deploy(&echo()).await;
    let ended = |id: String| {
        let dev = &dev;
        async move { dev.api.ends(&id).await }
    };
    let first = keyed(&dev.api, &echo, json!({})).await.ok();
    ended(id(&first)).await;
    let same = keyed(&dev.api, &echo, json!({"onEnded": "replace-failed"})).await.ok();
    assert_eq!(same["id"], first["id"], "it has not failed: {same}");
    let refused = keyed(&dev.api, &echo, json!({"onEnded": "fail"})).await.problem(409);
    assert_eq!(refused["code"], "WL0551", "{refused}");
    let second = keyed(&dev.api, &echo, json!({"onEnded": "replace", "input": [1]})).await.ok();
    assert_ne!(second["id"], first["id"]);
    assert_eq!(ended(id(&second)).await["output"]["echo"], json!([1]));

    let other = keyed(&dev.api, &echo, json!({"input": [2]})).await.problem(409);
    let digest = |text: &str| windlass_proto::id::Digest::of(text).to_string();
    let detail = other["detail"].as_str().unwrap();
    assert!(detail.contains(&digest("[1]")) && detail.contains(&digest("[2]")), "{detail}");
    let raises = definition(
        "raises",
        "  - a: { raise: { error: { type: https://example.com/e, status: 400 } } }",
    );
    let raises = dev.api.deploy(&raises).await;
    let failed = keyed(&dev.api, &raises, json!({})).await.ok();
    ended(id(&failed)).await;
    let next = keyed(&dev.api, &raises, json!({"onEnded": "replace-failed"})).await.ok();
    assert_ne!(next["id"], failed["id"], "{next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_that_of_one_instance_for_ever() {
    let dev = Dev::start().await;
    let echo = dev.api.deploy(&echo()).await;
    let id = "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e41";
    let body = |more: Value| {
        let mut body = json!({"workflow": echo, "id": id});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    dev.api.post("/v1/instances?wait=30s", &body(json!({}))).await.ok();
    for more in [json!({"onEnded": "replace"}), json!({"onRunning": "terminate-existing"})] {
        let refused = dev.api.post("/v1/instances", &body(more)).await.problem(400);
        assert!(refused["detail"].as_str().unwrap().contains("Idempotency-Key"), "{refused}");
    }
    let refused = dev.api.post("/v1/instances", &body(json!({"onEnded": "fail"}))).await;
    assert_eq!(refused.problem(409)["code"], "WL0551");
    dev.api.post("/v1/instances", &body(json!({"onEnded": "often"}))).await.problem(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_for_the_time_that_is_stated() {
    let flags = ["--key-retention", "1ms"].map(str::to_owned);
    let dev = Dev::with(&flags).await;
    let (echo, long) = (dev.api.deploy(&echo()).await, dev.api.deploy(&long()).await);
    let runs = keyed(&dev.api, &long, json!({})).await.ok();
    let first = keyed(&dev.api, &echo, json!({})).await.ok();
    dev.api.ends(&id(&first)).await;
    until(SOON, "the key is free", async || {
        let next = keyed(&dev.api, &echo, json!({"input": [3]})).await;
        (next.status.is_success() && next.body["id"] != first["id"]).then_some(())
    })
    .await;
    let same = keyed(&dev.api, &long, json!({})).await.ok();
    assert_eq!(same["id"], runs["id"], "what runs has its key however long it runs");
}
