//! CloudEvents as messages of NATS and requests of HTTP: structured, or binary with `ce-` headers.

use async_nats::HeaderMap;
use base64::Engine as _;
use percent_encoding::percent_decode;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::limits;
use windlass_proto::value::{Members, Value};

/// Begins the name of a header that is an attribute.
const ATTRIBUTE: &str = "ce-";

/// The event of a message.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn read(headers: Option<&HeaderMap>, payload: &[u8]) -> Result<CloudEvent, String> {
    if payload.len() > limits::PAYLOAD_BYTES {
        return Err(format!("it is larger than {} bytes", limits::PAYLOAD_BYTES));
    }
    // Names of headers are as the sender wrote them: `Content-Type` is `content-type`.
    let mut named: Vec<(String, &str)> = Vec::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        let name = AsRef::<str>::as_ref(name).to_ascii_lowercase();
        named.extend(values.first().map(|value| (name, value.as_str())));
    }
    let content_type = named.iter().find(|(name, _)| name == "content-type").map(|it| it.1);
    let media_type = essence(content_type.unwrap_or_default());
    let is_binary = named.iter().any(|(name, _)| name == "ce-specversion" || name == "ce-id");
    let value = if is_binary && !media_type.starts_with("application/cloudevents") {
        let declared = named.iter().find(|(name, _)| name == "ce-datacontenttype").map(|it| it.1);
        let media_type = declared.map_or(media_type, essence);
        let attributes = named.iter().map(|(name, value)| (&**name, value.as_bytes()));
        binary(attributes, &media_type, payload)?
    } else {
        Value::from_json_bytes(payload).map_err(|error| format!("it is {error}"))?
    };
    if Value::depth(&value) > limits::VALUE_DEPTH {
        return Err(format!("it is nested deeper than {} levels", limits::VALUE_DEPTH));
    }
    CloudEvent::from_value(value).map_err(|error| error.to_string())
}

/// A media type without parameters, in lower case.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// True for `application/json` and every `+json` type.
pub(crate) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// The binary mode: attributes in `ce-` headers, given in lower case; data in the body.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn binary<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    media_type: &str,
    body: &[u8],
) -> Result<Value, String> {
    let mut members = Members::new();
    for (name, value) in headers {
        let Some(attribute) = name.strip_prefix(ATTRIBUTE) else { continue };
        let text = std::str::from_utf8(value).ok();
        let text = text.and_then(|it| percent_decode(it.as_bytes()).decode_utf8().ok());
        let text = text.ok_or_else(|| format!("the header {name} is not text"))?;
        members.insert(attribute.into(), Value::from(&*text));
    }
    if !media_type.is_empty() {
        members.insert("datacontenttype".into(), media_type.into());
    }
    if body.is_empty() {
        return Ok(members.into());
    }
    if is_json(media_type) {
        let data = Value::from_json_bytes(body).map_err(|error| format!("its data is {error}"))?;
        members.insert("data".into(), data);
    } else if let (true, Ok(text)) = (media_type.starts_with("text/"), std::str::from_utf8(body)) {
        members.insert("data".into(), text.into());
    } else {
        let encoded = base64::engine::general_purpose::STANDARD.encode(body);
        members.insert("data_base64".into(), encoded.into());
    }
    Ok(members.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use async_nats::HeaderMap;

    use super::read;

    const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":1}}"#;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        pairs.iter().for_each(|(name, value)| headers.insert(*name, *value));
        headers
    }

    #[test]
    fn structured_with_and_without_headers() {
        let typed = headers(&[("Content-Type", "application/cloudevents+json; charset=utf-8")]);
        for headers in [None, Some(&HeaderMap::new()), Some(&typed)] {
            assert_eq!(read(headers, EVENT.as_bytes()).unwrap().envelope().to_json(), EVENT);
        }
    }

    #[test]
    fn binary_in_any_case() {
        let attributes = [("CE-ID", "1"), ("ce-source", "s%20%C3%A9"), ("Ce-Type", "t")];
        let mut headers = headers(&attributes);
        headers.insert("ce-specversion", "1.0");
        headers.insert("content-type", "application/json");
        headers.insert("Nats-Msg-Id", "1");
        let event = read(Some(&headers), b"{\"a\":1}").unwrap();
        assert_eq!((event.id(), event.source(), event.kind()), ("1", "s é", "t"));
        assert_eq!(event.data().to_json(), "{\"a\":1}");
        assert!(event.envelope().get("nats-msg-id").is_none());
        headers.insert("ce-datacontenttype", "text/plain");
        assert_eq!(read(Some(&headers), b"hi").unwrap().data().to_json(), "\"hi\"");
    }

    #[test]
    fn what_is_none_says_why() {
        let said =
            |headers: Option<&HeaderMap>, text: &str| read(headers, text.as_bytes()).unwrap_err();
        assert!(said(None, "{").contains("not JSON"));
        assert!(said(None, "{}").contains("`id`"));
        assert!(said(None, &EVENT.replace("1.0", "0.3")).contains("specversion"));
        assert!(said(None, &"[".repeat(100_000)).contains("not JSON"));
        let half = headers(&[("ce-id", "1"), ("ce-specversion", "1.0")]);
        assert!(said(Some(&half), "x").contains("`source`"));
    }
}
