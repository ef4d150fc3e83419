//! `windlass instance`: what there is to do with instances, under one name.

use super::{control, history, list, logs, repair, show, start, watch};
use crate::error::CliError;

/// All there is to do with instances, under one name: `windlass instance list` is `windlass list`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass instance list --status running\n  \
                        windlass instance show 0190c2f1-8f9a-7d3c-9a51-0c6f1c1d2e3f")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Start an instance on a server
    Start(start::Args),
    /// List instances
    List(list::Args),
    /// Show an instance: input, context, what it does now
    Show(show::Args),
    /// Show what happened in an instance
    History(history::Args),
    /// Show what log functions and programs of an instance wrote
    Logs(logs::Args),
    /// Follow an instance until it ends
    Watch(watch::Args),
    /// Cancel an instance
    Cancel(control::CancelArgs),
    /// Suspend an instance, or all starts of a workflow or a namespace
    Suspend(control::SuspendArgs),
    /// Resume a suspended instance, workflow or namespace
    Resume(control::ResumeArgs),
    /// Go on for an instance that has faulted, at the task that failed
    Retry(repair::RetryArgs),
    /// Go on for an instance that has ended, from a visit of a task
    Reset(repair::ResetArgs),
    /// Give the output of a task in place of whoever works on it
    Skip(control::SkipArgs),
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Start(args) => start::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::History(args) => history::run(args).await,
        Command::Logs(args) => logs::run(args).await,
        Command::Watch(args) => watch::run(args).await,
        Command::Cancel(args) => control::cancel(args).await,
        Command::Suspend(args) => control::suspend(args).await,
        Command::Resume(args) => control::resume(args).await,
        Command::Retry(args) => repair::retry(args).await,
        Command::Reset(args) => repair::reset(args).await,
        Command::Skip(args) => control::skip(args).await,
    }
}
