//! Listing with filters and pages.

use reqwest::Method;
use serde_json::{Value, json};

use super::{echo, long};
use crate::support::client::Api;
use crate::support::command::windlass;
use crate::support::dev::Dev;

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_every_instance_once_newest_first() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    let mut started = Vec::new();
    for index in 0..7 {
        let outcome = dev.api.run(&workflow, &json!({"index": index})).await;
        started.push(outcome["id"].as_str().unwrap().to_owned());
    }
    started.reverse();
    let whole = dev.api.get("/v1/instances").await.ok();
    assert_eq!(ids(&whole), started);
    assert!(whole["next"].is_null(), "{whole}");

    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = dev.api.get(&format!("/v1/instances?limit=3&cursor={cursor}")).await.ok();
        seen.extend(ids(&page));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
        assert!(pages < 10, "pages without end");
    }
    assert_eq!(seen, started);
    assert!(pages >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_hold_together() {
    let dev = Dev::start().await;
    let echo = dev.api.deploy(&echo()).await;
    let long = dev.api.deploy(&long()).await;
    let labelled =
        |workflow: &Value, labels: Value| json!({"workflow": workflow, "labels": labels});
    let red = labelled(&echo, json!({"color": "red", "size": "xl"}));
    let red = dev.api.post("/v1/instances?wait=30s", &red).await.ok()["id"].clone();
    let blue = labelled(&echo, json!({"color": "blue"}));
    let blue = dev.api.post("/v1/instances?wait=30s", &blue).await.ok()["id"].clone();
    let open = dev.api.start(&long, &json!({})).await;
    dev.api.reaches(&open, "waiting").await;

    let (red, blue) = (red.as_str().unwrap(), blue.as_str().unwrap());
    for (query, wanted) in [
        ("label=color=red", vec![red]),
        ("label=color=red&label=size=xl", vec![red]),
        ("label=color=blue&label=size=xl", vec![]),
        ("status=waiting", vec![open.as_str()]),
        ("status=waiting,completed", vec![open.as_str(), blue, red]),
        ("status=faulted", vec![]),
        ("name=echo&namespace=api", vec![blue, red]),
        ("name=echo&namespace=other", vec![]),
        ("name=long&version=1.0.0", vec![open.as_str()]),
        ("name=long&version=1.0.1", vec![]),
        ("startedBefore=2020-01-01T00:00:00Z", vec![]),
        ("startedAfter=2020-01-01T00:00:00Z&name=long", vec![open.as_str()]),
        ("status=completed&label=color=red&name=echo", vec![red]),
        ("endedAfter=2020-01-01T00:00:00Z", vec![blue, red]),
        ("endedBefore=2020-01-01T00:00:00Z", vec![]),
        ("filter=workflow%3Dapi/echo:1.0.0+label.color%3Dred", vec![red]),
        ("filter=status%3Dwaiting,completed+started%3E2020-01-01T00:00:00Z&name=long", vec![&open]),
    ] {
        let page = dev.api.get(&format!("/v1/instances?{query}")).await.ok();
        assert_eq!(ids(&page), wanted, "{query}: {page}");
        let count = dev.api.get(&format!("/v1/instances/count?{query}")).await.ok();
        assert_eq!(count, json!({"count": wanted.len(), "complete": true}), "{query}");
    }
    for wrong in
        ["colour=red", "status=runing", "label=red", "limit=0", "cursor=x", "filter=color%3Dred"]
    {
        let problem = dev.api.get(&format!("/v1/instances?{wrong}")).await.problem(400);
        assert_eq!(problem["code"], "WL0511", "{wrong}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_under_a_key_and_children_are_listed_in_order_and_found() {
    let dev = Dev::start().await;
    let echo = dev.api.deploy(&echo()).await;
    let mut started = Vec::new();
    // Ids that follow from keys say nothing of the time.
    for index in 0..12 {
        let request = dev.api.request(Method::POST, "/v1/instances?wait=30s");
        let body = json!({"workflow": echo, "input": {}});
        let request = request.header("idempotency-key", format!("key-{index}")).json(&body);
        let answer = Api::send(request).await.unwrap().ok();
        started.insert(0, answer["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids(&dev.api.get("/v1/instances").await.ok()), started);

    let parent = json!({
        "document": {"dsl": "1.0.3", "namespace": "api", "name": "parent", "version": "1.0.0"},
        "do": [
            {"child": {"run": {"workflow": {"namespace": "api", "name": "echo", "version": "1.0.0"}}}},
            {"fail": {"raise": {"error": {"type": "https://shop.example/errors/late", "status": 409}}}},
        ],
    });
    let parent = dev.api.deploy(&parent.to_string()).await;
    let id = dev.api.run(&parent, &json!({})).await["id"].as_str().unwrap().to_owned();
    for of in ["parent", "root"] {
        let children = dev.api.get(&format!("/v1/instances?{of}={id}")).await.ok();
        assert_eq!(children["items"].as_array().unwrap().len(), 1, "{children}");
        assert_eq!(children["items"][0]["workflow"]["name"], "echo", "{children}");
    }
    for (error, due) in [("late", vec![id.clone()]), ("timeout", vec![])] {
        let found = dev.api.get(&format!("/v1/instances?error={error}")).await.ok();
        assert_eq!(ids(&found), due, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_finds_counts_and_exports() {
    let dev = Dev::start().await;
    let echo = dev.api.deploy(&echo()).await;
    let mut started = Vec::new();
    for note in ["plain", "with, comma", "with \"marks\""] {
        let body = json!({"workflow": echo, "labels": {"note": note}});
        let answer = dev.api.post("/v1/instances?wait=30s", &body).await.ok();
        started.insert(0, answer["id"].as_str().unwrap().to_owned());
    }
    let url = dev.api.base();
    let list = async |more: &[&str]| {
        let output = windlass(&[&["list", "--url", &url], more].concat()).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        output.stdout
    };
    let found = list(&["--filter", r#"label.note="with, comma""#]).await;
    assert_eq!(ids(&serde_json::from_str(&found).unwrap()), [started[1].clone()]);
    let count = list(&["--count", "--status", "completed", "--output", "table"]).await;
    assert_eq!(count.trim(), "3");
    let lines = list(&["--all"]).await;
    let lines: Vec<Value> = lines.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(ids(&json!({ "items": lines })), started);
    let csv = list(&["--all", "--output", "csv"]).await;
    let rows: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(rows[0], "ID,WORKFLOW,STATUS,STARTED,ENDED,LABELS,ERROR");
    assert!(rows[1].starts_with(&started[0]) && rows[1].ends_with(r#","note=with ""marks""","#));
    assert!(rows[2].ends_with(r#","note=with, comma","#), "{csv}");
    assert_eq!(rows.len(), 5, "{csv}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_the_same_after_a_restart() {
    let mut dev = Dev::start().await;
    let workflow = dev.api.deploy(&echo()).await;
    for index in 0..5 {
        dev.api.run(&workflow, &json!({"index": index})).await;
    }
    let before = dev.api.get("/v1/instances").await.ok();
    dev.restart().await;
    assert_eq!(dev.api.get("/v1/instances").await.ok(), before);
}
