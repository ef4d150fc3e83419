//! Sending an event by a form: to whoever waits for it, or to one instance.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::value::RawValue;
use windlass_proto::value::Value;

use super::form::Sent;
use super::json::document;
use super::orders::labelled;
use super::{events, form, parts};
use crate::accept::access::Caller;
use crate::accept::event;
use crate::accept::problem::ApiProblem;
use crate::accept::query::{OfInstance, Query};
use crate::accept::state::Api;
use crate::code::Code;
use crate::coordinator::InstanceView;

/// An event as the API takes it.
#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(flatten)]
    more: BTreeMap<&'a str, &'a str>,
}

/// Attributes that have a field of their own.
const OWN: [&str; 5] = ["specversion", "id", "source", "type", "data"];

/// What a form says of an event.
struct Told {
    id: String,
    source: String,
    kind: String,
    data: Option<Box<RawValue>>,
    more: String,
}

impl Told {
    fn of(fields: &mut Query) -> Result<Self, ApiProblem> {
        let data = fields.one("data")?.filter(|it| !it.trim().is_empty());
        let id = fields.one("id")?.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        Ok(Self {
            id,
            source: fields.one("source")?.unwrap_or_default(),
            kind: fields.one("type")?.unwrap_or_default(),
            data: data.map(|it| form::json("the data", Some(it), "null")).transpose()?,
            more: fields.one("more")?.unwrap_or_default(),
        })
    }

    fn event(&self) -> Result<Event<'_>, ApiProblem> {
        let more = labelled(&self.more)?;
        if let Some(name) = OWN.iter().find(|it| more.contains_key(*it)) {
            let detail = format!("`{name}` is no other attribute: it has a field of its own");
            return Err(ApiProblem::new(Code::BadBody, detail));
        }
        let Self { id, source, kind, data, .. } = self;
        Ok(Event { specversion: "1.0", id, source, kind, data: data.clone(), more })
    }
}

/// The fields of an event; sent twice, it is one.
pub(super) fn fields(kind: &str) -> Markup {
    html! {
        input type="hidden" name="id" value=(uuid::Uuid::new_v4());
        label for="event-type" { "Type" }
        input #event-type type="text" name="type" value=(kind) required autocomplete="off"
            placeholder="com.example.order.paid";
        label for="event-source" { "Source, a URI" }
        input #event-source type="text" name="source" value="/ui" required autocomplete="off";
        label for="event-data" { "Data, JSON" }
        textarea #event-data name="data" rows="5" spellcheck="false" { "{}" }
        label for="event-more" {
            "Other attributes, such as subject=4711 (blanks between them)"
        }
        input #event-more type="text" name="more" autocomplete="off";
    }
}

/// The form that sends one to an instance.
pub(super) fn to_instance(
    (api, caller): (&Api, &Caller),
    view: &InstanceView,
    kind: &str,
) -> Markup {
    let path = parts::instance_path(&view.id.to_string());
    html! {
        details.order #order-event {
            summary.button { "Send an event…" }
            form method="post" action={ (path) "/events" } {
                p { "This instance gets it, and nobody else." }
                (form::token(api, caller))
                (fields(kind))
                button type="submit" { "Send it to this instance" }
            }
        }
    }
}

/// The type of the first event that a task listens for, where it says one.
pub(super) fn kind(definition: &Value) -> Option<&str> {
    let to = definition.get("listen")?.get("to")?;
    let one = to.get("one").or_else(|| {
        let many = ["any", "all"].into_iter().find_map(|it| to.get(it));
        many?.as_array()?.first()
    });
    // What is computed is not known here.
    one?.get("with")?.get("type")?.as_str().filter(|it| !it.starts_with("${"))
}

/// Sends one to an instance.
pub(super) async fn send(
    api: State<Api>,
    OfInstance(id): OfInstance,
    sent: Sent,
) -> Result<Response, ApiProblem> {
    let Sent { by, payload, mut fields, .. } = sent;
    let told = Told::of(&mut fields)?;
    fields.finish()?;
    let payload = payload.replaced(&told.event()?);
    let sent = event::send(api, OfInstance(id), by, payload).await;
    sent.map(|_| Redirect::to(&parts::instance_path(&id.to_string())).into_response())
}

/// Sends one to whoever waits for it, and shows the events of the namespace it was sent from.
pub(super) async fn publish(api: State<Api>, sent: Sent) -> Result<Response, ApiProblem> {
    let Sent { caller, by, payload, mut fields } = sent;
    let told = Told::of(&mut fields)?;
    let namespace = fields.one("namespace")?;
    fields.finish()?;
    let payload = payload.replaced(&told.event()?);
    let (_, answer) = event::publish(api, caller, by, payload).await?;
    let answer = document(answer)?;
    let here = namespace.map_or_else(|| "/ui/events".to_owned(), |it| events::path(&it));
    let count = |name: &str| answer[name].as_u64().unwrap_or_default().to_string();
    let (consumed, kept) = (count("consumed"), count("kept"));
    let address = parts::address(&here, &[("consumed", &consumed), ("kept", &kept)]);
    Ok(Redirect::to(&address).into_response())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::value::Value;

    use super::{Told, kind};
    use crate::accept::query::Query;

    #[test]
    fn the_type_is_the_one_that_a_task_listens_for() {
        let of = |to: &str| {
            let text = format!("{{\"listen\": {{\"to\": {to}}}}}");
            kind(&Value::from_json(&text).unwrap()).map(str::to_owned)
        };
        assert_eq!(of(r#"{"one": {"with": {"type": "a.b"}}}"#).as_deref(), Some("a.b"));
        assert_eq!(of(r#"{"any": [{"with": {"type": "c"}}, {}]}"#).as_deref(), Some("c"));
        assert_eq!(of(r#"{"one": {"with": {"type": "${ .x }"}}}"#), None);
        assert_eq!((of(r#"{"any": []}"#), of("{}")), (None, None));
    }

    #[test]
    fn an_event_is_what_the_form_says() {
        let read = |text: &str| Told::of(&mut Query::parse(text).unwrap()).unwrap();
        let told = read("id=1&type=a&source=/s&data=1.50&more=subject%3D7");
        let made = serde_json::to_string(&told.event().unwrap()).unwrap();
        let expected =
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"a","data":1.50,"subject":"7"}"#;
        assert_eq!(made, expected, "numbers stay as they are written");
        assert!(read("more=type%3Db").event().is_err(), "it would be there twice");
        let none = read("id=1&type=a&source=/s&data=+");
        assert!(none.event().unwrap().data.is_none());
    }
}
