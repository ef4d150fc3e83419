//! Who sends a request, and whether they may.

use std::net::IpAddr;
use std::sync::Arc;

use axum::RequestPartsExt as _;
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use windlass_proto::audit::AuditAction;
use windlass_proto::id::InstanceId;

use super::problem::{self, ApiProblem};
use super::rule::{Rule, is_page, rule};
use super::serve::sockets::Socket;
use super::standby::Via;
use super::state::Api;
use super::{gate, operator, payload, session};
use crate::access::{
    ClientCertificate, Credential, Denied, Permission, Principal, Refusal, Resource, Visible,
};
use crate::code::Code;
use crate::coordinator::{CoordinatorError, Operator};

/// Whoever sends a request.
#[derive(Clone)]
pub(super) struct Caller {
    principal: Arc<Principal>,
    credential: Credential,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiProblem> {
        // Every route that asks for it is behind `authorised`.
        let caller = parts.extensions.get::<Self>().cloned();
        caller
            .ok_or_else(|| ApiProblem::new(Code::Unauthenticated, "nobody was asked who they are"))
    }
}

impl Caller {
    /// Who it is.
    pub(super) fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Returns once what they show counts no longer.
    pub(super) async fn ended(&self, api: &Api) {
        match &api.access {
            Some(access) => access.ended(&self.credential, &self.principal).await,
            None => std::future::pending().await,
        }
    }

    /// The workflows that they may do something with.
    pub(super) fn visible(&self, permission: Permission) -> Visible {
        self.principal.visible(permission)
    }

    /// Refuses what is not allowed of a workflow; where they may not know of it, it is not there.
    pub(super) fn workflow(
        &self,
        permission: Permission,
        namespace: &str,
        name: &str,
        unknown: impl FnOnce() -> CoordinatorError,
    ) -> Result<(), ApiProblem> {
        let checked = self.principal.check(permission, Resource::Workflow(namespace, name));
        checked.map_err(|denied| match denied {
            Denied::Hidden => ApiProblem::from(unknown()).denied(),
            Denied::Forbidden => forbidden(permission, &format!(" for {namespace}/{name}")),
        })
    }

    /// Refuses what is not allowed of a type of events.
    pub(super) fn event(&self, kind: &str) -> Result<(), ApiProblem> {
        let allowed = self.principal.may(Permission::EventPublish, Resource::Event(kind));
        match allowed {
            true => Ok(()),
            false => Err(forbidden(Permission::EventPublish, &format!(" for the type {kind}"))),
        }
    }
}

/// A permission is missing.
pub(super) fn forbidden(permission: Permission, of: &str) -> ApiProblem {
    let detail = format!("this needs the permission {permission}{of}");
    ApiProblem::new(Code::Forbidden, detail).denied()
}

/// Lets a request through whose sender may do what it asks for.
pub(super) async fn authorised(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&api, &mut parts, body).await {
        Ok(body) => {
            let (method, uri) = (parts.method.clone(), parts.uri.clone());
            let by = parts.extensions.get::<Operator>().cloned().unwrap_or_default();
            let outcomes = api.coordinator.outcomes(&by);
            let response = next.run(Request::from_parts(parts, body)).await;
            if let Some(outcomes) = outcomes {
                outcomes.are(problem::outcome(&response));
            }
            // What only the body told, the handler refuses.
            if let Some(problem::Denied(why)) = response.extensions().get() {
                let detail = format!("{method} {}: {why}", uri.path());
                let denial = Denial { action: AuditAction::AccessDenied, by, detail };
                api.denials.tell(&api.coordinator, denial);
            }
            response
        }
        Err(refused) => {
            let refused = *refused;
            match refused.told {
                Some(denial) if denial.by.caller.is_some() => {
                    api.denials.tell(&api.coordinator, denial);
                }
                // Who is nobody must not keep it from telling of others.
                Some(failure) => api.failures.tell(&api.coordinator, failure),
                None => {}
            }
            let response = refused.problem.into_response();
            api.metrics.answered(response.status().as_u16());
            response
        }
    }
}

