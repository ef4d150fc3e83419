//! `/v1/workflows`: definitions.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use windlass_proto::definition::pins;
use windlass_proto::id::Digest;
use windlass_proto::limits::DEFINITION_BYTES;

use super::access::Caller;
use super::operator::By;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::{Query, Segments};
use super::state::Api;
use super::view::{Definition, Definitions, Deployed};
use crate::access::Permission;
use crate::catalog::{Acceptance, Unsupported, difference};
use crate::code::Code;
use crate::coordinator::{CoordinatorError, WorkflowRef};

/// Deploys a definition.
///
/// The text becomes the definition of its namespace, name and version. A version keeps its text:
/// deploying the same one again changes nothing, and another one is refused, with how they differ,
/// unless `replace` is true and the server allows it; instances keep the text they were started
/// with in any case. What this program cannot do is refused, unless `allowUnsupported` is true.
#[utoipa::path(post, path = "/v1/workflows", tag = "workflows", operation_id = "deployWorkflow",
    params(("allowUnsupported" = Option<bool>, Query, description = "Take a definition with parts that this version cannot do (WL0160)"),
        ("replace" = Option<bool>, Query, description = "Replace another text of the same version, where the server allows it")),
    request_body(description = "The definition, YAML or JSON, at most 1 MiB", content(
        (Object = "application/json", example = json!({
            "document": {"dsl": "1.0.3", "namespace": "examples", "name": "greet", "version": "1.0.0"},
            "do": [{"greet": {"set": {"greeting": "${ \"Hello, \" + .name }"}}}]})),
        (String = "application/yaml", example = "document:\n  dsl: 1.0.3\n  namespace: examples\n  name: greet\n  version: 1.0.0\ndo:\n  - greet:\n      set:\n        greeting: ${ \"Hello, \" + .name }\n"))),
    responses(
        (status = 201, description = "New or changed", body = Deployed),
        (status = 200, description = "The same text was deployed before", body = Deployed),
        (status = 400, description = "The definition has errors (WL0501)", body = ProblemBody),
        (status = 409, description = "The version has another text (WL0540)", body = ProblemBody),
        (status = 413, description = "Payload too large (WL0507)", body = ProblemBody)))]
pub(super) async fn deploy(
    State(api): State<Api>,
    mut query: Query,
    By(by): By,
    payload: Payload,
) -> Result<Response, ApiProblem> {
    let allowed = query.parsed("allowUnsupported", str::parse::<bool>)?.unwrap_or(false);
    let replace = query.parsed("replace", str::parse::<bool>)?.unwrap_or(false);
    query.finish()?;
    let unsupported = if allowed { Unsupported::Allow } else { Unsupported::Refuse };
    let accepted = Acceptance { unsupported, replace };
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
    let deployed = Deployed::from(api.coordinator.deploy(text.to_owned(), accepted, by).await?);
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

/// Lists definitions, all versions of them.
#[utoipa::path(get, path = "/v1/workflows", tag = "workflows", operation_id = "listWorkflows",
    params(("namespace" = Option<String>, Query, description = "`document.namespace`"),
        ("name" = Option<String>, Query, description = "`document.name`")),
    responses((status = 200, description = "All of them", body = Definitions)))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Definitions>, ApiProblem> {
    let (namespace, name) = (query.one("namespace")?, query.one("name")?);
    query.finish()?;
    let wanted = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|it| it == is);
    let mut items = api.coordinator.workflows().await?;
    let visible = caller.visible(Permission::WorkflowRead);
    items.retain(|(it, _)| {
        wanted(&namespace, &it.id.namespace)
            && wanted(&name, &it.id.name)
            && visible.has(&it.id.namespace, &it.id.name)
    });
    Ok(Json(Definitions::new(items)))
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

/// Retires a version: nothing new is started of it.
///
/// Neither by requests nor by other workflows nor by its schedule; what runs goes on. A start
/// without a version takes the highest one that is not retired. Again it changes nothing.
#[utoipa::path(post, path = "/v1/workflows/{namespace}/{name}/{version}/retire", tag = "workflows",
    operation_id = "retireWorkflow",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`"),
        ("version" = String, Path, description = "`document.version`")),
    responses((status = 200, description = "It is retired", body = Definition),
        (status = 404, description = "No such workflow (WL0502)", body = ProblemBody)))]
pub(super) async fn retire(
    State(api): State<Api>,
    Segments((namespace, name, version)): Segments<(String, String, String)>,
    By(by): By,
) -> Result<Json<Definition>, ApiProblem> {
    let workflow = WorkflowRef { namespace, name, version: Some(version) };
    let (stored, latest) = api.coordinator.retire(&workflow, by).await?;
    Ok(Json(Definition::new(&stored, latest)))
}

/// Lets a version be started again that was retired.
#[utoipa::path(post, path = "/v1/workflows/{namespace}/{name}/{version}/restore", tag = "workflows",
    operation_id = "restoreWorkflow",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`"),
        ("version" = String, Path, description = "`document.version`")),
    responses((status = 200, description = "It is not retired any more", body = Definition),
        (status = 404, description = "No such workflow (WL0502)", body = ProblemBody)))]
