//! `/v1/secrets`: who uses which, and who may. Names only: the coordinator cannot read a secret.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use windlass_proto::limits::POLICY_BYTES;
use windlass_proto::time::Timestamp;

use super::operator::By;
use super::payload::Payload;
use super::problem::{ApiProblem, ProblemBody};
use super::query::Query;
use super::state::Api;
use super::view::Workflow;
use crate::code::Code;
use crate::policy::{NotPermitted, Policy, Proposal, ReplaceError};
use crate::secrets::{SecretUses, UsedBy};

/// Secrets that workflows use.
#[derive(Serialize, ToSchema)]
pub(super) struct Secrets {
    /// Which environment's secrets tasks get here.
    environment: String,
    /// By name.
    items: Vec<Secret>,
}

/// One secret.
#[derive(Serialize, ToSchema)]
struct Secret {
    /// Its name.
    name: String,
    /// The current definitions that declare it.
    uses: Vec<SecretUse>,
}

/// One definition that declares a secret.
#[derive(Serialize, ToSchema)]
struct SecretUse {
    /// The definition.
    #[serde(flatten)]
    workflow: Workflow,
    /// JSON pointers of the tasks that can reach it; of functions, relative to the function.
    tasks: Vec<String>,
    /// False when the policy does not permit it: tasks that need it fail.
    permitted: bool,
}

/// A policy that was set.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicySet {
    /// What tells it from others; the entity tag.
    tag: String,
    /// How many rules it has.
    rules: usize,
    /// Current definitions that declare secrets and have no right to them now.
    refused: Vec<Refused>,
}

/// A policy that waits for a second person.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyProposal {
    /// What tells it from others; to be named when it is approved.
    tag: String,
    /// The tag of the policy that it would replace.
    replaces: String,
    /// Who has proposed it: issuer, colon, subject.
    proposed_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    proposed_at: Timestamp,
    /// Its text.
    text: String,
}

impl From<&Proposal> for PolicyProposal {
    fn from(it: &Proposal) -> Self {
        Self {
            tag: it.tag.clone(),
            replaces: it.replaces.clone(),
            proposed_by: it.proposed_by.clone(),
            proposed_at: it.proposed_at,
            text: it.text.to_string(),
        }
    }
}

/// A definition without a right to secrets that it declares.
#[derive(Serialize, ToSchema)]
struct Refused {
    /// The definition.
    #[serde(flatten)]
    workflow: Workflow,
    /// The secrets.
    secrets: Vec<String>,
}

impl From<SecretUses> for Secret {
    fn from(it: SecretUses) -> Self {
        let used = |UsedBy { workflow, tasks, permitted }: UsedBy| SecretUse {
            workflow: (&workflow).into(),
            tasks: tasks.iter().map(ToString::to_string).collect(),
            permitted,
        };
        Self { name: it.name.to_string(), uses: it.uses.into_iter().map(used).collect() }
    }
}

impl From<NotPermitted> for Refused {
    fn from(it: NotPermitted) -> Self {
        let secrets = it.secrets.iter().map(ToString::to_string).collect();
        Self { workflow: (&it.workflow).into(), secrets }
    }
}

/// Lists the secrets that current definitions declare.
#[utoipa::path(get, path = "/v1/secrets", tag = "secrets", operation_id = "listSecrets",
    responses((status = 200, description = "All of them", body = Secrets),
        (status = 400, description = "A parameter is wrong (WL0511)", body = ProblemBody)))]
pub(super) async fn list(
    State(api): State<Api>,
    query: Query,
) -> Result<Json<Secrets>, ApiProblem> {
    query.finish()?;
    let items = api.coordinator.secrets().await?.into_iter().map(Into::into).collect();
    Ok(Json(Secrets { environment: api.coordinator.environment().to_string(), items }))
}

/// The policy of who may read which secrets.
#[utoipa::path(get, path = "/v1/secrets/policy", tag = "secrets", operation_id = "getSecretPolicy",
    responses((status = 200, description = "The text, with an `ETag`", body = String,
        content_type = "application/toml")))]
pub(super) async fn policy(State(api): State<Api>) -> Response {
    let policy = api.coordinator.secret_policy();
    let kind = HeaderValue::from_static("application/toml");
    let body = ([(header::CONTENT_TYPE, kind)], policy.text().to_string());
    tagged(&policy, body.into_response())
}

/// Replaces the policy.
///
/// It counts from the next task on. With `If-Match`, it is replaced only when nobody else has done
/// so since its text was read.
#[utoipa::path(put, path = "/v1/secrets/policy", tag = "secrets", operation_id = "setSecretPolicy",
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of the policy to replace")),
    request_body(description = "The policy, at most 1 MiB", content(
        (String = "application/toml", example = "[[allow]]\nnamespace = \"acme\"\nworkflow = \"orders*\"\nsecrets = [\"api-key\", \"db-*\"]\n"),
        (String = "text/plain"))),
    responses(
        (status = 200, description = "Replaced", body = PolicySet),
        (status = 202, description = "It waits until another person approves it \
            (--secret-policy-approval)", body = PolicyProposal),
        (status = 400, description = "Not a policy (WL0519)", body = ProblemBody),
        (status = 409, description = "The policy was given by --secret-policy (WL0520)",
            body = ProblemBody),
        (status = 412, description = "It was replaced meanwhile (WL0522)", body = ProblemBody),
        (status = 413, description = "Payload too large (WL0507)", body = ProblemBody),
        (status = 503, description = "It cannot be kept (WL0523)", body = ProblemBody)))]
