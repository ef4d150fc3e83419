//! Parameters and results in the form of 0.3, whatever form they have.
//!
//! What is in that form stays as it is, and so does all that neither version knows. Data, metadata
//! and texts are never looked into.

use windlass_proto::value::{Members, Value};

use super::method::Method;

/// Parameters of `method`.
pub(super) fn parameters(method: Method, mut parameters: Members) -> Members {
    match method {
        Method::Send | Method::Stream => {
            change(&mut parameters, "message", message);
            change(&mut parameters, "configuration", configuration);
        }
        Method::List => change(&mut parameters, "status", state),
        Method::SetPush => return members(push(Value::from(parameters))),
        Method::GetPush | Method::DeletePush if parameters.contains_key("taskId") => {
            rename(&mut parameters, "id", "pushNotificationConfigId");
            rename(&mut parameters, "taskId", "id");
        }
        Method::ListPush => rename(&mut parameters, "taskId", "id"),
        _ => {}
    }
    parameters
}

/// A result of `method`.
pub(super) fn result(method: Method, value: Value) -> Value {
    match method {
        Method::Send | Method::Stream | Method::Resubscribe => event(value),
        Method::Get | Method::Cancel => task(value),
        Method::List => with(value, |it| change(it, "tasks", |all| each(all, task))),
        Method::SetPush | Method::GetPush => push(value),
        Method::ListPush => {
            let configs = value.get("configs").cloned();
            let none = value.as_object().is_some_and(Members::is_empty);
            let all = if none { Value::array(Vec::new()) } else { configs.unwrap_or(value) };
            each(all, push)
        }
        // There is nothing to say.
        Method::DeletePush if value.as_object().is_some_and(Members::is_empty) => Value::Null,
        Method::DeletePush => value,
        Method::ExtendedCard => card(value),
    }
}

/// True where a task goes on only when somebody does something, or not at all.
pub(super) fn is_settled(task: &Value) -> bool {
    let state = task.get("status").and_then(|it| it.get("state")?.as_str());
    !matches!(state, Some("submitted" | "working" | "unknown") | None)
}

/// What a message is answered with, at once or in a stream.
fn event(value: Value) -> Value {
    let Some(members) = value.as_object().filter(|it| !it.contains_key("kind")) else {
        return of_kind(value);
    };
    let wrapped = |key: &str| members.get(key).filter(|it| it.as_object().is_some()).cloned();
    if let Some(inner) = wrapped("task") {
        task(inner)
    } else if let Some(inner) = wrapped("message") {
        message(inner)
    } else if let Some(inner) = wrapped("statusUpdate") {
        status_update(inner)
    } else if let Some(inner) = wrapped("artifactUpdate") {
        artifact_update(inner)
    } else {
        value
    }
}

fn of_kind(value: Value) -> Value {
    match value.get("kind").and_then(Value::as_str) {
        Some("task") => task(value),
        Some("message") => message(value),
        Some("status-update") => status_update(value),
        Some("artifact-update") => artifact_update(value),
        _ => value,
    }
}

fn task(value: Value) -> Value {
    with(value, |it| {
        change(it, "status", status);
        change(it, "history", |all| each(all, message));
        change(it, "artifacts", |all| each(all, artifact));
        kind(it, "task");
    })
}

fn status(value: Value) -> Value {
    with(value, |it| {
        change(it, "state", state);
        change(it, "message", message);
    })
}

fn status_update(value: Value) -> Value {
    with(value, |it| {
        change(it, "status", status);
        kind(it, "status-update");
        let state = it.get("status").and_then(|it| it.get("state")?.as_str());
        let is_over = matches!(state, Some("completed" | "canceled" | "failed" | "rejected"));
        it.entry("final".into()).or_insert(Value::Bool(is_over));
    })
}

fn artifact_update(value: Value) -> Value {
    with(value, |it| {
        change(it, "artifact", artifact);
        kind(it, "artifact-update");
    })
}

fn artifact(value: Value) -> Value {
    with(value, |it| change(it, "parts", |all| each(all, part)))
}

fn message(value: Value) -> Value {
    with(value, |it| {
        change(it, "role", role);
        change(it, "parts", |all| each(all, part));
        kind(it, "message");
    })
}

fn part(value: Value) -> Value {
    with(value, |it| {
        if it.contains_key("kind") {
            return;
        }
        // Some agents say all that they have nothing to say of.
        let is_empty = |value: &Value| value.as_str() == Some("");
        it.retain(|key, value| !matches!(&**key, "filename" | "mediaType") || !is_empty(value));
        let place = if it.contains_key("raw") { ("raw", "bytes") } else { ("url", "uri") };
        if it.contains_key("text") {
            kind(it, "text");
        } else if it.contains_key("data") {
            kind(it, "data");
        } else if it.contains_key(place.0) {
            let names = [place, ("filename", "name"), ("mediaType", "mimeType")];
            let moved =
                names.into_iter().filter_map(|(from, to)| Some((to, it.shift_remove(from)?)));
            let file = Value::object(moved.collect::<Vec<_>>());
            kind(it, "file");
            it.insert("file".into(), file);
        }
    })
}