pub(super) async fn restore(
    State(api): State<Api>,
    Segments((namespace, name, version)): Segments<(String, String, String)>,
    By(by): By,
) -> Result<Json<Definition>, ApiProblem> {
    let workflow = WorkflowRef { namespace, name, version: Some(version) };
    let (stored, latest) = api.coordinator.restore_version(&workflow, by).await?;
    Ok(Json(Definition::new(&stored, latest)))
}

/// Deletes a version that is retired and that no instance has, ended ones included.
#[utoipa::path(delete, path = "/v1/workflows/{namespace}/{name}/{version}", tag = "workflows",
    operation_id = "deleteWorkflow",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`"),
        ("version" = String, Path, description = "`document.version`")),
    responses((status = 204, description = "It is gone"),
        (status = 404, description = "No such workflow (WL0502)", body = ProblemBody),
        (status = 409, description = "It is in use (WL0542)", body = ProblemBody)))]
pub(super) async fn delete(
    State(api): State<Api>,
    Segments((namespace, name, version)): Segments<(String, String, String)>,
    By(by): By,
) -> Result<StatusCode, ApiProblem> {
    let workflow = WorkflowRef { namespace, name, version: Some(version) };
    api.coordinator.delete_version(&workflow, by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How one version of a definition differs from another.
#[utoipa::path(get, path = "/v1/workflows/{namespace}/{name}/{version}/diff", tag = "workflows",
    operation_id = "diffWorkflow",
    params(("namespace" = String, Path, description = "`document.namespace`"),
        ("name" = String, Path, description = "`document.name`"),
        ("version" = String, Path, description = "`document.version`, or `latest`"),
        ("to" = String, Query, description = "The other version, or `latest`")),
    responses((status = 200, description = "The lines that differ, in the unified format; at most 32 KiB",
            body = String, content_type = "text/plain"),
        (status = 404, description = "No such workflow (WL0502)", body = ProblemBody)))]
pub(super) async fn diff(
    State(api): State<Api>,
    Segments((namespace, name, version)): Segments<(String, String, String)>,
    mut query: Query,
) -> Result<String, ApiProblem> {
    let to = query.one("to")?.ok_or_else(|| ApiProblem::parameter("to", "name a version"))?;
    query.finish()?;
    let of = |version: String| WorkflowRef {
        namespace: namespace.clone(),
        name: name.clone(),
        version: Some(version),
    };
    let before = api.coordinator.definition(&of(version)).await?;
    let after = api.coordinator.definition(&of(to)).await?;
    Ok(difference(&before, &after))
}

/// The text with a digest: of what is deployed, and of what was before and was run.
#[utoipa::path(get, path = "/v1/definitions/{digest}", tag = "workflows", operation_id = "getDefinition",
    params(("digest" = String, Path, description = "SHA-256 of the text, as instances have it")),
    responses((status = 200, description = "The text as deployed", body = String,
            content_type = "application/yaml"),
        (status = 404, description = "No such workflow (WL0502)", body = ProblemBody)))]
pub(super) async fn by_digest(
    State(api): State<Api>,
    caller: Caller,
    Segments(digest): Segments<String>,
) -> Result<Response, ApiProblem> {
    let digest = Digest(digest.to_ascii_lowercase().into());
    let found = api.coordinator.by_digest(digest.clone()).await?;
    let unknown = || CoordinatorError::unknown_digest(&digest);
    caller.workflow(Permission::WorkflowRead, &found.id.namespace, &found.id.name, unknown)?;
    Ok(shown(&found.text))
}

async fn text(api: &Api, workflow: WorkflowRef) -> Result<Response, ApiProblem> {
    Ok(shown(&api.coordinator.definition(&workflow).await?))
}

/// A text as it was sent here, by the media type that it has.
pub(super) fn shown(text: &str) -> Response {
    // With functions that are pinned to it, it is JSON no more.
    let is_json = text.trim_start().starts_with('{') && pins::source(text).len() == text.len();
    let kind = if is_json { "application/json" } else { "application/yaml" };
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text.to_owned()).into_response()
}
