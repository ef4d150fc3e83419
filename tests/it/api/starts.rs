//! Deploying and starting.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{definition, echo, long};
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

async fn keyed(api: &Api, key: &str, body: &Value) -> Value {
    let request = api.request(Method::POST, "/v1/instances").json(body);
    Api::send(request.header("idempotency-key", key)).await.unwrap().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_starts_one_instance() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    let body = json!({"workflow": workflow, "input": {"a": 1}});
    let (api, body) = (&dev.api, &body);
    let all = futures_util::future::join_all((0..10).map(|_| keyed(api, "order-1", body))).await;
    let ids: BTreeSet<&str> = all.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|it| it["repeated"] == false).count(), 1, "{all:?}");
    let other = keyed(api, "order-2", body).await;
    assert!(!ids.contains(other["id"].as_str().unwrap()));

    let id = all[0]["id"].as_str().unwrap().to_owned();
    dev.restart().await;
    let again = keyed(&dev.api, "order-1", body).await;
    assert_eq!((again["id"].as_str(), &again["repeated"]), (Some(id.as_str()), &json!(true)));
    let list = dev.api.get("/v1/instances").await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_starts_one_instance() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    let id = "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f";
    let body = json!({"workflow": workflow, "id": id, "input": {"a": 1}});
    let first = dev.api.post("/v1/instances?wait=30s", &body).await.ok();
    assert_eq!((first["id"].as_str(), &first["repeated"]), (Some(id), &json!(false)));
    assert_eq!(first["output"], json!({"echo": {"a": 1}}));
    let again = dev.api.post("/v1/instances?wait=30s", &body).await.ok();
    assert_eq!((&again["output"], &again["repeated"]), (&first["output"], &json!(true)));
    let answer = dev.api.post("/v1/instances", &json!({"workflow": workflow, "id": "x"})).await;
    answer.problem(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_start_under_an_id_or_key_is_no_repeat() {
    let mut dev = Dev::start().await;
    let one = dev.api.deploy(&echo()).await;
    let other = dev.api.deploy(&definition("other", "  - a: { set: { other: true } }")).await;
    let (namespace, name) = (one["namespace"].as_str().unwrap(), one["name"].as_str().unwrap());
    let id = "0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e40";
    let body =
        |workflow: &Value, input: Value| json!({"workflow": workflow, "id": id, "input": input});
    let key = async |api: &Api, input: Value| {
        let body = json!({"workflow": {"namespace": namespace, "name": name}, "input": input});
        let request = api.request(Method::POST, "/v1/instances").json(&body);
        Api::send(request.header("idempotency-key", "order-7")).await.unwrap()
    };
    dev.api.post("/v1/instances?wait=30s", &body(&one, json!({"a": 1}))).await.ok();
    let keyed = key(&dev.api, json!([1])).await.ok();
    // A higher version does not make a repeat that names none another start.
    dev.api.deploy(&echo().replace("version: '1.0.0'", "version: '1.0.1'")).await;
    let suspend = format!("/v1/workflows/{namespace}/{name}");
    for round in ["live", "restarted", "suspended"] {
        match round {
            "restarted" => dev.restart().await,
            "suspended" => {
                let path = format!("{suspend}/suspend");
                dev.api.post(&path, &json!({})).await.ok();
            }
            _ => {}
        }
        let same = dev.api.post("/v1/instances", &body(&one, json!({"a": 1.0}))).await.ok();
        assert_eq!(same["repeated"], true, "{round}: {same}");
        let newer = json!({"namespace": namespace, "name": name, "version": "1.0.1"});
        for (workflow, input, what) in [
            (&one, json!({"a": 2}), "another input"),
            (&other, json!({"a": 1}), "another workflow"),
            (&newer, json!({"a": 1}), "another workflow"),
        ] {
            let refused = dev.api.post("/v1/instances", &body(workflow, input)).await.problem(409);
            assert_eq!(refused["code"], "WL0526", "{round}: {refused}");
            let detail = refused["detail"].as_str().unwrap();
            assert!(detail.contains(id) && detail.contains(what), "{round}: {detail}");
        }
        assert_eq!(key(&dev.api, json!([1])).await.ok()["id"], keyed["id"], "{round}");
        assert_eq!(key(&dev.api, json!([2])).await.problem(409)["code"], "WL0526", "{round}");
    }
    let list = dev.api.get("/v1/instances").await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "nothing else was started: {list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_client_can_deploy() {
    let dev = Dev::start().await;
    let described = dev.api.get("/openapi.json").await.ok();
    let content = |path: &str, method: &str| {
        let body = &described["paths"][path][method]["requestBody"];
        assert_eq!(body["required"], true, "{path}");
        body["content"].clone()
    };
    let definition = content("/v1/workflows", "post");
    assert_eq!(definition["application/json"]["schema"]["type"], "object", "{definition}");
    assert_eq!(definition["application/yaml"]["schema"]["type"], "string", "{definition}");
    let example = &definition["application/json"]["example"];
    let deployed = dev.api.post("/v1/workflows", example).await.ok();
    assert_eq!(deployed["changed"], true, "{deployed}");

    let policy = content("/v1/secrets/policy", "put");
    let text = policy["application/toml"]["example"].as_str().unwrap();
    for kind in policy.as_object().unwrap().keys() {
        let request = dev.api.request(Method::PUT, "/v1/secrets/policy").body(text.to_owned());
        Api::send(request.header("content-type", kind)).await.unwrap().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_priority_is_kept_with_the_instance_and_given_to_its_children() {
    let mut dev = Dev::start().await;
    let child = dev.api.deploy(&long()).await;
    let run = format!("  - c: {{ run: {{ workflow: {child} }} }}");
    let workflow = dev.api.deploy(&definition("parent", &run)).await;
    let start = |priority: Value| json!({"workflow": workflow, "priority": priority});
    for wrong in [json!(10), json!(-1), json!(2.5), json!("high")] {
        dev.api.post("/v1/instances", &start(wrong)).await.problem(400);
    }
    let refused = dev.api.post("/v1/instances", &start(json!(10))).await.problem(400);
    assert_eq!(refused["detail"], "`priority` must be 0 to 9, not 10", "{refused}");
    let plain = dev.api.post("/v1/instances", &json!({"workflow": workflow})).await.ok();
    let urgent = dev.api.post("/v1/instances", &start(json!(8))).await.ok();
    dev.restart().await;
    for (started, priority) in [(plain, 5), (urgent, 8)] {
        let id = started["id"].as_str().unwrap();
        let shown = dev.api.get(&format!("/v1/instances/{id}")).await.ok();
        assert_eq!(shown["priority"], priority, "{shown}");
        let child = until(SOON, "the child is there", async || {
            let list = dev.api.get("/v1/instances?name=long").await.ok();
            let mut all = list["items"].as_array().unwrap().clone().into_iter();
            all.find(|it| it["parent"] == id).map(|it| it["id"].as_str().unwrap().to_owned())
        });
        let shown = dev.api.get(&format!("/v1/instances/{}", child.await)).await.ok();
        assert_eq!(shown["priority"], priority, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_as_long_as_it_is_told() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&long()).await;
    let begun = Instant::now();
    let body = json!({"workflow": workflow});
    let answer = dev.api.post("/v1/instances?wait=200ms", &body).await;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.body);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let id = answer.body["id"].as_str().unwrap();
    assert_eq!(answer.headers["location"].to_str().unwrap(), format!("/v1/instances/{id}"));
    let output = dev.api.get(&format!("/v1/instances/{id}/output?wait=100ms")).await;
    assert_eq!(output.status.as_u16(), 202, "{}", output.body);

    let short = definition("short", "  - rest: { wait: { milliseconds: 300 } }");
    let id = dev.api.start(&dev.api.deploy(&short).await, &json!({"a": 1})).await;
    let output = dev.api.get(&format!("/v1/instances/{id}/output?wait=30s")).await;
    assert_eq!(output.status.as_u16(), 200, "{}", output.body);
    assert_eq!(output.body["output"], json!({"a": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_json_is_an_input_and_none_is_an_empty_object() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    for input in [
        json!(null),
        json!(true),
        json!(-7),
        json!(1.5),
        json!("text \u{1F600} \u{0000}"),
        json!([1, [2]]),
        json!({"b": 1, "a": {"c": null}}),
        json!(9_007_199_254_740_993_u64),
        json!(u64::MAX),
    ] {
        let got = dev.api.run(&workflow, &input).await;
        assert_eq!(got["output"]["echo"], input);
    }
    let body = json!({"workflow": workflow});
    let answer = dev.api.post("/v1/instances?wait=30s", &body).await.ok();
    assert_eq!(answer["output"], json!({"echo": {}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_chosen_and_a_running_instance_keeps_its_own() {
    let dev = Dev::start().await;
    let text = |version: &str, word: &str| {
        definition("grows", &format!(
            "  - rest: {{ wait: {{ milliseconds: 400 }} }}\n  - say: {{ set: {{ word: {word} }} }}"
        ))
        .replace("version: '1.0.0'", &format!("version: '{version}'"))
    };
    let first = dev.api.deploy(&text("1.0.0", "one")).await;
    let answer = dev.api.deploy_text(&text("1.0.0", "one")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["changed"]), (200, &json!(false)));
    let id = dev.api.start(&first, &json!({})).await;
    dev.api.deploy_text(&text("1.0.0", "changed")).await.problem(409);
    let answer = dev.api.replace_text(&text("1.0.0", "changed")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["changed"]), (201, &json!(true)));
    assert_eq!(dev.api.ends(&id).await["output"], json!({"word": "one"}));
    assert_eq!(dev.api.run(&first, &json!({})).await["output"], json!({"word": "changed"}));

    dev.api.deploy(&text("1.10.0", "ten")).await;
    dev.api.deploy(&text("1.9.0", "nine")).await;
    dev.api.deploy(&text("2.0.0-beta1", "beta")).await;
    for selector in [
        json!({"namespace": "api", "name": "grows"}),
        json!({"namespace": "api", "name": "grows", "version": "latest"}),
    ] {
        assert_eq!(dev.api.run(&selector, &json!({})).await["output"], json!({"word": "ten"}));
    }
    let kept = dev.api.get("/v1/workflows/api/grows/1.9.0").await.ok();
    assert_eq!(kept, Value::from(text("1.9.0", "nine")));
    let all = dev.api.get("/v1/workflows").await.ok();
    assert_eq!(all["items"].as_array().unwrap().len(), 4, "{all}");
}
