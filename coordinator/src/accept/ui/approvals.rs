//! Approvals: the questions that workflows ask people, and the page on which one is decided.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::form::Sent;
use super::json::{document, items, text};
use super::layout::Page;
use super::{form, parts, skeleton};
use crate::accept::access::Caller;
use crate::accept::approval;
use crate::accept::operator::By;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{Query, Segments, instance_id};
use crate::accept::state::Api;
use crate::access::{Permission, Resource};
use crate::approval::ApprovalId;

const HERE: &str = "/ui/approvals";

/// The page of a question.
pub(super) fn path(id: ApprovalId) -> String {
    format!("{}/approvals/{}", parts::instance_path(&id.instance.to_string()), id.number)
}

/// The list.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    by: By,
    query: Query,
) -> Result<Response, ApiProblem> {
    let of = |name: &str| {
        let found = query.pairs().iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let (namespace, name, mine) = (of("namespace"), of("name"), of("mine"));
    let listed = approval::list(State(api.clone()), caller.clone(), by, query).await?;
    let found = document(listed)?;
    let rows: Vec<Markup> = items(&found).iter().map(|it| row(it, &caller)).collect();
    let same = [("namespace", namespace.as_str()), ("name", &name)];
    let with = |more: &[(&str, &str)]| parts::address(HERE, &[&same[..], more].concat());
    let next = with(&[("mine", &mine), ("cursor", text(&found, "next"))]);
    let is_mine = mine == "true";
    let body = html! {
        h1 { "Approvals" }
        (bar(&namespace, &name, &mine))
        nav.tabs aria-label="Whose approvals" {
            a href=(with(&[])) aria-current=[(!is_mine).then_some("page")] { "All that are open" }
            a href=(with(&[("mine", "true")])) aria-current=[is_mine.then_some("page")] {
                "Those that I may decide"
            }
        }
        div #live data-live data-poll {
            @if rows.is_empty() {
                (parts::empty(
                    "Nothing waits for a decision. A workflow asks people by `call: windlass.approval`; \
                     see docs/approvals.md.",
                    "windlass approval list",
                ))
            } @else {
                @let headings = ["Question", "Workflow", "For", "Since", "Until", "Instance"];
                (parts::table("Approvals", &headings, &rows))
            }
            (parts::next(found["next"].is_string().then_some(next.as_str()), None))
        }
    };
    let flags = same.iter().filter(|it| !it.1.is_empty());
    let flags: String = flags.map(|(it, of)| format!(" --{it} {}", parts::quoted(of))).collect();
    let command = format!("windlass approval list{flags}{}", if is_mine { " --mine" } else { "" });
    let title = "Approvals".to_owned();
    Ok(Page { title, section: "approvals", command, body }.answer(&api, &caller))
}

fn bar(namespace: &str, name: &str, mine: &str) -> Markup {
    html! {
        form.bar method="get" action=(HERE) role="search" {
            div.field {
                label for="filter" { "Namespace" }
                input #filter type="text" name="namespace" value=(namespace) autocomplete="off";
            }
            div.field {
                label for="name" { "Workflow" }
                input #name type="text" name="name" value=(name) autocomplete="off";
            }
            @if !mine.is_empty() { input type="hidden" name="mine" value=(mine); }
            button type="submit" { "Show" }
        }
    }
}

/// An instance, which leads to its page for whoever may read that.
fn instance(it: &Json, caller: &Caller) -> Markup {
    let id = text(it, "instance");
    let (namespace, name) = (text(&it["workflow"], "namespace"), text(&it["workflow"], "name"));
    let of = Resource::Workflow(namespace, name);
    match caller.principal().may(Permission::InstanceRead, of) {
        true => parts::instance_link(id),
        false => html! { span.id { (id) } },
    }
}

fn workflow(it: &Json, caller: &Caller) -> Markup {
    let of = &it["workflow"];
    let version = text(of, "version");
    html! {
        (parts::workflow_link(caller, text(of, "namespace"), text(of, "name"), version))
        span.version { (version) }
    }
}

/// Who may decide.
fn assignees(it: &Json) -> Markup {
    let all = |name: &str| it[name].as_array().into_iter().flatten().filter_map(Json::as_str);
    let none = all("roles").next().is_none() && all("users").next().is_none();
    html! {
        @if none { "whoever may decide" }
        @for role in all("roles") { div { "role " bdi { (parts::cut(role)) } } }
        @for user in all("users") { div { bdi { (parts::cut(user)) } } }
    }
}

fn row(it: &Json, caller: &Caller) -> Markup {
    let path = format!(
        "{}/approvals/{}",
        parts::instance_path(text(it, "instance")),
        it["number"].as_u64().unwrap_or_default()
    );
    html! {
        td {
            a href=(path) { bdi { (parts::json_text(&it["title"])) } }
            @if it["yours"] == true { " " span.chip { "yours to decide" } }
        }
        td { (workflow(it, caller)) }
        td { (assignees(it)) }
        td { (parts::time_text(text(it, "since"))) }
        td { @if it["until"].is_string() { (parts::time_text(text(it, "until"))) } }
        td { (instance(it, caller)) }
    }
}

