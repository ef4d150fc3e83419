//! `windlass version`.

use crate::error::CliError;
use crate::output;

/// Prints the versions of Windlass and of the DSL.
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn run() -> Result<(), CliError> {
    output::json(&serde_json::json!({"windlass": env!("CARGO_PKG_VERSION"), "dsl": "1.0.3"}));
    Ok(())
}
