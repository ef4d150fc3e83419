//! `windlass config`: what a configuration file makes of a command.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ArgAction;
use clap::parser::ValueSource;
use serde_json::json;

use crate::configuration::{self, COMMANDS, CREDENTIALS, Configuration};
use crate::error::CliError;
use crate::output::{self, Format};

/// Check a configuration file, or show what it makes of a command.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass config check windlass.toml\n  windlass config show \
                        coordinator --config windlass.toml\n\n\
                        The file has the names of options, in [coordinator], [worker] and [dev].")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Check a file: every name in it, and every value
    Check(CheckArgs),
    /// Show every option of a command as it would count now, and where it comes from
    Show(ShowArgs),
}

#[derive(clap::Args)]
struct CheckArgs {
    /// The file
    file: PathBuf,
}

#[derive(clap::Args)]
struct ShowArgs {
    /// The command: coordinator, worker or dev
    #[arg(value_parser = COMMANDS)]
    command: String,
    /// The file [env: WINDLASS_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
}

/// Runs the command.
pub(crate) fn run(args: Args, windlass: clap::Command) -> Result<(), CliError> {
    match args.command {
        Command::Check(args) => {
            for name in COMMANDS {
                matches(&windlass, name, Some(&args.file))?;
            }
            output::message(&format!("{} is fine", args.file.display()));
            Ok(())
        }
        Command::Show(args) => show(&args, windlass),
    }
}

/// What a command would be told.
fn matches(
    windlass: &clap::Command,
    name: &str,
    config: Option<&PathBuf>,
) -> Result<(clap::ArgMatches, Option<Configuration>), CliError> {
    let mut line: Vec<OsString> = ["windlass", name].map(OsString::from).into();
    if let Some(config) = config {
        line.extend(["--config".into(), config.into()]);
    }
    configuration::parse(windlass.clone(), line)
}

fn show(args: &ShowArgs, mut command: clap::Command) -> Result<(), CliError> {
    let name = args.command.as_str();
    let (matches, file) = matches(&command, name, args.config.as_ref())?;
    command.build();
    let Some((_, found)) = matches.subcommand() else { return Ok(()) };
    let of = command.find_subcommand(name).into_iter();
    let options = of.flat_map(|it| it.get_arguments()).filter(|it| !it.is_hide_set());
    let items = options.filter_map(|arg| {
        let (id, long) = (arg.get_id().as_str(), arg.get_long()?);
        let source = match found.value_source(id) {
            Some(ValueSource::EnvVariable) => "environment",
            Some(ValueSource::DefaultValue) if file.as_ref().is_some_and(|it| it.has(name, id)) => {
                "file"
            }
            Some(ValueSource::CommandLine) => "command line",
            _ => "default",
        };
        let values: Vec<_> = match arg.get_action() {
            ArgAction::SetTrue => vec![found.get_flag(id).to_string()],
            ArgAction::Help | ArgAction::Version => return None,
            _ => found
                .get_raw(id)
                .into_iter()
                .flatten()
                .map(|it| it.to_string_lossy().into_owned())
                .collect(),
        };
        let is_secret = CREDENTIALS.contains(&long) && !values.is_empty();
        let value = if is_secret { "«hidden»".to_owned() } else { values.join(",") };
        Some(json!({"option": long, "value": value, "source": source}))
    });
    let page = json!({"items": items.collect::<Vec<_>>()});
    output::page(&page, args.output, &["OPTION", "VALUE", "FROM"], |it| {
        let text = |key: &str| it[key].as_str().unwrap_or("").to_owned();
        vec![text("option"), text("value"), text("source")]
    });
    Ok(())
}
