//! The log as a stream of `JetStream`: appended by compare-and-set on its last sequence number,
//! read in order.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::context::{GetStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use bytes::Bytes;
use tokio::time::timeout;
use windlass_bus::Bus;
use windlass_proto::limits;

/// A log that does not answer, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Away(pub(super) String);

impl Away {
    pub(super) fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// How far a log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) messages: u64,
}

impl Extent {
    /// Messages between the first and the last that are not there.
    pub(super) fn missing(&self) -> u64 {
        if self.messages == 0 {
            return 0;
        }
        let span = (self.last + 1).saturating_sub(self.first);
        span.saturating_sub(self.messages)
    }
}

/// What came of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is there.
    Done,
    /// The last sequence number is another one.
    Refused,
}

/// The stream of a group's log.
pub(super) struct LogStream {
    bus: Bus,
    context: Context,
    stream: Stream,
    subject: String,
}

/// What streams are made with.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) replicas: u8,
}

pub(super) fn patience() -> Duration {
    Duration::from_millis(limits::CLUSTER_REQUEST_MS)
}

/// The stream, made where there is none. One that is there is never changed.
pub(super) async fn ensure(context: &Context, config: Config) -> Result<Stream, Away> {
    let name = config.name.clone();
    let found = timeout(patience(), context.get_stream(&name)).await;
    match found.map_err(|_| Away(format!("stream {name}: JetStream does not answer")))? {
        Ok(stream) => return Ok(stream),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(reason)
                if reason.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
            _ => return Err(Away(format!("stream {name}: {error}"))),
        },
    }
    // An election of who places it may take longer than a request does.
    let made = timeout(patience() * 4, context.create_stream(config)).await;
    let made = made.map_err(|_| Away(format!("stream {name} cannot be made in time")))?;
    made.map_err(|error| Away(format!("stream {name} cannot be made: {error}")))?;
    context.get_stream(&name).await.map_err(Away::of)
}

impl LogStream {
    pub(super) async fn open(bus: &Bus, context: &Context, made: Made) -> Result<Self, Away> {
        let Made { name, subject, replicas } = made;
        let config = Config {
            name: name.clone(),
            description: Some("Windlass: the log of a cluster".to_owned()),
            subjects: vec![subject.clone()],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            // What is acknowledged is never dropped to make room: the leader would be refused.
            discard: DiscardPolicy::New,
            num_replicas: usize::from(replicas),
            ..Config::default()
        };
        let stream = ensure(context, config).await?;
        let found = &stream.cached_info().config;
        // -1 is no bound, as 0 is where nobody said anything.
        let keeps = found.retention == RetentionPolicy::Limits
            && found.max_messages_per_subject <= 0
            && found.discard == DiscardPolicy::New
            && found.max_age.is_zero()
            && found.storage == StorageType::File;
        if !keeps || !found.subjects.contains(&subject) {
            return Err(Away(format!(
                "stream {name} does not keep all it is given (retention limits, discard new, storage \
                 file, no age, no bound for a subject, subject {subject}): change it, or give the cluster another name"
            )));
        }
        let (has, wants) = (found.num_replicas.max(1), usize::from(replicas));
        if has < wants {
            tracing::warn!(
                "stream {name} has {has} replicas, wanted are {wants}: nats stream edit {name} \
                 --replicas {wants}"
            );
        }
        Ok(Self { bus: bus.clone(), context: context.clone(), stream, subject })
    }

    /// Whether there is a connection.
    pub(super) fn is_up(&self) -> bool {
        self.bus.is_up()
    }

    /// Bytes of a part of an entry.
    pub(super) fn part_bytes(&self) -> usize {
        let server = match self.bus.client.max_payload() {
            // Not connected yet.
            0 => limits::FRAME_BYTES,
            most => most,
        };
        let most = server.saturating_sub(limits::CLUSTER_PART_ROOM_BYTES);
        most.min(limits::CLUSTER_PART_BYTES)
    }

