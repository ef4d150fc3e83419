//! `/v1/tokens`: tokens of the server's own.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use windlass_proto::audit::AuditAction;
use windlass_proto::limits::{
    ACCESS_PATTERNS, ACCESS_TOKEN_LIFE_MS, ACCESS_TOKEN_NAME, AUDIT_PART_CHARACTERS,
};
use windlass_proto::time::Timestamp;

use super::access::Caller;
use super::operator::By;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::Segments;
use super::state::Api;
use crate::access::{Access, Granted, NewToken, TokenRecord, TokensError};
use crate::clock;
use crate::code::Code;
use crate::coordinator::CoordinatorError;

/// A token that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "an object with name and grants"
)]
#[schema(example = json!({"name": "ci", "expiresAt": "2027-01-31T08:00:00Z",
    "grants": [{"role": "starter", "namespaces": ["shop"], "workflows": ["order*"]}]}))]
pub(super) struct TokenRequest {
    /// What it is called: the subject of whoever shows it. 1 to 128 characters.
    name: String,
    /// What it allows; no more than whoever makes it may.
    #[schema(value_type = Vec<Object>)]
    grants: Vec<Granted>,
    /// When it ends, in RFC 3339, within five years.
    expires_at: String,
}

/// A token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Token {
    /// Its id, by which it is revoked.
    id: String,
    /// What it is called.
    name: String,
    /// What it allows.
    #[schema(value_type = Vec<Object>)]
    grants: Vec<Granted>,
    /// Who made it.
    created_by: String,
    /// When, in RFC 3339.
    created_at: String,
    /// When it ends, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When it was shown last, in RFC 3339; written down once a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct NewTokenView {
    /// Its text, told this once.
    token: String,
    #[serde(flatten)]
    record: Token,
}

/// The tokens there are.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenList {
    /// The oldest first.
    items: Vec<Token>,
}

impl From<TokenRecord> for Token {
    fn from(record: TokenRecord) -> Self {
        Self {
            id: record.id,
            name: record.name,
            grants: record.grants,
            created_by: record.created_by,
            created_at: record.created_at.to_rfc3339(),
            expires_at: record.expires_at.map(Timestamp::to_rfc3339),
            last_used_at: record.last_used_at.map(Timestamp::to_rfc3339),
        }
    }
}

/// Lists tokens. Their texts are known to nobody but who was told them.
#[utoipa::path(get, path = "/v1/tokens", tag = "access", operation_id = "listTokens",
    responses((status = 200, description = "All of them", body = TokenList),
        (status = 409, description = "Nobody is asked who they are (WL0548)", body = ProblemBody)))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<TokenList>, ApiProblem> {
    let items = access(&api)?.tokens().into_iter().map(Into::into).collect();
    Ok(Json(TokenList { items }))
}

/// Makes a token.
///
/// Its text is in this answer and nowhere else: the server keeps a hash of it.
#[utoipa::path(post, path = "/v1/tokens", tag = "access", operation_id = "createToken",
    request_body(content = TokenRequest),
    responses((status = 201, description = "The token", body = NewTokenView),
        (status = 400, description = "The request makes no sense (WL0510)", body = ProblemBody),
        (status = 403, description = "It would allow more than its maker may (WL0545)",
            body = ProblemBody),
        (status = 409, description = "Nobody is asked who they are (WL0548)", body = ProblemBody)))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    By(by): By,
    payload: Payload,
) -> Result<(StatusCode, Json<NewTokenView>), ApiProblem> {
    api.coordinator.needs_log()?;
    let request: TokenRequest = payload.json()?;
    let access = access(&api)?.clone();
    let new = read(&access, request, &caller)?;
    let detail = format!("create token {}: {}", new.name, shown(&new.grants));
    api.coordinator.audited(AuditAction::TokenCreated, detail, &by).await?;
    let principal = caller.principal().clone();
    let create = move || access.create_token(new, &principal);
    let (token, record) = blocking(create).await?;
    let token = token.expose().clone();
    Ok((StatusCode::CREATED, Json(NewTokenView { token, record: record.into() })))
}

