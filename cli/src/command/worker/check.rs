//! `windlass worker check`: plays a coordinator, and judges what a worker says to it.

mod bus;
mod report;
mod script;
mod stage;

use std::ffi::OsString;
use std::path::PathBuf;

use windlass_proto::plan::DEFAULT_POOL;

use self::bus::Server;
use self::stage::Stage;
use crate::bus::Nats;
use crate::code::WORKER_FAILED;
use crate::error::CliError;
use crate::input;
use crate::output::{self, Format};

/// Check a worker in any language: play a coordinator that drops, repeats, reorders, cancels,
/// restarts and sends ugly values, and judge every frame by proto/PROTOCOL.md.
///
/// It begins the program after `--` with WINDLASS_NATS, WINDLASS_WORKER_KEY and WINDLASS_BUS, as a
/// worker gets them. Its functions are called for real.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass worker check --function price -- python3 worker.py\n  \
                  windlass worker check --function price --arguments '{\"price\": 8}' --junit r.xml -- node worker.js\n\n\
                  Without --nats it starts a nats-server, which has to be on the path.\n\
                  Exit code 1 when the worker does something that a coordinator does not expect."
)]
pub(super) struct Args {
    /// A function that the worker offers, which is called: one that ends soon and may be called
    /// often
    #[arg(long, value_name = "NAME", required = true)]
    function: String,
    /// What it is called with: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    arguments: String,
    /// The pool that its key is for
    #[arg(long, default_value = DEFAULT_POOL, value_name = "NAME",
        value_parser = crate::command::coordinator::pool)]
    pool: String,
    /// Write the checks to this file as well, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// By default columns on a terminal, JSON elsewhere
    #[arg(long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    nats: Nats,
    /// The worker: a program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// What was found about one rule.
#[derive(Debug, serde::Serialize)]
struct Check {
    /// The rule, in a few words.
    check: &'static str,
    /// Where PROTOCOL.md says it.
    paragraph: &'static str,
    passed: bool,
    /// What the worker did instead, with the message where it was; nothing where it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
}

/// Runs the command.
pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let arguments = input::read("--arguments", &args.arguments)?;
    let server = Server::of(&args.nats).await?;
    let prefix = args.nats.bus.clone();
    let bus = server.connect(&args.nats, &prefix).await?;
    let stage = Stage::open(bus, prefix, args.pool, &server.url(&args.nats), args.program).await?;
    let checks = script::play(stage, &args.function, &arguments).await;
    if let Some(path) = &args.junit {
        std::fs::write(path, report::junit(&checks)).map_err(|error| {
            CliError::Usage(format!("{} cannot be written: {error}", path.display()))
        })?;
    }
    match Format::or_default(args.output) {
        Format::Json => output::json(&serde_json::json!({ "items": checks })),
        Format::Table => output::text(&report::text(&checks)),
    }
    let failed = checks.iter().filter(|it| !it.passed).count();
    if failed == 0 {
        return Ok(());
    }
    let detail = format!("{failed} of {} checks failed", checks.len());
    Err(CliError::coded(&WORKER_FAILED, &detail))
}
