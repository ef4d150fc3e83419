//! `POST /v1/events`: CloudEvents come in, one or many.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use windlass_proto::audit::AuditAction;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::limits::{
    API_EVENT_BATCH, API_EVENTS_TOGETHER, AUDIT_EVENT_TYPES, AUDIT_PART_CHARACTERS,
};
use windlass_proto::value::Value;

use super::access::Caller;
use super::operator::By;
use super::payload::{Payload, check_depth, value};
use super::problem::{ApiProblem, ProblemBody};
use super::query::OfInstance;
use super::state::Api;
use super::trace::trace;
use crate::code::Code;
use crate::coordinator::{CoordinatorError, EventReceipt};
use crate::events::envelope::{self, Binary};

/// What became of the events of a request.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"accepted": 2, "consumed": 2, "kept": 1,
    "keptUntil": "2026-01-31T08:10:00Z"}))]
pub(super) struct EventsAccepted {
    /// Events taken.
    accepted: usize,
    /// Instances that consumed one, counted once for every event.
    consumed: usize,
    /// Events that are kept for whoever waits for them later, as nobody does in a namespace that
    /// has a definition for them.
    kept: usize,
    /// Until when; of several, the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_until: Option<String>,
}

impl EventsAccepted {
    fn nothing() -> Self {
        Self { accepted: 0, consumed: 0, kept: 0, kept_until: None }
    }

    /// Adds what became of events, one after the other.
    async fn add<F>(&mut self, api: &Api, offered: Vec<Offered<F>>) -> Result<(), ApiProblem>
    where
        F: Future<Output = Result<EventReceipt, CoordinatorError>>,
    {
        for taken in offered {
            let receipt = taken?.await?;
            self.accepted += 1;
            self.consumed += receipt.consumed;
            if let Some(until) = receipt.kept_until {
                self.kept += 1;
                let until = until.to_rfc3339();
                self.kept_until =
                    Some(self.kept_until.take().map_or(until.clone(), |it| it.min(until)));
            }
            api.metrics.event();
        }
        Ok(())
    }
}

/// An event on its way, if it was taken.
type Offered<F> = Result<F, CoordinatorError>;

/// Publishes CloudEvents to the instances that listen.
///
/// Takes the structured mode (`application/cloudevents+json`), batches
/// (`application/cloudevents-batch+json`) and the binary mode (`ce-` headers). `specversion`, `id`,
/// `source` and `type` must be there; a `time` must be one of RFC 3339. Answers once every
/// consumption is durable. What nobody consumes is kept for a while where a definition has a
/// `listen` for its type, and the first one to listen gets it: `kept` and `keptUntil` say so. An
/// event with the source and id of an earlier one is a repeat, whatever its `time` says. In binary
/// mode, JSON that is a string without its quotes is taken as text.
#[utoipa::path(post, path = "/v1/events", tag = "events", operation_id = "publishEvents",
    request_body(content = Object, content_type = "application/cloudevents+json",
        description = "One event; an array of at most 1000 as a batch",
        example = json!({"specversion": "1.0", "id": "1", "source": "https://shop.example",
            "type": "com.example.order.paid", "data": {"order": 4711}})),
    responses((status = 202, description = "Taken", body = EventsAccepted),
        (status = 400, description = "Not CloudEvents; the detail names what is missing (WL0513)",
            body = ProblemBody),
        (status = 415, description = "Unsupported media type (WL0512)", body = ProblemBody),
        (status = 429, description = "Overloaded (WL0506)", body = ProblemBody)))]
pub(super) async fn publish(
    State(api): State<Api>,
    caller: Caller,
    By(by): By,
    payload: Payload,
) -> Result<(StatusCode, Json<EventsAccepted>), ApiProblem> {
    let (mut events, unquoted) = read(&payload.headers, &payload.media_type(), &payload.bytes)?;
    for event in &events {
        caller.event(event.kind())?;
    }
    if let Some(trace) = trace(&payload.headers) {
        // What an event says of itself wins over what carried it.
        events.iter_mut().for_each(|it| *it = it.in_trace(&trace));
    }
    api.metrics.unquoted(unquoted);
    drop(payload);
    if by.is_known() {
        let detail = published(&events);
        api.coordinator.audited(AuditAction::EventsPublished, detail, &by).await?;
    }
    let mut answer = EventsAccepted::nothing();
    let mut events = events.into_iter().peekable();
    while events.peek().is_some() {
        // In their order; what is decided on together shares what is written to the disk.
        let together = events.by_ref().take(API_EVENTS_TOGETHER);
        let offered: Vec<_> =
            together.map(|event| api.coordinator.offer(Arc::new(event))).collect();
        answer.add(&api, offered).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// Sends a CloudEvent to one instance, whoever else listens for it.
///
/// Structured or in the binary mode, as for `POST /v1/events`. An instance that does not listen for
/// it yet gets it once it does: `keptUntil` says until when. It takes an event once, however often
/// that is sent to it. Nobody else hears of it, so no permission to publish events is needed.
#[utoipa::path(post, path = "/v1/instances/{id}/events", tag = "events",
    operation_id = "sendInstanceEvent",
    params(("id" = String, Path, description = "The instance's id")),
    request_body(content = Object, content_type = "application/cloudevents+json",
        description = "One event",
        example = json!({"specversion": "1.0", "id": "1", "source": "https://shop.example",
            "type": "com.example.order.paid", "data": {"order": 4711}})),
    responses((status = 202, description = "Taken", body = EventsAccepted),
        (status = 400, description = "Not a CloudEvent (WL0513)", body = ProblemBody),
        (status = 404, description = "No such instance (WL0503)", body = ProblemBody),
        (status = 409, description = "It has ended (WL0505)", body = ProblemBody),
        (status = 415, description = "Unsupported media type (WL0512)", body = ProblemBody),
        (status = 429, description = "Overloaded (WL0506)", body = ProblemBody)))]