/// Revokes a token: whoever shows it is not let in any more, and watches end within seconds.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "access", operation_id = "revokeToken",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "It is gone"),
        (status = 404, description = "No such token (WL0547)", body = ProblemBody),
        (status = 409, description = "Nobody is asked who they are (WL0548)", body = ProblemBody)))]
pub(super) async fn revoke(
    State(api): State<Api>,
    Segments(id): Segments<String>,
    By(by): By,
) -> Result<StatusCode, ApiProblem> {
    api.coordinator.needs_log()?;
    let access = access(&api)?.clone();
    let found = access.tokens().into_iter().find(|it| it.id == id);
    let found = found.ok_or_else(|| problem(TokensError::Unknown(id.clone())))?;
    let detail = format!("revoke token {} ({id})", found.name);
    api.coordinator.audited(AuditAction::TokenRevoked, detail, &by).await?;
    blocking(move || access.revoke_token(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn access(api: &Api) -> Result<&Arc<Access>, ApiProblem> {
    api.access
        .as_ref()
        .ok_or_else(|| ApiProblem::new(Code::AccessOpen, "this server was not started with --auth"))
}

/// What is asked for, if its maker may do all of it.
fn read(access: &Access, request: TokenRequest, caller: &Caller) -> Result<NewToken, ApiProblem> {
    let refused = |detail: String| ApiProblem::new(Code::BadBody, detail);
    let TokenRequest { name, grants, expires_at } = request;
    if name.is_empty()
        || name.chars().count() > ACCESS_TOKEN_NAME
        || name.chars().any(char::is_control)
    {
        return Err(refused(format!("`name` has 1 to {ACCESS_TOKEN_NAME} characters")));
    }
    if grants.is_empty() || grants.len() > ACCESS_PATTERNS {
        return Err(refused(format!("`grants` has 1 to {ACCESS_PATTERNS} grants")));
    }
    for granted in &grants {
        if let Some(fault) = granted.fault() {
            return Err(refused(fault));
        }
        let grant = access.grant(granted);
        let grant =
            grant.ok_or_else(|| refused(format!("no role is called `{}`", granted.role)))?;
        if let Some(permission) = caller.principal().lacks(&grant) {
            let detail = format!(
                "the role {} gives {permission}, which you do not have everywhere it is for",
                granted.role
            );
            return Err(ApiProblem::new(Code::Forbidden, detail).denied());
        }
    }
    let now = clock::now();
    let ends = Timestamp::parse(&expires_at)
        .filter(|it| *it > now && it.since(now) <= ACCESS_TOKEN_LIFE_MS)
        .ok_or_else(|| {
            let years = "must be a moment such as 2027-01-31T08:00:00Z, within five years";
            refused(format!("`expiresAt` {years}"))
        })?;
    Ok(NewToken { name, grants, expires_at: Some(ends) })
}

/// What the trail is told of grants: all roles, and of patterns as much as there is room for.
fn shown(grants: &[Granted]) -> String {
    let cut = |text: String| -> String { text.chars().take(AUDIT_PART_CHARACTERS).collect() };
    let roles: BTreeSet<_> = grants.iter().map(|it| &*it.role).collect();
    let places: Vec<_> = grants.iter().flat_map(|it| it.namespaces.iter().cloned()).collect();
    let names: Vec<_> = grants.iter().flat_map(|it| it.workflows.iter().cloned()).collect();
    let roles = cut(roles.into_iter().collect::<Vec<_>>().join(","));
    format!("{roles} in {} of {}", cut(places.join(",")), cut(names.join(",")))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TokensError> + Send + 'static,
) -> Result<T, ApiProblem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| ApiProblem::from(CoordinatorError::Stopping))?.map_err(problem)
}

fn problem(error: TokensError) -> ApiProblem {
    let code = match error {
        TokensError::Unknown(_) => Code::UnknownToken,
        TokensError::TooMany => Code::Conflict,
        TokensError::File { .. } | TokensError::Random(_) => Code::SecretsFailed,
    };
    ApiProblem::new(code, error.to_string())
}
