//! What a schema says of the properties of a body.

use windlass_proto::limits;
use windlass_proto::value::Value;

use crate::perform::documents::{Documents, Located, Trouble};

/// A property of a body, as far as a request has to know.
pub(super) struct Property {
    pub(super) schema: Located,
    pub(super) required: bool,
}

impl Documents {
    /// The property `name` of what `schema` describes, if it has one.
    pub(super) fn property(
        &self,
        schema: &Located,
        name: &str,
    ) -> Result<Option<Property>, Trouble> {
        let mut required = false;
        let mut found = None;
        let mut parts = vec![(schema.clone(), true)];
        for _ in 0..limits::OPENAPI_SCHEMA_PARTS {
            let Some((part, always)) = parts.pop() else { break };
            let part = match self.resolve(part) {
                Ok(part) => part,
                Err(Trouble::Needs(url)) => return Err(Trouble::Needs(url)),
                // The others may still have it.
                Err(Trouble::Wrong(_)) => continue,
            };
            let names = part.value.get("required").and_then(Value::as_array).unwrap_or_default();
            required |= always && names.iter().any(|it| it.as_str() == Some(name));
            if let Some(property) = part.part("properties").and_then(|it| it.part(name)) {
                found.get_or_insert(property);
            }
            for (word, holds) in [("allOf", always), ("oneOf", false), ("anyOf", false)] {
                parts.extend(part.elements(word).into_iter().map(|part| (part, holds)));
            }
        }
        let Some(schema) = found else { return Ok(None) };
        let schema = match self.resolve(schema) {
            Ok(schema) => schema,
            Err(Trouble::Needs(url)) => return Err(Trouble::Needs(url)),
            Err(Trouble::Wrong(_)) => return Ok(None),
        };
        Ok(Some(Property { schema, required }))
    }
}

impl Property {
    /// True when its value may be an object.
    pub(super) fn takes_objects(&self) -> bool {
        let of = |value: &Value| match value.get("type") {
            Some(Value::String(kind)) => Some(&**kind == "object"),
            Some(kinds @ Value::Array(_)) => {
                let kinds = kinds.as_array().unwrap_or_default();
                Some(kinds.iter().any(|it| it.as_str() == Some("object")))
            }
            _ => None,
        };
        of(&self.schema.value).unwrap_or(true)
    }

    /// True for bytes, or a list of them.
    pub(super) fn is_binary(&self, documents: &Documents) -> Result<bool, Trouble> {
        if is_binary(&self.schema) {
            return Ok(true);
        }
        let alternatives = ["items", "anyOf", "oneOf"];
        for word in alternatives {
            let parts = match self.schema.value.get(word) {
                Some(Value::Array(_)) => self.schema.elements(word),
                Some(one) => vec![self.schema.beside(one)],
                None => continue,
            };
            for part in parts {
                match documents.resolve(part) {
                    Ok(part) if is_binary(&part) => return Ok(true),
                    Err(Trouble::Needs(url)) => return Err(Trouble::Needs(url)),
                    Ok(_) | Err(Trouble::Wrong(_)) => {}
                }
            }
        }
        Ok(false)
    }
}

/// `format` of OpenAPI 3.0, or `contentMediaType` without `contentEncoding` of 3.1.
fn is_binary(schema: &Located) -> bool {
    schema.text("format") == Some("binary")
        || (schema.text("contentEncoding").is_none()
            && schema.text("contentMediaType").is_some_and(|it| it != "application/json"))
}
