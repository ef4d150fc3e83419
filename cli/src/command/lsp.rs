//! `windlass lsp`.

use std::io::{self, BufReader};

use crate::code::{LSP_ENDED, NOT_UNDERSTOOD};
use crate::error::CliError;
use crate::lsp::{self, Ended};

/// Speak to an editor by the Language Server Protocol, on standard input and output: findings,
/// completion and what a property is for, in definitions and in tests (*.test.yaml).
#[derive(clap::Args)]
#[command(
    after_help = "Example, for Neovim:\n  vim.lsp.start({ name = 'windlass', cmd = { 'windlass', 'lsp' } })\n\n\
                  Other editors name `windlass lsp` as the server of YAML files in the same way."
)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) async fn run(_: &Args) -> Result<(), CliError> {
    let serve = || lsp::serve(&mut BufReader::new(io::stdin()), &mut io::stdout());
    let served = tokio::task::spawn_blocking(serve).await;
    match served.map_err(|error| error.to_string()).flatten() {
        Ok(Ended::Orderly) => Ok(()),
        Ok(Ended::Early) => {
            Err(CliError::coded(&LSP_ENDED, "the editor went without `shutdown` and `exit`"))
        }
        Err(why) => Err(CliError::coded(&NOT_UNDERSTOOD, &format!("the editor: {why}"))),
    }
}
