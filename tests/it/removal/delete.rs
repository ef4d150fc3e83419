//! `windlass delete`.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{definition, echo, long};
use crate::support::client::Api;
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::until::{SOON, until};

fn path(id: &str) -> String {
    format!("/v1/instances/{id}")
}

/// Ids that the list has, in all pages, as many as are counted.
async fn listed(api: &Api) -> Vec<String> {
    let page = api.get("/v1/instances?limit=1000").await.ok();
    assert_eq!(page["next"], Value::Null);
    let items = page["items"].as_array().unwrap();
    let count = api.get("/v1/instances/count").await.ok();
    assert_eq!(count["count"], items.len(), "{count}");
    items.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

/// Nothing shows it, and no record in the journal lacks what it belongs to.
async fn is_gone(api: &Api, id: &str) -> bool {
    let there = listed(api).await.iter().any(|it| it == id);
    for more in ["", "/output", "/history"] {
        let answer = api.get(&format!("{}{more}", path(id))).await;
        match there {
            true => _ = answer.ok(),
            false => assert_eq!(answer.problem(404)["code"], "WL0503"),
        }
    }
    !there
}

async fn is_sound(dev: &Dev) {
    windlass(&["fsck", dev.data().to_str().unwrap()]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_gone_at_once_and_stays_so() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    let input = json!({"large": "x".repeat(100_000)});
    let ended = join_all((0..3).map(|_| dev.api.run(&workflow, &input))).await;
    let ids: Vec<String> = ended.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    let reason = json!({"reason": "asked to be forgotten"});
    let request = dev.api.request(reqwest::Method::DELETE, &path(&ids[0])).json(&reason);
    assert_eq!(Api::send(request).await.unwrap().status, 204);
    assert!(is_gone(&dev.api, &ids[0]).await);
    assert!(!is_gone(&dev.api, &ids[1]).await && !is_gone(&dev.api, &ids[2]).await);
    assert_eq!(dev.api.delete(&path(&ids[0])).await.problem(404)["code"], "WL0503");
    let trail = dev.api.get("/v1/audit?limit=1000").await.ok().to_string();
    assert!(trail.contains("instance.deleted") && trail.contains("to be forgotten"), "{trail}");
    dev.kill().await;
    is_sound(&dev).await;
    dev.launch();
    dev.ready().await;
    assert!(is_gone(&dev.api, &ids[0]).await && !is_gone(&dev.api, &ids[1]).await);
    let said = windlass(&["delete", &ids[1], "--url", &dev.api.base()]).await.exits(0);
    assert!(said.stderr.contains(&ids[1]), "{}", said.stderr);
    assert!(is_gone(&dev.api, &ids[1]).await && !is_gone(&dev.api, &ids[2]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_deleted_only_by_force() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&long()).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    dev.api.reaches(&id, "waiting").await;
    let problem = dev.api.delete(&path(&id)).await.problem(409);
    assert_eq!(problem["code"], "WL0556", "{problem}");
    let problem = dev.api.delete(&format!("{}?force=perhaps", path(&id))).await.problem(400);
    assert_eq!(problem["code"], "WL0511", "{problem}");
    assert_eq!(dev.api.show(&id).await["status"], "waiting");
    assert_eq!(dev.api.delete(&format!("{}?force=true", path(&id))).await.status, 204);
    assert!(is_gone(&dev.api, &id).await);
    let ended = dev.api.run(&dev.api.deploy(&echo()).await, &json!({})).await;
    let ended = ended["id"].as_str().unwrap();
    windlass(&["delete", ended, "--force", "--url", &dev.api.base()]).await.exits(0);
    assert!(is_gone(&dev.api, ended).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_and_a_key_are_free_again() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    let start = async |dev: &Dev, input: &str| {
        let body = json!({"workflow": workflow, "input": {"in": input}});
        let request = dev.api.request(reqwest::Method::POST, "/v1/instances").json(&body);
        let started = Api::send(request.header("idempotency-key", "order-1")).await.unwrap().ok();
        let id = started["id"].as_str().unwrap().to_owned();
        (dev.api.ends(&id).await["output"].clone(), id)
    };
    let (output, id) = start(&dev, "first").await;
    assert_eq!(output, json!({"echo": {"in": "first"}}));
    for turn in ["second", "third"] {
        assert_eq!(dev.api.delete(&path(&id)).await.status, 204);
        let again = start(&dev, turn).await;
        assert_eq!(again, (json!({"echo": {"in": turn}}), id.clone()), "another run, the same id");
        assert_eq!(listed(&dev.api).await, [id.as_str()]);
        dev.kill().await;
        is_sound(&dev).await;
        dev.launch();
        dev.ready().await;
        assert_eq!(dev.api.show(&id).await["output"], json!({"echo": {"in": turn}}));
        assert_eq!(listed(&dev.api).await, [id.as_str()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_free_whoever_had_it_last() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    let start = async |dev: &Dev, input: &str, on_ended: &str| {
        let body = json!({"workflow": workflow, "input": input, "onEnded": on_ended});
        let request = dev.api.request(reqwest::Method::POST, "/v1/instances").json(&body);
        let started = Api::send(request.header("idempotency-key", "order-1")).await.unwrap().ok();
        let id = started["id"].as_str().unwrap().to_owned();
        assert_eq!(dev.api.ends(&id).await["output"], json!({"echo": input}));
        (id, started["repeated"] == true)
    };
    let (first, _) = start(&dev, "first", "use-existing").await;
    let (second, _) = start(&dev, "second", "replace").await;
    assert_ne!(first, second);
    assert_eq!(dev.api.delete(&path(&second)).await.status, 204);
    let (third, repeated) = start(&dev, "third", "use-existing").await;
    assert!(!repeated && third != second && third != first, "nobody had the key: {third}");
    assert!(is_gone(&dev.api, &second).await && !is_gone(&dev.api, &first).await);
    dev.restart().await;
    assert_eq!(start(&dev, "third", "use-existing").await, (third.clone(), true));
    for id in [&first, &third] {
        assert_eq!(dev.api.delete(&path(id)).await.status, 204);
    }
    let (fourth, repeated) = start(&dev, "fourth", "fail").await;
    assert!(!repeated && listed(&dev.api).await == [fourth]);
    dev.kill().await;
    is_sound(&dev).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_of_limits_are_given_back() {
    let mut dev = Dev::start().await;
    let one = "metadata: { windlass: { limit: { concurrency: 1 } } }, version";
    let workflow = dev.api.deploy(&long().replace("version", one)).await;
    let mut ids = Vec::new();
    for state in ["held", "waiting", "waiting"] {
        let id = dev.api.start(&workflow, &json!({})).await;
        has_share(&dev.api, &id, state).await;
        ids.push(id);
    }
    // One that waits, then the one that they wait for.
    for id in [&ids[1], &ids[0]] {
        assert_eq!(dev.api.delete(&format!("{}?force=true", path(id))).await.status, 204);
    }
    has_share(&dev.api, &ids[2], "held").await;
    dev.kill().await;
    is_sound(&dev).await;
    dev.launch();
    dev.ready().await;
    has_share(&dev.api, &ids[2], "held").await;
    let next = dev.api.start(&workflow, &json!({})).await;
    has_share(&dev.api, &next, "waiting").await;
    assert_eq!(dev.api.delete(&format!("{}?force=true", path(&ids[2]))).await.status, 204);
    has_share(&dev.api, &next, "held").await;
}

async fn has_share(api: &Api, id: &str, state: &str) {
    until(SOON, "its share", async || {
        (api.show(id).await["limits"][0]["state"] == state).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_it_is_linked_to_stay() {
    let dev = Dev::start().await;
    dev.api.deploy(&long()).await;
    let of = "namespace: removal, name: long, version: '1.0.0'";
    let tasks = format!("  - child: {{ run: {{ workflow: {{ {of} }} }} }}");
    let workflow = dev.api.deploy(&definition("above", &tasks)).await;
    let parent = dev.api.start(&workflow, &json!({})).await;
    let child = until(SOON, "the child", || async {
        let page = dev.api.get(&format!("/v1/instances?parent={parent}")).await.ok();
        Some(page["items"][0]["id"].as_str()?.to_owned())
    })
    .await;
    dev.api.reaches(&child, "waiting").await;
    assert_eq!(dev.api.delete(&path(&child)).await.problem(409)["code"], "WL0556");
    assert_eq!(dev.api.delete(&format!("{}?force=true", path(&child))).await.status, 204);
    // Its parent was told of the end before.
    assert_eq!(dev.api.ends(&parent).await["status"], "faulted");
    assert!(is_gone(&dev.api, &child).await && !is_gone(&dev.api, &parent).await);
    // Whoever is retried may be deleted, and what went on for it.
    let retry = format!("{}/retry", path(&parent));
    let next = dev.api.post(&retry, &json!({})).await.ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(dev.api.post(&retry, &json!({})).await.ok()["id"], next.as_str());
    assert_eq!(dev.api.delete(&format!("{}?force=true", path(&next))).await.status, 204);
    assert!(is_gone(&dev.api, &next).await);
    assert_eq!(dev.api.show(&parent).await["successors"][0], next.as_str());
    let after = dev.api.post(&retry, &json!({})).await.ok();
    assert_eq!(after["repeated"], false, "the one that went on is no more: {after}");
    let after = after["id"].as_str().unwrap();
    assert_eq!(dev.api.delete(&path(&parent)).await.status, 204);
    assert!(is_gone(&dev.api, &parent).await && !is_gone(&dev.api, after).await);
    assert_eq!(dev.api.show(after).await["predecessor"], parent.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_leave_each_whole_or_gone() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    let input = json!({"large": "x".repeat(30_000)});
    let ended = join_all((0..60).map(|_| dev.api.run(&workflow, &input))).await;
    let mut ids: Vec<String> =
        ended.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    for _ in 0..4 {
        let mut asked = Vec::new();
        let deletions = ids.iter().take(15).map(|id| {
            let request = dev.api.request(reqwest::Method::DELETE, &path(id));
            tokio::spawn(async move { Api::send(request).await.is_ok_and(|it| it.status == 204) })
        });
        asked.extend(deletions);
        // Some are done, some are on their way, some were not read.
        let first = asked.remove(0);
        assert!(first.await.unwrap() || !asked.is_empty());
        dev.kill().await;
        let answers = join_all(asked).await;
        is_sound(&dev).await;
        dev.launch();
        dev.ready().await;
        for (id, answer) in ids[1..15].iter().zip(answers) {
            // What was answered is done.
            assert!(is_gone(&dev.api, id).await || !answer.unwrap(), "{id}");
        }
        ids = listed(&dev.api).await;
    }
    for id in &ids {
        assert_eq!(dev.api.delete(&path(id)).await.status, 204);
    }
    assert_eq!(listed(&dev.api).await, [""; 0]);
    dev.kill().await;
    is_sound(&dev).await;
}
