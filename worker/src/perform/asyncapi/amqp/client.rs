//! A connected client with one channel.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use zeroize::Zeroizing;

use super::CHANNEL;
use super::frame::{self, Content, Frame, GREETING, Name, Reader, Writer};
use crate::http_client::connect::{Connection, Peer, told};
use crate::perform::asyncapi::login::Login;
use crate::perform::asyncapi::message::Incoming;
use crate::request::excerpt;

const START: Name = (10, 10);
const START_OK: Name = (10, 11);
const TUNE: Name = (10, 30);
const TUNE_OK: Name = (10, 31);
const OPEN: Name = (10, 40);
const OPEN_OK: Name = (10, 41);
const CLOSE: Name = (10, 50);
const CLOSE_OK: Name = (10, 51);
const BLOCKED: Name = (10, 60);
const UNBLOCKED: Name = (10, 61);
const CHANNEL_OPEN: Name = (20, 10);
const CHANNEL_OPEN_OK: Name = (20, 11);
const CHANNEL_CLOSE: Name = (20, 40);
const CHANNEL_CLOSE_OK: Name = (20, 41);
const QUEUE_DECLARE: Name = (50, 10);
const QUEUE_DECLARE_OK: Name = (50, 11);
const QUEUE_BIND: Name = (50, 20);
const QUEUE_BIND_OK: Name = (50, 21);
const QOS: Name = (60, 10);
const QOS_OK: Name = (60, 11);
const CONSUME: Name = (60, 20);
const CONSUME_OK: Name = (60, 21);
const CANCEL: Name = (60, 30);
const PUBLISH: Name = (60, 40);
const RETURN: Name = (60, 50);
const DELIVER: Name = (60, 60);
const ACK: Name = (60, 80);
const NACK: Name = (60, 120);
const CONFIRM: Name = (85, 10);
const CONFIRM_OK: Name = (85, 11);

/// See the module.
pub(super) struct Client {
    stream: Box<dyn Connection>,
    /// What has come and was not looked at yet.
    buffer: BytesMut,
    peer: Peer,
    /// Bytes of a frame that both take.
    frame: usize,
    /// How long it may say nothing.
    patience: Duration,
    /// When the broker hears from it next.
    beat: Instant,
    /// Beats for which the broker has said nothing.
    silent: u8,
    /// Whether it is known who asks.
    is_known: bool,
    /// Why the broker takes no messages for now, where it says so.
    blocked: Option<String>,
    /// Whether messages are thrown away unread: all that were wanted are here.
    is_leaving: bool,
    /// A message of which not all has come, which has its place when this is dropped.
    partial: Option<Partial>,
    /// Messages that came before they were asked for.
    early: VecDeque<(u64, Incoming)>,
}

/// What has come of a message.
struct Partial {
    /// None of one that came back.
    number: Option<u64>,
    /// None until what is said before the bytes has come.
    left: Option<usize>,
    payload: BytesMut,
    incoming: Incoming,
}

/// What a broker says.
enum Said {
    Method(Name, Reader),
    Message(u64, Incoming),
}

/// How long a broker may take to answer, to confirm a message, or to read what is sent.
const ANSWER: Duration = Duration::from_millis(limits::AMQP_ANSWER_MS);

impl Client {
    /// One that has said nothing yet.
    fn on(stream: Box<dyn Connection>, peer: Peer) -> Self {
        let patience = Duration::from_millis(limits::CONNECT_TIMEOUT_MS);
        Self {
            stream,
            buffer: BytesMut::new(),
            peer,
            frame: limits::AMQP_FRAME_BYTES as usize,
            patience,
            beat: Instant::now() + patience,
            silent: 0,
            is_known: false,
            blocked: None,
            is_leaving: false,
            partial: None,
            early: VecDeque::new(),
        }
    }

    /// Says who asks, and opens a channel in a virtual host.
    pub(super) async fn open(
        stream: Box<dyn Connection>,
        peer: Peer,
        login: Option<&Login>,
        host: &str,
    ) -> Result<Self, Problem> {
        let mut client = Self::on(stream, peer);
        client.send(GREETING).await?;
        client.wait_for(START).await?;
        client.log_in(login).await?;
        let mut tune = client.wait_for(TUNE).await?;
        client.is_known = true;
        let tuned = client.tune(&mut tune).map_err(|why| client.failed(why))?;
        client.write(tuned).await?;
        client
            .call(0, OPEN, OPEN_OK, |it| {
                it.short_text(host);
                it.short_text("");
                it.octet(0);
            })
            .await?;
        client.call(CHANNEL.get(), CHANNEL_OPEN, CHANNEL_OPEN_OK, |it| it.short_text("")).await?;
        Ok(client)
    }

