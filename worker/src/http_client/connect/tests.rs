#![allow(clippy::unwrap_used)]

use super::{Peer, authority};
use crate::egress::{Caller, Egress};
use crate::http_client::{Clients, HttpOptions};
use crate::seal::Seal;
use crate::testing::Audited;

#[test]
fn an_authority_is_a_host_and_perhaps_a_port() {
    let found = |host: &str, port| Some((host.to_owned(), port));
    for (text, expected) in [
        ("Broker.example.com", found("broker.example.com", None)),
        ("broker:1883", found("broker", Some(1883))),
        ("127.0.0.1:80", found("127.0.0.1", Some(80))),
        ("[::1]:4222", found("::1", Some(4222))),
        ("", None),
        ("a:b", None),
        ("a:99999", None),
        ("user:word@a", None),
        ("a/b", None),
        ("a?b", None),
        ("a b", None),
        ("a{b}", None),
    ] {
        assert_eq!(authority(text), expected, "{text:?}");
    }
}

#[tokio::test]
async fn the_egress_policy_decides_before_there_is_a_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let resolve = vec![format!("broker.example.com:{port}:127.0.0.1").parse().unwrap()];
    let options = HttpOptions { resolve, egress: Egress::public(), ..HttpOptions::default() };
    let clients = Clients::new(options).unwrap();
    let (seal, audited) = (Seal::default(), Audited::default());
    let audit = &audited.attempt();
    let caller = Caller { seal: &seal, audit };
    let peer = |host: &str| Peer { host: host.to_owned(), port, tls: false };
    for host in ["127.0.0.1", "::1", "localhost", "2130706433"] {
        let refused = clients.connect(&peer(host), caller).await.err().unwrap();
        assert_eq!(refused.status, 403, "{host}: {refused:?}");
        assert_eq!(audited.take().len(), 1, "{host}");
    }
    // What the operator has given a host may be called.
    clients.connect(&peer("broker.example.com"), caller).await.ok().unwrap();
    let (_, from) = listener.accept().await.unwrap();
    assert!(from.ip().is_loopback());
}
