//! Answers of a server with every digit of their numbers, at any depth that data can have.
//!
//! serde's values would round integers beyond 64 bits, refuse some, and nest 128 levels only. So
//! the digits go through them as texts with a mark, which is taken off when they are printed. The
//! mark is another one in each process: no data can bring it along.

use std::borrow::Cow;
use std::sync::OnceLock;

use serde_json::{Map, Number, Value as Json};
use uuid::Uuid;
use windlass_proto::limits::{self, VALUE_DEPTH};
use windlass_proto::value::{JsonError, Value};

fn mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| format!("integer-{}-", Uuid::new_v4().simple()))
}

/// Reads an answer.
///
/// # Errors
/// When it is not JSON, or nests deeper than data in an answer can.
pub(crate) fn read(text: &str) -> Result<Json, JsonError> {
    Value::from_json_within(text, VALUE_DEPTH + limits::ANSWER_LEVELS).map(convert)
}

fn convert(value: Value) -> Json {
    match value {
        Value::Null | Value::Sealed(_) => Json::Null,
        Value::Bool(it) => Json::Bool(it),
        Value::Int(it) => Json::from(it),
        Value::Float(it) => Number::from_f64(it).map_or(Json::Null, Json::Number),
        Value::Big(digits) => match digits.parse::<u64>() {
            Ok(it) => Json::from(it),
            Err(_) => Json::String(format!("{}{digits}", mark())),
        },
        Value::String(it) => Json::String(it.to_string()),
        value @ Value::Array(_) => Json::Array(
            value.into_elements().unwrap_or_default().into_iter().map(convert).collect(),
        ),
        value => {
            let members = value.into_members().unwrap_or_default();
            let members = members.into_iter().map(|(name, it)| (name.to_string(), convert(it)));
            Json::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// The text of a JSON document, with the numbers that [`read`] has marked.
pub(crate) fn written(text: &str) -> Cow<'_, str> {
    let begin = format!("\"{}", mark());
    if !text.contains(&begin) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(&begin);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // Digits have no quotes in them.
        let (digits, rest) = part.split_once('"').unwrap_or((part, ""));
        out.push_str(digits);
        out.push_str(rest);
    }
    Cow::Owned(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{read, written};

    /// As a command prints an answer.
    fn through(text: &str) -> String {
        written(&serde_json::to_string(&read(text).unwrap()).unwrap()).into_owned()
    }

    #[test]
    fn numbers_and_depth_survive() {
        let power = "1267650600228229401496703205376";
        let long = "9".repeat(400);
        for text in [
            &format!(r#"{{"a":[{power},-{power},18446744073709551615,1.0,0.5],"b":"{power}"}}"#),
            &format!(r#"{{"output":{long}}}"#),
            power,
            &format!(r#"{{"input":{}{}}}"#, "[".repeat(256), "]".repeat(256)),
            r#"{"z":null,"a":"integer-12","m":"\"integer-"}"#,
        ] {
            assert_eq!(through(text), *text);
        }
        let pretty = serde_json::to_string_pretty(&read(&format!("[{power}]")).unwrap()).unwrap();
        assert_eq!(written(&pretty), format!("[\n  {power}\n]"));
    }
}
