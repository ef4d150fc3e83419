//! `/v1/backups`: all that the coordinator keeps, for whoever keeps it elsewhere.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use windlass_proto::limits;

use super::access::Caller;
use super::operator::By;
use super::problem::{ApiProblem, ProblemBody};
use super::query::Query;
use super::state::Api;
use crate::access::Method;
use crate::backup::{BackupError, Sender};
use crate::code::Code;
use crate::coordinator::BackupRun;

/// The media type of such a stream.
const MEDIA_TYPE: &str = "application/vnd.windlass.backup";

/// Takes a backup.
///
/// The answer is a stream of all that the coordinator keeps, its keys among it, for `windlass
/// backup` to encrypt and keep. One that breaks off, or that stops being read for a minute, is
/// worth nothing. Work goes on meanwhile. Who asks, and what came of it, is told in the audit
/// trail.
#[utoipa::path(post, path = "/v1/backups", tag = "operation", operation_id = "takeBackup",
    responses((status = 200, description = "A stream, which only `windlass backup` reads",
            body = String, content_type = "application/vnd.windlass.backup"),
        (status = 403, description = "It may not be had, or nobody is asked who they are (WL0581)",
            body = ProblemBody),
        (status = 409, description = "Another one is being taken (WL0580)", body = ProblemBody),
        (status = 503, description = "It cannot be kept in the audit trail (WL0523)",
            body = ProblemBody)))]
pub(super) async fn take(
    State(api): State<Api>,
    caller: Caller,
    By(by): By,
    query: Query,
) -> Result<Response, ApiProblem> {
    query.finish()?;
    if caller.principal().method == Method::None {
        let detail = "a backup holds keys, and this server asks nobody who they are: give it --auth, \
                      have it back itself up (`[backup]` in windlass.toml), or use `windlass backup \
                      --data DIR` once it is stopped";
        return Err(ApiProblem::new(Code::BackupUnasked, detail).denied());
    }
    let run = api.coordinator.begin_backup("over the API", false, &by).await?;
    let (frames, waiting) = mpsc::channel(limits::BACKUP_STREAM_FRAMES);
    let runtime = Handle::current();
    // Nobody waits for it: it ends when nobody takes what it sends.
    drop(tokio::task::spawn_blocking(move || send(run, &frames, &runtime)));
    let body = stream::unfold((waiting, api, caller), |(mut waiting, api, caller)| async move {
        let frame = tokio::select! {
            frame = waiting.recv() => frame?,
            // Who comes back is asked who they are.
            () = caller.ended(&api) => return None,
            () = api.closed() => return None,
        };
        Some((Ok::<_, std::convert::Infallible>(frame), (waiting, api, caller)))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Sends a backup, frame by frame. Blocking.
fn send(run: BackupRun, frames: &mpsc::Sender<Bytes>, runtime: &Handle) {
    let patience = Duration::from_millis(limits::BACKUP_STALLED_MS);
    let mut sender = Sender::new(|frame: Vec<u8>| {
        let sent = runtime.block_on(frames.send_timeout(frame.into(), patience));
        sent.map_err(|_| {
            BackupError::Unusable("whoever asked for it has stopped reading".to_owned())
        })
    });
    if let Err(error) = run.take(&mut sender) {
        // Where nobody reads any more, nobody is told.
        let _ = sender.failed(&error);
    }
}
