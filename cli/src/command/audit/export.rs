//! `windlass audit export`.

use serde::Deserialize;
use serde_json::value::RawValue;
use windlass_proto::limits;

use super::filter::Filters;
use crate::client::Client;
use crate::code::NOT_UNDERSTOOD;
use crate::error::CliError;
use crate::options::Remote;
use crate::output;

/// Write the trail as JSON lines.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass audit export > trail.jsonl\n  \
                        windlass audit verify trail.jsonl\n  \
                        windlass audit export --namespace shop --since 2026-01-01T00:00:00Z\n\n\
                        Without filters each line is there, the signed heads too, so that the file \
                        can be checked. Lines of builds that gave no numbers are in the coordinator's \
                        files only.")]
pub(super) struct Args {
    /// Only events after this sequence number
    #[arg(long, default_value_t = 0, value_name = "SEQUENCE")]
    after: u64,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    filters: Filters,
}

/// A page, with its items as they are in the file: hashes are of their bytes.
#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next: String,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let mut filters = args.filters.query();
    if filters.is_empty() {
        filters.push(("heads", true.to_string()));
    }
    let mut after = args.after;
    // It ends where the trail did when it began: what comes meanwhile may never end.
    let end = client.get(&["v1", "audit", "key"], &[]).await?;
    let end = end["last"].as_str().and_then(|it| it.split(':').next()?.parse::<u64>().ok());
    let end = end.ok_or_else(|| CliError::coded(&NOT_UNDERSTOOD, "the trail has no end"))?;
    while after < end {
        let mut query = filters.clone();
        query.push(("after", after.to_string()));
        query.push(("limit", limits::API_PAGE.to_string()));
        let bytes = client.bytes(&["v1", "audit"], &query).await?;
        let wrong = |text: String| CliError::coded(&NOT_UNDERSTOOD, &text);
        let page: Page =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let lines: String = page.items.iter().map(|it| format!("{}\n", it.get())).collect();
        let written = output::write(&lines);
        let unwritten = |error| CliError::Usage(format!("the trail cannot be written: {error}"));
        if !written.map_err(unwritten)? {
            return Ok(());
        }
        let next: u64 = page.next.parse().map_err(|_| wrong("`next` is no number".to_owned()))?;
        if next <= after {
            break;
        }
        after = next;
    }
    Ok(())
}
