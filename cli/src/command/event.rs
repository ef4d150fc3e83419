//! `windlass event send`.

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use windlass_proto::limits::PAYLOAD_BYTES;
use windlass_proto::value::Value;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::{input, output};

/// Send events to the instances that listen.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Send a CloudEvent, or an array of them
    Send(SendArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass event send '{\"type\": \"com.example.paid\", \
                        \"data\": {\"order\": 4711}}'\n\n\
                        An id, a source and a specversion are added where they are missing.")]
struct SendArgs {
    /// The event: JSON, @FILE, or - for standard input
    #[arg(value_name = "JSON", required_unless_present = "file", conflicts_with = "file")]
    event: Option<String>,
    /// Read the event from a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let Command::Send(args) = args.command;
    let client = Client::new(&args.remote)?;
    let value = match &args.file {
        Some(path) => input::parse("the event", &input::file(path, PAYLOAD_BYTES)?)?,
        None => input::read("the event", &args.event.unwrap_or_default())?,
    };
    let (event, media_type) = match value {
        Value::Array(_) => {
            let events = value.into_elements().unwrap_or_default();
            let events = Value::array(events.into_iter().map(complete).collect());
            (events, "application/cloudevents-batch+json")
        }
        single => (complete(single), "application/cloudevents+json"),
    };
    let request = client
        .request(Method::POST, &["v1", "events"])
        .header(CONTENT_TYPE, media_type)
        .body(event.to_json());
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
