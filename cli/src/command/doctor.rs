//! `windlass doctor`.

mod machine;
mod server;

use std::path::PathBuf;

use reqwest::Url;

use crate::bus::Nats;
use crate::code::DOCTOR_FOUND;
use crate::error::CliError;
use crate::options::Remote;
use crate::output::{self, Format};

/// Check this machine and a server: what is not in order, and what to do about it.
///
/// It changes nothing. Each line is one check, and each that is not in order says what to do.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass doctor\n  windlass doctor --local --data-dir /var/lib/windlass\n  \
                  windlass doctor --url https://windlass.example.com --output json\n  \
                  windlass doctor --nats nats://127.0.0.1:4222 --vault https://vault.example.com\n\n\
                  Exit code 1 when a check fails; warnings alone are 0."
)]
pub(crate) struct Args {
    /// Check this machine only, and ask no server, whatever --url or WINDLASS_URL says
    #[arg(long)]
    local: bool,
    /// The data directory of a coordinator on this machine
    #[arg(long, env = "WINDLASS_DATA_DIR", default_value = "./.windlass", value_name = "DIR")]
    data_dir: PathBuf,
    /// A Vault or OpenBao to look for; it is shown no token
    #[arg(long = "vault", env = "VAULT_ADDR", value_name = "URL", hide_env_values = true)]
    vault: Option<Url>,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    nats: Nats,
    #[command(flatten)]
    remote: Remote,
}

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    /// In order.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be looked at, or nobody wants it here.
    Skipped,
}

/// What was found about one thing.
#[derive(Debug, serde::Serialize)]
struct Check {
    /// What was looked at.
    check: &'static str,
    result: Standing,
    /// What was found.
    found: String,
    /// What to do about it; nothing where it is in order.
    #[serde(skip_serializing_if = "str::is_empty")]
    advice: &'static str,
}

impl Check {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, result: Standing::Ok, found: found.into(), advice: "" }
    }

    fn new(
        check: &'static str,
        result: Standing,
        found: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self { check, result, found: found.into(), advice }
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    // What makes no sense is bad usage, before anything is looked at.
    let target = if args.local { None } else { Some(args.remote.target()?) };
    let mut checks = machine::look(&args.data_dir).await;
    checks.push(machine::nats(&args.nats).await);
    checks.push(machine::vault(args.vault.as_ref()).await);
    if let Some(target) = &target {
        checks.extend(server::look(target).await);
    }
    show(&checks, Format::or_default(args.output));
    let failed: Vec<_> =
        checks.iter().filter(|it| it.result == Standing::Failed).map(|it| it.check).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(CliError::coded(&DOCTOR_FOUND, &format!("not in order: {}", failed.join(", "))))
}

fn show(checks: &[Check], format: Format) {
    if format == Format::Json {
        return output::json(&serde_json::json!({ "items": checks }));
    }
    let row = |it: &Check| {
        let result = match it.result {
            Standing::Ok => "ok",
            Standing::Warning => "warning",
            Standing::Failed => "FAILED",
            Standing::Skipped => "-",
        };
        let advice = if it.advice.is_empty() { String::new() } else { format!(". {}", it.advice) };
        vec![result.to_owned(), it.check.to_owned(), format!("{}{advice}", it.found)]
    };
    output::table(&["RESULT", "CHECK", "FOUND"], &checks.iter().map(row).collect::<Vec<_>>());
}
