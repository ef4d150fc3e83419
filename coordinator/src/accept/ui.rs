//! `/ui`: pages for people, made here and by the functions that answer the API.
//!
//! A file for each page; `layout` is around all of them, `parts` is what they are made of, `visits`
//! tells of an instance's history what its timeline and its graph show, `dress` puts headers on
//! all, and makes pages of errors. Everything can be read without scripts; the one script of ours
//! keeps pages up to date and shows times in the reader's zone.
//!
//! **Invariant:** pages hold no script and no style of their own: the policy that they are sent
//! with (`default-src 'self'`) lets browsers refuse any.

mod assets;
mod audit;
mod bulk;
mod definition;
mod definitions;
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
mod schedules;
mod sign_in;
mod skeleton;
mod timeline;
mod visits;
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
        .route("/ui/definitions", get(definitions::page))
        .route("/ui/definitions/{namespace}/{name}", get(definition::page))
        .route("/ui/definitions/{namespace}/{name}/start", post(orders::start))
        .route("/ui/schedules", get(schedules::page))
        .route("/ui/workers", get(workers::page))
        .route("/ui/events", get(events::choice))
        .route("/ui/events/{namespace}", get(events::page))
        .route("/ui/audit", get(audit::page))
        .route("/ui/bulk", get(bulk::page))
        // Within all bounds, so that what is sent is what is counted.
        .layer(axum::middleware::from_fn(dress::packed))
}

/// What operators help with when there is no room for anything else.
pub(super) fn orders() -> Router<Api> {
    Router::new()
        .route("/ui/instances/{id}/cancel", post(orders::cancel))
        .route("/ui/instances/{id}/suspend", post(orders::suspend))
        .route("/ui/instances/{id}/resume", post(orders::resume))
}
