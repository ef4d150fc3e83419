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
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .build(&document)
            .map_err(|error| InvalidSchema(error.to_string()))?;
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
