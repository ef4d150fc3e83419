//! One instance: what it is, what it waits for, what it did, and what can be done about it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use windlass_proto::id::InstanceId;
use windlass_proto::limits::{API_PAGE, UI_CHILDREN, UI_FACTS, UI_FEW_FACTS, UI_HISTORY_PAGES};
use windlass_proto::plan::{Plan, TaskIx};
use windlass_proto::time::Timestamp;

use super::layout::Page;
use super::visits::Run;
use super::{approvals, graph, orders, parts, send, timeline};
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{OfInstance, Query};
use crate::accept::state::Api;
use crate::access::{Permission, Resource};
use crate::clock;
use crate::coordinator::{CoordinatorError, InstanceView, OpenTask};
use crate::journal::{Filter, Found};

/// All that the page tells of an instance.
struct Told {
    view: InstanceView,
    past: Past,
    /// None for who may not read it, too.
    plan: Option<Arc<Plan>>,
    children: Found,
    now: Timestamp,
    /// Whether its reader may see the audit trail, decide what it asks people, and reset it.
    audits: bool,
    decides: bool,
    resets: bool,
}

/// What the last facts of an instance tell.
#[derive(Default)]
struct Past {
    run: Run,
    /// The first one, and the first one after them that is not told of.
    from: u64,
    left: Option<u64>,
}

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    OfInstance(id): OfInstance,
    mut query: Query,
) -> Result<Response, ApiProblem> {
    // Where a reset shall begin, as the timeline leads here.
    let to = query.one("to")?;
    query.finish()?;
    let view = match api.coordinator.show(id).await {
        Err(CoordinatorError::UnknownInstance(_)) => return archived(&api, &caller, id).await,
        shown => shown?,
    };
    let told = told(&api, &caller, view).await?;
    let head = &told.view.head;
    let path = parts::instance_path(&id.to_string());
    let ended = head.ended_at.is_some();
    let watch = format!("{path}/watch?from={}", told.view.sequence);
    let known = orders::Known { listens: awaited(&told), to: to.as_deref() };
    let body = html! {
        div #head data-live data-watch=[(!ended).then_some(watch)] {
            (header(&told, &caller))
            @if let Some(error) = &head.error { (fault(error)) }
        }
        (orders::forms((&api, &caller), &told.view, &known))
        div #live data-live {
            (pending(&told))
            (did(&told, &path))
        }
        div.two {
            div #picture data-live { (picture(&told)) }
            div #values data-live { (values(&told)) (related(&told)) }
        }
    };
    let command = format!("windlass show {id}");
    let title = format!("{} {id}", head.workflow.name);
    Ok(Page { title, section: "instances", command, body }.answer(&api, &caller))
}

async fn told(api: &Api, caller: &Caller, mut view: InstanceView) -> Result<Told, ApiProblem> {
    let coordinator = &api.coordinator;
    coordinator.locate(&mut view).await;
    let past = past(api, &view).await?;
    let workflow = &view.head.workflow;
    let plan = match parts::may_read(caller, &workflow.namespace, &workflow.name) {
        true => coordinator.plan_by_digest(view.head.digest.clone()).await,
        false => None,
    };
    let visible = caller.visible(Permission::InstanceRead);
    let filter = Filter { parent: Some(view.id), visible, ..Filter::default() };
    let children = coordinator.search(filter, None, UI_CHILDREN).await?;
    let principal = caller.principal();
    let audits = principal.may_somewhere(Permission::AuditRead);
    let of = Resource::Workflow(&view.head.workflow.namespace, &view.head.workflow.name);
    let decides = principal.may(Permission::ApprovalDecide, of);
    let resets = view.head.ended_at.is_some() && principal.may(Permission::InstanceOperate, of);
    Ok(Told { view, past, plan, children, now: clock::now(), audits, decides, resets })
}

/// Reads the last facts: a page of them at a time is in memory. Where their values are too large
/// for all of them, fewer are told of.
async fn past(api: &Api, view: &InstanceView) -> Result<Past, ApiProblem> {
    let mut past = Past::default();
    for facts in [UI_FACTS, UI_FEW_FACTS] {
        let from = view.sequence.saturating_sub(facts);
        past = Past { run: Run::default(), from, left: Some(from) };
        for _ in 0..UI_HISTORY_PAGES {
            let Some(next) = past.left else { break };
            let page = api.coordinator.history(view.id, next, API_PAGE).await?;
            page.entries.iter().for_each(|it| past.run.take(it));
            past.left = page.next.filter(|it| *it < view.sequence);
        }
        if past.left.is_none() {
            break;
        }
    }
    Ok(past)
}

