//! Deploying a definition by pasting it; what is wrong with it is shown where it is.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::Value as Json;
use windlass_proto::limits::{UI_FINDING_LINES, UI_FINDINGS};

use super::form::Sent;
use super::json::text;
use super::layout::Page;
use super::{form, parts};
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;
use crate::accept::workflow;
use crate::access::Permission;

/// A definition to begin with.
const FIRST: &str = "document:
  dsl: '1.0.3'
  namespace: shop
  name: greet
  version: '1.0.0'
do:
- greet:
    set:
      greeting: ${ \"Hello, \" + (.name // \"world\") }
";

/// The form, for whoever may deploy somewhere.
pub(super) fn form_of(api: &Api, caller: &Caller) -> Markup {
    if !caller.principal().may_somewhere(Permission::WorkflowDeploy) {
        return html! {};
    }
    html! {
        details.order #order-deploy {
            summary.button { "Deploy…" }
            (sheet(api, caller, FIRST))
        }
    }
}

fn sheet(api: &Api, caller: &Caller, text: &str) -> Markup {
    html! {
        form.wide method="post" action="/ui/definitions" {
            (form::token(api, caller))
            label for="definition" { "Definition, YAML or JSON" }
            textarea #definition name="definition" rows="18" required spellcheck="false" { (text) }
            button type="submit" { "Check and deploy" }
        }
    }
}

/// Deploys one, and shows it; or what is wrong with it.
pub(super) async fn deploy(api: State<Api>, sent: Sent) -> Result<Response, ApiProblem> {
    let Sent { caller, by, mut payload, mut fields } = sent;
    let given = fields.one("definition")?.unwrap_or_default();
    fields.finish()?;
    // Browsers end lines of a form by CR LF: the text of a file would have another digest.
    let given = given.replace("\r\n", "\n");
    payload.bytes = given.clone().into();
    let yaml = HeaderValue::from_static("application/yaml");
    payload.headers.insert(header::CONTENT_TYPE, yaml);
    let shown = State(api.0.clone());
    match workflow::deploy(shown, Query::default(), by, payload).await {
        Ok(deployed) => Ok(led(&deployed, &caller)),
        Err(problem) => refused((&api, &caller), problem, &given),
    }
}

/// Where somebody is led who has deployed: to the workflow, if they may read it.
fn led(deployed: &Response, caller: &Caller) -> Response {
    let location = deployed.headers().get(header::LOCATION).and_then(|it| it.to_str().ok());
    let mut parts_of = location.unwrap_or_default().rsplit('/');
    let (version, name, namespace) = (parts_of.next(), parts_of.next(), parts_of.next());
    let address = match (namespace, name, version) {
        (Some(namespace), Some(name), Some(version))
            if parts::may_read(caller, namespace, name) =>
        {
            parts::address(&parts::workflow_path(namespace, name), &[("version", version)])
        }
        _ => "/ui".to_owned(),
    };
    Redirect::to(&address).into_response()
}

/// The page of a definition that was not taken, where that is to blame.
fn refused(
    (api, caller): (&Api, &Caller),
    problem: ApiProblem,
    given: &str,
) -> Result<Response, ApiProblem> {
    let told = problem.to_json();
    let findings = told["diagnostics"].as_array().map_or(&[][..], Vec::as_slice);
    let difference = told["difference"].as_str();
    if findings.is_empty() && difference.is_none() {
        return Err(problem);
    }
    let body = html! {
        h1 { "Not deployed" }
        p.wrong role="alert" { (text(&told, "detail")) }
        @if !findings.is_empty() { (list(findings)) (marked(given, findings)) }
        @if let Some(difference) = difference {
            section aria-labelledby="difference" {
                h2 #difference { "How it differs from what is deployed" }
                (super::version::lines(difference))
            }
        }
        section aria-labelledby="mend" {
            h2 #mend { "Mend it" }
            (sheet(api, caller, given))
        }
    };
    let (title, command) = ("Not deployed".to_owned(), "windlass validate FILE".to_owned());
    let page = Page { title, section: "definitions", command, body }.answer(api, caller);
    // Its status and its code are those of the refusal.
    let (mut head, _) = problem.into_response().into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    head.headers.insert(header::CONTENT_TYPE, html);
    Ok(Response::from_parts(head, Body::new(page.into_body())))
}

