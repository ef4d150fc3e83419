//! The history of an instance, page by page, each entry with an address of its own.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use windlass_proto::limits::{UI_LINE_VALUE_BYTES, UI_ROWS};

use super::layout::Page;
use super::{instance, parts};
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{OfInstance, Query};
use crate::accept::state::Api;
use crate::coordinator::HistoryEntry;

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    OfInstance(id): OfInstance,
    mut query: Query,
) -> Result<Response, ApiProblem> {
    let from = query.parsed("from", str::parse::<u64>)?.unwrap_or(0);
    let has_limit = query.pairs().iter().any(|(name, _)| name == "limit");
    let limit = if has_limit { query.limit()? } else { UI_ROWS };
    query.finish()?;
    let view = api.coordinator.show(id).await?;
    let history = api.coordinator.history(id, from, limit).await?;
    let path = format!("{}/history", parts::instance_path(&id.to_string()));
    let rows: Vec<Markup> = history.entries.iter().map(|it| row(it, &path)).collect();
    let last = view.sequence.saturating_sub(UI_ROWS as u64);
    let body = html! {
        div #live { (instance::title(&caller, &view, "history")) }
        (places(&path, from, last))
        @if rows.is_empty() {
            (parts::empty("Nothing is told from here on.", ""))
        } @else {
            (parts::table("History", &["Number", "When", "What", "Task", "Details"], &rows))
        }
        @let next = history.next.map(|it| format!("{path}?from={it}"));
        (parts::next(next.as_deref(), (from > 0).then_some(path.as_str())))
    };
    let command = match from {
        0 => format!("windlass history {id}"),
        _ => format!("windlass history {id} --from {from}"),
    };
    let title = format!("History of {id}");
    Ok(Page { title, section: "instances", command, body }.answer(&api, &caller))
}

fn places(path: &str, from: u64, last: u64) -> Markup {
    html! {
        form.bar method="get" action=(path) {
            label for="from" { "From number" }
            input #from type="number" name="from" min="0" value=(from);
            button type="submit" { "Go" }
            @if last > from { a href={ (path) "?from=" (last) } { "The end" } }
        }
    }
}

fn row(entry: &HistoryEntry, path: &str) -> Markup {
    let number = entry.sequence;
    let is_empty = entry.data.as_object().is_some_and(|it| it.is_empty());
    html! {
        td.number #{ "e" (number) } {
            a href=(parts::entry_path(path, number)) { (number) }
        }
        td { (parts::time(entry.at)) }
        td { span class={ "event " (tone(entry.event)) } { (entry.event) } }
        td {
            @if let Some(name) = &entry.name { bdi { (parts::cut(name)) } }
            @if let Some(task) = &entry.task { div.path { (parts::cut(task)) } }
        }
        td { @if !is_empty { (data(entry)) } }
    }
}

/// What an entry says beside its name: short ones at once.
fn data(entry: &HistoryEntry) -> Markup {
    let line = entry.data.json_bytes(UI_LINE_VALUE_BYTES).map(|_| entry.data.to_json());
    html! {
        @match line {
            Some(line) => code.value { (line) },
            None => {
                @let (text, whole) = parts::pretty(&entry.data);
                details {
                    summary { (summary(entry)) }
                    pre.value tabindex="0" aria-label={ "Details of entry " (entry.sequence) } {
                        code { (text) }
                    }
                    @if !whole { p.hint { "Cut: the command below shows all of it." } }
                }
            }
        }
    }
}

/// Names of what there is.
fn summary(entry: &HistoryEntry) -> String {
    let members = entry.data.as_object();
    let names: Vec<&str> = members.into_iter().flatten().map(|(name, _)| &**name).collect();
    names.join(", ")
}

/// How an entry is coloured.
fn tone(event: &str) -> &'static str {
    match event.rsplit('.').next().unwrap_or_default() {
        "completed" => "completed",
        "faulted" | "lost" | "quarantined" => "faulted",
        "retried" | "waiting" | "listening" | "suspended" => "waiting",
        _ => "",
    }
}
