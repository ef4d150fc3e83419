#![allow(clippy::unwrap_used)]

use windlass_proto::value::{Members, Value};

use super::{Address, Parameter};
use crate::perform::asyncapi::message::Envelope;
use crate::perform::asyncapi::server::Protocol;

fn parameter(name: &str, default: Option<&str>, location: Option<&str>) -> Parameter {
    Parameter {
        name: name.to_owned(),
        default: default.map(str::to_owned),
        choices: Vec::new(),
        location: location.map(str::to_owned),
    }
}

fn message(json: &str) -> Envelope {
    Envelope { payload: Value::from_json(json).unwrap(), headers: Value::Null }
}

fn given(json: &str) -> Members {
    Value::from_json(json).unwrap().into_members().unwrap()
}

#[test]
fn a_parameter_has_the_value_of_the_message_then_of_the_call_then_its_default() {
    let place = Some("$message.payload#/region");
    let address = Address::parse("o.{r}.x", &[parameter("r", Some("d"), place)]).unwrap();
    let fill = |message: Option<&Envelope>, call: &str| {
        address.fill(Protocol::Nats, message, &given(call)).unwrap()
    };
    assert_eq!(fill(Some(&message("{\"region\": \"m\"}")), "{\"r\": \"c\"}"), "o.m.x");
    assert_eq!(fill(Some(&message("{}")), "{\"r\": 7}"), "o.7.x");
    assert_eq!(fill(Some(&message("{}")), "{}"), "o.d.x");
    assert_eq!(fill(None, "{}"), "o.d.x");
    assert_eq!(address.template(), "o.{r}.x");
}

#[test]
fn what_a_subscription_leaves_open_is_any_value() {
    let address = Address::parse("a/{r}", &[]).unwrap();
    let fill = |protocol, message| address.fill(protocol, message, &Members::new());
    assert_eq!(fill(Protocol::Nats, None).unwrap(), "a/*");
    assert_eq!(fill(Protocol::Mqtt5, None).unwrap(), "a/+");
    for protocol in [Protocol::Http, Protocol::WebSocket] {
        assert!(fill(protocol, None).is_err(), "{protocol:?}");
    }
    let nothing = Envelope::default();
    for protocol in [Protocol::Nats, Protocol::Mqtt, Protocol::Http] {
        assert!(fill(protocol, Some(&nothing)).is_err(), "{protocol:?}");
    }
}

#[test]
fn data_makes_no_other_address() {
    let address = Address::parse("a/{r}/b", &[]).unwrap();
    let fill = |protocol, value: &str| {
        let given = Members::from_iter([("r".into(), Value::from(value))]);
        address.fill(protocol, None, &given)
    };
    assert_eq!(fill(Protocol::Http, "x/../y?z#ü").unwrap(), "a/x%2F..%2Fy%3Fz%23%C3%BC/b");
    for (protocol, values) in [
        (Protocol::Http, &["", ".", ".."][..]),
        (Protocol::Nats, &["", "a.b", "*", ">", "a b", "a\r\nPUB x 0"]),
        (Protocol::Mqtt, &["", "a/b", "+", "#", "a\0"]),
    ] {
        for value in values {
            let refused = fill(protocol, value).unwrap_err().detail.unwrap();
            assert!(value.len() < 3 || !refused.contains(value), "{refused}");
        }
    }
}

#[test]
fn only_a_value_of_the_enumeration_is_taken() {
    let choices = vec!["eu".to_owned(), "us".to_owned()];
    let region = Parameter { choices, ..parameter("r", None, None) };
    let address = Address::parse("{r}", &[region]).unwrap();
    let fill = |value: &str| {
        address.fill(Protocol::Nats, None, &Members::from_iter([("r".into(), Value::from(value))]))
    };
    assert_eq!(fill("eu").unwrap(), "eu");
    assert!(fill("asia").unwrap_err().detail.unwrap().contains("can be: eu, us"));
    assert!(Address::parse("{open", &[]).is_err());
}
