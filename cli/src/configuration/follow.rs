//! Looks at the configuration file again while a coordinator runs. What it says of the log counts
//! at once, all else from the next start on; a file that makes no sense changes nothing. Either is
//! in the audit trail.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use tokio::time::{MissedTickBehavior, interval};
use windlass_coordinator::coordinator::{Configured, Coordinator};
use windlass_coordinator::hangup;
use windlass_proto::limits;

use super::{Configuration, LOG};
use crate::error::CliError;
use crate::log;

/// The file that this process began with.
static BEGAN: OnceLock<Began> = OnceLock::new();

struct Began {
    path: PathBuf,
    /// Of which command its options are.
    name: String,
    /// The command line as it is known.
    command: fn() -> Command,
    seen: Seen,
    /// True where a variable or the command line says what is logged: those go before the file.
    is_told: bool,
}

/// What a file said when it was looked at.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    digest: String,
    /// What it says of the log.
    log: Option<String>,
}

/// Keeps what a process begins with, for [`follow`].
pub(crate) fn remember(
    matches: &ArgMatches,
    file: Option<&Configuration>,
    command: fn() -> Command,
) {
    let (Some(file), Some((name, of))) = (file, matches.subcommand()) else { return };
    let source = of.try_contains_id(LOG).ok().and_then(|_| of.value_source(LOG));
    let is_told = matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable));
    let (path, name) = (file.path.clone(), name.to_owned());
    let seen = Seen::of(file, &name);
    // Nobody else sets it.
    let _ = BEGAN.set(Began { path, name, command, seen, is_told });
}

/// Looks at the file every few seconds, and at SIGHUP, for ever; not at all where there is none.
pub(crate) async fn follow(coordinator: &Coordinator) {
    let Some(began) = BEGAN.get() else { return };
    let mut seen = Ok(began.seen.clone());
    coordinator.began_with(&began.configured(&began.seen, None));
    let mut looks = interval(Duration::from_millis(limits::ACCESS_RELOAD_MS));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut in_force = began.seen.log.clone();
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = hangup::heard() => {}
        }
        // A panic in it was reported already, and the next look is another one.
        let Ok(read) = tokio::task::spawn_blocking(|| began.read()).await else { continue };
        if read == seen {
            continue;
        }
        match &read {
            Ok(now) => {
                let changed = !began.is_told && now.log != in_force;
                let log = changed.then(|| now.log.clone().unwrap_or_else(log::usual));
                if let Err(error) = coordinator.configured(&began.configured(now, log)).await {
                    // The next look finds it changed again.
                    tracing::warn!(%error, "configuration file not followed, tried again");
                    continue;
                }
                in_force.clone_from(&now.log);
                tracing::info!("configuration file read anew; what it says of the log counts now");
            }
            Err(reason) => {
                tracing::warn!(reason, "configuration file not read anew, nothing changes");
                coordinator.not_configured(reason.clone());
            }
        }
        seen = read;
    }
}

impl Seen {
    fn of(file: &Configuration, name: &str) -> Self {
        Self { digest: file.digest(), log: file.value(name, LOG) }
    }
}

impl Began {
    fn configured(&self, seen: &Seen, log: Option<String>) -> Configured {
        let (file, digest) = (self.path.display().to_string(), seen.digest.clone());
        Configured { file, digest, log }
    }

    /// What the file says now, or what is wrong with it. Blocking.
    fn read(&self) -> Result<Seen, String> {
        let words = |error| match error {
            CliError::Usage(text) => text,
            _ => format!("{} cannot be read", self.path.display()),
        };
        let mut command = (self.command)();
        command.build();
        let file = Configuration::read(&self.path, &command).map_err(words)?;
        let line = ["windlass", self.name.as_str()];
        // What else is missing now, the start had.
        if let Err(error) = file.defaults((self.command)()).try_get_matches_from(line)
            && matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue)
        {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let place = file.place(&self.name, &error);
            let place = place.unwrap_or_else(|| self.path.display().to_string());
            return Err(format!("{place}: {reason}"));
        }
        Ok(Seen::of(&file, &self.name))
    }
}
