//! Traces across a fleet, some of which is killed meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::json;

use super::traces::{CALLER, TRACE, connected, connected_within, definition, named, ours};
use crate::support::client::Api;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::otlp::{Collector, Receiver};
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

/// `SPAN_KIND_CLIENT`
const CLIENT: i32 = 3;

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
    let worker = lost.attributes["windlass.worker"].as_str().unwrap();
    assert!(worker.starts_with("worker-0"), "{worker}");
    let slow = named(&spans, "task slow")[0];
    assert!(sent.iter().all(|it| it.parent == slow.id));
    assert_eq!(slow.resource["service.name"], json!("windlass-coordinator"));
    let child = named(&spans, "task sub")[0].attributes["windlass.child.id"].clone();
    let child = receiver.trace(child.as_str().unwrap(), "workflow t/child").await;
    connected(&ours(child), "");
}

fn tries_forks_and_has_a_child(stub: &Stub) -> String {
    let call = |path: &str| {
        format!("{{call: http, with: {{method: get, endpoint: '{}'}}}}", stub.url(path))
    };
    format!(
        "do:\n- tried:\n    try: [{{fetch: {}}}]\n    \
         catch: {{errors: {{with: {{status: 503}}}}, retry: {{limit: {{attempt: {{count: 3}}}}}}}}\n\
         - both: {{fork: {{branches: [{{slow: {}}}, {{quick: {}}}]}}}}\n\
         - sub: {{run: {{workflow: {{namespace: t, name: child, version: '1.0.0'}}}}}}",
        call("/tried"),
        call("/slow"),
        call("/quick")
    )
}

/// A start within a caller's trace, over a coordinator that is killed meanwhile, two workers and a
/// called server; a call of it is tried again and another one's instance runs as a child.
#[tokio::test]
async fn coordinator_and_workers_tell_one_trace_without_gaps_or_repeats() {
    let nats = Nats::start().await;
    let receiver = Receiver::start().await;
    let collector = Collector::before(&receiver).await;
    let (open, gate) = tokio::sync::watch::channel(false);
    let refused = AtomicUsize::new(0);
    let stub = Stub::http(move |seen| match seen.path.as_str() {
        "/slow" => Reply::Gated(gate.clone(), Box::new(Reply::Json(200, json!({"ok": true})))),
        _ if refused.fetch_add(1, Ordering::Relaxed) == 0 => Reply::Json(503, json!({})),
        _ => Reply::Json(200, json!({"ok": true})),
    })
    .await;
    let flags = ["--otlp-endpoint", &collector.http()];
    let layout = Layout::on(&nats.url(), 2).coordinator(&flags).worker(&flags);
    let mut fleet = Fleet::with(layout).await;
    fleet.api.deploy_text(&definition("child", "do: [{inner: {set: {a: 1}}}]")).await.ok();
    fleet.api.deploy_text(&definition("whole", &tries_forks_and_has_a_child(&stub))).await.ok();
    let body = json!({"workflow": {"namespace": "t", "name": "whole"}});
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let request = fleet.api.request(Method::POST, "/v1/instances").json(&body);
    let started = Api::send(request.header("traceparent", traceparent)).await.unwrap().ok();
    until(SOON, "the slow call", || {
        std::future::ready((stub.count("/slow") > 0 && stub.count("/quick") > 0).then_some(()))
    })
    .await;
    fleet.restart_coordinator().await;
    open.send_replace(true);
    fleet.api.ends(started["id"].as_str().unwrap()).await;

    let calls = ["/tried", "/tried", "/slow", "/quick"].len();
    let spans = until(SOON, "all spans, and none without its parent", || {
        let spans: Vec<_> = receiver.spans().into_iter().filter(|it| it.trace == TRACE).collect();
        let root = !named(&spans, "workflow t/whole").is_empty();
        let known = |id: &str| id == CALLER || spans.iter().any(|it| it.id == id);
        let whole =
            root && named(&spans, "GET").len() == calls && spans.iter().all(|it| known(&it.parent));
        std::future::ready(whole.then_some(spans))
    })
    .await;
    let ids: BTreeSet<_> = spans.iter().map(|it| &it.id).collect();
    assert_eq!(ids.len(), spans.len(), "one came twice: {spans:#?}");
    connected(&ours(spans.clone()), CALLER);
    // Workers' times are exact, the coordinator's are whole milliseconds of a clock that is worked
    // towards that of the machine.
    connected_within(&spans, CALLER, 50_000_000);
    assert_eq!(stub.seen().len(), calls, "each call was made once");
    for seen in stub.seen() {
        let parent = seen.header("traceparent").unwrap();
        let client = spans.iter().find(|it| it.id == parent[36..52]);
        assert!(client.is_some_and(|it| it.kind == CLIENT && it.name == "GET"), "{client:?}");
    }
    let services: BTreeSet<_> =
        spans.iter().map(|it| it.resource["service.name"].as_str()).collect();
    assert_eq!(services.len(), 2, "{services:?}");
    let child = named(&spans, "task sub")[0].attributes["windlass.child.id"].clone();
    connected(&ours(receiver.trace(child.as_str().unwrap(), "workflow t/child").await), "");
}
