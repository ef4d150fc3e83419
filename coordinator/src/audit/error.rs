//! Why a trail cannot be kept or read.

use std::io;
use std::path::PathBuf;

use super::heads::HeadsUrl;

/// Why the audit trail cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be used.
    #[error("the audit trail in {path} cannot be used: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file of the key that signs the trail holds something else.
    #[error(
        "{path} holds no key of an audit trail: {reason}. Removed, it is made anew, and whoever \
         checks the trail has to know both public keys"
    )]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Heads cannot be told by webhook.
    #[error("heads of the audit trail cannot be told to {url:?}: {reason}")]
    Heads {
        /// Where to.
        url: HeadsUrl,
        /// Why.
        reason: String,
    },
    /// The system has no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(String),
    /// An event is not on disk in time.
    #[error("an audit event could not be written in time: the disk may be full")]
    Late,
}
