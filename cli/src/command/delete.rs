//! `windlass delete`.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use windlass_proto::limits::API_REQUEST_MS;

use crate::client::Client;
use crate::error::CliError;
use crate::options::Remote;
use crate::output;

/// Delete an instance that has ended, with all that belongs to it.
///
/// It is for good. Children and other instances that are linked to it stay, and so does the audit
/// trail.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass delete 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --reason \
                        'asked to be forgotten'\n  windlass delete \
                        0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f --force"
)]
pub(crate) struct DeleteArgs {
    /// The instance
    id: String,
    /// Cancel it first, where it has not ended
    #[arg(long)]
    force: bool,
    /// Do not archive it first, where the server has an archive
    #[arg(long)]
    no_archive: bool,
    /// Kept in the audit trail
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs `delete`.
pub(crate) async fn run(args: DeleteArgs) -> Result<(), CliError> {
    let client = Client::new(&args.remote)?;
    let mut request = client.request(Method::DELETE, &["v1", "instances", &args.id]);
    if args.force {
        request = request.query(&[("force", "true")]);
    }
    if args.no_archive {
        request = request.query(&[("archive", "false")]);
    }
    let request = request.json(&json!({"reason": args.reason}));
    // The answer is empty.
    client.open(request.timeout(Duration::from_millis(API_REQUEST_MS))).await?;
    output::message(&format!("deleted {}", args.id));
    Ok(())
}
