//! `/v1/functions`: the default catalog.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use windlass_proto::limits::FUNCTION_BYTES;

use super::operator::By;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::Segments;
use super::state::Api;
use super::workflow::shown;
use crate::catalog::PublishedFunction;
use crate::code::Code;

/// A function of the default catalog.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Function {
    /// What definitions call: `name:version`.
    pub reference: String,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
    /// When it was published first.
    pub published_at: String,
}

/// The default catalog.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct FunctionList {
    /// All functions, by name and version.
    pub items: Vec<Function>,
}

impl From<&PublishedFunction> for Function {
    fn from(function: &PublishedFunction) -> Self {
        Self {
            reference: function.reference.to_string(),
            digest: function.digest.to_string(),
            published_at: function.published_at.to_rfc3339(),
        }
    }
}

/// Publishes a function.
///
/// Definitions that are deployed from now on can call it: `name:version`, or
/// `name:version@default`. A version keeps its text for ever; publishing the same again changes
/// nothing.
#[utoipa::path(post, path = "/v1/functions/{name}/{version}", tag = "functions", operation_id = "publishFunction",
    params(("name" = String, Path, description = "Its name", example = "greet"),
        ("version" = String, Path, description = "A semantic version", example = "1.0.0")),
    request_body(description = "One task, YAML or JSON, at most 256 KiB", content(
        (String = "application/yaml", example = "set:\n  greeting: ${ \"Hello, \" + .name }\n"),
        (Object = "application/json", example = json!({"set": {"greeting": "${ \"Hello, \" + .name }"}})))),
    responses(
        (status = 201, description = "Published", body = Function),
        (status = 200, description = "It was published before", body = Function),
        (status = 400, description = "It is no function (WL0530)", body = ProblemBody),
        (status = 409, description = "The version has another text (WL0531)", body = ProblemBody),
        (status = 413, description = "Payload too large (WL0507)", body = ProblemBody)))]
pub(super) async fn publish(
    State(api): State<Api>,
    Segments((name, version)): Segments<(String, String)>,
    By(by): By,
    payload: Payload,
) -> Result<Response, ApiProblem> {
    if payload.bytes.len() > FUNCTION_BYTES {
        let detail = format!("the function is more than the limit of {FUNCTION_BYTES} bytes");
        return Err(ApiProblem::new(Code::TooLarge, detail));
    }
    let text = std::str::from_utf8(&payload.bytes)
        .map_err(|error| ApiProblem::new(Code::BadBody, format!("not UTF-8: {error}")))?;
    let published = api.coordinator.publish_function(&name, &version, text.to_owned(), by).await?;
    let status = if published.new { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/v1/functions/{name}/{version}");
    let function = Function::from(&published.function);
    Ok((status, [(header::LOCATION, location)], Json(function)).into_response())
}

/// Lists the functions of the default catalog.
#[utoipa::path(get, path = "/v1/functions", tag = "functions", operation_id = "listFunctions",
    responses((status = 200, description = "All of them", body = FunctionList)))]
pub(super) async fn list(State(api): State<Api>) -> Json<FunctionList> {
    let items = api.coordinator.functions().iter().map(Function::from).collect();
    Json(FunctionList { items })
}

/// The text of a function.
#[utoipa::path(get, path = "/v1/functions/{name}/{version}", tag = "functions", operation_id = "getFunction",
    params(("name" = String, Path, description = "Its name", example = "greet"),
        ("version" = String, Path, description = "Its version", example = "1.0.0")),
    responses((status = 200, description = "The text as published", body = String,
            content_type = "application/yaml"),
        (status = 404, description = "No such function (WL0532)", body = ProblemBody)))]
pub(super) async fn show(
    State(api): State<Api>,
    Segments((name, version)): Segments<(String, String)>,
) -> Result<Response, ApiProblem> {
    Ok(shown(&api.coordinator.function(&name, &version)?.text))
}
