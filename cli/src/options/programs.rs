//! How programs of tasks are kept apart and bounded, as the command line says.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use windlass_proto::limits;
use windlass_worker::{
    ProcessLimits, ProcessOptions, SandboxMode, SandboxNetwork, SandboxOptions, SecretsConfig,
};

use super::{WorkerOptions, duration, of_units};
use crate::error::CliError;

/// Whether programs run in a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SandboxChoice {
    /// Where this machine can make one
    Auto,
    /// Nothing runs without one
    Required,
    /// None
    Off,
}

/// What a sandbox can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum NetworkChoice {
    /// What the machine can
    #[default]
    Host,
    /// Nothing
    None,
}

/// How programs of tasks are kept apart and bounded.
#[derive(clap::Args, Default)]
#[command(next_help_heading = "Programs of tasks")]
pub(crate) struct ProgramOptions {
    /// Run them in a sandbox (bubblewrap: processes, files and users of their own); see
    /// docs/processes.md [default: auto for `worker`, off for `run` and `dev`]
    #[arg(long, env = "WINDLASS_SANDBOX", value_name = "WHEN")]
    sandbox: Option<SandboxChoice>,
    /// What they can reach from a sandbox
    #[arg(
        long,
        env = "WINDLASS_SANDBOX_NETWORK",
        value_name = "NETWORK",
        default_value = "host",
        hide_possible_values = false
    )]
    sandbox_network: NetworkChoice,
    /// A folder that they can write to in a sandbox, where all else is read-only; may be repeated
    #[arg(
        long = "sandbox-writable",
        env = "WINDLASS_SANDBOX_WRITABLE",
        value_name = "DIR",
        value_delimiter = ','
    )]
    sandbox_writable: Vec<PathBuf>,
    /// A file or folder that they can read in a sandbox, of those that are hidden: /home, /root,
    /// /run, /tmp; may be repeated
    #[arg(
        long = "sandbox-readable",
        env = "WINDLASS_SANDBOX_READABLE",
        value_name = "PATH",
        value_delimiter = ','
    )]
    sandbox_readable: Vec<PathBuf>,
    /// Memory that one process may have for itself, such as 512MiB [default: 4GiB]
    #[arg(long, env = "WINDLASS_PROCESS_MEMORY", value_name = "SIZE", value_parser = memory)]
    process_memory: Option<u64>,
    /// Processor time of one process, such as 60s [default: 24h]
    #[arg(long, env = "WINDLASS_PROCESS_CPU", value_name = "DURATION", value_parser = seconds)]
    process_cpu: Option<Duration>,
    /// Processes and threads of one task; kept in a sandbox alone [default: 256]
    #[arg(long, env = "WINDLASS_PROCESS_COUNT", value_name = "NUMBER",
        value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000_000))]
    process_count: Option<u64>,
    /// Size of a file that one process may write [default: 16GiB]
    #[arg(long, env = "WINDLASS_PROCESS_FILE_SIZE", value_name = "SIZE", value_parser = size)]
    process_file_size: Option<u64>,
}

impl ProgramOptions {
    /// What one process may use.
    pub(crate) fn limits(&self) -> ProcessLimits {
        let usual = ProcessLimits::default();
        ProcessLimits {
            cpu: self.process_cpu.unwrap_or(usual.cpu),
            memory: self.process_memory.unwrap_or(usual.memory),
            count: self.process_count.unwrap_or(usual.count),
            file: self.process_file_size.unwrap_or(usual.file),
        }
    }

    fn sandbox(&self, usual: SandboxMode, hidden: Vec<PathBuf>) -> SandboxOptions {
        let mode = match self.sandbox {
            Some(SandboxChoice::Auto) => SandboxMode::Auto,
            Some(SandboxChoice::Required) => SandboxMode::Required,
            Some(SandboxChoice::Off) => SandboxMode::Off,
            None => usual,
        };
        let network = match self.sandbox_network {
            NetworkChoice::Host => SandboxNetwork::Host,
            NetworkChoice::None => SandboxNetwork::None,
        };
        SandboxOptions {
            mode,
            network,
            readable: self.sandbox_readable.clone(),
            writable: self.sandbox_writable.clone(),
            hidden,
        }
    }
}

/// Finds what isolates `processes`: by default `usual`. `hidden` is where this process has keys and
/// data, beside the secrets that `options` name.
///
/// # Errors
/// When a sandbox is required and there is none, or it cannot be as the options want it.
pub(crate) async fn isolate(
    options: &WorkerOptions,
    processes: ProcessOptions,
    usual: SandboxMode,
    mut hidden: Vec<PathBuf>,
) -> Result<ProcessOptions, CliError> {
    hidden.extend(options.secrets_file.clone());
    if let Some(path) = &options.secrets_config {
        hidden.push(path.clone());
        // One that cannot be read is told of where it is used.
        hidden.extend(SecretsConfig::load(path).iter().flat_map(SecretsConfig::files));
    }
    hidden.extend(FILES.iter().filter_map(|it| windlass_worker::variable(it).map(PathBuf::from)));
    // Whoever speaks to the engine is root of its machine.
    hidden.extend(processes.containers.iter().map(|it| it.engine.path().to_owned()));
    let sandbox = options.programs.sandbox(usual, hidden);
    processes.isolate(&sandbox).await.map_err(|error| CliError::Usage(error.to_string()))
}

/// Variables that name files with credentials.
const FILES: [&str; 10] = [
    "WINDLASS_KEY_FILE",
    "WINDLASS_TOKEN_FILE",
    "WINDLASS_NATS_CREDS",
    "WINDLASS_NATS_NKEY",
    "WINDLASS_NATS_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_FEDERATED_TOKEN_FILE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
];

/// Reads `512MiB`, `2GiB`, …
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let size = of_units(text, &[("KiB", 10), ("MiB", 20), ("GiB", 30)]).filter(|it| *it > 0);
    Ok(size.ok_or("write a number of KiB, MiB or GiB, such as 512MiB")?)
}

fn memory(text: &str) -> Result<u64, String> {
    let least = limits::PROCESS_MEMORY_LEAST;
    match size(text)? {
        it if it < least => {
            Err(format!("at least {} MiB: no interpreter starts in less", least >> 20))
        }
        it => Ok(it),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        it if it.subsec_nanos() > 0 || it.is_zero() => Err("write whole seconds".to_owned()),
        it => Ok(it),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{memory, seconds, size};

    #[test]
    fn limits_are_read_with_their_units() {
        assert_eq!(size("3KiB"), Ok(3 << 10));
        assert_eq!(memory("512MiB"), Ok(512 << 20));
        assert_eq!(seconds("90s"), Ok(Duration::from_secs(90)));
        for text in ["", "512", "0MiB", "-1MiB", "512MB", "99999999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(memory("31MiB").is_err());
        for text in ["0s", "1500ms", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
