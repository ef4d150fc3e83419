//! `windlass audit`.

use serde_json::Value as Json;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// Show what was done with secrets, by whom, and what came of it; newest first.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass audit --limit 20\n\n\
                        The coordinator's data directory has all of it: audit.jsonl.")]
pub(crate) struct Args {
    /// At most so many events
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    limit: usize,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let query = [("limit", args.limit.to_string())];
    let answer = client.get(&["v1", "audit"], &query).await?;
    if Format::or_default(args.output) == Format::Json {
        output::json(&answer);
        return Ok(());
    }
    let rows: Vec<_> = answer["items"].as_array().into_iter().flatten().map(row).collect();
    output::table(
        &["TIME", "ACTION", "OK", "SECRET", "INSTANCE", "TASK", "WORKER", "DETAIL"],
        &rows,
    );
    Ok(())
}

fn row(event: &Json) -> Vec<String> {
    let text = |value: &Json| value.as_str().unwrap_or("").to_owned();
    let secret = match event["version"].as_str() {
        Some(version) => format!("{}@{version}", text(&event["secret"])),
        None => text(&event["secret"]),
    };
    let task = &event["task"];
    vec![
        text(&event["time"]),
        text(&event["action"]),
        if event["success"] == true { "yes" } else { "no" }.to_owned(),
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
        let expected = ["t", "secret.granted", "yes", "api-key@7", "i", "/do/0/pay", "w-1", ""];
        assert_eq!(row(&event), expected);
        let event = serde_json::json!({"success": false, "secret": "api-key"});
        assert_eq!(row(&event)[2..4], ["no", "api-key"]);
    }
}
