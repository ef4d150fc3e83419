//! Why data is no message, or a message no data: which field of it, and what is there.

use windlass_proto::value::Value;

use crate::request::excerpt;
use crate::seal::Seal;

/// What is wrong with one field of a message, or with the message itself.
#[derive(Debug)]
pub(crate) struct Mismatch {
    /// As in jq: `.order.items[3].price`; empty where the message itself is wrong.
    path: String,
    /// What follows the path in a sentence.
    why: String,
    /// What is there instead.
    found: Option<Value>,
}

impl Mismatch {
    /// `why` as it follows the name of the field: `must be …`.
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { path: String::new(), why: why.into(), found: None }
    }

    /// Where `found` is not what it must be.
    pub(super) fn of(found: &Value, why: impl Into<String>) -> Self {
        Self { found: Some(found.clone()), ..Self::new(why) }
    }

    /// The same, seen from the message that has it in the field `name`, or the map that has it
    /// under that key.
    pub(super) fn under(mut self, name: &str) -> Self {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '_';
        let is_name =
            name.chars().all(is_plain) && !name.starts_with(|it: char| it.is_ascii_digit());
        let step = match is_name && !name.is_empty() {
            true => format!(".{name}"),
            false => format!("[{}]", Value::from(name).to_json()),
        };
        self.path.insert_str(0, &step);
        self
    }

    /// The same, seen from the list that has it at `index`.
    pub(crate) fn at(mut self, index: usize) -> Self {
        self.path.insert_str(0, &format!("[{index}]"));
        self
    }

    /// The sentence, with secrets sealed before it is cut: half of one would not be recognised.
    pub(crate) fn told(&self, seal: &Seal) -> String {
        let cut = |text: &str| excerpt(seal.text(text).as_bytes());
        let space = if self.path.is_empty() { "" } else { " " };
        let what = format!("{}{space}{}", cut(&self.path), cut(&self.why));
        match &self.found {
            None => what,
            Some(Value::Array(_)) => format!("{what}, not an array"),
            Some(Value::Object(_)) => format!("{what}, not an object"),
            Some(value) => format!("{what}, not {}", cut(&value.to_json())),
        }
    }
}
