//! Which handler answers what.

use axum::Router;
use axum::routing::{get, post};

use super::limits::ConnectionLimits;
use super::rule::PAGES;
use super::{
    access, approval, audit, auth, backup, bulk, document, early, event, function, gate, history,
    identity, instance, log, metrics, remote_worker, removal, schedule, secret, start, state,
    suspension, token, ui, watch, webhook, worker, workflow,
};
use crate::coordinator::Coordinator;

/// The API of `coordinator`, to be mounted or served; [`serve`](super::serve()) does all there is
/// to it.
pub fn router(coordinator: Coordinator) -> Router {
    let api =
        state::Api::new(coordinator, ConnectionLimits::default(), None, None, None, templates());
    routes(api, true)
}

/// The templates of all routes.
pub(super) fn templates() -> Vec<String> {
    let pages = PAGES.iter().map(|it| it.1.to_owned());
    document::routes().into_iter().chain(pages).collect()
}

/// What probes and operators ask for: it helps when there is no room for anything else.
fn operation() -> Router<state::Api> {
    Router::new()
        .route("/v1/instances/{id}", get(instance::show).delete(removal::delete))
        .route("/v1/instances/{id}/cancel", post(instance::cancel))
        .route("/v1/instances/{id}/suspend", post(instance::suspend))
        .route("/v1/instances/{id}/resume", post(instance::resume))
        .route("/v1/suspensions", get(suspension::list))
        .route("/v1/namespaces/{namespace}/suspend", post(suspension::suspend_namespace))
        .route("/v1/namespaces/{namespace}/resume", post(suspension::resume_namespace))
        .route("/v1/workflows/{namespace}/{name}/suspend", post(suspension::suspend_workflow))
        .route("/v1/workflows/{namespace}/{name}/resume", post(suspension::resume_workflow))
        .route("/v1/roots/{id}/cancel", post(suspension::cancel_root))
        .route("/v1/schedules/{namespace}/{name}/pause", post(schedule::pause))
        .route("/v1/schedules/{namespace}/{name}/resume", post(schedule::resume))
        .route("/v1/backups", post(backup::take))
        .route("/v1/log", get(log::show).put(log::set))
        .merge(readiness())
}

/// Whether there is any use in asking.
fn readiness() -> Router<state::Api> {
    Router::new().route("/readyz", get(metrics::ready))
}

/// Outside of all bounds, on purpose: a busy process is alive.
fn health() -> Router<state::Api> {
    Router::new().route("/healthz", get(metrics::healthy))
}

/// What tells of everybody's work.
fn scraped() -> Router<state::Api> {
    Router::new().route("/metrics", get(metrics::metrics))
}

/// What the port for health and metrics has.
pub(super) fn admin(api: state::Api) -> Router {
    let operated = axum::middleware::from_fn_with_state(api.clone(), gate::operated);
    served(scraped().merge(readiness()).layer(operated).merge(health()), api)
}

/// With an answer to what there is not; bodies have bounds of their own.
fn served(router: Router<state::Api>, api: state::Api) -> Router {
    router
        .fallback(gate::unknown_path)
        .method_not_allowed_fallback(gate::unknown_method)
        .layer(axum::middleware::from_fn(gate::same_origin))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(api)
}

/// Who may do what, and who did.
fn administration() -> Router<state::Api> {
    Router::new()
        .route("/v1/secrets", get(secret::list))
        .route("/v1/secrets/policy", get(secret::policy).put(secret::set_policy))
        .route("/v1/secrets/policy/proposal", get(secret::proposal).delete(secret::withdraw))
        .route("/v1/secrets/policy/proposal/approve", post(secret::approve))
        .route("/v1/audit", get(audit::list))
        .route("/v1/auth/providers", get(auth::providers))
        .route("/v1/audit/key", get(audit::key))
        .route("/v1/auth/whoami", get(auth::whoami))
        .route("/v1/auth/can-i", get(auth::can_i))
        .route("/v1/tokens", post(token::create).get(token::list))
        .route("/v1/tokens/{id}", axum::routing::delete(token::revoke))
}

