//! The address of a channel, and its parameters.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use windlass_proto::problem::Problem;
use windlass_proto::value::Members;

use super::message::{Envelope, at_location};
use super::server::Protocol;
use crate::perform::documents::configuration;

/// What stays as it is in a segment of a URL's path (RFC 3986).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An address in which parameters are still to be filled in.
#[derive(Debug)]
pub(super) struct Address {
    /// As the description has it.
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Parameter(Parameter),
}

/// What a description says of a parameter.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) default: Option<String>,
    /// `enum`
    pub(super) choices: Vec<String>,
    /// Where its value is in a message: `$message.payload#/…` or `$message.header#/…`.
    pub(super) location: Option<String>,
}

impl Address {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// A configuration problem for braces that name no parameter.
    pub(super) fn parse(text: &str, known: &[Parameter]) -> Result<Self, Problem> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| {
                configuration(format!("the address {text} has a `{{` that is not closed"))
            })?;
            let parameter = known.iter().find(|it| it.name == name).cloned();
            let unknown = || Parameter { name: name.to_owned(), ..Parameter::default() };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Parameter(parameter.unwrap_or_else(unknown)));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// As the description has it: nothing of a call is in it.
    pub(super) fn template(&self) -> &str {
        &self.text
    }

    /// The address for `protocol`. A parameter has the value that `message` has at its location,
    /// or the one `given`, or its default; what a subscription leaves open is any value, where the
    /// protocol can say so.
    ///
    /// # Errors
    /// A configuration problem for a parameter without a value, or with one that would make
    /// another address of it.
    pub(super) fn fill(
        &self,
        protocol: Protocol,
        message: Option<&Envelope>,
        given: &Members,
    ) -> Result<String, Problem> {
        let mut address = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => address.push_str(text),
                Piece::Parameter(parameter) => {
                    address.push_str(&parameter.value(protocol, message, given)?);
                }
            }
        }
        Ok(address)
    }
}

impl Parameter {
    fn value(
        &self,
        protocol: Protocol,
        message: Option<&Envelope>,
        given: &Members,
    ) -> Result<String, Problem> {
        let name = &self.name;
        let in_message = message.zip(self.location.as_deref());
        let in_message = in_message.and_then(|(message, place)| at_location(message, place));
        let in_call = || given.get(name.as_str()).cloned();
        let own = in_message.or_else(in_call).filter(|it| !it.is_null()).map(|it| it.to_text());
        let any = match protocol {
            Protocol::Amqp | Protocol::Nats => Some("*"),
            Protocol::Mqtt | Protocol::Mqtt5 => Some("+"),
            Protocol::Http | Protocol::Kafka | Protocol::WebSocket => None,
        };
        let Some(value) = own.or_else(|| self.default.clone()) else {
            if let Some(any) = any.filter(|_| message.is_none()) {
                return Ok(any.to_owned());
            }
            let detail = format!(
                "the parameter {name} of the channel's address has no value: give it in \
                 `server.variables`"
            );
            return Err(configuration(detail));
        };
        if !self.choices.is_empty() && !self.choices.contains(&value) {
            let detail = format!(
                "the parameter {name} of the channel's address can be: {}",
                super::description::listed(self.choices.iter().map(String::as_str))
            );
            return Err(configuration(detail));
        }
        encoded(protocol, &value).ok_or_else(|| {
            // The value may be a secret.
            let detail = format!("the parameter {name} would make another address of the channel");
            configuration(detail)
        })
    }
}

/// `value` as one part of an address; none where it cannot be one.
fn encoded(protocol: Protocol, value: &str) -> Option<String> {
    let is_fit = match protocol {
        Protocol::Http | Protocol::WebSocket => {
            let encoded = utf8_percent_encode(value, SEGMENT).to_string();
            return Some(encoded).filter(|it| !matches!(it.as_str(), "" | "." | ".."));
        }
        Protocol::Amqp => |it: char| !(".*#".contains(it) || it.is_control()),
        Protocol::Kafka => |it: char| it.is_ascii_alphanumeric() || "._-".contains(it),
        Protocol::Nats => |it: char| !(".*>".contains(it) || it.is_whitespace() || it.is_control()),
        Protocol::Mqtt | Protocol::Mqtt5 => |it: char| !("/+#".contains(it) || it.is_control()),
    };
    (!value.is_empty() && value.chars().all(is_fit)).then(|| value.to_owned())
}

#[cfg(test)]
mod tests;
