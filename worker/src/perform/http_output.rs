//! What an HTTP call gives: the body in base64, the decoded content, or the whole response.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, PROXY_AUTHORIZATION};
use windlass_proto::plan::HttpOutput;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::{Members, Value};

use super::Attempt;
use super::body::media_type;
use super::redirect::Exchange;
use crate::exchange::{excerpt, shown};
use crate::seal::{SHOWN, Seal};

impl Attempt<'_> {
    /// The output of a finished exchange.
    ///
    /// # Errors
    /// A communication problem with the response's status where that is an error.
    pub(super) fn http_output(
        &mut self,
        output: HttpOutput,
        done: &Exchange,
    ) -> Result<Value, Problem> {
        let status = done.response.status;
        if !(status.is_success() || done.redirects && status.is_redirection()) {
            return Err(self.refused(done));
        }
        let body = &done.response.body;
        match output {
            HttpOutput::Raw => Ok(Value::from(self.seal.encoded(body))),
            HttpOutput::Content => content(&done.response.headers, body, &mut self.seal),
            HttpOutput::Response => {
                let request = Value::object([
                    ("method", Value::from(done.request.method.as_str())),
                    ("uri", Value::from(uri(done))),
                    ("headers", headers(&done.request.headers)),
                ]);
                Ok(Value::object([
                    ("request", request),
                    ("statusCode", Value::Int(i64::from(status.as_u16()))),
                    ("headers", headers(&done.response.headers)),
                    ("content", content(&done.response.headers, body, &mut self.seal)?),
                ]))
            }
        }
    }

    /// The problem of a response whose status is an error.
    fn refused(&self, done: &Exchange) -> Problem {
        let Exchange { request, response, .. } = done;
        let mut detail =
            format!("{} {} answered {}", request.method, shown(&request.url), response.status);
        // Sealed before it is cut: half of a secret would not be recognised.
        let body = self.seal.text(&String::from_utf8_lossy(&response.body));
        let shown_body = excerpt(body.as_bytes());
        if !shown_body.is_empty() {
            detail.push_str(": ");
            detail.push_str(&shown_body);
        }
        Problem::new(Standard::Communication, detail).with_status(response.status.as_u16())
    }
}

/// The request's URI, without credentials.
fn uri(done: &Exchange) -> String {
    let mut url = done.request.url.clone();
    // Fails only for URLs without a host, which HTTP does not have.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// Headers as an object: repeated ones joined, credentials sealed.
fn headers(headers: &HeaderMap) -> Value {
    let mut members = Members::new();
    for name in headers.keys() {
        let value = if is_credential(name) {
            SHOWN.to_owned()
        } else {
            let values = headers.get_all(name).iter();
            let texts = values.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
            texts.collect::<Vec<_>>().join(", ")
        };
        members.insert(name.as_str().into(), Value::from(value));
    }
    Value::from(members)
}

fn is_credential(name: &HeaderName) -> bool {
    name == AUTHORIZATION || name == PROXY_AUTHORIZATION
}

/// The body by its content type: JSON as data, text as a string, anything else in base64; an empty
/// body is null.
fn content(headers: &HeaderMap, body: &[u8], seal: &mut Seal) -> Result<Value, Problem> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let content_type =
        headers.get(CONTENT_TYPE).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
    let media = content_type.as_deref().map(media_type).unwrap_or_default();
    if media == "application/json" || media.ends_with("+json") {
        let broken = |why: String| {
            let detail = format!("the response says that it is JSON, but it is {why}");
            Problem::new(Standard::Communication, detail)
        };
        let text = std::str::from_utf8(body).map_err(|_| broken("not UTF-8".to_owned()))?;
        return Value::from_json(text).map_err(|error| broken(error.to_string()));
    }
    let declared_text = media.starts_with("text/")
        || media.ends_with("+xml")
        || media.ends_with("+yaml")
        || matches!(
            &*media,
            "application/xml"
                | "application/yaml"
                | "application/x-yaml"
                | "application/javascript"
                | "application/x-ndjson"
                | "application/x-www-form-urlencoded"
        );
    if declared_text {
        return Ok(Value::from(decode_text(content_type.as_deref().unwrap_or_default(), body)));
    }
    // Nothing declared: text where it reads as text.
    match std::str::from_utf8(body) {
        Ok(text) if media.is_empty() => Ok(Value::from(text)),
        _ => Ok(Value::from(seal.encoded(body))),
    }
}

/// Text in UTF-8, or in Latin-1 where the content type says so.
fn decode_text(content_type: &str, body: &[u8]) -> String {
    let lower = content_type.to_ascii_lowercase();
    let charset = lower.split("charset=").nth(1).unwrap_or_default();
    let charset = charset.split(';').next().unwrap_or_default().trim().trim_matches('"');
    match charset {
        "iso-8859-1" | "latin1" => body.iter().map(|byte| char::from(*byte)).collect(),
        _ => String::from_utf8_lossy(body).into_owned(),
    }
}
