//! Messages: requests, and the replies to them.

use windlass_proto::value::Value;

/// The error of whoever does not know a method.
pub(in crate::perform) const METHOD_NOT_FOUND: i64 = -32_601;
/// The error of whoever takes a message for no request; some give it for a method they do not know.
pub(in crate::perform) const INVALID_REQUEST: i64 = -32_600;

/// A request with the number `id`.
pub(in crate::perform) fn request(id: i64, method: &str, parameters: Value) -> Value {
    Value::object([
        ("jsonrpc", Value::from("2.0")),
        ("id", Value::Int(id)),
        ("method", Value::from(method)),
        ("params", parameters),
    ])
}

/// What is answered to a request.
#[derive(Debug)]
pub(in crate::perform) enum Reply {
    Result(Value),
    Error(RpcError),
}

/// The error of an answer.
#[derive(Debug)]
pub(in crate::perform) struct RpcError {
    pub(in crate::perform) code: i64,
    pub(in crate::perform) message: String,
    pub(in crate::perform) data: Option<Value>,
}

impl Reply {
    /// The first answer in `message`, which may be a batch of messages, to what `is_asked`, and
    /// what it answers: nobody knows that of a message that could not be read.
    pub(in crate::perform) fn in_message(
        message: &Value,
        is_asked: impl Fn(Option<i64>) -> bool,
    ) -> Option<(Option<i64>, Self)> {
        let all = message.as_array().unwrap_or(std::slice::from_ref(message));
        all.iter().filter_map(Self::of).find(|(id, _)| is_asked(*id))
    }

    fn of(message: &Value) -> Option<(Option<i64>, Self)> {
        let reply = match (message.get("result"), message.get("error")) {
            // One of them is wrong, and nobody knows which.
            (Some(result), Some(error)) if !result.is_null() && !error.is_null() => return None,
            (Some(result), None | Some(Value::Null)) => Self::Result(result.clone()),
            // What is in the way of a server has errors of its own in JSON, without such a code.
            (_, Some(error)) => Self::Error(RpcError {
                code: error.get("code")?.as_i64()?,
                message: error.get("message").map(Value::to_text).unwrap_or_default(),
                data: error.get("data").filter(|it| !it.is_null()).cloned(),
            }),
            // Some leave out a result that is null.
            (None, None) if is_response(message) => Self::Result(Value::Null),
            (None, None) => return None,
        };
        let id = message.get("id").filter(|it| !it.is_null());
        Some((id.map(|it| number(it).unwrap_or(NOBODYS)), reply))
    }
}

/// The id of a request, where there is one at a time.
pub(in crate::perform) const ONLY: i64 = 1;

/// The id of no request: they are counted from one.
const NOBODYS: i64 = -1;

/// The number that an id is. Some write numbers as texts, or with a fraction.
fn number(id: &Value) -> Option<i64> {
    let text = match id {
        Value::Float(it) if it.fract() == 0.0 => return format!("{it:.0}").parse().ok(),
        other => other.as_str(),
    };
    id.as_i64().or_else(|| text?.parse().ok())
}

/// Tells answers to the request with the number `asked`, where there is one, from those to others.
pub(in crate::perform) fn answers(asked: Option<i64>) -> impl Fn(Option<i64>) -> bool {
    move |id| asked.is_none() || id.is_none() || id == asked
}

/// True for what can be nothing but a response, whatever is missing in it.
fn is_response(message: &Value) -> bool {
    let has = |key: &str| message.get(key).is_some_and(|it| !it.is_null());
    has("jsonrpc") && has("id") && !has("method")
}

#[cfg(test)]
mod tests {
    use super::{Reply, answers};
    use crate::testing::json;

    fn found(message: &str) -> Option<(Option<i64>, Reply)> {
        Reply::in_message(&json(message), |_| true)
    }

    #[test]
    fn replies_are_found_among_other_messages() {
        let batch = r#"[{"method": "notifications/message", "params": {}},
                        {"id": "3", "result": {"a": 1}}, {"id": 4, "result": {}}]"#;
        assert!(
            matches!(found(batch), Some((Some(3), Reply::Result(it))) if it == json(r#"{"a": 1}"#))
        );
        let error = r#"{"id": null, "error": {"code": -32600, "message": "no", "data": null}}"#;
        let Some((None, Reply::Error(error))) = found(error) else { panic!() };
        assert_eq!((error.code, &*error.message, error.data), (-32_600, "no", None));
        let errors = [r#"{"error": "no"}"#, r#"{"error": {"code": "no"}}"#, r#"{"error": {}}"#];
        for other in ["{}", "1", "[]", r#"{"id": 1, "method": "ping"}"#].into_iter().chain(errors) {
            assert!(found(other).is_none(), "{other}");
        }
    }

    #[test]
    fn an_answer_to_another_request_is_none() {
        let answered = |message: &str| {
            let found = Reply::in_message(&json(message), answers(Some(3)));
            found.map(|(id, _)| id)
        };
        for id in ["3", "3.0", "\"3\""] {
            assert_eq!(answered(&format!(r#"{{"id": {id}, "result": 1}}"#)), Some(Some(3)), "{id}");
        }
        for id in ["4", "-1", "3.5", "\"three\"", "{}"] {
            assert_eq!(answered(&format!(r#"{{"id": {id}, "result": 1}}"#)), None, "{id}");
        }
        // Of a message that could not be read, nobody knows the id.
        assert_eq!(answered(r#"{"id": null, "error": {"code": -32700}}"#), Some(None));
        assert_eq!(answered(r#"[{"id": 2, "result": 1}, {"id": 3, "result": 2}]"#), Some(Some(3)));
        assert!(found(r#"{"id": 3, "result": 1, "error": {"code": 1}}"#).is_none(), "both");
    }

    #[test]
    fn members_that_are_null_say_nothing() {
        let both = r#"{"id": 1, "result": {"a": 1}, "error": null}"#;
        assert!(matches!(found(both), Some((_, Reply::Result(_)))));
        let both = r#"{"id": 1, "result": null, "error": {"code": 1, "message": "no"}}"#;
        assert!(matches!(found(both), Some((_, Reply::Error(_)))));
        for nothing in [r#"{"id": 1, "result": null}"#, r#"{"id": 1, "jsonrpc": "2.0"}"#] {
            assert!(matches!(found(nothing), Some((_, Reply::Result(it))) if it.is_null()));
        }
    }
}
