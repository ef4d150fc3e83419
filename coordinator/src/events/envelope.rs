//! CloudEvents as messages of NATS and requests of HTTP: structured, or binary with `ce-` headers.

use async_nats::HeaderMap;
use base64::Engine as _;
use percent_encoding::percent_decode;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::limits;
use windlass_proto::trace::{TRACEPARENT, TRACESTATE, TraceContext};
use windlass_proto::value::{Members, Value};

/// Begins the name of a header that is an attribute.
const ATTRIBUTE: &str = "ce-";

/// Types besides `text/…`, JSON and XML whose content is text.
const TEXTS: &[&str] = &[
    "application/csv",
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/jsonl",
    "application/sql",
    "application/toml",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/x-yaml",
    "application/xml",
    "application/xml-dtd",
    "application/yaml",
];

/// An event in binary mode, as the structured mode would have it.
pub(crate) struct Binary {
    /// Attributes and data.
    pub(crate) value: Value,
    /// True when the data was declared to be JSON and is a string without its quotes.
    pub(crate) unquoted: bool,
}

/// The event of a message, and whether its data was a JSON string without its quotes.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn read(
    headers: Option<&HeaderMap>,
    payload: &[u8],
) -> Result<(CloudEvent, bool), String> {
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
    let Binary { value, unquoted } = if is_binary
        && !media_type.starts_with("application/cloudevents")
    {
        let declared = named.iter().find(|(name, _)| name == "ce-datacontenttype").map(|it| it.1);
        let media_type = declared.map_or(media_type, essence);
        let attributes = named.iter().map(|(name, value)| (&**name, value.as_bytes()));
        binary(attributes, &media_type, payload)?
    } else {
        let value = Value::from_json_bytes(payload).map_err(|error| format!("it is {error}"))?;
        Binary { value, unquoted: false }
    };
    if Value::depth(&value) > limits::VALUE_DEPTH {
        return Err(format!("it is nested deeper than {} levels", limits::VALUE_DEPTH));
    }
    let event = CloudEvent::from_value(value).map_err(|error| error.to_string())?;
    let header = |of: &str| named.iter().find(|(name, _)| name == of).map(|it| it.1);
    // What the event says of itself wins over what carried it.
    let trace = header(TRACEPARENT).map(|it| TraceContext::parse(it, header(TRACESTATE)));
    let event = match trace {
        Some(Ok(trace)) => event.in_trace(&trace),
        _ => event,
    };
    Ok((event, unquoted))
}

/// A media type without parameters, in lower case.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// True for `application/json` and every `+json` type.
pub(crate) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// True where the structured mode has the data as a string.
fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || media_type.ends_with("+xml")
        || media_type.ends_with("+yaml")
        || TEXTS.contains(&media_type)
}

/// Data that is declared to be JSON; true beside it for a string without its quotes. SDKs send
/// strings so: what is no JSON is text then, unless it begins as JSON does, since that was meant to
/// be some.
fn json(body: &[u8]) -> Result<(Value, bool), String> {
    let error = match Value::from_json_bytes(body) {
        Ok(data) => return Ok((data, false)),
        Err(error) => error,
    };
    let begins = body.iter().find(|it| !it.is_ascii_whitespace());
    match std::str::from_utf8(body) {
        Ok(text) if !matches!(begins, Some(b'{' | b'[' | b'"')) => Ok((text.into(), true)),
        _ => Err(format!("its data is {error}")),
    }
}

