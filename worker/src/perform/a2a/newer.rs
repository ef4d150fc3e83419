//! Parameters in the form of 1.0, of those in the form of 0.3.

use windlass_proto::value::{Members, Value};

use super::method::Method;
use super::older::{change, each, rename, with};

/// Parameters of `method`.
pub(super) fn parameters(method: Method, mut parameters: Members) -> Members {
    match method {
        Method::Send | Method::Stream => {
            change(&mut parameters, "message", message);
            change(&mut parameters, "configuration", configuration);
        }
        Method::List => change(&mut parameters, "status", state),
        // These have no metadata any more.
        Method::Get | Method::Resubscribe => drop(parameters.shift_remove("metadata")),
        Method::SetPush => {
            parameters.shift_remove("metadata");
            let config = parameters.shift_remove("pushNotificationConfig");
            let config = config.map(|it| with(it, own_push)).and_then(Value::into_members);
            parameters.extend(config.into_iter().flatten());
        }
        Method::GetPush | Method::DeletePush => {
            parameters.shift_remove("metadata");
            rename(&mut parameters, "id", "taskId");
            rename(&mut parameters, "pushNotificationConfigId", "id");
        }
        Method::ListPush => {
            parameters.shift_remove("metadata");
            rename(&mut parameters, "id", "taskId");
        }
        Method::Cancel | Method::ExtendedCard => {}
    }
    parameters
}

fn message(value: Value) -> Value {
    with(value, |it| {
        it.shift_remove("kind");
        change(it, "role", |role| upper("ROLE_", role));
        change(it, "parts", |all| each(all, part));
    })
}

fn part(value: Value) -> Value {
    with(value, |it| match it.get("kind").and_then(Value::as_str) {
        Some("text" | "data") => drop(it.shift_remove("kind")),
        Some("file") => {
            it.shift_remove("kind");
            let file = it.shift_remove("file").and_then(Value::into_members);
            let mut file = file.unwrap_or_default();
            for (from, to) in
                [("bytes", "raw"), ("uri", "url"), ("name", "filename"), ("mimeType", "mediaType")]
            {
                rename(&mut file, from, to);
            }
            it.extend(file);
        }
        _ => {}
    })
}

fn configuration(value: Value) -> Value {
    with(value, |it| {
        if let Some(Value::Bool(blocking)) = it.get("blocking") {
            let returns = Value::Bool(!blocking);
            it.shift_remove("blocking");
            it.insert("returnImmediately".into(), returns);
        }
        rename(it, "pushNotificationConfig", "taskPushNotificationConfig");
        change(it, "taskPushNotificationConfig", |config| with(config, own_push));
    })
}

/// One scheme is all that can be said of how an agent shows itself.
fn own_push(config: &mut Members) {
    change(config, "authentication", |it| {
        with(it, |it| {
            let schemes = it.shift_remove("schemes");
            let first = schemes.and_then(|it| it.as_array()?.first().cloned());
            it.extend(first.map(|first| ("scheme".into(), first)));
        })
    });
}

fn state(value: Value) -> Value {
    match value.as_str() {
        Some("unknown") => Value::from("TASK_STATE_UNSPECIFIED"),
        _ => upper("TASK_STATE_", value),
    }
}