    async fn log_in(&mut self, login: Option<&Login>) -> Result<(), Problem> {
        let (name, password) = match login {
            None => ("guest", Zeroizing::new("guest".to_owned())),
            Some(Login::User { name, password }) => (name.as_str(), password.clone()),
            Some(Login::Token(token)) => ("windlass", token.clone()),
        };
        let response = Zeroizing::new(format!("\0{name}\0{}", *password));
        let start = Writer::default().method(0, START_OK, |it| {
            it.table(|table| {
                table.text("product", "windlass");
                table.text("version", env!("CARGO_PKG_VERSION"));
                table.table("capabilities", |it| {
                    it.flag("authentication_failure_close");
                    it.flag("connection.blocked");
                    it.flag("consumer_cancel_notify");
                    it.flag("publisher_confirms");
                });
            });
            it.short_text("PLAIN");
            it.long_bytes(response.as_bytes());
            it.short_text("en_US");
        });
        self.write(start).await
    }

    /// Takes what the broker bounds, if it is less than what is bounded here.
    fn tune(&mut self, told: &mut Reader) -> Result<Writer, String> {
        let (channels, frame, beat) = (told.short()?, told.long()?, told.short()?);
        let least = |own: u32, other: u32| if other == 0 { own } else { own.min(other) };
        let frame = least(limits::AMQP_FRAME_BYTES, frame);
        let beat = least(limits::KEEP_ALIVE_S.into(), beat.into());
        let beat = u16::try_from(beat).unwrap_or(limits::KEEP_ALIVE_S);
        self.frame = (frame as usize).max(limits::AMQP_FRAME_LEAST);
        // Twice as often as it is expected to.
        self.patience = Duration::from_secs(beat.into()) / 2;
        Ok(Writer::default().method(0, TUNE_OK, |it| {
            it.short(channels);
            it.long(frame);
            it.short(beat);
        }))
    }

    /// Publishes to an exchange by a routing key, and waits until the broker has it.
    pub(super) async fn publish(
        &mut self,
        (exchange, routing_key): (&str, &str),
        mandatory: bool,
        properties: impl FnOnce(&mut Content),
        payload: &[u8],
    ) -> Result<(), Problem> {
        self.call(CHANNEL.get(), CONFIRM, CONFIRM_OK, |it| it.octet(0)).await?;
        let mut message = Writer::default()
            .method(CHANNEL.get(), PUBLISH, |it| {
                it.short(0);
                it.short_text(exchange);
                it.short_text(routing_key);
                it.octet(mandatory.into());
            })
            .header(CHANNEL.get(), |it| {
                it.short(PUBLISH.0);
                it.short(0);
                it.longlong(payload.len() as u64);
                properties(it);
            });
        if message.0.len() > self.frame {
            let detail = "the headers of the message are larger than a frame of the broker";
            return Err(Problem::new(Standard::Communication, detail).with_status(413));
        }
        for part in payload.chunks(self.frame - frame::around()) {
            message = message.body(CHANNEL.get(), part);
        }
        self.write(message).await?;
        match tokio::time::timeout(ANSWER, self.confirmed()).await {
            Ok(confirmed) => confirmed,
            Err(_) => Err(self.failed(match &self.blocked {
                Some(why) => format!("it takes no messages: {}", excerpt(why.as_bytes())),
                None => "it does not confirm the message".to_owned(),
            })),
        }
    }

    /// Waits until the broker has what was published.
    async fn confirmed(&mut self) -> Result<(), Problem> {
        let mut returned = None;
        loop {
            match self.read().await? {
                Said::Method(RETURN, mut why) => {
                    returned = why.short().ok().zip(why.short_text().ok());
                }
                Said::Method(ACK, _) => break,
                Said::Method(NACK, _) => return Err(self.failed("it could not keep the message")),
                Said::Method(name, arguments) => self.unexpected(name, arguments)?,
                Said::Message(..) => {}
            }
        }
        match returned {
            Some((code, why)) => Err(self.refused(code, &why)),
            None => Ok(()),
        }
    }

    /// A queue of this call alone, of what goes through `exchange` by `routing_key`.
    pub(super) async fn bound_queue(
        &mut self,
        exchange: &str,
        routing_key: &str,
    ) -> Result<String, Problem> {
        let mut declared = self
            .call(CHANNEL.get(), QUEUE_DECLARE, QUEUE_DECLARE_OK, |it| {
                it.short(0);
                it.short_text("");
                // Exclusive, and deleted when it is not used.
                it.octet(0b1100);
                it.table(|_| {});
            })
            .await?;
        let queue = declared.short_text().map_err(|why| self.failed(why))?;
        self.call(CHANNEL.get(), QUEUE_BIND, QUEUE_BIND_OK, |it| {
            it.short(0);
            it.short_text(&queue);
            it.short_text(exchange);
            it.short_text(routing_key);
            it.octet(0);
            it.table(|_| {});
        })
        .await?;
        Ok(queue)
    }

