//! `/v1/namespaces/{namespace}/events`: events that nobody waited for when they came.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::problem::{ApiProblem, ProblemBody};
use super::query::{Query, Segments};
use super::state::Api;
use crate::early::{EarlyPlace, EarlyView};

/// An event that is kept until an instance waits for it, or was in vain.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"key": "8d5f0c1e9b7a4d3c8d5f0c1e9b7a4d3c", "namespace": "shop", "id": "1",
    "source": "https://shop.example", "type": "com.example.order.paid", "state": "kept",
    "receivedAt": "2026-01-31T08:00:00Z", "keptUntil": "2026-01-31T08:10:00Z"}))]
pub(super) struct KeptEvent {
    /// By what it is asked for.
    key: String,
    /// The namespace that keeps it, as a definition in it has a `listen` for its type.
    namespace: String,
    /// `id` of the event, its first characters.
    id: String,
    /// `source` of the event, its first characters.
    source: String,
    /// `type` of the event, its first characters.
    r#type: String,
    /// The only instance that may have it, where it was sent to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// `kept`, `expired` (nobody waited for it in time) or `no-room` (it was not kept: the
    /// namespace keeps as much as it may).
    state: &'static str,
    /// When it came.
    received_at: String,
    /// Until when it is kept, or was.
    kept_until: String,
    /// The event: only where one is asked for, and not of `no-room`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    event: Option<Value>,
}

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(super) struct KeptEvents {
    /// In the order in which they came.
    items: Vec<KeptEvent>,
    /// Where the next page begins, if there is one: the `cursor` to ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl KeptEvent {
    fn of(view: EarlyView, whole: bool) -> Self {
        let [id, source, kind] = view.attributes.map(|it| it.to_string());
        Self {
            key: view.key.to_string(),
            namespace: view.namespace.to_string(),
            id,
            source,
            r#type: kind,
            instance: view.instance.map(|it| it.to_string()),
            state: view.dead.map_or("kept", |it| it.word()),
            received_at: view.at.to_rfc3339(),
            kept_until: view.until.to_rfc3339(),
            event: view.event.filter(|_| whole),
        }
    }
}

/// Lists the events that a namespace keeps until an instance of it waits for them, or those that
/// were in vain.
///
/// Those that were in vain are shown for a day, the last thousand of them.
#[utoipa::path(get, path = "/v1/namespaces/{namespace}/events", tag = "events",
    operation_id = "listKeptEvents",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("state" = Option<String>, Query, description = "`kept` (the default) or `dead`"),
        ("limit" = Option<u32>, Query, description = "Items of a page, at most 1000"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = KeptEvents),
        (status = 400, description = "A parameter cannot be read (WL0511)", body = ProblemBody)))]
pub(super) async fn list(
    State(api): State<Api>,
    Segments(namespace): Segments<String>,
    mut query: Query,
) -> Result<Json<KeptEvents>, ApiProblem> {
    let dead = query.parsed("state", |text| match text {
        "kept" => Ok(false),
        "dead" => Ok(true),
        _ => Err("must be `kept` or `dead`"),
    })?;
    let limit = query.limit()?;
    let after = query.parsed("cursor", |text| place(text).ok_or("is not `next` of a page"))?;
    query.finish()?;
    let dead = dead.unwrap_or(false);
    let (events, more) = api.coordinator.early_events(&namespace, dead, after, limit);
    let last = events.last().map(|it| format!("{}.{}", it.at.0, it.key));
    let items = events.into_iter().map(|it| KeptEvent::of(it, false)).collect();
    Ok(Json(KeptEvents { items, next: last.filter(|_| more) }))
}

/// Shows an event that a namespace keeps, or that was in vain.
#[utoipa::path(get, path = "/v1/namespaces/{namespace}/events/{key}", tag = "events",
    operation_id = "getKeptEvent",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("key" = String, Path, description = "`key` of the list")),
    responses((status = 200, description = "The event", body = KeptEvent),
        (status = 404, description = "No such event (WL0560)", body = ProblemBody)))]
pub(super) async fn show(
    State(api): State<Api>,
    Segments((namespace, key)): Segments<(String, String)>,
) -> Result<Json<KeptEvent>, ApiProblem> {
    let known = key.parse().map_err(|()| ApiProblem::parameter("key", "must be 32 hex digits"))?;
    let found = api.coordinator.early_event(&namespace, known)?;
    Ok(Json(KeptEvent::of(found, true)))
}

/// Where a page ends, as its `next` has it.
fn place(text: &str) -> Option<EarlyPlace> {
    let (at, key) = text.split_once('.')?;
    Some((Timestamp(at.parse().ok()?), key.parse().ok()?))
}
