//! A connection to one broker: requests that wait for their answers, which come in the same order.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::problem::Problem;

use super::wire::{Api, Reader, Writer};
use crate::http_client::connect::{Connection, Peer, told};

/// How long a broker may take to answer.
pub(super) const ANSWER: Duration = Duration::from_millis(limits::KAFKA_ANSWER_MS);

/// See the module. Whatever of it is dropped while it waits, nothing of what was said is lost.
pub(super) struct Conversation {
    stream: Box<dyn Connection>,
    peer: Peer,
    client: String,
    /// What has come and was not looked at yet.
    input: BytesMut,
    /// What is still to be sent.
    output: BytesMut,
    is_flushed: bool,
    next: i32,
    waiting: VecDeque<(i32, Instant)>,
    /// Whether it has answered as a broker does.
    is_known: bool,
    /// When it has said something last.
    heard: Instant,
}

impl Conversation {
    pub(super) fn new(stream: Box<dyn Connection>, peer: Peer, client: &str) -> Self {
        Self {
            stream,
            peer,
            client: client.to_owned(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            is_flushed: true,
            next: 0,
            waiting: VecDeque::new(),
            is_known: false,
            heard: Instant::now(),
        }
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Bytes that have come and are no whole answer.
    pub(super) fn buffered(&self) -> usize {
        self.input.len()
    }

    /// True of one that the broker may have closed meanwhile.
    pub(super) fn is_stale(&self) -> bool {
        self.heard.elapsed() >= Duration::from_secs(limits::KEEP_ALIVE_S.into())
    }

    /// True while an answer has not come.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Has a request sent when answers are waited for; gives its number.
    pub(super) fn ask(&mut self, api: Api, patience: Duration, body: &Writer) -> i32 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let mut head = Writer::default();
        head.short(api.0).short(api.1).int(number).text(&self.client);
        let mut length = Writer::default();
        length.count(head.0.len() + body.0.len());
        for part in [&length, &head, body] {
            self.output.extend_from_slice(&part.0);
        }
        self.is_flushed = false;
        self.waiting.push_back((number, Instant::now() + patience));
        number
    }

    /// Sends a request and gives what its answer has.
    pub(super) async fn call(&mut self, api: Api, body: &Writer) -> Result<Reader, Problem> {
        self.call_within(ANSWER, api, body).await
    }

    /// As [`Self::call`], of what a broker answers when others have done something.
    pub(super) async fn call_within(
        &mut self,
        patience: Duration,
        api: Api,
        body: &Writer,
    ) -> Result<Reader, Problem> {
        let number = self.ask(api, patience, body);
        loop {
            while let Some((answered, answer)) = self.answer()? {
                if answered == number {
                    return Ok(answer);
                }
            }
            self.fill().await?;
        }
    }

    /// The next answer that has come as a whole, and the number of its request.
    pub(super) fn answer(&mut self) -> Result<Option<(i32, Reader)>, Problem> {
        let Some(length) = self.input.first_chunk().map(|it| i32::from_be_bytes(*it)) else {
            return Ok(None);
        };
        let length = usize::try_from(length).ok().filter(|it| *it >= 4);
        let Some(length) = length.filter(|it| *it <= limits::KAFKA_ANSWER_BYTES) else {
            return Err(match self.is_known {
                true => self.failed("its answer is larger than is taken"),
                false => self.failed("it answers something else than a broker of Kafka"),
            });
        };
        if self.input.len() < 4 + length {
            return Ok(None);
        }
        self.input.advance(4);
        let mut answer = Reader(self.input.split_to(length).freeze());
        let number = answer.int().map_err(|why| self.failed(why))?;
        match self.waiting.pop_front() {
            Some((expected, _)) if expected == number => self.is_known = true,
            _ => return Err(self.failed("it answers something else than it was asked")),
        }
        Ok(Some((number, answer)))
    }

    /// Sends what is to be sent, then waits until more has come.
    pub(super) async fn fill(&mut self) -> Result<(), Problem> {
        let end = self.waiting.front().map(|(_, end)| *end);
        let end = end.unwrap_or_else(|| Instant::now() + ANSWER);
        let filled = tokio::time::timeout_at(end, async {
            while !self.output.is_empty() {
                self.stream.write_buf(&mut self.output).await?;
            }
            if !self.is_flushed {
                self.stream.flush().await?;
                self.is_flushed = true;
            }
            self.stream.read_buf(&mut self.input).await
        });
        match filled.await {
            Ok(Ok(0)) => Err(self.failed("the connection was closed")),
            Ok(Ok(_)) => {
                self.heard = Instant::now();
                Ok(())
            }
            Ok(Err(error)) => Err(self.failed(told(&error))),
            Err(_) => Err(self.failed("it does not answer")),
        }
    }

    pub(super) fn failed(&self, why: impl std::fmt::Display) -> Problem {
        self.peer.failed(why)
    }
}
