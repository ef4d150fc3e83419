//! `/v1/workflows`: definitions.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use windlass_proto::limits::DEFINITION_BYTES;

use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::{Query, Segments};
use super::state::Api;
use super::view::{Definitions, Deployed};
use crate::catalog::Unsupported;
use crate::code::Code;
use crate::coordinator::WorkflowRef;

/// Deploys a definition.
///
/// The text becomes the current definition of its namespace, name and version; instances that run
/// keep the text they were started with. Deploying the same text again changes nothing. What this
/// version cannot do is refused, unless `allowUnsupported` is true.
#[utoipa::path(post, path = "/v1/workflows", tag = "workflows", operation_id = "deployWorkflow",
    params(("allowUnsupported" = Option<bool>, Query, description = "Take a definition with parts that this version cannot do (WL0160)")),
    request_body(description = "The definition, YAML or JSON, at most 1 MiB", content(
        (Object = "application/json", example = json!({
            "document": {"dsl": "1.0.3", "namespace": "examples", "name": "greet", "version": "1.0.0"},
            "do": [{"greet": {"set": {"greeting": "${ \"Hello, \" + .name }"}}}]})),
        (String = "application/yaml", example = "document:\n  dsl: 1.0.3\n  namespace: examples\n  name: greet\n  version: 1.0.0\ndo:\n  - greet:\n      set:\n        greeting: ${ \"Hello, \" + .name }\n"))),
    responses(
        (status = 201, description = "New or changed", body = Deployed),
        (status = 200, description = "The same text was deployed before", body = Deployed),
        (status = 400, description = "The definition has errors (WL0501)", body = ProblemBody),
        (status = 413, description = "Payload too large (WL0507)", body = ProblemBody)))]
pub(super) async fn deploy(
    State(api): State<Api>,
    mut query: Query,
    payload: Payload,
) -> Result<Response, ApiProblem> {
    let allowed = query.parsed("allowUnsupported", str::parse::<bool>)?.unwrap_or(false);
    query.finish()?;
    let unsupported = if allowed { Unsupported::Allow } else { Unsupported::Refuse };
    if payload.bytes.len() > DEFINITION_BYTES {
        let detail = format!("the definition is more than the limit of {DEFINITION_BYTES} bytes");
        return Err(ApiProblem::new(Code::TooLarge, detail));
    }
    if !is_text(&payload.media_type()) {
        return Err(ApiProblem::new(
            Code::UnsupportedMediaType,
            "send the definition as application/yaml or application/json",
        ));
    }
    let text = std::str::from_utf8(&payload.bytes)
        .map_err(|error| ApiProblem::new(Code::BadBody, format!("not UTF-8: {error}")))?;
    let deployed = Deployed::from(api.coordinator.deploy(text.to_owned(), unsupported).await?);
    let status = if deployed.changed { StatusCode::CREATED } else { StatusCode::OK };
    let it = &deployed.workflow;
    let location = format!("/v1/workflows/{}/{}/{}", it.namespace, it.name, it.version);
    Ok((status, [(header::LOCATION, location)], Json(deployed)).into_response())
}

/// The media types a definition may come as. None at all is taken for text.
fn is_text(media_type: &str) -> bool {
    let known = ["", "application/yaml", "application/x-yaml", "application/octet-stream"];
    known.contains(&media_type)
        || media_type.starts_with("text/")
        || media_type.ends_with("+yaml")
        || crate::events::envelope::is_json(media_type)
}

/// Lists the current definitions.
#[utoipa::path(get, path = "/v1/workflows", tag = "workflows", operation_id = "listWorkflows",
    responses((status = 200, description = "All of them", body = Definitions)))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Definitions>, ApiProblem> {
    Ok(Json(Definitions::new(api.coordinator.workflows().await?)))
}

/// The text of the highest version of a definition.
#[utoipa::path(get, path = "/v1/workflows/{namespace}/{name}", tag = "workflows", operation_id = "getLatestWorkflow",
    params(("namespace" = String, Path, description = "`document.namespace`", example = "examples"),
        ("name" = String, Path, description = "`document.name`", example = "greet")),
    responses((status = 200, description = "The text as deployed", body = String,
            content_type = "application/yaml"),
        (status = 404, description = "No such workflow (WL0502)", body = ProblemBody)))]
pub(super) async fn latest(
    State(api): State<Api>,
    Segments((namespace, name)): Segments<(String, String)>,
) -> Result<Response, ApiProblem> {
    text(&api, WorkflowRef { namespace, name, version: None }).await
}

/// The text of one version of a definition.
#[utoipa::path(get, path = "/v1/workflows/{namespace}/{name}/{version}", tag = "workflows", operation_id = "getWorkflow",
    params(("namespace" = String, Path, description = "`document.namespace`", example = "examples"),
        ("name" = String, Path, description = "`document.name`", example = "greet"),
        ("version" = String, Path, description = "`document.version`, or `latest`",
            example = "1.0.0")),
    responses((status = 200, description = "The text as deployed", body = String,
            content_type = "application/yaml"),
        (status = 404, description = "No such workflow (WL0502)", body = ProblemBody)))]
pub(super) async fn version(
    State(api): State<Api>,
    Segments((namespace, name, version)): Segments<(String, String, String)>,
) -> Result<Response, ApiProblem> {
    text(&api, WorkflowRef { namespace, name, version: Some(version) }).await
}

async fn text(api: &Api, workflow: WorkflowRef) -> Result<Response, ApiProblem> {
    let text = api.coordinator.definition(&workflow).await?;
    let is_json = text.trim_start().starts_with('{');
    let kind = if is_json { "application/json" } else { "application/yaml" };
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text.to_string()).into_response())
}