fn role(value: Value) -> Value {
    let name = value.as_str().and_then(|it| it.strip_prefix("ROLE_"));
    name.map(|it| Value::from(it.to_ascii_lowercase())).unwrap_or(value)
}

fn state(value: Value) -> Value {
    match value.as_str().and_then(|it| it.strip_prefix("TASK_STATE_")) {
        Some("UNSPECIFIED") => Value::from("unknown"),
        Some(name) => Value::from(name.to_ascii_lowercase().replace('_', "-")),
        None => value,
    }
}

/// What goes along with a message.
fn configuration(value: Value) -> Value {
    with(value, |it| {
        if let Some(Value::Bool(returns)) = it.get("returnImmediately") {
            let blocking = Value::Bool(!returns);
            it.shift_remove("returnImmediately");
            it.entry("blocking".into()).or_insert(blocking);
        }
        rename(it, "taskPushNotificationConfig", "pushNotificationConfig");
        change(it, "pushNotificationConfig", |config| with(config, own_push));
    })
}

/// Where an agent tells what becomes of a task.
fn push(value: Value) -> Value {
    with(value, |it| {
        if it.contains_key("pushNotificationConfig") || it.is_empty() {
            return;
        }
        let mut config = std::mem::take(it);
        for key in ["taskId", "tenant", "metadata"] {
            let taken = config.shift_remove(key);
            it.extend(taken.map(|value| (key.into(), value)));
        }
        own_push(&mut config);
        it.insert("pushNotificationConfig".into(), Value::from(config));
    })
}

fn own_push(config: &mut Members) {
    change(config, "authentication", |it| {
        with(it, |it| {
            if let Some(scheme) = it.shift_remove("scheme") {
                it.entry("schemes".into()).or_insert(Value::array(vec![scheme]));
            }
        })
    });
}

/// A card, with what 0.3 calls otherwise beside it.
fn card(value: Value) -> Value {
    let of = |value: &Value, key: &str| value.get(key).cloned();
    let all = value.get("supportedInterfaces").and_then(Value::as_array).unwrap_or_default();
    let all = all.iter().map(|it| {
        let named = [("url", of(it, "url")), ("transport", of(it, "protocolBinding"))];
        let named = named.into_iter().filter_map(|(key, value)| Some((key, value?)));
        (of(it, "protocolVersion"), Value::object(named))
    });
    let all: Vec<_> = all.collect();
    let extended = value.get("capabilities").and_then(|it| of(it, "extendedAgentCard"));
    let added = [
        ("url", all.first().and_then(|(_, it)| of(it, "url"))),
        ("preferredTransport", all.first().and_then(|(_, it)| of(it, "transport"))),
        ("protocolVersion", all.first().and_then(|(version, _)| version.clone())),
        (
            "additionalInterfaces",
            (all.len() > 1).then(|| Value::array(all.iter().map(|(_, it)| it.clone()).collect())),
        ),
        ("supportsAuthenticatedExtendedCard", extended),
    ];
    with(value, |it| {
        for (key, value) in added {
            if let Some(value) = value {
                it.entry(key.into()).or_insert(value);
            }
        }
    })
}

/// `value` with its members changed, if it has any.
pub(super) fn with(value: Value, make: impl FnOnce(&mut Members)) -> Value {
    if value.as_object().is_none() {
        return value;
    }
    let mut changed = members(value);
    make(&mut changed);
    Value::from(changed)
}

fn members(value: Value) -> Members {
    value.into_members().unwrap_or_default()
}

/// Changes one member, if it is there.
pub(super) fn change(members: &mut Members, key: &str, make: impl FnOnce(Value) -> Value) {
    if let Some(value) = members.get_mut(key) {
        *value = make(std::mem::take(value));
    }
}

pub(super) fn each(value: Value, make: impl Fn(Value) -> Value) -> Value {
    if value.as_array().is_none() {
        return value;
    }
    let elements = value.into_elements().unwrap_or_default();
    Value::array(elements.into_iter().map(make).collect())
}

/// Calls a member otherwise, unless there is one of that name.
pub(super) fn rename(members: &mut Members, from: &str, to: &str) {
    if let Some(value) = members.shift_remove(from) {
        members.entry(to.into()).or_insert(value);
    }
}

fn kind(members: &mut Members, name: &str) {
    members.entry("kind".into()).or_insert_with(|| Value::from(name));
}

#[cfg(test)]
mod tests;
