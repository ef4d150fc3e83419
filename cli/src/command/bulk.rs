//! `windlass bulk`: one order for all instances that match a filter.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value as Json, json};
use windlass_proto::limits;

use crate::client::Client;
use crate::code::BULK_FAILED;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};
use crate::signal;

/// Give one order to all instances that match a filter, and look after such jobs.
///
/// A job is durable: the server goes on with it by itself, also after a restart.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  windlass bulk cancel --filter 'workflow=shop/order status=waiting' --preview
  windlass bulk cancel --filter 'workflow=shop/order status=waiting' --reason recalled
  windlass bulk reset --filter 'workflow=shop/order error=timeout' --to /do/2/charge
  windlass bulk delete --filter 'ended<2026-01-31T08:00:00Z'
  windlass bulk list
  windlass bulk results 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Cancel the instances
    Cancel(OrderArgs),
    /// Suspend the instances
    Suspend(OrderArgs),
    /// Resume the instances
    Resume(OrderArgs),
    /// Have others go on for the instances that have faulted, at the task that failed
    Retry(OrderArgs),
    /// Have others go on for the instances that have ended, from a task
    Reset(ResetArgs),
    /// Delete the instances that have ended
    Delete(OrderArgs),
    /// List the jobs, the newest first
    List(ListArgs),
    /// Show how a job stands
    Show(OfArgs),
    /// Show what came of each instance of a job
    Results(ResultsArgs),
    /// Pause a job
    Pause(OfArgs),
    /// Let a paused job go on
    Continue(OfArgs),
    /// End a job: what it has done stays done
    Stop(OfArgs),
}

