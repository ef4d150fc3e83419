//! One order for all instances that match: what it would be about is shown first.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Serialize;

use super::form::Sent;
use super::json::{document, text};
use super::layout::Page;
use super::{bulk, form, parts};
use crate::accept::access::Caller;
use crate::accept::filter;
use crate::accept::problem::ApiProblem;
use crate::accept::state::Api;
use crate::access::Permission;
use crate::bulk::Action;
use crate::journal::{Filter, Status};

/// Orders that may be given to many, what buttons say, and what each does.
const ACTIONS: [(Action, &str, &str); 4] = [
    (Action::Cancel, "Cancel", "They end now, and what they have at workers is told to stop."),
    (Action::Suspend, "Suspend", "Tasks that run go on to their end; no new one begins."),
    (Action::Resume, "Resume", "Those that are suspended go on where they stand."),
    (
        Action::Retry,
        "Retry",
        "Another instance goes on for each that has faulted, at the task that failed.",
    ),
];

/// The filter that asks for what an address asks for, as one text; none where that cannot be said,
/// or would mean anything else.
pub(super) fn text_of(pairs: &[(String, String)], meant: &Filter) -> Option<String> {
    let conditions: Option<Vec<String>> =
        pairs.iter().filter(|(name, _)| name != "limit").map(condition).collect();
    let text = conditions?.join(" ");
    let read = filter::of_text(&text).ok().filter(|it| !it.is_empty())?;
    // An order must never reach more than the list that it was given from.
    let meant = Filter { visible: read.visible.clone(), ..meant.clone() };
    (format!("{read:?}") == format!("{meant:?}")).then_some(text)
}

fn condition((name, value): &(String, String)) -> Option<String> {
    let quoted = |it: &str| format!("\"{}\"", it.replace('\\', "\\\\").replace('"', "\\\""));
    Some(match name.as_str() {
        "filter" => value.clone(),
        "namespace" | "name" | "version" | "status" | "error" | "root" | "parent" => {
            format!("{name}={}", quoted(value))
        }
        "label" => {
            let (label, value) = value.split_once('=')?;
            format!("label.{label}={}", quoted(value))
        }
        "startedAfter" => format!("started>={value}"),
        "startedBefore" => format!("started<{value}"),
        "endedAfter" => format!("ended>={value}"),
        "endedBefore" => format!("ended<{value}"),
        _ => return None,
    })
}

/// Whether an order is for instances of any of these statuses; none stands for all.
fn is_for(action: Action, statuses: &[Status]) -> bool {
    statuses.is_empty() || statuses.iter().any(|it| action.statuses().contains(it))
}

/// The forms for all that match, for whoever may operate somewhere.
pub(super) fn forms(
    (api, caller): (&Api, &Caller),
    filter: Option<(&str, &[Status])>,
    is_filtered: bool,
) -> Markup {
    if !caller.principal().may_somewhere(Permission::InstanceOperate) {
        return html! {};
    }
    let Some((filter, statuses)) = filter else {
        return html! {
            @if is_filtered {
                p.hint { "Say it in the filter alone to give an order to all that match." }
            }
        };
    };
    html! {
        section #orders aria-label="All that match" {
            @for (action, title, does) in ACTIONS.iter().filter(|it| is_for(it.0, statuses)) {
                @let word = action.word();
                details.order #{ "order-" (word) } {
                    summary.button.grave[word == "cancel"] { (title) " all that match…" }
                    form method="post" action="/ui/bulk" {
                        p { (does) " How many they are is shown first." }
                        (form::token(api, caller))
                        input type="hidden" name="action" value=(word);
                        input type="hidden" name="filter" value=(filter);
                        (form::reason(word, false))
                        button type="submit" { "Show how many" }
                    }
                }
            }
        }
    }
}

#[derive(Serialize)]
struct Order<'a> {
    action: &'a str,
    filter: &'a str,
    reason: Option<&'a str>,
    preview: bool,
}

