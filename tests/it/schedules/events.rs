//! Events start instances: by the API and over the bus, through kills of the coordinator.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{fires, past, schedule, scheduled};
use crate::load::setting;
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::until::moment;

const KEEPS: &str = "  - keeps: { set: { got: '${ $workflow.input }' } }\n";

fn event(id: &str, kind: &str, data: &Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "test", "type": kind, "data": data})
}

/// The outputs of all instances that the schedule has started, in their order.
async fn outputs(api: &Api, name: &str) -> Vec<Value> {
    let mut outputs = Vec::new();
    for (_, id) in super::started(api, name).await {
        outputs.push(api.reaches(&id, "completed").await["output"]["got"].clone());
    }
    outputs.sort_by_key(Value::to_string);
    outputs
}

#[tokio::test]
async fn events_that_belong_together_start_an_instance_with_them() {
    let dev = Dev::start().await;
    let of = |kind: &str| {
        format!("{{ with: {{ type: {kind} }}, correlate: {{ order: {{ from: .data.order }} }} }}")
    };
    let both = format!("{{ on: {{ all: [{}, {}] }}, read: data }}", of("paid"), of("packed"));
    dev.api.deploy(&scheduled("ships", "1.0.0", &both, "{}", KEEPS)).await;
    let one = "{ on: { one: { with: { type: paid } } } }";
    dev.api.deploy(&scheduled("paid", "1.0.0", one, "{}", KEEPS)).await;
    for (id, kind, order) in [("1", "paid", 7), ("2", "packed", 8), ("3", "packed", 7)] {
        dev.api.event(&event(id, kind, &json!({"order": order}))).await;
    }
    dev.api.event(&event("1", "paid", &json!({"order": 7}))).await;
    let view = fires(&dev.api, "ships", 1).await;
    assert_eq!((&view["fired"], &view["past"][0]["trigger"]), (&json!(1), &json!("on")), "{view}");
    let wanted = [json!([{"order": 7}, {"order": 7}])];
    assert_eq!(outputs(&dev.api, "ships").await, wanted);
    let wanted = [json!([event("1", "paid", &json!({"order": 7}))])];
    assert_eq!(outputs(&dev.api, "paid").await, wanted, "once, and as a whole");

    dev.api.post("/v1/schedules/test/paid/pause", &json!({})).await.ok();
    dev.api.event(&event("4", "paid", &json!({"order": 9}))).await;
    let paused = schedule(&dev.api, "paid").await;
    assert_eq!(past(&paused, "skipped")[0]["why"], "paused", "{paused}");
    assert_eq!(schedule(&dev.api, "ships").await["on"]["gathered"], 1);
    let without = "document: { dsl: '1.0.3', namespace: test, name: paid, version: '2.0.0' }\n\
                   do:\n  - done: { set: { ok: true } }\n";
    dev.api.deploy(without).await;
    dev.api.event(&event("5", "paid", &json!({"order": 10}))).await;
    assert_eq!(super::started(&dev.api, "paid").await.len(), 1);
}

#[tokio::test]
async fn each_event_starts_one_instance_although_the_process_is_killed_then() {
    let mut dev = Dev::start().await;
    let on = "{ on: { any: [{ with: { type: a } }, { with: { type: b } }] }, read: data }";
    dev.api.deploy(&scheduled("hears", "1.0.0", on, "{}", KEEPS)).await;
    let times = setting("WINDLASS_SCHEDULE_KILLS", 4);
    let mut chance = fastrand::Rng::with_seed(11);
    for number in 0..times {
        let event = event(&number.to_string(), "b", &json!(number));
        let request = dev.api.request(Method::POST, "/v1/events").body(event.to_string());
        let request = request.header("content-type", "application/cloudevents+json");
        // It may be answered, or not; whoever had no answer sends it again.
        let asked = tokio::spawn(Api::send(request));
        moment(Duration::from_millis(chance.u64(0..6))).await;
        dev.restart().await;
        let _ = asked.await;
        dev.api.event(&event).await;
    }
    fires(&dev.api, "hears", times).await;
    let mut wanted: Vec<Value> = (0..times).map(|it| json!([it])).collect();
    wanted.sort_by_key(Value::to_string);
    assert_eq!(outputs(&dev.api, "hears").await, wanted);
    assert_eq!(schedule(&dev.api, "hears").await["skipped"], 0);
}
