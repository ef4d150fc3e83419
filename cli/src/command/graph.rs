//! `windlass graph`.

use std::path::PathBuf;

use windlass_proto::definition::{self, Options};
use windlass_proto::graph;
use windlass_proto::limits::DEFINITION_BYTES;

use crate::error::CliError;
use crate::{definition as files, input, output};

/// Draw a definition as a flow chart.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  windlass graph order.yaml > order.mmd\n  \
                        windlass graph order.yaml --format svg > order.svg")]
pub(crate) struct Args {
    /// The definition, YAML or JSON; - for standard input
    file: PathBuf,
    /// The language of the chart
    #[arg(long, value_enum, default_value = "mermaid")]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Mermaid, as Markdown of GitHub and GitLab shows it
    Mermaid,
    /// A picture for browsers and pages
    Svg,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let text = input::file(&args.file, DEFINITION_BYTES)?;
    let loaded = definition::load(&text, &Options { unversioned: true, ..Options::default() });
    let Some(plan) = loaded.plan.filter(|_| !files::has_error(&loaded.diagnostics)) else {
        files::show(&args.file, &text, &loaded.diagnostics);
        return Err(CliError::Definition);
    };
    match args.format {
        Format::Mermaid => output::text(&graph::mermaid(&plan)),
        Format::Svg => match graph::svg(&plan) {
            Some(picture) => output::text(&picture),
            None => {
                let text =
                    "the definition has too many tasks for a picture: --format mermaid draws it";
                return Err(CliError::Usage(text.to_owned()));
            }
        },
    }
    Ok(())
}
