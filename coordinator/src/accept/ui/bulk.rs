//! Bulk jobs: one order for many instances, and how far each is.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value as Json;

use super::json::{document, items, text};
use super::layout::Page;
use super::parts;
use crate::accept::access::Caller;
use crate::accept::bulk;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;

/// The page of a job.
pub(super) fn path(id: &str) -> String {
    format!("/ui/bulk/{}", parts::encoded(id))
}

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiProblem> {
    query.finish()?;
    let found = document(bulk::list(State(api.clone()), caller.clone()).await)?;
    let rows: Vec<Markup> = items(&found).iter().map(row).collect();
    let body = html! {
        h1 { "Bulk jobs" }
        div #live data-live data-poll {
            @if rows.is_empty() {
                (parts::empty(
                    "None was given. A bulk job does one thing with all instances that match:",
                    "windlass bulk cancel --filter 'workflow=shop/order status=waiting' --preview",
                ))
            } @else {
                (parts::table(
                    "Bulk jobs",
                    &["Action", "Filter", "State", "Progress", "Given", "By", "Reason"],
                    &rows,
                ))
            }
        }
    };
    let command = "windlass bulk list".to_owned();
    let title = "Bulk jobs".to_owned();
    Ok(Page { title, section: "bulk", command, body }.answer(&api, &caller))
}

/// How far a job is.
pub(super) fn progress(it: &Json) -> Markup {
    let number = |name: &str| it[name].as_u64().unwrap_or_default();
    let (done, skipped, failed) = (number("done"), number("skipped"), number("failed"));
    let (over, total) = (done.saturating_add(skipped).saturating_add(failed), number("total"));
    html! {
        progress value=(over) max=(total.max(1)) aria-label="Progress" {}
        div { (over) " of " (total) ": " (done) " done, " (skipped) " skipped, " (failed) " failed" }
    }
}

fn row(it: &Json) -> Markup {
    html! {
        td { a href=(path(text(it, "id"))) { (text(it, "action")) } }
        td { code { bdi { (parts::json_text(&it["filter"])) } } }
        td { (text(it, "status")) }
        td { (progress(it)) }
        td { (parts::time_text(text(it, "createdAt"))) }
        td { bdi { (parts::json_text(&it["by"])) } }
        td { bdi { (parts::json_text(&it["reason"])) } }
    }
}
