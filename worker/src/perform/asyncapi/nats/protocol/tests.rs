#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::BytesMut;
use windlass_proto::limits;

use super::{Told, connect, publish, read, subscribe};
use crate::perform::asyncapi::message::Outgoing;

fn outgoing(headers: &[(&str, &str)]) -> Outgoing {
    let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Outgoing { payload: b"{}".to_vec(), content_type: Some("a/b".to_owned()), headers }
}

#[test]
fn what_a_server_says_is_read_however_it_is_cut() {
    let text = "INFO {\"tls_required\":true,\"max_payload\":7}\r\nPING\r\n\
                MSG a.b 1 5\r\nhe\r\no\r\nHMSG a 1 reply 25 27\r\nNATS/1.0\r\nh: 1\r\nh:  2\r\n\r\n{}\r\n\
                pong\r\n+OK\r\n-ERR 'Authorization Violation'\r\n";
    for size in [1, 2, 3, 10, 1_000] {
        let (mut buffer, mut all) = (BytesMut::new(), Vec::new());
        for chunk in text.as_bytes().chunks(size) {
            buffer.extend_from_slice(chunk);
            while let Some(told) = read(&mut buffer).unwrap() {
                all.push(told);
            }
        }
        assert!(buffer.is_empty());
        let mut all = all.into_iter();
        let mut next = || all.next().unwrap();
        assert!(matches!(next(), Told::Info { tls: true, most: 7 }), "in pieces of {size}");
        assert!(matches!(next(), Told::Ping));
        let Told::Message(plain) = next() else { panic!() };
        assert_eq!((&*plain.payload, plain.headers.len()), (&b"he\r\no"[..], 0));
        let Told::Message(headed) = next() else { panic!() };
        assert_eq!(&*headed.payload, b"{}");
        assert_eq!(headed.headers, [("h".to_owned(), "1, 2".to_owned())]);
        assert!(matches!(next(), Told::Pong) && matches!(next(), Told::Other));
        assert!(matches!(next(), Told::Error(why) if why == "Authorization Violation"));
    }
}

#[test]
fn what_is_no_protocol_of_nats_is_refused() {
    let most = limits::SUBSCRIBED_MESSAGE_BYTES;
    for text in [
        "HTTP/1.1 400 Bad Request\r\n",
        "INFO nothing\r\n",
        "MSG a 1 x\r\n",
        "MSG a 1\r\n",
        "HMSG a 1 5 3\r\nabcde\r\n",
        "MSG a 1 2\r\nabcd",
        &format!("MSG a 1 {}\r\n", most + 1),
        &format!("HMSG a 1 {most} {most}\r\n"),
    ] {
        let read = read(&mut BytesMut::from(text));
        assert!(read.is_err(), "{text:?}: {read:?}");
    }
    let mut endless = BytesMut::from(&vec![b'x'; limits::NATS_LINE_BYTES + 1][..]);
    assert!(read(&mut endless).is_err());
}

#[test]
fn nothing_that_is_sent_can_be_more_than_it_is() {
    let message = outgoing(&[("a", "b: c"), ("A", "d")]);
    let packet = String::from_utf8(publish("x.y", &message).unwrap()).unwrap();
    let headers = "NATS/1.0\r\na: b: c\r\nA: d\r\nContent-Type: a/b\r\n\r\n";
    let (head, all) = (headers.len(), headers.len() + 2);
    assert_eq!(packet, format!("HPUB x.y {head} {all}\r\n{headers}{{}}\r\nPING\r\n"));
    for subject in ["", ".", "a.", "a..b", "a b", "a\r\nPUB b 0\r\n", "a.*", "a.>"] {
        assert!(publish(subject, &message).is_err(), "{subject:?}");
    }
    for (name, value) in [("", "x"), ("a:b", "x"), ("a b", "x"), ("a", "x\r\ny: z"), ("ä", "x")] {
        let why = publish("x", &outgoing(&[(name, value)])).unwrap_err();
        assert!(!why.contains("y: z"), "{why}");
    }
    assert_eq!(subscribe("a.*", None).unwrap(), b"SUB a.* 1\r\nPING\r\n");
    assert_eq!(subscribe("a.>", Some("q")).unwrap(), b"SUB a.> q 1\r\nPING\r\n");
    assert!(subscribe("a b", None).is_err() && subscribe("a", Some("q 2")).is_err());
    assert!(connect(None, false).ends_with(b"}\r\nPING\r\n"));
}
