//! `windlass explain`.

use crate::error::CliError;
use crate::{code, output};

/// Explain the code of an error or a finding.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass explain WL0502")]
pub(crate) struct Args {
    /// Such as WL0502; upper or lower case
    code: String,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    match code::explain(&args.code) {
        Some(text) => {
            output::text_line(&text);
            Ok(())
        }
        None => Err(CliError::Usage(format!(
            "`{}` is no code of this version; codes look like WL0502",
            output::printable(&args.code)
        ))),
    }
}