    /// Has messages of `queue` sent, so many before they are acknowledged; without any end where
    /// they are not.
    pub(super) async fn consume(
        &mut self,
        queue: &str,
        unasked: bool,
        ahead: NonZeroU16,
    ) -> Result<(), Problem> {
        self.call(CHANNEL.get(), QOS, QOS_OK, |it| {
            it.long(0);
            it.short(ahead.get());
            it.octet(0);
        })
        .await?;
        self.call(CHANNEL.get(), CONSUME, CONSUME_OK, |it| {
            it.short(0);
            it.short_text(queue);
            it.short_text("");
            it.octet(u8::from(unasked) << 1);
            it.table(|_| {});
        })
        .await
        .map(drop)
    }

    /// The next message, and its number.
    pub(super) async fn next(&mut self) -> Result<(u64, Incoming), Problem> {
        loop {
            if let Some(early) = self.early.pop_front() {
                return Ok(early);
            }
            match self.read().await? {
                Said::Message(number, incoming) => return Ok((number, incoming)),
                Said::Method(name, arguments) => self.unexpected(name, arguments)?,
            }
        }
    }

    /// All messages up to this number are taken.
    pub(super) async fn acknowledge(&mut self, number: u64) -> Result<(), Problem> {
        let acknowledged = Writer::default().method(CHANNEL.get(), ACK, |it| {
            it.longlong(number);
            it.octet(1);
        });
        self.write(acknowledged).await
    }

    /// Ends the channel, and waits until the broker has answered that: what came before has. What
    /// it sends meanwhile goes back to the queue, and is not looked at.
    ///
    /// # Errors
    /// When it is not known that the broker knows what was acknowledged.
    pub(super) async fn settle(&mut self) -> Result<(), Problem> {
        self.is_leaving = true;
        self.call(CHANNEL.get(), CHANNEL_CLOSE, CHANNEL_CLOSE_OK, |it| {
            it.short(200);
            it.short_text("");
            it.long(0);
        })
        .await
        .map(drop)
    }

    /// Ends the connection, whatever the broker does about it.
    pub(super) async fn close(mut self) {
        self.is_leaving = true;
        let goodbye = self.call(0, CLOSE, CLOSE_OK, |it| {
            it.short(200);
            it.short_text("");
            it.long(0);
        });
        let _ = tokio::time::timeout(Duration::from_millis(limits::GOODBYE_MS), goodbye).await;
    }

    /// Sends a method and gives what its answer has.
    async fn call(
        &mut self,
        channel: u16,
        name: Name,
        answer: Name,
        arguments: impl FnOnce(&mut Content),
    ) -> Result<Reader, Problem> {
        self.write(Writer::default().method(channel, name, arguments)).await?;
        self.wait_for(answer).await
    }

