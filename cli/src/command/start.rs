//! `windlass start`.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use windlass_proto::limits::API_WAIT_MS;
use windlass_proto::value::Value;

use crate::client::Client;
use crate::code::CANCELLED;
use crate::error::CliError;
use crate::options::{Remote, duration, label};
use crate::{input, output};

/// Start an instance on a server.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass start shop/order --input '{\"id\": 4711}'\n  \
                        windlass start shop/order:1.0.0 --input @order.json --wait 30s")]
pub(crate) struct Args {
    /// The workflow; without a version the highest
    #[arg(value_name = "NAMESPACE/NAME[:VERSION]", value_parser = workflow)]
    workflow: Workflow,
    /// The input: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// Wait for the end, at most so long; faulted or cancelled then give exit code 1
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    /// Makes repeats of this command start one instance only
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// A label to find the instance by; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// From 0 to 9: of the tasks that wait for a worker, those of the highest go first [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    #[command(flatten)]
    remote: Remote,
}

/// Which workflow to start.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Workflow {
    namespace: String,
    name: String,
    version: Option<String>,
}

fn workflow(text: &str) -> Result<Workflow, String> {
    let (path, version) = match text.split_once(':') {
        Some((path, version)) => (path, Some(version.to_owned())),
        None => (text, None),
    };
    match path.split_once('/') {
        Some((namespace, name))
            if !namespace.is_empty()
                && !name.is_empty()
                && !name.contains('/')
                && version.as_deref() != Some("") =>
        {
            Ok(Workflow { namespace: namespace.to_owned(), name: name.to_owned(), version })
        }
        _ => Err("write NAMESPACE/NAME or NAMESPACE/NAME:VERSION".to_owned()),
    }
}

/// The request; the input apart, since serde's values would round its large numbers.
#[derive(serde::Serialize)]
struct Body {
    #[serde(flatten)]
    body: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let mut body = json!({
        "workflow": {"namespace": args.workflow.namespace, "name": args.workflow.name},
        "labels": args.labels.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    });
    if let Some(version) = args.workflow.version {
        body["workflow"]["version"] = version.into();
    }
    let input = args.input.as_ref().map(|it| input::read("--input", it)).transpose()?;
    if let Some(priority) = args.priority {
        body["priority"] = priority.into();
    }
    // Read before the request: the clock of the wait starts with it.
    let deadline = args.wait.map(|wait| Instant::now() + wait);
    let mut request =
        client.request(Method::POST, &["v1", "instances"]).json(&Body { body, input });
    if let Some(wait) = args.wait {
        request = request.query(&[("wait", slice(wait))]);
    }
    if let Some(key) = args.idempotency_key {
        request = request.header("Idempotency-Key", key);
    }
    let (status, mut answer) = client.send(request).await?;
    if answer["repeated"] == true {
        output::message("an earlier request had started it");
    }
    if let (StatusCode::ACCEPTED, Some(deadline)) = (status, deadline) {
        follow(&client, &mut answer, Some(deadline)).await?;
    }
    output::json(&answer);
    // Without a wait it is the start that succeeded, whatever became of an earlier one.
    if deadline.is_some() { ended(&answer) } else { Ok(()) }
}

/// Waits on, as one request waits a bounded time only; without a deadline, until the end.
pub(super) async fn follow(
    client: &Client,
    answer: &mut Json,
    deadline: Option<Instant>,
) -> Result<(), CliError> {
    let id = answer["id"].as_str().unwrap_or_default().to_owned();
    loop {
        let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
        let rest = left.unwrap_or(Duration::MAX);
        if rest.is_zero() {
            return Ok(());
        }
        let path = ["v1", "instances", &id, "output"];
        let request = client.request(Method::GET, &path).query(&[("wait", slice(rest))]);
        let (status, standing) = client.send(request).await?;
        if let (Some(answer), Json::Object(standing)) = (answer.as_object_mut(), standing) {
            answer.extend(standing);
        }
        if status == StatusCode::OK {
            return Ok(());
        }
    }
}

/// One request's share of a wait.
fn slice(wait: Duration) -> String {
    format!("{}ms", wait.min(Duration::from_millis(API_WAIT_MS)).as_millis())
}

/// True for an instance that has ended.
pub(super) fn is_final(standing: &Json) -> bool {
    matches!(standing["status"].as_str(), Some("completed" | "faulted" | "cancelled"))
}

/// Exit code 1 for an instance that ended without output.
pub(super) fn ended(standing: &Json) -> Result<(), CliError> {
    match standing["status"].as_str() {
        Some("faulted") => Err(CliError::Problem(Box::new(standing["error"].clone()))),
        Some("cancelled") => Err(CliError::coded(&CANCELLED, "the instance was cancelled")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ended, slice, workflow};

    #[test]
    fn workflows_are_named_by_namespace_name_and_version() {
        let read = workflow("shop/order:1.0.0").ok();
        let read = read.map(|it| (it.namespace, it.name, it.version));
        assert_eq!(read, Some(("shop".into(), "order".into(), Some("1.0.0".into()))));
        assert!(workflow("shop/order").is_ok_and(|it| it.version.is_none()));
        for text in ["order", "/order", "shop/", "a/b/c", "a/b:", ""] {
            assert!(workflow(text).is_err(), "{text}");
        }
    }

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