/// One that was removed, as it was archived.
async fn archived(api: &Api, caller: &Caller, id: InstanceId) -> Result<Response, ApiProblem> {
    let archived = api.coordinator.archived(id).await?;
    let archived = archived.ok_or(CoordinatorError::UnknownInstance(id))?;
    let value: serde_json::Value = serde_json::from_str(&archived.text).unwrap_or_default();
    let body = html! {
        h1 { bdi { (archived.namespace) "/" (archived.name) } }
        p.ids { (id) }
        p { "It was removed; this is what the archive has of it." }
        (parts::value("Instance", &value))
    };
    let command = format!("windlass show {id}");
    let title = format!("{} {id}", archived.name);
    Ok(Page { title, section: "instances", command, body }.answer(api, caller))
}

/// What every page of an instance begins with.
fn header(told: &Told, caller: &Caller) -> Markup {
    let Told { view, now, .. } = told;
    let head = &view.head;
    let took = head.ended_at.unwrap_or(*now).since(head.started_at);
    html! {
        (title(caller, view, "overview"))
        dl.facts {
            div { dt { "Started" } dd { (parts::time(head.started_at)) } }
            @if let Some(ended) = head.ended_at { div { dt { "Ended" } dd { (parts::time(ended)) } } }
            div {
                dt { @if head.ended_at.is_some() { "Took" } @else { "So far" } }
                dd { (parts::duration(took)) }
            }
            div { dt { "Priority" } dd { (view.priority) } }
            div { dt { "Trace" } dd.id data-copy { (view.trace) } }
            @if !head.labels.is_empty() {
                div { dt { "Labels" } dd { @for (name, value) in &head.labels {
                    @let label = format!("{name}={value}");
                    a.chip href=(parts::address("/ui/instances", &[("label", &label)])) {
                        bdi { (parts::cut(&label)) }
                    }
                } } }
            }
        }
    }
}

/// The title of a page of an instance, and its other pages.
pub(super) fn title(caller: &Caller, view: &InstanceView, tab: &str) -> Markup {
    let workflow = &view.head.workflow;
    let path = parts::instance_path(&view.id.to_string());
    let audits = caller.principal().may_somewhere(Permission::AuditRead);
    // Orders are told of with their namespace alone.
    let trail = parts::address("/ui/audit", &[("namespace", &workflow.namespace)]);
    html! {
        h1 {
            (parts::status(view.head.status.word()))
            (parts::workflow_link(
                caller, &workflow.namespace, &workflow.name, &workflow.version
            ))
            span.version { (workflow.version) }
        }
        p.ids { code data-copy { (view.id) } }
        nav.tabs aria-label="Pages of this instance" {
            a href=(path) aria-current=[(tab == "overview").then_some("page")] { "Overview" }
            a href={ (path) "/history" } aria-current=[(tab == "history").then_some("page")] {
                "History"
            }
            @if audits { a href=(trail) { "Audit of " bdi { (workflow.namespace) } } }
        }
    }
}

fn fault(error: &windlass_proto::problem::Problem) -> Markup {
    html! {
        section.fault aria-label="Error" {
            h2 { (error.title.as_deref().unwrap_or("Error")) }
            @if let Some(detail) = &error.detail { p { bdi { (parts::cut(detail)) } } }
            dl.facts {
                div { dt { "Type" } dd.path { (parts::cut(&error.kind)) } }
                div { dt { "Status" } dd { (error.status) } }
                @if let Some(task) = &error.instance { div { dt { "Task" } dd.path { (task) } } }
            }
        }
    }
}

/// What it waits for, and since when.
fn pending(told: &Told) -> Markup {
    let view = &told.view;
    if view.open.is_empty() && view.limits.is_empty() {
        return html! {};
    }
    let rows: Vec<Markup> = view.open.iter().map(|it| open(told, it)).collect();
    let headings = ["Task", "What it does", "Since", "Goes on", "Attempt", "Last error"];
    html! {
        section aria-labelledby="pending" {
            h2 #pending { "Pending now" }
            @if !rows.is_empty() { (parts::table("Open tasks", &headings, &rows)) }
            @for share in &view.limits {
                p.limit {
                    "Limit " bdi { b { (parts::cut(&share.limit)) } } ": "
                    @if share.waits {
                        "waits since " (parts::time(share.since))
                        @if let Some(place) = share.place { ", number " (place) " in line" }
                        ", " (share.holding) " have a share"
                    } @else {
                        "has a share since " (parts::time(share.since))
                    }
                }
            }
        }
    }
}

fn open(told: &Told, task: &OpenTask) -> Markup {
    html! {
        td { bdi { (parts::cut(&task.name)) } div.path { (task.reference) } }
        td {
            bdi { (parts::cut(&task.state)) }
            @if let Some(events) = listens(told, task.index) {
                div { code { bdi { (events) } } }
            }
            @if let Some(approval) = task.approval.as_ref().filter(|_| told.decides) {
                div { a href=(approvals::path(approval.id)) { "Decide" } }
            }
        }
        td { (parts::time(task.since)) " (" (parts::duration(told.now.since(task.since))) ")" }
        td {
            @if let Some(until) = task.until {
                (parts::time(until)) " (in " (parts::duration(until.since(told.now))) ")"
            }
        }
        td.number { (task.attempt) }
        td {
            @if let Some(error) = told.past.run.last_error(&task.reference, task.index) {
                bdi { (parts::cut(error)) }
            }
        }
    }
}

