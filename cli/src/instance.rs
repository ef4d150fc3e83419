//! Starts instances on a server and waits for their ends, over restarts of the server too.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value as Json;
use uuid::Uuid;
use windlass_proto::limits::{API_RECONNECT_MS, API_RECONNECT_PAUSE_MS, API_WAIT_MS};
use windlass_proto::trace::{TRACEPARENT, TRACESTATE, TraceContext};
use windlass_proto::value::Value;

use crate::client::Client;
use crate::code::CANCELLED;
use crate::error::CliError;
use crate::output;

/// A request to start; the input apart, since serde's values would round its large numbers.
#[derive(serde::Serialize)]
pub(crate) struct Body {
    #[serde(flatten)]
    pub(crate) body: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<Value>,
}

/// Whose request started an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// This command's.
    Now,
    /// An earlier one's.
    Before,
}

/// What is sent along with a start.
#[derive(Clone, Copy, Default)]
pub(crate) struct With<'w> {
    /// Makes repeats start one instance only.
    pub(crate) key: Option<&'w str>,
    /// The trace it is started in.
    pub(crate) trace: Option<&'w TraceContext>,
}

/// Starts an instance and waits at most `wait` for its end; gives where it stands then.
///
/// # Errors
/// When the server cannot be reached, or refuses the start.
pub(crate) async fn run(
    client: &Client,
    body: Body,
    with: With<'_>,
    wait: Option<Duration>,
) -> Result<(Begun, Json), CliError> {
    // Read before the request: the clock of the wait starts with it.
    let deadline = wait.map(|wait| Instant::now() + wait);
    let (begun, mut answer) = start(client, body, with, deadline).await?;
    if deadline.is_some() && !is_final(&answer) {
        follow(client, &mut answer, deadline).await?;
    }
    Ok((begun, answer))
}

