//! Calls that end otherwise: too late, cancelled, with their worker, with their server.

use serde_json::json;

use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::grpc::{Server, definition, ended, error, output, run};
use crate::support::nats::Nats;
use crate::support::ports;

#[tokio::test]
async fn the_timeout_of_the_task_is_the_deadline_of_the_call() {
    let (server, dev) = (Server::start().await, Dev::start().await);
    // What takes its time the first time has been done before the time counts.
    output(&ended(&dev.api, "first", &server.call("Say", "{}")).await);
    let call = format!("timeout: {{after: PT10S}}, {}", server.call("Wait", "{text: late}"));
    let (kind, status, detail) = error(&ended(&dev.api, "late", &call).await);
    assert_eq!((kind.as_str(), status), ("timeout", 408), "{detail}");
    let called = &server.told("call", "Wait", 1).await[0];
    let left = called["left"].as_f64().unwrap();
    assert!(left > 0.0 && left <= 10.0, "{called}");
    // The server knows that nobody waits any more.
    server.told("end", "Wait", 1).await;
}

#[tokio::test]
async fn a_cancelled_call_is_cancelled_at_the_server() {
    let (server, dev) = (Server::start().await, Dev::start().await);
    let workflow =
        dev.api.deploy(&definition("cancel", &server.call("Wait", "{text: gone}"))).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    server.told("call", "Wait", 1).await;
    dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    server.told("end", "Wait", 1).await;
    assert_eq!(dev.api.show(&id).await["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_of_a_killed_worker_is_made_by_another() {
    let (server, nats) = (Server::start().await, Nats::start().await);
    let layout = Layout::on(&nats.url(), 1).coordinator(&["--lease", "2s"]);
    let mut fleet = Fleet::with(layout).await;
    // A worker of a fleet has no files: the text comes over the network.
    let protos = super::files::serve().await;
    let call = |method: &str| {
        let text = server.call(method, "{text: once}");
        text.replace(crate::support::grpc::PROTO, &protos.url("/acme/echo/v1/echo.proto"))
    };
    let workflow = fleet.api.deploy(&definition("killed", &call("Wait"))).await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    server.told("call", "Wait", 1).await;
    fleet.workers[0].kill().await;
    // Its connection is gone, and so is the call.
    server.told("end", "Wait", 1).await;
    let other = fleet.add_worker(&nats.url());
    fleet.workers[other].launch();
    fleet.joins(other, 1).await;
    assert_eq!(output(&fleet.api.ends(&id).await), &json!({"text": "once"}));
    let calls = server.told("call", "Wait", 2).await;
    let keys: Vec<_> = calls.iter().map(|it| Server::metadata(it, "idempotency-key")).collect();
    assert!(keys.len() == 2 && keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
    fleet.assert_sound();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let (mut server, dev) = (Server::start().await, Dev::start().await);
    let workflow = dev.api.deploy(&definition("gone", &server.call("Wait", "{text: gone}"))).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    server.told("call", "Wait", 1).await;
    server.kill().await;
    let (kind, status, detail) = error(&dev.api.ends(&id).await);
    assert_eq!((kind.as_str(), status), ("communication", 503), "{detail}");
    server.port = u64::from(ports::free());
    let (kind, status, detail) = error(&run(&dev.api, "none", &server.call("Say", "{}")).await);
    assert_eq!((kind.as_str(), status), ("communication", 503), "{detail}");
    assert!(detail.contains("connection refused"), "{detail}");
    let unknown = server.call("Say", "{}").replace("localhost", "no-such-host.invalid");
    let (kind, status, detail) = error(&run(&dev.api, "unknown", &unknown).await);
    assert_eq!((kind.as_str(), status), ("communication", 503), "{detail}");
    assert!(detail.contains("no-such-host.invalid cannot be resolved"), "{detail}");
}
