//! Emitted events.

use async_nats::jetstream;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{QUIET, client, messages, metric, next, publish, stream};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until, within};

/// Emits one event, about the room and with the data of its input; the rest of the input is more of
/// the task.
fn emitter(name: &str, more: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: shop, name: {name}, version: '1.0.0'}}
do:
- tell:
    emit:
      event:
        with: {{type: com.example.reading, roomid: '${{ .room }}', data: '${{ .data }}'}}
{more}"
    )
}

async fn published(bus: &jetstream::Context) -> u64 {
    stream(bus, "WINDLASS_EVENTS").await.info().await.unwrap().state.messages
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emitted_event_goes_out_as_it_is_and_to_every_listener_once() {
    let nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 1).await;
    let other = client(&nats).await;
    let mut subscriber = other.subscribe("windlass.event.*").await.unwrap();
    other.flush().await.unwrap();
    let bus = jetstream::new(other.clone());
    let hearing = super::listening(&fleet, "north", 2).await;
    let workflow = fleet.api.deploy(&emitter("emitter", "")).await;
    let input = json!({"room": "north", "data": {"value": 1, "text": "ä\n"}});
    let emitted = fleet.api.run(&workflow, &input).await;

    let message = within(SOON, "the event", subscriber.next()).await.unwrap();
    assert_eq!(message.subject.as_str(), "windlass.event.shop");
    let body: Value = serde_json::from_slice(&message.payload).unwrap();
    // The output of `emit` is the event.
    assert_eq!(body, emitted["output"], "{emitted}");
    assert_eq!(body["data"], input["data"]);
    assert_eq!(body["source"], "/shop/emitter/1.0.0");
    let headers = message.headers.unwrap();
    let header = |name: &str| headers.get(name).map(|it| it.as_str().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/cloudevents+json"));
    assert!(header("Nats-Msg-Id").is_some_and(|it| !it.is_empty()), "{headers:?}");
    assert!(header("Windlass-Origin").is_some_and(|it| !it.is_empty()), "{headers:?}");

    // It has come back over the bus, and was not taken in twice.
    metric(&fleet, "windlass_bus_events_own_total", 1).await;
    assert_eq!(fleet.api.show(&hearing).await["status"], "waiting");
    publish(&bus, "windlass.event.else", &super::reading("2", "north", 2)).await;
    assert_eq!(fleet.api.ends(&hearing).await["output"], json!({"values": [1, 2]}));
    let more = tokio::time::timeout(QUIET, async {
        subscriber.next().await;
        subscriber.next().await
    });
    assert!(more.await.is_err(), "the event went out twice");
    metric(&fleet, "windlass_bus_events_emitted_total", 1).await;
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_another_coordinator_is_taken_in() {
    let nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 0).await;
    let id = super::listening(&fleet, "north", 1).await;
    let bus = jetstream::new(client(&nats).await);
    stream(&bus, "WINDLASS_EVENTS").await;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Windlass-Origin", "another");
    let event = super::reading("1", "north", 7).to_string();
    until(SOON, "an acknowledgement of JetStream", || async {
        let subject = "windlass.event.else".to_owned();
        let sent = bus.publish_with_headers(subject, headers.clone(), event.clone().into()).await;
        sent.ok()?.await.ok()
    })
    .await;
    assert_eq!(fleet.api.ends(&id).await["output"], json!({"values": [7]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_bus_is_away_an_emit_waits_and_nothing_is_lost_or_repeated() {
    let mut nats = Nats::start().await;
    let mut fleet = Fleet::start(&nats, 0).await;
    let waits = fleet.api.deploy(&emitter("waits", "")).await;
    let gives_up = fleet.api.deploy(&emitter("gives-up", "    timeout: {after: PT1S}\n")).await;
    let first = json!({"room": "north", "data": {"value": 1}});
    fleet.api.run(&waits, &first).await;

    nats.kill().await;
    let waiting = fleet.api.start(&waits, &json!({"room": "a", "data": {"value": 2}})).await;
    let late = fleet.api.run(&gives_up, &json!({"room": "b", "data": {"value": 3}})).await;
    assert_eq!(late["status"], "faulted", "{late}");
    assert!(late["error"]["type"].as_str().unwrap().ends_with("/timeout"), "{late}");
    assert_eq!(fleet.api.show(&waiting).await["open"][0]["state"], "publishing an event");
    fleet.restart_coordinator().await;
    assert_eq!(fleet.api.show(&waiting).await["open"][0]["state"], "publishing an event");

    nats.restart().await;
    assert_eq!(fleet.api.ends(&waiting).await["status"], "completed");
    let bus = jetstream::new(client(&nats).await);
    let mut all = messages(&bus, "WINDLASS_EVENTS").await;
    let (_, before) = next(&mut all).await;
    let (_, after) = next(&mut all).await;
    assert_eq!((&before["data"]["value"], &after["data"]["value"]), (&json!(1), &json!(2)));
    // What timed out before the restart is forgotten with it.
    assert_eq!(published(&bus).await, 2);
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_deleted_in_mid_run_is_made_again() {
    let nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 1).await;
    let bus = jetstream::new(client(&nats).await);
    let hearing = super::listening(&fleet, "north", 2).await;
    publish(&bus, "windlass.event.rooms", &super::reading("1", "north", 1)).await;
    metric(&fleet, "windlass_bus_events_received_total", 1).await;
    let workflow = fleet.api.deploy(&emitter("emitter", "")).await;
    for name in ["EVENTS", "LIFECYCLE", "AUDIT"] {
        bus.delete_stream(format!("WINDLASS_{name}")).await.unwrap();
    }
    let emitted = fleet.api.run(&workflow, &json!({"room": "south", "data": {"value": 2}})).await;
    assert_eq!(emitted["status"], "completed", "{emitted}");
    publish(&bus, "windlass.event.rooms", &super::reading("3", "north", 3)).await;
    assert_eq!(fleet.api.ends(&hearing).await["output"], json!({"values": [1, 3]}));
    assert_eq!(published(&bus).await, 2);
    for name in ["LIFECYCLE", "AUDIT"] {
        stream(&bus, &format!("WINDLASS_{name}")).await;
    }
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_too_large_for_the_bus_fails_its_emit() {
    let nats = Nats::with("max_payload: 64KB").await;
    let fleet = Fleet::with(Layout::on(&nats.url(), 0)).await;
    let bus = jetstream::new(client(&nats).await);
    stream(&bus, "WINDLASS_EVENTS").await;
    let workflow = fleet.api.deploy(&emitter("large", "")).await;
    let input = |size: usize| json!({"room": "north", "data": "x".repeat(size)});
    let refused = fleet.api.run(&workflow, &input(100_000)).await;
    assert_eq!(refused["status"], "faulted", "{refused}");
    assert_eq!(refused["error"]["status"], 413, "{refused}");
    assert!(refused["error"]["detail"].as_str().unwrap().contains("max_payload"), "{refused}");
    assert_eq!(fleet.api.run(&workflow, &input(10_000)).await["status"], "completed");
}

/// More than fit the queue: what does not is asked for again when there is room.
#[tokio::test(flavor = "multi_thread")]
async fn more_events_than_the_queue_holds_all_go_out() {
    const BRANCHES: usize = 24;
    const EACH: usize = 500;
    let mut nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 0).await;
    let branches: String = (0..BRANCHES)
        .map(|it| format!("      - b{it}: {{emit: {{event: {{with: {{type: t}}}}}}}}\n"))
        .collect();
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: many, name: many, version: '1.0.0'}}
do:
- all:
    fork:
      branches:
{branches}"
    );
    let workflow = fleet.api.deploy(&text).await;
    nats.kill().await;
    let mut ids = Vec::new();
    for _ in 0..EACH {
        ids.push(fleet.api.start(&workflow, &json!({})).await);
    }
    until(SOON, "events that find no room", || async {
        let text = fleet.api.get("/metrics").await.ok();
        let name = "windlass_bus_events_deferred_total ";
        let line = text.as_str()?.lines().find_map(|it| it.strip_prefix(name))?.to_owned();
        (line.parse::<u64>().ok()? > 1_000).then_some(())
    })
    .await;
    nats.restart().await;
    for id in &ids {
        assert_eq!(fleet.api.ends(id).await["status"], "completed");
    }
    let bus = jetstream::new(client(&nats).await);
    assert_eq!(published(&bus).await, (BRANCHES * EACH) as u64);
}
