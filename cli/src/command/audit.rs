//! `windlass audit`.

mod export;
mod filter;
mod tail;
mod verify;

use serde_json::Value as Json;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};
use filter::Filters;

/// Show what was done with secrets, by whom, and what came of it.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  windlass audit --limit 20\n  \
    windlass audit list --action secret.denied --since 2026-01-31T08:00:00Z\n  \
    windlass audit tail --namespace shop\n  windlass audit export > trail.jsonl\n  \
    windlass audit verify .windlass\n\n\
    Without a command it lists. The coordinator's data directory has all of it: audit.jsonl, \
    audit.1.jsonl and so on."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List events, newest first
    List(ListArgs),
    /// Follow events as they come
    Tail(tail::Args),
    /// Check a trail: that nothing was deleted, altered, inserted, reordered or cut off
    Verify(verify::Args),
    /// Write the trail as JSON lines, oldest first, each as it is in the coordinator's file
    Export(export::Args),
    /// Print the public key that verifies the trail, and where it stands
    Key(KeyArgs),
}

#[derive(clap::Args)]
struct ListArgs {
    /// At most so many events
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    limit: usize,
    /// Continue a list: `next` of the page before
    #[arg(long)]
    cursor: Option<u64>,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    filters: Filters,
}

#[derive(clap::Args)]
struct KeyArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        None => list(args.list).await,
        Some(Command::List(args)) => list(args).await,
        Some(Command::Tail(args)) => tail::run(args).await,
        Some(Command::Verify(args)) => verify::run(args),
        Some(Command::Export(args)) => export::run(args).await,
        Some(Command::Key(args)) => {
            let client = Client::new(&args.remote)?;
            output::json(&client.get(&["v1", "audit", "key"], &[]).await?);
            Ok(())
        }
    }
}

async fn list(args: ListArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let mut query = args.filters.query();
    query.push(("limit", args.limit.to_string()));
    query.extend(args.cursor.map(|it| ("cursor", it.to_string())));
    let page = client.get(&["v1", "audit"], &query).await?;
    let headings =
        &["TIME", "ACTION", "DONE", "ACTOR", "SECRET", "INSTANCE", "TASK", "WORKER", "DETAIL"];
    output::page(&page, args.output, headings, row);
    Ok(())
}

fn row(event: &Json) -> Vec<String> {
    let text = |value: &Json| value.as_str().unwrap_or("").to_owned();
    let secret = match event["version"].as_str() {
        Some(version) => format!("{}@{version}", text(&event["secret"])),
        None => text(&event["secret"]),
    };
    let task = &event["task"];
    // What came of it is told later, or known only then.
    let done = match (event["outcome"].as_str(), event["success"] == true) {
        (Some(outcome @ ("pending" | "unknown")), _) => outcome,
        (_, true) => "yes",
        (_, false) => "no",
    };
    // A task's secrets are read by nobody in person.
    let actor = match (event["actor"]["issuer"].as_str(), event["actor"]["subject"].as_str()) {
        (Some(issuer), Some(subject)) => format!("{subject} ({issuer})"),
        _ => String::new(),
    };
    vec![
        text(&event["time"]),
        text(&event["action"]),
        done.to_owned(),
        actor,
        secret,
        text(&task["instance"]),
        text(&task["task"]),
        text(&event["worker"]),
        text(&event["detail"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn a_row_says_what_was_done_for_whom() {
        let event = serde_json::json!({
            "time": "t", "action": "secret.granted", "success": true, "secret": "api-key",
            "version": "7", "worker": "w-1", "task": {"instance": "i", "task": "/do/0/pay"},
        });
        let expected = ["t", "secret.granted", "yes", "", "api-key@7", "i", "/do/0/pay", "w-1", ""];
        assert_eq!(row(&event), expected);
        let event = serde_json::json!({"success": false, "secret": "api-key"});
        assert_eq!(row(&event)[2..5], ["no", "", "api-key"]);
        let actor = serde_json::json!({"issuer": "corp", "subject": "ada", "method": "jwt"});
        for (success, outcome, shown) in
            [(true, "pending", "pending"), (true, "done", "yes"), (false, "unknown", "unknown")]
        {
            let event = serde_json::json!({"success": success, "outcome": outcome, "actor": actor});
            assert_eq!(row(&event)[2..4], [shown, "ada (corp)"]);
        }
    }
}
