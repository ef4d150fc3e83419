//! The packets of both versions, as far as a client of one call sends and reads them.

mod version_3;
mod version_5;

use bytes::BytesMut;
use windlass_proto::limits;

use super::super::login::Login;
use super::super::message::{Incoming, Outgoing};

/// Which version is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 3.1.1
    V3,
    V5,
}

/// What a broker says to what it was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted,
    /// It does not know who asks.
    Unauthenticated,
    /// Whoever asks may not do that.
    Forbidden,
    /// In the words of the standard.
    Refused(String),
}

/// A message that is published.
pub(super) struct Publication<'a> {
    pub(super) topic: &'a str,
    /// 0, 1 or 2.
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) packet: u16,
    pub(super) message: Outgoing,
}

/// A packet, sent (the first ones) or read.
pub(super) enum Packet<'a> {
    Connect {
        id: String,
        login: Option<Login>,
    },
    Publish(Publication<'a>),
    Subscribe {
        filter: String,
        qos: u8,
        packet: u16,
    },
    /// PUBACK, of a message that came.
    Acknowledge(u16),
    /// PUBREL
    Release(u16),
    Ping,
    Disconnect,
    /// CONNACK
    Connected(Outcome),
    /// SUBACK
    Subscribed(Outcome),
    /// PUBACK
    Acknowledged(Outcome),
    /// PUBREC
    Received(Outcome),
    /// PUBCOMP
    Completed,
    Message {
        incoming: Incoming,
        qos: u8,
        packet: u16,
    },
    Pong,
    /// DISCONNECT, with the reason.
    Closed(String),
    /// What means nothing to such a client.
    Other,
}

/// The bytes of `packet`.
///
/// # Errors
/// When it cannot be written, in words.
pub(super) fn write(version: Version, packet: Packet<'_>) -> Result<BytesMut, String> {
    match version {
        Version::V3 => version_3::write(packet),
        Version::V5 => version_5::write(packet),
    }
}

/// Takes the next packet out of `bytes`; none where it is not complete.
///
/// # Errors
/// When it is no packet, or too large, in words.
pub(super) fn read(
    version: Version,
    bytes: &mut BytesMut,
) -> Result<Option<Packet<'static>>, String> {
    if bytes.len() < 2 {
        return Ok(None);
    }
    match version {
        Version::V3 => version_3::read(bytes),
        Version::V5 => version_5::read(bytes),
    }
}

/// Bytes of a packet that is read at most.
const fn most() -> usize {
    limits::SUBSCRIBED_MESSAGE_BYTES
}

fn too_large() -> String {
    format!("a message is larger than {} bytes", most())
}

/// `text`, if it fits into a packet: the library would cut the length of a longer one.
fn fitting(what: &str, text: String) -> Result<String, String> {
    if text.len() > limits::MQTT_TEXT_BYTES || text.contains('\0') {
        let most = limits::MQTT_TEXT_BYTES;
        return Err(format!("{what} is longer than {most} bytes, or has a NUL in it"));
    }
    Ok(text)
}

/// The user name and the password of a login. A token is a password, and version 3.1.1 has none
/// without a user.
fn user(login: Login) -> Result<(String, String), String> {
    let (name, password) = match login {
        Login::User { name, password } => (name, password),
        Login::Token(token) => ("windlass".to_owned(), token),
    };
    let password = fitting("the password", password.to_string())?;
    Ok((fitting("the user name", name)?, password))
}

#[cfg(test)]
mod tests;
