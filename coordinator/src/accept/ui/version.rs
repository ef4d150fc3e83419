//! Versions of a workflow: how they differ, and which of them can be started.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::form::Sent;
use super::layout::Page;
use super::{form, parts};
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{Query, Segments};
use crate::accept::state::Api;
use crate::accept::workflow;
use crate::access::{Permission, Resource};
use crate::journal::StoredDefinition;

type Named = Segments<(String, String)>;

/// How one version differs from another.
pub(super) async fn diff(
    State(api): State<Api>,
    caller: Caller,
    Segments((namespace, name)): Named,
    mut query: Query,
) -> Result<Response, ApiProblem> {
    let from = query.one("from")?.ok_or_else(|| ApiProblem::parameter("from", "name a version"))?;
    let to = query.one("to")?.unwrap_or_else(|| "latest".to_owned());
    query.finish()?;
    let parameters = parts::address("", &[("to", &to)]);
    let asked = Query::parse(parameters.trim_start_matches('?'))?;
    let named = Segments((namespace.clone(), name.clone(), from.clone()));
    let difference = workflow::diff(State(api.clone()), named, asked).await?;
    let path = parts::workflow_path(&namespace, &name);
    let body = html! {
        h1 { a href=(path) { bdi { (namespace) "/" (name) } } }
        p { "From " b { (parts::cut(&from)) } " to " b { (parts::cut(&to)) } ":" }
        @if difference.trim().is_empty() {
            p.hint { "They are the same text." }
        } @else {
            (lines(&difference))
        }
    };
    let of = |version: &str| parts::quoted(&format!("{namespace}/{name}:{version}"));
    let command = format!("windlass workflow diff {} {}", of(&from), of(&to));
    let title = format!("{namespace}/{name} {from} and {to}");
    Ok(Page { title, section: "definitions", command, body }.answer(&api, &caller))
}

/// A difference in the unified format.
pub(super) fn lines(difference: &str) -> Markup {
    html! {
        pre.value.source tabindex="0" aria-label="Lines that differ" {
            @for line in difference.lines() {
                @match line.chars().next() {
                    Some('+') => span.added { (line) },
                    Some('-') => span.removed { (line) },
                    _ => { (line) },
                }
                "\n"
            }
        }
    }
}

/// The buttons that retire a version or restore it, for whoever may.
pub(super) fn standing((api, caller): (&Api, &Caller), stored: &StoredDefinition) -> Markup {
    let id = &stored.id;
    let of = Resource::Workflow(&id.namespace, &id.name);
    if !caller.principal().may(Permission::WorkflowRetire, of) {
        return html! {};
    }
    let path = parts::workflow_path(&id.namespace, &id.name);
    let (action, title, does) = match stored.retired_at {
        Some(_) => ("restore", "Restore", "It can be started again."),
        None => (
            "retire",
            "Retire",
            "Nothing new is started of it; what runs goes on. It can be restored.",
        ),
    };
    html! {
        details.order {
            summary.button { (title) "…" }
            form method="post" action={ (path) "/" (action) } {
                p { (does) }
                (form::token(api, caller))
                input type="hidden" name="version" value=(id.version);
                button type="submit" { (title) " version " (id.version) }
            }
        }
    }
}

/// Retires a version.
pub(super) async fn retire(api: State<Api>, of: Named, sent: Sent) -> Result<Response, ApiProblem> {
    let (by, named, back) = named(of, sent)?;
    workflow::retire(api, named, by).await.map(|_| back)
}

/// Restores a version.
pub(super) async fn restore(
    api: State<Api>,
    of: Named,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let (by, named, back) = named(of, sent)?;
    workflow::restore(api, named, by).await.map(|_| back)
}

type Version = (crate::accept::operator::By, Segments<(String, String, String)>, Response);

fn named(Segments((namespace, name)): Named, sent: Sent) -> Result<Version, ApiProblem> {
    let Sent { by, mut fields, .. } = sent;
    let version = fields.one("version")?;
    fields.finish()?;
    let version = version.ok_or_else(|| ApiProblem::parameter("version", "name a version"))?;
    let back = Redirect::to(&parts::workflow_path(&namespace, &name)).into_response();
    Ok((by, Segments((namespace, name, version)), back))
}
