//! One bulk job: how far it is, and what came of each instance.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::Value as Json;

use super::form::Sent;
use super::json::{document, items, text};
use super::layout::Page;
use super::{bulk as jobs, form, parts};
use crate::accept::access::Caller;
use crate::accept::bulk;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{Query, Segments};
use crate::accept::state::Api;

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    Segments(id): Segments<String>,
    query: Query,
) -> Result<Response, ApiProblem> {
    let named = || Segments(id.clone());
    let is_first = query.pairs().is_empty();
    let it = document(bulk::show(State(api.clone()), caller.clone(), named()).await?)?;
    let results = bulk::results(State(api.clone()), caller.clone(), named(), query).await?;
    let results = document(results)?;
    let here = jobs::path(text(&it, "id"));
    let rows: Vec<Markup> = items(&results).iter().map(row).collect();
    let next = results["next"].as_str().map(|it| parts::address(&here, &[("cursor", it)]));
    let body = html! {
        h1 { "Bulk " (text(&it, "action")) }
        p.ids { code data-copy { (text(&it, "id")) } }
        (forms((&api, &caller), &here, text(&it, "status")))
        div #live data-live data-poll {
            dl.facts {
                div { dt { "State" } dd { (text(&it, "status")) } }
                div { dt { "Progress" } dd { (jobs::progress(&it)) } }
                div { dt { "Filter" } dd { code { bdi { (parts::json_text(&it["filter"])) } } } }
                div { dt { "A second at most" } dd { (parts::json_text(&it["rate"])) } }
                div { dt { "Given" } dd { (parts::time_text(text(&it, "createdAt"))) } }
                @if it["endedAt"].is_string() {
                    div { dt { "Ended" } dd { (parts::time_text(text(&it, "endedAt"))) } }
                }
                div { dt { "By" } dd { bdi { (parts::json_text(&it["by"])) } } }
                @if it["reason"].is_string() {
                    div { dt { "Reason" } dd { bdi { (parts::json_text(&it["reason"])) } } }
                }
            }
            @if rows.is_empty() {
                (parts::empty("Nothing came of any instance yet.", ""))
            } @else {
                (parts::table("Results", &["Instance", "Result", "Why"], &rows))
            }
            (parts::next(next.as_deref(), (!is_first).then_some(here.as_str())))
        }
    };
    let command = format!("windlass bulk show {}", text(&it, "id"));
    let title = format!("Bulk {}", text(&it, "action"));
    Ok(Page { title, section: "bulk", command, body }.answer(&api, &caller))
}

fn row(it: &Json) -> Markup {
    html! {
        td { (parts::instance_link(text(it, "id"))) }
        td { (text(it, "result")) }
        td { @if it["detail"].is_string() { bdi { (parts::json_text(&it["detail"])) } } }
    }
}

/// What can be done with a job: the word, the button, and what it does.
type Order = (&'static str, &'static str, &'static str);

const PAUSE: Order = ("pause", "Pause", "Orders that are being given are given; no more are.");
const RESUME: Order = ("resume", "Resume", "It goes on where it stands.");
const CANCEL: Order = ("cancel", "End", "What it has done stays done; the rest is left as it is.");

fn possible(status: &str) -> &'static [Order] {
    match status {
        "running" => &[PAUSE, CANCEL],
        "paused" => &[RESUME, CANCEL],
        _ => &[],
    }
}

fn forms((api, caller): (&Api, &Caller), here: &str, status: &str) -> Markup {
    html! {
        div #orders data-live {
            @for (word, title, does) in possible(status) {
                details.order #{ "order-" (word) } {
                    summary.button { (title) "…" }
                    form method="post" action={ (here) "/" (word) } {
                        p { (does) }
                        (form::token(api, caller))
                        button type="submit" { (title) " this job" }
                    }
                }
            }
        }
    }
}

fn back(sent: Sent, id: &str) -> Result<(Sent, Response), ApiProblem> {
    sent.fields.clone().finish()?;
    Ok((sent, Redirect::to(&jobs::path(id)).into_response()))
}

/// Pauses one.
pub(super) async fn pause(
    api: State<Api>,
    Segments(id): Segments<String>,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let (sent, back) = back(sent, &id)?;
    bulk::pause(api, sent.caller, Segments(id), sent.by).await.map(|_| back)
}

/// Lets one go on.
pub(super) async fn resume(
    api: State<Api>,
    Segments(id): Segments<String>,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let (sent, back) = back(sent, &id)?;
    bulk::resume(api, sent.caller, Segments(id), sent.by).await.map(|_| back)
}

/// Ends one.
pub(super) async fn cancel(
    api: State<Api>,
    Segments(id): Segments<String>,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let (sent, back) = back(sent, &id)?;
    bulk::cancel(api, sent.caller, Segments(id), sent.by).await.map(|_| back)
}

#[cfg(test)]
mod tests {
    use super::possible;

    #[test]
    fn a_job_that_has_ended_takes_no_orders() {
        assert_eq!(possible("running").len(), 2);
        assert_eq!(possible("paused").first().map(|it| it.0), Some("resume"));
        assert!(possible("completed").is_empty() && possible("cancelled").is_empty());
    }
}
