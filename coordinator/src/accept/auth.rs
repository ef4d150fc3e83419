//! `/v1/auth`: who somebody is here, and what they may.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use windlass_proto::time::Timestamp;

use super::access::Caller;
use super::problem::{ApiProblem, ProblemBody};
use super::query::Query;
use super::state::Api;
use crate::access::{Grant, Login, Permission, Resource, Scope};

/// Somebody, and what they are granted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"issuer": "corp", "subject": "ada@example.com", "method": "jwt",
    "groups": ["ops"], "grants": [{"role": "operator", "permissions": ["instance.start"],
    "namespaces": ["shop*"], "workflows": ["*"], "types": ["*"]}]}))]
pub(super) struct WhoAmI {
    /// The name of an identity provider, `token`, `certificate` or `anonymous`.
    issuer: String,
    /// Who they are there.
    subject: String,
    /// How they proved it: `jwt`, `token`, `certificate`, or `none` where nobody is asked.
    method: &'static str,
    /// The groups they are in.
    groups: Vec<String>,
    /// When what they show ends, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// What they may.
    grants: Vec<GrantView>,
}

/// What somebody is granted.
#[derive(Serialize, ToSchema)]
struct GrantView {
    /// The role.
    role: String,
    /// What it allows.
    permissions: Vec<&'static str>,
    /// In which namespaces; `*` stands for any text.
    namespaces: Vec<String>,
    /// Of which workflows there.
    workflows: Vec<String>,
    /// For events, of which types.
    types: Vec<String>,
}

impl From<&Grant> for GrantView {
    fn from(grant: &Grant) -> Self {
        let texts = |all: &[std::sync::Arc<str>]| all.iter().map(ToString::to_string).collect();
        Self {
            role: grant.role.to_string(),
            permissions: grant.permissions.each().map(Permission::name).collect(),
            namespaces: texts(&grant.namespaces),
            workflows: texts(&grant.workflows),
            types: texts(&grant.types),
        }
    }
}

/// Whether somebody may.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"allowed": true, "permission": "instance.start"}))]
pub(super) struct CanI {
    /// Whether they may.
    allowed: bool,
    /// The permission that was asked for.
    permission: &'static str,
}

/// Identity providers that give the command line tokens.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{"name": "corp", "url": "https://id.example.com",
    "client": "windlass-cli", "scopes": ["openid"]}]}))]
pub(super) struct Providers {
    /// Each with the public client and the scopes to ask it with.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Login>,
}

/// Where to get a token: who asks for that has none yet.
#[utoipa::path(get, path = "/v1/auth/providers", tag = "access", operation_id = "listIdentityProviders",
    responses((status = 200, description = "Those that the command line may ask", body = Providers)))]
pub(super) async fn providers(State(api): State<Api>) -> Json<Providers> {
    Json(Providers { items: api.access.as_ref().map(|it| it.logins()).unwrap_or_default() })
}

/// Who asks, and what they are granted.
#[utoipa::path(get, path = "/v1/auth/whoami", tag = "access", operation_id = "whoAmI",
    responses((status = 200, description = "Who it is", body = WhoAmI),
        (status = 401, description = "The token is not taken (WL0544)", body = ProblemBody)))]
pub(super) async fn whoami(caller: Caller) -> Json<WhoAmI> {
    let it = caller.principal();
    Json(WhoAmI {
        issuer: it.issuer.to_string(),
        subject: it.subject.to_string(),
        method: it.method.word(),
        groups: it.groups.iter().map(ToString::to_string).collect(),
        expires_at: it.expires.map(Timestamp::to_rfc3339),
        grants: it.grants.iter().map(Into::into).collect(),
    })
}

/// Whether whoever asks may do something.
///
/// A permission may be named by its last part where that is enough: `start` for `instance.start`.
/// Without a namespace it is asked for the whole server.
#[utoipa::path(get, path = "/v1/auth/can-i", tag = "access", operation_id = "canI",
    params(("permission" = String, Query, description = "The permission", example = "instance.start"),
        ("namespace" = Option<String>, Query, description = "In this namespace"),
        ("name" = Option<String>, Query, description = "Of this workflow there"),
        ("type" = Option<String>, Query, description = "For events of this type")),
    responses((status = 200, description = "Whether they may", body = CanI),
        (status = 400, description = "No such permission (WL0511)", body = ProblemBody)))]
pub(super) async fn can_i(
    State(_): State<Api>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<CanI>, ApiProblem> {
    let permission = query.parsed("permission", permission)?;
    let (namespace, name) = (query.one("namespace")?, query.one("name")?);
    let kind = query.one("type")?;
    query.finish()?;
    let permission = permission
        .ok_or_else(|| ApiProblem::parameter("permission", "say which, such as instance.start"))?;
    let resource = match (&kind, &namespace, &name) {
        (Some(kind), None, None) => Resource::Event(kind),
        (None, Some(namespace), Some(name)) => Resource::Workflow(namespace, name),
        (None, Some(namespace), None) => Resource::Namespace(namespace),
        (None, None, None) => Resource::Server,
        _ => {
            return Err(ApiProblem::parameter(
                "name",
                "goes with `namespace`, and neither with `type`",
            ));
        }
    };
    let resource = match permission.scope() {
        // It is of no namespace: to be told that one may, in a namespace, would be wrong.
        Scope::Server | Scope::Shared => Resource::Server,
        Scope::Workflow | Scope::Event => resource,
    };
    let allowed = caller.principal().may(permission, resource);
    Ok(Json(CanI { allowed, permission: permission.name() }))
}

/// The permission that is meant.
fn permission(text: &str) -> Result<Permission, String> {
    if let Some(found) = Permission::named(text) {
        return Ok(found);
    }
    let ends = |it: &&Permission| it.name().rsplit_once('.').is_some_and(|(_, last)| last == text);
    let found: Vec<_> = Permission::ALL.iter().filter(ends).collect();
    match &found[..] {
        [one] => Ok(**one),
        [] => {
            let all: Vec<_> = Permission::ALL.iter().map(|it| it.name()).collect();
            Err(format!("no permission is called `{text}`; there are {}", all.join(", ")))
        }
        several => {
            let names: Vec<_> = several.iter().map(|it| it.name()).collect();
            Err(format!("`{text}` could be {}", names.join(" or ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::permission;
    use crate::access::Permission;

    #[test]
    fn a_permission_is_found_by_what_tells_it_from_others() {
        assert_eq!(permission("instance.start"), Ok(Permission::InstanceStart));
        assert_eq!(permission("start"), Ok(Permission::InstanceStart));
        assert_eq!(permission("deploy"), Ok(Permission::WorkflowDeploy));
        assert!(permission("read").is_err_and(|it| it.contains("audit.read")));
        assert!(permission("fly").is_err_and(|it| it.contains("instance.start")));
    }
}
