//! The NATS server of a check: the one that is named, or one of its own.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use windlass_coordinator::fleet::Fleet;
use windlass_proto::limits::WORKER_CHECK_PATIENCE_MS;
use windlass_proto::wire::subject::Prefix;
use windlass_worker::fleet::bus::{Bus, BusOptions};

use crate::bus::Nats;
use crate::code::NOT_STARTED;
use crate::error::{CliError, chain};

/// A NATS server.
pub(super) enum Server {
    /// Somebody's.
    Named,
    /// Of this command; it ends with it.
    Own { url: String, _process: Box<Child> },
}

/// What nats-server says once it listens.
const LISTENS: &str = "Listening for client connections on ";

impl Server {
    /// The one that is named, or a new one.
    pub(super) async fn of(nats: &Nats) -> Result<Self, CliError> {
        if nats.is_named() {
            return Ok(Self::Named);
        }
        let failed = |why: &str| {
            let detail = format!(
                "nats-server cannot be started: {why}. Install it, or name a server with --nats"
            );
            CliError::coded(&NOT_STARTED, &detail)
        };
        let mut command = Command::new("nats-server");
        command.args(["--addr", "127.0.0.1", "--port", "-1"]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().map_err(|error| failed(&error.to_string()))?;
        let Some(stderr) = process.stderr.take() else { return Err(failed("it says nothing")) };
        let mut lines = BufReader::new(stderr).lines();
        let address = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, address)) = line.split_once(LISTENS) {
                    return Some(address.trim().to_owned());
                }
            }
            None
        };
        let patience = Duration::from_millis(WORKER_CHECK_PATIENCE_MS);
        let address = tokio::time::timeout(patience, address).await.ok().flatten();
        let Some(address) = address else { return Err(failed("it does not say where it listens")) };
        // What else it says nobody reads, and it must not wait for that.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self::Own { url: format!("nats://{address}"), _process: Box::new(process) })
    }

    /// Where it is.
    pub(super) fn url(&self, nats: &Nats) -> String {
        match self {
            Self::Named => nats.options("").url,
            Self::Own { url, .. } => url.clone(),
        }
    }

    /// A connection to it, on which no coordinator is.
    pub(super) async fn connect(&self, nats: &Nats, prefix: &Prefix) -> Result<Bus, CliError> {
        let failed = |why: &str| CliError::coded(&NOT_STARTED, why);
        let name = "windlass worker check";
        let options = match self {
            Self::Named => nats.options(name),
            Self::Own { url, .. } => {
                BusOptions { url: url.clone(), name: name.to_owned(), ..BusOptions::default() }
            }
        };
        let bus = Bus::connect(&options).await.map_err(|error| failed(&chain(&error)))?;
        if !bus.ready(Duration::from_millis(WORKER_CHECK_PATIENCE_MS)).await {
            return Err(failed("NATS does not answer"));
        }
        if Fleet::is_led(&bus, prefix).await {
            return Err(failed(
                "a coordinator is on this bus, and its workers would be disturbed: name another one \
                 with --bus, or leave --nats out",
            ));
        }
        Ok(bus)
    }
}
