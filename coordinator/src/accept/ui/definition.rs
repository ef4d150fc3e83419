//! One workflow: its versions, a picture, the text, and a form to start it.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use windlass_proto::plan::Plan;

use super::layout::Page;
use super::{form, graph, parts, skeleton, version};
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
    let permitted = plan.as_ref().map(|it| permitted(&api, it)).unwrap_or_default();
    let WorkflowRef { namespace, name, .. } = &workflow;
    let filter = format!("workflow={namespace}/{name}");
    let body = html! {
        h1 { bdi { (namespace) "/" (name) } }
        @if let Some(title) = plan.as_ref().and_then(|it| it.title.as_ref()) {
            p { bdi { (parts::cut(title)) } }
        }
        p { a href=(parts::address("/ui/instances", &[("filter", &filter)])) { "Its instances" } }
        (versions((&api, &caller), &all, shown.as_ref()))
        @if let Some(plan) = &plan { (start(&api, &caller, plan, shown.as_ref())) }
        div.two {
            div { @if let Some(plan) = &plan { (about(plan, &permitted)) } }
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
    (api, caller): (&Api, &Caller),
    all: &[(StoredDefinition, bool)],
    shown: Option<&StoredDefinition>,
) -> Markup {
    let row = |(at, (stored, latest)): (usize, &(StoredDefinition, bool))| {
        let id = &stored.id;
        let path = parts::workflow_path(&id.namespace, &id.name);
        let before = all.get(at + 1).map(|(it, _)| &*it.id.version);
        let address = parts::address(&path, &[("version", &id.version)]);
        let is_shown = shown.is_some_and(|it| it.id == *id);
        html! {
            td { a href=(address) aria-current=[is_shown.then_some("true")] { (id.version) } }
            td {
                @if *latest { "starts take it" }
                @if let Some(at) = stored.retired_at { "retired " (parts::time(at)) }
            }
            td { (parts::time(stored.deployed_at)) }
            td {
                @if let Some(before) = before {
                    @let pair = [("from", before), ("to", &*id.version)];
                    a href=(parts::address(&format!("{path}/diff"), &pair)) { "since " (before) }
                }
            }
            td.id { (stored.digest) }
            td { (version::standing((api, caller), stored)) }
        }
    };
    let rows: Vec<Markup> = all.iter().enumerate().map(row).collect();
    let headings = ["Version", "Standing", "Deployed", "Changes", "Digest", "Actions"];
    html! {
        section aria-labelledby="versions" {
            h2 #versions { "Versions" }
            (parts::table("Versions", &headings, &rows))
        }
    }
}

/// The secrets that it declares, and whether the policy lets it have each.
fn permitted(api: &Api, plan: &Plan) -> Vec<(String, bool)> {
    let policy = api.coordinator.secret_policy();
    let environment = api.coordinator.environment();
    let may = |it| policy.permits(&plan.id, environment, it);
    plan.secrets.iter().map(|it| (it.to_string(), may(it))).collect()
}

/// What there is in it.
fn about(plan: &Plan, secrets: &[(String, bool)]) -> Markup {
    html! {
        @if let Some(picture) = graph::of_definition(plan) {
            section aria-labelledby="graph" {
                h2 #graph { "Graph" }
                (parts::picture("Graph", picture))
            }
        }
        @if !secrets.is_empty() {
            section aria-labelledby="secrets" {
                h2 #secrets { "Secrets it may use" }
                ul.plain { @for (secret, may) in secrets {
                    li { bdi { (secret) } @if !may { " " b.wrong { "not by the policy" } } }
                } }
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
