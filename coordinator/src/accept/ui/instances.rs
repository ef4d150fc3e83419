//! Instances: a filter in the language of the list, how many there are of each status, a page.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use windlass_proto::id::InstanceId;
use windlass_proto::limits::UI_ROWS;
use windlass_proto::time::Timestamp;

use super::layout::Page;
use super::{bulk_order, parts};
use crate::accept::access::Caller;
use crate::accept::counts::ByStatus;
use crate::accept::filter::filter;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;
use crate::access::Permission;
use crate::clock;
use crate::journal::{Filter, Found, Head, SearchCursor};

const HERE: &str = "/ui/instances";

/// What the address asks for.
struct Asked {
    /// All but the page.
    pairs: Vec<(String, String)>,
    /// The text of the filter.
    text: String,
    /// Why it cannot be read, if it cannot.
    wrong: Option<String>,
    filter: Filter,
}

impl Asked {
    fn of(query: &mut Query, caller: &Caller) -> Result<Self, ApiProblem> {
        let pairs =
            query.pairs().iter().filter(|(name, value)| name != "cursor" && !value.is_empty());
        let pairs: Vec<(String, String)> = pairs.cloned().collect();
        let text = pairs.iter().find(|(name, _)| name == "filter");
        let text = text.map(|(_, text)| text.clone()).unwrap_or_default();
        let mut rest = query.clone();
        let (filter, wrong) = match filter(query) {
            Ok(filter) => (filter, None),
            // The bar shows what is wrong with it; of the rest the address is to blame.
            Err(problem) if !text.is_empty() => {
                rest.all("filter");
                filter(&mut rest)?;
                query.all("filter");
                (Filter::default(), Some(problem.detail().to_owned()))
            }
            Err(problem) => return Err(problem),
        };
        let filter = Filter { visible: caller.visible(Permission::InstanceRead), ..filter };
        Ok(Self { pairs, text, wrong, filter })
    }

    /// The address of the same with other values of `name`.
    fn with(&self, name: &str, value: &str) -> String {
        let others = self.pairs.iter().filter(|(it, _)| it != name);
        let mut pairs: Vec<(&str, &str)> =
            others.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        pairs.push((name, value));
        parts::address(HERE, &pairs)
    }

    /// Whether the text of the filter says something of statuses: links could only widen it.
    fn text_has_status(&self) -> bool {
        self.text.split_whitespace().any(|it| it.starts_with("status="))
    }

    fn command(&self) -> String {
        let mut words = vec!["windlass list".to_owned()];
        for (name, value) in &self.pairs {
            let kebab: String = name
                .chars()
                .flat_map(|it| match it.is_ascii_uppercase() {
                    true => vec!['-', it.to_ascii_lowercase()],
                    false => vec![it],
                })
                .collect();
            words.push(format!("--{kebab} {}", parts::quoted(value)));
        }
        words.join(" ")
    }
}

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    mut query: Query,
) -> Result<Response, ApiProblem> {
    let asked = Asked::of(&mut query, &caller)?;
    let has_limit = query.pairs().iter().any(|(name, _)| name == "limit");
    let limit = match has_limit {
        true => query.limit()?,
        false => UI_ROWS,
    };
    let cursor = query.parsed("cursor", str::parse::<SearchCursor>)?;
    query.finish()?;
    let is_first = cursor.is_none();
    let (found, counts) = match asked.wrong {
        Some(_) => (Found { items: Vec::new(), next: None }, None),
        None => {
            let found = api.coordinator.search(asked.filter.clone(), cursor, limit);
            let (found, counts) = tokio::join!(found, counts(&api, &asked.filter));
            (found?, counts?)
        }
    };
    let body = html! {
        h1 { "Instances" }
        (bar(&asked))
        @if asked.wrong.is_none() {
            @let text = bulk_order::text_of(&asked.pairs, &asked.filter);
            @let is_filtered = asked.pairs.iter().any(|it| it.0 != "limit");
            @let filter = text.as_deref().map(|it| (it, &*asked.filter.statuses));
            (bulk_order::forms((&api, &caller), filter, is_filtered))
        }
        div #live data-live data-poll[asked.wrong.is_none()] {
            @match &counts {
                Some(counts) => (statuses(&asked, counts)),
                None => @if asked.wrong.is_none() {
                    p.hint { "Too much is counted now to say how many there are." }
                },
            }
            (list(&asked, &caller, &found))
            @let next = found.next.as_ref().map(|it| asked.with("cursor", &it.to_string()));
            @let first = (!is_first).then(|| asked.with("cursor", ""));
            (parts::next(next.as_deref(), first.as_deref()))
        }
    };
    let command = asked.command();
    let title = "Instances".to_owned();
    Ok(Page { title, section: "instances", command, body }.answer(&api, &caller))
}

