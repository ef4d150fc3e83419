//! Payloads larger than one message of the bus may be.

use serde_json::{Value, json};

use crate::support::fleet::Fleet;
use crate::support::nats::Nats;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

#[tokio::test(flavor = "multi_thread")]
async fn nearly_ten_mebibytes_go_to_a_worker_and_back() {
    // Not of one letter, so that nothing gets small on the way; with what is around it, it is as
    // large as the answer to a call may be.
    let blob: String = (0..(10 << 20) - 64).map(|_| fastrand::alphanumeric()).collect();
    let stub = Stub::http(|seen| {
        let body: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        Reply::Json(200, json!({"back": body["blob"]}))
    })
    .await;
    let nats = Nats::start().await;
    let limit = nats.monitor("/varz").await["max_payload"].as_u64().unwrap();
    assert!(limit < 2 << 20, "the server takes {limit} bytes, which tests nothing");
    let fleet = Fleet::start(&nats, 1).await;
    let endpoint = stub.url("/echo");
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: fleet, name: large, version: '1.0.0'}}\n\
         do:\n- echo:\n    call: http\n    with: {{method: post, endpoint: '{endpoint}', \
         body: {{blob: '${{ .blob }}'}}}}\n"
    );
    let workflow = fleet.api.deploy(&text).await;
    let id = fleet.api.start(&workflow, &json!({"blob": blob})).await;
    // Waited for by one request at a time: each answer is as large as the payload.
    let path = format!("/v1/instances/{id}/output?wait=30s");
    let text = until(SOON * 2, "the output", || async {
        let answer = fleet.api.get(&path).await;
        (answer.status.as_u16() == 200).then(|| answer.body.to_string())
    })
    .await;
    assert!(text.contains(&blob), "another text came back");
    let (_, keys) = stub.by_path().remove("/echo").unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    fleet.assert_sound();
}
