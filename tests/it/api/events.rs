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
    // SDKs put the time of reading into an event that has none, and forward it so.
    for time in ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"] {
        let mut read_again = event("1", "north", 10);
        read_again["time"] = json!(time);
        assert_eq!(dev.api.event(&read_again).await["consumed"], 0, "a repeat, whatever its time");
    }
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
async fn data_in_binary_mode_is_what_sdks_mean_by_it() {
    let dev = Dev::start().await;
    let listens = definition(
        "hears",
        "  - hear: { listen: { to: { one: { with: { type: said } } }, read: envelope } }",
    );
    let workflow = dev.api.deploy(&listens).await;
    let send = async |number: usize, kind: &str, body: &str| {
        let request = dev.api.request(reqwest::Method::POST, "/v1/events").body(body.to_owned());
        let headers = [("ce-specversion", "1.0"), ("ce-source", "/sdk"), ("ce-type", "said")];
        let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
        let request = request.header("content-type", kind).header("ce-id", number.to_string());
        Api::send(request).await.unwrap()
    };
    for (number, (kind, body, data)) in [
        ("application/json", "hi", json!("hi")),
        ("application/json", r#""hi""#, json!("hi")),
        ("application/json; charset=utf-8", r#"{"a": 1}"#, json!({"a": 1})),
        ("application/xml", "<a/>", json!("<a/>")),
        ("application/soap+xml", "<b/>", json!("<b/>")),
        ("text/csv", "a;b", json!("a;b")),
    ]
    .into_iter()
    .enumerate()
    {
        let id = dev.api.start(&workflow, &json!({})).await;
        dev.api.reaches(&id, "waiting").await;
        assert_eq!(send(number, kind, body).await.ok()["consumed"], 1, "{kind} {body}");
        let heard = dev.api.ends(&id).await["output"][0].clone();
        assert_eq!(heard["data"], data, "{kind} {body}: {heard}");
    }
    let refused = send(99, "application/json", r#"{"a": 1"#).await.problem(400);
    assert_eq!(refused["code"], "WL0513", "what begins as JSON was meant to be some: {refused}");
    let metrics = dev.api.get("/metrics").await.ok();
    let counted = "windlass_events_unquoted_total 1\n";
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_refused() {
    let dev = Dev::start().await;
    let event = |name: &str, value: Value| {
        let mut event = json!({"specversion": "1.0", "id": "1", "source": "/a", "type": "t"});
        event[name] = value;
        event
    };
    for (wrong, said) in [
        (json!({"order": 4711}), "it has no `specversion`, no `id`, no `source`, no `type`"),
        (json!({"id": "1", "source": "/a", "type": "t"}), "it has no `specversion`"),
        (json!({"specversion": "1.0", "id": "1", "source": "/a"}), "it has no `type`"),
        (event("specversion", json!("0.3")), "`specversion` must be"),
        (event("time", json!("yesterday")), "`time` must be a time of RFC 3339"),
        (event("time", json!(1_769_860_800)), "`time` must be"),
        (event("subject", json!({"a": 1})), "`subject` must be"),
        (json!([1]), "must be a JSON object"),
        (json!("text"), "must be a JSON object"),
    ] {
        for kind in ["application/json", "application/cloudevents+json"] {
            let request = dev.api.request(reqwest::Method::POST, "/v1/events");
            let request = request.header("content-type", kind).body(wrong.to_string());
            let problem = Api::send(request).await.unwrap().problem(400);
            assert_eq!(problem["code"], "WL0513", "{wrong}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains(said), "{wrong}: {problem}");
        }
    }
    let request = dev.api.request(reqwest::Method::POST, "/v1/events").body("{}");
    let headers = [("ce-id", "1"), ("ce-source", "/a"), ("ce-type", "t"), ("ce-time", "12:00")];
    let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
    let send = |request| async { Api::send(request).await.unwrap().problem(400)["detail"].clone() };
    let request = request.header("content-type", "application/json");
    let told = send(request.try_clone().unwrap()).await;
    assert_eq!(told, "not a CloudEvent: it has no `specversion`");
    let told = send(request.header("ce-specversion", "1.0")).await;
    assert!(told.as_str().unwrap().contains("`time` must be a time of RFC 3339"), "{told}");
}