#[derive(clap::Args)]
struct OrderArgs {
    /// Which instances: conditions as of `windlass list --filter`. Only those that have started
    /// before are meant
    #[arg(long, value_name = "CONDITIONS")]
    filter: String,
    /// Only tell how many there are
    #[arg(long)]
    preview: bool,
    /// Instances a second at most
    #[arg(long, default_value_t = limits::BULK_RATE, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BULK_RATE_MOST)))]
    rate: u32,
    /// Kept in the audit trail, and in the histories of the instances
    #[arg(long)]
    reason: Option<String>,
    /// Wait until the job has ended, and tell how it goes; it goes on when this is interrupted
    #[arg(long, conflicts_with = "preview")]
    wait: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct ResetArgs {
    /// JSON pointer of the task that begins again; `[2]` behind it for its second visit, else its
    /// last one
    #[arg(long, value_name = "POINTER")]
    to: String,
    /// What becomes of children that were being waited for: `rerun` starts them anew; without it
    /// instances that waited for any are skipped
    #[arg(long, value_parser = ["rerun"])]
    children: Option<String>,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(clap::Args)]
struct ListArgs {
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct OfArgs {
    /// The job
    id: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct ResultsArgs {
    /// The job
    id: String,
    /// Only those with this result
    #[arg(long, value_parser = ["done", "skipped", "failed"])]
    result: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Cancel(args) => order(&json!({"action": "cancel"}), args).await,
        Command::Suspend(args) => order(&json!({"action": "suspend"}), args).await,
        Command::Resume(args) => order(&json!({"action": "resume"}), args).await,
        Command::Retry(args) => order(&json!({"action": "retry"}), args).await,
        Command::Reset(ResetArgs { to, children, order: args }) => {
            order(&json!({"action": "reset", "to": to, "children": children}), args).await
        }
        Command::Delete(args) => order(&json!({"action": "delete"}), args).await,
        Command::List(args) => {
            let jobs = Client::new(&args.remote)?.get(&["v1", "bulk"], &[]).await?;
            let headings =
                ["ID", "ACTION", "STATUS", "TOTAL", "DONE", "SKIPPED", "FAILED", "FILTER"];
            output::page(&jobs, args.output, &headings, row);
            Ok(())
        }
        Command::Show(args) => {
            output::json(&Client::new(&args.remote)?.get(&["v1", "bulk", &args.id], &[]).await?);
            Ok(())
        }
        Command::Results(args) => results(&args).await,
        Command::Pause(args) => set(&args, "pause").await,
        Command::Continue(args) => set(&args, "resume").await,
        Command::Stop(args) => set(&args, "cancel").await,
    }
}

async fn order(what: &Json, args: OrderArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let mut body = json!({
        "filter": args.filter, "preview": args.preview, "rate": args.rate, "reason": args.reason,
    });
    for (name, value) in what.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let request = client.request(Method::POST, &["v1", "bulk"]);
    let mut job = client.send(request.json(&body)).await?.1;
    if args.wait {
        let id = job["id"].as_str().unwrap_or_default().to_owned();
        output::message(&format!("bulk job {id}"));
        tokio::select! {
            ended = ended(&client, &id) => job = ended?,
            () = signal::stop() => return Err(CliError::Interrupted),
        }
    }
    output::json(&job);
    match job["failed"].as_u64() {
        Some(failed @ 1..) => {
            let detail = format!("it failed with {failed} instances: see `windlass bulk results`");
            Err(CliError::coded(&BULK_FAILED, &detail))
        }
        _ => Ok(()),
    }
}

/// Waits for the end of a job, also over a restart of the server.
async fn ended(client: &Client, id: &str) -> Result<Json, CliError> {
    let (mut told, mut away) = (0, None);
    loop {
        tokio::time::sleep(Duration::from_millis(limits::BULK_LOOK_MS)).await;
        let job = match client.get(&["v1", "bulk", id], &[]).await {
            Ok(job) => job,
            Err(error) => {
                let since = *away.get_or_insert_with(Instant::now);
                if since.elapsed() > Duration::from_millis(limits::BULK_AWAY_MS) {
                    output::message(&format!("bulk job {id} goes on without this command"));
                    return Err(error);
                }
                continue;
            }
        };
        away = None;
        if matches!(job["status"].as_str(), Some("completed" | "cancelled")) {
            return Ok(job);
        }
        let dealt = dealt(&job);
        if dealt != told {
            output::message(&format!("{dealt} of {}", job["total"]));
            told = dealt;
        }
    }
}

fn dealt(job: &Json) -> u64 {
    ["done", "skipped", "failed"].iter().filter_map(|it| job[*it].as_u64()).sum()
}

async fn set(args: &OfArgs, action: &str) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let request = client.request(Method::POST, &["v1", "bulk", &args.id, action]);
    output::json(&client.send(request.json(&json!({}))).await?.1);
    Ok(())
}

/// Writes what came of each instance, one a line.
async fn results(args: &ResultsArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let mut query = Vec::new();
    loop {
        let page = client.get(&["v1", "bulk", &args.id, "results"], &query).await?;
        let wanted = |it: &&Json| args.result.as_deref().is_none_or(|word| it["result"] == word);
        let items = page["items"].as_array().into_iter().flatten().filter(wanted);
        let lines: String = items.map(|it| format!("{it}\n")).collect();
        let unwritten = |error| CliError::Usage(format!("the results cannot be written: {error}"));
        let goes_on = output::write(&lines).map_err(unwritten)?;
        let Some(next) = page["next"].as_str().filter(|_| goes_on) else { return Ok(()) };
        query = vec![("cursor", next.to_owned())];
    }
}

fn row(job: &Json) -> Vec<String> {
    let text = |name: &str| match &job[name] {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    ["id", "action", "status", "total", "done", "skipped", "failed", "filter"].map(text).to_vec()
}

#[cfg(test)]
mod tests {
    use super::{dealt, row};

    #[test]
    fn a_row_has_every_column() {
        let job = serde_json::json!({"id": "1", "action": "cancel", "status": "running",
            "total": 5, "done": 2, "skipped": 1, "failed": 0, "filter": "name=a"});
        assert_eq!(row(&job), ["1", "cancel", "running", "5", "2", "1", "0", "name=a"]);
        assert_eq!(dealt(&job), 3);
    }
}