/// What the API has; metrics only where they have no port of their own.
pub(super) fn routes(api: state::Api, with_metrics: bool) -> Router {
    let operated = axum::middleware::from_fn_with_state(api.clone(), gate::operated);
    let operation = if with_metrics { operation().merge(scraped()) } else { operation() };
    let (pages, orders) = match api.pages {
        Some(_) => (ui::pages(), ui::orders()),
        None => Default::default(),
    };
    let version = get(workflow::version).delete(workflow::delete);
    let hook = get(webhook::show).put(webhook::put).delete(webhook::delete);
    let delivered = axum::middleware::from_fn_with_state(api.clone(), gate::delivered);
    let deliveries = Router::new().route("/v1/hooks/{namespace}/{name}", post(webhook::deliver));
    let router = Router::new()
        .route("/v1/workflows", post(workflow::deploy).get(workflow::list))
        .route("/v1/workflows/{namespace}/{name}", get(workflow::latest))
        .route("/v1/workflows/{namespace}/{name}/{version}", version)
        .route("/v1/workflows/{namespace}/{name}/{version}/diff", get(workflow::diff))
        .route("/v1/workflows/{namespace}/{name}/{version}/retire", post(workflow::retire))
        .route("/v1/workflows/{namespace}/{name}/{version}/restore", post(workflow::restore))
        .route("/v1/definitions/{digest}", get(workflow::by_digest))
        .route("/v1/functions", get(function::list))
        .route("/v1/functions/{name}/{version}", post(function::publish).get(function::show))
        .route("/v1/instances", post(start::start).get(instance::list))
        .route("/v1/bulk", post(bulk::start).get(bulk::list))
        .route("/v1/bulk/{id}", get(bulk::show))
        .route("/v1/bulk/{id}/results", get(bulk::results))
        .route("/v1/bulk/{id}/pause", post(bulk::pause))
        .route("/v1/bulk/{id}/resume", post(bulk::resume))
        .route("/v1/bulk/{id}/cancel", post(bulk::cancel))
        .route("/v1/instances/count", get(instance::count))
        .route("/v1/instances/{id}/output", get(instance::output))
        .route("/v1/instances/{id}/history", get(history::history))
        .route("/v1/instances/{id}/retry", post(instance::retry))
        .route("/v1/instances/{id}/skip", post(instance::skip))
        .route("/v1/instances/{id}/reset", post(instance::reset))
        .route("/v1/instances/{id}/watch", get(watch::watch))
        .route("/v1/schedules", get(schedule::list))
        .route("/v1/schedules/{namespace}/{name}", get(schedule::show))
        .route("/v1/schedules/{namespace}/{name}/trigger", post(schedule::trigger))
        .route("/v1/schedules/{namespace}/{name}/backfill", post(schedule::backfill))
        .route("/v1/events", post(event::publish))
        .route("/v1/instances/{id}/events", post(event::send))
        .route("/v1/namespaces/{namespace}/events", get(early::list))
        .route("/v1/namespaces/{namespace}/events/{key}", get(early::show))
        .route("/v1/webhooks/{namespace}", get(webhook::list))
        .route("/v1/webhooks/{namespace}/{name}", hook)
        .route("/v1/workers", get(worker::list))
        .route("/v1/worker-sessions", post(remote_worker::join))
        .route("/v1/worker-sessions/{session}/turns", post(remote_worker::turn))
        .merge(administration())
        .merge(pages)
        .merge(approvals())
        .layer(axum::middleware::from_fn_with_state(api.clone(), gate::bounded))
        .merge(operation.merge(orders).layer(operated))
        .merge(deliveries.layer(delivered))
        .merge(health())
        // Outside of them as well: the document never changes, and without the keys no task could
        // log in to a store.
        .route("/openapi.json", get(document::openapi))
        .route("/.well-known/jwks.json", get(identity::keys))
        .route("/.well-known/openid-configuration", get(identity::configuration))
        // Who sends a request is known before anything more of it is read.
        .layer(axum::middleware::from_fn_with_state(api.clone(), access::authorised));
    match api.pages {
        Some(_) => served(router, api).layer(axum::middleware::from_fn(ui::dressed)),
        None => served(router, api),
    }
}

/// What workflows ask people.
fn approvals() -> Router<state::Api> {
    Router::new()
        .route("/v1/approvals", get(approval::list))
        .route("/v1/instances/{id}/approvals/{number}", get(approval::show))
        .route("/v1/instances/{id}/approvals/{number}/approve", post(approval::approve))
        .route("/v1/instances/{id}/approvals/{number}/reject", post(approval::reject))
}
