//! JSON Schema for `input.schema`, `output.schema`, `export.schema`.

use std::sync::Arc;

use crate::value::Value;

/// A compiled schema. Draft 2020-12 unless `$schema` says otherwise; references are resolved only
/// inside the document.
#[derive(Clone, Debug)]
pub struct Schema {
    validator: Arc<jsonschema::Validator>,
}

/// The schema document itself is not a JSON Schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON Schema: {0}")]
pub struct InvalidSchema(pub String);

impl Schema {
    /// Compiles `document`.
    ///
    /// # Errors
    /// When it is not a JSON Schema, or refers outside itself.
    pub fn compile(document: &Value) -> Result<Self, InvalidSchema> {
        let document =
            serde_json::to_value(document).map_err(|error| InvalidSchema(error.to_string()))?;
        let mut options = jsonschema::options();
        if document.get("$schema").is_none() {
            options = options.with_draft(jsonschema::Draft::Draft202012);
        }
        let validator =
            options.build(&document).map_err(|error| InvalidSchema(error.to_string()))?;
        Ok(Self { validator: Arc::new(validator) })
    }

    /// Checks `value`; the message names at most a few places where it is refused.
    ///
    /// # Errors
    /// When the schema refuses it.
    pub fn validate(&self, value: &Value) -> Result<(), String> {
        const SHOWN: usize = 5;
        let data = serde_json::to_value(value).map_err(|error| error.to_string())?;
        let mut errors = self.validator.iter_errors(&data);
        let mut messages = Vec::new();
        for error in errors.by_ref().take(SHOWN) {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/".to_owned() } else { place };
            messages.push(format!("{place}: {}", error.masked()));
        }
        if messages.is_empty() {
            return Ok(());
        }
        if errors.next().is_some() {
            messages.push("and more".to_owned());
        }
        Err(messages.join("; "))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Schema, Value};

    fn schema(text: &str) -> Schema {
        Schema::compile(&Value::from_json(text).unwrap()).unwrap()
    }

    fn check(schema: &Schema, text: &str) -> Result<(), String> {
        schema.validate(&Value::from_json(text).unwrap())
    }

    #[test]
    fn messages_name_places_but_no_values() {
        let schema = schema(
            r#"{"type":"object","required":["a"],"properties":{"a":{"type":"integer"},
            "b":{"items":{"maxLength":3}}}}"#,
        );
        assert_eq!(check(&schema, r#"{"a":1,"b":["x"]}"#), Ok(()));
        let message = check(&schema, r#"{"a":"SECRET","b":["ok","SECRET"]}"#).unwrap_err();
        assert!(message.contains("/a: ") && message.contains("/b/1: "), "{message}");
        assert!(!message.contains("SECRET"), "{message}");
        assert!(check(&schema, "{}").unwrap_err().starts_with("/: "));
    }

    #[test]
    fn only_a_few_errors_are_listed() {
        let schema = schema(r#"{"items":{"type":"string"}}"#);
        let message = check(&schema, &format!("[{}0]", "0,".repeat(500))).unwrap_err();
        assert!(message.ends_with("and more") && message.len() < 500, "{message}");
    }

    #[test]
    fn drafts_are_told_apart() {
        let old = schema(
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}]}"#,
        );
        assert!(check(&old, "[1]").is_err());
        let new = schema(r#"{"prefixItems":[{"type":"string"}],"unevaluatedItems":false}"#);
        assert!(check(&new, r#"["a"]"#).is_ok());
        assert!(check(&new, r#"["a",1]"#).is_err());
        assert!(check(&schema("false"), "1").is_err());
        assert!(check(&schema("true"), "1").is_ok());
    }

    #[test]
    fn references_outside_the_document_are_refused() {
        for reference in ["http://127.0.0.1:1/x.json", "file:///etc/passwd", "other.json"] {
            let text = format!(r#"{{"$ref":"{reference}"}}"#);
            assert!(Schema::compile(&Value::from_json(&text).unwrap()).is_err(), "{reference}");
        }
        let inside = schema(r##"{"$defs":{"n":{"type":"null"}},"items":{"$ref":"#/$defs/n"}}"##);
        assert!(check(&inside, "[null]").is_ok());
        assert!(check(&inside, "[1]").is_err());
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for text in [r#"{"type":"strin"}"#, "5", r#"{"pattern":"("}"#, r#"{"required":"a"}"#] {
            assert!(Schema::compile(&Value::from_json(text).unwrap()).is_err(), "{text}");
        }
    }

    #[test]
    fn schemas_that_refer_to_themselves_end() {
        let tree = schema(r##"{"properties":{"next":{"$ref":"#"}},"required":["v"]}"##);
        assert!(check(&tree, r#"{"v":1,"next":{"v":2}}"#).is_ok());
        assert!(check(&tree, r#"{"v":1,"next":{}}"#).is_err());
        let levels = r#"{"v":1,"next":"#.repeat(250);
        let deep = format!(r#"{levels}{{"v":0}}{}"#, "}".repeat(250));
        let body = move || assert!(check(&tree, &deep).is_ok());
        std::thread::Builder::new().stack_size(2 << 20).spawn(body).unwrap().join().unwrap();
    }
}
