//! WebSocket: a message is one frame of text, or of bytes where it is no text.
//!
//! There are no headers of a message: those that a call gives go with the handshake, and so do its
//! credentials and the trace context. A server that closes before a subscription has had enough is
//! an error.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::http::Uri;
use reqwest::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE,
    USER_AGENT,
};
use tokio::time::Instant;
use tokio_websockets::{
    ClientBuilder, CloseCode, Error, Limits, Message, WebSocketStream, upgrade,
};
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use super::http::headers_of;
use super::login::http_only;
use super::message::{Incoming, Outgoing};
use super::{Target, configuration};
use crate::attempt::Attempt;
use crate::authentication::Authorization;
use crate::http_client::connect::{Connection, Peer, told};
use crate::trace::{Messaging, MessagingSpan};

/// An open socket.
pub(super) struct Socket {
    stream: WebSocketStream<Box<dyn Connection>>,
    peer: Peer,
    /// When to ask for a sign of life.
    ping: Instant,
    /// Whether anything came since that was asked last.
    lives: bool,
}

impl Attempt<'_> {
    pub(super) async fn publish_by_websocket(
        &mut self,
        target: &Target,
        message: Outgoing,
    ) -> Result<(), Problem> {
        let span = MessagingSpan::new(Messaging::Send, &self.destination(target));
        let mut headers = headers_of(message.headers)?;
        self.add_own_headers(&mut headers);
        span.inject(&mut headers);
        // Of the message, and a handshake has none.
        headers.remove(CONTENT_TYPE);
        let published = async {
            let mut socket = self.open_websocket(target, headers).await?;
            let text = String::from_utf8(message.payload);
            let frame = match text {
                Ok(text) => Message::text(text),
                Err(bytes) => Message::binary(Bytes::from(bytes.into_bytes())),
            };
            socket.stream.send(frame).await.map_err(|error| socket.failed(&error))?;
            socket.confirmed().await
        };
        let published = published.await;
        span.ended(&published);
        published
    }

    pub(super) async fn listen_by_websocket(
        &mut self,
        target: &Target,
        span: &MessagingSpan,
    ) -> Result<Socket, Problem> {
        let mut headers = HeaderMap::new();
        self.add_own_headers(&mut headers);
        span.inject(&mut headers);
        self.open_websocket(target, headers).await
    }

    async fn open_websocket(
        &mut self,
        target: &Target,
        mut headers: HeaderMap,
    ) -> Result<Socket, Problem> {
        let header = match &target.authorization {
            Some(Authorization::Digest(_) | Authorization::Certificate(_)) => {
                return Err(http_only());
            }
            Some(authorization) => authorization.header()?,
            None => None,
        };
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header);
        }
        let agent = concat!("windlass/", env!("CARGO_PKG_VERSION"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(agent));
        let url = self.asyncapi_url(target, "ws")?;
        let impossible = || configuration("the channel's address cannot be part of a URL");
        let uri = Uri::try_from(url.as_str()).map_err(|_| impossible())?;
        let peer = target.server().peer.clone();
        let stream = self.worker.clients.connect(&peer, self.caller()).await?;
        let most = limits::SUBSCRIBED_MESSAGE_BYTES;
        let mut builder =
            ClientBuilder::from_uri(uri).limits(Limits::default().max_payload_len(Some(most)));
        for (name, value) in &headers {
            if is_of_handshake(name) {
                let detail = format!("the header {name} belongs to the handshake of WebSocket");
                return Err(configuration(detail));
            }
            builder = builder
                .add_header(name.clone(), value.clone())
                .map_err(|_| configuration(format!("the header {name} cannot be given")))?;
        }
        Socket::open(&builder, stream, peer).await
    }
}

fn keep_alive() -> Duration {
    Duration::from_secs(limits::KEEP_ALIVE_S.into())
}

fn is_of_handshake(name: &HeaderName) -> bool {
    name == HOST
        || name == CONNECTION
        || name == UPGRADE
        || name.as_str().starts_with("sec-websocket-")
}

