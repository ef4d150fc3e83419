//! Lifecycle events.

use async_nats::jetstream::{self, consumer::pull};
use serde_json::{Value, json};

use super::{client, messages, metric, next, stream};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;

/// The next events, as type and task.
async fn told(all: &mut pull::Stream, count: usize) -> (Vec<String>, Vec<Value>) {
    let (mut words, mut events) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (headers, event) = next(all).await;
        assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), event["id"], "{event}");
        let kind = event["type"].as_str().unwrap();
        let own = kind.strip_prefix("io.windlass.");
        let kind = kind.strip_prefix("io.serverlessworkflow.").or(own).unwrap();
        let kind = kind.strip_suffix(".v1").unwrap();
        let task = event["data"]["task"].as_str().map(|it| format!(" {it}"));
        words.push(format!("{kind}{}", task.unwrap_or_default()));
        events.push(event);
    }
    (words, events)
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_told_of_as_the_specification_says() {
    let nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 0).await;
    let bus = jetstream::new(client(&nats).await);
    stream(&bus, "WINDLASS_LIFECYCLE").await;
    metric(&fleet, "windlass_stream_ready{stream=\"lifecycle\"}", 1).await;
    let id = super::listening(&fleet, "north", 1).await;
    for action in ["suspend", "resume"] {
        fleet.api.post(&format!("/v1/instances/{id}/{action}"), &json!({})).await.ok();
    }
    fleet.api.event(&super::reading("1", "north", 5)).await;
    fleet.api.ends(&id).await;

    let mut all = messages(&bus, "WINDLASS_LIFECYCLE").await;
    let (words, events) = told(&mut all, 6).await;
    let expected = [
        "workflow.started",
        "workflow.correlation-started",
        "workflow.suspended",
        "workflow.resumed",
        "workflow.correlation-completed",
        "workflow.completed",
    ];
    assert_eq!(words, expected, "{events:?}");
    let name = format!("readings-{id}.rooms");
    let definition = json!({"name": "readings", "namespace": "rooms", "version": "1.0.0"});
    let started = &events[0];
    assert_eq!(started["data"]["name"], name, "{started}");
    assert_eq!(started["data"]["definition"], definition, "{started}");
    assert_eq!(started["data"]["startedAt"], started["time"], "{started}");
    assert_eq!((&started["subject"], &started["specversion"]), (&json!(id), &json!("1.0")));
    assert_eq!(events[4]["data"]["correlationKeys"], json!({"room": "north"}), "{}", events[4]);
    let completed = &events[5]["data"];
    assert_eq!(completed["output"], json!({"values": [5]}), "{completed}");
    assert_eq!(completed["outputUri"], format!("/v1/instances/{id}/output"), "{completed}");
    // The id names instance and fact, so a fact told twice is told by the same id.
    let history = fleet.api.history(&id).await;
    let last = history.last().unwrap()["sequence"].as_u64().unwrap();
    assert_eq!(events[5]["id"], format!("{id}/{last}"));

    let id = super::listening(&fleet, "south", 1).await;
    fleet.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    let (words, _) = told(&mut all, 3).await;
    assert_eq!(words[2], "workflow.cancelled", "{words:?}");

    let text = "document: {dsl: '1.0.3', namespace: rooms, name: broken, version: '1.0.0'}
do:
- breaks: {raise: {error: {type: 'https://e.example/x', status: 418, title: T, detail: D}}}
";
    let workflow = fleet.api.deploy(text).await;
    let view = fleet.api.run(&workflow, &json!({})).await;
    let (words, events) = told(&mut all, 2).await;
    assert_eq!(words, ["workflow.started", "workflow.faulted"]);
    let faulted = &events[1]["data"];
    assert_eq!(faulted["error"], view["error"], "{faulted}");
    assert_eq!(faulted["error"]["detail"], "D", "{faulted}");
    assert_eq!(faulted["faultedAt"], events[1]["time"], "{faulted}");

    let text = "document: {dsl: '1.0.3', namespace: rooms, name: asks, version: '1.0.0'}
