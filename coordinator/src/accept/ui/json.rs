//! What the API answers, for pages that show it as a table.

use axum::Json;
use serde::Serialize;
use serde_json::Value;

use crate::accept::problem::ApiProblem;
use crate::code::Code;

/// The document of an answer.
pub(super) fn document<T: Serialize>(Json(answer): Json<T>) -> Result<Value, ApiProblem> {
    // What the API sends can be written: this is for the compiler.
    serde_json::to_value(answer).map_err(|it| ApiProblem::new(Code::TimedOut, it.to_string()))
}

/// The items of a page of a list.
pub(super) fn items(document: &Value) -> &[Value] {
    document["items"].as_array().map_or(&[], Vec::as_slice)
}

/// A member that is a text; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
