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
    /// The first answer in `message`, which may be a batch of messages, and what it answers.
    pub(in crate::perform) fn in_message(message: &Value) -> Option<(Option<i64>, Self)> {
        let all = message.as_array().unwrap_or(std::slice::from_ref(message));
        all.iter().find_map(Self::of)
    }

    fn of(message: &Value) -> Option<(Option<i64>, Self)> {
        let reply = match (message.get("result"), message.get("error")) {
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
        let id = message.get("id");
        // Some write numbers as texts.
        let id = id.and_then(|it| it.as_i64().or_else(|| it.as_str()?.parse().ok()));
        Some((id, reply))
    }
}

/// True for what can be nothing but a response, whatever is missing in it.
fn is_response(message: &Value) -> bool {
    let has = |key: &str| message.get(key).is_some_and(|it| !it.is_null());
    has("jsonrpc") && has("id") && !has("method")
}

#[cfg(test)]
mod tests {
    use super::Reply;
    use crate::testing::json;

    #[test]
    fn replies_are_found_among_other_messages() {
        let batch = r#"[{"method": "notifications/message", "params": {}},
                        {"id": "3", "result": {"a": 1}}, {"id": 4, "result": {}}]"#;
        let found = Reply::in_message(&json(batch));
        assert!(matches!(found, Some((Some(3), Reply::Result(it))) if it == json(r#"{"a": 1}"#)));
        let error = r#"{"id": null, "error": {"code": -32600, "message": "no", "data": null}}"#;
        let Some((None, Reply::Error(error))) = Reply::in_message(&json(error)) else { panic!() };
        assert_eq!((error.code, &*error.message, error.data), (-32_600, "no", None));
        let errors = [r#"{"error": "no"}"#, r#"{"error": {"code": "no"}}"#, r#"{"error": {}}"#];
        for other in ["{}", "1", "[]", r#"{"id": 1, "method": "ping"}"#].into_iter().chain(errors) {
            assert!(Reply::in_message(&json(other)).is_none(), "{other}");
        }
    }

    #[test]
    fn members_that_are_null_say_nothing() {
        let both = r#"{"id": 1, "result": {"a": 1}, "error": null}"#;
        assert!(matches!(Reply::in_message(&json(both)), Some((_, Reply::Result(_)))));
        let both = r#"{"id": 1, "result": null, "error": {"code": 1, "message": "no"}}"#;
        assert!(matches!(Reply::in_message(&json(both)), Some((_, Reply::Error(_)))));
        for nothing in [r#"{"id": 1, "result": null}"#, r#"{"id": 1, "jsonrpc": "2.0"}"#] {
            let found = Reply::in_message(&json(nothing));
            assert!(matches!(found, Some((_, Reply::Result(it))) if it.is_null()));
        }
    }
}
