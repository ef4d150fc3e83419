//! What is around every page: the head, where one can go, the command that tells the same.

use axum::extract::State;
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{DOCTYPE, Markup, html};
use serde_json::Value as Json;

use super::{assets, parts};
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;
use crate::access::{Method, Permission, Principal};

/// A page, without what is around all of them.
pub(super) struct Page {
    /// What it is called.
    pub(super) title: String,
    /// Which of [`SECTIONS`] it belongs to.
    pub(super) section: &'static str,
    /// The command that shows the same.
    pub(super) command: String,
    /// What it shows.
    pub(super) body: Markup,
}

/// Where one can go, and the permission without which there is nothing to see.
const SECTIONS: [(&str, &str, Permission); 9] = [
    ("instances", "Instances", Permission::InstanceRead),
    ("approvals", "Approvals", Permission::ApprovalDecide),
    ("definitions", "Definitions", Permission::WorkflowRead),
    ("schedules", "Schedules", Permission::ScheduleRead),
    ("workers", "Workers", Permission::WorkerRead),
    ("events", "Events", Permission::InstanceRead),
    ("bulk", "Bulk jobs", Permission::InstanceOperate),
    ("audit", "Audit", Permission::AuditRead),
    ("secrets", "Secrets", Permission::SecretRead),
];

/// Those that somebody may see.
fn seen(principal: &Principal) -> impl Iterator<Item = (&'static str, &'static str)> {
    let seen = SECTIONS.iter().filter(|(name, _, permission)| match *name {
        // These are of the whole server.
        "workers" | "secrets" => principal.may_everywhere(*permission),
        _ => principal.may_somewhere(*permission),
    });
    seen.map(|(name, title, _)| (*name, *title))
}

/// Leads to the first page that there is for whoever asks.
pub(super) async fn home(
    State(api): State<Api>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiProblem> {
    query.finish()?;
    if let Some((name, _)) = seen(caller.principal()).next() {
        return Ok(Redirect::to(&format!("/ui/{name}")).into_response());
    }
    let body = html! {
        h1 { "No pages" }
        p { "No page is for what you may do here; the command line and the API are." }
    };
    let (title, command) = ("No pages".to_owned(), "windlass auth whoami".to_owned());
    Ok(Page { title, section: "", command, body }.answer(&api, &caller))
}

impl Page {
    /// The page as it is sent to `caller`.
    pub(super) fn answer(self, api: &Api, caller: &Caller) -> Response {
        let principal = caller.principal();
        let around = html! {
            nav aria-label="Pages" {
                @for (name, title) in seen(principal) {
                    a href={ "/ui/" (name) }
                        aria-current=[(name == self.section).then_some("page")] { (title) }
                }
            }
            @if principal.method != Method::None {
                form.who method="post" action="/ui/sign-out" {
                    a href="/ui/who" { bdi { (principal.subject) } }
                    @if api.access.is_some() { button.quiet type="submit" { "Sign out" } }
                }
            }
        };
        Html(self.whole(around).into_string()).into_response()
    }

    /// The page for whoever is nobody yet.
    pub(super) fn plain(self) -> Markup {
        self.whole(html! {})
    }

    fn whole(self, around: Markup) -> Markup {
        let Self { title, command, body, .. } = self;
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · Windlass" }
                    link rel="icon" href=(assets::icon()) type="image/svg+xml";
                    link rel="stylesheet" href=(assets::style());
                    script type="module" src=(assets::script()) {}
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        a.brand href="/ui" { "Windlass" }
                        (around)
                    }
                    main #main { (body) }
                    @if !command.is_empty() {
                        footer {
                            span { "The same at a terminal:" }
                            (parts::command(&command))
                        }
                    }
                }
            }
        }
    }
}

/// A page about what was not done; one that signs out, for whoever has signed in.
pub(super) fn problem(problem: &Json, is_signed_in: bool) -> Markup {
    let text = |name: &str| problem[name].as_str().unwrap_or_default();
    let code = text("code");
    let title = if text("title").is_empty() { "Not done" } else { text("title") };
    let body = html! {
        h1 { (title) }
        p { (text("detail")) }
        @if let Some(cause) = problem["cause"].as_object() {
            p { (parts::json_text(&Json::Object(cause.clone()))) }
        }
        p { a href="/ui" { "All pages" } }
        @if !code.is_empty() {
            p.hint { "What it means and what to do: " (parts::command(&explained(code))) }
        }
    };
    let around = html! {
        @if is_signed_in {
            form.who method="post" action="/ui/sign-out" {
                button.quiet type="submit" { "Sign out" }
            }
        }
    };
    Page { title: title.to_owned(), section: "", command: String::new(), body }.whole(around)
}

/// The command that explains a code.
fn explained(code: &str) -> String {
    format!("windlass explain {code}")
}
