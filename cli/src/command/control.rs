//! `windlass cancel`, `suspend`, `resume`, `skip`.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value as Json, json};
use windlass_proto::value::Value;

use crate::client::Client;
use crate::error::CliError;
use crate::input;
use crate::options::Remote;
use crate::output::{self, Format};

/// Cancel an instance, or all that a root has started.
#[derive(clap::Args)]
#[command(
    override_usage = "windlass cancel [OPTIONS] <ID>\n       windlass cancel [OPTIONS] --root <ID>",
    after_help = "Example:\n  windlass cancel 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f \
                        --reason 'ordered twice'\n  windlass cancel --root \
                        0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f"
)]
pub(crate) struct CancelArgs {
    /// The instance
    #[arg(required_unless_present = "root")]
    id: Option<String>,
    /// Cancel an instance and all that it has started, directly or through others
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    root: Option<String>,
    /// Kept in its history
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Suspend an instance: nothing new is started until it is resumed. Or suspend all starts of a
/// workflow or a namespace.
///
/// Starts of what is suspended get 409; instances that start it as a child wait. What runs goes on.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass suspend 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f\n  \
                        windlass suspend --workflow shop/order\n  windlass suspend --list")]
pub(crate) struct SuspendArgs {
    #[command(flatten)]
    of: Of,
    /// Kept in the audit trail and in the history
    #[arg(long, conflicts_with = "list")]
    reason: Option<String>,
    /// List what is suspended of workflows and namespaces
    #[arg(long, group = "what")]
    list: bool,
    /// How to print that list: columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

/// Resume a suspended instance, or the starts of a workflow or a namespace.
///
/// Where an error has suspended it (`metadata.windlass.onFault: suspend`), the task that failed is
/// tried again.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass resume 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f\n  \
                        windlass resume --namespace shop")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    of: Of,
    /// Kept in the audit trail and in the history
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Give the output of a task in place of whoever works on it; the flow goes on behind it.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass skip 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --output \
                        '{\"paid\": true}'\n  windlass skip \
                        0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --task /do/1/approve --output @answer.json")]
pub(crate) struct SkipArgs {
    /// The instance
    id: String,
    /// JSON pointer of an open task, as `windlass show` has it [default: the one that has failed
    /// and waits for an operator]
    #[arg(long, value_name = "POINTER")]
    task: Option<String>,
    /// Its output: JSON, `@FILE` or `-`
    #[arg(long, value_name = "JSON")]
    output: String,
    /// Kept in the audit trail and in the history
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// A request to skip a task; the output apart, since serde's values would round its large numbers.
#[derive(Serialize)]
struct Skip {
    output: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What is suspended or resumed.
#[derive(clap::Args)]
#[group(id = "what", required = true, multiple = false)]
struct Of {
    /// The instance
    id: Option<String>,
    /// All starts of this workflow, in all its versions
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = workflow)]
    workflow: Option<(String, String)>,
    /// All starts in this namespace
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

/// Reads `NAMESPACE/NAME`.
pub(super) fn workflow(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write NAMESPACE/NAME".to_owned()),
    }
}

impl Of {
    /// Suspends or resumes it.
    async fn order(
        &self,
        remote: &Remote,
        action: &str,
        reason: Option<&str>,
    ) -> Result<(), CliError> {
        let path = match (&self.id, &self.workflow, &self.namespace) {
            (Some(id), ..) => vec!["v1", "instances", id, action],
            (_, Some((namespace, name)), _) => vec!["v1", "workflows", namespace, name, action],
            (_, _, Some(namespace)) => vec!["v1", "namespaces", namespace, action],
            // The group is required.
            (None, None, None) => return Ok(()),
        };
        order(remote, &path, &json!({"reason": reason})).await
    }
}

/// Runs `cancel`.
pub(crate) async fn cancel(args: CancelArgs) -> Result<(), CliError> {
    let path = match (&args.root, &args.id) {
        (Some(root), _) => ["v1", "roots", root, "cancel"],
        (None, id) => ["v1", "instances", id.as_deref().unwrap_or_default(), "cancel"],
    };
    order(&args.remote, &path, &json!({"reason": args.reason})).await
}

/// Runs `suspend`.
pub(crate) async fn suspend(args: SuspendArgs) -> Result<(), CliError> {
    if args.output.is_some() && !args.list {
        return Err(CliError::Usage("`--output` belongs to `--list`".to_owned()));
    }
    if args.list {
        let client = Client::new(&args.remote)?;
        let all = client.get(&["v1", "suspensions"], &[]).await?;
        if Format::or_default(args.output) == Format::Json {
            output::json(&all);
            return Ok(());
        }
        let rows: Vec<_> = all["items"].as_array().into_iter().flatten().map(row).collect();
        output::table(&["NAMESPACE", "WORKFLOW", "ROOT", "SINCE"], &rows);
        return Ok(());
    }
    args.of.order(&args.remote, "suspend", args.reason.as_deref()).await
}

fn row(item: &Json) -> Vec<String> {
    let text = |name: &str| item[name].as_str().unwrap_or("").to_owned();
    ["namespace", "name", "root", "since"].map(text).into()
}

/// Runs `resume`.
pub(crate) async fn resume(args: ResumeArgs) -> Result<(), CliError> {
    args.of.order(&args.remote, "resume", args.reason.as_deref()).await
}

/// Runs `skip`.
pub(crate) async fn skip(args: SkipArgs) -> Result<(), CliError> {
    let output = input::read("--output", &args.output)?;
    let body = Skip { output, task: args.task, reason: args.reason };
    order(&args.remote, &["v1", "instances", &args.id, "skip"], &body).await
}

pub(super) async fn order(
    remote: &Remote,
    path: &[&str],
    body: &impl Serialize,
) -> Result<(), CliError> {
    let client = Client::new(remote)?;
    let request = client.request(Method::POST, path).json(body);
    let (_, standing) = client.send(request).await?;
    output::json(&standing);
    Ok(())
}
