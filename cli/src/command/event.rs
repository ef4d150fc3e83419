//! `windlass event send`.

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value as Json, json};
use windlass_proto::limits::PAYLOAD_BYTES;

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
    let mut event = serde_json::to_value(value).unwrap_or_default();
    let media_type = match &mut event {
        Json::Array(events) => {
            events.iter_mut().for_each(complete);
            "application/cloudevents-batch+json"
        }
        single => {
            complete(single);
            "application/cloudevents+json"
        }
    };
    let request = client
        .request(Method::POST, &["v1", "events"])
        .header(CONTENT_TYPE, media_type)
        .body(event.to_string());
    let (_, answer) = client.send(request).await?;
    output::json(&answer);
    Ok(())
}

/// Adds what can be added without knowing the event.
fn complete(event: &mut Json) {
    let Json::Object(members) = event else { return };
    for (name, value) in [
        ("specversion", "1.0".to_owned()),
        ("id", uuid::Uuid::new_v4().to_string()),
        ("source", "urn:windlass:cli".to_owned()),
    ] {
        members.entry(name).or_insert_with(|| json!(value));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::complete;

    #[test]
    fn only_what_is_missing_is_added() {
        let mut event = json!({"type": "t", "id": "7"});
        complete(&mut event);
        assert_eq!(
            event,
            json!({"type": "t", "id": "7", "specversion": "1.0", "source": "urn:windlass:cli"})
        );
        let mut other = json!([1]);
        complete(&mut other);
        assert_eq!(other, json!([1]));
    }
}
