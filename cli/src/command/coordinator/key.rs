//! `windlass coordinator key`: what workers need to join.

use windlass_proto::wire::subject::is_token;

use super::DataOptions;
use crate::error::CliError;
use crate::output;

/// Print the key that workers need; makes the coordinator's own where there is none.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass coordinator key > worker.key\n  \
                        windlass coordinator key --pool gpu > gpu-worker.key\n\n\
                        Whoever has a worker key and can reach NATS can join as a worker and is \
                        given tasks: keep it as you keep passwords.")]
pub(super) struct Args {
    #[command(flatten)]
    data: DataOptions,
    /// A key that admits to this pool only
    #[arg(long, value_name = "NAME", value_parser = pool)]
    pool: Option<String>,
}

/// Reads the name of a pool.
pub(crate) fn pool(text: &str) -> Result<String, String> {
    match is_token(text) {
        true => Ok(text.to_owned()),
        false => Err("a pool's name consists of letters, digits, `-` and `_`".to_owned()),
    }
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let key = crate::key::coordinator(&args.data.key_file())?;
    output::text_line(&key.worker_key(args.pool.as_deref()).to_text());
    Ok(())
}
