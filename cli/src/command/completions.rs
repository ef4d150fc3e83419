//! `windlass completions` and `windlass man`: made from the command line itself.

use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

use crate::error::CliError;
use crate::output;

/// Print what makes a shell complete commands and options.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass completions bash > \
                        ~/.local/share/bash-completion/completions/windlass\n  windlass completions zsh > \
                        \"${fpath[1]}/_windlass\"")]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write manual pages, one for each command.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The directory that they are written to
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints completions of `command`.
pub(crate) fn completions(args: &CompletionArgs, mut command: Command) -> Result<(), CliError> {
    let mut text = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut text);
    output::text(&String::from_utf8_lossy(&text));
    Ok(())
}

/// Writes manual pages of `command` and of all below it.
pub(crate) fn man(args: &ManArgs, command: Command) -> Result<(), CliError> {
    let directory = &args.directory;
    let failed = |error: std::io::Error| {
        CliError::Usage(format!("cannot write to {}: {error}", directory.display()))
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(command, directory).map_err(failed)
}
