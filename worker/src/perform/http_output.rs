//! What an HTTP call gives: the body in base64, the decoded content, or the whole response.

use reqwest::StatusCode;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderName, PROXY_AUTHORIZATION, SET_COOKIE,
};
use windlass_proto::plan::HttpOutput;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::{Members, Value};

use super::exchange::Exchange;
use super::records::Records;
use crate::attempt::Attempt;
use crate::charset;
use crate::media::{content_type, is_json, media_type};
use crate::request::{excerpt, shown};
use crate::retry_after;
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
            if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                self.retry_after_ms = retry_after::milliseconds(&done.response.headers);
            }
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
        let text = charset::text(&content_type(&response.headers), &response.body);
        let text = text.unwrap_or_else(|_| String::from_utf8_lossy(&response.body).into_owned());
        let body = self.seal.text(&text);
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

/// Headers as an object: repeated ones joined, but `set-cookie` a list; credentials sealed.
fn headers(headers: &HeaderMap) -> Value {
    let mut members = Members::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let texts = values.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let value = if is_credential(name) {
            Value::from(SHOWN)
        } else if name == SET_COOKIE {
            // A date in it has a comma, so it cannot be told from the next one once they are
            // joined.
            Value::array(texts.map(Value::from).collect())
        } else {
            Value::from(texts.collect::<Vec<_>>().join(", "))
        };
        members.insert(name.as_str().into(), value);
    }
    Value::from(members)
}

fn is_credential(name: &HeaderName) -> bool {
    name == AUTHORIZATION || name == PROXY_AUTHORIZATION
}

/// How a body is still encoded: what the client knows, it has decoded and taken out of the headers.
fn coding(headers: &HeaderMap) -> Option<String> {
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    let codings = codings.map(|it| String::from_utf8_lossy(it.as_bytes()).to_ascii_lowercase());
    let codings: Vec<_> = codings.collect();
    // `aws-chunked` is no encoding: S3 shows it of what was uploaded so.
    let is_plain = |coding: &str| matches!(coding.trim(), "" | "identity" | "aws-chunked");
    let is_encoded = codings.iter().flat_map(|it| it.split(',')).any(|it| !is_plain(it));
    is_encoded.then(|| codings.join(", "))
}

/// The body by its content type: JSON as data, JSON Lines and event streams as a list, text as a
/// string, anything else in base64; an empty body is null.
fn content(headers: &HeaderMap, body: &[u8], seal: &mut Seal) -> Result<Value, Problem> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    if let Some(coding) = coding(headers) {
        let detail = format!(
            "the response is encoded as {coding:?}, which was not asked for and cannot be decoded: \
             `output: raw` gives the bytes"
        );
        return Err(Problem::new(Standard::Communication, detail));
    }
    let content_type = content_type(headers);
    let media = media_type(&content_type);
    if is_json(&media) {
        let broken = |why: String| {
            let detail = format!("the response says that it is JSON, but {why}");
            Problem::new(Standard::Communication, detail)
        };
        let text = charset::json(&content_type, body).map_err(&broken)?;
        return Value::from_json(&text).map_err(|error| broken(error.to_string()));
    }
    if let Some(records) = Records::of(&media) {
        let read = charset::json(&content_type, body).and_then(|text| records.read(&text));
        return read.map_err(|why| {
            let detail =
                format!("the response is no {media}: {why}; `output: raw` gives the bytes");
            Problem::new(Standard::Communication, detail)
        });
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
                | "application/x-www-form-urlencoded"
        );
    if declared_text {
        return charset::text(&content_type, body).map(Value::from).map_err(|why| {
            let detail = format!(
                "the response says that it is text, but {why}: `output: raw` gives the bytes"
            );
            Problem::new(Standard::Communication, detail)
        });
    }
    // Nothing declared: text where it reads as text.
    match std::str::from_utf8(body) {
        Ok(text) if media.is_empty() => Ok(Value::from(text.trim_start_matches('\u{feff}'))),
        _ => Ok(Value::from(seal.encoded(body))),
    }
}
