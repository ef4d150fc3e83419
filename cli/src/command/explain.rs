//! `windlass explain`.

use crate::error::CliError;
use crate::{code, output};

/// Explain the code of an error or a finding, or list all codes.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass explain WL0502\n  windlass explain | grep -i secret")]
pub(crate) struct Args {
    /// Such as WL0502, in upper or lower case; without one all codes are listed
    code: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let Some(code) = &args.code else {
        let lines = code::all().map(|(code, title)| format!("{code}  {title}"));
        output::text_line(&lines.collect::<Vec<_>>().join("\n"));
        return Ok(());
    };
    match code::explain(code) {
        Some(text) => {
            output::text_line(&text);
            Ok(())
        }
        None => Err(CliError::Usage(format!(
            "`{}` is no code of this version; codes look like WL0502, `windlass explain` lists them",
            output::printable(code)
        ))),
    }
}
