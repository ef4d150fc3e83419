#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::{
    ACK, BLOCKED, CHANNEL, CHANNEL_CLOSE, CHANNEL_CLOSE_OK, CONFIRM_OK, Client, DELIVER, limits,
};
use crate::http_client::connect::Peer;
use crate::perform::asyncapi::amqp::frame::Writer;

/// A client that is connected, and the broker's end of the connection.
fn connected() -> (Client, DuplexStream) {
    let (near, far) = tokio::io::duplex(limits::AMQP_FRAME_BYTES as usize);
    let peer = Peer { host: "broker.test".to_owned(), port: 5672, tls: false };
    let mut client = Client::on(Box::new(near), peer);
    client.is_known = true;
    (client, far)
}

/// What a broker sends before the bytes of a message.
fn delivery(number: u64) -> Writer {
    Writer::default().method(CHANNEL.get(), DELIVER, |it| {
        it.short_text("consumer");
        it.longlong(number);
        it.octet(0);
        it.short_text("");
        it.short_text("key");
    })
}

/// The header of a message of so many bytes, with one header of its own.
fn headed(message: Writer, size: u64) -> Writer {
    message.header(CHANNEL.get(), |it| {
        it.short(60);
        it.short(0);
        it.longlong(size);
        it.short(1 << 13);
        it.table(|it| it.text("a", "b"));
    })
}

#[tokio::test]
async fn a_message_has_one_header() {
    let (mut client, mut broker) = connected();
    let whole = headed(delivery(7), 2).body(CHANNEL.get(), b"it");
    broker.write_all(&whole.0).await.unwrap();
    let (number, message) = client.next().await.unwrap();
    assert_eq!((number, &*message.payload, message.headers.len()), (7, &b"it"[..], 1));

    broker.write_all(&headed(headed(delivery(8), 2), 2).0).await.unwrap();
    let refused = client.next().await.map(drop).unwrap_err();
    assert!(refused.detail.unwrap().contains("out of turn"));
}

/// What a client that publishes a message of so many bytes says of a broker that sends `said` at
/// first, and beats from then on; it reads what comes, or nothing.
async fn published(bytes: usize, said: Writer, reads: bool) -> Result<(), String> {
    let (mut client, broker) = connected();
    let (mut from, mut to) = tokio::io::split(broker);
    let payload = vec![b'.'; bytes];
    let properties = |it: &mut super::Content| it.short(0);
    let beats = async {
        to.write_all(&said.0).await.unwrap();
        loop {
            to.write_all(&Writer::default().heartbeat().0).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let reads = async {
        let mut rest = vec![0; 4_096];
        while reads && from.read(&mut rest).await.is_ok_and(|it| it > 0) {}
        std::future::pending().await
    };
    tokio::select! {
        published = client.publish(("", "queue"), false, properties, &payload) => {
            published.map_err(|it| it.detail.unwrap().to_string())
        }
        () = beats => Ok(()),
        () = reads => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_only_beats_is_given_up() {
    let ready = || Writer::default().method(CHANNEL.get(), CONFIRM_OK, |_| {});
    let confirmed = ready().method(CHANNEL.get(), ACK, |it| {
        it.longlong(1);
        it.octet(0);
    });
    assert_eq!(published(9, confirmed, true).await, Ok(()));
    let blocked = ready().method(0, BLOCKED, |it| it.short_text("low on memory"));
    let large = 2 * limits::AMQP_FRAME_BYTES as usize;
    for (bytes, said, reads, why) in [
        (9, Writer::default(), true, "does not answer"),
        (9, ready(), true, "does not confirm the message"),
        (9, blocked, true, "it takes no messages: low on memory"),
        (large, ready(), false, "does not read what is sent"),
    ] {
        let told = published(bytes, said, reads).await.unwrap_err();
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_of_a_frame_that_does_not_end_are_no_sign_of_life() {
    let (mut client, mut broker) = connected();
    let drips = async {
        let head = [3, 0, 1, 0, 1, 0, 0];
        for byte in head.into_iter().chain(std::iter::repeat(0)) {
            broker.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(900)).await;
        }
    };
    let told = tokio::select! {
        next = client.next() => next.map(drop).unwrap_err().detail.unwrap().to_string(),
        () = drips => String::new(),
    };
    assert!(told.contains("does not answer"), "{told}");
}

#[tokio::test]
async fn what_comes_after_the_acknowledgement_is_not_looked_at() {
    let (mut client, mut broker) = connected();
    let unreadable = headed(delivery(9), u64::MAX).body(CHANNEL.get(), b"it");
    let settled = unreadable.method(CHANNEL.get(), CHANNEL_CLOSE_OK, |_| {});
    broker.write_all(&settled.0).await.unwrap();
    client.acknowledge(8).await.unwrap();
    assert!(client.settle().await.is_ok());

    let (mut client, mut broker) = connected();
    let refused = delivery(9).method(CHANNEL.get(), CHANNEL_CLOSE, |it| {
        it.short(406);
        it.short_text("unknown delivery tag 8");
    });
    broker.write_all(&refused.0).await.unwrap();
    client.acknowledge(8).await.unwrap();
    let told = client.settle().await.unwrap_err().detail.unwrap();
    assert!(told.contains("406 unknown delivery tag 8"), "{told}");
}
