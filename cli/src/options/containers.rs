//! Options of workers that run containers.

use std::path::PathBuf;

use clap::Args;
use windlass_proto::limits;
use windlass_worker::{ContainerOptions, ContainerVolume, EngineSocket};

use crate::error::CliError;

/// Where containers run and what they may take.
#[derive(Args, Default)]
pub(crate) struct ContainerArgs {
    /// The socket of the engine that runs containers, as unix:///run/podman/podman.sock [default:
    /// DOCKER_HOST, else the first socket of Podman or Docker that is there]
    #[arg(long, env = "WINDLASS_CONTAINER_ENGINE", value_name = "URL")]
    pub(crate) container_engine: Option<EngineSocket>,
    /// A directory that containers may mount, with :ro only for reading; may be repeated. None
    /// unless this names it
    #[arg(
        long = "container-volume",
        env = "WINDLASS_CONTAINER_VOLUMES",
        value_name = "DIR[:ro]",
        value_delimiter = ','
    )]
    pub(crate) container_volumes: Vec<ContainerVolume>,
    /// Memory of one container in MiB [default: 512]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(8..))]
    pub(crate) container_memory: Option<u32>,
    /// Processors of one container, in thousandths [default: 1000]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(10..))]
    pub(crate) container_millicpus: Option<u32>,
    /// Processes and threads of one container [default: 256]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) container_pids: Option<u32>,
    /// The engine's network that containers are in, or none; the rules of --egress-allow are not
    /// for them [default: the engine's own]
    #[arg(long, env = "WINDLASS_CONTAINER_NETWORK", value_name = "NAME")]
    pub(crate) container_network: Option<String>,
}

impl ContainerArgs {
    /// The same, with the engine found.
    ///
    /// # Errors
    /// When `DOCKER_HOST` names no socket.
    pub(super) fn options(&self) -> Result<ContainerOptions, CliError> {
        let engine = match (&self.container_engine, std::env::var("DOCKER_HOST")) {
            (Some(engine), _) => engine.clone(),
            (None, Ok(text)) if !text.is_empty() => {
                text.parse().map_err(|error| CliError::Usage(format!("DOCKER_HOST: {error}")))?
            }
            _ => {
                let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
                EngineSocket::usual(runtime.as_deref())
            }
        };
        let memory = self.container_memory.map(|it| u64::from(it) << 20);
        Ok(ContainerOptions {
            volumes: self.container_volumes.clone(),
            memory: memory.unwrap_or(limits::CONTAINER_MEMORY_BYTES),
            milli_cpus: self.container_millicpus.unwrap_or(limits::CONTAINER_MILLI_CPUS),
            pids: self.container_pids.unwrap_or(limits::CONTAINER_PIDS),
            network: self.container_network.clone(),
            ..ContainerOptions::at(engine)
        })
    }
}

/// What people are told of containers that tasks may run.
pub(super) fn describe(options: &ContainerOptions) -> String {
    let engine = &options.engine;
    if !engine.exists() {
        return format!("container tasks need an engine, and there is none at {engine}");
    }
    format!("container tasks are allowed and run in the engine at {engine}")
}
