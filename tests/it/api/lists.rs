//! Listing with filters and pages.

use serde_json::{Value, json};

use super::{echo, long};
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
    ] {
        let page = dev.api.get(&format!("/v1/instances?{query}")).await.ok();
        assert_eq!(ids(&page), wanted, "{query}: {page}");
    }
    for wrong in ["colour=red", "status=runing", "label=red", "limit=0", "cursor=x"] {
        let problem = dev.api.get(&format!("/v1/instances?{wrong}")).await.problem(400);
        assert_eq!(problem["code"], "WL0511", "{wrong}: {problem}");
    }
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
