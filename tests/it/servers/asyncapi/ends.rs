//! Subscriptions that end otherwise: too late, cancelled, with their worker, with their server.

use serde_json::{Value, json};

use super::nats::listened;
use super::websocket::{room, start, told};
use super::{publishes, served, subscribes, with};
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::grpc::{definition, error, output, run};
use crate::support::nats::{Bus, Nats};
use crate::support::ports;

const SUBJECT: &str = "inline.subject";

fn listens(port: u16, amount: u32) -> Value {
    let mut with = with("inline", "bus", port);
    with["subscription"] = json!({"consume": {"amount": amount}});
    with["subscription"]["foreach"] = json!({"output": {"as": "${ .payload }"}});
    with
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_of_the_task_and_a_cancel_end_a_subscription() {
    let (nats, dev) = (Nats::start().await, Dev::start().await);
    let call = super::task(&listens(nats.port(), 1));
    let late = format!("timeout: {{after: {{milliseconds: 500}}}}, {call}");
    let (kind, status, detail) = error(&run(&dev.api, "late", &late).await);
    assert_eq!((kind.as_str(), status), ("timeout", 408), "{detail}");

    let workflow = dev.api.deploy(&definition("cancel", &call)).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    listened(&nats, SUBJECT, true).await;
    dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    listened(&nats, SUBJECT, false).await;
    assert_eq!(dev.api.show(&id).await["status"], "cancelled");

    // Over WebSocket the server sees it as well.
    let server = start().await;
    let call = subscribes(room(&server, "silent"), &json!({"consume": {"amount": 1}}));
    let id = dev.api.start(&dev.api.deploy(&definition("silent", &call)).await, &json!({})).await;
    told(&server, "open", "silent", 1).await;
    dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    told(&server, "end", "silent", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subscription_of_a_killed_worker_begins_anew() {
    let (nats, broker) = (Nats::start().await, Nats::start().await);
    let layout = Layout::on(&nats.url(), 1).coordinator(&["--lease", "6s"]);
    let mut fleet = Fleet::with(layout).await;
    // A worker of a fleet has no files: the description comes over the network.
    let description = served().await;
    let mut call = listens(broker.port(), 2);
    call["document"]["endpoint"] = json!(description.url("/asyncapi.yaml"));
    let workflow = fleet.api.deploy(&definition("killed", &super::task(&call))).await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    listened(&broker, SUBJECT, true).await;
    let mut bus = Bus::connect(broker.port()).await;
    bus.publish(SUBJECT, b"1").await;
    fleet.workers[0].kill().await;
    listened(&broker, SUBJECT, false).await;
    // Nobody listens: it is missed, as what the first worker has taken is.
    bus.publish(SUBJECT, b"2").await;
    let other = fleet.add_worker(&nats.url());
    fleet.workers[other].launch();
    fleet.joins(other, 1).await;
    listened(&broker, SUBJECT, true).await;
    for message in [b"3", b"4", b"5"] {
        bus.publish(SUBJECT, message).await;
    }
    assert_eq!(output(&fleet.api.ends(&id).await), &json!([3, 4]));
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_ends_a_subscription_and_one_that_is_not_there_is_unavailable() {
    let (mut nats, dev) = (Nats::start().await, Dev::start().await);
    let call = super::task(&listens(nats.port(), 2));
    let id = dev.api.start(&dev.api.deploy(&definition("gone", &call)).await, &json!({})).await;
    listened(&nats, SUBJECT, true).await;
    Bus::connect(nats.port()).await.publish(SUBJECT, b"1").await;
    nats.kill().await;
    let (kind, status, detail) = error(&dev.api.ends(&id).await);
    assert_eq!((kind.as_str(), status), ("communication", 503), "{detail}");

    let closed = ports::free();
    for (operation, server) in
        [("inline", "bus"), ("measure", "broker"), ("chat", "socket"), ("file", "web")]
    {
        let mut with = with(operation, server, closed);
        with["server"]["variables"]["room"] = json!("hall");
        let call = publishes(with, &json!({"name": "a"}), &json!({}));
        let (kind, _, detail) = error(&run(&dev.api, server, &call).await);
        assert_eq!(kind, "communication", "{detail}");
        assert!(detail.contains("connection refused: nothing listens there"), "{detail}");
    }
}
