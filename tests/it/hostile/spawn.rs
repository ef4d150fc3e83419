//! A workflow that starts itself ten times and does not wait.

use std::time::Instant;

use serde_json::json;

use super::victim::Victim;
use super::{peak_memory, size};
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

const BOMB: &str = "
document: {dsl: 1.0.3, namespace: attacker, name: bomb, version: 1.0.0}
do:
  - ten:
      for: {in: '${ [range(10)] }'}
      do:
        - again:
            run:
              workflow: {namespace: attacker, name: bomb, version: 1.0.0}
              await: false
";

/// How many instances of the attacker's are open, at most so many as a page has.
async fn open(api: &Api) -> usize {
    let path = "/v1/instances?namespace=attacker&status=pending,running,waiting&limit=1000";
    api.get(path).await.ok()["items"].as_array().unwrap().len()
}

/// Waits until so many have been started.
async fn grows(api: &Api, count: usize) {
    until(SOON, "the growth of the bomb", || async {
        let path = format!("/v1/instances?namespace=attacker&limit={}", count.min(1_000));
        let page = api.get(&path).await.ok();
        (page["items"].as_array().unwrap().len() >= count.min(1_000)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spawn_bomb_harms_nobody_else_and_is_stopped_by_its_root() {
    let quota = 200 * size() * size();
    let flags = ["--max-root-starts", &quota.to_string()].map(String::from);
    let mut dev = Dev::with(&flags).await;
    let bomb = dev.api.deploy(BOMB).await;
    let victim = Victim::begin(&dev.api).await;
    let root = dev.api.start(&bomb, &json!({})).await;
    grows(&dev.api, quota).await;
    for _ in 0..size() {
        crate::support::until::moment(std::time::Duration::from_secs(3)).await;
    }
    assert!(open(&dev.api).await <= quota + 1, "more are open than the quota of their root");
    let memory = peak_memory(&mut dev);
    victim.end("spawn bomb", memory).await;

    // It goes on after a restart, and ends by one order then.
    let begun = Instant::now();
    dev.restart().await;
    println!("hostile spawn bomb: back after {} ms", begun.elapsed().as_millis());
    let victim = Victim::begin(&dev.api).await;
    let cancelled = dev.api.post(&format!("/v1/roots/{root}/cancel"), &json!({})).await.ok();
    assert!(cancelled["cancelled"].as_u64().unwrap() > 0, "{cancelled}");
    assert_eq!(open(&dev.api).await, 0, "{cancelled}");
    let memory = peak_memory(&mut dev);
    victim.end("spawn bomb after a restart", memory).await;
    dev.restart().await;
    assert_eq!(open(&dev.api).await, 0, "something of it has come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_definition_starts_nothing_until_it_is_resumed() {
    let mut dev = Dev::start().await;
    let api = dev.api.clone();
    let text = |name: &str, body: &str| {
        format!("document: {{dsl: 1.0.3, namespace: n, name: {name}, version: 1.0.0}}\n{body}\n")
    };
    let child = api.deploy(&text("child", "do: [{s: {set: {done: true}}}]")).await;
    let run = "do: [{r: {run: {workflow: {namespace: n, name: child, version: 1.0.0}}}}]";
    let parent = api.deploy(&text("parent", run)).await;
    let body = json!({"workflow": child, "input": {}, "id": uuid::Uuid::now_v7().to_string()});
    api.post("/v1/instances?wait=30s", &body).await.ok();

    let done = api.post("/v1/workflows/n/child/suspend", &json!({})).await.ok();
    assert_eq!(done, json!({"suspended": true, "namespace": "n", "name": "child"}));
    let again = api.post("/v1/workflows/n/child/suspend", &json!({})).await.problem(409);
    assert_eq!(again["code"], "WL0505");
    let start = json!({"workflow": child, "input": {}});
    assert_eq!(api.post("/v1/instances", &start).await.problem(409)["code"], "WL0525");
    // What was started before is known still.
    assert_eq!(api.post("/v1/instances", &body).await.ok()["repeated"], true);
    let waiting = api.start(&parent, &json!({})).await;

    dev.restart().await;
    assert_eq!(api.post("/v1/instances", &start).await.problem(409)["code"], "WL0525");
    let listed = api.get("/v1/suspensions").await.ok();
    assert_eq!(listed["items"][0]["name"], "child", "{listed}");
    let path = format!("/v1/instances/{waiting}/output?wait=1s");
    assert_eq!(api.get(&path).await.status.as_u16(), 202, "its child has started");

    api.post("/v1/workflows/n/child/resume", &json!({})).await.ok();
    assert_eq!(api.ends(&waiting).await["status"], "completed");
    api.post("/v1/instances", &start).await.ok();

    api.post("/v1/namespaces/n/suspend", &json!({})).await.ok();
    let refused = api.post("/v1/instances", &json!({"workflow": parent})).await.problem(409);
    assert_eq!(refused["code"], "WL0525");
    api.post("/v1/namespaces/n/resume", &json!({})).await.ok();
    api.post("/v1/instances", &json!({"workflow": parent})).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_root_is_cancelled_with_all_it_has_started() {
    let dev = Dev::start().await;
    let api = &dev.api;
    let text = |name: &str, body: &str| {
        format!("document: {{dsl: 1.0.3, namespace: n, name: {name}, version: 1.0.0}}\n{body}\n")
    };
    api.deploy(&text("leaf", "do: [{w: {wait: PT1H}}]")).await;
    let run = |name: &str| {
        format!(
            "do: [{{r: {{run: {{workflow: {{namespace: n, name: {name}, version: 1.0.0}}}}}}}}]"
        )
    };
    api.deploy(&text("middle", &run("leaf"))).await;
    let top = api.deploy(&text("top", &run("middle"))).await;
    let (root, other) = (api.start(&top, &json!({})).await, api.start(&top, &json!({})).await);
    let of = |root: String| async move {
        until(SOON, "the chain of starts", || async {
            let page = api.get(&format!("/v1/instances?root={root}")).await.ok();
            let items = page["items"].as_array().unwrap().clone();
            (items.len() == 2).then_some(items)
        })
        .await
    };
    let started = of(root.clone()).await;
    let below = started[0]["id"].as_str().unwrap().to_owned();
    let refused = api.post(&format!("/v1/roots/{below}/cancel"), &json!({})).await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains(&root), "{refused}");
    let unknown = uuid::Uuid::now_v7();
    api.post(&format!("/v1/roots/{unknown}/cancel"), &json!({})).await.problem(404);
    api.post(&format!("/v1/roots/{root}/cancel"), &json!({"reason": "enough"})).await.ok();
    for it in &started {
        assert_eq!(api.show(it["id"].as_str().unwrap()).await["status"], "cancelled");
    }
    assert_eq!(of(other).await.iter().filter(|it| it["status"] == "cancelled").count(), 0);
}
