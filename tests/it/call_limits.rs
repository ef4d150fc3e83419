//! Calls to a host that `--call-limit` names wait their turn.

use serde_json::json;

use crate::support::client::workflow;
use crate::support::dev::Dev;
use crate::support::stub::{Reply, Stub};

const CALLS: &str = "\
document: { dsl: '1.0.3', namespace: limits, name: calls, version: '1.0.0' }
do:
- all:
    fork:
      branches:
      - a: { call: http, with: { method: get, endpoint: '${ .url }' } }
      - b: { call: http, with: { method: get, endpoint: '${ .url }' } }
      - c: { call: http, with: { method: get, endpoint: '${ .url }' } }
";

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_a_host_wait_their_turn_and_are_all_made() {
    let stub = Stub::http(|_| Reply::Json(200, json!("done"))).await;
    let limits = ["127.0.0.1=1", "127.0.0.1=1000/s", "*.example.com=1/h"];
    let flags: Vec<String> =
        limits.iter().flat_map(|it| ["--call-limit".to_owned(), (*it).to_owned()]).collect();
    let dev = Dev::with(&flags).await;
    dev.api.deploy(CALLS).await;
    let view = dev.api.run(&workflow(CALLS), &json!({"url": stub.url("/turn")})).await;
    assert_eq!(view["output"], json!(["done", "done", "done"]), "{view}");
    assert_eq!(stub.count("/turn"), 3);
    let metrics = reqwest::get(format!("{}/metrics", dev.api.base())).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let counted = "windlass_worker_call_limit_wait_seconds_count 3\n";
    assert!(metrics.contains(counted), "{metrics}");
}
