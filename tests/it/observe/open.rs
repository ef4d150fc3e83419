//! How many instances are open, after a crash too: what waits is not looked at when a coordinator
//! starts.

use reqwest::Method;
use serde_json::json;

use super::shown;
use crate::support::client::Api;
use crate::support::dev::Dev;

/// What is shown of open instances, one line a workflow.
async fn open(api: &Api) -> Vec<String> {
    let text = shown(api, "text/plain").await;
    let lines = text.lines().filter_map(|it| it.strip_prefix("windlass_instances_open"));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn what_waits_counts_as_open_right_after_a_crash() {
    let mut dev = Dev::start().await;
    let mut ids = Vec::new();
    for (name, starts) in [("sleeps", 3), ("hears", 1)] {
        let task = match name {
            "sleeps" => "{ wait: { hours: 1 } }",
            _ => "{ listen: { to: { one: { with: { type: never } } } } }",
        };
        let text = format!(
            "document: {{ dsl: '1.0.3', namespace: seen, name: {name}, version: '1.0.0' }}\n\
             do: [{{ one: {task} }}]\n"
        );
        let workflow = dev.api.deploy(&text).await;
        for _ in 0..starts {
            let id = dev.api.start(&workflow, &json!({})).await;
            dev.api.reaches(&id, "waiting").await;
            ids.push(id);
        }
    }
    let all =
        ["{namespace=\"seen\",workflow=\"hears\"} 1", "{namespace=\"seen\",workflow=\"sleeps\"} 3"];
    assert_eq!(open(&dev.api).await, all);
    dev.restart().await;
    assert_eq!(open(&dev.api).await, all);
    for id in ids.iter().skip(1) {
        let cancel = dev.api.request(Method::POST, &format!("/v1/instances/{id}/cancel"));
        Api::send(cancel.json(&json!({}))).await.unwrap().ok();
        dev.api.ends(id).await;
    }
    let rest =
        ["{namespace=\"seen\",workflow=\"hears\"} 0", "{namespace=\"seen\",workflow=\"sleeps\"} 1"];
    assert_eq!(open(&dev.api).await, rest);
    dev.restart().await;
    assert_eq!(open(&dev.api).await, rest[1..], "of one that has none there is nothing to tell");
}
