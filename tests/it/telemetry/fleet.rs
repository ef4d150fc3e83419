//! Traces across a fleet, some of which is killed meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::json;

use super::traces::{CALLER, TRACE, connected, definition, named, ours};
use crate::support::client::Api;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::otlp::{Collector, Receiver};
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

#[tokio::test]
async fn a_trace_stays_whole_though_worker_and_coordinator_are_killed() {
    let nats = Nats::start().await;
    let receiver = Receiver::start().await;
    let collector = Collector::before(&receiver).await;
    let (open, gate) = tokio::sync::watch::channel(false);
    let calls = AtomicUsize::new(0);
    let stub = Stub::http(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        // The worker that asks first will be gone.
        0 => Reply::Never,
        _ => Reply::Gated(gate.clone(), Box::new(Reply::Json(200, json!({"ok": true})))),
    })
    .await;
    let endpoint = collector.http();
    let layout =
        Layout::on(&nats.url(), 1).coordinator(&["--otlp-endpoint", &endpoint, "--lease", "2s"]);
    let mut fleet = Fleet::with(layout).await;
    fleet.api.deploy_text(&definition("child", "do: [{inner: {set: {a: 1}}}]")).await.ok();
    let body = format!(
        "do:\n- slow: {{call: http, with: {{method: get, endpoint: '{}'}}}}\n\
         - sub: {{run: {{workflow: {{namespace: t, name: child, version: '1.0.0'}}}}}}",
        stub.url("/slow")
    );
    fleet.api.deploy_text(&definition("long", &body)).await.ok();
    let body = json!({"workflow": {"namespace": "t", "name": "long"}});
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let request = fleet.api.request(Method::POST, "/v1/instances").json(&body);
    let started = Api::send(request.header("traceparent", traceparent)).await.unwrap().ok();
    let asked = |times: usize| {
        let stub = &stub;
        async move {
            let is_so = || std::future::ready((stub.count("/slow") >= times).then_some(()));
            until(SOON, "the call", is_so).await;
        }
    };
    asked(1).await;
    fleet.restart_worker(0).await;
    asked(2).await;
    fleet.restart_coordinator().await;
    open.send_replace(true);
    fleet.api.ends(started["id"].as_str().unwrap()).await;

    let spans = ours(receiver.trace(TRACE, "workflow t/long").await);
    connected(&spans, CALLER);
    let sent = named(&spans, "deliver slow");
    assert_eq!(sent.len(), 2, "{spans:#?}");
    let lost: Vec<_> =
        sent.iter().filter(|it| it.attributes.contains_key("windlass.lost")).collect();
    let [lost] = &lost[..] else { panic!("{sent:#?}") };
    assert!(lost.failed && lost.attributes["windlass.delivery"] == json!(1), "{lost:#?}");
    assert_eq!(lost.attributes["windlass.worker"], json!("worker-0"));
    let slow = named(&spans, "task slow")[0];
    assert!(sent.iter().all(|it| it.parent == slow.id));
    assert_eq!(slow.resource["service.name"], json!("windlass-coordinator"));
    let child = named(&spans, "task sub")[0].attributes["windlass.child.id"].clone();
    let child = receiver.trace(child.as_str().unwrap(), "workflow t/child").await;
    connected(&ours(child), "");
}