/// The page of one.
pub(super) async fn one(
    State(api): State<Api>,
    caller: Caller,
    by: By,
    Segments((id, number)): Segments<(String, String)>,
    query: Query,
) -> Result<Response, ApiProblem> {
    query.finish()?;
    let named = ApprovalId {
        instance: instance_id(&id)?,
        number: number.parse().map_err(|_| ApiProblem::parameter("number", "must be a number"))?,
    };
    let segments = Segments((id, number));
    let shown = approval::show(State(api.clone()), by, segments).await?;
    let form = api.coordinator.approval(named).await?.form;
    let skeleton = form.map(|(schema, _)| skeleton::of_schema(&schema));
    let it = document(shown)?;
    let body = html! {
        h1 { bdi { (parts::json_text(&it["title"])) } }
        @if it["description"].is_string() { p.asked { bdi { (text(&it, "description")) } } }
        dl.facts {
            div { dt { "Workflow" } dd { (workflow(&it, &caller)) } }
            div { dt { "Instance" } dd { (instance(&it, &caller)) } }
            div { dt { "Task" } dd.path { (parts::json_text(&it["task"])) } }
            div { dt { "For" } dd { (assignees(&it)) } }
            div { dt { "Since" } dd { (parts::time_text(text(&it, "since"))) } }
            @if it["until"].is_string() {
                div { dt { "Until" } dd { (parts::time_text(text(&it, "until"))) } }
            }
        }
        @if it["yours"] == true {
            (decisions((&api, &caller), named, skeleton.as_deref(), &it["form"]))
        } @else {
            p.hint { "It is for others: you may read it, and not decide." }
        }
    };
    let command = format!("windlass approval show {}", text(&it, "id"));
    let title = parts::json_text(&it["title"]);
    Ok(Page { title, section: "approvals", command, body }.answer(&api, &caller))
}

/// The forms by which it is decided.
fn decisions(
    (api, caller): (&Api, &Caller),
    id: ApprovalId,
    skeleton: Option<&str>,
    schema: &Json,
) -> Markup {
    let path = path(id);
    html! {
        div.two {
            section aria-labelledby="approve" {
                h2 #approve { "Approve" }
                form.sheet method="post" action={ (path) "/approve" } {
                    (form::token(api, caller))
                    @if let Some(skeleton) = skeleton {
                        (fields(schema))
                        label for="data" { "What is asked for, JSON" }
                        textarea #data name="data" rows="8" spellcheck="false" { (skeleton) }
                    }
                    (form::reason("approve", false))
                    button type="submit" { "Approve" }
                }
            }
            section aria-labelledby="reject" {
                h2 #reject { "Reject" }
                form.sheet method="post" action={ (path) "/reject" } {
                    (form::token(api, caller))
                    (form::reason("reject", true))
                    button.grave type="submit" { "Reject" }
                }
            }
        }
        @if !schema.is_null() { details { summary { "The form's JSON Schema" }
            (parts::value("Schema", schema))
        } }
    }
}

/// What the members of a form are for, as its schema says.
fn fields(schema: &Json) -> Markup {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let members = schema["properties"].as_object();
    let members = members.into_iter().flatten().take(windlass_proto::limits::UI_FORM_MEMBERS);
    html! {
        dl.facts { @for (name, it) in members {
            div {
                dt {
                    bdi { (parts::cut(name)) }
                    @if required.contains(&name.as_str()) { " (needed)" }
                }
                dd {
                    @let told = ["title", "description"].into_iter().find(|of| it[*of].is_string());
                    @match told {
                        Some(of) => bdi { (parts::json_text(&it[of])) },
                        None => { (parts::json_text(&it["type"])) },
                    }
                }
            }
        } }
    }
}

#[derive(Serialize)]
struct Approves {
    data: Box<RawValue>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Rejects {
    reason: String,
}

/// Approves.
pub(super) async fn approve(
    api: State<Api>,
    segments: Segments<(String, String)>,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let Sent { caller, by, payload, mut fields } = sent;
    let (data, reason) = (fields.one("data")?, fields.one("reason")?);
    fields.finish()?;
    let body = Approves { data: form::json("what is asked for", data, "null")?, reason };
    let after = after(&api, &caller, &segments).await;
    let decided = approval::approve(api, caller, by, segments, payload.replaced(&body)).await;
    decided.map(|_| after)
}

/// Rejects.
pub(super) async fn reject(
    api: State<Api>,
    segments: Segments<(String, String)>,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let Sent { caller, by, payload, mut fields } = sent;
    let reason = fields.one("reason")?.unwrap_or_default();
    fields.finish()?;
    let after = after(&api, &caller, &segments).await;
    let payload = payload.replaced(&Rejects { reason });
    approval::reject(api, caller, by, segments, payload).await.map(|_| after)
}

/// Where somebody is led who has decided: to the instance, if they may see it.
async fn after(
    api: &Api,
    caller: &Caller,
    Segments((id, _)): &Segments<(String, String)>,
) -> Response {
    let instance = instance_id(id).ok();
    let of = match instance {
        Some(instance) => api.coordinator.workflow_of(instance).await.ok().flatten(),
        None => None,
    };
    let may = of.is_some_and(|it| {
        let of = Resource::Workflow(&it.namespace, &it.name);
        caller.principal().may(Permission::InstanceRead, of)
    });
    match may {
        true => Redirect::to(&parts::instance_path(id)).into_response(),
        false => Redirect::to(HERE).into_response(),
    }
}
