//! `/.well-known/…`: what a store of secrets needs to check the identities of tasks.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value as Contents;

use windlass_proto::limits::IDENTITY_CACHE_S;

use super::state::Api;

/// The public keys that verify identities of tasks.
///
/// A JWKS document (RFC 7517): the key that signs now, the next one, and those that have signed
/// lately.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "secrets", operation_id = "getIdentityKeys",
    responses((status = 200, description = "The keys", body = Object)))]
pub(super) async fn keys(State(api): State<Api>) -> Response {
    cached(api.coordinator.identity_keys())
}

/// Where the keys are, and what identities look like.
///
/// An OpenID Connect discovery document, as far as it concerns who only verifies.
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "secrets",
    operation_id = "getIdentityConfiguration",
    responses((status = 200, description = "The document", body = Object)))]
pub(super) async fn configuration(State(api): State<Api>) -> Response {
    cached(api.coordinator.identity_discovery())
}

fn cached(contents: Contents) -> Response {
    let mut response = Json(contents).into_response();
    let cached = HeaderValue::try_from(format!("public, max-age={IDENTITY_CACHE_S}"));
    if let Ok(cached) = cached {
        response.headers_mut().insert(header::CACHE_CONTROL, cached);
    }
    response
}
