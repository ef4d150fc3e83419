//! One schedule: when it is due, what became of the last times and why, and what can be done.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value as Json;

use super::form::Sent;
use super::json::{document, text};
use super::layout::Page;
use super::{form, parts, schedules};
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{Query, Segments};
use crate::accept::schedule;
use crate::accept::state::Api;
use crate::access::{Permission, Resource};

type Named = Segments<(String, String)>;

/// The page of a schedule.
pub(super) fn path(namespace: &str, name: &str) -> String {
    format!("/ui/schedules/{}/{}", parts::encoded(namespace), parts::encoded(name))
}

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    Segments((namespace, name)): Named,
    mut query: Query,
) -> Result<Response, ApiProblem> {
    let made_up = query.parsed("started", str::parse::<u64>)?;
    query.finish()?;
    let named = Segments((namespace.clone(), name.clone()));
    let it = document(schedule::show(State(api.clone()), named).await?)?;
    let of = Resource::Workflow(&namespace, &name);
    let may = caller.principal().may(Permission::ScheduleOperate, of);
    let body = html! {
        h1 {
            "Schedule of "
            (parts::workflow_link(&caller, &namespace, &name, ""))
            span.version { (text(&it, "version")) }
        }
        @if let Some(count) = made_up {
            p.done role="status" {
                (count) @if count == 1 { " due time was" } @else { " due times were" }
                " taken up. They start as there is room for them."
            }
        }
        @if may { (forms((&api, &caller), &it)) }
        div #live data-live data-poll { (facts(&it)) (past(&it)) }
    };
    let command =
        format!("windlass schedule show {}", parts::quoted(&format!("{namespace}/{name}")));
    let title = format!("Schedule of {namespace}/{name}");
    Ok(Page { title, section: "schedules", command, body }.answer(&api, &caller))
}

fn facts(it: &Json) -> Markup {
    let members = |name: &str| it[name].as_array().map_or(&[][..], Vec::as_slice);
    html! {
        dl.facts {
            div { dt { "When" } dd { (schedules::when(it)) } }
            div { dt { "While another one is open" } dd { (text(it, "overlap")) } }
            @if it["paused"].is_object() {
                div { dt { "Paused" } dd {
                    (parts::time_text(text(&it["paused"], "since")))
                    @if it["paused"]["reason"].is_string() {
                        ": " bdi { (parts::json_text(&it["paused"]["reason"])) }
                    }
                } }
            }
            div { dt { "Fired" } dd { (parts::json_text(&it["fired"])) } }
            div { dt { "Skipped" } dd { (parts::json_text(&it["skipped"])) } }
            div { dt { "Starts that wait" } dd { (parts::json_text(&it["waiting"])) } }
        }
        section aria-labelledby="next" {
            h2 #next { "Next" }
            @if members("next").is_empty() { p.hint { "Nothing is due by the clock." } }
            ul.plain { @for next in members("next") {
                li { (parts::time_text(text(next, "at"))) " (" (text(next, "trigger")) ")" }
            } }
        }
        @if !members("running").is_empty() {
            section aria-labelledby="running" {
                h2 #running { "Open instances" }
                ul.plain { @for id in members("running").iter().filter_map(Json::as_str) {
                    li { (parts::instance_link(id)) }
                } }
            }
        }
    }
}

/// What became of the last times.
fn past(it: &Json) -> Markup {
    let past = it["past"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Markup> = past.iter().map(line).collect();
    html! {
        section aria-labelledby="past" {
            h2 #past { "What became of the last ones" }
            @if rows.is_empty() {
                p.hint { "Nothing was due yet." }
            } @else {
                (parts::table("Past", &["Due", "By", "Outcome", "Why", "Started"], &rows))
            }
        }
    }
}

fn line(it: &Json) -> Markup {
    html! {
        td {
            (parts::time_text(text(it, "at")))
            @if it["until"].is_string() {
                " to " (parts::time_text(text(it, "until")))
                @if it["count"].is_u64() { " (" (parts::json_text(&it["count"])) ")" }
            }
        }
        td { (text(it, "trigger")) }
        td {
            @if it["instance"].is_string() {
                a href=(parts::instance_path(text(it, "instance"))) { (text(it, "outcome")) }
            } @else {
                (text(it, "outcome"))
            }
        }
        td { @if it["why"].is_string() { (why(text(it, "why"))) } }
        td { @if it["started"].is_string() { (parts::time_text(text(it, "started"))) } }
    }
}

/// Why one was skipped, in words.
pub(super) fn why(word: &str) -> &str {
    match word {
        "missed" => "missed: nobody was there to start it in its window",
        "paused" => "the schedule was paused",
        "suspended" => "starts were suspended",
        "overlap" => "another one was open",
        "superseded" => "a later one took its place",
        "quarantined" => "the process ended over its start again and again",
        "failed" => "its events could not be gathered",
        other => other,
    }
}

fn forms((api, caller): (&Api, &Caller), it: &Json) -> Markup {
    let path = path(text(it, "namespace"), text(it, "name"));
    let is_paused = it["paused"].is_object();
    let is_timed = it["everyMs"].is_u64() || it["cron"].is_string();
    html! {
        section #orders aria-label="Actions" {
            h2 { "Actions" }
            details.order #order-pause {
                summary.button { @if is_paused { "Pause for another reason…" } @else { "Pause…" } }
                form method="post" action={ (path) "/pause" } {
                    p { "Nothing starts by itself until it is resumed; what runs goes on." }
                    (form::token(api, caller))
                    (form::reason("pause", false))
                    button type="submit" { "Pause the schedule" }
                }
            }
            @if is_paused {
                (plain((api, caller), &path, &RESUME))
            }
            (plain((api, caller), &path, &TRIGGER))
            @if is_timed { (backfill_form((api, caller), &path)) }
        }
    }
}