/// A request that is not let through.
struct Refused {
    problem: ApiProblem,
    /// What the audit trail is told of it; nothing of what was only asked for in the wrong way.
    told: Option<Denial>,
}

/// What the audit trail is told of a request that was not let through.
pub(super) struct Denial {
    pub(super) action: AuditAction,
    pub(super) by: Operator,
    pub(super) detail: String,
}

/// Gives the body back, as far as whoever sends it may send one.
async fn admit(api: &Api, parts: &mut Parts, body: Body) -> Result<Body, Box<Refused>> {
    // Without one there is nothing, as the answer will say.
    let Some(template) = parts.extensions.get::<MatchedPath>().cloned() else { return Ok(body) };
    let Some(rule) = rule(&parts.method, template.as_str()) else {
        let problem = gate::unknown_method(parts.method.clone(), parts.uri.clone()).await;
        return Err(Box::new(Refused { problem, told: None }));
    };
    if rule == Rule::Open {
        // Deliveries of webhooks have a bound of their own.
        return match template.as_str().starts_with("/v1/hooks/") {
            true => Ok(body),
            false => payload::little(parts, body)
                .map_err(|problem| Box::new(Refused { problem, told: None })),
        };
    }
    let address = parts.extensions.get::<Arc<Socket>>().map(|it| it.client());
    let caller = identify(api, parts, address).await?;
    let via = via(parts);
    parts.extensions.insert(caller.clone());
    let request = operator::request_id(&parts.headers).ok().flatten();
    let mut operator = Operator::new(caller.principal.clone(), address, request);
    operator.via = via;
    parts.extensions.insert(operator.clone());
    if caller.principal.method == crate::access::Method::None {
        return Ok(body);
    }
    let checked = check(api, rule, &caller, parts).await;
    checked.map(|()| body).map_err(|problem| {
        let detail = format!("{} {}: {}", parts.method, parts.uri.path(), problem.detail());
        let denial = Denial { action: AuditAction::AccessDenied, by: operator, detail };
        // What is not there is not there for anybody.
        let told = problem.is_denied().then_some(denial);
        Box::new(Refused { problem, told })
    })
}

/// The coordinator that passes it on, if one does.
fn via(parts: &Parts) -> Option<Arc<str>> {
    parts.extensions.get::<Via>().map(|it| it.0.clone())
}

/// Finds out who it is.
async fn identify(
    api: &Api,
    parts: &Parts,
    address: Option<IpAddr>,
) -> Result<Caller, Box<Refused>> {
    let Some(access) = &api.access else {
        let principal = match parts.extensions.get::<Arc<ClientCertificate>>() {
            // Whoever has one may everything, and the trail says who it was.
            Some(certificate) => Arc::new(Principal::certified(certificate)),
            None => api.anyone.clone(),
        };
        return Ok(Caller { principal, credential: Credential::default() });
    };
    let refused = |refusal: Refusal| {
        let problem = unauthenticated(&refusal);
        let told = matches!(refusal, Refusal::Invalid(_)).then(|| Denial {
            action: AuditAction::AuthenticationFailed,
            by: Operator::nobody(address, via(parts)),
            detail: problem.detail().to_owned(),
        });
        Box::new(Refused { problem, told })
    };
    let certificate = parts.extensions.get::<Arc<ClientCertificate>>();
    let shown = match bearer(&parts.headers).map_err(refused)? {
        // The API takes no cookies, or pages of others could give orders with them.
        None if is_page(parts.uri.path()) => session::token(&parts.headers),
        shown => shown,
    };
    let authenticated = access.authenticate(shown, certificate).await;
    let (principal, credential) = authenticated.map_err(refused)?;
    Ok(Caller { principal, credential })
}

/// Whether a token that somebody signs in with is taken.
pub(super) async fn taken(api: &Api, token: &str, parts: &Parts) -> Result<(), ApiProblem> {
    let Some(access) = &api.access else { return Ok(()) };
    match access.authenticate(Some(token), None).await {
        Ok(_) => Ok(()),
        Err(refusal) => {
            let problem = unauthenticated(&refusal);
            let address = parts.extensions.get::<Arc<Socket>>().map(|it| it.client());
            let by = Operator::nobody(address, via(parts));
            let action = AuditAction::AuthenticationFailed;
            let detail = problem.detail().to_owned();
            api.failures.tell(&api.coordinator, Denial { action, by, detail });
            Err(problem)
        }
    }
}

