//! `windlass approval`, `approve`, `reject`: what workflows ask people.

use serde::Serialize;
use serde_json::Value as Json;
use windlass_coordinator::approval::ApprovalId;
use windlass_proto::value::Value;

use super::control::order;
use crate::client::Client;
use crate::error::CliError;
use crate::input;
use crate::options::Remote;
use crate::output::{self, Format};

/// See what workflows ask people (`call: windlass.approval`).
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass approval list --mine\n  windlass approval show \
                        0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f.5\n\nDecide one with `windlass \
                        approve ID` or `windlass reject ID --reason WHY`.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List what is open
    List(ListArgs),
    /// Show one that is open, with its form
    Show(ShowArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass approval list --namespace shop --mine")]
struct ListArgs {
    /// Only of workflows of this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// Only of workflows of this name
    #[arg(long)]
    name: Option<String>,
    /// Only what you may decide
    #[arg(long)]
    mine: bool,
    /// How many at most, 1 to 1000 [default: 100]
    #[arg(long)]
    limit: Option<usize>,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass approval show 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f.5")]
struct ShowArgs {
    /// The approval, as `windlass approval list` and `windlass show` have it
    id: ApprovalId,
    #[command(flatten)]
    remote: Remote,
}

/// Approve what a workflow asks.
///
/// The first decision counts. The task gives `{approved: true, by, at, data, reason}`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass approve 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f.5\n  \
                        windlass approve 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f.5 --data \
                        '{\"costCentre\": 12}' --reason 'as agreed'")]
pub(crate) struct ApproveArgs {
    /// The approval, as `windlass approval list` and `windlass show` have it
    id: ApprovalId,
    /// What its form asks for: JSON, `@FILE` or `-`
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// Kept in the audit trail and in the history, and given to the workflow
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Reject what a workflow asks.
///
/// The first decision counts. The task gives `{approved: false, by, at, data: null, reason}`.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  windlass reject 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f.5 --reason \
                  'not in the budget'"
)]
pub(crate) struct RejectArgs {
    /// The approval, as `windlass approval list` and `windlass show` have it
    id: ApprovalId,
    /// Why: kept in the audit trail and in the history, and given to the workflow
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

/// What is decided; the data apart from serde's values, which would round its large numbers.
#[derive(Serialize)]
struct Decision {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Runs `approval`.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::List(args) => list(args).await,
        Command::Show(args) => {
            let client = Client::new(&args.remote)?;
            let (instance, number) = parts(args.id);
            let path = ["v1", "instances", &instance, "approvals", &number];
            output::json(&client.get(&path, &[]).await?);
            Ok(())
        }
    }
}

async fn list(args: ListArgs) -> Result<(), CliError> {
    let limit = args.limit.map(|it| it.to_string());
    let mine = args.mine.then(|| "true".to_owned());
    let given = [
        ("namespace", args.namespace),
        ("name", args.name),
        ("mine", mine),
        ("limit", limit),
        ("cursor", args.cursor),
    ];
    let query: Vec<_> =
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let all = Client::new(&args.remote)?.get(&["v1", "approvals"], &query).await?;
    let columns = ["ID", "WORKFLOW", "TITLE", "FOR", "YOURS", "SINCE", "UNTIL"];
    output::page(&all, args.output, &columns, row);
    Ok(())
}

fn row(approval: &Json) -> Vec<String> {
    let text = |at: &Json| at.as_str().unwrap_or_default().to_owned();
    let workflow = &approval["workflow"];
    let names = |key: &str| approval[key].as_array().into_iter().flatten().map(text);
    let whom: Vec<_> = names("roles").chain(names("users")).collect();
    vec![
        text(&approval["id"]),
        format!("{}/{}", text(&workflow["namespace"]), text(&workflow["name"])),
        text(&approval["title"]),
        whom.join(", "),
        if approval["yours"] == true { "yes" } else { "no" }.to_owned(),
        text(&approval["since"]),
        text(&approval["until"]),
    ]
}

/// Runs `approve`.
pub(crate) async fn approve(args: ApproveArgs) -> Result<(), CliError> {
    let data = args.data.as_deref().map(|it| input::read("--data", it)).transpose()?;
    decide(&args.remote, args.id, "approve", &Decision { data, reason: args.reason }).await
}

/// Runs `reject`.
pub(crate) async fn reject(args: RejectArgs) -> Result<(), CliError> {
    let decision = Decision { data: None, reason: Some(args.reason) };
    decide(&args.remote, args.id, "reject", &decision).await
}

async fn decide(
    remote: &Remote,
    id: ApprovalId,
    word: &str,
    decision: &Decision,
) -> Result<(), CliError> {
    let (instance, number) = parts(id);
    order(remote, &["v1", "instances", &instance, "approvals", &number, word], decision).await
}

fn parts(id: ApprovalId) -> (String, String) {
    (id.instance.to_string(), id.number.to_string())
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn a_question_is_a_row() {
        let approval = serde_json::json!({
            "id": "i.5", "workflow": {"namespace": "shop", "name": "order", "version": "1.0.0"},
            "title": "Pay?", "roles": ["approver"], "users": ["corp:ada"], "yours": true,
            "since": "t",
        });
        let expected = ["i.5", "shop/order", "Pay?", "approver, corp:ada", "yes", "t", ""];
        assert_eq!(row(&approval), expected);
    }
}
