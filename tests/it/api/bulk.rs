//! Orders for all instances that match a filter.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{definition, long};
use crate::support::client::Api;
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::until::until;

const SOON: std::time::Duration = std::time::Duration::from_secs(60);

async fn waiting(api: &Api, count: usize, group: &str) -> Vec<String> {
    let workflow = api.deploy(&long()).await;
    let body = json!({"workflow": workflow, "labels": {"group": group}});
    let started = join_all((0..count).map(|_| api.post("/v1/instances", &body))).await;
    started.into_iter().map(|it| it.ok()["id"].as_str().unwrap().to_owned()).collect()
}

async fn given(api: &Api, order: Value) -> Value {
    api.post("/v1/bulk", &order).await.ok()
}

async fn job(api: &Api, id: &Value, is: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/v1/bulk/{}", id.as_str().unwrap());
    until(SOON, &path, || async {
        let job = api.get(&path).await.ok();
        is(&job).then_some(job)
    })
    .await
}

async fn ended(api: &Api, id: &Value) -> Value {
    job(api, id, |it| it["status"] == "completed" || it["status"] == "cancelled").await
}

async fn count(api: &Api, query: &str) -> Value {
    api.get(&format!("/v1/instances/count?{query}")).await.ok()["count"].clone()
}

async fn results(api: &Api, id: &Value) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let path = format!("/v1/bulk/{}/results?cursor={cursor}", id.as_str().unwrap());
        let page = api.get(&path).await.ok();
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_reaches_all_that_match_and_no_others() {
    let dev = Dev::start().await;
    let api = &dev.api;
    waiting(api, 250, "meant").await;
    waiting(api, 20, "other").await;
    let order = |more: Value| {
        let mut order = json!({"action": "cancel", "filter": "label.group=meant", "rate": 10_000});
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        order
    };
    let preview = given(api, order(json!({"preview": true}))).await;
    assert_eq!((&preview["total"], &preview["id"]), (&json!(250), &Value::Null), "{preview}");
    let given = given(api, order(json!({"reason": "recalled"}))).await;
    let job = ended(api, &given["id"]).await;
    assert_eq!(
        (&job["total"], &job["done"], &job["failed"]),
        (&json!(250), &json!(250), &json!(0))
    );
    assert_eq!(count(api, "status=cancelled&label=group=meant").await, 250);
    assert_eq!(count(api, "status=cancelled").await, 250);
    let results = results(api, &given["id"]).await;
    assert_eq!(results.len(), 250);
    assert!(results.iter().all(|it| it["result"] == "done"), "{results:?}");
    let history = format!("/v1/instances/{}/history", results[0]["id"].as_str().unwrap());
    assert!(api.get(&history).await.ok().to_string().contains("recalled"));
    let trail = api.get("/v1/audit?limit=1000").await.ok().to_string();
    assert!(
        trail.contains("bulk.changed") && trail.contains("recalled, of label.group=meant"),
        "{trail}"
    );
    // Nothing that the filter excludes is reached: an ended one cannot be cancelled.
    let none = json!({"action": "cancel", "filter": "status=faulted"});
    let problem = api.post("/v1/bulk", &none).await.problem(400);
    assert!(problem["detail"].as_str().unwrap().contains("no status"), "{problem}");
    // Again: nothing is left.
    let again = ended(api, &self::given(api, order(json!({}))).await["id"]).await;
    assert_eq!((&again["total"], &again["done"]), (&json!(0), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_paused_goes_on_after_a_kill_and_is_stopped() {
    let mut dev = Dev::start().await;
    waiting(&dev.api, 120, "meant").await;
    let order = json!({"action": "suspend", "filter": "label.group=meant", "rate": 10});
    let id = given(&dev.api, order).await["id"].clone();
    let path = format!("/v1/bulk/{}", id.as_str().unwrap());
    job(&dev.api, &id, |it| it["done"].as_u64().unwrap() > 0).await;
    dev.api.post(&format!("{path}/pause"), &json!({})).await.ok();
    dev.kill().await;
    dev.launch();
    dev.ready().await;
    let paused = dev.api.get(&path).await.ok();
    assert_eq!(paused["status"], "paused", "{paused}");
    assert!(paused["done"].as_u64().unwrap() < 120, "{paused}");
    dev.api.post(&format!("{path}/resume"), &json!({})).await.ok();
    let before = paused["done"].as_u64().unwrap();
    job(&dev.api, &id, |it| it["done"].as_u64().unwrap() > before).await;
    dev.kill().await;
    dev.launch();
    dev.ready().await;
    let before = dev.api.get(&path).await.ok()["done"].as_u64().unwrap();
    let later = job(&dev.api, &id, |it| it["done"].as_u64().unwrap() > before).await;
    assert_eq!(later["status"], "running", "it goes on by itself: {later}");
    let stopped = dev.api.post(&format!("{path}/cancel"), &json!({})).await.ok();
    assert_eq!(stopped["status"], "cancelled", "{stopped}");
    assert_eq!(
        dev.api.post(&format!("{path}/resume"), &json!({})).await.problem(409)["code"],
        "WL0505"
    );
    let all = ["done", "skipped"].map(|it| stopped[it].as_u64().unwrap()).iter().sum::<u64>();
    assert!(all < 120, "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matches_no_more_when_its_turn_comes_is_left_alone_and_told() {
    let dev = Dev::start().await;
    let ids = waiting(&dev.api, 30, "meant").await;
    let order =
        json!({"action": "cancel", "filter": "status=waiting label.group=meant", "rate": 5});
    let id = given(&dev.api, order).await["id"].clone();
    job(&dev.api, &id, |it| it["total"] == 30 && it["done"].as_u64().unwrap() > 0).await;
    // Those that started first come last.
    let oldest = &dev.api.get("/v1/instances?status=waiting&limit=1000").await.ok()["items"];
    let oldest = oldest.as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
    assert!(ids.contains(&oldest));
    dev.api.post(&format!("/v1/instances/{oldest}/suspend"), &json!({})).await.ok();
    let job = ended(&dev.api, &id).await;
    assert_eq!((&job["done"], &job["skipped"]), (&json!(29), &json!(1)), "{job}");
    let results = results(&dev.api, &id).await;
    let skipped = results.iter().find(|it| it["result"] == "skipped").unwrap();
    assert_eq!(skipped["id"], oldest);
    assert!(skipped["detail"].as_str().unwrap().contains("does not match any more"), "{skipped}");
    assert_eq!(dev.api.show(&oldest).await["status"], "suspended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_leaves_none_out() {
    let mut dev = Dev::start().await;
    waiting(&dev.api, 300, "meant").await;
    let order = json!({"action": "cancel", "filter": "label.group=meant", "rate": 100});
    let id = given(&dev.api, order).await["id"].clone();
    let mut dealt = 0;
    for _ in 0..2 {
        let sum = |it: &Value| ["done", "skipped"].iter().map(|n| it[*n].as_u64().unwrap()).sum();
        let before: u64 = dealt;
        let seen = job(&dev.api, &id, |it| sum(it) > before).await;
        dealt = sum(&seen);
        dev.kill().await;
        dev.launch();
        dev.ready().await;
    }
    let job = ended(&dev.api, &id).await;
    assert_eq!(count(&dev.api, "status=cancelled").await, 300);
    let all = job["done"].as_u64().unwrap() + job["skipped"].as_u64().unwrap();
    assert_eq!((all, &job["failed"]), (300, &json!(0)), "{job}");
    assert_eq!(results(&dev.api, &id).await.len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_faulted_is_retried_once_each() {
    let dev = Dev::start().await;
    let outage =
        "  - down: { raise: { error: { type: 'https://shop.example/down', status: 503 } } }";
    let workflow = dev.api.deploy(&definition("down", outage)).await;
    let input = json!({});
    let starts = join_all((0..30).map(|_| dev.api.run(&workflow, &input))).await;
    assert!(starts.iter().all(|it| it["status"] == "faulted"), "{starts:?}");
    let order = json!({"action": "retry", "filter": "error=down", "rate": 10_000});
    let job = ended(&dev.api, &given(&dev.api, order.clone()).await["id"]).await;
    assert_eq!((&job["total"], &job["done"]), (&json!(30), &json!(30)), "{job}");
    // Those that go on fail in the same way, and are retried in their turn: the first ones are not.
    until(SOON, "the end of those that go on", || async {
        (count(&dev.api, "status=faulted").await == 60).then_some(())
    })
    .await;
    let job = ended(&dev.api, &given(&dev.api, order).await["id"]).await;
    assert_eq!((&job["done"], &job["skipped"]), (&json!(30), &json!(30)), "{job}");
    let results = results(&dev.api, &job["id"]).await;
    assert!(results.iter().all(|it| it["detail"].as_str().unwrap().contains("goes on for it")));
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_named_and_the_command_line_has_it_all() {
    let dev = Dev::start().await;
    for (order, named) in [
        (json!({"action": "explode", "filter": "name=long"}), "action"),
        (json!({"action": "cancel", "filter": " "}), "filter"),
        (json!({"action": "cancel", "filter": "color=red"}), "filter"),
        (json!({"action": "cancel", "filter": "name=long", "rate": 0}), "rate"),
    ] {
        let problem = dev.api.post("/v1/bulk", &order).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem}");
    }
    let unknown = "/v1/bulk/0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e40";
    assert_eq!(dev.api.get(unknown).await.problem(404)["code"], "WL0550");
    waiting(&dev.api, 5, "meant").await;
    dev.api.deploy(&definition("quick", "  - a: { set: { x: 1 } }")).await;
    let url = dev.api.base();
    let bulk = async |words: &[&str]| {
        let output = windlass(&[&["bulk"], words, &["--url", &url]].concat()).await;
        output.exits(0)
    };
    let preview = bulk(&["suspend", "--filter", "name=long", "--preview"]).await.json();
    assert_eq!(preview["total"], 5);
    let done = bulk(&["suspend", "--filter", "name=long", "--wait"]).await.json();
    assert_eq!((&done["status"], &done["done"]), (&json!("completed"), &json!(5)), "{done}");
    let id = done["id"].as_str().unwrap();
    assert_eq!(bulk(&["results", id, "--result", "done"]).await.stdout.lines().count(), 5);
    assert_eq!(bulk(&["list"]).await.json()["items"][0]["id"], id);
    let resumed = bulk(&["resume", "--filter", "name=long", "--wait"]).await.json();
    assert_eq!(resumed["done"], 5, "{resumed}");
    assert_eq!(count(&dev.api, "status=suspended").await, 0);
}
