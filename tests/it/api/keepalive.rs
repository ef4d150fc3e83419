//! Calls whose connection closes at the moment they are sent: repeated where nothing is done twice.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::definition;
use crate::support::dev::Dev;

/// A server whose patience with a connection is over when the second request comes: it reads that,
/// and hangs up.
struct Impatient {
    address: SocketAddr,
    /// Method and `Idempotency-Key` of all that came.
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Impatient {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let into = seen.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, into.clone()));
            }
        });
        Self { address, seen }
    }

    /// Two calls of `method`, one after the other; gives how they ended and what was seen.
    async fn twice(&self, dev: &Dev, method: &str) -> (Value, Vec<(String, String)>) {
        let call = format!(
            "call: http, with: {{method: {method}, endpoint: 'http://{}/it'}}",
            self.address
        );
        let tasks = format!("- one: {{{call}}}\n- two: {{{call}}}\n");
        let workflow = dev.api.deploy(&definition(&format!("twice-{method}"), &tasks)).await;
        let view = dev.api.run(&workflow, &json!({})).await;
        (view, std::mem::take(&mut *self.seen.lock().unwrap()))
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Vec<(String, String)>>>) {
    let mut stream = BufReader::new(stream);
    for number in 0..2 {
        let (mut method, mut key, mut length) = (String::new(), String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            let lower = line.to_ascii_lowercase();
            if method.is_empty() {
                method = line.split(' ').next().unwrap().to_owned();
            } else if lower.starts_with("idempotency-key:") {
                key = line.split_once(": ").unwrap().1.to_owned();
            } else if let Some(given) = lower.strip_prefix("content-length: ") {
                length = given.parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        seen.lock().unwrap().push((method, key));
        if number == 0 {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
            let answer = format!("{head}content-length: 2\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_closes_while_idle_costs_nothing_where_nothing_is_done_twice() {
    let server = Impatient::start().await;
    let dev = Dev::start().await;
    let (view, seen) = server.twice(&dev, "get").await;
    assert_eq!((&view["status"], seen.len()), (&json!("completed"), 3), "{view}");

    // Nobody knows whether the second was looked at.
    let (view, seen) = server.twice(&dev, "post").await;
    assert_eq!((&view["status"], seen.len()), (&json!("faulted"), 2), "{view} {seen:?}");
    assert!(view["error"].to_string().contains("/errors/communication"), "{view}");

    let flags = ["--idempotent-host", "127.0.0.1"].map(str::to_owned);
    let dev = Dev::with(&flags).await;
    let (view, seen) = server.twice(&dev, "post").await;
    assert_eq!((&view["status"], seen.len()), (&json!("completed"), 3), "{view}");
    // The same one, by which the server can tell.
    assert!(seen[0].1 != seen[1].1 && seen[1].1 == seen[2].1 && !seen[1].1.is_empty(), "{seen:?}");
}
