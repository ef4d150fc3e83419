//! `/v1/webhooks`: endpoints that make events of what services tell, and `/v1/hooks`, where these
//! deliver.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use windlass_proto::time::Timestamp;

use super::access::Caller;
use super::operator::By;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::Segments;
use super::state::Api;
use crate::webhooks::{Endpoint, Headers, Webhook};

/// What a webhook is to be like.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[serde(deny_unknown_fields, expecting = "an object with preset, secretFile and type")]
#[schema(as = WebhookOrder, example = json!({"preset": "github", "secretFile": "github",
    "type": "com.github", "map": "{repository: .repository.full_name}"}))]
pub(super) struct WebhookOrder {
    /// How the service signs: `github`, `stripe`, `standard` (Standard Webhooks) or `hmac`.
    preset: String,
    /// The file with the secret, below the server's `--webhook-secrets`, in the folder of the
    /// namespace.
    secret_file: String,
    /// `type` of the events.
    r#type: String,
    /// `source` of the events; by default `/webhooks/NAMESPACE/NAME`.
    #[serde(default)]
    source: Option<String>,
    /// jq on the body: `subject` of the event. By default the kind of event that GitHub and Stripe
    /// tell of.
    #[serde(default)]
    subject: Option<String>,
    /// jq on the body: `data` of the event; by default all of it.
    #[serde(default)]
    map: Option<String>,
    /// For `hmac`: the header with the signature, in hexadecimal or base64; by default
    /// `X-Signature`.
    #[serde(default)]
    header: Option<String>,
}

/// A webhook.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub(super) struct WebhookView {
    /// The namespace.
    namespace: String,
    /// Its name there.
    name: String,
    /// Where the service has to deliver, below the address of the server.
    path: String,
    /// How the service signs.
    preset: String,
    /// The file with the secret. What is in it is never shown.
    secret_file: String,
    /// `type` of the events.
    r#type: String,
    /// `source` of the events.
    source: String,
    /// jq on the body: `subject` of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// jq on the body: `data` of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<String>,
    /// The header with the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// When it was made or changed.
    created_at: String,
}

/// All webhooks of a namespace.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhooks)]
pub(super) struct WebhookViews {
    /// By name.
    items: Vec<WebhookView>,
}

/// What a service is told.
#[derive(Serialize, ToSchema)]
pub(super) struct Delivered {
    /// The delivery is kept, or was before.
    accepted: bool,
}

impl From<&Endpoint> for WebhookView {
    fn from(endpoint: &Endpoint) -> Self {
        let it = endpoint.webhook.clone();
        Self {
            path: format!("/v1/hooks/{}/{}", it.namespace, it.name),
            namespace: it.namespace,
            name: it.name,
            preset: it.preset,
            secret_file: it.secret_file,
            r#type: it.r#type,
            source: it.source,
            subject: it.subject,
            map: it.map,
            header: it.header,
            created_at: it.created_at.to_rfc3339(),
        }
    }
}

impl Headers for HeaderMap {
    fn once(&self, name: &str) -> &str {
        let mut all = self.get_all(name).iter();
        match (all.next().map(|it| it.to_str()), all.next()) {
            (Some(Ok(text)), None) => text,
            // What is there twice could be read in two ways.
            _ => "",
        }
    }
}

/// Lists the webhooks of a namespace.
#[utoipa::path(get, path = "/v1/webhooks/{namespace}", tag = "events",
    operation_id = "listWebhooks",
    params(("namespace" = String, Path, description = "The namespace")),
    responses((status = 200, description = "All of them, by name", body = WebhookViews)))]
pub(super) async fn list(
    State(api): State<Api>,
    Segments(namespace): Segments<String>,
) -> Json<WebhookViews> {
    let all = api.coordinator.webhooks(&namespace);
    Json(WebhookViews { items: all.iter().map(|it| WebhookView::from(&**it)).collect() })
}

/// Shows a webhook.
#[utoipa::path(get, path = "/v1/webhooks/{namespace}/{name}", tag = "events",
    operation_id = "getWebhook",
    params(("namespace" = String, Path, description = "The namespace"),
        ("name" = String, Path, description = "Its name there")),
    responses((status = 200, description = "The webhook", body = WebhookView),
        (status = 404, description = "No such webhook (WL0561)", body = ProblemBody)))]
