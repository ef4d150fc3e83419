//! What came of an assignment or a call, as a worker says it.

use serde::{Deserialize, Serialize};

use super::message::MessageError;
use super::packed::Packed;
use crate::limits;
use crate::problem::{Problem, Standard};
use crate::secret::SecretUse;
use crate::value::Value;

/// What a report carries, packed.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The transformed output, or the error. For a call, what the function gave.
    pub result: Result<Value, Problem>,
    /// The secrets that were read for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretUse>,
    /// Milliseconds for which whoever was asked does not want to be asked again, as it says itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// An outcome as it is read: an error can be anything.
#[derive(Deserialize)]
struct Said {
    result: Result<Value, Value>,
    #[serde(default)]
    secrets: Vec<SecretUse>,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

impl From<Result<Value, Problem>> for Outcome {
    fn from(result: Result<Value, Problem>) -> Self {
        Self { result, secrets: Vec::new(), retry_after_ms: None }
    }
}

/// How the detail of an outcome begins that cannot be read.
pub const UNREADABLE: &str = "what the worker reported cannot be read";

impl Outcome {
    /// Packs it.
    ///
    /// # Errors
    /// Never for what this crate makes; the encoder's signature allows it.
    pub fn pack(&self) -> Result<Packed, MessageError> {
        Packed::of(self)
    }

    /// Reads what a worker of this project packed, or another one. What cannot be read is the error
    /// of the task: it was performed, and to do it again would give the same.
    #[must_use]
    pub fn unpack(packed: &Packed) -> Self {
        match packed.read::<Said>() {
            Ok(Said { result, secrets, retry_after_ms }) => {
                let result = result.map_err(|it| problem(&it).unwrap_or_else(|it| it));
                Self { result, secrets, retry_after_ms }
            }
            Err(error) => Self::unreadable(error),
        }
    }

    /// An outcome that cannot be read: the error of its task.
    #[must_use]
    pub fn unreadable(why: impl std::fmt::Display) -> Self {
        let detail = format!("{UNREADABLE}: {why}");
        Self::from(Err(Problem::new(Standard::Runtime, detail)))
    }

