//! What a request says of whoever sends it.

use axum::extract::FromRequestParts;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use windlass_proto::limits::REQUEST_ID_BYTES;

use super::problem::ApiProblem;
use crate::code::Code;
use crate::coordinator::Operator;

/// Where callers put their own id of a request.
const REQUEST_ID: &str = "x-request-id";

/// The operator who asks for a change.
pub(super) struct By(pub(super) Operator);

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiProblem> {
        // Whoever sends a request was identified before.
        let operator = parts.extensions.get::<Operator>().cloned();
        let mut operator = operator.ok_or_else(|| {
            ApiProblem::new(Code::Unauthenticated, "nobody was asked who they are")
        })?;
        operator.request = request_id(&parts.headers)?;
        Ok(Self(operator))
    }
}

/// The caller's own id of a request, if it has one.
pub(super) fn request_id(headers: &HeaderMap) -> Result<Option<Arc<str>>, ApiProblem> {
    let Some(value) = headers.get(REQUEST_ID) else { return Ok(None) };
    match value.to_str() {
        Ok(text) if !text.is_empty() && text.len() <= REQUEST_ID_BYTES => Ok(Some(text.into())),
        _ => {
            let reason = format!("must be 1 to {REQUEST_ID_BYTES} visible characters");
            Err(ApiProblem::parameter(REQUEST_ID, reason))
        }
    }
}
