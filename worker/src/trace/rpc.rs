//! The span of one call by gRPC, by OpenTelemetry's conventions for RPC clients.

use reqwest::header::HeaderMap;
use tracing::Span;
use tracing::field::Empty;

use super::{TRACE_TARGET, child, failed, inject};

/// The span of one call; it ends when this is dropped.
pub(crate) struct RpcSpan(Span);

impl RpcSpan {
    /// Of a call of `method`, written `package.Service/Method`. Neither it nor the host can hold a
    /// secret: definitions have no expressions there.
    pub(crate) fn new(method: &str, host: &str, port: u16) -> Self {
        Self(child(|| {
            tracing::info_span!(
                target: TRACE_TARGET,
                "grpc",
                otel.name = method,
                otel.kind = "client",
                rpc.system.name = "grpc",
                rpc.method = method,
                rpc.response.status_code = Empty,
                server.address = host,
                server.port = i64::from(port),
                error.type = Empty,
                otel.status_code = Empty,
            )
        }))
    }

    /// Puts its trace context among the metadata of the call.
    pub(crate) fn inject(&self, metadata: &mut HeaderMap) {
        if !self.0.is_disabled() {
            inject(&self.0, metadata);
        }
    }

    /// The call has ended well.
    pub(crate) fn ended(&self, status: &'static str) {
        self.0.record("rpc.response.status_code", status);
    }

    /// The call has failed with this status.
    pub(crate) fn failed(&self, status: &'static str) {
        self.0.record("rpc.response.status_code", status);
        failed(&self.0, status);
    }
}
