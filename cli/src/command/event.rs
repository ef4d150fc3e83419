//! `windlass event`: send events, and look at those that nobody waited for.

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value as Json;
use windlass_proto::limits::PAYLOAD_BYTES;
use windlass_proto::value::Value;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::Format;
use crate::{input, output};

/// Send events to the instances that listen, and see those that nobody waits for.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Send a CloudEvent, or an array of them
    Send(SendArgs),
    /// List the events that a namespace keeps until an instance waits for them
    List(ListArgs),
    /// Show such an event
    Show(ShowArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass event send '{\"type\": \"com.example.paid\", \
                        \"data\": {\"order\": 4711}}'\n\n\
                        An id, a source and a specversion are added where they are missing. What \
                        nobody listens for is kept for a while where a definition will: see \
                        `keptUntil` of the answer, and `windlass event list`.")]
struct SendArgs {
    /// The event: JSON, @FILE, or - for standard input
    #[arg(value_name = "JSON", required_unless_present = "file", conflicts_with = "file")]
    event: Option<String>,
    /// Read the event from a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only to this instance, whoever else listens
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass event list shop --dead")]
struct ListArgs {
    /// The namespace that keeps them
    namespace: String,
    /// Those that are kept, which is what is listed by default
    #[arg(long, conflicts_with = "dead")]
    kept: bool,
    /// Those that nobody waited for in time, and those for which there was no room
    #[arg(long)]
    dead: bool,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass event show shop 8d5f0c1e9b7a4d3c8d5f0c1e9b7a4d3c")]
struct ShowArgs {
    /// The namespace that keeps it
    namespace: String,
    /// Its key, as the list has it
    key: String,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Send(args) => send(args).await,
        Command::List(args) => list(&args).await,
        Command::Show(args) => {
            let path = ["v1", "namespaces", &args.namespace, "events", &args.key];
            output::json(&Client::new(&args.remote)?.get(&path, &[]).await?);
            Ok(())
        }
    }
}

async fn list(args: &ListArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let path = ["v1", "namespaces", &args.namespace, "events"];
    let state = if args.dead { "dead" } else { "kept" };
    let mut query = vec![("state", state.to_owned())];
    let mut items = Vec::new();
    loop {
        let page = client.get(&path, &query).await?;
        items.extend(page["items"].as_array().cloned().unwrap_or_default());
        let Some(next) = page["next"].as_str() else { break };
        query.truncate(1);
        query.push(("cursor", next.to_owned()));
    }
    let headings = ["KEY", "TYPE", "SOURCE", "ID", "STATE", "RECEIVED", "KEPT UNTIL"];
    output::page(&serde_json::json!({"items": items}), args.output, &headings, row);
    Ok(())
}

fn row(item: &Json) -> Vec<String> {
    let fields = ["key", "type", "source", "id", "state", "receivedAt", "keptUntil"];
    fields.iter().map(|it| item[*it].as_str().unwrap_or_default().to_owned()).collect()
}

async fn send(args: SendArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let value = match &args.file {
        Some(path) => input::parse("the event", &input::file(path, PAYLOAD_BYTES)?)?,
        None => input::read("the event", args.event.as_deref().unwrap_or_default())?,
    };
    let (event, media_type) = match value {
        Value::Array(_) => {
            let events = value.into_elements().unwrap_or_default();
            let events = Value::array(events.into_iter().map(complete).collect());
            (events, "application/cloudevents-batch+json")
        }
        single => (complete(single), "application/cloudevents+json"),
    };
    let path = match &args.instance {
        Some(id) => vec!["v1", "instances", id, "events"],
        None => vec!["v1", "events"],
    };
    let request =
        client.request(Method::POST, &path).header(CONTENT_TYPE, media_type).body(event.to_json());
    let (_, answer) = client.send(request).await?;
    output::json(&answer);
    Ok(())
}

/// Adds what can be added without knowing the event.
fn complete(event: Value) -> Value {
    let Value::Object(_) = event else { return event };
    let mut members = event.into_members().unwrap_or_default();
    for (name, value) in [
        ("specversion", "1.0".to_owned()),
        ("id", uuid::Uuid::new_v4().to_string()),
        ("source", "urn:windlass:cli".to_owned()),
    ] {
        members.entry(name.into()).or_insert_with(|| value.into());
    }
    members.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::value::Value;

    use super::complete;

    #[test]
    fn only_what_is_missing_is_added() {
        let read = |text: &str| Value::from_json(text).unwrap();
        let event = complete(read(r#"{"type":"t","id":"7","data":36893488147419103233}"#));
        let expected = r#"{"type":"t","id":"7","data":36893488147419103233,"specversion":"1.0","source":"urn:windlass:cli"}"#;
        assert_eq!(event.to_json(), expected);
        assert_eq!(complete(read("[1]")).to_json(), "[1]");
    }
}
