//! Values of parameters as text, by the styles of OpenAPI.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use windlass_proto::value::Value;

use super::document::Parameter;

/// RFC 3986: what never needs encoding.
pub(super) const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

impl Parameter {
    /// True when the elements of an array are separate parameters of one name.
    pub(super) fn repeats(&self) -> bool {
        self.explode && self.style == "form"
    }

    /// What stands between the elements of an array.
    fn separator(&self) -> &'static str {
        match &*self.style {
            "spaceDelimited" => " ",
            "pipeDelimited" => "|",
            "tabDelimited" => "\t",
            _ => ",",
        }
    }

    /// The value as one text, not encoded.
    pub(super) fn joined(&self, value: &Value) -> String {
        self.parts(value, false).join(self.separator())
    }

    /// The texts that make up the value, encoded where `encode` says so.
    fn parts(&self, value: &Value, encode: bool) -> Vec<String> {
        let text = |value: &Value| {
            let text = value.to_text();
            if encode { encoded(&text) } else { text }
        };
        if self.json {
            let json = value.to_json();
            return vec![if encode { encoded(&json) } else { json }];
        }
        if let Some(elements) = value.as_array() {
            return elements.iter().map(text).collect();
        }
        let Some(members) = value.as_object() else { return vec![text(value)] };
        let mut parts = Vec::new();
        for (key, value) in members {
            let key = if encode { encoded(key) } else { key.to_string() };
            if self.explode {
                parts.push(format!("{key}={}", text(value)));
            } else {
                parts.extend([key, text(value)]);
            }
        }
        parts
    }
}

/// The value in the place of `{name}`, encoded.
pub(super) fn in_path(parameter: &Parameter, value: &Value) -> String {
    let parts = parameter.parts(value, true);
    match &*parameter.style {
        "label" if parameter.explode => format!(".{}", parts.join(".")),
        "label" => format!(".{}", parts.join(",")),
        "matrix" => {
            let name = encoded(&parameter.name);
            match (parameter.explode, value) {
                (true, Value::Object(_)) => parts.iter().map(|part| format!(";{part}")).collect(),
                (true, _) => parts.iter().map(|part| format!(";{name}={part}")).collect(),
                (false, _) => format!(";{name}={}", parts.join(",")),
            }
        }
        _ => parts.join(&encoded_separator(parameter)),
    }
}

/// Appends the value's `name=value` pairs, encoded.
pub(super) fn in_query(parameter: &Parameter, value: &Value, query: &mut Vec<String>) {
    let name = encoded(&parameter.name);
    let parts = parameter.parts(value, true);
    match (&*parameter.style, value) {
        _ if parameter.json => query.push(format!("{name}={}", parts.join(""))),
        ("deepObject", Value::Object(_) | Value::Array(_)) => {
            deep(&name, value, &encoded, &mut |name, value| {
                query.push(format!("{name}={}", encoded(&value)));
            });
        }
        ("form", Value::Object(_)) if parameter.explode => query.extend(parts),
        ("form", Value::Array(_)) if parameter.explode => {
            query.extend(parts.iter().map(|part| format!("{name}={part}")));
        }
        _ => query.push(format!("{name}={}", parts.join(&encoded_separator(parameter)))),
    }
}

/// Shows the texts inside of `value` to `each`, with names such as `name[key][0]`. What the
/// specification leaves open, objects in objects and lists, is written as most who use the style
/// do.
pub(super) fn deep(
    name: &str,
    value: &Value,
    encode: &dyn Fn(&str) -> String,
    each: &mut dyn FnMut(&str, String),
) {
    match value {
        Value::Null => {}
        Value::Object(_) => {
            for (key, value) in value.as_object().into_iter().flatten() {
                deep(&format!("{name}[{}]", encode(key)), value, encode, each);
            }
        }
        Value::Array(_) => {
            for (index, value) in value.as_array().unwrap_or_default().iter().enumerate() {
                deep(&format!("{name}[{index}]"), value, encode, each);
            }
        }
        text => each(name, text.to_text()),
    }
}

/// The separator as it may stand in a URL: a comma is allowed there.
fn encoded_separator(parameter: &Parameter) -> String {
    match parameter.separator() {
        "," => ",".to_owned(),
        other => encoded(other),
    }
}
