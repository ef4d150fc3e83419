//! MQTT 3.1.1 and 5: a topic that is published to, or subscribed to.
//!
//! A client of one call, with a session that ends with it. It publishes with the quality of service
//! that the operation's bindings name, or else at least once, and waits until the broker has
//! confirmed that. It subscribes at least once: a message is confirmed when the task has taken it,
//! and what is published while nobody listens is missed. Version 5 has headers (user properties), a
//! content type and a correlation id; 3.1.1 has none of them.

mod packets;

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use self::packets::{Outcome, Packet, Publication, Version};
use super::login::Login;
use super::message::{Incoming, Outgoing};
use super::server::Protocol;
use super::{Target, configuration};
use crate::attempt::Attempt;
use crate::http_client::connect::{Connection, Peer, told};
use crate::trace::{Messaging, MessagingSpan};

/// The number of the one packet of a client that is answered.
const PACKET: NonZeroU16 = NonZeroU16::MIN;

/// A connected client.
pub(super) struct Client {
    stream: Box<dyn Connection>,
    version: Version,
    /// What has come and was not looked at yet.
    buffer: BytesMut,
    peer: Peer,
    /// When the broker hears from it next.
    ping: Instant,
    /// Whether it has answered the last sign of life.
    ponged: bool,
    /// Messages that came before the subscription was confirmed, and their bytes.
    early: VecDeque<(Incoming, u8, u16)>,
    early_bytes: usize,
    /// The message that was taken last and is not confirmed yet.
    unconfirmed: Option<u16>,
}

impl Attempt<'_> {
    pub(super) async fn publish_by_mqtt(
        &mut self,
        target: &Target,
        mut message: Outgoing,
    ) -> Result<(), Problem> {
        let topic = &target.address;
        if !rumqttc::valid_topic(topic) || topic.is_empty() {
            return Err(configuration("the channel's address is no topic of MQTT to publish to"));
        }
        let span = MessagingSpan::new(Messaging::Send, &self.destination(target));
        if version(target) == Version::V3 {
            if !message.headers.is_empty() {
                let detail = "messages of MQTT 3.1.1 have no headers: leave them out, or speak \
                              version 5 (`protocol: mqtt5`)";
                return Err(configuration(detail));
            }
        } else {
            let mut own = HeaderMap::new();
            self.add_own_headers(&mut own);
            span.inject(&mut own);
            message.add_headers(&own);
        }
        let bindings = &target.operation.bindings;
        let publication = Publication {
            topic,
            qos: bindings.qos.unwrap_or(1),
            retain: bindings.retain,
            packet: PACKET.get(),
            message,
        };
        let published = async {
            let mut client = self.connect_to_mqtt(target).await?;
            client.publish(publication).await?;
            client.close().await;
            Ok(())
        };
        let published = published.await;
        span.ended(&published);
        published
    }

    pub(super) async fn listen_by_mqtt(&mut self, target: &Target) -> Result<Client, Problem> {
        let filter = &target.address;
        if !rumqttc::valid_filter(filter) {
            return Err(configuration("the channel's address is no topic of MQTT"));
        }
        let qos = target.operation.bindings.qos.unwrap_or(1).min(1);
        let mut client = self.connect_to_mqtt(target).await?;
        client
            .write(Packet::Subscribe { filter: filter.clone(), qos, packet: PACKET.get() })
            .await?;
        loop {
            match client.read().await? {
                Packet::Subscribed(Outcome::Accepted) => return Ok(client),
                Packet::Subscribed(refused) => return Err(client.refused("to subscribe", &refused)),
                // What it kept may come before its answer.
                Packet::Message { incoming, qos, packet } => {
                    client.early_bytes += incoming.weight();
                    if client.early_bytes > limits::SUBSCRIBED_MESSAGE_BYTES {
                        return Err(client.peer.failed("it sends messages and does not answer"));
                    }
                    client.early.push_back((incoming, qos, packet));
                }
                _ => {}
            }
        }
    }

    async fn connect_to_mqtt(&self, target: &Target) -> Result<Client, Problem> {
        let login = Login::of(target.authorization.as_ref())?;
        let peer = target.server().peer.clone();
        let stream = self.worker.clients.connect(&peer, self.caller()).await?;
        let mut client = Client {
            stream,
            version: version(target),
            buffer: BytesMut::new(),
            peer,
            ping: Instant::now() + keep_alive(),
            ponged: true,
            early: VecDeque::new(),
            early_bytes: 0,
            unconfirmed: None,
        };
        // Two of the same id would throw each other out.
        let id = format!("windlass-{}", uuid::Uuid::new_v4().simple());
        client.write(Packet::Connect { id, login }).await?;
        match client.read().await? {
            Packet::Connected(Outcome::Accepted) => Ok(client),
            Packet::Connected(refused) => Err(client.refused("to connect", &refused)),
            _ => Err(client.peer.failed("it answers something else than a broker of MQTT")),
        }
    }
}

