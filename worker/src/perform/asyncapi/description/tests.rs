#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use windlass_proto::value::{Members, Value};

use super::{Operation, Wanted, operation};
use crate::document::{Document, Fetched, Validators};
use crate::http_client::connect::Peer;
use crate::perform::asyncapi::server::Protocol;
use crate::perform::documents::{Documents, Trouble};

const VERSION_2: &str = include_str!("../../../../../tests/it/servers/asyncapi/version_2.yaml");
const VERSION_3: &str = include_str!("../../../../../tests/it/servers/asyncapi/version_3.yaml");

fn described(text: &str, wanted: &Wanted) -> Result<Operation, String> {
    let document = Arc::new(Document::new(text.to_owned(), Validators::default()));
    let url = "https://example.com/asyncapi.yaml".parse().unwrap();
    let documents = Documents::new(Fetched { document, url });
    operation(&documents, wanted).map_err(|trouble| match trouble {
        Trouble::Needs(url) => format!("needs {url}"),
        Trouble::Wrong(problem) => problem.detail.unwrap().to_string(),
    })
}

fn of_3(operation: &str, protocol: Option<&str>) -> Wanted {
    Wanted {
        operation: Some(operation.to_owned()),
        protocol: protocol.map(str::to_owned),
        variables: port("7"),
        publishes: true,
        ..Wanted::default()
    }
}

fn port(port: &str) -> Members {
    Members::from_iter([("port".into(), Value::from(port))])
}

/// `text` with its version replaced.
fn of_version(text: &str, version: &str) -> String {
    let (_, rest) = text.split_once('\n').unwrap();
    format!("asyncapi: '{version}'\n{rest}")
}

#[test]
fn an_operation_of_version_3_is_found_with_all_that_belongs_to_it() {
    for version in ["3.0.0", "3.1.0"] {
        let text = of_version(VERSION_3, version);
        let found = described(&text, &of_3("placeOrder", None)).unwrap();
        assert_eq!(found.server.protocol, Protocol::Nats);
        let peer = Peer { host: "127.0.0.1".to_owned(), port: 7, tls: false };
        assert_eq!(found.server.peer, peer);
        assert_eq!(found.address.template(), "orders.{region}.placed");
        assert_eq!(found.message.content_type.as_deref(), Some("application/json"));
        assert_eq!(found.message.correlation.as_deref(), Some("$message.header#/correlation"));
        // By its place in the description as well.
        described(&text, &of_3("#/operations/placeOrder", None)).unwrap();
    }
}

#[test]
fn an_operation_of_version_2_is_found_by_its_channel() {
    for version in ["2.0.0", "2.6.0"] {
        let text = of_version(VERSION_2, version);
        let wanted = Wanted {
            channel: Some("sensors/{room}/temperature".to_owned()),
            variables: port("7"),
            publishes: true,
            ..Wanted::default()
        };
        let found = described(&text, &wanted).unwrap();
        assert_eq!(found.server.protocol, Protocol::Mqtt);
        assert_eq!((found.server.peer.port, found.server.path.as_str()), (7, ""));
        assert_eq!(found.bindings.qos, Some(2));
        assert_eq!(found.message.content_type.as_deref(), Some("text/plain"));
        let found = described(&text, &Wanted { publishes: false, ..wanted }).unwrap();
        assert_eq!(found.bindings.qos, None);
        assert_eq!(found.message.correlation.as_deref(), Some("$message.payload#/id"));
    }
}

#[test]
fn a_channel_may_be_written_in_the_operation() {
    let found = described(VERSION_3, &of_3("inline", None)).unwrap();
    assert_eq!(found.address.template(), "inline.subject");
    assert_eq!(found.server.protocol, Protocol::Nats);
}

#[test]
fn servers_are_chosen_by_name_then_by_protocol_then_by_their_order() {
    let protocol = |protocol: Option<&str>, name: Option<&str>| {
        let server = name.map(str::to_owned);
        let wanted = Wanted { server, ..of_3("measure", protocol) };
        described(VERSION_3, &wanted).map(|it| it.server.protocol)
    };
    assert_eq!(protocol(None, None), Ok(Protocol::Mqtt));
    assert_eq!(protocol(Some("mqtt"), None), Ok(Protocol::Mqtt));
    assert_eq!(protocol(Some("mqtt5"), None), Ok(Protocol::Mqtt5));
    assert_eq!(protocol(None, Some("broker5")), Ok(Protocol::Mqtt5));
    // Where a server is named, the protocol does not count.
    assert_eq!(protocol(Some("pulsar"), Some("broker")), Ok(Protocol::Mqtt));
    let no_such = protocol(Some("ws"), None).unwrap_err();
    assert!(no_such.contains("no server of the protocol ws; it has: broker, broker5"), "{no_such}");
    let elsewhere = protocol(None, Some("bus")).unwrap_err();
    assert!(elsewhere.contains("no server bus; it has: broker, broker5"), "{elsewhere}");
    let unknown = described(VERSION_3, &of_3("stream", None)).unwrap_err();
    assert!(unknown.contains("speaks \"pulsar\", which is not supported"), "{unknown}");
}

