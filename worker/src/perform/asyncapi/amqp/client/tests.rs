#![allow(clippy::unwrap_used)]

use tokio::io::{AsyncWriteExt as _, DuplexStream};

use super::{CHANNEL, Client, DELIVER, limits};
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
