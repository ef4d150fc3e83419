//! What this process logs, as operators see and change it while it runs. How a process logs is the
//! binary's own matter; it gives an implementation.

use std::fmt;

use windlass_proto::limits;

/// What a process logs: a level for each module.
pub trait LogControl: fmt::Debug + Send + Sync {
    /// The directives in force.
    fn current(&self) -> String;

    /// Those that the process began with.
    fn initial(&self) -> String;

    /// Whether directives can be read.
    ///
    /// # Errors
    /// When they cannot.
    fn check(&self, directives: &str) -> Result<(), BadDirectives>;

    /// Puts directives in force; they last until the process ends.
    ///
    /// # Errors
    /// As [`LogControl::check`].
    fn set(&self, directives: &str) -> Result<(), BadDirectives>;

    /// The same, as if the process had begun with them: a restart would.
    ///
    /// # Errors
    /// As [`LogControl::check`].
    fn begin(&self, directives: &str) -> Result<(), BadDirectives>;
}

/// Why directives were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDirectives {
    /// More than anybody needs.
    #[error("they are {0} bytes, more than the limit of {limit}", limit = limits::LOG_DIRECTIVES_BYTES)]
    TooLong(usize),
    /// One of them cannot be read.
    #[error("{directive:?}: {reason}")]
    Unreadable {
        /// Which.
        directive: String,
        /// Why, and how it is written.
        reason: String,
    },
    /// What logs here cannot be changed.
    #[error("what this process logs cannot be changed while it runs")]
    Fixed,
}
