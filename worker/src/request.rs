//! One HTTP request and its response: bounded, without redirects, with errors that say what to do.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use rustls::CertificateError;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use crate::egress::{Caller, Refusal};
use crate::http_client::identity::ClientIdentity;
use crate::http_client::reuse::ends_of;
use crate::http_client::{Clients, Protocol};
use crate::trace::{self, HttpSpan};

/// A request, ready to send (again).
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    /// What is shown in TLS.
    pub(crate) identity: Option<ClientIdentity>,
}

/// A response, read in full.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// How much of a response is read.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Bytes of its body; a larger one is an error.
    pub(crate) most: usize,
    /// Tells whether what is there is enough: for streams that servers leave open. None reads to
    /// the end.
    pub(crate) is_enough: Option<IsEnough>,
}

/// Looks at the head of a response, its body so far, and where the latest part of that begins.
pub(crate) type IsEnough = fn(&HeaderMap, &[u8], usize) -> bool;

impl Extent {
    /// All of a body of at most `most` bytes.
    pub(crate) fn all(most: usize) -> Self {
        Self { most, is_enough: None }
    }
}

/// Reads `text` as an absolute HTTP URL.
pub(crate) fn parse_url(text: &str) -> Result<Url, Problem> {
    let refused = |reason: String| {
        // The text may hold credentials, so it is not shown.
        Problem::new(Standard::Configuration, format!("the endpoint is not an HTTP URL: {reason}"))
    };
    let url = Url::parse(text.trim()).map_err(|error| refused(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(refused(format!("its scheme is {other}"))),
    }
}

/// `url` for messages: without credentials, query and fragment.
pub(crate) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Sends `request` and reads as much of the response as `extent` says. Once more over a new
/// connection where one that was used before closed without an answer, and the call may be
/// repeated: see [`HttpOptions::idempotent_hosts`](crate::HttpOptions::idempotent_hosts). Inside a
/// traced attempt each of both is a span, which tells no host and no path with a secret in it that
/// the seal of `caller` knows. It waits where its host has a limit of calls.
///
/// # Errors
/// A communication problem when there is no complete response.
pub(crate) async fn send(
    clients: &Clients,
    request: &Request,
    extent: Extent,
    caller: Caller<'_>,
) -> Result<Response, Problem> {
    let most = extent.most;
    let _turn = clients.limits.turn(&request.url).await;
    let address = trace::address(&request.url, clients.tells_path(&request.url), |it| {
        !caller.seal.found_in(it)
    });
    let span = |resent| HttpSpan::new(&request.method, address, resent);
    let mut sent = span(0);
    let failed = |error: reqwest::Error| match Refusal::of(&error) {
        Some(refusal) => clients.refusal(refusal, caller),
        None => failure(&request.method, &request.url, &error),
    };
    let mut response = match start(clients, request, Protocol::Http, &sent, caller)?.await {
        Ok(response) => response,
        Err(error) => {
            sent.failed(&error);
            let keyed = request.headers.contains_key("idempotency-key");
            let repeatable = clients.may_repeat(&request.method, &request.url, keyed);
            // Asked in any case, as it forgets the connection.
            if !clients.connections.was_closed_while_idle(&error) || !repeatable {
                return Err(failed(error));
            }
            drop(sent);
            sent = span(1);
            start(clients, request, Protocol::HttpFresh, &sent, caller)?.await.map_err(|error| {
                sent.failed(&error);
                failed(error)
            })?
        }
    };
    sent.answered(response.status());
    let ends = ends_of(&response);
    let too_large = || {
        let what = shown(&request.url);
        let detail =
            format!("the response of {what} is larger than {most} bytes, the most a call reads");
        Problem::new(Standard::Communication, detail)
    };
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| {
        sent.failed(&error);
        failed(error)
    };
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > most {
            return Err(too_large());
        }
        let latest = body.len();
        body.extend_from_slice(&chunk);
        if extent.is_enough.is_some_and(|it| it(response.headers(), &body, latest)) {
            // Closed with what may still come: it carries no other request.
            return Ok(complete(&response, body));
        }
    }
    clients.connections.answered(ends);
    Ok(complete(&response, body))
}

fn complete(response: &reqwest::Response, body: Vec<u8>) -> Response {
    Response { status: response.status(), headers: response.headers().clone(), body }
}

