#![allow(clippy::unwrap_used)]

use bytes::BytesMut;
use windlass_proto::limits;

use super::super::super::message::Outgoing;
use super::{Outcome, Packet, Publication, Version, read, write};

const BOTH: [Version; 2] = [Version::V3, Version::V5];

fn message(headers: &[(&str, &str)]) -> Outgoing {
    let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let content_type = Some("application/json".to_owned());
    Outgoing { payload: b"{}".to_vec(), content_type, headers }
}

fn publication(topic: &str, message: Outgoing) -> Packet<'_> {
    Packet::Publish(Publication { topic, qos: 1, retain: false, packet: 1, message })
}

#[test]
fn a_message_comes_as_it_went_however_it_is_cut() {
    for version in BOTH {
        let bytes = write(version, publication("a/größer", message(&[("x", "1"), ("x", "2")])));
        let bytes = bytes.unwrap();
        let mut buffer = BytesMut::new();
        for at in 0..bytes.len() - 1 {
            buffer.extend_from_slice(&bytes[at..=at]);
            assert!(read(version, &mut buffer).unwrap().is_none(), "{version:?}, {at}");
        }
        buffer.extend_from_slice(&bytes[bytes.len() - 1..]);
        let Some(Packet::Message { incoming, qos, packet }) = read(version, &mut buffer).unwrap()
        else {
            panic!("{version:?}: no message")
        };
        assert_eq!((&*incoming.payload, qos, packet), (&b"{}"[..], 1, 1));
        let expected: &[(&str, &str)] = match version {
            Version::V3 => &[],
            Version::V5 => &[("x", "1, 2")],
        };
        let headers: Vec<_> =
            incoming.headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(headers, expected);
        let is_5 = version == Version::V5;
        assert_eq!(incoming.content_type.as_deref(), is_5.then_some("application/json"));
    }
}

#[test]
fn what_does_not_fit_is_not_cut() {
    let long = "x".repeat(70_000);
    for version in BOTH {
        assert!(write(version, publication(&long, message(&[]))).is_err(), "{version:?}");
        assert!(write(version, publication("a\0b", message(&[]))).is_err(), "{version:?}");
    }
    let headed = publication("a", message(&[("name", &long)]));
    let why = write(Version::V5, headed).unwrap_err();
    assert!(!why.contains("xxx"), "{why}");
}

#[test]
fn packets_that_are_too_large_are_refused_by_their_first_bytes() {
    // A PUBLISH of the longest length that can be written.
    let start = [0x30, 0xff, 0xff, 0xff, 0x7f];
    const { assert!(268_435_455 > limits::SUBSCRIBED_MESSAGE_BYTES) };
    for version in BOTH {
        let why = read(version, &mut BytesMut::from(&start[..])).err().unwrap();
        assert!(why.contains("larger than"), "{version:?}: {why}");
    }
}

#[test]
fn what_a_broker_says_is_told_apart() {
    let told = |version, bytes: &[u8]| read(version, &mut BytesMut::from(bytes)).unwrap().unwrap();
    for (version, bytes, expected) in [
        (Version::V3, &[0x20, 2, 0, 0][..], Outcome::Accepted),
        (Version::V3, &[0x20, 2, 0, 5], Outcome::Unauthenticated),
        (Version::V5, &[0x20, 3, 0, 0, 0], Outcome::Accepted),
        (Version::V5, &[0x20, 3, 0, 0x87, 0], Outcome::Unauthenticated),
        (Version::V5, &[0x20, 3, 0, 0x97, 0], Outcome::Refused("QuotaExceeded".to_owned())),
    ] {
        let Packet::Connected(outcome) = told(version, bytes) else { panic!("{bytes:?}") };
        assert_eq!(outcome, expected, "{bytes:?}");
    }
    let Packet::Subscribed(outcome) = told(Version::V3, &[0x90, 3, 0, 1, 0x80]) else { panic!() };
    assert_eq!(outcome, Outcome::Forbidden);
    let Packet::Acknowledged(outcome) = told(Version::V5, &[0x40, 4, 0, 1, 0x87, 0]) else {
        panic!()
    };
    assert_eq!(outcome, Outcome::Forbidden);
    assert!(matches!(told(Version::V5, &[0xe0, 2, 0x8e, 0]), Packet::Closed(_)));
}
