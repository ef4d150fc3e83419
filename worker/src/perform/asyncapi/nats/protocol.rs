//! What clients and servers of NATS say, <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

use bytes::{Buf as _, Bytes, BytesMut};
use windlass_proto::limits;
use windlass_proto::value::Value;
use zeroize::Zeroizing;

use super::super::login::Login;
use super::super::message::{Incoming, Outgoing};

/// How a block of headers begins.
const HEADERS: &str = "NATS/1.0";

/// What a server says.
#[derive(Debug)]
pub(super) enum Told {
    /// Whether TLS has to be spoken, and bytes of the largest message.
    Info {
        tls: bool,
        most: usize,
    },
    Message(Incoming),
    Ping,
    Pong,
    /// In its words.
    Error(String),
    /// What means nothing to such a client.
    Other,
}

/// The first thing a client says, with a ping.
pub(super) fn connect(login: Option<&Login>, tls: bool) -> Zeroizing<Vec<u8>> {
    let mut options = vec![
        ("verbose", Value::Bool(false)),
        ("pedantic", Value::Bool(false)),
        ("tls_required", Value::Bool(tls)),
        ("name", Value::from("windlass")),
        ("lang", Value::from("rust")),
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("protocol", Value::Int(1)),
        ("headers", Value::Bool(true)),
    ];
    match login {
        None => {}
        Some(Login::User { name, password }) => {
            options.push(("user", Value::from(name.as_str())));
            options.push(("pass", Value::from(password.as_str())));
        }
        Some(Login::Token(token)) => options.push(("auth_token", Value::from(token.as_str()))),
    }
    let options = Zeroizing::new(Value::object(options).to_json());
    Zeroizing::new(format!("CONNECT {}\r\nPING\r\n", *options).into_bytes())
}

/// A message to `subject`, with a ping.
///
/// # Errors
/// For what cannot be written so, in words without values.
pub(super) fn publish(subject: &str, message: &Outgoing) -> Result<Vec<u8>, String> {
    if !is_subject(subject) || subject.split('.').any(|it| matches!(it, "*" | ">")) {
        return Err("the channel's address is no subject of NATS to publish to".to_owned());
    }
    let mut headers = format!("{HEADERS}\r\n");
    let kind = message.content_type.as_ref().map(|it| ("Content-Type", it));
    let all = message.headers.iter().map(|(name, value)| (name.as_str(), value));
    for (name, value) in all.chain(kind) {
        let is_name = |it: u8| it.is_ascii_graphic() && it != b':';
        if name.is_empty() || !name.bytes().all(is_name) || value.contains(['\r', '\n']) {
            return Err(format!("the header {name:?} is not allowed in NATS"));
        }
        headers.push_str(&format!("{name}: {value}\r\n"));
    }
    headers.push_str("\r\n");
    let (head, payload) = (headers.len(), &message.payload);
    let mut packet = format!("HPUB {subject} {head} {}\r\n{headers}", head + payload.len());
    packet.reserve(payload.len() + 8);
    let mut packet = packet.into_bytes();
    packet.extend_from_slice(payload);
    packet.extend_from_slice(b"\r\nPING\r\n");
    Ok(packet)
}

/// A subscription to `subject`, with others of `queue` where there is one, and a ping.
///
/// # Errors
/// For what cannot be written so.
pub(super) fn subscribe(subject: &str, queue: Option<&str>) -> Result<Vec<u8>, String> {
    if !is_subject(subject) {
        return Err("the channel's address is no subject of NATS".to_owned());
    }
    let queue = match queue {
        None => String::new(),
        Some(queue) if is_word(queue) => format!("{queue} "),
        Some(_) => return Err("the queue in the bindings is none of NATS".to_owned()),
    };
    Ok(format!("SUB {subject} {queue}1\r\nPING\r\n").into_bytes())
}

fn is_subject(text: &str) -> bool {
    is_word(text) && text.split('.').all(|it| !it.is_empty())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|it: char| it.is_whitespace() || it.is_control())
}

/// Takes the next thing that was said out of `bytes`; none where it is not complete.
///
/// # Errors
/// When it is nothing of the protocol, or too large, in words.
pub(super) fn read(bytes: &mut BytesMut) -> Result<Option<Told>, String> {
    let Some(end) = bytes.windows(2).position(|it| it == b"\r\n") else {
        if bytes.len() > limits::NATS_LINE_BYTES {
            return Err("a line of its protocol does not end".to_owned());
        }
        return Ok(None);
    };
    let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
    let told = match verb.to_ascii_uppercase().as_str() {
        "MSG" => return message(bytes, end + 2, rest, false),
        "HMSG" => return message(bytes, end + 2, rest, true),
        "INFO" => info(rest)?,
        "PING" => Told::Ping,
        "PONG" => Told::Pong,
        "-ERR" => Told::Error(rest.trim().trim_matches('\'').to_owned()),
        "+OK" => Told::Other,
        _ => return Err("it answers something else than a server of NATS".to_owned()),
    };
    bytes.advance(end + 2);
    Ok(Some(told))
}

fn info(text: &str) -> Result<Told, String> {
    let info =
        Value::from_json(text).map_err(|_| "what it says of itself is no JSON".to_owned())?;
    let tls = info.get("tls_required").is_some_and(Value::is_truthy);
    let most = info.get("max_payload").and_then(Value::as_i64);
    let most = most.and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX);
    Ok(Told::Info { tls, most })
}

/// A message of which the line ends at `start`: `SUBJECT SID [REPLY] [HEADERS] ALL`.
fn message(
    bytes: &mut BytesMut,
    start: usize,
    line: &str,
    has_headers: bool,
) -> Result<Option<Told>, String> {
    let wrong = || "a message of its protocol cannot be read".to_owned();
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let number = |at: usize| {
        let at = words.len().checked_sub(at);
        at.and_then(|at| words.get(at)).and_then(|it| it.parse::<usize>().ok()).ok_or_else(wrong)
    };
    let all = number(1)?;
    let head = if has_headers { number(2)? } else { 0 };
    if head > limits::NATS_HEADER_BYTES || all > limits::SUBSCRIBED_MESSAGE_BYTES + head {
        return Err(format!("a message is larger than {} bytes", limits::SUBSCRIBED_MESSAGE_BYTES));
    }
    if head > all || words.len() < 3 {
        return Err(wrong());
    }
    if bytes.len() < start + all + 2 {
        bytes.reserve(start + all + 2 - bytes.len());
        return Ok(None);
    }
    bytes.advance(start);
    let mut whole = bytes.split_to(all + 2).freeze();
    if !whole.ends_with(b"\r\n") {
        return Err(wrong());
    }
    whole.truncate(all);
    let headers = whole.split_to(head);
    Ok(Some(Told::Message(incoming(&headers, whole))))
}

fn incoming(headers: &Bytes, payload: Bytes) -> Incoming {
    let mut incoming = Incoming { payload, ..Incoming::default() };
    let headers = String::from_utf8_lossy(headers);
    for line in headers.split("\r\n").skip(1) {
        if let Some((name, value)) = line.split_once(':') {
            incoming.add_header(name.trim(), value.trim());
        }
    }
    incoming
}

#[cfg(test)]
mod tests;
