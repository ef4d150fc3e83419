//! Exports that failed for a while are made again, as OTLP has it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use windlass_proto::limits;

/// Exports until a collector has answered for good, or `within` is over.
pub(super) async fn until_taken<T, F: Future<Output = Result<T, Status>>>(
    within: Duration,
    mut export: impl FnMut() -> F,
) -> Result<T, Status> {
    let until = Instant::now() + within;
    let mut pause = Duration::from_millis(limits::EXPORT_RETRY_MS);
    loop {
        let late = |_| Err(Status::deadline_exceeded("no answer in time"));
        let error = match timeout_at(until, export()).await.unwrap_or_else(late) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(asked) = may_retry(&error) else { return Err(error) };
        let next = Instant::now().checked_add(asked.max(pause));
        let Some(next) = next.filter(|it| *it < until) else { return Err(error) };
        sleep_until(next).await;
        pause *= 2;
    }
}

/// How long to wait at least before an export is made again; none where that is no use.
pub(super) fn may_retry(status: &Status) -> Option<Duration> {
    let asked = status.get_details_retry_info().and_then(|it| it.retry_delay);
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Some(asked.unwrap_or_default()),
        // A collector says so where it will have room again.
        Code::ResourceExhausted => asked,
        // No answer at all: the connection broke, or the stream was reset.
        Code::Unknown => std::error::Error::source(status).map(|_| Duration::ZERO),
        _ => None,
    }
}
