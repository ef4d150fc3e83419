//! CloudEvents over a real bus: in, out, and those that tell of workflows.

mod lifecycle;
mod out;
mod streams;

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, HeaderMap};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until, within};

/// A connection of somebody else's.
async fn client(nats: &Nats) -> Client {
    within(SOON, "a connection to NATS", async_nats::connect(nats.url())).await.unwrap()
}

/// An event about a room.
fn reading(id: &str, room: &str, value: i64) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/sensors", "type": "com.example.reading",
        "roomid": room, "data": {"value": value},
    })
}

/// Takes readings of its own room until there are `count`.
fn readings(count: usize) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: rooms, name: readings, version: '1.0.0'}}
do:
- hear:
    listen:
      to:
        any:
        - with: {{type: com.example.reading}}
          correlate: {{room: {{from: .roomid, expect: '${{ .room }}'}}}}
        until: '(. | length) >= {count}'
- result: {{set: {{values: '${{ map(.value) }}'}}}}
"
    )
}

async fn listening(fleet: &Fleet, room: &str, count: usize) -> String {
    let workflow = fleet.api.deploy(&readings(count)).await;
    let id = fleet.api.start(&workflow, &json!({"room": room})).await;
    fleet.api.reaches(&id, "waiting").await;
    id
}

/// Waits until a stream is there.
async fn stream(context: &Context, name: &str) -> jetstream::stream::Stream {
    until(SOON, &format!("stream {name}"), || async { context.get_stream(name).await.ok() }).await
}

/// Publishes to a stream; returns when that has it.
async fn publish(context: &Context, subject: &str, event: &Value) {
    let body = event.to_string();
    until(SOON, "an acknowledgement of JetStream", || async {
        let sent = context.publish(subject.to_owned(), body.clone().into()).await;
        sent.ok()?.await.ok()
    })
    .await;
}

/// Waits until a metric of the coordinator has this value.
async fn metric(fleet: &Fleet, name: &str, value: u64) {
    let line = format!("\n{name} {value}\n");
    until(SOON, &format!("{name} being {value}"), || async {
        let text = fleet.api.get("/metrics").await.ok();
        text.as_str()?.contains(&line).then_some(())
    })
    .await;
}

/// The messages of a stream from its beginning on.
async fn messages(context: &Context, name: &str) -> pull::Stream {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        ..pull::Config::default()
    };
    let consumer = stream(context, name).await.create_consumer(config).await.unwrap();
    consumer.stream().messages().await.unwrap()
}

