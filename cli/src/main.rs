//! The `windlass` binary: reads arguments, calls the libraries, prints.
//!
//! Standard output carries data only; everything for people goes to standard error. Exit codes: 0
//! done, 1 faulted, cancelled or refused, 2 bad usage or definition, 3 not ended or not known to
//! have, 130 interrupted.

mod arguments;
mod bus;
mod case;
mod client;
mod code;
mod command;
mod configuration;
mod definition;
mod descriptors;
mod embedded;
mod error;
mod exact;
mod find;
mod finding;
mod functions;
mod header;
mod input;
mod instance;
mod key;
mod log;
mod login;
mod lsp;
mod memory;
mod options;
mod output;
mod profile;
mod progress;
mod secret_options;
mod serve;
mod signal;
mod telemetry;
mod texts;
mod tls;
mod worker;

use std::process::ExitCode;
use std::time::Duration;

use clap::FromArgMatches;
use windlass_proto::limits;

use crate::arguments::Arguments;
use crate::error::CliError;

fn main() -> ExitCode {
    // Any command may hold a secret for a moment.
    windlass_worker::guard_process();
    // Bad usage ends here, with 2; so do --help and --version, with 0.
    let matches = configuration::parse(arguments::command_line(), windlass_worker::arguments());
    let matches = matches.map(|(matches, file)| {
        configuration::remember(&matches, file.as_ref(), arguments::command_line);
        Arguments::from_arg_matches(&matches)
    });
    let arguments = match matches {
        Ok(Ok(arguments)) => arguments,
        Ok(Err(error)) => error.exit(),
        Err(error) => return error.report(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::message(&format!("the runtime cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = telemetry::start(arguments.command.told()) {
        return error.report();
    }
    // Once, with all that takes what is logged.
    telemetry::with(|it| log::start(&arguments.command.log_options(), it));
    descriptors::raise();
    let ran = runtime.block_on(arguments.command.run());
    // What starts the process anew comes after all that it has to tell.
    let (code, anew) = match ran {
        Ok(()) => (ExitCode::SUCCESS, None),
        Err(error @ CliError::Anew) => (ExitCode::SUCCESS, Some(error)),
        Err(error) => (error.report(), None),
    };
    runtime.block_on(telemetry::end());
    // What still blocks a thread, such as a read of standard input, is no reason to stay.
    runtime.shutdown_timeout(Duration::from_millis(limits::THREADS_END_MS));
    anew.map_or(code, CliError::report)
}