/// How much of its history is told, where that is not all.
fn told_of(told: &Told) -> Markup {
    let Past { from, left, .. } = told.past;
    let facts = told.view.sequence.saturating_sub(from);
    html! {
        @if from > 0 { p.hint { "Of the last " (facts) " facts of its history." } }
        @if let Some(left) = left {
            p.hint {
                "Its values are large: what came from fact " (left) " on is in its history alone."
            }
        }
    }
}

/// Its timeline.
fn did(told: &Told, path: &str) -> Markup {
    let history = format!("{path}/history");
    let Told { past: Past { run, .. }, now, .. } = told;
    html! {
        @if !run.visits.is_empty() {
            section aria-labelledby="timeline" {
                h2 #timeline { "Timeline" }
                (told_of(told))
                (timeline::timeline(&run.visits, *now, &history))
                @let reset = told.resets.then_some(path).filter(|_| told.past.from == 0);
                (timeline::table(&run.visits, *now, &history, reset))
            }
        }
    }
}

/// Its definition, coloured by what became of each task.
fn picture(told: &Told) -> Markup {
    let history = format!("{}/history", parts::instance_path(&told.view.id.to_string()));
    let drawn = told.plan.as_ref().and_then(|it| graph::of_instance(it, &told.past.run, &history));
    html! {
        @if let Some(drawn) = drawn {
            section aria-labelledby="graph" {
                h2 #graph { "Graph" }
                (told_of(told))
                (parts::picture("Graph", drawn))
            }
        }
    }
}

/// The type of events that it listens for; empty where it does, and of which type is not known.
fn awaited(told: &Told) -> Option<String> {
    let open = told.view.open.iter().find(|it| it.state == "waiting for events")?;
    let task = told.plan.as_ref().and_then(|it| it.tasks.get(usize::try_from(open.index.0).ok()?));
    Some(task.and_then(|it| send::kind(&it.definition)).unwrap_or_default().to_owned())
}

/// What a task listens for, in the words of its definition.
fn listens(told: &Told, task: TaskIx) -> Option<String> {
    let task = told.plan.as_ref()?.tasks.get(usize::try_from(task.0).ok()?)?;
    let to = task.definition.get("listen")?.get("to")?;
    Some(parts::cut(&to.to_json()))
}

fn values(told: &Told) -> Markup {
    let Told { view, past: Past { run, .. }, .. } = told;
    html! {
        section aria-labelledby="data" {
            h2 #data { "Data" }
            (parts::value("Input", &view.input))
            @if let Some(output) = &view.head.output { (parts::value("Output", output)) }
            @if !view.context.is_null() { (parts::value("Context", &view.context)) }
        }
        section aria-labelledby="secrets" {
            h2 #secrets { "Secrets used" }
            @if run.secrets.is_empty() {
                p.hint { "None, as far as this page looks back." }
            } @else {
                ul.plain { @for (name, at) in &run.secrets {
                    li {
                        bdi { (name) }
                        @if told.audits {
                            " ("
                            a href=(parts::address("/ui/audit", &[("instance", &view.id.to_string()),
                                ("secret", name)])) { "audit" }
                            ")"
                        }
                        " last at " (parts::time(*at)) "; its value is shown nowhere"
                    }
                } }
            }
        }
    }
}

/// Instances that have to do with it.
fn related(told: &Told) -> Markup {
    let Told { view, children, .. } = told;
    let head = &view.head;
    let one = |title: &str, id: &InstanceId| {
        html! { div { dt { (title) } dd { (parts::instance_link(&id.to_string())) } } }
    };
    let id = view.id.to_string();
    let none = head.parent.is_none()
        && view.predecessor.is_none()
        && view.successors.is_empty()
        && children.items.is_empty();
    html! {
        @if !none {
            section aria-labelledby="related" {
                h2 #related { "Related instances" }
                dl.facts {
                    @if let Some(parent) = &head.parent { (one("Parent", parent)) }
                    @if let Some(root) = head.root.as_ref().filter(|it| Some(**it) != head.parent) {
                        (one("Root", root))
                    }
                    @if let Some(it) = &view.predecessor { (one("Goes on for", it)) }
                    @for it in &view.successors { (one("Went on as", it)) }
                }
                @if !children.items.is_empty() {
                    h3 { "Children" }
                    ul.plain { @for (child, head) in &children.items {
                        li {
                            (parts::status(head.status.word())) " "
                            (parts::instance_link(&child.to_string())) " "
                            bdi { (head.workflow.namespace) "/" (head.workflow.name) }
                        }
                    } }
                    @if children.next.is_some() {
                        a href=(parts::address("/ui/instances", &[("parent", &id)])) {
                            "All children"
                        }
                    }
                }
            }
        }
    }
}
