//! `windlass bulk delete` and `bulk reset`.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{definition, echo, long};
use crate::support::client::Api;
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

async fn labelled(api: &Api, workflow: &Value, count: usize, group: &str) -> Vec<String> {
    let body = json!({"workflow": workflow, "labels": {"group": group}});
    let started = join_all((0..count).map(|_| api.post("/v1/instances", &body))).await;
    started.into_iter().map(|it| it.ok()["id"].as_str().unwrap().to_owned()).collect()
}

async fn count(api: &Api, query: &str) -> Value {
    api.get(&format!("/v1/instances/count?{query}")).await.ok()["count"].clone()
}

async fn job(api: &Api, id: &Value, is: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/v1/bulk/{}", id.as_str().unwrap());
    until(SOON, &path, || async {
        let job = api.get(&path).await.ok();
        is(&job).then_some(job)
    })
    .await
}

fn dealt(job: &Value) -> u64 {
    ["done", "skipped", "failed"].iter().map(|it| job[*it].as_u64().unwrap()).sum()
}

/// Kills the server twice while a job goes on, then waits for its end.
async fn over_kills(dev: &mut Dev, id: &Value) -> Value {
    let mut before = 0;
    for _ in 0..2 {
        before = dealt(&job(&dev.api, id, |it| dealt(it) > before).await);
        dev.restart().await;
    }
    job(&dev.api, id, |it| it["status"] == "completed").await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_have_ended_are_deleted_over_kills_and_no_others() {
    let mut dev = Dev::start().await;
    let (quick, slow) = (dev.api.deploy(&echo()).await, dev.api.deploy(&long()).await);
    labelled(&dev.api, &quick, 200, "meant").await;
    labelled(&dev.api, &quick, 10, "other").await;
    labelled(&dev.api, &slow, 10, "meant").await;
    until(SOON, "their ends", || async {
        (count(&dev.api, "status=completed").await == 210).then_some(())
    })
    .await;
    let order = |filter: &str| json!({"action": "delete", "filter": filter, "rate": 80});
    for (filter, named) in [(" ", "no condition"), ("status=running", "no status")] {
        let problem = dev.api.post("/v1/bulk", &order(filter)).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem}");
    }
    let id = dev.api.post("/v1/bulk", &order("label.group=meant")).await.ok()["id"].clone();
    let job = over_kills(&mut dev, &id).await;
    assert_eq!((dealt(&job), &job["failed"]), (200, &json!(0)), "{job}");
    assert_eq!(count(&dev.api, "label=group=meant").await, 10, "those that go on are not meant");
    assert_eq!(count(&dev.api, "label=group=other").await, 10);
    let url = dev.api.base();
    let words = ["bulk", "delete", "--filter", "label.group=other", "--wait", "--url", &url];
    assert_eq!(windlass(&words).await.exits(0).json()["done"], 10);
    assert_eq!(count(&dev.api, "").await, 10);
    dev.kill().await;
    windlass(&["fsck", dev.data().to_str().unwrap()]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_that_has_ended_is_reset_once_over_kills() {
    let mut dev = Dev::start().await;
    let tasks = "  - a: { set: { a: 1 } }\n  - b: { set: { b: 2 } }";
    let workflow = dev.api.deploy(&definition("two", tasks)).await;
    let ids = labelled(&dev.api, &workflow, 60, "meant").await;
    labelled(&dev.api, &workflow, 5, "other").await;
    until(SOON, "their ends", || async {
        (count(&dev.api, "status=completed").await == 65).then_some(())
    })
    .await;
    let order =
        json!({"action": "reset", "filter": "label.group=meant", "to": "/do/1/b", "rate": 30});
    for (name, value) in [("to", json!(null)), ("to", json!("do/1/b")), ("action", json!("retry"))]
    {
        let mut wrong = order.clone();
        wrong[name] = value;
        dev.api.post("/v1/bulk", &wrong).await.problem(400);
    }
    let id = dev.api.post("/v1/bulk", &order).await.ok()["id"].clone();
    let job = over_kills(&mut dev, &id).await;
    assert_eq!((dealt(&job), &job["failed"], &job["to"]), (60, &json!(0), &json!("/do/1/b")));
    until(SOON, "the ends of those that go on", || async {
        (count(&dev.api, "status=completed").await == 125).then_some(())
    })
    .await;
    for id in &ids {
        assert_eq!(dev.api.show(id).await["successors"].as_array().unwrap().len(), 1, "{id}");
    }
    // A task that they never were at: told of each, and nothing is done.
    let url = dev.api.base();
    let words = ["bulk", "reset", "--filter", "label.group=other", "--to", "/do/1/c", "--wait"];
    let none = windlass(&[&words[..], &["--url", &url]].concat()).await.exits(0).json();
    assert_eq!((&none["done"], &none["skipped"]), (&json!(0), &json!(5)), "{none}");
}