    async fn wait_for(&mut self, wanted: Name) -> Result<Reader, Problem> {
        match tokio::time::timeout(ANSWER, self.answer(wanted)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.failed("it does not answer")),
        }
    }

    async fn answer(&mut self, wanted: Name) -> Result<Reader, Problem> {
        let mut bytes = 0;
        loop {
            match self.read().await? {
                Said::Method(name, arguments) if name == wanted => return Ok(arguments),
                Said::Method(name, arguments) => self.unexpected(name, arguments)?,
                // Messages may come before the answer to who asked for them.
                Said::Message(number, incoming) => {
                    bytes += incoming.weight();
                    if bytes > limits::SUBSCRIBED_MESSAGE_BYTES {
                        return Err(self.failed("it sends messages and does not answer"));
                    }
                    self.early.push_back((number, incoming));
                }
            }
        }
    }

    /// What nobody waits for: an error where it ends what is done here.
    fn unexpected(&self, name: Name, mut arguments: Reader) -> Result<(), Problem> {
        match name {
            CLOSE | CHANNEL_CLOSE => {
                let code = arguments.short().unwrap_or_default();
                Err(self.refused(code, &arguments.short_text().unwrap_or_default()))
            }
            CANCEL if !self.is_leaving => Err(self.failed("the queue was deleted")),
            _ => Ok(()),
        }
    }

    /// What the broker says next, with signs of life while it says nothing.
    async fn read(&mut self) -> Result<Said, Problem> {
        loop {
            // Whatever comes meanwhile.
            if self.is_known && Instant::now() >= self.beat {
                // It beats as often as it is told to, twice in this time. Bytes of a frame that
                // does not end are no sign of life.
                if self.silent > 3 {
                    return Err(self.failed("it does not answer"));
                }
                self.silent += 1;
                self.write(Writer::default().heartbeat()).await?;
            }
            while let Some(frame) = frame::read(&mut self.buffer).map_err(|why| self.failed(why))? {
                self.silent = 0;
                if let Some(said) = self.said(frame).map_err(|why| self.failed(why))? {
                    return Ok(said);
                }
            }
            let came = tokio::time::timeout_at(self.beat, self.stream.read_buf(&mut self.buffer));
            match came.await {
                Ok(Ok(0)) => return Err(self.failed("the connection was closed")),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(self.failed(told(&error))),
                Err(_) if !self.is_known => return Err(self.failed("it does not answer")),
                Err(_) => {}
            }
        }
    }

    /// What a frame says; none while a message is not complete.
    fn said(&mut self, frame: Frame) -> Result<Option<Said>, String> {
        match frame {
            Frame::Heartbeat => Ok(None),
            Frame::Method(DELIVER | RETURN, _) | Frame::Header(_) | Frame::Body(_)
                if self.is_leaving =>
            {
                Ok(None)
            }
            Frame::Method(DELIVER, mut arguments) => {
                arguments.short_text()?;
                self.partial = Some(Partial::new(Some(arguments.longlong()?)));
                Ok(None)
            }
            Frame::Method(BLOCKED, mut arguments) => {
                self.blocked = Some(arguments.short_text()?);
                Ok(None)
            }
            Frame::Method(UNBLOCKED, _) => {
                self.blocked = None;
                Ok(None)
            }
            Frame::Method(name, arguments) => {
                if name == RETURN {
                    self.partial = Some(Partial::new(None));
                }
                Ok(Some(Said::Method(name, arguments)))
            }
            Frame::Header(header) => {
                // One for each message: what it says is kept, and more of them would add up.
                let partial = self.partial.as_mut().filter(|it| it.left.is_none());
                partial.ok_or("it sends a message out of turn")?.begin(header)?;
                Ok(self.complete())
            }
            Frame::Body(bytes) => {
                let partial = self.partial.as_mut().ok_or("it sends a message out of turn")?;
                partial.add(&bytes)?;
                Ok(self.complete())
            }
        }
    }

    /// The message, once all of it is there.
    fn complete(&mut self) -> Option<Said> {
        let Partial { number, payload, incoming, .. } =
            self.partial.take_if(|it| it.left == Some(0))?;
        let message = Incoming { payload: payload.freeze(), ..incoming };
        number.map(|it| Said::Message(it, message))
    }

    async fn write(&mut self, frames: Writer) -> Result<(), Problem> {
        let bytes: Bytes = frames.0.freeze();
        self.send(&bytes).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(ANSWER, written).await {
            Ok(written) => written.map_err(|error| self.failed(told(&error)))?,
            // Brokers that are short of memory or disk read no more of who publishes.
            Err(_) => return Err(self.failed("it does not read what is sent to it")),
        }
        self.beat = Instant::now() + self.patience;
        Ok(())
    }

    pub(super) fn failed(&self, why: impl std::fmt::Display) -> Problem {
        self.peer.failed(why)
    }

    /// The problem of what the broker refuses, in its words.
    fn refused(&self, code: u16, why: &str) -> Problem {
        let status = match code {
            403 if !self.is_known => 401,
            403 | 530 => 403,
            // Nothing is there by the name, or no queue takes the message.
            404 | 312 => 404,
            311 => 413,
            _ => 503,
        };
        let detail = format!("{} refused: {code} {}", self.peer.shown(), excerpt(why.as_bytes()));
        Problem::new(Standard::Communication, detail).with_status(status)
    }
}

impl Partial {
    fn new(number: Option<u64>) -> Self {
        let (payload, incoming) = (BytesMut::new(), Incoming::default());
        Self { number, left: None, payload, incoming }
    }

    /// Reads what is said before the bytes: how many there are, and properties.
    fn begin(&mut self, mut header: Reader) -> Result<(), String> {
        header.long()?;
        let size = header.longlong()?;
        let most = limits::SUBSCRIBED_MESSAGE_BYTES;
        let size = usize::try_from(size).ok().filter(|it| *it <= most);
        self.left = Some(size.ok_or_else(|| format!("a message is larger than {most} bytes"))?);
        let flags = header.short()?;
        let has = |bit: u16| flags & (1 << bit) != 0;
        if has(15) {
            self.incoming.content_type = Some(header.short_text()?);
        }
        if has(14) {
            header.short_text()?;
        }
        if has(13) {
            for (name, value) in header.table()? {
                self.incoming.add_header(&name, &value);
            }
        }
        for _ in [12, 11].into_iter().filter(|bit| has(*bit)) {
            header.octet()?;
        }
        if has(10) {
            self.incoming.correlation = Some(header.short_text()?);
        }
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        let left = self.left.and_then(|it| it.checked_sub(bytes.len()));
        self.left = Some(left.ok_or("a message is longer than it says")?);
        self.payload.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
