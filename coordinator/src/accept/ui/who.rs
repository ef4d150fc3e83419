//! Who one is here, and what one may.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value as Json;

use super::json::{document, text};
use super::layout::Page;
use super::parts;
use crate::accept::access::Caller;
use crate::accept::auth;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiProblem> {
    query.finish()?;
    let it = document(auth::whoami(caller.clone()).await)?;
    let all = |it: &Json| {
        let texts = it.as_array().into_iter().flatten().map(parts::json_text);
        texts.collect::<Vec<_>>().join(", ")
    };
    let grants = it["grants"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = grants.iter().map(|grant| {
        html! {
            td { bdi { (parts::json_text(&grant["role"])) } }
            td { bdi { (parts::cut(&all(&grant["namespaces"]))) } }
            td { bdi { (parts::cut(&all(&grant["workflows"]))) } }
            td { bdi { (parts::cut(&all(&grant["types"]))) } }
            td { (all(&grant["permissions"])) }
        }
    });
    let rows: Vec<Markup> = rows.collect();
    let body = html! {
        h1 { bdi { (parts::json_text(&it["subject"])) } }
        dl.facts {
            div { dt { "Known from" } dd { bdi { (parts::json_text(&it["issuer"])) } } }
            div { dt { "By" } dd { (text(&it, "method")) } }
            @if it["groups"].as_array().is_some_and(|it| !it.is_empty()) {
                div { dt { "Groups" } dd { bdi { (parts::cut(&all(&it["groups"]))) } } }
            }
            @if it["expiresAt"].is_string() {
                div { dt { "Until" } dd { (parts::time_text(text(&it, "expiresAt"))) } }
            }
        }
        @if rows.is_empty() {
            (parts::empty("Nothing is granted.", "windlass auth whoami"))
        } @else {
            (parts::table("What is granted",
                &["Role", "Namespaces", "Workflows", "Event types", "Permissions"], &rows))
        }
    };
    let command = "windlass auth whoami".to_owned();
    let title = "Who am I".to_owned();
    Ok(Page { title, section: "", command, body }.answer(&api, &caller))
}