do:
- sign: {call: windlass.approval, with: {title: 'Open ${ .room }?', assignees: {roles: [porter]}}}
";
    let workflow = fleet.api.deploy(text).await;
    let id = fleet.api.start(&workflow, &json!({"room": "north"})).await;
    let view = fleet.api.reaches(&id, "waiting").await;
    let asked = view["open"][0]["approval"].as_str().unwrap().to_owned();
    let number = asked.rsplit('.').next().unwrap();
    let uri = format!("/v1/instances/{id}/approvals/{number}");
    let answer = json!({"data": "a secret of the porter's", "reason": "by phone"});
    fleet.api.post(&format!("{uri}/approve"), &answer).await.ok();
    let (words, events) = told(&mut all, 4).await;
    let expected = [
        "workflow.started",
        "approval.requested /do/0/sign",
        "approval.decided",
        "workflow.completed",
    ];
    assert_eq!(words, expected, "{events:?}");
    let question = &events[1]["data"];
    assert_eq!((&question["approval"], &question["uri"]), (&json!(asked), &json!(uri)));
    assert_eq!(
        (&question["title"], &question["roles"]),
        (&json!("Open north?"), &json!(["porter"]))
    );
    let decided = events[2].to_string();
    assert_eq!(events[2]["data"]["approved"], true, "{decided}");
    assert!(!decided.contains("secret") && !decided.contains("phone"), "{decided}");
    metric(&fleet, "windlass_lifecycle_events_total", 15).await;
    metric(&fleet, "windlass_lifecycle_events_dropped_total", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_told_of_when_asked_for() {
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 0).coordinator(&["--lifecycle", "task"]);
    let fleet = Fleet::with(layout).await;
    let bus = jetstream::new(client(&nats).await);
    stream(&bus, "WINDLASS_LIFECYCLE").await;
    metric(&fleet, "windlass_stream_ready{stream=\"lifecycle\"}", 1).await;
    let text = "document: {dsl: '1.0.3', namespace: tasks, name: tasks, version: '1.0.0'}
use:
  functions:
    twice: {set: {b: 2}}
do:
- never: {if: 'false', set: {a: 0}}
- guarded:
    try:
    - inner: {do: [{fails: {raise: {error: {type: https://e.example/x, status: 400, title: x}}}}]}
    catch: {do: [{mended: {set: {a: 1}}}]}
- called: {call: twice}
- race:
    fork:
      compete: true
      branches:
      - slow: {wait: PT1H}
      - fast: {set: {won: true}}
- again:
    try:
    - fails: {raise: {error: {type: https://e.example/y, status: 500}}}
    catch: {retry: {limit: {attempt: {count: 1}}}, do: []}
";
    let workflow = fleet.api.deploy(text).await;
    let ended = fleet.api.run(&workflow, &json!({})).await;
    assert_eq!(ended["output"], json!({"won": true}), "{ended}");
    let mut all = messages(&bus, "WINDLASS_LIFECYCLE").await;
    let mut words = Vec::new();
    while words.last().is_none_or(|it| it != "workflow.completed") {
        words.append(&mut told(&mut all, 1).await.0);
    }
    let has = |text: &str| words.iter().filter(|it| *it == text).count();
    let order = |first: &str, second: &str| {
        let at = |text: &str| words.iter().position(|it| it == text);
        assert!(at(first).unwrap() < at(second).unwrap(), "{words:#?}");
    };
    assert_eq!(words[0], "workflow.started");
    assert_eq!(has("task.started /do/0/never"), 0, "{words:#?}");
    for text in [
        "task.created /do/0/never",
        "task.completed /do/0/never",
        "task.started /do/1/guarded",
        "task.started /do/1/guarded/try/0/inner",
        "task.faulted /do/1/guarded/try/0/inner/do/0/fails",
        "task.faulted /do/1/guarded/try/0/inner",
        "task.completed /do/1/guarded/catch/do/0/mended",
        "task.completed /do/1/guarded",
        "task.completed /do/2/called",
        "task.started /do/3/race/fork/branches/0/slow",
        "task.cancelled /do/3/race/fork/branches/0/slow",
        "task.completed /do/3/race/fork/branches/1/fast",
        "task.completed /do/3/race",
        "task.retried /do/4/again",
        "task.completed /do/4/again",
    ] {
        assert_eq!(has(text), 1, "{text}: {words:#?}");
    }
    order("task.started /do/1/guarded", "task.faulted /do/1/guarded/try/0/inner");
    order("task.completed /do/1/guarded", "task.created /do/2/called");
    order("task.cancelled /do/3/race/fork/branches/0/slow", "workflow.completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_when_nobody_wants_it() {
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 0).coordinator(&["--lifecycle", "off"]);
    let fleet = Fleet::with(layout).await;
    let bus = jetstream::new(client(&nats).await);
    let mut lifecycle = stream(&bus, "WINDLASS_LIFECYCLE").await;
    let text = "document: {dsl: '1.0.3', namespace: n, name: n, version: '1.0.0'}
do:
- tell: {emit: {event: {with: {type: t}}}}
";
    let workflow = fleet.api.deploy(text).await;
    fleet.api.run(&workflow, &json!({})).await;
    metric(&fleet, "windlass_bus_events_emitted_total", 1).await;
    assert_eq!(lifecycle.info().await.unwrap().state.messages, 0);
}
