//! `windlass cancel`, `suspend`, `resume`.

use reqwest::Method;
use serde_json::json;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output;

/// Cancel an instance.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass cancel 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f \
                        --reason 'ordered twice'")]
pub(crate) struct CancelArgs {
    /// The instance
    id: String,
    /// Kept in its history
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Suspend an instance: nothing new is started until it is resumed.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass suspend 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f")]
pub(crate) struct SuspendArgs {
    /// The instance
    id: String,
    #[command(flatten)]
    remote: Remote,
}

/// Resume a suspended instance.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass resume 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f")]
pub(crate) struct ResumeArgs {
    /// The instance
    id: String,
    #[command(flatten)]
    remote: Remote,
}

/// Runs `cancel`.
pub(crate) async fn cancel(args: CancelArgs) -> Result<(), CliError> {
    order(&args.remote, &args.id, "cancel", &json!({"reason": args.reason})).await
}

/// Runs `suspend`.
pub(crate) async fn suspend(args: SuspendArgs) -> Result<(), CliError> {
    order(&args.remote, &args.id, "suspend", &json!({})).await
}

/// Runs `resume`.
pub(crate) async fn resume(args: ResumeArgs) -> Result<(), CliError> {
    order(&args.remote, &args.id, "resume", &json!({})).await
}

async fn order(
    remote: &Remote,
    id: &str,
    action: &str,
    body: &serde_json::Value,
) -> Result<(), CliError> {
    let client = Client::new(remote)?;
    let request = client.request(Method::POST, &["v1", "instances", id, action]).json(body);
    let (_, standing) = client.send(request).await?;
    output::json(&standing);
    Ok(())
}