fn line_of(finding: &Json) -> usize {
    finding["line"].as_u64().and_then(|it| usize::try_from(it).ok()).unwrap_or_default()
}

fn list(findings: &[Json]) -> Markup {
    let row = |it: &Json| {
        let line = line_of(it);
        html! {
            td.number { a href={ "#line-" (line) } {
                (line) ":" (parts::json_text(&it["column"]))
            } }
            td { (parts::json_text(&it["severity"])) }
            td {
                bdi { (parts::json_text(&it["message"])) }
                @if it["hint"].is_string() { div.hint { bdi { (parts::json_text(&it["hint"])) } } }
            }
            td.path { bdi { (parts::json_text(&it["pointer"])) } }
            td { code { "windlass explain " (parts::json_text(&it["code"])) } }
        }
    };
    let rows: Vec<Markup> = findings.iter().take(UI_FINDINGS).map(row).collect();
    html! {
        (parts::table("Findings", &["Place", "Severity", "Finding", "Of", "More"], &rows))
        @if findings.len() > UI_FINDINGS {
            p.hint { "And " (findings.len() - UI_FINDINGS) " more." }
        }
    }
}

/// The lines around findings, with the places marked.
fn marked(given: &str, findings: &[Json]) -> Markup {
    let near = |line: usize| {
        findings.iter().take(UI_FINDINGS).any(|it| line_of(it).abs_diff(line) <= UI_FINDING_LINES)
    };
    let lines = given.lines().enumerate().map(|(at, text)| (at + 1, text));
    let lines: Vec<(usize, &str)> = lines.filter(|(line, _)| near(*line)).collect();
    html! {
        section aria-labelledby="places" {
            h2 #places { "In place" }
            pre.value.source tabindex="0" aria-label="The text with its findings" {
                @for (line, text) in lines {
                    @let here = findings.iter().find(|it| line_of(it) == line);
                    @match here {
                        Some(finding) => {
                            b.line #{ "line-" (line) } {
                                (number(line)) (parts::cut(text)) "\n"
                                (caret(finding)) " " bdi { (parts::json_text(&finding["message"])) }
                            } "\n"
                        }
                        None => { (number(line)) (parts::cut(text)) "\n" }
                    }
                }
            }
        }
    }
}

fn number(line: usize) -> String {
    format!("{line:>5}  ")
}

/// Marks below the place of a finding.
fn caret(finding: &Json) -> String {
    let of = |name: &str| {
        let number = finding[name].as_u64().and_then(|it| usize::try_from(it).ok());
        // A line is cut where it is long.
        number.unwrap_or(1).clamp(1, windlass_proto::limits::UI_CELL_CHARACTERS)
    };
    let before = number(0).len() + of("column") - 1;
    format!("{}{}", " ".repeat(before), "^".repeat(of("length")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{caret, marked};

    #[test]
    fn places_are_marked_below_their_lines() {
        let finding = json!({"line": 2, "column": 3, "length": 4, "message": "no <b>"});
        assert_eq!(caret(&finding), format!("{}^^^^", " ".repeat(9)));
        let shown = marked("one\ntwo <i>\nthree", &[finding.clone(), json!({})]).into_string();
        assert!(shown.contains("id=\"line-2\"") && shown.contains("two &lt;i&gt;"), "{shown}");
        assert!(shown.contains("no &lt;b&gt;") && shown.contains("    3  three"), "{shown}");
        let odd = json!({"line": 1, "column": u64::MAX, "length": u64::MAX});
        assert!(caret(&odd).len() < 1_000);
    }
}
