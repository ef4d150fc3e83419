//! `/v1/instances/{id}/watch`: the history as it happens, by server-sent events.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::OwnedSemaphorePermit;

use windlass_proto::id::InstanceId;
use windlass_proto::limits::{API_KEEP_ALIVE_MS, API_PAGE};

use super::access::Caller;
use super::problem::{ApiProblem, ProblemBody};
use super::query::{OfInstance, Query};
use super::state::Api;
use super::view::{HistoryEntry, Standing};
use crate::coordinator::CoordinatorError;

/// Watches an instance.
///
/// Every history entry comes as one event: `id` is its sequence number, `event` what happened,
/// `data` the entry. The last event is `end`, with where the instance stands as data; close the
/// connection then. After a break, `Last-Event-ID` continues behind the last entry seen; whoever
/// has seen `end` and asks again, as an EventSource does by itself, is told by a 204 that nothing
/// follows.
#[utoipa::path(get, path = "/v1/instances/{id}/watch", tag = "instances", operation_id = "watchInstance",
    params(("id" = String, Path, description = "The instance's id"),
        ("from" = Option<u64>, Query, description = "First sequence number, by default 0"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last entry seen")),
    responses((status = 200, description = "A stream of events", body = String,
            content_type = "text/event-stream",
            example = "id: 3\nevent: task.completed\ndata: {\"sequence\":3}\n\n"),
        (status = 204, description = "The `end` was seen before: nothing follows"),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody),
        (status = 429, description = "Too many watch (WL0506)", body = ProblemBody)))]
pub(super) async fn watch(
    State(api): State<Api>,
    caller: Caller,
    OfInstance(id): OfInstance,
    mut query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let from = query.parsed("from", str::parse::<u64>)?.unwrap_or(0);
    query.finish()?;
    let last = last_event_id(&headers)?;
    let from = last.map_or(from, |last| last.saturating_add(1));
    let permit = api.watchers.take().ok_or_else(|| {
        ApiProblem::overloaded("too many clients watch instances", Duration::from_secs(5))
    })?;
    // An unknown instance is a 404, not a stream that ends at once.
    let head = api.coordinator.show(id).await?.head;
    // Beyond all entries there is the `end` alone.
    if let (Some(last), true) = (last, head.status.is_final())
        && api.coordinator.history(id, last, 1).await?.entries.is_empty()
    {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (pending, ended) = Default::default();
    let watch = Watch { api, caller, id, next: from, pending, ended, _permit: permit };
    let interval = Duration::from_millis(API_KEEP_ALIVE_MS);
    Ok(Sse::new(watch.into_stream())
        .keep_alive(KeepAlive::new().interval(interval))
        .into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiProblem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|it| it.parse().ok());
    id.map(Some).ok_or_else(|| ApiProblem::parameter("Last-Event-ID", "must be a sequence number"))
}

/// One client that watches.
struct Watch {
    api: Api,
    caller: Caller,
    id: InstanceId,
    /// Sequence number to continue from.
    next: u64,
    /// Events read and not yet sent.
    pending: VecDeque<Event>,
    /// True once `end` is among the pending.
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Watch {
    fn into_stream(self) -> impl Stream<Item = Result<Event, axum::Error>> {
        stream::unfold(self, |mut watch| async move {
            loop {
                if let Some(event) = watch.pending.pop_front() {
                    return Some((Ok(event), watch));
                }
                if watch.ended {
                    return None;
                }
                let (closing, caller) = (watch.api.clone(), watch.caller.clone());
                let filled = tokio::select! {
                    filled = watch.fill() => filled,
                    () = closing.closed() => return None,
                    // Who comes back is asked who they are.
                    () = caller.ended(&closing) => return None,
                };
                if let Err(error) = filled {
                    // The client sees the stream break off, and resumes when it can.
                    tracing::warn!(instance = %watch.id, %error, "watch ended");
                    return None;
                }
            }
        })
    }

    /// Waits for something to tell and reads it.
    async fn fill(&mut self) -> Result<(), CoordinatorError> {
        let coordinator = &self.api.coordinator;
        // Asked before the history is read: facts that come in between are found by the next turn.
        let head = coordinator.show(self.id).await?.head;
        let entries = coordinator.history(self.id, self.next, API_PAGE).await?.entries;
        if let Some(last) = entries.last() {
            self.next = last.sequence.saturating_add(1);
            self.pending.extend(entries.into_iter().filter_map(|it| event(it.into())));
        } else if head.status.is_final() {
            let standing = Standing::open(self.id, head.status.word());
            let standing = Standing { output: head.output, error: head.error, ..standing };
            // Its number is the next one, so that who has seen it can say so.
            let end = Event::default().id(self.next.to_string()).event("end");
            self.pending.extend(end.json_data(standing));
            self.ended = true;
        } else {
            let pause = Duration::from_millis(API_KEEP_ALIVE_MS);
            coordinator.changed(self.id, self.next, pause).await?;
        }
        Ok(())
    }
}

fn event(entry: HistoryEntry) -> Option<Event> {
    let event = Event::default().id(entry.sequence.to_string()).event(&entry.event);
    event.json_data(entry).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::last_event_id;

    #[test]
    fn a_broken_watch_continues_behind_the_last_entry() {
        let read = |text: &str| {
            last_event_id(
                &[("last-event-id".parse().unwrap(), text.parse().unwrap())].into_iter().collect(),
            )
        };
        assert_eq!(read("7").unwrap(), Some(7));
        assert!(read("x").is_err());
        assert_eq!(last_event_id(&axum::http::HeaderMap::new()).unwrap(), None);
    }
}
