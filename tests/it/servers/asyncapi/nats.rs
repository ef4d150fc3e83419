//! nats-server.

use serde_json::{Value, json};

use super::{VERSION_2, publishes, subscribes, with};
use crate::support::dev::Dev;
use crate::support::grpc::{definition, error, output, run, run_on};
use crate::support::nats::{Bus, Nats};
use crate::support::otlp::{Collector, Receiver};
use crate::support::tls::{Certificates, certificates};
use crate::support::until::{SOON, until};

/// Waits until somebody listens to `subject`, or nobody does any more.
pub(super) async fn listened(nats: &Nats, subject: &str, wanted: bool) {
    until(SOON, &format!("{subject} listened to: {wanted}"), async || {
        let told = nats.monitor("/subsz?subs=1&limit=1000").await;
        let all = told["subscriptions_list"].as_array().cloned().unwrap_or_default();
        (all.iter().any(|it| it["subject"] == subject) == wanted).then_some(())
    })
    .await;
}

/// Headers and body of a message.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_published_to_the_subject_that_it_names() {
    let (nats, dev) = (Nats::start().await, Dev::start().await);
    let mut bus = Bus::connect(nats.port()).await;
    bus.subscribe(">").await;
    let call = with("placeOrder", "bus", nats.port());
    let call = publishes(call, &json!("${ .order }"), &json!({"x-shop": "harbour", "n": 7}));
    let input = json!({"order": {"region": "eu", "text": "größer"}});
    let view = run_on(&dev.api, "place", &call, &input).await;
    // What was published is all there is to say: the input goes on.
    assert_eq!(output(&view), &input);
    let heard = bus.next().await;
    assert_eq!(heard.subject, "orders.eu.placed");
    let heard = text(&heard.bytes);
    assert!(heard.ends_with("\r\n\r\n{\"region\":\"eu\",\"text\":\"größer\"}"), "{heard}");
    for header in ["x-shop: harbour", "n: 7", "Content-Type: application/json"] {
        assert!(heard.contains(header), "no {header}: {heard}");
    }
    // By this a stream leaves out what comes twice.
    let id = view["id"].as_str().unwrap();
    assert!(heard.contains(&format!("Nats-Msg-Id: {id}/do/0/it")), "{heard}");

    // A channel that is written in the operation, and a description of version 2.
    let inline = publishes(with("inline", "bus", nats.port()), &json!([1]), &json!({}));
    output(&run(&dev.api, "inline", &inline).await);
    assert_eq!(bus.next().await.subject, "inline.subject");
    let mut older = with("", "bus", nats.port());
    older.as_object_mut().unwrap().remove("operation");
    older["document"]["endpoint"] = json!(VERSION_2);
    older["channel"] = json!("commands");
    output(&run(&dev.api, "older", &publishes(older, &json!("go"), &json!({}))).await);
    let heard = bus.next().await;
    assert_eq!(heard.subject, "commands");
    assert!(text(&heard.bytes).ends_with("\r\n\r\ngo"), "{heard:?}");

    for (payload, expected) in
        [(json!({"region": "a.b"}), "would make another address"), (json!({}), "has no value")]
    {
        let call = publishes(with("placeOrder", "bus", nats.port()), &payload, &json!({}));
        let (kind, status, detail) = error(&run(&dev.api, "wrong", &call).await);
        assert_eq!((kind.as_str(), status), ("configuration", 400), "{detail}");
        assert!(detail.contains(expected), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_taken_in_their_order_until_there_are_enough() {
    let (nats, dev) = (Nats::start().await, Dev::start().await);
    let subscription = json!({
        "filter": "${ .payload.n % 2 == 0 and .payload.n >= $input.from }",
        "consume": {"amount": 3},
        "foreach": {
            "item": "order", "at": "place",
            "output": {"as": "${ {n: .payload.n, same: $order.payload.n, at: $place, header: .headers.h, id: .correlationId} }"},
        },
    });
    let call = subscribes(with("placeOrder", "bus", nats.port()), &subscription);
    // What the task itself evaluates has its own `$order`.
    let call = format!(
        "for: {{each: order, in: '${{ [7] }}'}}, do: [{{take: {{{call}, \
         output: {{as: '${{ {{order: $order, taken: .}} }}'}}}}}}]"
    );
    let workflow = dev.api.deploy(&definition("take", &call)).await;
    let id = dev.api.start(&workflow, &json!({"from": 4})).await;
    // A parameter that is left open is any value.
    listened(&nats, "orders.*.placed", true).await;
    let client = async_nats::connect(nats.url()).await.unwrap();
    for n in 0..20 {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("h", format!("{n}").as_str());
        headers.insert("correlation", format!("c{n}").as_str());
        let body = json!({"n": n}).to_string();
        client.publish_with_headers("orders.us.placed", headers, body.into()).await.unwrap();
    }
    client.flush().await.unwrap();
    let view = dev.api.ends(&id).await;
    let item = |n: u32, at: u32| json!({"n": n, "same": n, "at": at, "header": n.to_string(), "id": format!("c{n}")});
    let taken = [item(4, 0), item(6, 1), item(8, 2)];
    assert_eq!(output(&view), &json!({"order": 7, "taken": taken}));
    listened(&nats, "orders.*.placed", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_and_until_see_the_message_that_was_taken() {
    let (nats, dev) = (Nats::start().await, Dev::start().await);
    for (name, condition, value) in
        [("while", "${ .payload.n < 2 }", ""), ("until", "${ .payload.n == 2 }", "")]
    {
        let mut subscription = json!({"consume": {}});
        subscription["consume"][name] = json!(format!("{condition}{value}"));
        subscription["foreach"] = json!({"output": {"as": "${ .payload.n }"}});
        let call = subscribes(with("inline", "bus", nats.port()), &subscription);
        let workflow = dev.api.deploy(&definition(name, &call)).await;
        let id = dev.api.start(&workflow, &json!({})).await;
        listened(&nats, "inline.subject", true).await;
        let mut bus = Bus::connect(nats.port()).await;
        for n in 0..5 {
            bus.publish("inline.subject", format!("{{\"n\": {n}}}").as_bytes()).await;
        }
        assert_eq!(output(&dev.api.ends(&id).await), &json!([0, 1, 2]), "{name}");
        listened(&nats, "inline.subject", false).await;
    }
    // The time to listen is over: that is an end as any other.
    let subscription = json!({"consume": {"amount": 5, "for": {"milliseconds": 200}}});
    let call = subscribes(with("inline", "bus", nats.port()), &subscription);
    assert_eq!(output(&run(&dev.api, "for", &call).await), &json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_so() {
    let users = "authorization { users = [ {user: open, password: o}, {user: ada, password: \
                 \"haul away\", permissions: {publish: [\"orders.>\"], subscribe: \
                 [\"orders.>\"]}} ] }\nno_auth_user: open";
    let (nats, dev) = (Nats::with(users).await, Dev::start().await);
    let mut bus = Bus::connect(nats.port()).await;
    bus.subscribe("orders.>").await;
    let as_ada = |operation: &str, password: &str| {
        let mut with = with(operation, "bus", nats.port());
        with["authentication"] = json!({"basic": {"username": "ada", "password": password}});
        with
    };
    let message = |with: Value| publishes(with, &json!({"region": "eu"}), &json!({}));
    let permitted = message(as_ada("placeOrder", "haul away"));
    output(&run(&dev.api, "permitted", &permitted).await);
    assert_eq!(bus.next().await.subject, "orders.eu.placed");
    let listen = json!({"consume": {"amount": 1}});
    let wrong = message(as_ada("placeOrder", "wrong"));
    for (name, call, status) in [
        ("wrong", wrong, 401),
        ("forbidden", message(as_ada("inline", "haul away")), 403),
        ("deaf", subscribes(as_ada("inline", "haul away"), &listen), 403),
    ] {
        let (kind, found, detail) = error(&run(&dev.api, name, &call).await);
        assert_eq!((kind.as_str(), found), ("communication", status), "{name}: {detail}");
        assert!(!detail.contains("haul away"), "{detail}");
    }
    let mut digest = as_ada("placeOrder", "haul away");
    digest["authentication"] = json!({"digest": {"username": "ada", "password": "x"}});
    let (kind, _, detail) = error(&run(&dev.api, "digest", &message(digest)).await);
    assert_eq!(kind, "configuration", "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_for_the_name_in_the_description() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    for (name, host) in [("right", "127.0.0.1"), ("other", "other.example.com")] {
        let Certificates { authority, server, .. } = certificates(&[host]);
        for (part, text) in [("ca", authority), ("pem", server.0), ("key", server.1)] {
            std::fs::write(folder.path().join(format!("{name}.{part}")), text).unwrap();
        }
    }
    let message =
        |nats: &Nats| publishes(with("inline", "bus", nats.port()), &json!(1), &json!({}));
    for (name, outcome) in [("right", None), ("other", Some("TLS: "))] {
        let tls = format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\" }}",
            place(&format!("{name}.pem")),
            place(&format!("{name}.key"))
        );
        let nats = Nats::with(&tls).await;
        let dev = Dev::with(&["--ca-file".to_owned(), place(&format!("{name}.ca"))]).await;
        let view = run(&dev.api, name, &message(&nats)).await;
        match outcome {
            None => assert_eq!(output(&view), &json!({})),
            Some(part) => {
                let (kind, status, detail) = error(&view);
                assert_eq!((kind.as_str(), status), ("communication", 503), "{detail}");
                assert!(detail.contains(part), "{detail}");
            }
        }
        if outcome.is_none() {
            // An authority that nobody has named.
            let stranger = Dev::start().await;
            let (_, _, detail) = error(&run(&stranger.api, "stranger", &message(&nats)).await);
            assert!(detail.contains("TLS: ") && detail.contains("UnknownIssuer"), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_message_has_a_span_whose_context_goes_with_it() {
    let (nats, receiver) = (Nats::start().await, Receiver::start().await);
    let collector = Collector::before(&receiver).await;
    let dev = Dev::with(&["--otlp-endpoint".to_owned(), collector.http()]).await;
    let mut bus = Bus::connect(nats.port()).await;
    bus.subscribe("orders.>").await;
    let call = with("placeOrder", "bus", nats.port());
    let call = publishes(call, &json!({"region": "eu"}), &json!({}));
    output(&run(&dev.api, "traced", &call).await);
    let heard = text(&bus.next().await.bytes);
    let parent = heard.lines().find_map(|it| it.strip_prefix("traceparent: ")).unwrap();
    // The region is the caller's data, so it is not told.
    let name = "send orders.{region}.placed";
    let spans = receiver.trace(&parent[3..35], name).await;
    let span = spans.into_iter().find(|it| it.name == name).unwrap();
    // A producer.
    assert_eq!((span.id.as_str(), span.kind), (&parent[36..52], 4), "{span:?}");
    for (name, value) in [
        ("messaging.system", json!("nats")),
        ("messaging.operation.name", json!("send")),
        ("messaging.operation.type", json!("send")),
        ("messaging.destination.template", json!("orders.{region}.placed")),
        ("server.address", json!("127.0.0.1")),
        ("server.port", json!(nats.port())),
    ] {
        assert_eq!(span.attributes.get(name), Some(&value), "{span:?}");
    }
}
