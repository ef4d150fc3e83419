//! The span of one HTTP request, by OpenTelemetry's conventions for HTTP clients.
//!
//! Without `url.full`, which they want: a path holds ids of people, a query holds tokens. The path
//! alone is told of hosts that an option names.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};
use tracing::Span;
use tracing::field::Empty;

use super::{TRACE_TARGET, child, failed, inject, int};

/// Where a request goes, as far as that may be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'a> {
    scheme: &'a str,
    host: Option<&'a str>,
    port: Option<u16>,
    path: Option<&'a str>,
}

/// Where `url` leads, with its path where that is `wanted`; without what must not be `told`, as a
/// secret is in it.
pub(crate) fn address(url: &Url, wanted: bool, told: impl Fn(&str) -> bool) -> Address<'_> {
    let told = |it: &&str| !super::is_traced() || told(it);
    let path = Some(url.path()).filter(|it| wanted && told(it));
    let (scheme, host) = (url.scheme(), url.host_str().filter(told));
    Address { scheme, host, port: url.port_or_known_default(), path }
}

/// The span of one request that is sent; it ends when this is dropped.
pub(crate) struct HttpSpan(Span);

impl HttpSpan {
    /// Of a request that is sent for the first time, or for the `resent`th time again.
    pub(crate) fn new(method: &Method, address: Address<'_>, resent: u32) -> Self {
        Self(child(|| {
            // Others may be of any length, and anything.
            let known =
                ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
            let known = known.into_iter().find(|it| *it == method.as_str());
            let span = tracing::info_span!(
                target: TRACE_TARGET,
                "http",
                otel.name = known.unwrap_or("HTTP"),
                otel.kind = "client",
                http.request.method = known.unwrap_or("_OTHER"),
                http.request.resend_count = Empty,
                http.response.status_code = Empty,
                server.address = address.host,
                server.port = address.port.map(i64::from),
                url.scheme = address.scheme,
                url.path = address.path,
                error.type = Empty,
                otel.status_code = Empty,
            );
            if resent > 0 {
                span.record("http.request.resend_count", int(resent));
            }
            span
        }))
    }

    /// Puts its trace context among the headers of the request.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        if !self.0.is_disabled() {
            inject(&self.0, headers);
        }
    }

    /// The head of a response came.
    pub(crate) fn answered(&self, status: StatusCode) {
        if self.0.is_disabled() {
            return;
        }
        self.0.record("http.response.status_code", int(status.as_u16()));
        if status.is_client_error() || status.is_server_error() {
            failed(&self.0, status.as_str());
        }
    }

    /// There was no response, or not all of it.
    pub(crate) fn failed(&self, error: &reqwest::Error) {
        let kind = match error {
            it if it.is_timeout() => "timeout",
            it if it.is_connect() => "connect",
            it if it.is_decode() || it.is_body() => "body",
            _ => "_OTHER",
        };
        failed(&self.0, kind);
    }
}