/// The bearer token (RFC 6750) of a request, if it has one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let wrong = |reason: &str| Refusal::Invalid(format!("the Authorization header {reason}"));
    if values.next().is_some() {
        return Err(wrong("is there twice"));
    }
    let text = value.to_str().map_err(|_| wrong("is no text"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Ok(Some(token.trim()).filter(|it| !it.is_empty()))
        }
        _ => Err(wrong("has another scheme than Bearer")),
    }
}

fn unauthenticated(refusal: &Refusal) -> ApiProblem {
    match refusal {
        Refusal::Missing => ApiProblem::new(Code::Unauthenticated, "the request shows no token")
            .challenge("Bearer realm=\"windlass\""),
        Refusal::Invalid(reason) => ApiProblem::new(Code::Unauthenticated, reason.clone())
            .challenge("Bearer realm=\"windlass\", error=\"invalid_token\""),
        Refusal::Provider(issuer) => {
            let detail = format!("the keys of the issuer {issuer} cannot be had now");
            ApiProblem::new(Code::IssuerUnavailable, detail)
                .retry_after(std::time::Duration::from_secs(5))
        }
    }
}

/// Whether they may.
async fn check(
    api: &Api,
    rule: Rule,
    caller: &Caller,
    parts: &mut Parts,
) -> Result<(), ApiProblem> {
    let principal = &caller.principal;
    let (permission, somewhere) = match rule {
        Rule::Open | Rule::Known => return Ok(()),
        Rule::Somewhere(it) => (it, true),
        Rule::Server(it)
        | Rule::Namespace(it)
        | Rule::Workflow(it)
        | Rule::Schedule(it)
        | Rule::Instance(it) => (it, false),
    };
    // What is narrowed by nothing here is in the path.
    if principal.may_everywhere(permission) || somewhere && principal.may_somewhere(permission) {
        return Ok(());
    }
    let segments = match parts.extract::<RawPathParams>().await {
        Ok(segments) => segments,
        Err(_) => return Err(ApiProblem::new(Code::BadParameter, "the path is not UTF-8")),
    };
    let segment =
        |name: &str| segments.iter().find(|(it, _)| *it == name).map_or("", |(_, value)| value);
    let (namespace, name) = (segment("namespace"), segment("name"));
    match rule {
        Rule::Open | Rule::Known => Ok(()),
        Rule::Server(_) | Rule::Somewhere(_) => Err(forbidden(permission, "")),
        Rule::Namespace(_) => match principal.may(permission, Resource::Namespace(namespace)) {
            true => Ok(()),
            // Nothing is said of whether it is there.
            false => Err(forbidden(permission, &format!(" for all of {namespace}"))),
        },
        Rule::Workflow(_) => caller.workflow(permission, namespace, name, || {
            let version = Some(segment("version")).filter(|it| !it.is_empty());
            CoordinatorError::unknown_workflow(namespace, name, version)
        }),
        Rule::Schedule(_) => caller.workflow(permission, namespace, name, || {
            CoordinatorError::unknown_schedule(namespace, name)
        }),
        Rule::Instance(_) => instance(api, permission, caller, segment("id")).await,
    }
}

/// Whether they may do something with an instance.
async fn instance(
    api: &Api,
    permission: Permission,
    caller: &Caller,
    id: &str,
) -> Result<(), ApiProblem> {
    // What is no id is told so by the handler.
    let Ok(id) = id.parse::<InstanceId>() else { return Ok(()) };
    let unknown = || CoordinatorError::UnknownInstance(id);
    match api.coordinator.workflow_of(id).await? {
        Some(of) => caller.workflow(permission, &of.namespace, &of.name, unknown),
        // It may be archived, and that can be read.
        None if permission == Permission::InstanceRead => {
            let archived = api.coordinator.archived(id).await?.ok_or_else(unknown)?;
            caller.workflow(permission, &archived.namespace, &archived.name, unknown)
        }
        None => Err(unknown().into()),
    }
}
