//! Events from outside.

use serde_json::{Value, json};

use super::definition;
use crate::support::client::Api;
use crate::support::dev::Dev;

fn event(id: &str, room: &str, value: i64) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/sensors", "type": "com.example.reading",
        "roomid": room, "data": {"value": value},
    })
}

/// Takes two readings of its own room.
fn two_readings() -> String {
    definition(
        "readings",
        "  - hear:
      listen:
        to:
          any:
            - with: { type: com.example.reading }
              correlate: { room: { from: .roomid, expect: '${ .room }' } }
          until: '( . | length ) >= 2'
  - result: { set: { values: '${ map(.value) }' } }",
    )
}

async fn listening(api: &Api, room: &str) -> String {
    let workflow = api.deploy(&two_readings()).await;
    let id = api.start(&workflow, &json!({"room": room})).await;
    api.reaches(&id, "waiting").await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn events_reach_the_instance_they_correlate_with_and_repeats_are_dropped() {
    let mut dev = Dev::start().await;
    let north = listening(&dev.api, "north").await;
    let south = listening(&dev.api, "south").await;
    assert_eq!(dev.api.event(&event("1", "north", 10)).await["consumed"], 1);
    assert_eq!(dev.api.event(&event("2", "south", 20)).await["consumed"], 1);
    assert_eq!(dev.api.event(&event("3", "west", 30)).await["consumed"], 0);
    assert_eq!(dev.api.event(&event("1", "north", 10)).await["consumed"], 0, "a repeat");
    dev.restart().await;
    assert_eq!(dev.api.event(&event("1", "north", 10)).await["consumed"], 0, "a repeat");
    assert_eq!(dev.api.show(&north).await["status"], "waiting");
    assert_eq!(dev.api.event(&event("4", "north", 11)).await["consumed"], 1);
    assert_eq!(dev.api.ends(&north).await["output"], json!({"values": [10, 11]}));
    let mut other_source = event("4", "south", 21);
    other_source["source"] = json!("/others");
    assert_eq!(
        dev.api.event(&other_source).await["consumed"],
        1,
        "another source is another event"
    );
    assert_eq!(dev.api.ends(&south).await["output"], json!({"values": [20, 21]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_every_instance_that_listens_for_it() {
    let dev = Dev::start().await;
    let first = listening(&dev.api, "hall").await;
    let second = listening(&dev.api, "hall").await;
    for (id, value) in [("1", 1), ("2", 2)] {
        assert_eq!(dev.api.event(&event(id, "hall", value)).await["consumed"], 2);
    }
    for id in [first, second] {
        assert_eq!(dev.api.ends(&id).await["output"], json!({"values": [1, 2]}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_and_the_binary_mode_are_taken() {
    let dev = Dev::start().await;
    let id = listening(&dev.api, "attic").await;
    let batch = json!([event("1", "attic", 1)]).to_string();
    let request = dev.api.request(reqwest::Method::POST, "/v1/events").body(batch);
    let request = request.header("content-type", "application/cloudevents-batch+json");
    assert_eq!(Api::send(request).await.unwrap().ok()["consumed"], 1);
    let mut request = dev.api.request(reqwest::Method::POST, "/v1/events").body(r#"{"value": 2}"#);
    for (name, value) in [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "2"),
        ("ce-source", "/sensors"),
        ("ce-type", "com.example.reading"),
        ("ce-roomid", "attic"),
    ] {
        request = request.header(name, value);
    }
    assert_eq!(Api::send(request).await.unwrap().ok()["consumed"], 1);
    assert_eq!(dev.api.ends(&id).await["output"], json!({"values": [1, 2]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_refused() {
    let dev = Dev::start().await;
    for wrong in [
        json!({"id": "1", "source": "/a"}),
        json!({"specversion": "0.3", "id": "1", "source": "/a", "type": "t"}),
        json!([1]),
        json!("text"),
    ] {
        let problem = dev.api.post("/v1/events", &wrong).await.problem(400);
        assert_eq!(problem["code"], "WL0513", "{wrong}: {problem}");
    }
}
