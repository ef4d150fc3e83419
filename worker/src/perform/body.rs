//! The body of a request, by its content type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::http::texts_of;
use crate::charset;
use crate::media::{is_json, media_type};

/// The bytes of `content`, and the content type where the author set none: strings are sent as
/// text, anything else as JSON, unless the content type asks for a form. Null is no body. With a
/// content type that is neither JSON nor a form, an object with nothing but `base64` is the bytes
/// it encodes.
pub(super) fn encode(content: &Value, headers: &mut HeaderMap) -> Result<Option<Vec<u8>>, Problem> {
    if content.is_null() {
        return Ok(None);
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let given = kind.as_deref().map(media_type);
    let bytes = match (given.as_deref(), content) {
        (Some("application/x-www-form-urlencoded"), Value::Object(_)) => {
            form(content)?.into_bytes()
        }
        (Some("multipart/form-data"), Value::Object(_)) => {
            let (bytes, kind) = multipart(content)?;
            headers.insert(CONTENT_TYPE, kind);
            bytes
        }
        (Some(media), _) if is_json(media) => content.to_text().into_bytes(),
        (Some(_), Value::Object(_)) if encoded(content).is_some() => {
            decoded(encoded(content).unwrap_or_default(), "the body")?
        }
        (Some(_), _) => {
            let kind = kind.as_deref().unwrap_or_default();
            charset::encode(kind, &content.to_text()).map_err(|why| {
                let detail = format!("the body cannot be sent as {kind:?}: {why}");
                Problem::new(Standard::Configuration, detail)
            })?
        }
        (None, Value::String(text)) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            text.as_bytes().to_vec()
        }
        (None, _) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            content.to_json().into_bytes()
        }
    };
    Ok(Some(bytes))
}

/// The bytes in base64 that an object stands for.
fn encoded(content: &Value) -> Option<&str> {
    let members = content.as_object().filter(|it| it.len() == 1)?;
    members.get("base64").and_then(Value::as_str)
}

fn decoded(text: &str, what: &str) -> Result<Vec<u8>, Problem> {
    STANDARD
        .decode(text)
        .map_err(|_| Problem::new(Standard::Configuration, format!("{what} is not valid base64")))
}

/// `application/x-www-form-urlencoded`
pub(super) fn form(content: &Value) -> Result<String, Problem> {
    let pairs = texts_of("body", content)?;
    // The query of a URL has the encoding of a form.
    let mut url = Url::parse("http://form/").map_err(|error| {
        Problem::new(Standard::Runtime, format!("the form cannot be encoded: {error}"))
    })?;
    url.query_pairs_mut().extend_pairs(pairs);
    Ok(url.query().unwrap_or_default().to_owned())
}

/// `multipart/form-data`: a member is a field, or a file where it is an object with `content`
/// (text) or `base64`, and `filename`, `contentType`; bytes without a name have that of the field.
fn multipart(content: &Value) -> Result<(Vec<u8>, HeaderValue), Problem> {
    let boundary = format!("windlass-{}", uuid::Uuid::new_v4().simple());
    let mut out = Vec::new();
    for (name, value) in content.as_object().into_iter().flatten() {
        let parts = value.as_array().unwrap_or(std::slice::from_ref(value));
        for part in parts.iter().filter(|part| !part.is_null()) {
            out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            write_part(&mut out, name, part)?;
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={boundary}");
    let kind = HeaderValue::try_from(kind).map_err(|error| {
        Problem::new(Standard::Runtime, format!("the form cannot be encoded: {error}"))
    })?;
    Ok((out, kind))
}

fn write_part(out: &mut Vec<u8>, name: &str, part: &Value) -> Result<(), Problem> {
    let text = |key: &str| part.get(key).and_then(Value::as_str);
    let mut head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(name));
    let bytes = match (text("content"), text("base64")) {
        (Some(content), _) => content.as_bytes().to_vec(),
        (None, Some(encoded)) => decoded(encoded, &format!("the part {name:?} of the form"))?,
        (None, None) => part.to_text().into_bytes(),
    };
    // Most frameworks take a part for a file only if it has a name.
    let unnamed = || Some(name).filter(|_| text("content").is_none() && text("base64").is_some());
    if let Some(filename) = text("filename").or_else(unnamed) {
        head.push_str(&format!("; filename=\"{}\"", quoted(filename)));
    }
    if let Some(kind) = text("contentType") {
        head.push_str(&format!("\r\nContent-Type: {}", kind.replace(['\r', '\n'], " ")));
    }
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(&bytes);
    Ok(())
}

/// As browsers write names: quotes and line ends percent-encoded.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
