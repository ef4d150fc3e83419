//! What goes on for an instance: resets, tasks that are skipped, another start with its input.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::form::Sent;
use super::json::{document, text};
use super::layout::Page;
use super::{form, parts};
use crate::accept::access::Caller;
use crate::accept::instance;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{OfInstance, Query};
use crate::accept::state::Api;
use crate::access::{Permission, Resource};
use crate::coordinator::InstanceView;

/// The forms that are there beside the simple orders; `to` is where a reset shall begin.
pub(super) fn forms(
    (api, caller): (&Api, &Caller),
    view: &InstanceView,
    to: Option<&str>,
) -> Markup {
    html! {
        @if view.open.iter().any(|it| it.halted) { (skip_form((api, caller), view)) }
        @if view.head.ended_at.is_some() { (reset_form((api, caller), view, to)) }
    }
}

fn skip_form((api, caller): (&Api, &Caller), view: &InstanceView) -> Markup {
    let path = parts::instance_path(&view.id.to_string());
    html! {
        details.order #order-skip {
            summary.button { "Skip the task that failed…" }
            form method="post" action={ (path) "/skip" } {
                p { "The flow goes on behind it, as if this was its output." }
                (form::token(api, caller))
                label for="skip-output" { "Its output, JSON" }
                textarea #skip-output name="output" rows="5" spellcheck="false" { "{}" }
                (form::reason("skip", false))
                button type="submit" { "Skip the task" }
            }
        }
    }
}

fn reset_form((api, caller): (&Api, &Caller), view: &InstanceView, to: Option<&str>) -> Markup {
    let path = parts::instance_path(&view.id.to_string());
    html! {
        details.order #order-reset open[to.is_some()] {
            summary.button { "Reset…" }
            form method="post" action={ (path) "/reset" } {
                p {
                    "Another instance goes on from a visit of a task, with all that was done before \
                     it. What would be kept and what done again is shown first."
                }
                (form::token(api, caller))
                label for="reset-to" { "Task that begins again, as /do/0/task or /do/0/task[1]" }
                input #reset-to type="text" name="to" required autocomplete="off" spellcheck="false"
                    value=[to];
                label for="reset-input" { "Another input for it, JSON (empty: as it was)" }
                textarea #reset-input name="input" rows="3" spellcheck="false" {}
                label for="reset-set" { "Members of the context to change, JSON (empty: none)" }
                textarea #reset-set name="set" rows="3" spellcheck="false" {}
                label for="reset-definition" { "By another version, or latest (empty: the same)" }
                input #reset-definition type="text" name="definition" autocomplete="off";
                div {
                    input #reset-children type="checkbox" name="children" value="rerun";
                    label for="reset-children" { " Start children anew that were being waited for" }
                }
                (form::reason("reset", false))
                button type="submit" { "Show what it would do" }
            }
        }
    }
}

/// The form that starts another one with the same input, for whoever may.
pub(super) fn again((api, caller): (&Api, &Caller), view: &InstanceView) -> Markup {
    let id = &view.head.workflow;
    let of = Resource::Workflow(&id.namespace, &id.name);
    let may = caller.principal().may(Permission::InstanceStart, of);
    let (input, is_whole) = parts::pretty(&view.input);
    // What is cut would be another input.
    if !may || !is_whole {
        return html! {};
    }
    let told: Vec<String> = (view.head.labels.iter())
        .map(|(name, value)| format!("{name}={value}"))
        .filter(|it| !it.contains(char::is_whitespace))
        .collect();
    let lost = told.len() < view.head.labels.len();
    html! {
        details.order #order-again {
            summary.button { "Start again…" }
            form method="post"
                action={ (parts::workflow_path(&id.namespace, &id.name)) "/start" } {
                p { "Another instance of version " (id.version) " begins from the start." }
                (form::token(api, caller))
                input type="hidden" name="key" value=(uuid::Uuid::new_v4());
                input type="hidden" name="version" value=(id.version);
                label for="again-input" { "Input, JSON" }
                textarea #again-input name="input" rows="8" spellcheck="false" { (input) }
                label for="again-labels" {
                    "Labels, such as customer=42 (blanks between them)"
                }
                input #again-labels type="text" name="labels" autocomplete="off"
                    value=(told.join(" "));
                @if lost { p.hint { "Labels with blanks are left out: the command has them." } }
                button type="submit" { "Start another one" }
            }
        }
    }
}

#[derive(Serialize)]
struct Skip {
    output: Box<RawValue>,
    reason: Option<String>,
}

/// Gives the output of the task that has failed.
pub(super) async fn skip(
    api: State<Api>,
    OfInstance(id): OfInstance,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let Sent { by, payload, mut fields, .. } = sent;
    let (output, reason) = (fields.one("output")?, fields.one("reason")?);
    fields.finish()?;
    let body = Skip { output: form::json("the output", output, "null")?, reason };
    let done = instance::skip(api, OfInstance(id), by, payload.replaced(&body)).await;
    done.map(|_| Redirect::to(&parts::instance_path(&id.to_string())).into_response())
}

/// A reset as the API takes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reset {
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<String>,
    dry_run: bool,
    reason: Option<String>,
}

