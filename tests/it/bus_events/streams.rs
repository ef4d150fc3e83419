//! Streams that are not what they must be, and a bus without any.

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy};
use serde_json::json;

use super::{client, metric, publish, stream};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until, within};

const EMITTER: &str = "document: {dsl: '1.0.3', namespace: shop, name: emitter, version: '1.0.0'}
do:
- tell: {emit: {event: {with: {type: com.example.told}}}}
";

/// Runs a workflow whose task needs the worker.
async fn tasks_go_on(fleet: &Fleet) {
    let stub = Stub::http(|_| Reply::Json(200, json!({"well": true}))).await;
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: shop, name: call, version: '1.0.0'}}\n\
         do:\n- call: {{call: http, with: {{method: get, endpoint: '{}'}}}}\n",
        stub.url("/")
    );
    let workflow = fleet.api.deploy(&text).await;
    let ended = fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(ended["output"], json!({"well": true}), "{ended}");
}

async fn log_has(fleet: &Fleet, text: &str) {
    let lines = fleet.coordinator.lines();
    let found = lines.find(|line| line.contains(text).then_some(()));
    let found = within(SOON, &format!("the log saying {text:?}"), found).await;
    assert!(found.is_some(), "{}", fleet.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_another_shape_is_explained_and_left_alone() {
    let nats = Nats::start().await;
    let bus = jetstream::new(client(&nats).await);
    let wrong = Config {
        name: "WINDLASS_EVENTS".to_owned(),
        subjects: vec!["something.else".to_owned()],
        discard: DiscardPolicy::New,
        max_bytes: 1 << 20,
        ..Config::default()
    };
    bus.create_stream(wrong.clone()).await.unwrap();
    let work_queue = Config {
        name: "WINDLASS_AUDIT".to_owned(),
        subjects: vec!["windlass.audit.>".to_owned()],
        retention: RetentionPolicy::WorkQueue,
        max_bytes: 1 << 20,
        ..Config::default()
    };
    bus.create_stream(work_queue).await.unwrap();

    let fleet = Fleet::start(&nats, 1).await;
    log_has(&fleet, "WL0521").await;
    let command = "nats stream edit WINDLASS_EVENTS \
                   --subjects 'something.else,windlass.event.*' --discard old";
    log_has(&fleet, command).await;
    log_has(&fleet, "its retention is workqueue, wanted is limits").await;
    for (name, ready) in [("events", 0), ("audit", 0), ("lifecycle", 1)] {
        metric(&fleet, &format!("windlass_stream_ready{{stream=\"{name}\"}}"), ready).await;
    }
    assert!(fleet.api.get("/readyz").await.status.is_success());
    tasks_go_on(&fleet).await;
    let workflow = fleet.api.deploy(EMITTER).await;
    let waiting = fleet.api.start(&workflow, &json!({})).await;
    fleet.api.reaches(&waiting, "running").await;
    let config = stream(&bus, "WINDLASS_EVENTS").await.info().await.unwrap().config.clone();
    assert_eq!((config.subjects, config.discard), (wrong.subjects.clone(), wrong.discard));

    // What the command does.
    let subjects = vec!["something.else".to_owned(), "windlass.event.*".to_owned()];
    let mended = Config { subjects, discard: DiscardPolicy::Old, ..wrong };
    bus.update_stream(mended).await.unwrap();
    assert_eq!(fleet.api.ends(&waiting).await["status"], "completed");
    let hearing = super::listening(&fleet, "north", 1).await;
    publish(&bus, "windlass.event.rooms", &super::reading("1", "north", 1)).await;
    assert_eq!(fleet.api.ends(&hearing).await["status"], "completed");
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_jetstream_tasks_go_on_and_emits_do_not_wait() {
    let account = "accounts { A { users: [{user: a, password: a}] } }\nno_auth_user: a";
    let nats = Nats::with(account).await;
    let fleet = Fleet::start(&nats, 1).await;
    log_has(&fleet, "no JetStream").await;
    assert!(fleet.api.get("/readyz").await.status.is_success());
    tasks_go_on(&fleet).await;
    let workflow = fleet.api.deploy(EMITTER).await;
    let ended = fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(ended["status"], "completed", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_survive_a_restart_of_the_coordinator_and_keep_what_operators_chose() {
    let nats = Nats::start().await;
    let mut fleet = Fleet::with(Layout::on(&nats.url(), 0)).await;
    let bus = jetstream::new(client(&nats).await);
    let mut events = stream(&bus, "WINDLASS_EVENTS").await;
    let mut config = events.info().await.unwrap().config.clone();
    config.max_bytes = 12_345_678;
    bus.update_stream(config).await.unwrap();
    publish(&bus, "windlass.event.rooms", &super::reading("1", "north", 1)).await;
    fleet.restart_coordinator().await;
    until(SOON, "the streams being ready", || async {
        let text = fleet.api.get("/metrics").await.ok();
        text.as_str()?.contains("windlass_stream_ready{stream=\"events\"} 1").then_some(())
    })
    .await;
    let info = events.info().await.unwrap();
    assert_eq!((info.config.max_bytes, info.state.messages), (12_345_678, 1));
    assert!(!fleet.stderr().contains("WL0521"), "{}", fleet.stderr());
}
