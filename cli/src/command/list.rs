//! `windlass list`.

use clap::ValueEnum;
use serde_json::Value as Json;
use windlass_proto::limits::{API_PAGE, FILTER_BYTES};

use crate::client::Client;
use crate::error::CliError;
use crate::options::{Remote, label};
use crate::output::{self, Format};

/// List instances, those that started last first.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  windlass list --status running --label customer=42 --limit 20
  windlass list --filter 'workflow=shop/order status=faulted error=timeout' --count
  windlass list --filter 'started>=2026-01-31T08:00:00Z' --all --output csv > orders.csv")]
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
    /// Faulted with an error whose type ends so, such as timeout; may be repeated
    #[arg(long = "error", value_name = "TYPE")]
    errors: Vec<String>,
    /// With this label; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Started by this instance, directly or through others
    #[arg(long, value_name = "ID")]
    root: Option<String>,
    /// Started by this instance itself
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Started at or after, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    started_after: Option<String>,
    /// Started before
    #[arg(long, value_name = "TIME")]
    started_before: Option<String>,
    /// Ended at or after
    #[arg(long, value_name = "TIME")]
    ended_after: Option<String>,
    /// Ended before
    #[arg(long, value_name = "TIME")]
    ended_before: Option<String>,
    /// All of these as one text: 'status=faulted label.customer=42 started>=TIME'
    #[arg(long, value_name = "CONDITIONS")]
    filter: Option<String>,
    /// Tell only how many there are
    #[arg(long, conflicts_with_all = ["all", "cursor"])]
    count: bool,
    /// All there are, one a line where they are JSON, as they are found
    #[arg(long, conflicts_with = "cursor")]
    all: bool,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "NUMBER", conflicts_with = "all",
        value_parser = most)]
    limit: usize,
    /// Continue a list: `next` of the page before
    #[arg(long)]
    cursor: Option<String>,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Listed>,
    #[command(flatten)]
    remote: Remote,
}

/// How instances are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Listed {
    /// One JSON document; with --all, one a line
    Json,
    /// Columns
    Table,
    /// Comma-separated values, as RFC 4180 has them
    Csv,
}

/// The columns of comma-separated values: those, and the type of the error.
const CSV_HEADINGS: [&str; 7] = ["ID", "WORKFLOW", "STATUS", "STARTED", "ENDED", "LABELS", "ERROR"];

const HEADINGS: [&str; 6] = ["ID", "WORKFLOW", "STATUS", "STARTED", "ENDED", "LABELS"];

