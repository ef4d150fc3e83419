//! The table of shapes as a JSON Schema, for editors.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::{Object, Shape, tasks};

/// What the schema calls a task.
const TASK: &str = "task";
/// What holds an expression.
const EXPRESSION: &str = r"\$\{";

/// A JSON Schema (draft 2020-12) of all that is an `object`, such as a workflow.
///
/// It is for editors, which underline what it refuses: what the decoder accepts with a warning as a
/// deviation is not in it, and what has to do with other parts of a text only the decoder judges.
#[must_use]
pub fn schema(of: &'static Object) -> Json {
    let mut all = Definitions::default();
    let root = all.object(of);
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(of.about));
    if let Json::Object(members) = root {
        schema.extend(members);
    }
    let parts: Map<String, Json> = all.0.into_iter().collect();
    if !parts.is_empty() {
        schema.insert("$defs".to_owned(), Json::Object(parts));
    }
    Json::Object(schema)
}

/// Parts that others refer to, by name.
#[derive(Default)]
struct Definitions(BTreeMap<String, Json>);

impl Definitions {
    /// A reference to an object, which is described once.
    fn reference(&mut self, object: &'static Object) -> Json {
        if !self.0.contains_key(object.name) {
            // Before what is in it, which may refer back.
            self.0.insert(object.name.to_owned(), Json::Null);
            let described = self.object(object);
            self.0.insert(object.name.to_owned(), described);
        }
        json!({ "$ref": format!("#/$defs/{}", object.name) })
    }

    fn object(&mut self, object: &'static Object) -> Json {
        let mut properties = Map::new();
        for property in object.all() {
            let mut shape = self.shape(&property.shape);
            shape["description"] = json!(property.about);
            properties.insert(property.key.to_owned(), shape);
        }
        let mut described = json!({
            "type": "object", "description": object.about, "properties": properties,
        });
        if !object.required.is_empty() {
            described["required"] = json!(object.required);
        }
        if !object.open {
            described["additionalProperties"] = json!(false);
        }
        if let Some(by) = &object.by_word {
            let each = by.table.iter().map(|(word, holds)| {
                let holds = self.reference(holds);
                json!({
                    "if": { "properties": { by.key: { "const": word } }, "required": [by.key] },
                    "then": { "properties": { by.of: holds }, "required": [by.of] },
                })
            });
            described["allOf"] = Json::Array(each.collect());
        }
        described
    }

    /// A task: by the first key that tells one, as the decoder has it, so that an editor shows what
    /// is wrong with that kind and not with all.
    fn task(&mut self) -> Json {
        if !self.0.contains_key(TASK) {
            self.0.insert(TASK.to_owned(), Json::Null);
            let words: Vec<_> =
                tasks::KINDS.iter().map(|(word, _)| json!({ "required": [word] })).collect();
            let mut chain = json!({ "anyOf": words });
            for (word, kind) in tasks::KINDS.iter().rev() {
                let then = self.reference(kind);
                chain = json!({ "if": { "required": [word] }, "then": then, "else": chain });
            }
            chain["type"] = json!("object");
            self.0.insert(TASK.to_owned(), chain);
        }
        json!({ "$ref": format!("#/$defs/{TASK}") })
    }

    fn shape(&mut self, shape: &'static Shape) -> Json {
        match shape {
            Shape::Any => json!({}),
            Shape::Mapping => json!({ "type": "object" }),
            Shape::Text | Shape::Expression | Shape::Uri | Shape::Flow => {
                json!({ "type": "string" })
            }
            Shape::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
            Shape::Transform | Shape::Values => json!({ "type": ["object", "string"] }),
            Shape::Flag => json!({ "type": "boolean" }),
            Shape::Number(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Shape::Decimal => json!({ "type": "number" }),
            Shape::Duration => self.duration(),
            Shape::Words(words) => json!({ "type": "string", "enum": words() }),
            Shape::Of(object) => self.reference(object),
            Shape::Task => self.task(),
            Shape::List(of) => json!({ "type": "array", "items": self.shape(of) }),
            Shape::One(of) => json!({
                "type": "object", "minProperties": 1, "maxProperties": 1,
                "additionalProperties": self.shape(of),
            }),
            Shape::Names(of) => {
                json!({ "type": "object", "additionalProperties": self.shape(of) })
            }
            Shape::Either(all) => {
                let each: Vec<_> = all.iter().map(|it| self.shape(it)).collect();
                json!({ "anyOf": each })
            }
        }
    }

    fn duration(&mut self) -> Json {
        const NAME: &str = "duration";
        self.0.entry(NAME.to_owned()).or_insert_with(|| {
            let units = ["days", "hours", "minutes", "seconds", "milliseconds"];
            let units: Map<_, _> = units
                .map(|it| (it.to_owned(), json!({ "type": "integer", "minimum": 0 })))
                .into_iter()
                .collect();
            json!({ "anyOf": [
                { "type": "string", "pattern": "^P" },
                { "type": "string", "pattern": EXPRESSION },
                { "type": "object", "properties": units, "additionalProperties": false,
                  "minProperties": 1 },
            ] })
        });
        json!({ "$ref": format!("#/$defs/{NAME}") })
    }
}
