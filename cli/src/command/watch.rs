//! `windlass watch`: follows server-sent events, over broken connections too.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value as Json;
use windlass_proto::limits::{self, PAYLOAD_BYTES};

use super::history::row;
use crate::client::Client;
use crate::code::{NOT_UNDERSTOOD, UNREACHABLE};
use crate::error::CliError;
use crate::exact;
use crate::instance::ended;
use crate::options::Remote;
use crate::output::{self, Format};

/// Follow an instance until it ends.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass watch 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f\n\n\
                        Standard output gets one line for each entry of the history. Exit code 1 \
                        when the instance faulted or was cancelled.")]
pub(crate) struct Args {
    /// The instance
    id: String,
    /// First sequence number
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    from: u64,
    /// By default text on a terminal, a JSON document a line elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let format = Format::or_default(args.output);
    let mut next = args.from;
    let mut failures = 0;
    loop {
        let before = next;
        match follow(&client, &args.id, &mut next, format).await {
            Ok(Some(standing)) => return ended(&standing),
            Ok(None) => {}
            Err(error @ CliError::Problem(_)) if failures == 0 && next == args.from => {
                // The first connection tells whether server and instance exist at all.
                return Err(error);
            }
            // Asking again changes nothing of who may.
            Err(error) if error.is_refused() => return Err(error),
            Err(error) => tracing::info!(?error, "the connection broke off"),
        }
        failures = if next == before { failures + 1 } else { 1 };
        if failures > limits::WATCH_RETRIES {
            return Err(CliError::coded(&UNREACHABLE, "the connection breaks off again and again"));
        }
        // Doubling, so that a server that restarts is not hammered.
        tokio::time::sleep(Duration::from_millis(100 << failures)).await;
    }
}

/// Follows one connection: where the instance stands when it ended, nothing when the connection
/// did.
async fn follow(
    client: &Client,
    id: &str,
    next: &mut u64,
    format: Format,
) -> Result<Option<Json>, CliError> {
    let request = client
        .request(Method::GET, &["v1", "instances", id, "watch"])
        .query(&[("from", next.to_string())]);
    let mut response = client.open(request).await?;
    let mut events = Events::default();
    while let Some(chunk) = chunk(&mut response).await {
        for (kind, data) in events.feed(&chunk)? {
            let entry = exact::read(&data)
                .map_err(|error| CliError::coded(&NOT_UNDERSTOOD, &error.to_string()))?;
            if kind == "end" {
                return Ok(Some(entry));
            }
            if let Some(sequence) = entry["sequence"].as_u64() {
                *next = sequence.saturating_add(1);
            }
            match format {
                Format::Json => output::json_line(&entry),
                Format::Table => output::text_line(&output::printable(&row(&entry).join("  "))),
            }
        }
    }
    Ok(None)
}

/// The next bytes; nothing when the connection ended, broke off, or fell silent.
async fn chunk(response: &mut Response) -> Option<Vec<u8>> {
    tokio::time::timeout(Duration::from_millis(limits::WATCH_SILENCE_MS), response.chunk())
        .await
        .ok()?
        .ok()?
        .map(|it| it.to_vec())
}

/// Reads server-sent events from pieces.
#[derive(Default)]
struct Events {
    line: Vec<u8>,
    kind: String,
    data: String,
}

impl Events {
    /// The events that `bytes` complete: kind and data.
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<(String, String)>, CliError> {
        let mut complete = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            self.take(line.trim_end_matches('\r'), &mut complete);
        }
        // An entry holds a payload or two.
        if self.line.len() + self.data.len() > 4 * PAYLOAD_BYTES {
            return Err(CliError::coded(&NOT_UNDERSTOOD, "an event is too large"));
        }
        Ok(complete)
    }

    fn take(&mut self, line: &str, complete: &mut Vec<(String, String)>) {
        if line.is_empty() {
            if !self.data.is_empty() {
                complete.push((std::mem::take(&mut self.kind), std::mem::take(&mut self.data)));
            }
            self.kind.clear();
        } else if let Some(kind) = line.strip_prefix("event:") {
            self.kind = kind.trim_start().to_owned();
        } else if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Events;

    #[test]
    fn events_are_read_from_any_pieces() {
        let text =
            ": keep-alive\n\nid: 3\r\nevent: a\r\ndata: {\"x\":\r\ndata: 1}\r\n\r\ndata:é\n\n";
        for size in 1..text.len() {
            let mut events = Events::default();
            let found: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|it| events.feed(it).unwrap()).collect();
            let expected =
                [("a".to_owned(), "{\"x\":\n1}".to_owned()), (String::new(), "é".to_owned())];
            assert_eq!(found, expected, "{size}");
        }
    }
}
