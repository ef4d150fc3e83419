//! `windlass history`.

use serde_json::Value as Json;
use windlass_proto::limits;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// Show what happened in an instance.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  windlass history 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --limit 1000"
)]
pub(crate) struct Args {
    /// The instance
    id: String,
    /// First sequence number
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    from: u64,
    /// At most so many entries
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    limit: usize,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

/// Headings of a history in columns.
pub(super) const HEADING: [&str; 5] = ["#", "AT", "EVENT", "TASK", "DATA"];

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let query = [("from", args.from.to_string()), ("limit", args.limit.to_string())];
    let page = client.get(&["v1", "instances", &args.id, "history"], &query).await?;
    if Format::or_default(args.output) == Format::Json {
        output::json(&page);
        return Ok(());
    }
    let rows: Vec<_> = page["items"].as_array().into_iter().flatten().map(row).collect();
    output::table(&HEADING, &rows);
    if let Some(next) = page["next"].as_u64() {
        output::message(&format!("there may be more: --from {next}"));
    }
    Ok(())
}

/// An entry as a row; data is cut to what a line can show.
pub(super) fn row(entry: &Json) -> Vec<String> {
    let text = |value: &Json| value.as_str().unwrap_or("").to_owned();
    let data = match &entry["data"] {
        Json::Null => String::new(),
        data => data.to_string(),
    };
    let shown = cut(&data);
    let sequence = entry["sequence"].to_string();
    vec![sequence, text(&entry["at"]), text(&entry["event"]), text(&entry["task"]), shown]
}

/// The text of data, cut to what a line can show.
pub(super) fn cut(data: &str) -> String {
    let mut shown: String = data.chars().take(limits::HISTORY_DATA_CHARACTERS).collect();
    if shown.len() < data.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{HEADING, row};

    #[test]
    fn long_data_is_cut() {
        let entry = serde_json::json!({
            "sequence": 3, "at": "t", "event": "task.completed", "task": "/do/0/a",
            "data": {"output": "é".repeat(100)},
        });
        let row = row(&entry);
        assert_eq!(row.len(), HEADING.len());
        assert_eq!(row[0], "3");
        assert_eq!(row[4].chars().count(), 61);
    }
}
