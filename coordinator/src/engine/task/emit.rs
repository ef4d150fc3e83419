//! `emit`: makes a CloudEvent and waits until it is handed over. The output is the event.

use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::expression::Template;
use windlass_proto::id::FrameId;
use windlass_proto::plan::Plan;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::value::{Members, Value};

use crate::engine::effect::Effect;
use crate::engine::fact::Fact;
use crate::engine::turn::Turn;

impl Turn<'_> {
    pub(super) fn emit(&mut self, id: FrameId, template: &Template, input: &Value) {
        let Some(attributes) = self.definition(id, template, input) else { return };
        let visit = self.state.frame(id).map_or(0, |frame| frame.visit);
        let key = format!("{}{}/{visit:x}", self.state.id, self.reference(id));
        match event(self.plan, &key, self.at, attributes) {
            Ok(event) => {
                self.record(Fact::Emitted { frame: id, event: event.clone() });
                self.effect(Effect::Publish { frame: id, event: Arc::new(event) });
            }
            Err(detail) => self.fail(id, Problem::new(Standard::Expression, detail)),
        }
    }
}

/// Fills in what the author left out. The id is a function of instance, task and visit, so that a
/// receiver can tell an event that is handed over twice.
fn event(plan: &Plan, key: &str, at: Timestamp, attributes: Value) -> Result<CloudEvent, String> {
    let given = attributes.into_members().ok_or("`emit.event.with` must be an object")?;
    let mut members = Members::new();
    members.insert("specversion".into(), "1.0".into());
    for (name, value) in given {
        match (&*name, value) {
            (_, Value::Null) if &*name != "data" => {}
            ("data", value) => {
                members.insert(name, value);
            }
            (_, value) if value.has_sealed() => {
                return Err(format!(
                    "the attribute `{name}` of an event is for all to read, but it is sealed: only \
                     `data` can hold a sealed value"
                ));
            }
            (_, value) => {
                members.insert(name, Value::from(value.to_text()));
            }
        }
    }
    let identity = || Uuid::new_v5(&Uuid::NAMESPACE_URL, key.as_bytes()).to_string();
    members.entry("id".into()).or_insert_with(|| identity().into());
    members.entry("source".into()).or_insert_with(|| {
        format!("/{}/{}/{}", plan.id.namespace, plan.id.name, plan.id.version).into()
    });
    members.entry("time".into()).or_insert_with(|| at.to_rfc3339().into());
    if members.contains_key("data") {
        members.entry("datacontenttype".into()).or_insert_with(|| "application/json".into());
    }
    CloudEvent::from_value(Value::from(members)).map_err(|error| error.to_string())
}
