//! Why a container did not do what its task wants.

use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

/// Why a container did not do what its task wants.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContainerError {
    /// Nobody answers at the socket.
    #[error(
        "no container engine answers at {0}: start it, or name another with --container-engine"
    )]
    Away(String),
    /// It took too long for a call.
    #[error("the container engine did not answer within {} s", limits::CONTAINER_CALL_MS / 1_000)]
    Slow,
    /// The image is not there, and may not be pulled.
    #[error("the engine does not have the image `{0}`, and `pullPolicy: never` forbids to pull it")]
    NoImage(String),
    /// The image cannot be had.
    #[error("the image `{image}` cannot be pulled: {why}")]
    Pull {
        /// It.
        image: String,
        /// What the engine says.
        why: String,
    },
    /// A container that is not of this task has the name.
    #[error(
        "another container is called `{0}`: remove it, or choose a name that only this run has"
    )]
    NameTaken(String),
    /// The engine refuses to make or start it.
    #[error("the container cannot be started: {0}")]
    Refused(String),
    /// It was started, and then lost.
    #[error("the container was lost: {0}")]
    Lost(String),
    /// It writes more than is kept.
    #[error("the container was ended: it wrote more than {} bytes", limits::PROCESS_OUTPUT_BYTES)]
    TooMuchOutput,
    /// Its time is over.
    #[error("the container did not end in time")]
    Late,
    /// The worker ends before its task does.
    #[error("the worker ends")]
    Ending,
    /// Its task is over.
    #[error("the task was cancelled")]
    Cancelled,
}

impl ContainerError {
    /// Its name, which holds nothing that a task has evaluated.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::Slow => "slow",
            Self::NoImage(_) => "no image",
            Self::Pull { .. } => "not pulled",
            Self::NameTaken(_) => "name taken",
            Self::Refused(_) => "refused",
            Self::Lost(_) => "lost",
            Self::TooMuchOutput => "too much output",
            Self::Late => "late",
            Self::Ending => "ending",
            Self::Cancelled => "cancelled",
        }
    }

    /// As its task faults.
    pub(crate) fn problem(self) -> Problem {
        let detail = self.to_string();
        match self {
            // What may be otherwise a moment later.
            Self::Away(_) | Self::Slow => Problem::new(Standard::Runtime, detail).with_status(503),
            Self::Late => Problem::new(Standard::Timeout, detail),
            _ => Problem::new(Standard::Runtime, detail),
        }
    }
}