#[test]
fn variables_stay_in_their_place() {
    let at = |value: &str| {
        let wanted = Wanted { variables: port(value), ..of_3("placeOrder", None) };
        described(VERSION_3, &wanted).map(|it| it.server.peer.port)
    };
    assert_eq!(at("4223"), Ok(4223));
    for value in ["1/x", "1@evil.example.com", "1?x", "..", "", "a b"] {
        assert!(at(value).unwrap_err().contains("would change its URL"), "{value}");
    }
    let missing = Wanted { variables: Members::new(), ..of_3("placeOrder", None) };
    assert!(described(VERSION_3, &missing).unwrap_err().contains("has no value"));
    let of_enum = |value: &str| {
        let stage = Members::from_iter([("stage".into(), Value::from(value))]);
        let wanted = Wanted { variables: stage, ..of_3("tell", Some("ws")) };
        described(VERSION_3, &wanted).map(|it| (it.server.peer, it.server.path))
    };
    let (peer, path) = of_enum("test").unwrap();
    assert_eq!((peer.shown().as_str(), peer.tls), ("test.example.com:443", true));
    assert_eq!(path, "/live");
    assert!(of_enum("elsewhere").unwrap_err().contains("can be: test, live"));
}

#[test]
fn what_is_not_there_is_said() {
    let of_channel = Wanted { channel: Some("x".to_owned()), ..Wanted::default() };
    for (text, wanted, expected) in [
        (VERSION_3, of_3("nope", None), "no operation nope; it has: placeOrder, "),
        (VERSION_3, of_channel.clone(), "called by `operation`"),
        (VERSION_3, of_3("nowhere", None), "leads nowhere"),
        (VERSION_3, of_3("round", None), "go round in a circle"),
        (VERSION_3, of_3("unaddressed", None), "has no address"),
        (VERSION_2, of_3("placeOrder", None), "called by `channel`"),
        (VERSION_2, of_channel.clone(), "no channel x; it has: sensors/"),
        ("asyncapi: 1.2.0", of_channel.clone(), "AsyncAPI 1.2.0 is not supported"),
        ("openapi: 3.0.0", of_channel, "no description of AsyncAPI"),
    ] {
        let found = described(text, &wanted).unwrap_err();
        assert!(found.contains(expected), "{found}");
    }
    let listens = Wanted { channel: Some("commands".to_owned()), ..Wanted::default() };
    let found = described(VERSION_2, &listens).unwrap_err();
    assert!(found.contains("no `subscribe`, which a call with `subscription` performs"), "{found}");
    let elsewhere = described(VERSION_3, &of_3("elsewhere", None)).unwrap_err();
    assert_eq!(elsewhere, "needs https://example.com/more.yaml");
}

#[test]
fn traits_add_to_an_operation_and_in_version_2_replace_what_it_says() {
    let found = described(VERSION_3, &of_3("measure", None)).unwrap();
    assert_eq!((found.bindings.qos, found.bindings.retain), (Some(1), true));
    let traits = "traits: [ { bindings: { mqtt: { qos: 0 }, nats: { queue: a } } }, \
                  { bindings: { nats: { queue: b } } } ]";
    let operation = format!("{traits}, bindings: {{ mqtt: {{ qos: 2 }} }}");
    let of_3 = described(
        &format!(
            "asyncapi: 3.0.0\nservers: {{ s: {{ host: h, protocol: nats }} }}\noperations: {{ o: \
             {{ channel: {{ address: a }}, {operation} }} }}"
        ),
        &of_3("o", None),
    );
    let wanted = Wanted { channel: Some("a".to_owned()), publishes: true, ..Wanted::default() };
    let of_2 = described(
        &format!(
            "asyncapi: 2.6.0\nservers: {{ s: {{ url: h, protocol: nats }} }}\nchannels: {{ a: {{ \
             publish: {{ {operation} }} }} }}"
        ),
        &wanted,
    );
    for (found, qos) in [(of_3, 2), (of_2, 0)] {
        let bindings = found.unwrap().bindings;
        assert_eq!((bindings.qos, bindings.queue.as_deref()), (Some(qos), Some("b")));
    }
}