pub(super) async fn send(
    State(api): State<Api>,
    OfInstance(id): OfInstance,
    By(by): By,
    payload: Payload,
) -> Result<(StatusCode, Json<EventsAccepted>), ApiProblem> {
    let (mut events, unquoted) = read(&payload.headers, &payload.media_type(), &payload.bytes)?;
    let (Some(mut event), true) = (events.pop(), events.is_empty()) else {
        return Err(ApiProblem::new(Code::NotACloudEvent, "send one event"));
    };
    if let Some(trace) = trace(&payload.headers) {
        event = event.in_trace(&trace);
    }
    api.metrics.unquoted(unquoted);
    drop(payload);
    if by.is_known() {
        let detail = format!("{} to instance {id}", published(std::slice::from_ref(&event)));
        api.coordinator.audited(AuditAction::EventsPublished, detail, &by).await?;
    }
    let mut answer = EventsAccepted::nothing();
    answer.add(&api, vec![Ok(api.coordinator.event_to(id, event))]).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// What the audit trail is told of events: how many, and the first types of them.
fn published(events: &[CloudEvent]) -> String {
    let types: BTreeSet<_> = events.iter().map(CloudEvent::kind).collect();
    let first: Vec<_> = types.iter().take(AUDIT_EVENT_TYPES).copied().collect();
    let more = if types.len() > first.len() { " and others" } else { "" };
    let first: String = first.join(", ").chars().take(AUDIT_PART_CHARACTERS).collect();
    format!("publish {} events of {first}{more}", events.len())
}

/// All events of a request, or none when one of them is wrong; and whether its data was a JSON
/// string without its quotes.
fn read(
    headers: &HeaderMap,
    media_type: &str,
    bytes: &[u8],
) -> Result<(Vec<CloudEvent>, bool), ApiProblem> {
    let mut unquoted = false;
    let values = if media_type == "application/cloudevents-batch+json" {
        let Value::Array(batch) = value(bytes)? else {
            return Err(ApiProblem::new(Code::NotACloudEvent, "a batch must be an array"));
        };
        Value::Array(batch).into_elements().unwrap_or_default()
    } else if media_type == "application/cloudevents+json" {
        vec![value(bytes)?]
    } else if headers.contains_key("ce-specversion") || headers.contains_key("ce-id") {
        let binary = binary(headers, media_type, bytes)?;
        unquoted = binary.unquoted;
        vec![binary.value]
    } else if media_type == "application/json" {
        vec![value(bytes)?]
    } else {
        return Err(ApiProblem::new(
            Code::UnsupportedMediaType,
            "send application/cloudevents+json, or an event in `ce-` headers",
        ));
    };
    if values.len() > API_EVENT_BATCH {
        let detail = format!("the batch has more than {API_EVENT_BATCH} events");
        return Err(ApiProblem::new(Code::TooLarge, detail));
    }
    let events = values.into_iter().map(|value| checked(check_depth(value)?));
    Ok((events.collect::<Result<_, _>>()?, unquoted))
}

fn checked(value: Value) -> Result<CloudEvent, ApiProblem> {
    CloudEvent::from_value(value)
        .map_err(|error| ApiProblem::new(Code::NotACloudEvent, error.to_string()))
}

/// The binary mode: attributes in `ce-` headers, data in the body.
fn binary(headers: &HeaderMap, media_type: &str, bytes: &[u8]) -> Result<Binary, ApiProblem> {
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    envelope::binary(headers, media_type, bytes)
        .map_err(|problem| ApiProblem::new(Code::NotACloudEvent, problem))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderMap;

    use windlass_proto::cloudevent::CloudEvent;

    use super::{ApiProblem, Code};

    fn read(
        headers: &HeaderMap,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Vec<CloudEvent>, ApiProblem> {
        super::read(headers, media_type, bytes).map(|it| it.0)
    }

    const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":1}}"#;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn structured_and_batched() {
        let none = HeaderMap::new();
        for media_type in ["application/cloudevents+json", "application/json"] {
            let events = read(&none, media_type, EVENT.as_bytes()).unwrap();
            assert_eq!(events[0].envelope().to_json(), EVENT);
        }
        let batch = format!("[{EVENT},{EVENT}]");
        let batched = "application/cloudevents-batch+json";
        assert_eq!(read(&none, batched, batch.as_bytes()).unwrap().len(), 2);
        let broken = format!("[{EVENT},{{}}]");
        let refused = read(&none, batched, broken.as_bytes()).unwrap_err();
        assert_eq!(refused.code(), Code::NotACloudEvent);
        assert!(read(&none, "text/html", EVENT.as_bytes()).is_err());
    }

    #[test]
    fn binary_mode_takes_attributes_from_headers() {
        let headers = headers(&[
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "s%20%C3%A9"),
            ("ce-type", "t"),
            ("accept", "*/*"),
        ]);
        let json = read(&headers, "application/json", b"{\"a\":1}").unwrap().remove(0);
        assert_eq!(json.source(), "s é");
        assert_eq!(json.data().to_json(), "{\"a\":1}");
        assert!(json.envelope().get("accept").is_none());
        let text = read(&headers, "text/plain", b"hi").unwrap().remove(0);
        assert_eq!(text.data().to_json(), "\"hi\"");
        let bytes = read(&headers, "image/png", &[0xff, 0]).unwrap().remove(0);
        assert_eq!(bytes.envelope().get("data_base64").unwrap().as_str(), Some("/wA="));
    }
}