pub(super) async fn show(
    State(api): State<Api>,
    Segments((namespace, name)): Segments<(String, String)>,
) -> Result<Json<WebhookView>, ApiProblem> {
    Ok(Json((&*api.coordinator.webhook(&namespace, &name)?).into()))
}

/// Makes a webhook, or changes one.
///
/// Needs the permission to publish events of its type beside that to deploy in its namespace.
#[utoipa::path(put, path = "/v1/webhooks/{namespace}/{name}", tag = "events",
    operation_id = "putWebhook",
    params(("namespace" = String, Path, description = "The namespace"),
        ("name" = String, Path, description = "Its name there")),
    request_body(content = WebhookOrder),
    responses((status = 200, description = "The webhook", body = WebhookView),
        (status = 400, description = "It is not as one must be (WL0564)", body = ProblemBody),
        (status = 503, description = "Its secret cannot be read (WL0563)", body = ProblemBody)))]
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller,
    Segments((namespace, name)): Segments<(String, String)>,
    By(by): By,
    payload: Payload,
) -> Result<Json<WebhookView>, ApiProblem> {
    let order: WebhookOrder = payload.json()?;
    caller.event(&order.r#type)?;
    let source = order.source.unwrap_or_else(|| format!("/webhooks/{namespace}/{name}"));
    let webhook = Webhook {
        namespace,
        name,
        preset: order.preset,
        secret_file: order.secret_file,
        r#type: order.r#type,
        source,
        subject: order.subject,
        map: order.map,
        header: order.header.map(|it| it.to_ascii_lowercase()),
        created_at: Timestamp(0),
    };
    Ok(Json((&*api.coordinator.put_webhook(webhook, &by).await?).into()))
}

/// Deletes a webhook: what is delivered to it from then on is answered 404.
#[utoipa::path(delete, path = "/v1/webhooks/{namespace}/{name}", tag = "events",
    operation_id = "deleteWebhook",
    params(("namespace" = String, Path, description = "The namespace"),
        ("name" = String, Path, description = "Its name there")),
    responses((status = 204, description = "It is gone"),
        (status = 404, description = "No such webhook (WL0561)", body = ProblemBody)))]
pub(super) async fn delete(
    State(api): State<Api>,
    Segments((namespace, name)): Segments<(String, String)>,
    By(by): By,
) -> Result<StatusCode, ApiProblem> {
    api.coordinator.remove_webhook(namespace, name, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a delivery of a service, as the event that its webhook makes of it.
///
/// Needs no token: the signature says who sends it. Answers once what came of the event is durable;
/// no instance takes a delivery twice that comes again.
#[utoipa::path(post, path = "/v1/hooks/{namespace}/{name}", tag = "events",
    operation_id = "deliverWebhook",
    params(("namespace" = String, Path, description = "The namespace of the webhook"),
        ("name" = String, Path, description = "The name of the webhook")),
    request_body(content = Object, content_type = "application/json",
        description = "What the service sends"),
    responses((status = 202, description = "Taken", body = Delivered),
        (status = 401, description = "The signature is refused, or there is no such webhook (WL0562)",
            body = ProblemBody),
        (status = 413, description = "It is too large (WL0507)", body = ProblemBody),
        (status = 422, description = "It makes no event (WL0565)", body = ProblemBody),
        (status = 429, description = "Overloaded (WL0506)", body = ProblemBody)))]
pub(super) async fn deliver(
    State(api): State<Api>,
    Segments((namespace, name)): Segments<(String, String)>,
    payload: Payload,
) -> Result<(StatusCode, Json<Delivered>), ApiProblem> {
    let Payload { headers, bytes, .. } = payload;
    let event = api.coordinator.delivered(namespace, name, headers, bytes).await?;
    api.coordinator.event(event).await?;
    api.metrics.event();
    Ok((StatusCode::ACCEPTED, Json(Delivered { accepted: true })))
}