/// The binary mode: attributes in `ce-` headers, given in lower case; data in the body.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn binary<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    media_type: &str,
    body: &[u8],
) -> Result<Binary, String> {
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
        return Ok(Binary { value: members.into(), unquoted: false });
    }
    let mut unquoted = false;
    if is_json(media_type) {
        let data;
        (data, unquoted) = json(body)?;
        members.insert("data".into(), data);
    } else if let (true, Ok(text)) = (is_text(media_type), std::str::from_utf8(body)) {
        members.insert("data".into(), text.into());
    } else {
        let encoded = base64::engine::general_purpose::STANDARD.encode(body);
        members.insert("data_base64".into(), encoded.into());
    }
    Ok(Binary { value: members.into(), unquoted })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use async_nats::HeaderMap;

    use super::{CloudEvent, binary, is_text};

    fn read(headers: Option<&HeaderMap>, payload: &[u8]) -> Result<CloudEvent, String> {
        super::read(headers, payload).map(|it| it.0)
    }

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
    fn a_header_says_of_the_trace_unless_the_event_does() {
        let parent =
            |span: u8| format!("00-0af7651916cd43dd8448eb211c80319c-00000000000000{span:02x}-01");
        let (carried, own) = (parent(1), parent(2));
        let headers = headers(&[("Traceparent", &carried), ("tracestate", "a=1")]);
        let event = read(Some(&headers), EVENT.as_bytes()).unwrap();
        let trace = event.trace().unwrap();
        assert_eq!((trace.traceparent(), trace.state.as_deref()), (carried, Some("a=1")));
        let text = EVENT.replace("\"data\"", &format!("\"traceparent\":\"{own}\",\"data\""));
        let event = read(Some(&headers), text.as_bytes()).unwrap();
        assert_eq!(event.trace().unwrap().traceparent(), own);
        let wrong = super::tests::headers(&[("traceparent", "00-1-2-01")]);
        let event = read(Some(&wrong), EVENT.as_bytes()).unwrap();
        assert_eq!(event.envelope().to_json(), EVENT, "as if there were none");
    }

    #[test]
    fn a_json_string_may_lack_its_quotes_and_nothing_else() {
        let read = |body: &str| {
            let read = binary(std::iter::empty(), "application/json", body.as_bytes());
            read.map(|it| (it.value.get("data").unwrap().to_json(), it.unquoted))
        };
        for (body, data, unquoted) in [
            ("hi", r#""hi""#, true),
            ("not quite: 1}", r#""not quite: 1}""#, true),
            ("é \n", r#""é \n""#, true),
            (r#""hi""#, r#""hi""#, false),
            ("42", "42", false),
            (" null ", "null", false),
        ] {
            assert_eq!(read(body), Ok((data.to_owned(), unquoted)), "{body}");
        }
        for broken in ["{", "{a: 1}", "[1,]", r#""hi"#, r#" {"a":1"#] {
            assert!(read(broken).is_err(), "{broken} was meant to be JSON");
        }
        assert!(binary(std::iter::empty(), "application/json", b"\xff").is_err());
    }

    #[test]
    fn texts_are_text_and_the_rest_is_bytes() {
        for (kind, text) in [
            ("application/xml", true),
            ("application/atom+xml", true),
            ("application/yaml", true),
            ("text/csv", true),
            ("application/x-www-form-urlencoded", true),
            ("application/octet-stream", false),
            ("image/png", false),
            ("application/protobuf", false),
        ] {
            assert_eq!(is_text(kind), text, "{kind}");
        }
        let of = |body: &[u8]| binary(std::iter::empty(), "application/xml", body).unwrap().value;
        assert_eq!(of(b"<a/>").get("data").unwrap().as_str(), Some("<a/>"));
        assert_eq!(of(b"\xff").get("data_base64").unwrap().as_str(), Some("/w=="));
    }

    #[test]
    fn what_is_none_says_why() {
        let said =
            |headers: Option<&HeaderMap>, text: &str| read(headers, text.as_bytes()).unwrap_err();
        assert!(said(None, "{").contains("not JSON"));
        assert!(said(None, "{}").contains("`id`"));
        assert!(said(None, &EVENT.replace("1.0", "0.3")).contains("specversion"));
        assert!(said(None, &"[".repeat(300)).contains("not JSON"));
        let half = headers(&[("ce-id", "1"), ("ce-specversion", "1.0")]);
        assert!(said(Some(&half), "x").contains("`source`"));
    }
}
