//! The audit trail, newest first.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value as Json;
use windlass_proto::time::Timestamp;

use super::json::{document, items, text};
use super::layout::Page;
use super::parts;
use crate::accept::access::Caller;
use crate::accept::audit;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;

const HERE: &str = "/ui/audit";

/// The parameters that the form has.
const FIELDS: [(&str, &str); 6] = [
    ("action", "Action"),
    ("namespace", "Namespace"),
    ("workflow", "Workflow"),
    ("instance", "Instance"),
    ("secret", "Secret"),
    ("outcome", "Outcome"),
];

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiProblem> {
    let given = query.pairs().iter().filter(|(name, value)| name != "cursor" && !value.is_empty());
    let given: Vec<(String, String)> = given.cloned().collect();
    let found = document(audit::list(State(api.clone()), caller.clone(), query).await?)?;
    let rows: Vec<Markup> = items(&found).iter().map(row).collect();
    let next = found["next"].as_str().map(|next| {
        let mut pairs: Vec<_> =
            given.iter().map(|(name, it)| (name.as_str(), it.as_str())).collect();
        pairs.push(("cursor", next));
        parts::address(HERE, &pairs)
    });
    let body = html! {
        h1 { "Audit" }
        (form(&given))
        div #live {
            @if rows.is_empty() {
                (parts::empty("Nothing in the trail matches.", ""))
            } @else {
                @let headings = ["Number", "When", "Action", "Outcome", "Who", "About", "Details"];
                (parts::table("Audit trail", &headings, &rows))
            }
            (parts::next(next.as_deref(), None))
        }
    };
    let flags = given.iter().map(|(name, value)| format!(" --{name} {}", parts::quoted(value)));
    let command = format!("windlass audit{}", flags.collect::<String>());
    let title = "Audit".to_owned();
    Ok(Page { title, section: "audit", command, body }.answer(&api, &caller))
}

fn form(given: &[(String, String)]) -> Markup {
    let value = |name: &str| given.iter().find(|(it, _)| it == name).map_or("", |(_, it)| it);
    html! {
        form.bar method="get" action=(HERE) {
            @for (name, title) in FIELDS {
                span.field {
                    label for={ "a-" (name) } { (title) }
                    input id={ "a-" (name) } type="text" name=(name) value=(value(name))
                        autocomplete="off";
                }
            }
            button type="submit" { "Show" }
            @if !given.is_empty() { a href=(HERE) { "Clear" } }
        }
    }
}

fn row(it: &Json) -> Markup {
    let outcome = match (it["outcome"].as_str(), it["success"].as_bool()) {
        // What is told before it is done, and what came of it.
        (Some(word), _) => word,
        (None, Some(true)) => "success",
        (None, Some(false)) => "failure",
        (None, None) => "",
    };
    let task = &it["task"];
    let instance = text(task, "instance");
    html! {
        td.number { (parts::json_text(&it["sequence"])) }
        td { @if let Some(at) = it["at"].as_u64() { (parts::time(Timestamp(at))) } }
        td { code { (parts::json_text(&it["action"])) } }
        td { (outcome) }
        td { bdi { (who(it)) } }
        td {
            @if !instance.is_empty() { (parts::instance_link(instance)) }
            @if it["secrets"].is_array() || it["secret"].is_string() {
                div { bdi { (secrets(it)) } }
            }
        }
        td {
            bdi { (parts::json_text(&it["detail"])) }
            details {
                summary { "All of it" }
                pre.value tabindex="0" aria-label="The whole entry" { code { (parts::pretty(it).0) } }
            }
        }
    }
}

/// Who did it, as far as the entry says.
fn who(it: &Json) -> String {
    let person = ["caller", "actor", "by"].into_iter().map(|name| &it[name]);
    let person = person.filter(|it| !it.is_null()).map(|it| match it["subject"].as_str() {
        Some(subject) => format!("{}:{subject}", text(it, "issuer")),
        None => parts::json_text(it),
    });
    let worker = it["worker"].as_str().map(|it| format!("worker {it}"));
    person.chain(worker).next().unwrap_or_default()
}

fn secrets(it: &Json) -> String {
    let several = it["secrets"].as_array().into_iter().flatten().map(parts::json_text);
    let one = it["secret"].as_str().map(str::to_owned);
    several.chain(one).collect::<Vec<_>>().join(", ")
}