/// Reads how many are wanted.
fn most(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => {
            Err("must be a number from 1; `--all` lists all there are, `--count` counts them"
                .into())
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    if args.filter.as_ref().is_some_and(|it| it.len() > FILTER_BYTES) {
        let text = format!("--filter has more than {FILTER_BYTES} bytes");
        return Err(CliError::Usage(text));
    }
    let client = Client::new(&args.remote)?;
    let format = args.output.unwrap_or(match Format::or_default(None) {
        Format::Json => Listed::Json,
        Format::Table => Listed::Table,
    });
    let (count, all, limit) = (args.count, args.all, args.limit);
    let mut query = conditions(args);
    if count {
        return told(&client.get(&["v1", "instances", "count"], &query).await?, format);
    }
    query.push(("limit", if all { API_PAGE } else { limit }.to_string()));
    if all {
        return export(&client, query, format).await;
    }
    let page = gathered(&client, query, limit).await?;
    match format {
        Listed::Json => output::page(&page, Some(Format::Json), &HEADINGS, row),
        Listed::Table => output::page(&page, Some(Format::Table), &HEADINGS, row),
        Listed::Csv => {
            let rows = page["items"].as_array().into_iter().flatten().map(csv_row);
            output::text(&(csv(&CSV_HEADINGS.map(str::to_owned)) + &lines(rows)));
        }
    }
    Ok(())
}

fn conditions(args: Args) -> Vec<(&'static str, String)> {
    let mut query = Vec::new();
    for (name, value) in [
        ("namespace", args.namespace),
        ("name", args.name),
        ("version", args.version),
        ("startedAfter", args.started_after),
        ("startedBefore", args.started_before),
        ("endedAfter", args.ended_after),
        ("endedBefore", args.ended_before),
        ("root", args.root),
        ("parent", args.parent),
        ("filter", args.filter),
        ("cursor", args.cursor),
    ] {
        query.extend(value.map(|it| (name, it)));
    }
    query.extend(args.statuses.into_iter().map(|it| ("status", it)));
    query.extend(args.errors.into_iter().map(|it| ("error", it)));
    query.extend(args.labels.into_iter().map(|(name, value)| ("label", format!("{name}={value}"))));
    query
}

/// A page with as many as were asked for, if there are so many: the server looks at a bounded part
/// of them for each answer.
async fn gathered(
    client: &Client,
    mut query: Vec<(&'static str, String)>,
    limit: usize,
) -> Result<Json, CliError> {
    let mut items = Vec::new();
    loop {
        let mut page = client.get(&["v1", "instances"], &query).await?;
        items.extend(page["items"].as_array().into_iter().flatten().cloned());
        let next = page["next"].as_str().map(str::to_owned);
        match next.filter(|_| items.len() < limit.min(API_PAGE)) {
            Some(next) => {
                query.retain(|(name, _)| !matches!(*name, "cursor" | "limit"));
                query.push(("cursor", next));
                query.push(("limit", (limit - items.len()).to_string()));
            }
            None => {
                page["items"] = items.into();
                return Ok(page);
            }
        }
    }
}

/// Writes all there are, page by page.
async fn export(
    client: &Client,
    mut query: Vec<(&'static str, String)>,
    format: Listed,
) -> Result<(), CliError> {
    let unwritten = |error| CliError::Usage(format!("the list cannot be written: {error}"));
    let mut heading = match format {
        Listed::Csv => csv(&CSV_HEADINGS.map(str::to_owned)),
        Listed::Json | Listed::Table => String::new(),
    };
    loop {
        let page = client.get(&["v1", "instances"], &query).await?;
        let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
        let text = match format {
            Listed::Csv => std::mem::take(&mut heading) + &lines(items.iter().map(csv_row)),
            Listed::Json => items.iter().map(|it| format!("{it}\n")).collect(),
            Listed::Table => {
                items.iter().map(|it| output::printable(&row(it).join("  ")) + "\n").collect()
            }
        };
        let goes_on = output::write(&text).map_err(unwritten)?;
        let Some(next) = page["next"].as_str().filter(|_| goes_on) else { return Ok(()) };
        query.retain(|(name, _)| *name != "cursor");
        query.push(("cursor", next.to_owned()));
    }
}

fn told(count: &Json, format: Listed) -> Result<(), CliError> {
    if format == Listed::Json {
        output::json(count);
        return Ok(());
    }
    output::text_line(&count["count"].to_string());
    if count["complete"] == Json::Bool(false) {
        output::message("there are at least so many: counting all would take too long");
    }
    Ok(())
}

fn lines(rows: impl Iterator<Item = Vec<String>>) -> String {
    rows.map(|it| csv(&it)).collect()
}

/// A line of comma-separated values.
fn csv(cells: &[String]) -> String {
    let cell = |it: &String| match it.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", it.replace('"', "\"\"")),
        false => it.clone(),
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n"
}

fn csv_row(item: &Json) -> Vec<String> {
    let mut cells = row(item);
    cells.push(item["error"]["type"].as_str().unwrap_or_default().to_owned());
    cells
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
    use super::{csv, row};

    #[test]
    fn values_with_commas_and_quotation_marks_are_quoted() {
        let cells = ["a", "b,c", "d\"e", ""].map(str::to_owned);
        assert_eq!(csv(&cells), "a,\"b,c\",\"d\"\"e\",\r\n");
    }

    #[test]
    fn a_row_has_every_column() {
        let item = serde_json::json!({
            "id": "1", "workflow": {"namespace": "a", "name": "b", "version": "1.0.0"},
            "status": "running", "startedAt": "t", "labels": {"k": "v", "l": "w"},
        });
        assert_eq!(row(&item), ["1", "a/b:1.0.0", "running", "t", "", "k=v,l=w"]);
    }
}