    /// The same for a worker that knows nothing of jq: NaN and the infinities are no values to it,
    /// and would become null or a huge number in silence.
    #[must_use]
    pub fn finite(mut self) -> Self {
        if let Ok(value) = &self.result
            && let Some(number) = not_finite(value)
        {
            let detail =
                format!("the function's result contains {number}, which is no value of JSON");
            self.result = Err(Problem::new(Standard::Runtime, detail));
        }
        self
    }
}

/// NaN or an infinity in a value, if there is one.
fn not_finite(value: &Value) -> Option<f64> {
    match value {
        Value::Float(it) if !it.is_finite() => Some(*it),
        Value::Array(_) => value.as_array().unwrap_or_default().iter().find_map(not_finite),
        Value::Object(_) => {
            value.as_object().into_iter().flat_map(|it| it.values()).find_map(not_finite)
        }
        _ => None,
    }
}

/// An error from its fields; what is wrong with them, as an error, where they do not make one.
fn problem(said: &Value) -> Result<Problem, Problem> {
    let field = |name: &str| said.get(name).filter(|it| !matches!(it, Value::Null));
    let wrong = |name: &str, what: &str| {
        let shown = field(name).map_or_else(|| "missing".to_owned(), shown);
        let told =
            field("detail").and_then(Value::as_str).map(|it| format!("; it says: {}", cut(it)));
        let detail = format!(
            "the worker reported an error that is none of RFC 7807: its `{name}` is {shown}, not {what}{}",
            told.unwrap_or_default()
        );
        Problem::new(Standard::Runtime, detail)
    };
    if said.as_object().is_none() {
        let detail = format!("the worker reported an error that is no map: {}", shown(said));
        return Err(Problem::new(Standard::Runtime, detail));
    }
    let text = |name: &str| match field(name) {
        None => Ok(None),
        Some(it) => it.as_str().map(|it| Some(it.into())).ok_or_else(|| wrong(name, "a text")),
    };
    let kind = text("type")?.ok_or_else(|| wrong("type", "a text"))?;
    let status = field("status").and_then(status);
    let status = status.ok_or_else(|| wrong("status", "a whole number from 0 to 65535"))?;
    let (title, detail, instance) = (text("title")?, text("detail")?, text("instance")?);
    Ok(Problem { kind, status, title, detail, instance })
}

fn status(value: &Value) -> Option<u16> {
    match value {
        Value::Int(it) => u16::try_from(*it).ok(),
        // A language without integers may write one so.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Value::Float(it) if it.fract() == 0.0 && (0.0..=65_535.0).contains(it) => Some(*it as u16),
        _ => None,
    }
}

/// A value as a detail shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(it) => format!("the text `{}`", cut(it)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        other => cut(&other.to_text()),
    }
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    text.chars().take(limits::CLAIM_SHOWN_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Packed};
    use crate::problem::Problem;
    use crate::value::Value;

    fn read(json: &str) -> Result<Value, Problem> {
        Outcome::unpack(&Packed::of(&Value::from_json(json).unwrap()).unwrap()).result
    }

    fn detail(result: Result<Value, Problem>) -> String {
        let problem = result.unwrap_err();
        assert!(problem.kind.ends_with("/runtime"), "{problem:?}");
        problem.detail.unwrap().to_string()
    }

    #[test]
    fn outcomes_survive_and_a_whole_float_is_a_status() {
        let ok = Outcome::from(Ok(Value::from("x")));
        assert_eq!(Outcome::unpack(&ok.pack().unwrap()).result, Ok(Value::from("x")));
        let problem =
            read(r#"{"result": {"Err": {"type": "a:b", "status": 409.0, "title": "T", "x": 1}}}"#);
        let problem = problem.unwrap_err();
        assert_eq!((&*problem.kind, problem.status, problem.detail), ("a:b", 409, None));
        let outcome = Outcome {
            retry_after_ms: Some(1_500),
            ..Outcome::from(Err(Problem::new(super::Standard::Timeout, "late")))
        };
        let read = Outcome::unpack(&outcome.pack().unwrap());
        assert_eq!((read.result, read.retry_after_ms), (outcome.result, Some(1_500)));
        // As it was written before there was such a thing.
        let older = Packed::of(&Value::from_json(r#"{"result": {"Ok": 1}}"#).unwrap()).unwrap();
        assert_eq!(Outcome::unpack(&older).retry_after_ms, None);
        assert!(
            detail(
                super::Outcome::unpack(
                    &Packed::of(
                        &Value::from_json(r#"{"result": {"Ok": 1}, "retry_after_ms": -1}"#)
                            .unwrap()
                    )
                    .unwrap()
                )
                .result
            )
            .contains("cannot be read")
        );
    }

    #[test]
    fn an_error_that_is_none_says_what_is_wrong_with_it() {
        let cases = [
            (r#"{"type": "a", "status": 70000, "detail": "why"}"#, "`status` is 70000"),
            (r#"{"type": "a", "status": -1}"#, "`status` is -1"),
            (r#"{"type": "a", "status": 422.5}"#, "`status` is 422.5"),
            (r#"{"type": "a", "status": "500"}"#, "`status` is the text `500`"),
            (r#"{"type": "a"}"#, "`status` is missing"),
            (r#"{"status": 500}"#, "`type` is missing"),
            (r#"{"type": 7, "status": 500}"#, "`type` is 7"),
            (r#"{"type": "a", "status": 500, "detail": {"a": 1}}"#, "`detail` is a map"),
            (r#"{"type": "a", "status": 500, "title": [1]}"#, "`title` is a list"),
            (r#""broken""#, "no map: the text `broken`"),
        ];
        for (error, expected) in cases {
            let said = detail(read(&format!(r#"{{"result": {{"Err": {error}}}}}"#)));
            assert!(said.contains(expected), "{error}: {said}");
        }
        let said =
            detail(read(r#"{"result": {"Err": {"type": "a", "status": 7e9, "detail": "why"}}}"#));
        assert!(said.ends_with("it says: why"), "{said}");
    }

    #[test]
    fn bytes_that_are_no_outcome_are_the_error_of_the_task() {
        let deep = |levels: usize| {
            let mut bytes = b"\x81\xa6result\x81\xa2Ok".to_vec();
            bytes.extend(std::iter::repeat_n(0x91, levels));
            bytes.push(0xc0);
            Packed::from_bytes(bytes)
        };
        assert!(Outcome::unpack(&deep(256)).result.is_ok());
        assert!(detail(Outcome::unpack(&deep(257)).result).contains("256 levels"));
        assert!(detail(Outcome::unpack(&deep(5_000)).result).contains("cannot be read"));
        for (ok, expected) in [
            (&b"\xa2\xff\xfe"[..], "utf8"),
            (b"\xd4\x05\x00", "extension"),
            (b"\xc4\x02ab", "digits"),
            (b"\xc4\x02\xff\x00", "digits"),
            (b"\xc4\x00", "digits"),
            (b"\x81\x01\x02", "string"),
            (b"\xa4ab", "end of file"),
        ] {
            let bytes = [b"\x81\xa6result\x81\xa2Ok", ok].concat();
            let said = detail(Outcome::unpack(&Packed::from_bytes(bytes)).result);
            assert!(said.contains(expected), "{ok:x?}: {said}");
        }
        for json in [r#"{}"#, r#"{"result": 5}"#, r#"{"result": {"Ok": 1, "Err": 2}}"#, "[]"] {
            assert!(detail(read(json)).contains("cannot be read"), "{json}");
        }
        assert!(detail(Outcome::unpack(&Packed::default()).result).contains("missing"));
    }

    #[test]
    fn what_is_no_number_of_json_is_none() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let value = Value::object([("a", Value::array(vec![Value::Float(number)]))]);
            let outcome = Outcome::from(Ok(value));
            assert!(detail(outcome.finite().result).contains(&number.to_string()));
        }
        let fine = Outcome::from(Ok(Value::Float(0.5)));
        assert!(fine.finite().result.is_ok());
    }
}
