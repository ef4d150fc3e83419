//! `windlass deploy`.

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value as Json;
use windlass_proto::limits::DEFINITION_BYTES;
use windlass_worker::Worker;

use crate::client::Client;
use crate::definition::{self, Checked, Support};
use crate::error::CliError;
use crate::functions::FetchOptions;
use crate::options::Remote;
use crate::output;

/// Deploy definitions to a server.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass deploy order.yaml payment.yaml\n\n\
                        All files are checked, and functions of catalogs fetched, before the first \
                        is sent. A version keeps its text: raise `document.version` with each \
                        change.")]
pub(crate) struct Args {
    /// Definitions, YAML or JSON
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Replace another text of the same version, where the server allows it: `windlass dev`, or a
    /// coordinator with --allow-replace
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    support: Support,
    #[command(flatten)]
    fetch: FetchOptions,
    #[command(flatten)]
    remote: Remote,
}

/// The definition with the functions of catalogs that it calls: those that it was deployed with, or
/// what `worker` finds.
pub(super) async fn with_functions(
    client: &Client,
    definition: Checked,
    worker: &Worker,
) -> Result<Checked, CliError> {
    let id = &definition.id;
    let path = ["v1", "workflows", &id.namespace, &id.name, &id.version];
    let deployed = match client.text(&path, DEFINITION_BYTES).await {
        Ok(text) => Some(text),
        Err(CliError::Problem(problem)) if problem["status"] == 404 => None,
        Err(error) => return Err(error),
    };
    if definition.is_deployed_as(deployed.as_deref()) {
        return Ok(definition);
    }
    definition.with_functions(worker).await
}

/// Sends one definition; gives the server's answer.
pub(super) async fn send(
    client: &Client,
    text: String,
    support: Support,
    replace: bool,
) -> Result<Json, CliError> {
    let request = client.request(Method::POST, &["v1", "workflows"]);
    // Said only where it matters: servers of before do not know it.
    let request = match support.allow_unsupported {
        true => request.query(&[("allowUnsupported", true)]),
        false => request,
    };
    let request = if replace { request.query(&[("replace", true)]) } else { request };
    let request = request.header(CONTENT_TYPE, "application/yaml").body(text);
    client.send(request).await.map(|(_, answer)| answer)
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let checked: Vec<_> = args.files.iter().map(|it| definition::check(it, args.support)).collect();
    let checked = checked.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut ready = Vec::new();
    for (definition, file) in checked.into_iter().zip(&args.files) {
        ready.push(if definition.wants_functions {
            with_functions(&client, definition, &args.fetch.worker(file)?).await?
        } else {
            definition
        });
    }
    let mut deployed = Vec::new();
    for definition in ready {
        let answer = send(&client, definition.text, args.support, args.replace).await?;
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
