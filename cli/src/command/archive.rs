//! `windlass archive`: instances that were removed, in the files of `--archive`.

use std::path::{Path, PathBuf};

use serde_json::json;
use windlass_coordinator::archive::{self, Archive, ArchiveError};
use windlass_proto::id::InstanceId;

use crate::code::{ARCHIVE_DAMAGED, NOT_ARCHIVED};
use crate::error::CliError;
use crate::output;

/// Look at instances that were removed, in the files of `--archive`; no server is needed.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass archive list ./archive\n  windlass archive show ./archive \
                        0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f\n  windlass archive verify ./archive"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the instances, one a line, with their files
    List(OfArgs),
    /// Show an instance as it was before it was removed, with its history
    Show(ShowArgs),
    /// Hold all files against their checksums
    Verify(OfArgs),
}

#[derive(clap::Args)]
struct OfArgs {
    /// The directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(clap::Args)]
struct ShowArgs {
    /// The directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The instance
    id: InstanceId,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    match &args.command {
        Command::List(args) => list(args),
        Command::Show(args) => show(args),
        Command::Verify(args) => verify(args),
    }
}

fn open(directory: &Path) -> Result<Archive, CliError> {
    match directory.is_dir() {
        true => Ok(Archive::at(directory)),
        false => Err(CliError::Usage(format!("there is no directory {}", directory.display()))),
    }
}

fn failed(error: ArchiveError) -> CliError {
    CliError::coded(&ARCHIVE_DAMAGED, &error.to_string())
}

fn unwritten(error: std::io::Error) -> CliError {
    CliError::Usage(format!("the answer cannot be written: {error}"))
}

fn list(args: &OfArgs) -> Result<(), CliError> {
    for files in open(&args.directory)?.files() {
        let line = |(id, started, path): (InstanceId, windlass_proto::time::Timestamp, PathBuf)| {
            let (id, started, file) =
                (id.to_string(), started.to_rfc3339(), path.display().to_string());
            format!("{}\n", json!({"id": id, "startedAt": started, "file": file}))
        };
        let lines: String = files.map_err(failed)?.into_iter().map(line).collect();
        if !output::write(&lines).map_err(unwritten)? {
            break;
        }
    }
    Ok(())
}

fn show(args: &ShowArgs) -> Result<(), CliError> {
    let newest = open(&args.directory)?.newest(args.id).map_err(failed)?;
    let Some(path) = newest else {
        let detail = format!("{} is not in {}", args.id, args.directory.display());
        return Err(CliError::coded(&NOT_ARCHIVED, &detail));
    };
    archive::verify(&path).map_err(failed)?;
    // As it is: values keep their numbers, however large.
    let text =
        std::fs::read_to_string(&path).map_err(|error| failed(ArchiveError::File(path, error)))?;
    output::write(&text).map_err(unwritten).map(drop)
}

fn verify(args: &OfArgs) -> Result<(), CliError> {
    let (mut whole, mut damaged) = (0_u64, 0_u64);
    for files in open(&args.directory)?.files() {
        for (_, _, path) in files.map_err(failed)? {
            match archive::verify(&path) {
                Ok(()) => whole += 1,
                Err(error) => {
                    damaged += 1;
                    output::message(&error.to_string());
                }
            }
        }
    }
    output::json(&json!({"whole": whole, "damaged": damaged}));
    match damaged {
        0 => Ok(()),
        _ => Err(CliError::coded(&ARCHIVE_DAMAGED, &format!("{damaged} files are damaged"))),
    }
}
