//! Messages: what goes out as bytes with headers, and what comes in as data.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::{Members, Value};

use super::description::MessageType;
use crate::charset;
use crate::media::{content_type as content_type_of, is_json, media_type};
use crate::perform::body;
use crate::perform::http::texts_of;
use crate::seal::Seal;

/// A message as data: `payload` and `headers`.
#[derive(Clone, Debug, Default)]
pub(super) struct Envelope {
    pub(super) payload: Value,
    pub(super) headers: Value,
}

/// A message that is published.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) payload: Vec<u8>,
    /// Of the payload; none where there is no payload.
    pub(super) content_type: Option<String>,
    /// Without the content type.
    pub(super) headers: Vec<(String, String)>,
}

/// A message that came.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    pub(super) payload: Bytes,
    /// Repeated ones are joined with a comma.
    pub(super) headers: Vec<(String, String)>,
    /// What the protocol itself says of the payload.
    pub(super) content_type: Option<String>,
    /// What the protocol itself has as correlation id.
    pub(super) correlation: Option<String>,
}

impl Incoming {
    /// About the bytes that it takes; messages of nothing take some as well.
    pub(super) fn weight(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        size_of::<Self>() + self.payload.len() + headers.sum::<usize>()
    }
}

impl Outgoing {
    /// `message` as bytes, by the content type that it names, or else its description.
    pub(super) fn new(message: &Envelope, told: &MessageType) -> Result<Self, Problem> {
        let mut headers = texts_of("headers", &message.headers)?;
        let own = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let own = own.map(|at| headers.remove(at).1);
        let mut typed = HeaderMap::new();
        if let Some(kind) = own.or_else(|| told.content_type.clone()) {
            let kind = HeaderValue::try_from(kind).map_err(|_| {
                let detail = "the content type of the message is none";
                Problem::new(Standard::Configuration, detail)
            })?;
            typed.insert(CONTENT_TYPE, kind);
        }
        let media = media_type(&content_type_of(&typed));
        let payload = match &message.payload {
            // A text is a value as any other, where the description says that they are JSON.
            text @ Value::String(_) if is_json(&media) => Some(text.to_json().into_bytes()),
            payload => body::encode(payload, &mut typed)?,
        };
        let content_type = typed.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let content_type = content_type.filter(|_| payload.is_some()).map(str::to_owned);
        Ok(Self { payload: payload.unwrap_or_default(), content_type, headers })
    }

    /// Adds those of `more` that the author has not given, whatever their case.
    pub(super) fn add_headers(&mut self, more: &HeaderMap) {
        for (name, value) in more {
            let Ok(value) = value.to_str() else { continue };
            if !self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name.as_str())) {
                self.headers.push((name.as_str().to_owned(), value.to_owned()));
            }
        }
    }
}

impl Incoming {
    /// Adds a header; what comes more than once is joined as HTTP does it.
    pub(super) fn add_header(&mut self, name: &str, value: &str) {
        match self.headers.iter_mut().find(|(known, _)| known == name) {
            Some((_, all)) => {
                all.push_str(", ");
                all.push_str(value);
            }
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
    }

    /// `{ payload, headers, correlationId }`; the last where there is one.
    pub(super) fn value(&self, told: &MessageType, seal: &mut Seal) -> Value {
        let of_header = || {
            let mut all = self.headers.iter();
            all.find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|it| it.1.as_str())
        };
        let kind = self.content_type.as_deref().or_else(of_header);
        let kind = kind.or(told.content_type.as_deref()).unwrap_or_default();
        let headers =
            self.headers.iter().map(|(name, value)| (name.as_str(), Value::from(value.as_str())));
        let envelope = Envelope {
            payload: payload(&self.payload, kind, seal),
            headers: Value::object(headers),
        };
        let place = told.correlation.as_deref();
        let correlation = place.and_then(|place| at_location(&envelope, place));
        let correlation = correlation.filter(|it| !it.is_null()).map(|it| it.to_text());
        let correlation = correlation.or_else(|| self.correlation.clone());
        let mut members = Members::new();
        members.insert("payload".into(), envelope.payload);
        members.insert("headers".into(), envelope.headers);
        if let Some(id) = correlation {
            members.insert("correlationId".into(), Value::from(id));
        }
        Value::from(members)
    }
}

/// What is at a runtime expression of AsyncAPI, `$message.payload#/a/b` or `$message.header#/a`.
pub(super) fn at_location(message: &Envelope, location: &str) -> Option<Value> {
    let (part, pointer) = location.split_once('#').unwrap_or((location, ""));
    let mut at = match part {
        "$message.payload" => &message.payload,
        "$message.header" => &message.headers,
        _ => return None,
    };
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let element = || at.as_array()?.get(step.parse::<usize>().ok()?);
        at = match at.get(&step) {
            Some(member) => member,
            None => element()?,
        };
    }
    Some(at.clone())
}

/// A payload by its content type: JSON as data, text as a string, anything else in base64. Where
/// nothing is said, and where it is not what is said, what it reads as; none at all is null.
fn payload(bytes: &[u8], content_type: &str, seal: &mut Seal) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    let media = media_type(content_type);
    let as_json = || {
        let text = charset::json(content_type, bytes).ok()?;
        Value::from_json(&text).ok()
    };
    let as_text = || charset::text(content_type, bytes).ok().map(Value::from);
    let is_text = media.starts_with("text/") || media.ends_with("+xml") || media.ends_with("/xml");
    let found = match media.as_str() {
        "" => as_json().or_else(|| std::str::from_utf8(bytes).ok().map(Value::from)),
        it if is_json(it) => as_json().or_else(|| std::str::from_utf8(bytes).ok().map(Value::from)),
        _ if is_text => as_text(),
        _ => None,
    };
    found.unwrap_or_else(|| Value::from(seal.encoded(bytes)))
}

#[cfg(test)]
mod tests;
