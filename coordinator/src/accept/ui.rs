//! `/ui`: pages for people, made here and by the functions that answer the API.
//!
//! A file for each page; `layout` is around all of them, `parts` is what they are made of, `visits`
//! tells of an instance's history what its timeline and its graph show, `dress` puts headers on
//! all, and makes pages of errors. Everything can be read without scripts; the one script of ours
//! keeps pages up to date and shows times in the reader's zone.
//!
//! **Invariant:** pages hold no script and no style of their own: the policy that they are sent
//! with (`default-src 'self'`) lets browsers refuse any.

mod approvals;
mod assets;
mod audit;
mod bulk;
mod bulk_job;
mod bulk_order;
mod definition;
mod definitions;
mod deploy;
mod dress;
mod events;
mod form;
mod graph;
mod history;
mod instance;
mod instances;
mod json;
mod layout;
mod orders;
mod parts;
mod repair;
mod schedule;
mod schedules;
mod secrets;
mod send;
mod sign_in;
mod skeleton;
mod timeline;
mod version;
mod visits;
mod who;
mod workers;

use axum::Router;
use axum::routing::{get, post};

use super::state::Api;
use super::watch;

pub(super) use dress::dressed;

/// The pages.
pub(super) fn pages() -> Router<Api> {
    Router::new()
        .route("/ui", get(layout::home))
        .route("/ui/static/{file}", get(assets::file))
        .route("/ui/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/ui/sign-out", post(sign_in::sign_out))
        .route("/ui/instances", get(instances::page))
        .route("/ui/instances/{id}", get(instance::page))
        .route("/ui/instances/{id}/history", get(history::page))
        .route("/ui/instances/{id}/watch", get(watch::watch))
        .route("/ui/instances/{id}/retry", post(orders::retry))
        .route("/ui/instances/{id}/skip", post(repair::skip))
        .route("/ui/instances/{id}/reset", post(repair::reset))
        .route("/ui/instances/{id}/events", post(send::send))
        .route("/ui/instances/{id}/approvals/{number}", get(approvals::one))
        .route("/ui/instances/{id}/approvals/{number}/approve", post(approvals::approve))
        .route("/ui/instances/{id}/approvals/{number}/reject", post(approvals::reject))
        .route("/ui/approvals", get(approvals::page))
        .route("/ui/definitions", get(definitions::page).post(deploy::deploy))
        .route("/ui/definitions/{namespace}/{name}", get(definition::page))
        .route("/ui/definitions/{namespace}/{name}/diff", get(version::diff))
        .route("/ui/definitions/{namespace}/{name}/retire", post(version::retire))
        .route("/ui/definitions/{namespace}/{name}/restore", post(version::restore))
        .route("/ui/definitions/{namespace}/{name}/start", post(orders::start))
        .route("/ui/schedules", get(schedules::page))
        .route("/ui/schedules/{namespace}/{name}", get(schedule::page))
        .route("/ui/schedules/{namespace}/{name}/trigger", post(schedule::trigger))
        .route("/ui/schedules/{namespace}/{name}/backfill", post(schedule::backfill))
        .route("/ui/workers", get(workers::page))
        .route("/ui/events", get(events::choice).post(send::publish))
        .route("/ui/events/{namespace}", get(events::page))
        .route("/ui/audit", get(audit::page))
        .route("/ui/bulk", get(bulk::page).post(bulk_order::start))
        .route("/ui/bulk/{id}", get(bulk_job::page))
        .route("/ui/bulk/{id}/pause", post(bulk_job::pause))
        .route("/ui/bulk/{id}/resume", post(bulk_job::resume))
        .route("/ui/bulk/{id}/cancel", post(bulk_job::cancel))
        .route("/ui/secrets", get(secrets::page))
        .route("/ui/who", get(who::page))
        // Within all bounds, so that what is sent is what is counted.
        .layer(axum::middleware::from_fn(dress::packed))
}

/// What operators help with when there is no room for anything else.
pub(super) fn orders() -> Router<Api> {
    Router::new()
        .route("/ui/instances/{id}/cancel", post(orders::cancel))
        .route("/ui/instances/{id}/suspend", post(orders::suspend))
        .route("/ui/instances/{id}/resume", post(orders::resume))
        .route("/ui/schedules/{namespace}/{name}/pause", post(schedule::pause))
        .route("/ui/schedules/{namespace}/{name}/resume", post(schedule::resume))
}
