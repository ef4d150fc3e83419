//! `windlass secret list`.

use serde_json::Value as Json;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// List the secrets that deployed workflows use.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass secret list --output table")]
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
    let answer = client.get(&["v1", "secrets"], &[]).await?;
    if Format::or_default(args.output) == Format::Json {
        output::json(&answer);
        return Ok(());
    }
    let items = answer["items"].as_array().into_iter().flatten();
    let rows: Vec<_> = items.flat_map(rows).collect();
    output::table(&["SECRET", "WORKFLOW", "PERMITTED", "TASKS"], &rows);
    Ok(())
}

/// One row for each workflow that uses a secret.
fn rows(secret: &Json) -> Vec<Vec<String>> {
    let text = |value: &Json| value.as_str().unwrap_or("").to_owned();
    let row = |used: &Json| {
        let [namespace, name, version] = ["namespace", "name", "version"].map(|it| text(&used[it]));
        let permitted = if used["permitted"] == true { "yes" } else { "no" };
        let tasks = used["tasks"].as_array().into_iter().flatten().map(text);
        vec![
            text(&secret["name"]),
            format!("{namespace}/{name}:{version}"),
            permitted.to_owned(),
            tasks.collect::<Vec<_>>().join(", "),
        ]
    };
    secret["uses"].as_array().into_iter().flatten().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn every_use_has_a_row() {
        let used = |name: &str, permitted: bool| {
            serde_json::json!({
                "namespace": "acme", "name": name, "version": "1.0.0",
                "tasks": ["/do/0/a", "/do/1/b"], "permitted": permitted,
            })
        };
        let uses = [used("order", true), used("bill", false)];
        let rows = rows(&serde_json::json!({"name": "api-key", "uses": uses}));
        let expected = [
            ["api-key", "acme/order:1.0.0", "yes", "/do/0/a, /do/1/b"],
            ["api-key", "acme/bill:1.0.0", "no", "/do/0/a, /do/1/b"],
        ];
        assert_eq!(rows, expected);
    }
}