/// How many there are of each status; none where that takes too long.
async fn counts(api: &Api, filter: &Filter) -> Result<Option<ByStatus>, ApiProblem> {
    match &api.pages {
        Some(pages) => Ok(pages.counts.of(&api.coordinator, filter).await?),
        None => Ok(None),
    }
}

fn bar(asked: &Asked) -> Markup {
    let others = asked.pairs.iter().filter(|(name, _)| name != "filter");
    let wrong = asked.wrong.is_some();
    html! {
        form.bar method="get" action=(HERE) role="search" {
            label for="filter" { "Filter" }
            input #filter type="text" name="filter" value=(asked.text) autocomplete="off"
                spellcheck="false" placeholder="workflow=shop/order status=faulted label.customer=42"
                aria-invalid=[wrong.then_some("true")]
                aria-describedby=[wrong.then_some("wrong")];
            @for (name, value) in others { input type="hidden" name=(name) value=(value); }
            button type="submit" { "Show" }
            @if !asked.pairs.is_empty() { a href=(HERE) { "Clear" } }
        }
        @if let Some(wrong) = &asked.wrong { p.wrong #wrong role="alert" { (wrong) } }
        @for (name, value) in asked.pairs.iter().filter(|(it, _)| it != "filter" && it != "limit") {
            a.chip href=(without(asked, name, value)) {
                bdi { (name) "=" (value) }
                span aria-label="remove" { " ×" }
            }
        }
    }
}

/// The address without one of the conditions.
fn without(asked: &Asked, name: &str, value: &str) -> String {
    let others = asked.pairs.iter().filter(|(n, v)| (n.as_str(), v.as_str()) != (name, value));
    let pairs: Vec<_> = others.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    parts::address(HERE, &pairs)
}

fn statuses(asked: &Asked, counts: &ByStatus) -> Markup {
    let chosen = &asked.filter.statuses;
    let fixed = asked.text_has_status();
    html! {
        ul.counts aria-label="How many there are of each status" {
            @for (status, count, whole) in counts.iter() {
                @let word = status.word();
                @let text = html! {
                    (parts::status(word))
                    b { (count) @if !whole { "+" } }
                };
                li {
                    @if fixed {
                        span { (text) }
                    } @else {
                        @let is_chosen = chosen.contains(status);
                        a href=(asked.with("status", if is_chosen { "" } else { word }))
                            aria-current=[is_chosen.then_some("true")] { (text) }
                    }
                }
            }
        }
    }
}

fn list(asked: &Asked, caller: &Caller, found: &Found) -> Markup {
    if found.items.is_empty() {
        let nothing = asked.pairs.is_empty() && asked.wrong.is_none();
        return match (nothing, found.next.is_some()) {
            (true, _) => parts::empty(
                "Nothing has been started yet. Deploy a definition and start it:",
                "windlass deploy order.yaml && windlass start shop/order",
            ),
            (false, true) => parts::empty("None among those that were looked at so far.", ""),
            (false, false) => parts::empty("No instance matches.", ""),
        };
    }
    let now = clock::now();
    let rows: Vec<Markup> =
        found.items.iter().map(|(id, head)| row((asked, caller), *id, head, now)).collect();
    let headings = ["Status", "Instance", "Workflow", "Started", "Took", "Labels", "Error"];
    parts::table("Instances", &headings, &rows)
}

fn row((asked, caller): (&Asked, &Caller), id: InstanceId, head: &Head, now: Timestamp) -> Markup {
    let workflow = &head.workflow;
    let took = head.ended_at.unwrap_or(now).since(head.started_at);
    html! {
        td { (parts::status(head.status.word())) }
        td { (parts::instance_link(&id.to_string())) }
        td {
            (parts::workflow_link(caller, &workflow.namespace, &workflow.name, ""))
            span.version { (workflow.version) }
        }
        td { (parts::time(head.started_at)) }
        td.number { (parts::duration(took)) }
        td {
            @for (name, value) in &head.labels {
                a.chip href=(asked.with_label(name, value)) { bdi { (name) "=" (parts::cut(value)) } }
            }
        }
        td {
            @if let Some(error) = &head.error {
                bdi title=[error.detail.as_deref().map(parts::cut)] { (short(&error.kind)) }
            }
        }
    }
}

impl Asked {
    /// The address with one label more.
    fn with_label(&self, name: &str, value: &str) -> String {
        let label = format!("{name}={value}");
        let mut pairs: Vec<(&str, &str)> =
            self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if !pairs.contains(&("label", &label)) {
            pairs.push(("label", &label));
        }
        parts::address(HERE, &pairs)
    }
}

/// The last part of the type of an error.
fn short(kind: &str) -> String {
    parts::cut(kind.rsplit('/').next().unwrap_or(kind))
}
