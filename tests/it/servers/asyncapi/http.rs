//! HTTP, with a stub: it shows every request.

use serde_json::{Value, json};

use super::{publishes, subscribes, with};
use crate::support::dev::Dev;
use crate::support::grpc::{error, output, run};
use crate::support::stub::{Reply, Seen, Stub};

fn answer(seen: &Seen) -> Reply {
    let events = "id: 1\ndata: {\"n\": 1}\n\n: a comment\n\ndata: {\"n\": 2}\nevent: told\n\n";
    let authorized = seen.header("authorization") == Some("Bearer t0ken");
    match (seen.method.as_str(), seen.path.as_str()) {
        ("PUT", "/api/documents/a%2Fb") => Reply::Json(201, json!({})),
        ("PUT", "/api/documents/full") => Reply::Text(507, "no room: größer".to_owned()),
        ("GET", "/api/news") if seen.query.is_empty() && authorized => {
            Reply::Raw(200, "text/event-stream; charset=utf-8", events.as_bytes().to_vec())
        }
        ("GET", "/api/news") => Reply::Text(401, "who is it?".to_owned()),
        _ => Reply::Text(404, "no such thing".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_the_body_of_a_request() {
    let (stub, dev) = (Stub::http(answer).await, Dev::start().await);
    let port = stub.address.port();
    let call = |name: &str| {
        let payload = json!({"name": name, "text": "größer"});
        publishes(with("file", "web", port), &payload, &json!({"x-shop": "harbour"}))
    };
    assert_eq!(output(&run(&dev.api, "file", &call("a/b")).await), &json!({}));
    let seen = &stub.seen()[0];
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body, json!({"name": "a/b", "text": "größer"}));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("x-shop"), Some("harbour"));
    assert!(seen.header("idempotency-key").unwrap().contains("/do/0/it"));

    let (kind, status, detail) = error(&run(&dev.api, "full", &call("full")).await);
    assert_eq!((kind.as_str(), status), ("communication", 507), "{detail}");
    assert!(detail.ends_with("no room: größer"), "{detail}");
    assert_eq!(stub.seen().len(), 2, "nothing is sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_response_are_messages() {
    let (stub, dev) = (Stub::http(answer).await, Dev::start().await);
    let call = |amount: u32, token: &str| {
        let mut with = with("read", "web", stub.address.port());
        with["authentication"] = json!({"bearer": {"token": token}});
        subscribes(with, &json!({"consume": {"amount": amount}}))
    };
    let got = run(&dev.api, "two", &call(2, "t0ken")).await;
    assert_eq!(
        output(&got),
        &json!([
            {"payload": {"n": 1}, "headers": {"id": "1"}},
            {"payload": {"n": 2}, "headers": {"event": "told"}},
        ])
    );
    assert!(stub.seen()[0].header("accept").unwrap().contains("text/event-stream"));
    // A stream that ends before there are enough is no success.
    let (kind, status, detail) = error(&run(&dev.api, "three", &call(3, "t0ken")).await);
    assert_eq!((kind.as_str(), status), ("communication", 503), "{detail}");
    assert!(detail.contains("the server has ended the stream"), "{detail}");
    let (kind, status, detail) = error(&run(&dev.api, "nobody", &call(1, "wrong")).await);
    assert_eq!((kind.as_str(), status), ("communication", 401), "{detail}");
    assert!(detail.contains("who is it?"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_called_is_a_configuration_error() {
    let dev = Dev::start().await;
    let message = |with: Value| publishes(with, &json!({}), &json!({}));
    for (name, operation, server, expected) in [
        ("pulsar", "stream", "log", "which is not supported"),
        ("unknown", "nothing", "web", "has no operation nothing"),
        ("elsewhere", "file", "bus", "has no server bus; it has: web"),
    ] {
        let call = message(with(operation, server, 1));
        let (kind, status, detail) = error(&run(&dev.api, name, &call).await);
        assert_eq!((kind.as_str(), status), ("configuration", 400), "{detail}");
        assert!(detail.contains(expected), "{detail}");
    }
    // What is known before is said before.
    let text = |with: &str| {
        let task = format!("call: asyncapi, with: {{document: {{endpoint: 'file://a'}}, {with}}}");
        crate::support::grpc::definition("refused", &task)
    };
    for (with, expected) in [
        ("operation: a, protocol: pulsar, message: {}", "the protocol `pulsar` of AsyncAPI"),
        (
            "operation: a, subscription: {consume: {amount: 1}, foreach: {do: [{a: {set: {b: 1}}}]}}",
            "`foreach.do` of an AsyncAPI subscription",
        ),
        (
            "operation: a, subscription: {consume: {amount: 1}, foreach: {export: {as: '${ . }'}}}",
            "`foreach.export` of an AsyncAPI subscription",
        ),
    ] {
        let refused = dev.api.deploy_text(&text(with)).await;
        assert!(!refused.status.is_success(), "{}", refused.body);
        assert!(refused.body.to_string().contains(expected), "{}", refused.body);
    }
}
