//! Schemas that stand where their envelope belongs.

use super::{Compat, codes, put};
use crate::definition::node::{Data, Mapping, Node};

/// Keywords of JSON Schema that its envelope has not.
const KEYWORDS: &[&str] = &[
    "$schema",
    "$id",
    "$ref",
    "$defs",
    "definitions",
    "type",
    "properties",
    "additionalProperties",
    "required",
    "items",
    "enum",
    "const",
    "anyOf",
    "allOf",
    "oneOf",
    "not",
    "if",
    "pattern",
    "minimum",
    "maximum",
];

impl Compat<'_> {
    /// `input`, `output` or `export`, whose schema may be external.
    pub(super) fn schema(&mut self, flow: &mut Node) {
        let Some(schema) = flow.get_mut("schema") else { return };
        self.bare_schema(schema);
        if let Some(resource) = schema.get_mut("resource") {
            self.resource(resource);
        }
    }

    /// `schema: { type: … }` instead of `schema: { document: { type: … } }`.
    fn bare_schema(&mut self, schema: &mut Node) {
        let Some(members) = schema.as_mapping() else { return };
        let has = |key: &str| members.contains_key(key);
        if has("document") || has("resource") || !KEYWORDS.iter().any(|key| has(key)) {
            return;
        }
        let place = schema.place;
        // `format` is a word of both: that of the envelope names a language of schemas.
        let is_json = |text: &str| text == "json" || text.starts_with("json:");
        let mut envelope = Mapping::new();
        let mut document = Mapping::new();
        for (key, member) in members {
            let outside = &**key == "format" && member.node.as_str().is_some_and(is_json);
            let to = if outside { &mut envelope } else { &mut document };
            to.insert(key.clone(), member.clone());
        }
        put(&mut envelope, "document", place, Node::new(place, Data::Mapping(document)));
        *schema = Node::new(place, Data::Mapping(envelope));
        let message = "`schema` holds the JSON Schema itself";
        let hint = "put it one level deeper: `schema: { document: { … } }`";
        self.deviation(codes::BARE_SCHEMA, place, message, hint);
    }
}
