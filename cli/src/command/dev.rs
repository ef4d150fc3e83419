//! `windlass dev`: everything in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;
use windlass_coordinator::accept::{self, Exposure};

use crate::code::{JOURNAL_FAILED, NOT_STARTED};
use crate::definition::{self, Checked};
use crate::embedded::{self, Embedded, EmbeddedOptions};
use crate::error::CliError;
use crate::options::WorkerOptions;
use crate::{output, signal};

/// Run everything in one process: API, coordinator, worker.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass dev order.yaml --secrets-file dev-secrets.yaml\n\n\
                        Then: windlass start shop/order --wait 30s")]
pub(crate) struct Args {
    /// Definitions to deploy at the start
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A further definition to deploy; may be repeated
    #[arg(long = "with", value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:7400", value_name = "ADDR:PORT", value_parser = address)]
    bind: SocketAddr,
    /// Where the journal is kept
    #[arg(long, default_value = "./.windlass", value_name = "DIR")]
    data_dir: PathBuf,
    /// Days that ended instances are kept; 0 keeps them for ever
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    retention_days: u32,
    /// Allow --bind to listen beyond this machine: whoever reaches it can run workflows
    #[arg(long)]
    allow_remote: bool,
    #[command(flatten)]
    worker: WorkerOptions,
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn address(text: &str) -> Result<SocketAddr, String> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().map_err(|_| "write ADDRESS:PORT, such as 127.0.0.1:7400".to_owned())
}

/// Who can reach `bind`; an error unless that was allowed.
fn exposure(bind: SocketAddr, allow_remote: bool) -> Result<Exposure, CliError> {
    if bind.ip().is_loopback() {
        return Ok(Exposure::Loopback);
    }
    if allow_remote {
        return Ok(Exposure::Network);
    }
    Err(CliError::Usage(format!(
        "--bind {bind} listens beyond this machine, and `dev` asks nobody who they are: whoever \
         reaches it can run workflows with your secrets. Add --allow-remote if you mean it."
    )))
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let exposure = exposure(args.bind, args.allow_remote)?;
    let files: Vec<_> =
        args.files.iter().chain(&args.with).map(|it| definition::check(it)).collect();
    let definitions = files.into_iter().collect::<Result<Vec<_>, _>>()?;
    // Bound before the journal is opened: an address in use is the most common mistake.
    let listener =
        TcpListener::bind(args.bind).await.map_err(|error| not_bound(args.bind, &error))?;
    let address = listener.local_addr().map_err(|error| not_bound(args.bind, &error))?;
    let options = EmbeddedOptions {
        data_dir: Some(args.data_dir),
        worker: args.worker,
        files: Some(PathBuf::from(".")),
        retention: (args.retention_days > 0).then(|| DAY * args.retention_days),
    };
    let embedded = embedded::open(options).await?;
    let served = serve(&embedded, definitions, listener, address, exposure).await;
    tokio::select! {
        () = embedded.close() => {}
        () = signal::stop() => return Err(CliError::Interrupted),
    }
    served
}

/// Deploys the definitions and serves until a signal comes.
async fn serve(
    embedded: &Embedded,
    definitions: Vec<Checked>,
    listener: TcpListener,
    address: SocketAddr,
    exposure: Exposure,
) -> Result<(), CliError> {
    for definition in definitions {
        let deployed = embedded.coordinator.deploy(definition.text).await?;
        let word = if deployed.changed { "deployed" } else { "unchanged" };
        output::message(&format!("{word} {}", deployed.workflow));
    }
    output::message(&format!("listening on http://{address}"));
    let coordinator = embedded.coordinator.clone();
    let failing = embedded.coordinator.clone();
    let served = accept::serve(listener, coordinator, exposure, signal::stop());
    let served = tokio::select! {
        served = served => served,
        reason = failing.failed() => return Err(CliError::coded(&JOURNAL_FAILED, &reason)),
    };
    output::message("stopping; open instances continue at the next start");
    served.map_err(|error| not_bound(address, &error))
}

fn not_bound(address: SocketAddr, error: &std::io::Error) -> CliError {
    CliError::coded(&NOT_STARTED, &format!("cannot listen on {address}: {error}"))
}

#[cfg(test)]
mod tests {
    use windlass_coordinator::accept::Exposure;

    use super::{address, exposure};

    #[test]
    fn other_machines_are_let_in_only_when_told() {
        let check = |text: &str, allow| {
            address(text).ok().and_then(|address| exposure(address, allow).ok())
        };
        assert_eq!(check("127.0.0.1:0", false), Some(Exposure::Loopback));
        assert_eq!(check("localhost:7400", false), Some(Exposure::Loopback));
        assert_eq!(check("[::1]:7400", true), Some(Exposure::Loopback));
        assert_eq!(check("0.0.0.0:7400", false), None);
        assert_eq!(check("0.0.0.0:7400", true), Some(Exposure::Network));
        assert!(address("7400").is_err());
    }
}
