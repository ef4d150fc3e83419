//! Connections that are opened and left: half-sent requests, idle ones, callers that wait.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::victim::Victim;
use super::{peak_memory, size};
use crate::support::client::Api;
use crate::support::dev::Dev;
use crate::support::until::moment;

/// A server whose process may open only so many descriptors.
async fn limited(descriptors: u32) -> Dev {
    let shell = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
    Dev::wrapped(&["sh", "-c", &shell].map(String::from), &[]).await
}

fn address(dev: &Dev) -> SocketAddr {
    dev.api.base().strip_prefix("http://").unwrap().parse().unwrap()
}

/// Opens a connection and sends this, whatever becomes of it.
async fn send(address: SocketAddr, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(bytes).await.ok()?;
    Some(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_keep_nobody_out() {
    let mut dev = limited(512).await;
    let at = address(&dev);
    let victim = Victim::begin(&dev.api).await;
    let head = b"POST /v1/instances HTTP/1.1\r\nhost: 127.0.0.1\r\n".as_slice();
    let body =
        b"POST /v1/instances HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
        content-length: 100\r\n\r\n{"
            .as_slice();
    let mut held = Vec::new();
    for number in 0..600 + 200 * size() {
        held.extend(send(at, if number % 2 == 0 { head } else { body }).await);
    }
    // Who was here before is served, and who comes now.
    for _ in 0..10 {
        Api::new(&dev.api.base()).get("/v1/workflows").await.ok();
    }
    moment(std::time::Duration::from_secs(2)).await;
    let memory = peak_memory(&mut dev);
    victim.end("half-sent requests", memory).await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_make_room_the_oldest_first() {
    let mut dev = limited(512).await;
    let at = address(&dev);
    let victim = Victim::begin(&dev.api).await;
    let mut held = Vec::new();
    for _ in 0..500 * size() {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.unwrap();
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "a new connection is not served");
        held.push(stream);
    }
    // The first of them is closed, the last is not.
    let mut rest = [0; 1];
    let first = held.first_mut().unwrap().read(&mut rest).await;
    assert!(matches!(first, Ok(0) | Err(_)), "{first:?}");
    let last = held.last_mut().unwrap();
    last.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.unwrap();
    assert_eq!(last.read(&mut rest).await.unwrap(), 1);
    let memory = peak_memory(&mut dev);
    victim.end("idle connections", memory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_wait_lock_nobody_out() {
    let mut dev = Dev::start().await;
    let at = address(&dev);
    let text = "document: {dsl: 1.0.3, namespace: attacker, name: sleep, version: 1.0.0}\n\
                do: [{w: {wait: PT1H}}]\n";
    let sleep = dev.api.deploy(text).await;
    let id = dev.api.start(&sleep, &json!({})).await;
    let wait =
        format!("GET /v1/instances/{id}/output?wait=60s HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    let mut held = Vec::new();
    for _ in 0..1_100 * size().min(4) {
        held.extend(send(at, wait.as_bytes()).await);
    }
    let victim = Victim::begin(&dev.api).await;
    moment(std::time::Duration::from_secs(2)).await;
    // Whoever operates it gets through, and the callers learn of the end.
    dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    for stream in &mut held {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 20"), "{:?}", String::from_utf8_lossy(&answer));
    }
    let memory = peak_memory(&mut dev);
    victim.end("callers that wait", memory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_soft_limit_of_descriptors_is_raised() {
    let shell = "ulimit -S -n 300 && exec \"$0\" \"$@\"";
    let mut dev = Dev::wrapped(&["sh", "-c", shell].map(String::from), &[]).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", dev.process().id())).unwrap();
    let line = limits.lines().find(|it| it.starts_with("Max open files")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
    assert_ne!(words[3], "300", "{line}");
}