/// Starts an instance. When the connection breaks off before the answer, the same request is sent
/// again: it has an id or key, so that it starts nothing twice.
///
/// # Errors
/// When the server cannot be reached, refuses the start, or does not come back in time.
pub(crate) async fn start(
    client: &Client,
    mut body: Body,
    with: With<'_>,
    deadline: Option<Instant>,
) -> Result<(Begun, Json), CliError> {
    let With { key, trace } = with;
    let mut made = None;
    if key.is_none() && body.body.get("id").is_none() {
        if may_choose(client).await {
            body.body["id"] = Uuid::now_v7().to_string().into();
        } else {
            made = Some(Uuid::new_v4().to_string());
        }
    }
    let key = key.or(made.as_deref());
    // Sent again, one that replaces could replace what it has started.
    let repeats = ["onRunning", "onEnded"].iter().all(|it| body.body.get(*it).is_none());
    let mut again = Again::default();
    loop {
        let mut request = client.request(Method::POST, &["v1", "instances"]).json(&body);
        if let Some(deadline) = deadline {
            let rest = deadline.saturating_duration_since(Instant::now());
            request = request.query(&[("wait", slice(rest))]);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(trace) = trace {
            request = request.header(TRACEPARENT, trace.traceparent());
            if let Some(state) = &trace.state {
                request = request.header(TRACESTATE, &**state);
            }
        }
        match client.send(request).await {
            // A repeat after a break is most likely of the request before it.
            Ok((_, answer)) if answer["repeated"] == true && !again.happened() => {
                return Ok((Begun::Before, answer));
            }
            Ok((_, answer)) => return Ok((Begun::Now, answer)),
            // Nothing is there, and nothing was begun that would have to be found again.
            Err(error) if error.never_sent() && !again.happened() => return Err(error),
            Err(error) if !repeats => return Err(unanswered(error, &body, key)),
            Err(error) => {
                if let Err(error) = again.pause(error, deadline).await {
                    return Err(unanswered(error, &body, key));
                }
            }
        }
    }
}

/// Whether the server lets whoever asks choose the id of an instance: who may start everything.
/// When that cannot be told now, a key does in any case.
async fn may_choose(client: &Client) -> bool {
    if !client.shows_who_asks() {
        return true;
    }
    let query = [("permission", "instance.start".to_owned())];
    let answer = client.get(&["v1", "auth", "can-i"], &query).await;
    answer.is_ok_and(|it| it["allowed"] == true)
}

/// A start that was sent, and of which nobody knows whether it arrived.
fn unanswered(error: CliError, body: &Body, key: Option<&str>) -> CliError {
    if !error.passes() {
        return error;
    }
    let unknown = "the server does not answer, so it is not known whether it was started";
    CliError::open(&match (key, body.body["id"].as_str()) {
        (None, Some(id)) => format!("{unknown}: its id would be {id}"),
        (Some(key), _) => format!("{unknown}: --idempotency-key {key} finds it"),
        (None, None) => unknown.to_owned(),
    })
}

/// Waits on, as one request waits a bounded time only; without a deadline, until the end.
///
/// # Errors
/// When the server does not know the instance, or does not come back for [`API_RECONNECT_MS`] where
/// there is no deadline.
pub(crate) async fn follow(
    client: &Client,
    answer: &mut Json,
    deadline: Option<Instant>,
) -> Result<(), CliError> {
    let id = answer["id"].as_str().unwrap_or_default().to_owned();
    let mut again = Again::default();
    loop {
        let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
        let rest = left.unwrap_or(Duration::MAX);
        if rest.is_zero() {
            return Ok(());
        }
        let path = ["v1", "instances", &id, "output"];
        let request = client.request(Method::GET, &path).query(&[("wait", slice(rest))]);
        let (status, standing) = match client.send(request).await {
            Ok(answered) => answered,
            Err(error) => match again.pause(error, deadline).await {
                Ok(()) => continue,
                Err(error) if error.passes() && deadline.is_some() => return Ok(()),
                Err(error) if error.passes() => return Err(lost(&id)),
                Err(error) => return Err(error),
            },
        };
        again = Again::default();
        if let (Some(answer), Json::Object(standing)) = (answer.as_object_mut(), standing) {
            answer.extend(standing);
        }
        if status == StatusCode::OK {
            return Ok(());
        }
    }
}

fn lost(id: &str) -> CliError {
    let gone = Duration::from_millis(API_RECONNECT_MS);
    CliError::open(&format!(
        "the server did not come back for {gone:?}; instance {id} goes on there"
    ))
}

/// Sendings of a request that was not answered.
#[derive(Default)]
struct Again {
    since: Option<Instant>,
    pauses: u32,
}

impl Again {
    fn happened(&self) -> bool {
        self.since.is_some()
    }

    /// Waits a moment where the request may be answered later; gives the error back where it
    /// cannot, and when the deadline is over, or without one [`API_RECONNECT_MS`] after the first.
    async fn pause(&mut self, error: CliError, deadline: Option<Instant>) -> Result<(), CliError> {
        if !error.passes() {
            return Err(error);
        }
        if self.since.is_none() {
            output::message("the connection broke off; looking for the server again");
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let end = deadline.unwrap_or(since + Duration::from_millis(API_RECONNECT_MS));
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(error);
        }
        // Doubling, so that a server that restarts is not hammered.
        let pause = (100 << self.pauses.min(10)).min(API_RECONNECT_PAUSE_MS);
        self.pauses += 1;
        tokio::time::sleep(Duration::from_millis(pause).min(left)).await;
        Ok(())
    }
}

/// One request's share of a wait.
fn slice(wait: Duration) -> String {
    format!("{}ms", wait.min(Duration::from_millis(API_WAIT_MS)).as_millis())
}

/// True for an instance that has ended.
pub(crate) fn is_final(standing: &Json) -> bool {
    matches!(standing["status"].as_str(), Some("completed" | "faulted" | "cancelled"))
}

/// Exit code 1 for an instance that ended without output.
pub(crate) fn ended(standing: &Json) -> Result<(), CliError> {
    match standing["status"].as_str() {
        Some("faulted") => Err(CliError::Problem(Box::new(standing["error"].clone()))),
        Some("cancelled") => Err(CliError::coded(&CANCELLED, "the instance was cancelled")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ended, slice};

    #[test]
    fn waits_are_sliced_and_ends_judged() {
        assert_eq!(slice(Duration::from_secs(3600)), "60000ms");
        assert_eq!(slice(Duration::from_millis(5)), "5ms");
        assert!(ended(&serde_json::json!({"status": "completed"})).is_ok());
        assert!(ended(&serde_json::json!({"status": "waiting"})).is_ok());
        assert!(ended(&serde_json::json!({"status": "faulted", "error": {}})).is_err());
        assert!(ended(&serde_json::json!({"status": "cancelled"})).is_err());
    }
}
