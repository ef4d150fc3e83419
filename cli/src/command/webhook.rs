//! `windlass webhook`: endpoints that make events of what services tell.

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// Endpoints at which services deliver plain JSON, of which events are made.
///
/// The server reads the secrets that deliveries are signed with from files (--webhook-secrets), and
/// shows them to nobody.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  windlass webhook create shop/github --preset github --secret-file github --type com.github
  windlass webhook create shop/stripe --preset stripe --secret-file stripe \\
    --type com.stripe --map '.data.object'
  windlass webhook list shop")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a webhook, or change one
    Create(CreateArgs),
    /// List the webhooks of a namespace
    List(ListArgs),
    /// Show a webhook
    Show(OfArgs),
    /// Delete a webhook: deliveries to it are answered 404 from then on
    Delete(OfArgs),
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass webhook create shop/github --preset github \
                        --secret-file github --type com.github\n\nThe server reads the secret from \
                        the file `github` in the folder `shop` of its --webhook-secrets.")]
struct CreateArgs {
    /// The webhook
    #[arg(value_name = "NAMESPACE/NAME", value_parser = super::control::workflow)]
    webhook: (String, String),
    /// How the service signs
    #[arg(long, value_parser = ["github", "stripe", "standard", "hmac"])]
    preset: String,
    /// The name of the file with the secret, in the folder of the namespace on the server
    #[arg(long, value_name = "NAME")]
    secret_file: String,
    /// `type` of the events
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// `source` of the events, by default `/webhooks/NAMESPACE/NAME`
    #[arg(long)]
    source: Option<String>,
    /// jq on the body: `subject` of the event, by default the kind that GitHub or Stripe tells of
    #[arg(long, value_name = "JQ")]
    subject: Option<String>,
    /// jq on the body: `data` of the event, by default all of it
    #[arg(long, value_name = "JQ")]
    map: Option<String>,
    /// The header with the signature, for the preset hmac, by default `X-Signature`
    #[arg(long, value_name = "NAME")]
    header_name: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass webhook list shop")]
struct ListArgs {
    /// The namespace
    namespace: String,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass webhook show shop/github")]
struct OfArgs {
    /// The webhook
    #[arg(value_name = "NAMESPACE/NAME", value_parser = super::control::workflow)]
    webhook: (String, String),
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Create(args) => create(args).await,
        Command::List(args) => {
            let path = ["v1", "webhooks", &args.namespace];
            let all = Client::new(&args.remote)?.get(&path, &[]).await?;
            output::page(&all, args.output, &["NAME", "PRESET", "TYPE", "SECRET", "PATH"], row);
            Ok(())
        }
        Command::Show(args) => {
            let client = Client::new(&args.remote)?;
            output::json(&client.get(&path(&args.webhook), &[]).await?);
            Ok(())
        }
        Command::Delete(args) => {
            let client = Client::new(&args.remote)?;
            client.open(client.request(Method::DELETE, &path(&args.webhook))).await?;
            Ok(())
        }
    }
}

async fn create(args: CreateArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let mut order = json!({
        "preset": args.preset, "secretFile": args.secret_file, "type": args.kind,
    });
    let more = [
        ("source", args.source),
        ("subject", args.subject),
        ("map", args.map),
        ("header", args.header_name),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            order[name] = value.into();
        }
    }
    let request = client.request(Method::PUT, &path(&args.webhook)).json(&order);
    output::json(&client.send(request).await?.1);
    Ok(())
}

fn row(webhook: &Json) -> Vec<String> {
    let fields = ["name", "preset", "type", "secretFile", "path"];
    fields.iter().map(|it| webhook[*it].as_str().unwrap_or_default().to_owned()).collect()
}

fn path((namespace, name): &(String, String)) -> [&str; 4] {
    ["v1", "webhooks", namespace, name]
}
