//! `windlass list`.

use serde_json::Value as Json;

use crate::client::Client;
use crate::error::CliError;
use crate::options::{Remote, label};
use crate::output::{self, Format};

/// List instances.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass list --status running --label customer=42 --limit 20")]
pub(crate) struct Args {
    /// Of workflows in this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// Of workflows of this name
    #[arg(long)]
    name: Option<String>,
    /// Of this version
    #[arg(long)]
    version: Option<String>,
    /// In this status; may be repeated
    #[arg(long = "status", value_name = "STATUS", value_parser = [
        "pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed"])]
    statuses: Vec<String>,
    /// With this label; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Started by this instance, directly or through others
    #[arg(long, value_name = "ID")]
    root: Option<String>,
    /// Started at or after, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    started_after: Option<String>,
    /// Started before
    #[arg(long, value_name = "TIME")]
    started_before: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    limit: usize,
    /// Continue a list: `next` of the page before
    #[arg(long)]
    cursor: Option<String>,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let mut query = vec![("limit", args.limit.to_string())];
    for (name, value) in [
        ("namespace", args.namespace),
        ("name", args.name),
        ("version", args.version),
        ("startedAfter", args.started_after),
        ("startedBefore", args.started_before),
        ("root", args.root),
        ("cursor", args.cursor),
    ] {
        query.extend(value.map(|it| (name, it)));
    }
    query.extend(args.statuses.into_iter().map(|it| ("status", it)));
    query.extend(args.labels.into_iter().map(|(name, value)| ("label", format!("{name}={value}"))));
    let page = client.get(&["v1", "instances"], &query).await?;
    let headings = &["ID", "WORKFLOW", "STATUS", "STARTED", "ENDED", "LABELS"];
    output::page(&page, args.output, headings, row);
    Ok(())
}

fn row(item: &Json) -> Vec<String> {
    let text = |value: &Json| value.as_str().unwrap_or("").to_owned();
    let workflow = &item["workflow"];
    let labels: Vec<_> = item["labels"].as_object().into_iter().flatten().collect();
    let labels: Vec<_> =
        labels.into_iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
    vec![
        text(&item["id"]),
        format!(
            "{}/{}:{}",
            text(&workflow["namespace"]),
            text(&workflow["name"]),
            text(&workflow["version"])
        ),
        match (item["status"].as_str(), item["error"].is_object()) {
            (Some("suspended"), true) => "suspended (quarantined)".to_owned(),
            _ => text(&item["status"]),
        },
        text(&item["startedAt"]),
        text(&item["endedAt"]),
        labels.join(","),
    ]
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn a_row_has_every_column() {
        let item = serde_json::json!({
            "id": "1", "workflow": {"namespace": "a", "name": "b", "version": "1.0.0"},
            "status": "running", "startedAt": "t", "labels": {"k": "v", "l": "w"},
        });
        assert_eq!(row(&item), ["1", "a/b:1.0.0", "running", "t", "", "k=v,l=w"]);
    }
}
