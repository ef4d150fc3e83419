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

/// Milliseconds that saying goodbye to a server may take, whatever the server does.
pub const GOODBYE_MS: u64 = 1_000;

/// Names of operations, channels or servers that a message shows.
pub const ASYNCAPI_SHOWN: usize = 20;
