//! `windlass schema`.

use windlass_proto::definition::shape;

use crate::case::shape::{SUITE, SURROUNDINGS};
use crate::error::CliError;
use crate::output;

/// Print a JSON Schema for editors: of definitions as they are accepted here, with what
/// `metadata.windlass` adds, or of files of tests.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass schema > windlass.schema.json\n  windlass schema test > windlass-test.schema.json\n\n\
                  The first line of a YAML file says which one an editor takes:\n  \
                  # yaml-language-server: $schema=windlass.schema.json\n\n\
                  `windlass validate` and `windlass lsp` know more: names, expressions, places."
)]
pub(crate) struct Args {
    /// Of what
    #[arg(value_enum, default_value = "workflow")]
    of: Of,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Of {
    /// Definitions
    Workflow,
    /// Tests: *.test.yaml
    Test,
    /// Mocks: what `windlass run --mock` reads
    Mocks,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let of = match args.of {
        Of::Workflow => &shape::WORKFLOW,
        Of::Test => &SUITE,
        Of::Mocks => &SURROUNDINGS,
    };
    // People keep it and look at it, so it is indented wherever it goes.
    let text = serde_json::to_string_pretty(&shape::schema(of)).unwrap_or_default();
    output::text_line(&text);
    Ok(())
}
