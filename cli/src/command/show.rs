//! `windlass show`.

use serde_json::Value as Json;

use super::history;
use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// Show an instance: input, context, what it does now.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass show 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f\n  \
                        windlass show 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --output table")]
pub(crate) struct Args {
    /// The instance
    id: String,
    /// JSON unless told otherwise: columns have no room for whole values
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let instance = client.get(&["v1", "instances", &args.id], &[]).await?;
    if args.output != Some(Format::Table) {
        output::json(&instance);
        return Ok(());
    }
    output::table(&["FIELD", "VALUE"], &fields(&instance));
    let open: Vec<_> = instance["open"].as_array().into_iter().flatten().map(task).collect();
    if !open.is_empty() {
        output::table(&["TASK", "STATE", "SINCE", "UNTIL", "ATTEMPT"], &open);
    }
    Ok(())
}

/// What is there of an instance, a row each; values are cut to what a line can show.
fn fields(instance: &Json) -> Vec<Vec<String>> {
    let workflow = &instance["workflow"];
    let [namespace, name, version] = ["namespace", "name", "version"].map(|it| text(&workflow[it]));
    let workflow = format!("{namespace}/{name}:{version}");
    let names = [
        "id",
        "status",
        "startedAt",
        "endedAt",
        "priority",
        "labels",
        "parent",
        "root",
        "predecessor",
        "successors",
        "faultHandler",
        "input",
        "context",
        "output",
        "error",
    ];
    let mut rows = vec![vec!["workflow".to_owned(), workflow]];
    rows.extend(names.iter().filter_map(|name| {
        let value = match instance.get(*name)? {
            Json::String(text) => text.clone(),
            Json::Object(members) if members.is_empty() => return None,
            value => history::cut(&value.to_string()),
        };
        Some(vec![(*name).to_owned(), value])
    }));
    // Who it is stands before what it runs.
    rows.swap(0, 1);
    rows
}

fn task(task: &Json) -> Vec<String> {
    let mut words = ["reference", "state", "since", "until"].map(|it| text(&task[it]));
    if let Some(approval) = task["approval"].as_str() {
        words[1] = format!("{} {approval}", words[1]);
    }
    words.into_iter().chain([task["attempt"].to_string()]).collect()
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::{fields, task};

    #[test]
    fn a_row_for_all_that_is_there() {
        let instance = serde_json::json!({
            "id": "1", "workflow": {"namespace": "a", "name": "b", "version": "1.0.0"},
            "digest": "d", "status": "running", "startedAt": "t", "labels": {}, "priority": 5,
            "input": {"order": 4711}, "context": {"text": "x".repeat(100)}, "open": [],
        });
        let rows = fields(&instance);
        let named: Vec<_> = rows.iter().map(|it| it[0].as_str()).collect();
        assert_eq!(
            named,
            ["id", "workflow", "status", "startedAt", "priority", "input", "context"]
        );
        assert_eq!((&*rows[1][1], &*rows[5][1]), ("a/b:1.0.0", r#"{"order":4711}"#));
        assert_eq!(rows[6][1].chars().count(), 61);
        let open = serde_json::json!({
            "reference": "/do/0/a", "name": "a", "state": "waiting for time", "since": "s",
            "until": "u", "attempt": 2,
        });
        assert_eq!(task(&open), ["/do/0/a", "waiting for time", "s", "u", "2"]);
    }
}