fn version(target: &Target) -> Version {
    if target.server().protocol == Protocol::Mqtt5 { Version::V5 } else { Version::V3 }
}

fn keep_alive() -> Duration {
    Duration::from_secs(limits::KEEP_ALIVE_S.into())
}

impl Client {
    async fn publish(&mut self, publication: Publication<'_>) -> Result<(), Problem> {
        let qos = publication.qos;
        self.write(Packet::Publish(publication)).await?;
        if qos == 0 {
            return Ok(());
        }
        loop {
            match self.read().await? {
                Packet::Acknowledged(Outcome::Accepted) if qos == 1 => return Ok(()),
                Packet::Received(Outcome::Accepted) if qos == 2 => {
                    self.write(Packet::Release(PACKET.get())).await?;
                }
                Packet::Completed if qos == 2 => return Ok(()),
                Packet::Acknowledged(refused) | Packet::Received(refused) => {
                    return Err(self.refused("the message", &refused));
                }
                _ => {}
            }
        }
    }

    /// The next message. It is confirmed when the one after it is asked for, or with the end.
    pub(super) async fn next(&mut self) -> Result<Incoming, Problem> {
        self.confirm().await?;
        let (incoming, qos, packet) = loop {
            if let Some(early) = self.early.pop_front() {
                break early;
            }
            if let Packet::Message { incoming, qos, packet } = self.read().await? {
                break (incoming, qos, packet);
            }
        };
        self.unconfirmed = Some(packet).filter(|_| qos > 0);
        Ok(incoming)
    }

    async fn confirm(&mut self) -> Result<(), Problem> {
        if let Some(packet) = self.unconfirmed {
            self.write(Packet::Acknowledge(packet)).await?;
            self.unconfirmed = None;
        }
        Ok(())
    }

    /// Ends the session.
    pub(super) async fn close(mut self) {
        let goodbye = async {
            self.confirm().await?;
            self.write(Packet::Disconnect).await
        };
        if goodbye.await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }

    /// The next packet, with signs of life while it does not come.
    async fn read(&mut self) -> Result<Packet<'static>, Problem> {
        loop {
            let read = packets::read(self.version, &mut self.buffer);
            match read.map_err(|why| self.peer.failed(why))? {
                Some(Packet::Pong) => self.ponged = true,
                Some(Packet::Closed(why)) => return Err(self.peer.failed(why)),
                Some(packet) => return Ok(packet),
                None => {}
            }
            let came = tokio::time::timeout_at(self.ping, self.stream.read_buf(&mut self.buffer));
            match came.await {
                Ok(Ok(0)) => return Err(self.peer.failed("the connection was closed")),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(self.peer.failed(told(&error))),
                Err(_) if !std::mem::take(&mut self.ponged) => {
                    return Err(self.peer.failed("it does not answer any more"));
                }
                Err(_) => self.write(Packet::Ping).await?,
            }
        }
    }

    async fn write(&mut self, packet: Packet<'_>) -> Result<(), Problem> {
        let bytes = packets::write(self.version, packet);
        let bytes = bytes.map_err(|why| {
            Problem::new(Standard::Communication, format!("the packet cannot be sent: {why}"))
        })?;
        let written = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| self.peer.failed(told(&error)))?;
        self.ping = Instant::now() + keep_alive();
        Ok(())
    }

    /// The problem of what the broker refuses.
    fn refused(&self, what: &str, outcome: &Outcome) -> Problem {
        let (status, why) = match outcome {
            Outcome::Unauthenticated => (401, "the credentials are not accepted".to_owned()),
            Outcome::Forbidden => (403, "it is not allowed".to_owned()),
            Outcome::Refused(why) => (503, why.clone()),
            Outcome::Accepted => (503, "it was accepted".to_owned()),
        };
        let detail = format!("{} refused {what}: {why}", self.peer.shown());
        Problem::new(Standard::Communication, detail).with_status(status)
    }
}
