//! `windlass secret policy`.

use std::path::{Path, PathBuf};

use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use reqwest::{Method, StatusCode};
use windlass_coordinator::policy::Policy;
use windlass_proto::limits::POLICY_BYTES;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::{input, output};

/// Show or replace the policy of who may read which secrets.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass secret policy show > policy.toml\n  \
                        windlass secret policy set policy.toml\n  \
                        windlass secret policy approve 3f1c0a9be2d47788")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print the policy
    Show(ShowArgs),
    /// Replace the policy; it counts from the next task on, or, where the server runs with
    /// --secret-policy-approval, once another person has approved it
    Set(SetArgs),
    /// Show the policy that waits for another person's approval
    Proposal(ShowArgs),
    /// Approve the policy that another person has proposed
    Approve(TagArgs),
    /// Take a proposed policy back
    Withdraw(TagArgs),
}

#[derive(clap::Args)]
struct TagArgs {
    /// The tag of the proposal, as `proposal` shows it
    #[arg(value_name = "TAG")]
    tag: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
struct SetArgs {
    /// The policy, TOML
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only when the present policy has this tag, as an earlier `set` printed it
    #[arg(long, value_name = "TAG")]
    replacing: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Show(args) => show(&args).await,
        Command::Set(args) => set(args).await,
        Command::Proposal(args) => proposal(&args).await,
        Command::Approve(args) => approve(args).await,
        Command::Withdraw(args) => withdraw(args).await,
    }
}

const PROPOSAL: [&str; 4] = ["v1", "secrets", "policy", "proposal"];

async fn proposal(args: &ShowArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let (_, waiting) = client.send(client.request(Method::GET, &PROPOSAL)).await?;
    output::json(&waiting);
    Ok(())
}

async fn approve(args: TagArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let path = [&PROPOSAL[..], &["approve"]].concat();
    let request = client.request(Method::POST, &path).header(IF_MATCH, quoted(&args.tag));
    let (_, answer) = client.send(request).await?;
    tell_losers(&answer);
    output::json(&answer);
    Ok(())
}

async fn withdraw(args: TagArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let request = client.request(Method::DELETE, &PROPOSAL).header(IF_MATCH, quoted(&args.tag));
    client.send(request).await?;
    output::message(&format!("the proposal {} is withdrawn", args.tag));
    Ok(())
}

/// An entity tag.
fn quoted(tag: &str) -> String {
    format!("\"{}\"", tag.trim_matches('"'))
}

async fn show(args: &ShowArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let text = client.text(&["v1", "secrets", "policy"], POLICY_BYTES).await?;
    output::text_line(&text);
    Ok(())
}

async fn set(args: SetArgs) -> Result<(), CliError> {
    let text = read(&args.file)?;
    let client = Client::new(&args.remote)?;
    let mut request = client
        .request(Method::PUT, &["v1", "secrets", "policy"])
        .header(CONTENT_TYPE, "application/toml")
        .body(text);
    if let Some(tag) = args.replacing {
        request = request.header(IF_MATCH, quoted(&tag));
    }
    let (status, mut answer) = client.send(request).await?;
    if status == StatusCode::ACCEPTED {
        let tag = answer["tag"].as_str().unwrap_or("TAG");
        output::message(&format!(
            "the policy waits until another person approves it: \
             `windlass secret policy approve {tag}`"
        ));
        // Whoever sends it has it.
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("text");
        }
    }
    tell_losers(&answer);
    output::json(&answer);
    Ok(())
}

/// Names the definitions that have no right any more to secrets that they declare.
fn tell_losers(answer: &serde_json::Value) {
    for refused in answer["refused"].as_array().into_iter().flatten() {
        let [namespace, name, version] =
            ["namespace", "name", "version"].map(|it| refused[it].as_str().unwrap_or(""));
        let secrets = refused["secrets"].as_array().into_iter().flatten();
        let secrets: Vec<_> = secrets.filter_map(|it| it.as_str()).collect();
        output::message(&format!(
            "{namespace}/{name}:{version} is deployed and may not read {} any more",
            secrets.join(", ")
        ));
    }
}

/// The text of a file that holds a policy.
fn read(path: &Path) -> Result<String, CliError> {
    let text = input::file(path, POLICY_BYTES)?;
    Policy::parse(&text).map_err(|error| {
        let (line, column) = (error.line, error.column);
        CliError::Usage(format!("{}:{line}:{column}: {}", path.display(), error.reason))
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{CliError, read};

    #[test]
    fn a_file_that_is_no_policy_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        std::fs::write(&path, "[[allow]]\nsecret = 1\n").unwrap();
        let Err(CliError::Usage(text)) = read(&path) else { panic!("it is taken") };
        assert!(text.contains("policy.toml:2:1: "), "{text}");
        std::fs::write(&path, "[[allow]]\n").unwrap();
        assert!(read(&path).is_ok());
    }
}