/// Shows how many instances an order is about; once that was confirmed, gives it.
pub(super) async fn start(api: State<Api>, sent: Sent) -> Result<Response, ApiProblem> {
    let Sent { caller, by, payload, mut fields } = sent;
    let (action, filter) = (fields.one("action")?, fields.one("filter")?);
    let (action, filter) = (action.unwrap_or_default(), filter.unwrap_or_default());
    let reason = fields.one("reason")?;
    let confirmed = fields.one("confirm")?.is_some_and(|it| it == "yes");
    fields.finish()?;
    if !ACTIONS.iter().any(|it| it.0.word() == action) {
        let words = ACTIONS.map(|it| it.0.word()).join(", ");
        return Err(ApiProblem::parameter("action", format!("must be one of {words}")));
    }
    let order =
        Order { action: &action, filter: &filter, reason: reason.as_deref(), preview: !confirmed };
    let payload = payload.replaced(&order);
    let started = crate::accept::bulk::start(api.clone(), caller.clone(), by, payload).await?;
    let job = document(started.1)?;
    if confirmed {
        return Ok(Redirect::to(&bulk::path(text(&job, "id"))).into_response());
    }
    let count = job["total"].as_u64().unwrap_or_default();
    let list = parts::address("/ui/instances", &[("filter", &filter)]);
    let body = html! {
        h1 { "Bulk " (action) }
        p {
            "Nothing is done yet. " b { (count) }
            @if count == 1 { " instance matches " } @else { " instances match " }
            code { bdi { (parts::cut(&filter)) } } " now, of those that this is for."
        }
        form.sheet method="post" action="/ui/bulk" {
            (form::token(&api, &caller))
            input type="hidden" name="confirm" value="yes";
            input type="hidden" name="action" value=(action);
            input type="hidden" name="filter" value=(filter);
            @if let Some(reason) = &reason { input type="hidden" name="reason" value=(reason); }
            @if count > 0 {
                button.grave[action == "cancel"] type="submit" { (action) " them" }
            }
            a href=(list) { "Leave them as they are" }
        }
    };
    let command = format!("windlass bulk {action} --filter {} --preview", parts::quoted(&filter));
    let title = format!("Bulk {action}");
    Ok(Page { title, section: "bulk", command, body }.answer(&api, &caller))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{ACTIONS, Status, is_for, text_of};
    use crate::accept::filter::filter;
    use crate::accept::query::Query;

    fn of(address: &str) -> Option<String> {
        let query = Query::parse(address).unwrap();
        let meant = filter(&mut query.clone()).unwrap();
        text_of(query.pairs(), &meant)
    }

    #[test]
    fn a_text_asks_for_what_the_address_asks_for() {
        let made = of("filter=workflow%3Da/b&status=waiting&label=l%3Dx+%22y&limit=5").unwrap();
        assert_eq!(made, "workflow=a/b status=\"waiting\" label.l=\"x \\\"y\"");
        assert!(of("startedAfter=2026-01-31T08:00:00Z&endedBefore=2026-01-31T08:00:00Z").is_some());
        assert!(of("label=a%3D1&label=b%3D2").is_some());
    }

    #[test]
    fn orders_are_offered_for_statuses_that_they_are_for() {
        let of = |statuses: &[Status]| {
            let offered = ACTIONS.iter().filter(|it| is_for(it.0, statuses));
            offered.map(|it| it.0.word()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]).len(), 4);
        assert_eq!(of(&[Status::Faulted]), ["retry"]);
        assert_eq!(of(&[Status::Waiting, Status::Suspended]), ["cancel", "suspend", "resume"]);
        assert!(of(&[Status::Completed]).is_empty());
    }

    #[test]
    fn what_cannot_be_said_is_not_offered() {
        assert_eq!(of(""), None, "it would be for all");
        assert_eq!(of("limit=5"), None);
        assert_eq!(of("filter=status%3Drunning&status=waiting"), None, "not twice");
        assert_eq!(of("label=a+b%3D1"), None, "the name of the label has a blank");
        assert_eq!(of("label=a%3D"), None, "it has no value");
        assert_eq!(of("label=status%3C1%3D2"), None, "it would be another condition");
    }
}