/// A request to be sent by somebody who does not wait for the answer, and who sends it.
pub(crate) struct Errand {
    client: reqwest::Client,
    request: reqwest::Request,
}

impl Errand {
    /// Makes `request` ready; it is subject to the same rules as [`send`].
    pub(crate) fn new(
        clients: &Clients,
        request: Request,
        caller: Caller<'_>,
    ) -> Result<Self, Problem> {
        let Request { method, url, mut headers, body, identity } = request;
        let route = clients.route(&url, Protocol::Http, identity.as_ref(), caller)?;
        if let Some(host) = route.host.and_then(|host| HeaderValue::try_from(host).ok()) {
            headers.entry(HOST).or_insert(host);
        }
        let builder = route.client.request(method.clone(), route.url).headers(headers);
        let built = builder.body(body.unwrap_or_default()).build();
        let request = built.map_err(|error| failure(&method, &url, &error))?;
        Ok(Self { client: route.client, request })
    }

    /// Sends it; what is answered does not matter.
    pub(crate) async fn run(self) {
        let most = Duration::from_millis(limits::ERRAND_MS);
        let _ = tokio::time::timeout(most, self.client.execute(self.request)).await;
    }
}

/// Sends `request`; what it gives is done when the head of the response is there.
fn start(
    clients: &Clients,
    request: &Request,
    protocol: Protocol,
    span: &HttpSpan,
    caller: Caller<'_>,
) -> Result<impl Future<Output = reqwest::Result<reqwest::Response>> + use<>, Problem> {
    let route = clients.route(&request.url, protocol, request.identity.as_ref(), caller)?;
    let mut headers = request.headers.clone();
    if let Some(host) = route.host.and_then(|host| HeaderValue::try_from(host).ok()) {
        headers.entry(HOST).or_insert(host);
    }
    let has_content = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
    if has_content && request.body.as_ref().is_none_or(Vec::is_empty) {
        // RFC 9110, 8.6: a method that goes with content says that there is none.
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    span.inject(&mut headers);
    let mut builder = route.client.request(request.method.clone(), route.url).headers(headers);
    if let Some(body) = &request.body {
        builder = builder.body(body.clone());
    }
    Ok(builder.send())
}

/// The problem of a request that got no response.
fn failure(method: &Method, url: &Url, error: &reqwest::Error) -> Problem {
    let detail = format!("{method} {} failed: {}", shown(url), cause(url, error));
    Problem::new(Standard::Communication, detail)
}

/// Why there was no response, in words that help.
pub(crate) fn cause(url: &Url, error: &reqwest::Error) -> String {
    let host = url.host_str().unwrap_or_default();
    let mut innermost = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            match error.kind() {
                std::io::ErrorKind::ConnectionRefused => {
                    return "connection refused: nothing listens there".to_owned();
                }
                std::io::ErrorKind::TimedOut => return "the connection timed out".to_owned(),
                _ => {}
            }
        }
        let text = error.to_string();
        if text.contains("dns error") || text.contains("lookup address") {
            return format!("the name {host} cannot be resolved");
        }
        if let Some(error) = tls_error(error) {
            return format!("TLS: {error}");
        }
        innermost = text;
        source = error.source();
    }
    if error.is_timeout() {
        return "it timed out".to_owned();
    }
    if error.is_decode() {
        return format!(
            "the response breaks off or is damaged: it is not what its Content-Encoding says ({innermost})"
        );
    }
    if innermost.is_empty() { "the request could not be sent".to_owned() } else { innermost }
}

/// The TLS error inside `error`, which I/O errors wrap without naming it as their source.
fn tls_error(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return tls_error(error.get_ref()?);
    }
    let tls = error.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(why) = tls else { return Some(tls.to_string()) };
    // What is wrong with a name or a date is wrong whoever is trusted.
    let hint = match why {
        CertificateError::Other(why) if why.to_string().contains("CaUsedAsEndEntity") => {
            " (it is that of an authority, which a server cannot show: let the authority sign one \
             for the server, and start the worker with `--ca-file` and the authority's own)"
        }
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::Other(_) => {
            " (to trust a private authority, or a certificate that signed itself, start the worker \
             with `--ca-file`)"
        }
        _ => "",
    };
    Some(format!("{tls}{hint}"))
}

/// The beginning of a text for an error's detail, in one line.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(limits::EXCERPT_BYTES)];
    let text = String::from_utf8_lossy(cut);
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if cut.len() < bytes.len() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests;