/// The next message, which must come soon.
async fn next(messages: &mut pull::Stream) -> (HeaderMap, Value) {
    let message = within(SOON, "a message of a stream", messages.next()).await.unwrap().unwrap();
    let (message, _) = message.split();
    (message.headers.unwrap_or_default(), serde_json::from_slice(&message.payload).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_the_bus_waits_for_who_listens_later() {
    let nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 1).await;
    let bus = jetstream::new(client(&nats).await);
    stream(&bus, "WINDLASS_EVENTS").await;
    let workflow = fleet.api.deploy(&readings(1)).await;
    publish(&bus, "windlass.event.anybody", &reading("1", "north", 10)).await;
    metric(&fleet, "windlass_early_events_kept_total", 1).await;
    let ended = fleet.api.run(&workflow, &json!({"room": "north"})).await;
    assert_eq!(ended["output"], json!({"values": [10]}), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_once_and_what_is_none_is_dropped() {
    let nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 1).await;
    let bus = jetstream::new(client(&nats).await);
    stream(&bus, "WINDLASS_EVENTS").await;
    let north = listening(&fleet, "north", 3).await;

    publish(&bus, "windlass.event.anybody", &reading("1", "north", 10)).await;
    publish(&bus, "windlass.event.anybody", &reading("1", "north", 10)).await;
    publish(&bus, "windlass.event.others", &reading("2", "south", 20)).await;
    publish(&bus, "windlass.event.anybody", &json!({"specversion": "1.0"})).await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "3"),
        ("ce-source", "/sensors"),
        ("ce-type", "com.example.reading"),
        ("ce-roomid", "north"),
        ("Content-Type", "application/json"),
    ] {
        headers.insert(name, value);
    }
    let subject = "windlass.event.binary";
    let sent = bus.publish_with_headers(subject, headers, r#"{"value":11}"#.into()).await.unwrap();
    sent.await.unwrap();
    publish(&bus, "windlass.event.anybody", &reading("4", "north", 12)).await;

    let ended = fleet.api.ends(&north).await;
    assert_eq!(ended["output"], json!({"values": [10, 11, 12]}), "{ended}");
    metric(&fleet, "windlass_bus_events_received_total", 5).await;
    metric(&fleet, "windlass_bus_events_malformed_total", 1).await;
    let log = fleet.stderr();
    assert!(log.contains("it has no `id`, no `source`") && log.contains("WL0513"), "{log}");
    // Nothing is left to be sent again.
    let mut stream = stream(&bus, "WINDLASS_EVENTS").await;
    let names: Vec<_> = stream.consumer_names().collect().await;
    assert_eq!(names.len(), 1, "one durable consumer");
    let mut consumer: jetstream::consumer::PullConsumer =
        stream.get_consumer(names[0].as_ref().unwrap()).await.unwrap();
    until(SOON, "the acknowledgement of all events", || {
        let mut consumer = consumer.clone();
        async move { (consumer.info().await.ok()?.num_ack_pending == 0).then_some(()) }
    })
    .await;
    assert_eq!(consumer.info().await.unwrap().num_pending, 0);
    assert_eq!(stream.info().await.unwrap().state.messages, 6);
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_while_the_coordinator_is_away_are_not_lost() {
    let nats = Nats::start().await;
    let mut fleet = Fleet::start(&nats, 1).await;
    let bus = jetstream::new(client(&nats).await);
    let scheduled = "document: { dsl: '1.0.3', namespace: rooms, name: starts, version: '1.0.0' }\n\
                     schedule: { on: { one: { with: { type: com.example.reading } } }, read: data }\n\
                     do:\n  - heard: { set: { got: '${ . }' } }\n";
    fleet.api.deploy(scheduled).await;
    let north = listening(&fleet, "north", 2).await;
    publish(&bus, "windlass.event.rooms", &reading("1", "north", 1)).await;
    metric(&fleet, "windlass_bus_events_received_total", 1).await;
    fleet.coordinator.kill().await;
    publish(&bus, "windlass.event.rooms", &reading("2", "north", 2)).await;
    fleet.restart_coordinator().await;
    let ended = fleet.api.ends(&north).await;
    assert_eq!(ended["output"], json!({"values": [1, 2]}), "{ended}");
    // Nor do those start fewer instances, or more.
    let schedule = until(SOON, "two starts by events", || async {
        let schedule = fleet.api.get("/v1/schedules/rooms/starts").await.ok();
        (schedule["fired"] == 2).then_some(schedule)
    })
    .await;
    let id = schedule["past"][0]["instance"].as_str().unwrap();
    assert_eq!(fleet.api.ends(id).await["output"], json!({"got": [{"value": 2}]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn buses_of_other_names_on_the_same_servers_are_apart() {
    let nats = Nats::start().await;
    let ours = Layout::on(&nats.url(), 0).coordinator(&["--bus", "ours"]);
    let theirs = Layout::on(&nats.url(), 0).coordinator(&["--bus", "theirs"]);
    let (ours, theirs) = (Fleet::with(ours).await, Fleet::with(theirs).await);
    let bus = jetstream::new(client(&nats).await);
    let (here, there) = (listening(&ours, "a", 1).await, listening(&theirs, "a", 1).await);
    publish(&bus, "theirs.event.rooms", &reading("1", "a", 1)).await;
    assert_eq!(theirs.api.ends(&there).await["output"], json!({"values": [1]}));
    publish(&bus, "ours.event.rooms", &reading("2", "a", 2)).await;
    assert_eq!(ours.api.ends(&here).await["output"], json!({"values": [2]}));
    metric(&ours, "windlass_bus_events_received_total", 1).await;
}

/// How long something that must not come is waited for.
const QUIET: Duration = Duration::from_millis(500);
