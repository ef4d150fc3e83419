//! `windlass audit tail`.

use std::time::Duration;

use serde_json::Value as Json;
use windlass_proto::limits;

use super::filter::Filters;
use super::row;
use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// Follow events as they come.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass audit tail --action secret.denied\n\n\
                        Standard output gets one line for each event, until Ctrl-C. It goes on when \
                        the server is restarted.")]
pub(super) struct Args {
    /// Begin with so many of the last events
    #[arg(long, default_value_t = 10, value_name = "NUMBER")]
    lines: usize,
    /// Begin after the event with this sequence number
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "lines")]
    after: Option<u64>,
    /// By default text on a terminal, a JSON document a line elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    filters: Filters,
}

/// Runs the command; it ends by a signal, or when the server is gone for too long.
pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let stopped = crate::signal::stop();
    tokio::select! {
        () = stopped => Ok(()),
        ended = follow(args) => ended,
    }
}

async fn follow(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let format = Format::or_default(args.output);
    let path = ["v1", "audit"];
    let mut after = match args.after {
        Some(after) => after,
        None => {
            let mut query = args.filters.query();
            query.push(("limit", args.lines.max(1).to_string()));
            let page = client.get(&path, &query).await?;
            let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().take(args.lines).rev().for_each(|it| show(it, format));
            // What came while the page was read is in it.
            let newest = items.first().and_then(|it| it["sequence"].as_u64());
            newest.max(page["last"].as_u64()).unwrap_or(0)
        }
    };
    let mut failures = 0;
    loop {
        let mut query = args.filters.query();
        query.push(("after", after.to_string()));
        query.push(("wait", format!("{}ms", limits::AUDIT_TAIL_MS)));
        match client.get(&path, &query).await {
            Ok(page) => {
                failures = 0;
                page["items"].as_array().into_iter().flatten().for_each(|it| show(it, format));
                after = page["next"].as_str().and_then(|it| it.parse().ok()).unwrap_or(after);
            }
            Err(error) if error.passes() && failures < limits::WATCH_RETRIES => {
                failures += 1;
                tracing::info!(?error, "the connection broke off");
                // Doubling, so that a server that restarts is not hammered.
                tokio::time::sleep(Duration::from_millis(100 << failures)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn show(event: &Json, format: Format) {
    match format {
        Format::Json => output::json_line(event),
        Format::Table => output::text_line(&output::printable(&row(event).join("  "))),
    }
}
