//! Bounds of messages that tasks publish and subscribe to.

use super::{PAYLOAD_BYTES, RESPONSE_BYTES};

/// Bytes of one message that a subscription takes: as much as one answer of HTTP.
pub const SUBSCRIBED_MESSAGE_BYTES: usize = RESPONSE_BYTES;

/// Bytes that the messages of one subscription come to as data: they are the task's output.
pub const SUBSCRIBED_BYTES: u64 = PAYLOAD_BYTES as u64;

/// Seconds after which a client of MQTT or NATS that has said nothing, or one of WebSocket that has
/// heard nothing, asks for a sign of life, or gives up where the last one was not answered. Brokers
/// give up on a client after half as much again (MQTT) or after four minutes (NATS).
pub const KEEP_ALIVE_S: u16 = 30;

/// Bytes of one line of the protocol of NATS: the longest is what a server says of itself and of
/// the others of its cluster.
pub const NATS_LINE_BYTES: usize = 1 << 20;

/// Bytes of the headers of one message of NATS.
pub const NATS_HEADER_BYTES: usize = 1 << 20;

/// Bytes of a text in a packet of MQTT: its length is written in two bytes.
pub const MQTT_TEXT_BYTES: usize = u16::MAX as usize;

/// Bytes of one frame of AMQP: what RabbitMQ has as the most, unless it is told otherwise.
pub const AMQP_FRAME_BYTES: u32 = 131_072;

/// Bytes of a frame that every client and broker of AMQP takes, by its specification.
pub const AMQP_FRAME_LEAST: usize = 4_096;

/// Messages of AMQP that a subscription takes before it acknowledges any: so many at most come
/// twice when a worker dies, and a broker keeps them in memory meanwhile.
pub const AMQP_UNACKNOWLEDGED: u16 = 1_000;

/// Milliseconds that a broker of AMQP may take to answer, to confirm a message or to read what is
/// sent to it: one that is short of memory or disk goes on with its signs of life and does none of
/// these. Copies of a message in a cluster that elects a leader take some seconds.
pub const AMQP_ANSWER_MS: u64 = 60_000;

/// Bytes of one answer of a broker of Kafka: a batch with the largest message, and what is around.
pub const KAFKA_ANSWER_BYTES: usize = SUBSCRIBED_MESSAGE_BYTES + (1 << 20);

/// Bytes that a broker of Kafka is asked for at once of one partition; of all, twice as many.
pub const KAFKA_FETCH_BYTES: i32 = 1 << 20;

/// Bytes of answers of all brokers that may have come and be no whole answers yet.
pub const KAFKA_BUFFERED_BYTES: usize = 64 << 20;

/// Bytes of one batch of Kafka when it is unpacked: producers pack a megabyte, text ten to one.
pub const KAFKA_BATCH_BYTES: usize = 64 << 20;

/// The logarithm of the window that unpacking a batch of zstd may take, in bytes: what is packed by
/// its usual levels has no larger one.
pub const KAFKA_WINDOW_LOG: u32 = 23;

/// Headers of one message of Kafka.
pub const KAFKA_HEADERS: usize = 1_000;

/// Elements of a list in an answer of Kafka: partitions of a large topic, members of a group.
pub const KAFKA_ELEMENTS: usize = 100_000;

/// Brokers of Kafka that one call has connections to.
pub const KAFKA_BROKERS: usize = 64;

/// Bytes of the name of a group or a client of Kafka.
pub const KAFKA_NAME_BYTES: usize = 255;

/// Milliseconds that a broker of Kafka may take to answer.
pub const KAFKA_ANSWER_MS: u64 = 60_000;

/// Milliseconds that a broker of Kafka waits for the replicas of a message: as Java's client.
pub const KAFKA_PRODUCE_MS: i32 = 30_000;

/// Milliseconds that a broker of Kafka waits for messages before it answers that there are none: as
/// Java's client.
pub const KAFKA_WAIT_MS: i32 = 500;

/// Milliseconds after which a group of Kafka gives the partitions of a member that is silent to
/// others: what a killed worker had waits so long. Brokers take no less than 6 s.
pub const KAFKA_SESSION_MS: i32 = 10_000;

/// Milliseconds between signs of life to a group of Kafka: three of them within its patience.
pub const KAFKA_BEAT_MS: u64 = 3_000;

/// Milliseconds that joining a group of Kafka may take: it waits for its other members, of which
/// Java's say after five minutes at most that they are there.
pub const KAFKA_JOIN_MS: u64 = 330_000;

/// Times that is asked again while a cluster of Kafka elects leaders, and the milliseconds between.
pub const KAFKA_TRIES: u32 = 40;
/// See [`KAFKA_TRIES`]: ten seconds in all, which is what elections take.
pub const KAFKA_PAUSE_MS: u64 = 250;

/// How often SCRAM may have a password hashed: no less than its specification has, so that nobody
/// in between makes it easy to find, and no more than takes a tenth of a second.
pub const KAFKA_SCRAM_ITERATIONS: (u32, u32) = (4_096, 100_000);

/// Milliseconds that saying goodbye to a server may take, whatever the server does.
pub const GOODBYE_MS: u64 = 1_000;

/// Names of operations, channels or servers that a message shows.
pub const ASYNCAPI_SHOWN: usize = 20;
