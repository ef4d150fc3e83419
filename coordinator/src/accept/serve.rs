//! The server: a listener, the router, and an orderly end.

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;

use windlass_proto::limits::API_DRAIN_MS;

use super::gate;
use super::state::Api;
use crate::coordinator::Coordinator;

/// Who can reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// This machine alone: requests must name it as their host.
    Loopback,
    /// A network: whoever reaches it can command it.
    Network,
}

/// Serves the API until `stop` completes, then lets requests under way end, for a bounded time.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    coordinator: Coordinator,
    exposure: Exposure,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let api = Api::new(coordinator);
    let mut router = super::routes(api.clone());
    if exposure == Exposure::Loopback {
        router = router.layer(axum::middleware::from_fn(gate::loopback_host));
    }
    let closing = api.clone();
    let stopping = async move {
        stop.await;
        closing.close();
    };
    let served = axum::serve(listener, router).with_graceful_shutdown(stopping);
    let drained = async {
        api.closed().await;
        tokio::time::sleep(Duration::from_millis(API_DRAIN_MS)).await;
    };
    tokio::select! {
        served = served.into_future() => served,
        () = drained => {
            tracing::warn!("requests were still under way when the time to end was over");
            Ok(())
        }
    }
}
