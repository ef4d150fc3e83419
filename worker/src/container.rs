//! Containers of tasks: which engine runs them and within which limits. What follows the life of
//! one is in `container/*`, and [`crate::perform`] makes orders of tasks.

#[cfg(feature = "containers")]
mod engine;
#[cfg(feature = "containers")]
mod error;
#[cfg(feature = "containers")]
mod exchange;
#[cfg(feature = "containers")]
mod life;
#[cfg(feature = "containers")]
mod order;
#[cfg(feature = "containers")]
mod owner;
#[cfg(feature = "containers")]
mod sweep;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use windlass_proto::limits;

#[cfg(feature = "containers")]
pub(crate) use self::{
    error::ContainerError,
    life::Containers,
    order::{Cleanup, Order, PullPolicy},
};

/// Where containers run and what they may take.
#[derive(Clone, Debug)]
pub struct ContainerOptions {
    /// The socket at which the engine serves Docker's API, as Podman does too.
    pub engine: EngineSocket,
    /// Directories of the engine's machine that tasks may mount; none by default.
    pub volumes: Vec<ContainerVolume>,
    /// Bytes of memory of one container, swap included.
    pub memory: u64,
    /// Thousandths of a processor of one container.
    pub milli_cpus: u32,
    /// Processes and threads of one container.
    pub pids: u32,
    /// The engine's network that they are in, `none` for no network; the engine's own choice when
    /// absent.
    pub network: Option<String>,
}

impl ContainerOptions {
    /// What there is at `engine` where nothing else is said.
    #[must_use]
    pub fn at(engine: EngineSocket) -> Self {
        Self {
            engine,
            volumes: Vec::new(),
            memory: limits::CONTAINER_MEMORY_BYTES,
            milli_cpus: limits::CONTAINER_MILLI_CPUS,
            pids: limits::CONTAINER_PIDS,
            network: None,
        }
    }
}

/// The Unix socket of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSocket(PathBuf);

impl EngineSocket {
    /// The first of the sockets where engines usually are: of this user's Podman and Docker, below
    /// `runtime` (`XDG_RUNTIME_DIR`), then of the machine's. The last where there is none.
    #[must_use]
    pub fn usual(runtime: Option<&Path>) -> Self {
        let own = runtime.into_iter().flat_map(|it| {
            ["podman/podman.sock", "docker.sock"].into_iter().map(|name| it.join(name))
        });
        let machine = ["/run/podman/podman.sock", "/var/run/docker.sock"].map(PathBuf::from);
        let first = own.chain(machine).find(|it| it.exists());
        Self(first.unwrap_or_else(|| PathBuf::from("/var/run/docker.sock")))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// True when something has this name.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.0.exists()
    }
}

impl FromStr for EngineSocket {
    type Err = EngineSocketError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(Self(path.into())),
            _ => Err(EngineSocketError),
        }
    }
}

impl fmt::Display for EngineSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix://{}", self.0.display())
    }
}

/// It is not the URL of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an engine is spoken to over a Unix socket alone: write unix:///run/podman/podman.sock; who \
     reaches it over a network is root of its machine"
)]
pub struct EngineSocketError;

/// A directory that tasks may mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerVolume {
    /// It, as the engine's machine names it.
    pub directory: String,
    /// Containers may not change what is in it.
    pub read_only: bool,
}

impl FromStr for ContainerVolume {
    type Err = ContainerVolumeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (directory, read_only) = match text.strip_suffix(":ro") {
            Some(directory) => (directory, true),
            None => (text, false),
        };
        let plain = Path::new(directory).components().all(|it| it.as_os_str() != "..");
        if !directory.starts_with('/') || directory.contains(':') || !plain {
            return Err(ContainerVolumeError);
        }
        let directory = match directory.trim_end_matches('/') {
            "" => "/".to_owned(),
            directory => directory.to_owned(),
        };
        Ok(Self { directory, read_only })
    }
}

/// It is not a directory that tasks can be allowed to mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an absolute path without `..` and `:`, and `:ro` after it where it may not change")]
pub struct ContainerVolumeError;

#[cfg(test)]
mod tests;