/// The fields of a reset, to be sent again once it was looked at.
struct Asked {
    fields: [(&'static str, Option<String>); 6],
    confirmed: bool,
    key: Option<String>,
}

const FIELDS: [&str; 6] = ["to", "input", "set", "children", "definition", "reason"];

impl Asked {
    fn of(mut sent: Query) -> Result<Self, ApiProblem> {
        let mut fields = FIELDS.map(|it| (it, None));
        for (name, value) in &mut fields {
            *value = sent.one(name)?.filter(|it| !it.trim().is_empty());
        }
        let confirmed = sent.one("confirm")?.is_some_and(|it| it == "yes");
        let key = sent.one("key")?;
        sent.finish()?;
        Ok(Self { fields, confirmed, key })
    }

    fn reset(&self) -> Result<Reset, ApiProblem> {
        let [to, input, set, children, definition, reason] =
            self.fields.each_ref().map(|(_, it)| it.clone());
        let json = |name: &str, text: Option<String>| {
            text.map(|it| form::json(name, Some(it), "null")).transpose()
        };
        Ok(Reset {
            to: to.unwrap_or_default(),
            input: json("the input", input)?,
            set: json("the context", set)?,
            children,
            definition,
            dry_run: !self.confirmed,
            reason,
        })
    }

    fn command(&self, id: &str) -> String {
        let value = |name: &str| self.fields.iter().find(|it| it.0 == name)?.1.as_deref();
        let flag = |name: &str| {
            let value = value(name)?;
            Some(format!(" --{name} {}", parts::quoted(value)))
        };
        let flags: String = ["to", "input", "definition"].into_iter().filter_map(flag).collect();
        format!("windlass reset {id}{flags} --dry-run")
    }
}

/// Shows what a reset would do; once that was confirmed, does it and shows the one that goes on.
pub(super) async fn reset(
    api: State<Api>,
    OfInstance(id): OfInstance,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let Sent { caller, by, payload, fields } = sent;
    let asked = Asked::of(fields)?;
    let mut payload = payload.replaced(&asked.reset()?);
    let key = asked.key.as_deref().filter(|_| asked.confirmed);
    if let Some(key) = key.and_then(|it| axum::http::HeaderValue::from_str(it).ok()) {
        payload.headers.insert("idempotency-key", key);
    }
    let (_, done) = instance::reset(api.clone(), OfInstance(id), by, payload).await?;
    let plan = document(done)?;
    if asked.confirmed {
        let successor = parts::instance_path(text(&plan, "id"));
        return Ok(Redirect::to(&successor).into_response());
    }
    let id = id.to_string();
    let body = html! {
        h1 { "Reset of " (parts::instance_link(&id)) }
        p {
            "Nothing is done yet. Another instance would go on by version "
            (text(&plan["workflow"], "version")) ", beginning again with "
            code { bdi { (visit(&plan["to"])) } } "."
        }
        div.two {
            (visits("Kept as it is", &plan["kept"], &plan["keptCount"]))
            (visits("Done again, as far as the flow goes the same way", &plan["again"],
                &plan["againCount"]))
        }
        form.sheet method="post" action={ (parts::instance_path(&id)) "/reset" } {
            (form::token(&api, &caller))
            input type="hidden" name="confirm" value="yes";
            input type="hidden" name="key" value=(uuid::Uuid::new_v4());
            @for (name, value) in &asked.fields {
                @if let Some(value) = value { input type="hidden" name=(name) value=(value); }
            }
            button type="submit" { "Reset it" }
            a href=(parts::instance_path(&id)) { "Leave it as it is" }
        }
    };
    let (title, command) = (format!("Reset of {id}"), asked.command(&id));
    Ok(Page { title, section: "instances", command, body }.answer(&api, &caller))
}

fn visit(it: &Json) -> String {
    let number = it["visit"].as_u64().unwrap_or_default();
    parts::cut(&format!("{}[{number}]", text(it, "task")))
}

fn visits(title: &str, all: &Json, count: &Json) -> Markup {
    let shown = all.as_array().map_or(&[][..], Vec::as_slice);
    let more = count.as_u64().unwrap_or_default().saturating_sub(shown.len() as u64);
    html! {
        section {
            h2 { (title) ": " (parts::json_text(count)) }
            ul.plain { @for it in shown { li.path { bdi { (visit(it)) } } } }
            @if more > 0 { p.hint { "And " (more) " more." } }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Asked;
    use crate::accept::query::Query;

    #[test]
    fn a_reset_is_dry_until_it_is_confirmed() {
        let read = |text: &str| Asked::of(Query::parse(text).unwrap()).unwrap();
        let made = |it: &Asked| serde_json::to_string(&it.reset().unwrap()).unwrap();
        let first = read("to=/do/0/a[1]&input=+&set=%7B%22a%22:1.0%7D&key=k");
        assert_eq!(
            made(&first),
            r#"{"to":"/do/0/a[1]","set":{"a":1.0},"dryRun":true,"reason":null}"#
        );
        assert_eq!(first.command("ID"), "windlass reset ID --to '/do/0/a[1]' --dry-run");
        let confirmed = read("to=/do/0/a&confirm=yes&reason=r");
        assert_eq!(made(&confirmed), r#"{"to":"/do/0/a","dryRun":false,"reason":"r"}"#);
        assert!(read("to=/do/0/a&confirm=no").reset().unwrap().dry_run);
        assert!(Asked::of(Query::parse("dryRun=false").unwrap()).is_err());
        assert!(read("to=/a&input=%7B").reset().is_err());
    }
}
