//! `windlass function`: the default catalog of a server.

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use windlass_proto::limits::FUNCTION_BYTES;

use crate::client::Client;
use crate::error::CliError;
use crate::input;
use crate::options::Remote;
use crate::output::{self, Format};

/// See the functions of a server's default catalog, or publish one.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass function publish greet:1.0.0 greet.yaml\n  windlass function \
                        list\n\nDefinitions call it as `greet:1.0.0` or `greet:1.0.0@default`."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Publish a function; a version keeps its text for ever
    Publish(PublishArgs),
    /// List functions
    List(ListArgs),
    /// Print the text of a function
    Show(ShowArgs),
}

#[derive(clap::Args)]
struct PublishArgs {
    /// What definitions will call
    #[arg(value_name = "NAME:VERSION", value_parser = reference)]
    function: (String, String),
    /// One task, YAML or JSON
    file: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct ListArgs {
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct ShowArgs {
    /// The function
    #[arg(value_name = "NAME:VERSION", value_parser = reference)]
    function: (String, String),
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Publish(args) => publish(args).await,
        Command::List(args) => list(args).await,
        Command::Show(args) => {
            let (name, version) = &args.function;
            let path = ["v1", "functions", name, version];
            let text = Client::new(&args.remote)?.text(&path, FUNCTION_BYTES).await?;
            output::text_line(&text);
            Ok(())
        }
    }
}

async fn publish(args: PublishArgs) -> Result<(), CliError> {
    let text = input::file(&args.file, FUNCTION_BYTES)?;
    let client = Client::new(&args.remote)?;
    let (name, version) = &args.function;
    let request = client.request(Method::POST, &["v1", "functions", name, version]);
    let request = request.header(CONTENT_TYPE, "application/yaml").body(text);
    output::json(&client.send(request).await?.1);
    Ok(())
}

async fn list(args: ListArgs) -> Result<(), CliError> {
    let page = Client::new(&args.remote)?.get(&["v1", "functions"], &[]).await?;
    output::page(&page, args.output, &["FUNCTION", "PUBLISHED", "DIGEST"], |function| {
        let text = |key: &str| function[key].as_str().map(str::to_owned).unwrap_or_default();
        let digest: String = text("digest").chars().take(12).collect();
        vec![text("reference"), text("publishedAt"), digest]
    });
    Ok(())
}

/// Reads `name:version`.
fn reference(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, version)) if !name.is_empty() && !version.is_empty() => {
            Ok((name.to_owned(), version.to_owned()))
        }
        _ => Err("write NAME:VERSION, such as greet:1.0.0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::reference;

    #[test]
    fn a_function_has_a_name_and_a_version() {
        assert_eq!(reference("a:1.0.0"), Ok(("a".to_owned(), "1.0.0".to_owned())));
        assert!(reference("a").is_err() && reference("a:").is_err() && reference(":1").is_err());
    }
}
