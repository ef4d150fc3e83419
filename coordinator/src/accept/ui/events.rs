//! Events that a namespace keeps until somebody waits for them, and those that were in vain.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::Value as Json;

use super::json::{document, items, text};
use super::layout::Page;
use super::{form as forms, parts, send};
use crate::accept::access::Caller;
use crate::accept::early;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{Query, Segments};
use crate::accept::state::Api;
use crate::access::Permission;

/// The page of a namespace.
pub(super) fn path(namespace: &str) -> String {
    format!("/ui/events/{}", parts::encoded(namespace))
}

/// The namespaces there are.
pub(super) async fn choice(
    State(api): State<Api>,
    caller: Caller,
    mut query: Query,
) -> Result<Response, ApiProblem> {
    let chosen = query.one("namespace")?;
    query.finish()?;
    if let Some(namespace) = chosen {
        return Ok(Redirect::to(&path(&namespace)).into_response());
    }
    let visible = caller.visible(Permission::InstanceRead);
    let all = api.coordinator.workflows().await?;
    let known: BTreeSet<_> = all.iter().map(|(it, _)| it.id.namespace.clone()).collect();
    let body = html! {
        h1 { "Events" }
        p { "Events that came before anybody waited for them are kept for each namespace." }
        form.bar method="get" action="/ui/events" {
            label for="namespace" { "Namespace" }
            input #namespace type="text" name="namespace" required autocomplete="off";
            button type="submit" { "Show" }
        }
        ul.plain { @for namespace in known.iter().filter(|it| visible.has_namespace(it)) {
            li { a href=(path(namespace)) { bdi { (namespace) } } }
        } }
    };
    let command = "windlass event list NAMESPACE".to_owned();
    let title = "Events".to_owned();
    Ok(Page { title, section: "events", command, body }.answer(&api, &caller))
}

/// The page of a namespace.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    Segments(namespace): Segments<String>,
    mut query: Query,
) -> Result<Response, ApiProblem> {
    // What became of one that was sent from here.
    let sent = (query.parsed("consumed", count)?, query.parsed("kept", count)?);
    let dead = query.pairs().iter().any(|(name, value)| name == "state" && value == "dead");
    let state = if dead { "dead" } else { "kept" };
    let asked = Segments(namespace.clone());
    let found = document(early::list(State(api.clone()), asked, query).await?)?;
    let rows: Vec<Markup> = items(&found).iter().map(row).collect();
    let here = path(&namespace);
    let next = parts::address(&here, &[("state", state), ("cursor", text(&found, "next"))]);
    let body = html! {
        h1 { "Events of " bdi { (namespace) } }
        (told(sent))
        @if caller.principal().may_somewhere(Permission::EventPublish) {
            (form(&api, &caller, &namespace))
        }
        nav.tabs aria-label="Which events" {
            a href=(here) aria-current=[(!dead).then_some("page")] { "Kept" }
            a href=(parts::address(&here, &[("state", "dead")]))
                aria-current=[dead.then_some("page")] { "In vain" }
        }
        div #live data-live data-poll {
            @if rows.is_empty() {
                (parts::empty(
                    if dead { "No event was in vain." } else { "No event waits to be asked for." },
                    "windlass event send '{\"type\": \"com.example.paid\", \"data\": {\"order\": 4711}}'",
                ))
            } @else {
                @let headings = ["Type", "Source", "Id", "State", "Received", "Kept until", "For"];
                (parts::table("Events", &headings, &rows))
            }
            (parts::next(found["next"].is_string().then_some(next.as_str()), None))
        }
    };
    let flag = if dead { " --dead" } else { "" };
    let command = format!("windlass event list {}{flag}", parts::quoted(&namespace));
    let title = format!("Events of {namespace}");
    Ok(Page { title, section: "events", command, body }.answer(&api, &caller))
}

fn count(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "must be a number")
}

/// What became of an event.
fn told((consumed, kept): (Option<u64>, Option<u64>)) -> Markup {
    html! {
        @if let (Some(consumed), Some(kept)) = (consumed, kept) {
            p.done role="status" {
                "Sent: " (consumed) @if consumed == 1 { " instance" } @else { " instances" }
                " took it" @if kept > 0 { ", and it is kept for whoever waits for it later" } "."
            }
        }
    }
}

/// The form that sends one. Whoever listens for it gets it, in whatever namespace.
fn form(api: &Api, caller: &Caller, namespace: &str) -> Markup {
    html! {
        details.order #order-event {
            summary.button { "Send an event…" }
            form method="post" action="/ui/events" {
                p { "Whoever waits for it gets it, in all namespaces." }
                (forms::token(api, caller))
                input type="hidden" name="namespace" value=(namespace);
                (send::fields(""))
                button type="submit" { "Send it" }
            }
        }
    }
}

fn row(it: &Json) -> Markup {
    html! {
        td { bdi { (parts::json_text(&it["type"])) } }
        td { bdi { (parts::json_text(&it["source"])) } }
        td.id { bdi { (parts::json_text(&it["id"])) } }
        td { (text(it, "state")) }
        td { (parts::time_text(text(it, "receivedAt"))) }
        td { (parts::time_text(text(it, "keptUntil"))) }
        td { @if it["instance"].is_string() { (parts::instance_link(text(it, "instance"))) } }
    }
}
