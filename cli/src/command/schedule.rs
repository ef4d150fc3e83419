//! `windlass schedule`: starts by the clock.

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// See schedules, pause and resume them, or start what they start.
///
/// The schedule of a workflow is that of its highest version.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass schedule list\n  windlass schedule pause shop/report \
                        --reason 'the shop is closed'\n  windlass schedule trigger shop/report"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List schedules
    List(ListArgs),
    /// Show a schedule: what is due next, and what became of the last due times
    Show(ShowArgs),
    /// Pause a schedule: what is due meanwhile is skipped
    Pause(PauseArgs),
    /// Let a schedule go on
    Resume(OfArgs),
    /// Start an instance now, although the schedule may be paused or another one open
    Trigger(OfArgs),
    /// Start what was due from one time to another, at most 1,000 instances
    Backfill(BackfillArgs),
}

#[derive(clap::Args)]
struct ListArgs {
    /// Of workflows in this namespace
    #[arg(long)]
    namespace: Option<String>,
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

/// Which schedule.
#[derive(clap::Args)]
struct Of {
    /// The workflow
    #[arg(value_name = "NAMESPACE/NAME", value_parser = super::control::workflow)]
    workflow: (String, String),
}

#[derive(clap::Args)]
struct OfArgs {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    of: Of,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct PauseArgs {
    #[command(flatten)]
    of: Of,
    /// Shown with it
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct BackfillArgs {
    #[command(flatten)]
    of: Of,
    /// The first time, such as 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: String,
    /// The last one
    #[arg(long, value_name = "TIME")]
    to: String,
    /// Only tell how many due times would be taken up
    #[arg(long)]
    preview: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::List(args) => list(args).await,
        Command::Show(args) => show(args).await,
        Command::Pause(args) => {
            order(&args.remote, &args.of, "pause", &json!({"reason": args.reason})).await
        }
        Command::Resume(args) => order(&args.remote, &args.of, "resume", &json!({})).await,
        Command::Trigger(args) => order(&args.remote, &args.of, "trigger", &json!({})).await,
        Command::Backfill(args) => {
            let body = json!({"from": args.from, "to": args.to, "preview": args.preview});
            order(&args.remote, &args.of, "backfill", &body).await
        }
    }
}

async fn order(remote: &Remote, of: &Of, action: &str, body: &Json) -> Result<(), CliError> {
    let client = Client::new(remote)?;
    let (namespace, name) = &of.workflow;
    let path = ["v1", "schedules", namespace, name, action];
    let (_, answer) = client.send(client.request(Method::POST, &path).json(body)).await?;
    output::json(&answer);
    Ok(())
}

/// What [`row`] gives of a schedule.
const HEADINGS: &[&str] =
    &["WORKFLOW", "SCHEDULE", "NEXT", "LAST", "OUTCOME", "FIRED", "SKIPPED", "MISSED", "STATE"];

async fn list(args: ListArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let mut query = vec![("limit", args.limit.to_string())];
    for (name, value) in [("namespace", args.namespace), ("cursor", args.cursor)] {
        query.extend(value.map(|it| (name, it)));
    }
    let page = client.get(&["v1", "schedules"], &query).await?;
    output::page(&page, args.output, HEADINGS, row);
    Ok(())
}

async fn show(args: ShowArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let (namespace, name) = &args.of.workflow;
    let schedule = client.get(&["v1", "schedules", namespace, name], &[]).await?;
    if Format::or_default(args.output) == Format::Json {
        output::json(&schedule);
        return Ok(());
    }
    output::table(HEADINGS, &[row(&schedule)]);
    let times = |name: &str| schedule[name].as_array().cloned().unwrap_or_default();
    let next = times("next").into_iter().rev().map(|it| time(&it, "due"));
    let past = times("past").into_iter().map(|it| {
        let outcome = it["outcome"].as_str().unwrap_or("").to_owned();
        time(&it, &outcome)
    });
    output::table(&["TIME", "BY", "OUTCOME", "DETAIL"], &next.chain(past).collect::<Vec<_>>());
    Ok(())
}

fn row(item: &Json) -> Vec<String> {
    let text = |name: &str| item[name].as_str().unwrap_or("").to_owned();
    let number = |name: &str| item[name].as_u64().unwrap_or(0).to_string();
    let paused = &item["paused"];
    let state = match (paused["since"].as_str(), paused["reason"].as_str()) {
        (None, _) => "active".to_owned(),
        (Some(_), None) => "paused".to_owned(),
        (Some(_), Some(reason)) => format!("paused: {reason}"),
    };
    let every = item["everyMs"].as_u64().map(|it| format!("every {it} ms"));
    let after = item["afterMs"].as_u64().map(|it| format!("after {it} ms"));
    let cron = item["cron"].as_str().map(|it| format!("{it} ({})", text("timezone")));
    let on = item["on"].is_object().then(|| "on events".to_owned());
    let of_last = |name: &str| item["last"][name].as_str().unwrap_or("").to_owned();
    let outcome = match of_last("why") {
        why if why.is_empty() => of_last("outcome"),
        why => format!("{}: {why}", of_last("outcome")),
    };
    let rules: Vec<_> = [every, cron, after, on].into_iter().flatten().collect();
    vec![
        format!("{}/{}:{}", text("namespace"), text("name"), text("version")),
        rules.join("; "),
        item["next"][0]["at"].as_str().unwrap_or("").to_owned(),
        of_last("at"),
        outcome,
        number("fired"),
        number("skipped"),
        number("missed"),
        state,
    ]
}

fn time(item: &Json, outcome: &str) -> Vec<String> {
    let text = |name: &str| item[name].as_str().unwrap_or("").to_owned();
    let mut detail = format!("{}{}", text("why"), text("instance"));
    if let Some(until) = item["until"].as_str() {
        let count = item["count"].as_u64().map_or_else(|| "many".to_owned(), |it| it.to_string());
        detail = format!("{detail}, {count} until {until}");
    }
    vec![text("at"), text("trigger"), outcome.to_owned(), detail]
}

#[cfg(test)]
mod tests {
    use super::{row, time};

    #[test]
    fn rows_have_every_column() {
        let item = serde_json::json!({
            "namespace": "a", "name": "b", "version": "1.0.0", "cron": "0 0 * * *",
            "timezone": "UTC", "next": [{"at": "t", "trigger": "cron"}], "fired": 2, "skipped": 1,
            "missed": 1, "paused": {"since": "s", "reason": "why"},
            "last": {"at": "l", "outcome": "skipped", "why": "missed"},
        });
        let expected = [
            "a/b:1.0.0",
            "0 0 * * * (UTC)",
            "t",
            "l",
            "skipped: missed",
            "2",
            "1",
            "1",
            "paused: why",
        ];
        assert_eq!(row(&item), expected);
        let past = serde_json::json!({
            "at": "t", "until": "u", "count": 3, "trigger": "every", "why": "missed",
        });
        assert_eq!(time(&past, "skipped"), ["t", "every", "skipped", "missed, 3 until u"]);
    }
}