pub(super) async fn set_policy(
    State(api): State<Api>,
    By(by): By,
    payload: Payload,
) -> Result<Response, ApiProblem> {
    if payload.bytes.len() > POLICY_BYTES {
        let detail = format!("the policy is more than the limit of {POLICY_BYTES} bytes");
        return Err(ApiProblem::new(Code::TooLarge, detail));
    }
    let kinds = ["", "application/toml", "application/octet-stream", "text/plain"];
    if !kinds.contains(&&*payload.media_type()) {
        let detail = "send the policy as application/toml";
        return Err(ApiProblem::new(Code::UnsupportedMediaType, detail));
    }
    let expected = expected(&payload.headers)?;
    let text = std::str::from_utf8(&payload.bytes)
        .map_err(|error| ApiProblem::new(Code::BadBody, format!("not UTF-8: {error}")))?;
    let text = text.to_owned();
    if api.coordinator.secret_policy_needs_approval() {
        let proposal = api.coordinator.propose_secret_policy(text, expected, &by).await?;
        let waits = Json(PolicyProposal::from(&*proposal));
        return Ok((StatusCode::ACCEPTED, waits).into_response());
    }
    let (policy, refused) = api.coordinator.set_secret_policy(text, expected, &by).await?;
    Ok(answer(&policy, refused))
}

/// The policy that waits until another person approves it.
#[utoipa::path(get, path = "/v1/secrets/policy/proposal", tag = "secrets",
    operation_id = "getSecretPolicyProposal",
    responses((status = 200, description = "What waits", body = PolicyProposal),
        (status = 404, description = "Nothing waits (WL0585)", body = ProblemBody)))]
pub(super) async fn proposal(State(api): State<Api>) -> Result<Json<PolicyProposal>, ApiProblem> {
    let waiting = api.coordinator.secret_policy_proposal();
    let waiting = waiting.ok_or_else(|| {
        ApiProblem::new(Code::NoPolicyProposal, ReplaceError::NoProposal.to_string())
    })?;
    Ok(Json(PolicyProposal::from(&*waiting)))
}

/// Puts the policy in force that another person has proposed.
///
/// `If-Match` names its tag, so that nobody approves another text than the one they have read.
#[utoipa::path(post, path = "/v1/secrets/policy/proposal/approve", tag = "secrets",
    operation_id = "approveSecretPolicy",
    params(("If-Match" = String, Header, description = "The tag of the proposal, quoted")),
    responses((status = 200, description = "In force", body = PolicySet),
        (status = 403, description = "The same person has proposed it (WL0586)",
            body = ProblemBody),
        (status = 404, description = "Nothing waits (WL0585)", body = ProblemBody),
        (status = 412, description = "Another one waits, or the policy was replaced meanwhile \
            (WL0522)", body = ProblemBody)))]
pub(super) async fn approve(
    State(api): State<Api>,
    By(by): By,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let tag = named(&headers)?;
    let (policy, refused) = api.coordinator.approve_secret_policy(tag, &by).await?;
    Ok(answer(&policy, refused))
}

/// Takes the proposal back.
#[utoipa::path(delete, path = "/v1/secrets/policy/proposal", tag = "secrets",
    operation_id = "withdrawSecretPolicy",
    params(("If-Match" = String, Header, description = "The tag of the proposal, quoted")),
    responses((status = 204, description = "Nothing waits any more"),
        (status = 404, description = "Nothing waits (WL0585)", body = ProblemBody),
        (status = 412, description = "Another one waits (WL0522)", body = ProblemBody)))]
pub(super) async fn withdraw(
    State(api): State<Api>,
    By(by): By,
    headers: HeaderMap,
) -> Result<StatusCode, ApiProblem> {
    api.coordinator.withdraw_secret_policy(named(&headers)?, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The tag that `If-Match` names.
fn named(headers: &HeaderMap) -> Result<String, ApiProblem> {
    let missing = || ApiProblem::parameter("If-Match", "give the tag of the proposal, quoted");
    expected(headers)?.ok_or_else(missing)
}

/// A policy that is in force now, and who loses by it.
fn answer(policy: &Policy, refused: Vec<NotPermitted>) -> Response {
    let set = PolicySet {
        tag: policy.tag().to_owned(),
        rules: policy.rules(),
        refused: refused.into_iter().map(Into::into).collect(),
    };
    tagged(policy, Json(set).into_response())
}

/// The tag that the present policy must have, if the caller says one.
fn expected(headers: &HeaderMap) -> Result<Option<String>, ApiProblem> {
    let Some(header) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let wrong = || ApiProblem::parameter("If-Match", "give the `ETag` of the policy, or `*`");
    let text = header.to_str().map_err(|_| wrong())?.trim();
    if text == "*" {
        // There always is one.
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')).ok_or_else(wrong)?;
    Ok(Some(tag.to_owned()))
}

fn tagged(policy: &Policy, mut response: Response) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", policy.tag())) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::{HeaderMap, header};

    use super::expected;

    #[test]
    fn who_replaces_may_say_what() {
        let read = |text: &str| {
            let headers: HeaderMap =
                [(header::IF_MATCH, text.parse().unwrap())].into_iter().collect();
            expected(&headers).ok()
        };
        assert_eq!(expected(&HeaderMap::new()).ok(), Some(None));
        assert_eq!(read("*"), Some(None));
        assert_eq!(read("\"ab\""), Some(Some("ab".to_owned())));
        assert_eq!(read("ab"), None);
        assert_eq!(read("W/\"ab\""), None);
    }
}
