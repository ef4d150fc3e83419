//! One workflow: its versions, a picture, the text, and a form to start it.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use windlass_proto::plan::Plan;

use super::layout::Page;
use super::{form, graph, parts, skeleton};
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{Query, Segments};
use crate::accept::state::Api;
use crate::access::{Permission, Resource};
use crate::coordinator::WorkflowRef;
use crate::journal::StoredDefinition;

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    Segments((namespace, name)): Segments<(String, String)>,
    mut query: Query,
) -> Result<Response, ApiProblem> {
    let version = query.one("version")?;
    query.finish()?;
    let mut all = api.coordinator.workflows().await?;
    all.retain(|(it, _)| *it.id.namespace == *namespace && *it.id.name == *name);
    all.sort_by_key(|(it, latest)| (!latest, std::cmp::Reverse(it.deployed_at)));
    let workflow = WorkflowRef { namespace, name, version };
    let text = api.coordinator.definition(&workflow).await?;
    let shown = all.iter().find(|(it, latest)| match &workflow.version {
        Some(version) if version != "latest" => *it.id.version == **version,
        _ => *latest,
    });
    let shown = shown.map(|(it, _)| it.clone());
    let plan = match &shown {
        Some(stored) => api.coordinator.plan_by_digest(stored.digest.clone()).await,
        None => None,
    };
    let WorkflowRef { namespace, name, .. } = &workflow;
    let filter = format!("workflow={namespace}/{name}");
    let body = html! {
        h1 { bdi { (namespace) "/" (name) } }
        @if let Some(title) = plan.as_ref().and_then(|it| it.title.as_ref()) {
            p { bdi { (parts::cut(title)) } }
        }
        p { a href=(parts::address("/ui/instances", &[("filter", &filter)])) { "Its instances" } }
        (versions(&all, shown.as_ref(), namespace, name))
        @if let Some(plan) = &plan { (start(&api, &caller, plan, shown.as_ref())) }
        div.two {
            div { @if let Some(plan) = &plan { (about(plan)) } }
            section aria-labelledby="source" {
                h2 #source { "Source" }
                pre.value.source tabindex="0" aria-label="Source" { code { (text) } }
            }
        }
    };
    let version = shown.as_ref().map(|it| format!(":{}", it.id.version)).unwrap_or_default();
    let command = format!("windlass workflow get {namespace}/{name}{version}");
    let title = format!("{namespace}/{name}");
    Ok(Page { title, section: "definitions", command, body }.answer(&api, &caller))
}

fn versions(
    all: &[(StoredDefinition, bool)],
    shown: Option<&StoredDefinition>,
    namespace: &str,
    name: &str,
) -> Markup {
    let path = parts::workflow_path(namespace, name);
    let row = |(stored, latest): &(StoredDefinition, bool)| {
        let id = &stored.id;
        let address = parts::address(&path, &[("version", &id.version)]);
        let is_shown = shown.is_some_and(|it| it.id == *id);
        html! {
            td { a href=(address) aria-current=[is_shown.then_some("true")] { (id.version) } }
            td {
                @if *latest { "starts take it" }
                @if let Some(at) = stored.retired_at { "retired " (parts::time(at)) }
            }
            td { (parts::time(stored.deployed_at)) }
            td.id { (stored.digest) }
        }
    };
    let rows: Vec<Markup> = all.iter().map(row).collect();
    html! {
        section aria-labelledby="versions" {
            h2 #versions { "Versions" }
            (parts::table("Versions", &["Version", "Standing", "Deployed", "Digest"], &rows))
        }
    }
}

/// What there is in it.
fn about(plan: &Plan) -> Markup {
    html! {
        @if let Some(picture) = graph::of_definition(plan) {
            section aria-labelledby="graph" {
                h2 #graph { "Graph" }
                (parts::picture("Graph", picture))
            }
        }
        @if !plan.secrets.is_empty() {
            section aria-labelledby="secrets" {
                h2 #secrets { "Secrets it may use" }
                ul.plain { @for secret in &plan.secrets { li { bdi { (secret) } } } }
            }
        }
    }
}

/// The form that starts it, for whoever may.
fn start(api: &Api, caller: &Caller, plan: &Plan, shown: Option<&StoredDefinition>) -> Markup {
    let id = &plan.id;
    let of = Resource::Workflow(&id.namespace, &id.name);
    let may = caller.principal().may(Permission::InstanceStart, of);
    let retired = shown.is_some_and(|it| it.retired_at.is_some());
    let (Some(pages), true, false) = (&api.pages, may, retired) else { return html! {} };
    html! {
        section aria-labelledby="start" {
            h2 #start { "Start" }
            details.order {
                summary.button { "Start version " (id.version) "…" }
                form method="post"
                    action={ (parts::workflow_path(&id.namespace, &id.name)) "/start" } {
                    input type="hidden" name=(form::TOKEN)
                        value=(pages.form_token(caller.principal()));
                    input type="hidden" name="key" value=(uuid::Uuid::new_v4());
                    input type="hidden" name="version" value=(id.version);
                    label for="input" { "Input, JSON" }
                    textarea #input name="input" rows="8" spellcheck="false" {
                        (skeleton::skeleton(&plan.definition))
                    }
                    label for="labels" { "Labels, such as customer=42 (blanks between them)" }
                    input #labels type="text" name="labels" autocomplete="off";
                    button type="submit" { "Start an instance" }
                }
            }
        }
    }
}
