#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use hyper::http::Uri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::Instant;
use tokio_websockets::ClientBuilder;
use windlass_proto::limits;

use super::{Socket, keep_alive};
use crate::http_client::connect::{Connection, Peer};

fn peer() -> Peer {
    Peer { host: "chat.test".to_owned(), port: 80, tls: false }
}

fn builder() -> ClientBuilder<'static> {
    ClientBuilder::from_uri(Uri::from_static("ws://chat.test/"))
}

/// A socket that is open, and the server's end of it.
fn open() -> (Socket, DuplexStream) {
    let (here, there) = tokio::io::duplex(1_024);
    let stream: Box<dyn Connection> = Box::new(here);
    let ping = Instant::now() + keep_alive();
    let socket = Socket { stream: builder().take_over(stream), peer: peer(), ping, lives: true };
    (socket, there)
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_the_time_that_a_connection_has() {
    let (here, _there) = tokio::io::duplex(1_024);
    let began = Instant::now();
    let Err(problem) = Socket::open(&builder(), Box::new(here), peer()).await else {
        panic!("nobody answered")
    };
    assert_eq!(began.elapsed(), Duration::from_millis(limits::CONNECT_TIMEOUT_MS));
    let detail = problem.detail.unwrap();
    assert_eq!(&*detail, "chat.test:80 failed: the handshake of WebSocket timed out");
    assert_eq!(problem.status, 503);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_quiet_is_asked_whether_it_is_there() {
    let (mut socket, mut there) = open();
    let began = Instant::now();
    let server = async {
        // A ping of a client: two bytes and its mask.
        let mut ping = [0; 6];
        there.read_exact(&mut ping).await.unwrap();
        assert_eq!((ping[0], ping[1]), (0x89, 0x80));
        assert_eq!(began.elapsed(), keep_alive());
        there.write_all(&[0x8a, 0]).await.unwrap();
        there.read_exact(&mut ping).await.unwrap();
        assert_eq!(began.elapsed(), keep_alive() * 2);
        // A message is a sign of life as well.
        there.write_all(b"\x81\x02hi").await.unwrap();
        there
    };
    let (message, there) = tokio::join!(socket.next(), server);
    assert_eq!(&*message.unwrap().payload, b"hi");
    // From here on it says nothing any more.
    let Err(problem) = socket.next().await else { panic!("nobody said anything") };
    assert_eq!(began.elapsed(), keep_alive() * 4);
    assert_eq!(&*problem.detail.unwrap(), "chat.test:80 failed: it does not answer any more");
    drop(there);
}