    pub(super) async fn extent(&self) -> Result<Extent, Away> {
        let info = timeout(patience(), self.stream.get_info()).await.map_err(Away::of)?;
        let state = info.map_err(Away::of)?.state;
        let (first, last) = (state.first_sequence, state.last_sequence);
        Ok(Extent { first, last, messages: state.messages })
    }

    /// The message with a sequence number, as the leader of the stream has it.
    pub(super) async fn message(&self, sequence: u64) -> Result<Option<Bytes>, Away> {
        if sequence == 0 {
            return Ok(None);
        }
        let found = timeout(patience(), self.stream.get_raw_message(sequence)).await;
        match found.map_err(Away::of)? {
            Ok(message) => Ok(Some(message.payload)),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => {
                Ok(None)
            }
            Err(error) => Err(Away::of(error)),
        }
    }

    /// The first message from a sequence number on.
    pub(super) async fn next(&self, from: u64) -> Result<Option<(u64, Bytes)>, Away> {
        let asked = self.stream.get_first_raw_message_by_subject(&self.subject, from.max(1));
        match timeout(patience(), asked).await.map_err(Away::of)? {
            Ok(message) => Ok(Some((message.sequence, message.payload))),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => {
                Ok(None)
            }
            Err(error) => Err(Away::of(error)),
        }
    }

    /// The last message that is there: one that was removed leaves its number behind.
    pub(super) async fn end(&self) -> Result<Option<(u64, Bytes)>, Away> {
        let asked = self.stream.get_last_raw_message_by_subject(&self.subject);
        match timeout(patience(), asked).await.map_err(Away::of)? {
            Ok(message) => Ok(Some((message.sequence, message.payload))),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => {
                Ok(None)
            }
            Err(error) => Err(Away::of(error)),
        }
    }

    /// Whether the stream was deleted.
    pub(super) async fn is_gone(&self) -> bool {
        let name = &self.stream.cached_info().config.name;
        let found = timeout(patience(), self.context.get_stream(name)).await;
        let Ok(Err(error)) = found else { return false };
        matches!(error.kind(), GetStreamErrorKind::JetStream(reason)
            if reason.error_code() == ErrorCode::STREAM_NOT_FOUND)
    }

    /// Appends a message, if `last` is the last sequence number. What is answered with an error may
    /// have come to pass.
    pub(super) async fn append(&self, last: u64, message: Bytes) -> Result<Appended, Away> {
        let message = PublishMessage::build().expected_last_sequence(last).payload(message);
        let sent = async { self.context.send_publish(self.subject.clone(), message).await?.await };
        match timeout(patience(), sent).await.map_err(Away::of)? {
            Ok(acknowledged) if acknowledged.sequence == last + 1 => Ok(Appended::Done),
            Ok(acknowledged) => {
                Err(Away(format!("appended as {} after {last}", acknowledged.sequence)))
            }
            Err(error) => match error.kind() {
                PublishErrorKind::WrongLastSequence => Ok(Appended::Refused),
                _ => Err(Away::of(error)),
            },
        }
    }

    /// Messages from a sequence number on, as they come.
    pub(super) async fn read(&self, from: u64) -> Result<Ordered, Away> {
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.max(1) },
            max_batch: limits::CLUSTER_READ_AHEAD,
            max_bytes: limits::CLUSTER_READ_AHEAD_BYTES,
            ..OrderedConfig::default()
        };
        let made = timeout(patience() * 4, self.stream.create_consumer(config)).await;
        let consumer = made.map_err(Away::of)?.map_err(Away::of)?;
        consumer.messages().await.map_err(Away::of)
    }

    /// Drops all messages before a sequence number.
    pub(super) async fn purge(&self, before: u64) -> Result<(), Away> {
        let purged = self.stream.purge().sequence(before);
        let purged = timeout(patience() * 4, async { purged.await }).await;
        purged.map_err(Away::of)?.map(drop).map_err(Away::of)
    }
}