impl Socket {
    /// Shakes hands over `stream`, within the time that a connection may take.
    async fn open(
        builder: &ClientBuilder<'_>,
        stream: Box<dyn Connection>,
        peer: Peer,
    ) -> Result<Self, Problem> {
        let most = Duration::from_millis(limits::CONNECT_TIMEOUT_MS);
        let shaken = tokio::time::timeout(most, builder.connect_on(stream)).await;
        let (stream, _) = match shaken {
            Ok(Ok(shaken)) => shaken,
            Ok(Err(Error::Upgrade(upgrade::Error::DidNotSwitchProtocols(status)))) => {
                let detail = format!("{} answered the handshake with {status}", peer.shown());
                // An answer that is no error is one here: nobody speaks WebSocket there.
                let status = if status < 400 { 503 } else { status };
                return Err(Problem::new(Standard::Communication, detail).with_status(status));
            }
            Ok(Err(error)) => return Err(failed(&peer, &error)),
            Err(_) => return Err(peer.failed("the handshake of WebSocket timed out")),
        };
        Ok(Self { stream, peer, ping: Instant::now() + keep_alive(), lives: true })
    }

    /// The next message, with signs of life while it does not come. Nothing is lost when this is
    /// dropped before.
    pub(super) async fn next(&mut self) -> Result<Incoming, Problem> {
        loop {
            let message = match tokio::time::timeout_at(self.ping, self.stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return Err(self.failed(&error)),
                Ok(None) => return Err(self.peer.failed("the connection was closed")),
                Err(_) if !std::mem::take(&mut self.lives) => {
                    return Err(self.peer.failed("it does not answer any more"));
                }
                Err(_) => {
                    self.ping = Instant::now() + keep_alive();
                    let asked = self.stream.send(Message::ping("")).await;
                    asked.map_err(|error| self.failed(&error))?;
                    continue;
                }
            };
            (self.lives, self.ping) = (true, Instant::now() + keep_alive());
            if message.is_text() || message.is_binary() {
                let payload = Bytes::from(message.into_payload());
                return Ok(Incoming { payload, ..Incoming::default() });
            }
            if let Some((code, _)) = message.as_close() {
                let why = format!("the server has closed it ({})", u16::from(code));
                return Err(self.peer.failed(why));
            }
            // The library answers a ping, and the answer to one of ours says no more than that.
        }
    }

    /// Closes it, and waits until the server has read all that came before: it answers a close.
    async fn confirmed(mut self) -> Result<(), Problem> {
        let close = Message::close(Some(CloseCode::NORMAL_CLOSURE), "");
        self.stream.send(close).await.map_err(|error| self.failed(&error))?;
        let answered = async {
            while let Some(message) = self.stream.next().await {
                if let Some((code, _)) = message?.as_close() {
                    return Ok(Some(code));
                }
            }
            Ok(None)
        };
        let most = Duration::from_millis(limits::CONNECT_TIMEOUT_MS);
        match tokio::time::timeout(most, answered).await {
            // Many servers only end the connection.
            Ok(Ok(None | Some(CloseCode::NORMAL_CLOSURE | CloseCode::NO_STATUS_RECEIVED))) => {
                Ok(())
            }
            // Whether it was read before the connection broke, nobody knows.
            Ok(Err(error)) => Err(self.failed(&error)),
            Ok(Ok(Some(code))) => {
                let why = format!("the server has closed it ({}) on the message", u16::from(code));
                Err(self.peer.failed(why))
            }
            Err(_) => Err(self.peer.failed("the server does not answer that it is closed")),
        }
    }

    /// Closes it, whatever the server makes of that.
    pub(super) async fn close(mut self) {
        let _ = self.stream.close().await;
    }

    fn failed(&self, error: &Error) -> Problem {
        failed(&self.peer, error)
    }
}

fn failed(peer: &Peer, error: &Error) -> Problem {
    match error {
        Error::Io(error) => peer.failed(told(error)),
        Error::PayloadTooLong { max_len, .. } => {
            peer.failed(format!("a message is larger than {max_len} bytes"))
        }
        other => peer.failed(other),
    }
}

#[cfg(test)]
mod tests;
