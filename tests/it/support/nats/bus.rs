//! A few words of the NATS protocol, so that the tests look at the bus with other eyes than the
//! client library of the product.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::until::{SOON, within};

/// One connection.
pub(crate) struct Bus {
    stream: BufReader<TcpStream>,
    /// Subscriptions are numbered.
    last: u64,
}

/// A message as the server delivers it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The subject it was published to.
    pub(crate) subject: String,
    /// Headers and body as sent.
    pub(crate) bytes: Vec<u8>,
}

impl Bus {
    /// Connects to the server on this port of the loopback, which must need no credentials.
    pub(crate) async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut bus = Self { stream: BufReader::new(stream), last: 0 };
        let options = r#"{"verbose":false,"pedantic":false,"headers":true,"lang":"test"}"#;
        bus.send(format!("CONNECT {options}\r\n").as_bytes()).await;
        bus
    }

    /// From now on, `next` gives what is published to `subject`, which may have wildcards.
    pub(crate) async fn subscribe(&mut self, subject: &str) {
        self.last += 1;
        self.send(format!("SUB {subject} {}\r\nPING\r\n", self.last).as_bytes()).await;
        // The answer to the ping comes when the server knows the subscription.
        while self.line().await != "PONG" {}
    }

    /// Publishes.
    pub(crate) async fn publish(&mut self, subject: &str, body: &[u8]) {
        self.send(format!("PUB {subject} {}\r\n", body.len()).as_bytes()).await;
        self.send(body).await;
        self.send(b"\r\n").await;
    }

    /// The next message of any subscription.
    pub(crate) async fn next(&mut self) -> Message {
        within(SOON, "a message from the bus", async {
            loop {
                let line = self.line().await;
                let mut words = line.split(' ');
                match words.next() {
                    Some("PING") => self.send(b"PONG\r\n").await,
                    Some("MSG" | "HMSG") => {
                        let subject = words.next().unwrap().to_owned();
                        let length: usize = words.next_back().unwrap().parse().unwrap();
                        let mut bytes = vec![0; length + 2];
                        self.stream.read_exact(&mut bytes).await.unwrap();
                        bytes.truncate(length);
                        return Message { subject, bytes };
                    }
                    Some("-ERR") => panic!("the bus refused: {line}"),
                    _ => {}
                }
            }
        })
        .await
    }

    /// Asks, and gives the JSON of the answer.
    pub(crate) async fn request(&mut self, subject: &str, body: &str) -> Value {
        let inbox = format!("_INBOX.test.{}", uuid::Uuid::new_v4().simple());
        self.last += 1;
        let head = format!(
            "SUB {inbox} {0}\r\nUNSUB {0} 1\r\nPUB {subject} {inbox} {1}\r\n{body}\r\n",
            self.last,
            body.len()
        );
        self.send(head.as_bytes()).await;
        loop {
            let message = self.next().await;
            if message.subject == inbox {
                return serde_json::from_slice(&message.bytes).unwrap_or_else(|error| {
                    panic!("{subject} is answered by no JSON ({error}): {message:?}")
                });
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        let sent = self.stream.get_mut().write_all(bytes);
        within(SOON, "a write to the bus", sent).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = within(SOON, "a line from the bus", self.stream.read_line(&mut line)).await;
        assert_ne!(read.unwrap(), 0, "the bus closed the connection");
        line.trim_end().to_owned()
    }
}

#[tokio::test]
async fn what_is_published_arrives() {
    let nats = super::Nats::start().await;
    let (mut here, mut there) = (Bus::connect(nats.port()).await, Bus::connect(nats.port()).await);
    here.subscribe("a.*").await;
    there.publish("a.b", b"one\r\ntwo").await;
    let message = here.next().await;
    assert_eq!((message.subject.as_str(), &message.bytes[..]), ("a.b", &b"one\r\ntwo"[..]));
}
