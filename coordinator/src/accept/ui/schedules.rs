//! Schedules: when each is due next, and what became of the last time.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value as Json;

use super::json::{document, items, text};
use super::layout::Page;
use super::{parts, schedule};
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::schedule as schedules;
use crate::accept::state::Api;

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiProblem> {
    let found = document(schedules::list(State(api.clone()), caller.clone(), query).await?)?;
    let rows: Vec<Markup> = items(&found).iter().map(row).collect();
    let next = parts::address("/ui/schedules", &[("cursor", text(&found, "next"))]);
    let body = html! {
        h1 { "Schedules" }
        div #live data-live data-poll {
            @if rows.is_empty() {
                (parts::empty(
                    "No definition that is deployed has a schedule. One with `schedule:` starts by the \
                     clock or by events; see docs/schedules.md.",
                    "windlass schedule list",
                ))
            } @else {
                (parts::table(
                    "Schedules",
                    &["Workflow", "When", "Next", "Last", "Fired", "Skipped", "Running"],
                    &rows,
                ))
            }
            (parts::next(found["next"].is_string().then_some(next.as_str()), None))
        }
    };
    let command = "windlass schedule list".to_owned();
    let title = "Schedules".to_owned();
    Ok(Page { title, section: "schedules", command, body }.answer(&api, &caller))
}

fn row(it: &Json) -> Markup {
    let (namespace, name) = (text(it, "namespace"), text(it, "name"));
    let running = it["running"].as_array().map_or(0, Vec::len);
    html! {
        td {
            a href=(schedule::path(namespace, name)) { bdi { (namespace) "/" (name) } }
            span.version { (text(it, "version")) }
        }
        td { (when(it)) }
        td {
            @if it["paused"].is_object() {
                "paused since " (parts::time_text(text(&it["paused"], "since")))
                @if it["paused"]["reason"].is_string() {
                    ": " bdi { (parts::json_text(&it["paused"]["reason"])) }
                }
            } @else if let Some(next) = it["next"].get(0) {
                (parts::time_text(text(next, "at")))
            }
        }
        td { @if it["last"].is_object() { (last(&it["last"])) } }
        td.number { (parts::json_text(&it["fired"])) }
        td.number { (parts::json_text(&it["skipped"])) }
        td.number { (running) }
    }
}

/// When it is due.
pub(super) fn when(it: &Json) -> Markup {
    let every = |name: &str| it[name].as_u64().map(parts::duration);
    html! {
        @if let Some(every) = every("everyMs") { div { "every " (every) } }
        @if it["cron"].is_string() {
            div { code { (text(it, "cron")) } " " (text(it, "timezone")) }
        }
        @if let Some(after) = every("afterMs") { div { (after) " after the last one" } }
        @if it["on"].is_object() {
            div { "on events" }
            @if it["on"]["fault"].is_string() {
                div.wrong { bdi { (parts::json_text(&it["on"]["fault"])) } }
            }
        }
    }
}

fn last(it: &Json) -> Markup {
    html! {
        (parts::time_text(text(it, "at"))) " "
        @if it["instance"].is_string() {
            a href=(parts::instance_path(text(it, "instance"))) { (text(it, "outcome")) }
        } @else {
            (text(it, "outcome"))
        }
        @if it["why"].is_string() { " (" (schedule::why(text(it, "why"))) ")" }
    }
}
