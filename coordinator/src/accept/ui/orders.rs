//! What can be done by forms. Each is handed to the function that answers the API, so that it is
//! checked, audited and answered as there.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{FromRequest, FromRequestParts as _, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use windlass_proto::id::InstanceId;

use super::{form, parts, repair, send};
use crate::accept::access::Caller;
use crate::accept::instance;
use crate::accept::operator::By;
use crate::accept::payload::Payload;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{OfInstance, Query, Segments};
use crate::accept::room::Room;
use crate::accept::start as starts;
use crate::accept::state::Api;
use crate::access::{Permission, Resource};
use crate::code::Code;
use crate::coordinator::InstanceView;
use crate::journal::Status;

/// An order: its name in the address, what the button says, and what it does.
struct Order {
    name: &'static str,
    title: &'static str,
    text: &'static str,
    grave: bool,
}

const CANCEL: Order = Order {
    name: "cancel",
    title: "Cancel",
    text: "It ends now, and what it has at workers is told to stop. This cannot be undone.",
    grave: true,
};
const SUSPEND: Order = Order {
    name: "suspend",
    title: "Suspend",
    text: "Tasks that run go on to their end; no new one begins until it is resumed.",
    grave: false,
};
const RESUME: Order =
    Order { name: "resume", title: "Resume", text: "It goes on where it stands.", grave: false };
const RETRY: Order = Order {
    name: "retry",
    title: "Retry",
    text: "Another instance goes on for it, at the task that failed. What was done is not done again.",
    grave: false,
};

/// What may be done with an instance that stands so.
fn possible(status: Status) -> &'static [Order] {
    match status {
        Status::Pending | Status::Running | Status::Waiting => &[SUSPEND, CANCEL],
        Status::Suspended => &[RESUME, CANCEL],
        Status::Faulted => &[RETRY],
        Status::Cancelled | Status::Completed => &[],
    }
}

/// What else is known where forms are made.
pub(super) struct Known<'a> {
    /// The type of events that it listens for; empty where that is not known, none where it does
    /// not listen.
    pub(super) listens: Option<String>,
    /// Where a reset shall begin.
    pub(super) to: Option<&'a str>,
}

/// The forms for an instance; none for whoever may only read.
pub(super) fn forms(
    (api, caller): (&Api, &Caller),
    view: &InstanceView,
    known: &Known<'_>,
) -> Markup {
    let workflow = &view.head.workflow;
    let of = Resource::Workflow(&workflow.namespace, &workflow.name);
    let may = caller.principal().may(Permission::InstanceOperate, of);
    let all = html! {
        @if may {
            @for order in possible(view.head.status) { (simple((api, caller), view, order)) }
            @if let Some(kind) = &known.listens { (send::to_instance((api, caller), view, kind)) }
            (repair::forms((api, caller), view, known.to))
        }
        (repair::again((api, caller), view))
    };
    if api.pages.is_none() || all.0.is_empty() {
        return html! { div #orders data-live {} };
    }
    html! {
        section #orders data-live data-status=(view.head.status.word()) aria-label="Actions" {
            h2 { "Actions" }
            (all)
        }
    }
}

fn simple((api, caller): (&Api, &Caller), view: &InstanceView, order: &Order) -> Markup {
    let path = parts::instance_path(&view.id.to_string());
    html! {
        details.order #{ "order-" (order.name) } {
            summary.button.grave[order.grave] { (order.title) "…" }
            form method="post" action={ (path) "/" (order.name) } {
                p { (order.text) }
                (form::token(api, caller))
                (form::reason(order.name, false))
                button.grave[order.grave] type="submit" { (order.title) " this instance" }
            }
        }
    }
}

/// An order for an instance by a form of a page, checked: the body is the one that the API would
/// have got.
pub(super) struct Ordered {
    id: InstanceId,
    by: By,
    payload: Payload,
}

impl FromRequest<Api> for Ordered {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiProblem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, api).await?;
        let OfInstance(id) = OfInstance::from_request_parts(&mut parts, api).await?;
        let by = By::from_request_parts(&mut parts, api).await?;
        let payload = Payload::from_request(Request::from_parts(parts, body), api).await?;
        let mut form = form::read(api, &caller, &payload)?;
        let reason = form.one("reason")?;
        form.finish()?;
        Ok(Self { id, by, payload: payload.replaced(&json!({"reason": reason})) })
    }
}

