//! `windlass deploy`.

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value as Json;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::{definition, output};

/// Deploy definitions to a server.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass deploy order.yaml payment.yaml\n\n\
                        All files are checked before the first is sent.")]
pub(crate) struct Args {
    /// Definitions, YAML or JSON
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Sends one definition; gives the server's answer.
pub(super) async fn send(client: &Client, text: String) -> Result<Json, CliError> {
    let request = client
        .request(Method::POST, &["v1", "workflows"])
        .header(CONTENT_TYPE, "application/yaml")
        .body(text);
    client.send(request).await.map(|(_, answer)| answer)
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let checked: Vec<_> = args.files.iter().map(|it| definition::check(it)).collect();
    let checked = checked.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut deployed = Vec::new();
    for definition in checked {
        let answer = send(&client, definition.text).await?;
        let id = &definition.id;
        output::message(&if answer["replaced"] == true {
            format!(
                "replaced {id}: it had another text, which instances that were started from it keep to; \
                 a change deserves another version"
            )
        } else {
            let word = if answer["changed"] == false { "unchanged" } else { "deployed" };
            format!("{word} {id}")
        });
        deployed.push(answer);
    }
    output::json(&deployed);
    Ok(())
}
