//! `windlass workflow`: definitions on a server, through their life.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value as Json;
use windlass_coordinator::catalog::difference;
use windlass_proto::limits::{API_REQUEST_MS, DEFINITION_BYTES};

use super::start::{Workflow, workflow};
use crate::client::Client;
use crate::error::CliError;
use crate::input;
use crate::options::Remote;
use crate::output::{self, Format};

/// See the definitions on a server, compare, retire and delete them.
///
/// A version keeps its text. What is not to be started any more is retired; it can be deleted when
/// retention has removed its instances.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass workflow list --namespace shop\n  \
                        windlass workflow get shop/report:1.0.0 > report.yaml\n  \
                        windlass workflow diff shop/report report.yaml\n  \
                        windlass workflow retire shop/report:1.0.0")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List definitions, all versions of them
    List(ListArgs),
    /// Print the text of a definition
    Get(GetArgs),
    /// Print how two texts differ
    Diff(DiffArgs),
    /// Retire a version: nothing new is started of it, what runs goes on
    Retire(OfArgs),
    /// Let a version be started again that was retired
    Restore(OfArgs),
    /// Delete a version that is retired and that no instance has, ended ones included
    Delete(OfArgs),
}

#[derive(clap::Args)]
struct ListArgs {
    /// Of this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// Of this name
    #[arg(long)]
    name: Option<String>,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct GetArgs {
    /// NAMESPACE/NAME for the latest version, NAMESPACE/NAME:VERSION, or the digest of a text
    #[arg(value_name = "WORKFLOW")]
    of: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct DiffArgs {
    /// A workflow as for `get`, a file, or - for standard input
    #[arg(value_name = "FROM")]
    from: String,
    /// The other one
    #[arg(value_name = "TO")]
    to: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct OfArgs {
    /// The version
    #[arg(value_name = "NAMESPACE/NAME:VERSION", value_parser = version)]
    of: Workflow,
    #[command(flatten)]
    remote: Remote,
}

/// Reads a workflow with its version.
fn version(text: &str) -> Result<Workflow, String> {
    match workflow(text)? {
        it @ Workflow { version: Some(_), .. } => Ok(it),
        _ => Err("write NAMESPACE/NAME:VERSION".to_owned()),
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::List(args) => list(args).await,
        Command::Get(args) => {
            output::text(&text(&Client::new(&args.remote)?, &args.of).await?);
            Ok(())
        }
        Command::Diff(args) => {
            let client = Client::new(&args.remote)?;
            let (from, to) = (text(&client, &args.from).await?, text(&client, &args.to).await?);
            output::text(&difference(&from, &to));
            Ok(())
        }
        Command::Retire(args) => order(&args, "retire").await,
        Command::Restore(args) => order(&args, "restore").await,
        Command::Delete(args) => delete(&args).await,
    }
}

async fn order(args: &OfArgs, action: &str) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let Workflow { namespace, name, version } = &args.of;
    let version = version.as_deref().unwrap_or_default();
    let path = ["v1", "workflows", namespace, name, version, action];
    let (_, answer) = client.send(client.request(Method::POST, &path)).await?;
    output::json(&answer);
    Ok(())
}

async fn delete(args: &OfArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let Workflow { namespace, name, version } = &args.of;
    let version = version.as_deref().unwrap_or_default();
    let request = client.request(Method::DELETE, &["v1", "workflows", namespace, name, version]);
    // The answer is empty.
    client.open(request.timeout(Duration::from_millis(API_REQUEST_MS))).await?;
    output::message(&format!("deleted {namespace}/{name}:{version}"));
    Ok(())
}

/// The text that a word stands for: a file, a digest, or a workflow.
async fn text(client: &Client, of: &str) -> Result<String, CliError> {
    let file = Path::new(of);
    if file.is_file() || of == input::STANDARD_INPUT {
        return input::file(file, DEFINITION_BYTES);
    }
    if is_digest(of) {
        return client.text(&["v1", "definitions", of], DEFINITION_BYTES).await;
    }
    let Workflow { namespace, name, version } = workflow(of).map_err(CliError::Usage)?;
    let version = version.as_deref().unwrap_or("latest");
    client.text(&["v1", "workflows", &namespace, &name, version], DEFINITION_BYTES).await
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|it| it.is_ascii_hexdigit())
}

/// What [`row`] gives of a definition.
const HEADINGS: &[&str] = &["WORKFLOW", "DEPLOYED", "STATE", "DIGEST"];

async fn list(args: ListArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let wanted = [("namespace", args.namespace), ("name", args.name)];
    let query: Vec<_> =
        wanted.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let page = client.get(&["v1", "workflows"], &query).await?;
    output::page(&page, args.output, HEADINGS, row);
    Ok(())
}

fn row(item: &Json) -> Vec<String> {
    let text = |name: &str| item[name].as_str().unwrap_or("").to_owned();
    let state = match (item["retiredAt"].as_str(), item["latest"] == true) {
        (Some(since), _) => format!("retired {since}"),
        (None, true) => "latest".to_owned(),
        (None, false) => "active".to_owned(),
    };
    let workflow = format!("{}/{}:{}", text("namespace"), text("name"), text("version"));
    let digest = text("digest");
    vec![workflow, text("deployedAt"), state, digest.get(..12).unwrap_or(&digest).to_owned()]
}

#[cfg(test)]
mod tests {
    use super::{is_digest, row, version};

    #[test]
    fn rows_have_every_column() {
        let digest = "0123456789abcdef".repeat(4);
        assert!(is_digest(&digest) && !is_digest("shop/report"));
        let mut item = serde_json::json!({
            "namespace": "a", "name": "b", "version": "1.0.0", "deployedAt": "t", "latest": true,
            "digest": digest,
        });
        assert_eq!(row(&item), ["a/b:1.0.0", "t", "latest", "0123456789ab"]);
        item["retiredAt"] = "r".into();
        assert_eq!(row(&item)[2], "retired r");
    }

    #[test]
    fn what_is_changed_is_named_with_its_version() {
        assert!(version("a/b:1.0.0").is_ok());
        assert!(version("a/b").is_err());
    }
}
