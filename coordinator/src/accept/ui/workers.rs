//! Workers: who performs tasks, and how busy each is.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value as Json;

use super::json::{document, items, text};
use super::layout::Page;
use super::parts;
use crate::accept::access::Caller;
use crate::accept::problem::ApiProblem;
use crate::accept::query::Query;
use crate::accept::state::Api;
use crate::accept::worker;

/// The page.
pub(super) async fn page(
    State(api): State<Api>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiProblem> {
    let found = document(worker::list(State(api.clone()), query).await?)?;
    let rows: Vec<Markup> = items(&found).iter().map(row).collect();
    let body = html! {
        h1 { "Workers" }
        div #live data-live data-poll {
            @if rows.is_empty() {
                (parts::empty(
                    "No worker is registered. In `windlass dev` there is one in this process, which is \
                     not listed. Elsewhere, start one:",
                    "windlass worker --nats nats://127.0.0.1:4222 --key KEY",
                ))
            } @else {
                (parts::table(
                    "Workers",
                    &["Worker", "Pool", "State", "Busy", "Last beat", "Since", "Version", "Can do"],
                    &rows,
                ))
            }
        }
    };
    let command = "windlass worker list".to_owned();
    let title = "Workers".to_owned();
    Ok(Page { title, section: "workers", command, body }.answer(&api, &caller))
}

fn row(it: &Json) -> Markup {
    let silent = it["silentMs"].as_u64().unwrap_or_default();
    let can: Vec<&str> =
        it["capabilities"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    html! {
        td.id { bdi { (parts::json_text(&it["identity"])) } }
        td { bdi { (parts::json_text(&it["pool"])) } }
        td { (text(it, "state")) }
        td.number { (parts::json_text(&it["inFlight"])) " of " (parts::json_text(&it["concurrency"])) }
        td { (parts::duration(silent)) " ago" }
        td { (parts::time_text(text(it, "joinedAt"))) }
        td { bdi { (parts::json_text(&it["version"])) } }
        td { bdi { (parts::cut(&can.join(", "))) } }
    }
}
