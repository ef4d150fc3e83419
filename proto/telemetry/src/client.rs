//! The HTTP client of exporters.
//!
//! Exporters run on threads without a reactor and believe whatever client they are given: redirects
//! followed with a GET count as success, and what a collector refused of an export is only logged.
//! So this client sends on the runtime, follows nothing, reads bounded answers and counts. What no
//! collector takes for now it keeps and sends again, for as long as what comes after it has room.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity};
use tokio::runtime::Handle;
use windlass_proto::limits;

use crate::counts::TelemetryCounts;
use crate::keep;
use crate::reach::{Cause, whole};
use crate::settings::{ClientIdentity, Destination, Signal};

/// Sends exports of one signal.
#[derive(Debug)]
pub(crate) struct ExportClient {
    client: reqwest::Client,
    runtime: Handle,
    signal: Signal,
    counts: Arc<TelemetryCounts>,
}

/// A collector's answer is longer than any should be.
#[derive(Debug, thiserror::Error)]
#[error("the collector's answer has more than {} bytes", limits::EXPORT_ANSWER_BYTES)]
struct LongAnswer;

impl ExportClient {
    /// # Errors
    /// When TLS cannot be set up with what the destination says.
    pub(crate) fn new(
        signal: Signal,
        to: &Destination,
        runtime: Handle,
        counts: Arc<TelemetryCounts>,
    ) -> Result<Self, reqwest::Error> {
        // An error means that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = to.tls.roots.as_deref().map(Certificate::from_pem_bundle).transpose()?;
        let roots = roots.unwrap_or_default();
        let both = |it: &ClientIdentity| [&*it.certificate, b"\n", &*it.key].concat();
        let identity =
            to.tls.client.as_ref().map(|it| Identity::from_pem(&both(it))).transpose()?;
        let base = || {
            let builder = reqwest::Client::builder()
                .redirect(Policy::none())
                .timeout(to.timeout)
                .referer(false)
                .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")));
            match &identity {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            }
        };
        // Certificates that are named stand in for the system's, as the standard wants it; a system
        // that has none is no reason to fail where no TLS is asked for.
        let client = match roots.is_empty() {
            true => base().build().or_else(|_| base().tls_certs_only([]).build())?,
            false => base().tls_certs_only(roots).build()?,
        };
        Ok(Self { client, runtime, signal, counts })
    }
}

/// The request for an export that is written already.
///
/// # Errors
/// When headers are none, or it cannot be packed.
pub(crate) fn request(to: &Destination, mut body: Vec<u8>) -> Result<Request<Bytes>, HttpError> {
    let mut request =
        Request::post(&to.endpoint).header(http::header::CONTENT_TYPE, "application/x-protobuf");
    for (name, value) in to.headers.iter() {
        request = request.header(name, value);
    }
    if to.gzip {
        request = request.header(http::header::CONTENT_ENCODING, "gzip");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut encoder, &body)?;
        body = encoder.finish()?;
    }
    Ok(request.body(Bytes::from(body))?)
}

impl ExportClient {
    /// Notes that an export could not even be sent; false, as it was not taken.
    pub(crate) fn unsent(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        self.signal.counts(&self.counts).reach.failed(Cause::lasting(whole(error)));
        false
    }
}

#[async_trait]
impl HttpClient for ExportClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, counts, signal) = (self.client.clone(), self.counts.clone(), self.signal);
        let sent = self.runtime.spawn(async move {
            let send = || send(client.clone(), request.clone());
            keep::until_taken(signal, &counts, send, not_taken).await
        });
        let response = sent.await??;
        if response.status().is_success() {
            // The answers of all signals look the same: how many items were refused, and why.
            let answer = ExportTraceServiceResponse::decode(response.body().clone());
            if let Some(partial) = answer.ok().and_then(|it| it.partial_success) {
                let items = u64::try_from(partial.rejected_spans).unwrap_or(0);
                self.signal.counts(&self.counts).reject(items, &partial.error_message);
            }
        }
        Ok(response)
    }
}

/// Why an export was not taken; nothing of one that was.
fn not_taken(sent: &Result<Response<Bytes>, HttpError>) -> Option<Cause> {
    match sent {
        Ok(response) if response.status().is_success() => None,
        Ok(response) => Some(Cause::status(response.status(), response.headers())),
        Err(error) => {
            let make = if error.is::<LongAnswer>() { Cause::lasting } else { Cause::passing };
            Some(make(whole(&**error)))
        }
    }
}

async fn send(
    client: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let mut answer = client.execute(reqwest::Request::try_from(request)?).await?;
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > limits::EXPORT_ANSWER_BYTES {
            return Err(LongAnswer.into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.freeze());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    Ok(response)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
