//! Core NATS: a subject that is published to, or subscribed to.
//!
//! A client of one call that speaks the little it needs: the one of the fleet looks names up by
//! itself, connects anew in silence, and does not tell when the server has taken a message.
//!
//! What is published while nobody listens is missed. A message carries the attempt's idempotency
//! key as `Nats-Msg-Id`, by which a stream that takes the subject leaves out what comes twice.

mod protocol;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{HeaderMap, HeaderName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use self::protocol::Told;
use super::login::Login;
use super::message::{Incoming, Outgoing};
use super::{Target, configuration};
use crate::attempt::Attempt;
use crate::http_client::connect::{Connection, Peer, told};
use crate::request::excerpt;
use crate::trace::{Messaging, MessagingSpan};

/// The header by which a stream tells a message that comes twice.
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// A connected client.
pub(super) struct Client {
    stream: Box<dyn Connection>,
    /// What has come and was not looked at yet.
    buffer: BytesMut,
    peer: Peer,
    /// When the server hears from it next.
    ping: Instant,
    /// Whether it has answered the last sign of life.
    ponged: bool,
    /// Bytes of the largest message that the server takes.
    most: usize,
    /// Messages that came before the subscription was confirmed.
    early: VecDeque<Incoming>,
}

impl Attempt<'_> {
    pub(super) async fn publish_by_nats(
        &mut self,
        target: &Target,
        mut message: Outgoing,
    ) -> Result<(), Problem> {
        let span = MessagingSpan::new(Messaging::Send, &self.destination(target));
        let mut own = HeaderMap::new();
        self.add_own_headers(&mut own);
        span.inject(&mut own);
        if let Some(key) = own.remove("idempotency-key") {
            own.insert(HeaderName::from_static("nats-msg-id"), key);
        }
        message.add_headers(&own);
        for (name, _) in &mut message.headers {
            // Other than with HTTP, case counts.
            if name.eq_ignore_ascii_case(MESSAGE_ID) {
                MESSAGE_ID.clone_into(name);
            }
        }
        let published = async {
            let packet = protocol::publish(&target.address, &message).map_err(configuration)?;
            let mut client = self.connect_to_nats(target).await?;
            client.publish(&packet, message.payload.len()).await
        };
        let published = published.await;
        span.ended(&published);
        published
    }

    pub(super) async fn listen_by_nats(&mut self, target: &Target) -> Result<Client, Problem> {
        let queue = target.operation.bindings.queue.as_deref();
        let packet = protocol::subscribe(&target.address, queue).map_err(configuration)?;
        let mut client = self.connect_to_nats(target).await?;
        client.write(&packet).await?;
        // What comes before the answer stays where it is.
        client.answered().await?;
        Ok(client)
    }

    async fn connect_to_nats(&self, target: &Target) -> Result<Client, Problem> {
        let login = Login::of(target.authorization.as_ref())?;
        let peer = target.server().peer.clone();
        let clients = &self.worker.clients;
        // Servers speak first, and without TLS.
        let plain = Peer { tls: false, ..peer.clone() };
        let mut client = Client {
            stream: clients.connect(&plain, self.caller()).await?,
            buffer: BytesMut::new(),
            peer,
            ping: Instant::now() + Duration::from_millis(limits::CONNECT_TIMEOUT_MS),
            ponged: false,
            most: 0,
            early: VecDeque::new(),
        };
        let Told::Info { tls, most } = client.read().await? else {
            return Err(client.peer.failed("it answers something else than a server of NATS"));
        };
        client.most = most;
        if tls || client.peer.tls {
            if !client.buffer.is_empty() {
                return Err(client.peer.failed("it goes on without TLS"));
            }
            client.stream = clients.secure(&client.peer, client.stream).await?;
        }
        client.write(&protocol::connect(login.as_ref(), tls || client.peer.tls)).await?;
        client.answered().await?;
        Ok(client)
    }
}

impl Client {
    async fn publish(&mut self, packet: &[u8], payload: usize) -> Result<(), Problem> {
        if payload > self.most {
            let detail =
                format!("{} takes no message of more than {} bytes", self.peer.shown(), self.most);
            return Err(Problem::new(Standard::Communication, detail).with_status(413));
        }
        self.write(packet).await?;
        self.answered().await
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Incoming, Problem> {
        loop {
            if let Some(early) = self.early.pop_front() {
                return Ok(early);
            }
            if let Told::Message(incoming) = self.read().await? {
                return Ok(incoming);
            }
        }
    }

    /// Waits for the answer to a ping that was sent last: the server has taken all before it.
    async fn answered(&mut self) -> Result<(), Problem> {
        let mut bytes = 0;
        loop {
            match self.read().await? {
                Told::Pong => return Ok(()),
                // The subscription stands, and its messages are on their way.
                Told::Message(incoming) => {
                    bytes += incoming.weight();
                    if bytes > limits::SUBSCRIBED_MESSAGE_BYTES {
                        return Err(self.peer.failed("it sends messages and does not answer"));
                    }
                    self.early.push_back(incoming);
                }
                _ => {}
            }
        }
    }

    /// What the server says next, with signs of life while it says nothing.
    async fn read(&mut self) -> Result<Told, Problem> {
        loop {
            let read = protocol::read(&mut self.buffer);
            match read.map_err(|why| self.peer.failed(why))? {
                Some(Told::Ping) => self.write(b"PONG\r\n").await?,
                Some(Told::Error(why)) => return Err(self.refused(&why)),
                Some(told) => {
                    self.ponged |= matches!(told, Told::Pong);
                    return Ok(told);
                }
                None => {}
            }
            let came = tokio::time::timeout_at(self.ping, self.stream.read_buf(&mut self.buffer));
            match came.await {
                Ok(Ok(0)) => return Err(self.peer.failed("the connection was closed")),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(self.peer.failed(told(&error))),
                Err(_) if !std::mem::take(&mut self.ponged) => {
                    return Err(self.peer.failed("it does not answer"));
                }
                Err(_) => self.write(b"PING\r\n").await?,
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| self.peer.failed(told(&error)))?;
        self.ping = Instant::now() + Duration::from_secs(limits::KEEP_ALIVE_S.into());
        Ok(())
    }

    /// The problem of what the server refuses, in its words.
    fn refused(&self, why: &str) -> Problem {
        let lower = why.to_ascii_lowercase();
        let status = match () {
            () if lower.contains("permissions violation") => 403,
            () if lower.contains("authorization") || lower.contains("authentication") => 401,
            () => 503,
        };
        let detail = format!("{} refused: {}", self.peer.shown(), excerpt(why.as_bytes()));
        Problem::new(Standard::Communication, detail).with_status(status)
    }
}
