//! `windlass worker list`.

use serde_json::Value as Json;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// List the workers of a coordinator.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass worker list --output table")]
pub(super) struct Args {
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let answer = client.get(&["v1", "workers"], &[]).await?;
    if Format::or_default(args.output) == Format::Json {
        output::json(&answer);
        return Ok(());
    }
    let rows: Vec<_> = answer["items"].as_array().into_iter().flatten().map(row).collect();
    output::table(
        &[
            "WORKER",
            "POOL",
            "STATE",
            "IN FLIGHT",
            "OF",
            "LAST SEEN",
            "VERSION",
            "CAPABILITIES",
            "ISOLATION",
        ],
        &rows,
    );
    Ok(())
}

fn row(item: &Json) -> Vec<String> {
    let text = |name: &str| item[name].as_str().unwrap_or("").to_owned();
    let number = |name: &str| item[name].as_u64().unwrap_or(0);
    let capabilities = item["capabilities"].as_array().into_iter().flatten();
    let capabilities: Vec<_> = capabilities.filter_map(Json::as_str).collect();
    vec![
        text("identity"),
        text("pool"),
        text("state"),
        number("inFlight").to_string(),
        number("concurrency").to_string(),
        format!("{} ms ago", number("silentMs")),
        text("version"),
        capabilities.join(","),
        text("isolation"),
    ]
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn a_row_has_every_column() {
        let isolation = "none: --sandbox off";
        let item = serde_json::json!({
            "identity": "a-1", "pool": "default", "state": "ready", "inFlight": 2,
            "concurrency": 4, "silentMs": 7, "version": "0.1.0", "capabilities": ["http", "shell"],
            "isolation": isolation,
        });
        let expected =
            ["a-1", "default", "ready", "2", "4", "7 ms ago", "0.1.0", "http,shell", isolation];
        assert_eq!(row(&item), expected);
    }
}
