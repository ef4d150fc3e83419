//! `windlass start`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windlass_proto::trace::{TraceContext, TraceparentError, tracestate};

use crate::client::Client;
use crate::error::CliError;
use crate::instance::{self, Begun, Body, With};
use crate::options::{Remote, duration, label};
use crate::{input, output};

/// Start an instance on a server.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass start shop/order --input '{\"id\": 4711}'\n  \
                        windlass start shop/order:1.0.0 --input @order.json --wait 30s\n  \
                        windlass start shop/order --idempotency-key 4711 --on-ended replace-failed")]
pub(crate) struct Args {
    /// The workflow; without a version the highest
    #[arg(value_name = "NAMESPACE/NAME[:VERSION]", value_parser = workflow)]
    workflow: Workflow,
    /// The input: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// Wait for the end, at most so long; faulted or cancelled then give exit code 1, not ended 3
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    /// Makes repeats of this command start one instance only
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// What to do while an instance runs that was started under the key
    #[arg(long, value_name = "POLICY", requires = "idempotency_key",
        value_parser = ["use-existing", "fail", "terminate-existing"])]
    on_running: Option<String>,
    /// What to do once an instance has ended that was started under the key
    #[arg(long, value_name = "POLICY", requires = "idempotency_key",
        value_parser = ["use-existing", "fail", "replace", "replace-failed"])]
    on_ended: Option<String>,
    /// A label to find the instance by; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// From 0 to 9: of the tasks that wait for a worker, those of the highest go first [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// The trace it is started in, as W3C Trace Context writes it: what is recorded of it is part
    /// of that trace
    #[arg(long, value_name = "TRACEPARENT", value_parser = trace)]
    traceparent: Option<TraceContext>,
    /// What vendors have added to that trace: it is passed on with it
    #[arg(long, value_name = "TRACESTATE", requires = "traceparent", value_parser = state)]
    tracestate: Option<Arc<str>>,
    #[command(flatten)]
    remote: Remote,
}

fn trace(text: &str) -> Result<TraceContext, String> {
    text.parse().map_err(|error: TraceparentError| error.to_string())
}

fn state(text: &str) -> Result<Arc<str>, String> {
    tracestate(text).ok_or_else(|| "write NAME=VALUE,NAME=VALUE".to_owned())
}

/// A workflow, in one version or the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Workflow {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) version: Option<String>,
}

/// Reads `NAMESPACE/NAME` or `NAMESPACE/NAME:VERSION`.
pub(super) fn workflow(text: &str) -> Result<Workflow, String> {
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
    let policies = [("onRunning", args.on_running), ("onEnded", args.on_ended)];
    for (name, policy) in policies.into_iter().filter_map(|(name, it)| Some((name, it?))) {
        body[name] = policy.into();
    }
    let body = Body { body, input };
    let trace = args.traceparent.map(|it| TraceContext { state: args.tracestate, ..it });
    let (key, trace) = (args.idempotency_key.as_deref(), trace.as_ref());
    let with = With { key, trace };
    let (begun, answer) = instance::run(&client, body, with, args.wait).await?;
    if begun == Begun::Before {
        output::message("an earlier request had started it");
    }
    output::json(&answer);
    // Without a wait it is the start that succeeded, whatever became of an earlier one.
    let Some(wait) = args.wait else { return Ok(()) };
    if instance::is_final(&answer) {
        return instance::ended(&answer);
    }
    let (id, status) = (&answer["id"], &answer["status"]);
    let (id, status) = (id.as_str().unwrap_or_default(), status.as_str().unwrap_or("open"));
    let detail = format!("instance {id} had not ended after {wait:?} ({status}); it goes on");
    Err(CliError::open(&detail))
}

#[cfg(test)]
mod tests {
    use super::workflow;

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
}