fn back(id: InstanceId) -> Response {
    Redirect::to(&parts::instance_path(&id.to_string())).into_response()
}

/// Cancels an instance.
pub(super) async fn cancel(api: State<Api>, order: Ordered) -> Result<Response, ApiProblem> {
    let Ordered { id, by, payload } = order;
    instance::cancel(api, OfInstance(id), by, payload).await.map(|_| back(id))
}

/// Suspends an instance.
pub(super) async fn suspend(api: State<Api>, order: Ordered) -> Result<Response, ApiProblem> {
    let Ordered { id, by, payload } = order;
    instance::suspend(api, OfInstance(id), by, payload).await.map(|_| back(id))
}

/// Resumes an instance.
pub(super) async fn resume(api: State<Api>, order: Ordered) -> Result<Response, ApiProblem> {
    let Ordered { id, by, payload } = order;
    instance::resume(api, OfInstance(id), by, payload).await.map(|_| back(id))
}

/// Has another instance go on for one, and shows that one.
pub(super) async fn retry(api: State<Api>, order: Ordered) -> Result<Response, ApiProblem> {
    let Ordered { id, by, payload } = order;
    let (_, successor) = instance::retry(api, OfInstance(id), by, payload).await?;
    let successor = super::json::document(successor)?;
    let id = super::json::text(&successor, "id");
    Ok(Redirect::to(&parts::instance_path(id)).into_response())
}

/// A start as the API takes it.
#[derive(Serialize)]
struct Start<'a> {
    workflow: Workflow<'a>,
    input: Box<RawValue>,
    labels: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Workflow<'a> {
    namespace: &'a str,
    name: &'a str,
    version: &'a str,
}

/// Starts an instance of a workflow, and shows it. A form that is sent twice starts one.
pub(super) async fn start(
    State(api): State<Api>,
    room: Extension<Room>,
    caller: Caller,
    Segments((namespace, name)): Segments<(String, String)>,
    by: By,
    payload: Payload,
) -> Result<Response, ApiProblem> {
    let mut form = form::read(&api, &caller, &payload)?;
    let (input, version) = (form.one("input")?, form.one("version")?);
    let (labels, key) = (form.one("labels")?.unwrap_or_default(), form.one("key")?);
    form.finish()?;
    let input = form::json("the input", input, "{}")?;
    let workflow = Workflow {
        namespace: &namespace,
        name: &name,
        version: version.as_deref().unwrap_or("latest"),
    };
    let body = Start { workflow, input, labels: labelled(&labels)? };
    let mut payload = payload.replaced(&body);
    if let Some(key) = key.and_then(|it| HeaderValue::from_str(&it).ok()) {
        payload.headers.insert("idempotency-key", key);
    }
    let state = State(api.clone());
    let started = starts::start(state, room, caller, by, Query::default(), payload).await?;
    let location = started.headers().get(header::LOCATION).and_then(|it| it.to_str().ok());
    let id = location.and_then(|it| it.rsplit('/').next()).unwrap_or_default();
    Ok(Redirect::to(&parts::instance_path(id)).into_response())
}

/// Labels of one line, `name=value` with blanks between them.
pub(super) fn labelled(text: &str) -> Result<BTreeMap<&str, &str>, ApiProblem> {
    let pairs = text.split_whitespace().map(|it| {
        it.split_once('=')
            .ok_or_else(|| ApiProblem::new(Code::BadBody, format!("`{it}` is not name=value")))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::{labelled, possible};
    use crate::journal::Status;

    #[test]
    fn nothing_is_offered_that_would_be_refused() {
        let names = |it| possible(it).iter().map(|it| it.name).collect::<Vec<_>>();
        assert_eq!(names(Status::Running), ["suspend", "cancel"]);
        assert_eq!(names(Status::Suspended), ["resume", "cancel"]);
        assert_eq!(names(Status::Faulted), ["retry"]);
        assert!(names(Status::Completed).is_empty() && names(Status::Cancelled).is_empty());
    }

    #[test]
    fn labels_are_pairs() {
        assert_eq!(labelled(" a=1  b=c=d ").ok(), Some([("a", "1"), ("b", "c=d")].into()));
        assert!(labelled("a").is_err_and(|it| it.detail().contains("name=value")));
    }
}
