//! Why a worker could not be set up.

use std::path::PathBuf;

/// Why a worker could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A file of certificates cannot be used.
    #[error("cannot use the certificates in {path}: {reason}")]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A function cannot have its name.
    #[error("the name of the function `{name}` {reason}")]
    Function {
        /// Which name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}