/// An order that has no fields: its name, what the button says, and what it does.
type Plain = (&'static str, &'static str, &'static str);

const RESUME: Plain =
    ("resume", "Resume", "It starts again by itself; what was due meanwhile stays skipped.");
const TRIGGER: Plain = (
    "trigger",
    "Trigger now",
    "An instance starts at once, whatever else runs, and although it is paused.",
);

fn plain((api, caller): (&Api, &Caller), path: &str, (name, title, does): &Plain) -> Markup {
    html! {
        details.order #{ "order-" (name) } {
            summary.button { (title) "…" }
            form method="post" action={ (path) "/" (name) } {
                p { (does) }
                (form::token(api, caller))
                button type="submit" { (title) }
            }
        }
    }
}

fn backfill_form((api, caller): (&Api, &Caller), path: &str) -> Markup {
    html! {
        details.order #order-backfill {
            summary.button { "Backfill…" }
            form method="post" action={ (path) "/backfill" } {
                p {
                    "Starts what was due from one time to another and was not started, 1,000 at most. \
                     How many that are is shown first."
                }
                (form::token(api, caller))
                label for="backfill-from" { "From, such as 2026-01-01T00:00:00Z" }
                input #backfill-from type="text" name="from" required autocomplete="off";
                label for="backfill-to" { "To" }
                input #backfill-to type="text" name="to" required autocomplete="off";
                button type="submit" { "Show how many" }
            }
        }
    }
}

#[derive(Serialize)]
struct Pause {
    reason: Option<String>,
}

/// Pauses it.
pub(super) async fn pause(
    api: State<Api>,
    Segments((namespace, name)): Named,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let Sent { by, payload, mut fields, .. } = sent;
    let reason = fields.one("reason")?;
    fields.finish()?;
    let back = back(&namespace, &name);
    let payload = payload.replaced(&Pause { reason });
    schedule::pause(api, Segments((namespace, name)), by, payload).await.map(|_| back)
}

/// Lets it go on.
pub(super) async fn resume(
    api: State<Api>,
    Segments((namespace, name)): Named,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    sent.fields.finish()?;
    let back = back(&namespace, &name);
    schedule::resume(api, Segments((namespace, name)), sent.by).await.map(|_| back)
}

/// Starts one now, and shows it to whoever may see it.
pub(super) async fn trigger(
    api: State<Api>,
    Segments((namespace, name)): Named,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    sent.fields.finish()?;
    let of = Resource::Workflow(&namespace, &name);
    let sees = sent.caller.principal().may(Permission::InstanceRead, of);
    let back = back(&namespace, &name);
    let started = schedule::trigger(api, Segments((namespace, name)), sent.by).await?;
    let started = document(started)?;
    match sees {
        true => Ok(Redirect::to(&parts::instance_path(text(&started, "id"))).into_response()),
        false => Ok(back),
    }
}

fn back(namespace: &str, name: &str) -> Response {
    Redirect::to(&path(namespace, name)).into_response()
}

#[derive(Serialize)]
struct Backfill<'a> {
    from: &'a str,
    to: &'a str,
    preview: bool,
}

/// Shows how many due times there are; once that was confirmed, makes up for them.
pub(super) async fn backfill(
    api: State<Api>,
    Segments((namespace, name)): Named,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let Sent { caller, by, payload, mut fields } = sent;
    let (from, to) = (fields.one("from")?, fields.one("to")?);
    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
    let confirmed = fields.one("confirm")?.is_some_and(|it| it == "yes");
    fields.finish()?;
    let body = Backfill { from: &from, to: &to, preview: !confirmed };
    let payload = payload.replaced(&body);
    let named = Segments((namespace.clone(), name.clone()));
    let done = document(schedule::backfill(api.clone(), named, by, payload).await?)?;
    let count = done["started"].as_u64().unwrap_or_default();
    let here = path(&namespace, &name);
    if confirmed {
        let address = parts::address(&here, &[("started", &count.to_string())]);
        return Ok(Redirect::to(&address).into_response());
    }
    let body = html! {
        h1 { "Backfill of " bdi { (namespace) "/" (name) } }
        p {
            "Nothing is done yet. From " (parts::cut(&from)) " to " (parts::cut(&to)) ", "
            b { (count) } @if count == 1 { " due time was" } @else { " due times were" }
            " not started. They would start now, as the schedule has it for several at once."
        }
        form.sheet method="post" action={ (here) "/backfill" } {
            (form::token(&api, &caller))
            input type="hidden" name="confirm" value="yes";
            input type="hidden" name="from" value=(from);
            input type="hidden" name="to" value=(to);
            @if count > 0 { button type="submit" { "Start them" } }
            a href=(here) { "Leave it" }
        }
    };
    let workflow = parts::quoted(&format!("{namespace}/{name}"));
    let times = format!("--from {} --to {}", parts::quoted(&from), parts::quoted(&to));
    let command = format!("windlass schedule backfill {workflow} {times} --preview");
    let title = format!("Backfill of {namespace}/{name}");
    Ok(Page { title, section: "schedules", command, body }.answer(&api, &caller))
}