fn upper(prefix: &str, value: Value) -> Value {
    let text = value.as_str().map(|it| it.to_ascii_uppercase().replace('-', "_"));
    text.map(|it| Value::from(format!("{prefix}{it}"))).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::parameters;
    use crate::perform::a2a::method::Method;
    use crate::perform::a2a::older;
    use crate::testing::json;
    use windlass_proto::value::{Members, Value};

    fn members(text: &str) -> Members {
        json(text).into_members().unwrap_or_default()
    }

    #[test]
    fn parameters_of_either_form_become_those_of_the_other() {
        for (method, older_form, newer_form) in [
            (
                Method::Send,
                r#"{"message": {"messageId": "m", "role": "user", "kind": "message",
                    "metadata": {"role": "user", "kind": "text"}, "parts": [
                    {"text": "a", "kind": "text", "metadata": {"kind": "file"}},
                    {"data": {"role": "agent", "blocking": true}, "kind": "data"},
                    {"kind": "file", "file": {"bytes": "AA==", "name": "n", "mimeType": "t/s"}},
                    {"kind": "file", "file": {"uri": "http://a"}}]},
                    "configuration": {"blocking": false, "historyLength": 2,
                        "acceptedOutputModes": ["text"],
                        "pushNotificationConfig": {"url": "http://b", "token": "t",
                            "authentication": {"credentials": "c", "schemes": ["Bearer"]}}},
                    "metadata": {"a": 1}}"#,
                r#"{"message": {"messageId": "m", "role": "ROLE_USER",
                    "metadata": {"role": "user", "kind": "text"}, "parts": [
                    {"text": "a", "metadata": {"kind": "file"}},
                    {"data": {"role": "agent", "blocking": true}},
                    {"raw": "AA==", "filename": "n", "mediaType": "t/s"},
                    {"url": "http://a"}]},
                    "configuration": {"returnImmediately": true, "historyLength": 2,
                        "acceptedOutputModes": ["text"],
                        "taskPushNotificationConfig": {"url": "http://b", "token": "t",
                            "authentication": {"credentials": "c", "scheme": "Bearer"}}},
                    "metadata": {"a": 1}}"#,
            ),
            (
                Method::List,
                r#"{"status": "input-required", "contextId": "c"}"#,
                r#"{"status": "TASK_STATE_INPUT_REQUIRED", "contextId": "c"}"#,
            ),
            (
                Method::SetPush,
                r#"{"taskId": "t", "pushNotificationConfig": {"id": "p", "url": "http://a"}}"#,
                r#"{"taskId": "t", "id": "p", "url": "http://a"}"#,
            ),
            (
                Method::DeletePush,
                r#"{"id": "t", "pushNotificationConfigId": "p"}"#,
                r#"{"taskId": "t", "id": "p"}"#,
            ),
            (Method::GetPush, r#"{"id": "t"}"#, r#"{"taskId": "t"}"#),
            (Method::ListPush, r#"{"id": "t"}"#, r#"{"taskId": "t"}"#),
            (
                Method::Get,
                r#"{"id": "t", "historyLength": 1}"#,
                r#"{"id": "t", "historyLength": 1}"#,
            ),
            (
                Method::Cancel,
                r#"{"id": "t", "metadata": {"a": 1}}"#,
                r#"{"id": "t", "metadata": {"a": 1}}"#,
            ),
            (Method::ExtendedCard, "{}", "{}"),
        ] {
            let newer = parameters(method, members(older_form));
            assert_eq!(Value::from(newer.clone()), json(newer_form), "{method:?}");
            // Who writes the newer form is understood, and who writes the older one as well.
            let back = older::parameters(method, newer);
            assert_eq!(Value::from(back.clone()), json(older_form), "{method:?}");
            let same = older::parameters(method, back);
            assert_eq!(Value::from(same), json(older_form), "{method:?}");
        }
    }

    #[test]
    fn what_has_no_place_any_more_is_left_out() {
        let given = r#"{"id": "t", "metadata": {"a": 1}}"#;
        for method in [Method::Get, Method::Resubscribe] {
            assert_eq!(Value::from(parameters(method, members(given))), json(r#"{"id": "t"}"#));
        }
    }

    #[test]
    fn what_is_of_another_shape_stays_as_it_is() {
        let odd =
            r#"{"message": {"parts": "a", "role": 7, "kind": "message"}, "configuration": 1}"#;
        let expected = r#"{"message": {"parts": "a", "role": 7}, "configuration": 1}"#;
        assert_eq!(Value::from(parameters(Method::Send, members(odd))), json(expected));
        let part = r#"{"message": {"parts": [1, {"kind": "video", "a": 1}, {"kind": "file"}]}}"#;
        let expected = r#"{"message": {"parts": [1, {"kind": "video", "a": 1}, {}]}}"#;
        assert_eq!(Value::from(parameters(Method::Send, members(part))), json(expected));
    }
}
