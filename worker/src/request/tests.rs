#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use windlass_proto::problem::Problem;

use super::{Extent, Request, send};
use crate::HttpOptions;
use crate::egress::Caller;
use crate::http_client::Clients;
use crate::seal::Seal;
use crate::testing::Audited;
use crate::testing::no_proxy;

/// How a server leaves a request unanswered.
#[derive(Clone, Copy)]
enum Hangup {
    /// It has read all of it, and closes.
    Read,
    /// It has read nothing of the body: the system resets the connection.
    Unread,
}

/// A server that hangs up as those do whose keep-alive is over: it answers the first request of a
/// connection and none after it.
struct Server {
    address: SocketAddr,
    /// The connection, the method and the key of each request.
    seen: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Server {
    /// Answers on the connections that `answers` names.
    async fn start(hangup: Hangup, answers: fn(usize) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = seen.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let into = into.clone();
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let first = read(&mut stream, Hangup::Read).await;
                    into.lock().unwrap().push((number, first));
                    if !answers(number) {
                        return;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    stream.write_all(answer).await.unwrap();
                    let next = read(&mut stream, hangup).await;
                    if !next.is_empty() {
                        into.lock().unwrap().push((number, next));
                    }
                });
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<(usize, String)> {
        self.seen.lock().unwrap().clone()
    }

    async fn call(&self, clients: &Clients, method: Method, keyed: bool) -> Result<(), Problem> {
        let mut headers = HeaderMap::new();
        if keyed {
            headers.insert("idempotency-key", "k1".parse().unwrap());
        }
        let url = format!("http://{}/it", self.address).parse().unwrap();
        // More than the server reads at once.
        let body = Some(vec![b'x'; 100_000]).filter(|_| method != Method::GET);
        let response = send(
            clients,
            &Request { method, url, headers, body, identity: None },
            Extent::all(100),
            Caller { seal: &Seal::default(), audit: &Audited::default().attempt() },
        )
        .await?;
        assert_eq!(response.body, b"ok");
        Ok(())
    }
}

/// Reads a request; gives its method and key, or nothing at the end of the connection.
async fn read(stream: &mut BufReader<TcpStream>, hangup: Hangup) -> String {
    let (mut told, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return String::new();
        }
        let line = line.trim_end().to_ascii_lowercase();
        if told.is_empty() {
            told = line.split(' ').next().unwrap().to_owned();
        } else if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        } else if let Some(value) = line.strip_prefix("idempotency-key: ") {
            told = format!("{told} {value}");
        } else if line.is_empty() {
            break;
        }
    }
    if matches!(hangup, Hangup::Read) {
        stream.read_exact(&mut vec![0; length]).await.unwrap();
    }
    told
}

fn seen(all: &[(usize, &str)]) -> Vec<(usize, String)> {
    all.iter().map(|(number, told)| (*number, (*told).to_owned())).collect()
}

#[tokio::test]
async fn what_may_be_repeated_is_sent_once_more_when_an_idle_connection_closes() {
    let clients = Clients::new(no_proxy()).unwrap();
    let server = Server::start(Hangup::Read, |_| true).await;
    server.call(&clients, Method::GET, false).await.unwrap();
    server.call(&clients, Method::GET, false).await.unwrap();
    assert_eq!(server.seen(), seen(&[(0, "get"), (0, "get"), (1, "get")]));
    for hangup in [Hangup::Read, Hangup::Unread] {
        let server = Server::start(hangup, |_| true).await;
        server.call(&clients, Method::PUT, false).await.unwrap();
        server.call(&clients, Method::PUT, false).await.unwrap();
        assert_eq!(server.seen(), seen(&[(0, "put"), (0, "put"), (1, "put")]));
    }
}

#[tokio::test]
async fn a_call_that_does_something_is_not_repeated_unless_its_host_is_known_to_tell() {
    let server = Server::start(Hangup::Read, |_| true).await;
    let clients = Clients::new(no_proxy()).unwrap();
    server.call(&clients, Method::POST, true).await.unwrap();
    let problem = server.call(&clients, Method::POST, true).await.unwrap_err();
    assert_eq!(problem.kind.rsplit('/').next(), Some("communication"));
    assert_eq!(server.seen(), seen(&[(0, "post k1"), (0, "post k1")]));

    let known = HttpOptions { idempotent_hosts: vec!["127.0.0.1".to_owned()], ..no_proxy() };
    let clients = Clients::new(known).unwrap();
    let server = Server::start(Hangup::Unread, |_| true).await;
    server.call(&clients, Method::POST, true).await.unwrap();
    server.call(&clients, Method::POST, true).await.unwrap();
    let expected = [(0, "post k1"), (0, "post k1"), (1, "post k1")];
    assert_eq!(server.seen(), seen(&expected));
    // The key is what tells: without one it could be done twice.
    let server = Server::start(Hangup::Read, |_| true).await;
    server.call(&clients, Method::POST, false).await.unwrap();
    assert!(server.call(&clients, Method::POST, false).await.is_err());
    assert_eq!(server.seen(), seen(&[(0, "post"), (0, "post")]));
}

#[tokio::test]
async fn a_new_connection_that_closes_is_a_failure_and_one_repeat_is_all() {
    let clients = Clients::new(no_proxy()).unwrap();
    let server = Server::start(Hangup::Read, |_| false).await;
    assert!(server.call(&clients, Method::GET, false).await.is_err());
    assert_eq!(server.seen(), seen(&[(0, "get")]));

    let server = Server::start(Hangup::Read, |number| number == 0).await;
    server.call(&clients, Method::GET, false).await.unwrap();
    assert!(server.call(&clients, Method::GET, false).await.is_err());
    assert_eq!(server.seen(), seen(&[(0, "get"), (0, "get"), (1, "get")]));
}
