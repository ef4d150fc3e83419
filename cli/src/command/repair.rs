//! `windlass retry`, `reset`.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value as Json, json};
use windlass_proto::value::{Members, Value};

use super::control::order;
use crate::client::Client;
use crate::error::CliError;
use crate::input;
use crate::options::Remote;
use crate::output::{self, Format};

/// Go on for an instance that has faulted, at the task that failed.
///
/// Another instance does, which begins with all that had happened: what was done is not done again.
/// Once more, the same one is named.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass retry 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --reason \
                        'the shop is back'")]
pub(crate) struct RetryArgs {
    /// The instance
    id: String,
    /// Kept in the audit trail and in the history
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Go on for an instance that has ended, from a visit of a task.
///
/// Another instance does, which begins with all that had happened before that visit. What came
/// after it is done again.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass reset 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --to \
                        /do/2/charge --dry-run\n  windlass reset \
                        0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --to '/do/1/each/for/do/0/pay[2]' \
                        --set rate=2\n  windlass reset 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --to \
                        /do/2/charge --definition 1.0.1 --dry-run")]
pub(crate) struct ResetArgs {
    /// The instance
    id: String,
    /// JSON pointer of the task that begins again, as `windlass history` has it, and which of its
    /// visits, from 1 [default: the last one]
    #[arg(long, value_name = "POINTER[VISIT]")]
    to: String,
    /// What the task gets in place of what it got: JSON, `@FILE` or `-`
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// A member of the context that the task sees otherwise; may be repeated
    #[arg(long, value_name = "NAME=JSON", value_parser = member)]
    set: Vec<(String, String)>,
    /// Another version of the workflow, or `latest`, by which it goes on: refused where that would
    /// have gone another way before, with the first task where it would
    #[arg(long, value_name = "VERSION")]
    definition: Option<String>,
    /// What becomes of children that were being waited for: without it they are refused
    #[arg(long, value_enum)]
    children: Option<Children>,
    /// Only print what would be kept and what done again
    #[arg(long)]
    dry_run: bool,
    /// Makes repeats of this command start one instance only
    #[arg(long, value_name = "KEY", conflicts_with = "dry_run")]
    idempotency_key: Option<String>,
    /// Kept in the audit trail and in the history
    #[arg(long)]
    reason: Option<String>,
    /// How to print it: columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Children {
    /// They are started anew
    Rerun,
}

/// A request to reset; data apart from serde's values, which would round its large numbers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reset {
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<Children>,
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<String>,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Reads `NAME=JSON`; the JSON later, where errors can say what is wrong with it.
fn member(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=JSON".to_owned()),
    }
}

/// Runs `retry`.
pub(crate) async fn retry(args: RetryArgs) -> Result<(), CliError> {
    let path = ["v1", "instances", &args.id, "retry"];
    order(&args.remote, &path, &json!({"reason": args.reason})).await
}

/// Runs `reset`.
pub(crate) async fn reset(args: ResetArgs) -> Result<(), CliError> {
    let input = args.input.as_deref().map(|it| input::read("--input", it)).transpose()?;
    let mut set = Members::new();
    for (name, value) in &args.set {
        set.insert(name.as_str().into(), input::parse("--set", value)?);
    }
    let set = (!set.is_empty()).then(|| Value::from(set));
    let ResetArgs { to, children, definition, dry_run, reason, .. } = args;
    let body = Reset { to, input, set, children, definition, dry_run, reason };
    let client = Client::new(&args.remote)?;
    let mut request =
        client.request(Method::POST, &["v1", "instances", &args.id, "reset"]).json(&body);
    if let Some(key) = &args.idempotency_key {
        request = request.header("Idempotency-Key", key);
    }
    let (_, answer) = client.send(request).await?;
    if Format::or_default(args.output) == Format::Json {
        output::json(&answer);
        return Ok(());
    }
    let visits = |name: &str, what: &str| {
        let all = answer[name].as_array().into_iter().flatten();
        all.map(|it| vec![shown(it), what.to_owned()]).collect::<Vec<_>>()
    };
    let rows: Vec<_> = [visits("kept", "kept"), visits("again", "done again")].concat();
    output::table(&["VISIT", "WHAT BECOMES OF IT"], &rows);
    if let Some(id) = answer["id"].as_str() {
        let version = answer["workflow"]["version"].as_str().unwrap_or_default().to_owned();
        let row = vec![id.to_owned(), args.id, version];
        output::table(&["INSTANCE", "GOES ON FOR", "VERSION"], &[row]);
    }
    Ok(())
}

fn shown(visit: &Json) -> String {
    format!("{}[{}]", visit["task"].as_str().unwrap_or(""), visit["visit"])
}

#[cfg(test)]
mod tests {
    use super::{member, shown};

    #[test]
    fn members_of_the_context_are_named() {
        assert_eq!(member("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(member("a").is_err() && member("=1").is_err());
    }

    #[test]
    fn visits_are_shown_as_they_are_asked_for() {
        assert_eq!(shown(&serde_json::json!({"task": "/do/0/a", "visit": 2})), "/do/0/a[2]");
    }
}
