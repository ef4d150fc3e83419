//! Definitions: what is deployed, a line for each workflow.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::Page;
use super::{deploy, parts};
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;
use crate::access::Permission;
use crate::journal::StoredDefinition;

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    mut query: Query,
) -> Result<Response, ApiProblem> {
    let namespace = query.one("namespace")?;
    query.finish()?;
    let visible = caller.visible(Permission::WorkflowRead);
    let mut all = api.coordinator.workflows().await?;
    all.retain(|(it, _)| {
        visible.has(&it.id.namespace, &it.id.name)
            && namespace.as_ref().is_none_or(|wanted| *wanted == *it.id.namespace)
    });
    // The version that starts take stands for the workflow; where none is, the last one.
    let mut shown: Vec<(StoredDefinition, usize)> = Vec::new();
    all.sort_by(|(a, first), (b, second)| {
        let of = |it: &StoredDefinition| (it.id.namespace.clone(), it.id.name.clone());
        of(a).cmp(&of(b)).then(second.cmp(first)).then(b.deployed_at.cmp(&a.deployed_at))
    });
    for (stored, _) in all {
        match shown.last_mut() {
            Some((last, versions))
                if last.id.namespace == stored.id.namespace && last.id.name == stored.id.name =>
            {
                *versions += 1;
            }
            _ => shown.push((stored, 1)),
        }
    }
    let rows: Vec<Markup> = shown.iter().map(|(it, versions)| row(it, *versions)).collect();
    let body = html! {
        h1 { "Definitions" }
        (deploy::form_of(&api, &caller))
        div #live data-live data-poll {
            @if rows.is_empty() {
                (parts::empty("Nothing is deployed yet.", "windlass deploy order.yaml"))
            } @else {
                @let headings = ["Workflow", "Version", "Versions", "Deployed", "Started"];
                (parts::table("Definitions", &headings, &rows))
            }
        }
    };
    let command = "windlass workflow list".to_owned();
    let title = "Definitions".to_owned();
    Ok(Page { title, section: "definitions", command, body }.answer(&api, &caller))
}

fn row(stored: &StoredDefinition, versions: usize) -> Markup {
    let id = &stored.id;
    let filter = format!("workflow={}/{}", id.namespace, id.name);
    html! {
        td {
            a href=(parts::workflow_path(&id.namespace, &id.name)) {
                bdi { (id.namespace) "/" (id.name) }
            }
        }
        td { (id.version) @if stored.retired_at.is_some() { " (retired)" } }
        td.number { (versions) }
        td { (parts::time(stored.deployed_at)) }
        td { a href=(parts::address("/ui/instances", &[("filter", &filter)])) { "Instances" } }
    }
}
