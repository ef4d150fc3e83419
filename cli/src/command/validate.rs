//! `windlass validate`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use windlass_proto::definition::{self, Diagnostic, Options};
use windlass_proto::limits::DEFINITION_BYTES;

use crate::error::CliError;
use crate::{definition as files, input, output};

/// Check definitions and show every finding.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  windlass validate order.yaml payment.yaml --strict\n\n\
                        Exit code 2 when a definition has an error.")]
pub(crate) struct Args {
    /// Definitions, YAML or JSON
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Refuse what is accepted beside the specification
    #[arg(long)]
    strict: bool,
    /// Findings as text on standard error, or as JSON on standard output
    #[arg(long, value_enum, default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// As a compiler shows them
    Text,
    /// One JSON document
    Json,
}

/// What was found about one file.
#[derive(Serialize)]
struct Finding {
    file: String,
    valid: bool,
    diagnostics: Vec<Diagnostic>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let options = Options { strict: args.strict, ..Options::default() };
    let mut findings = Vec::new();
    let mut unreadable = None;
    for file in &args.files {
        match check(file, &options, args.output) {
            Ok(finding) => findings.push(finding),
            // The others are checked all the same.
            Err(error) => unreadable = Some(error),
        }
    }
    if args.output == Format::Json {
        output::json(&findings);
    }
    if let Some(error) = unreadable {
        return Err(error);
    }
    let invalid = findings.iter().filter(|it| !it.valid).count();
    if args.output == Format::Text {
        let warnings: usize = findings.iter().map(|it| it.diagnostics.len()).sum();
        let total = findings.len();
        output::message(&match (invalid, warnings) {
            (0, 0) => format!("{total} of {total} valid"),
            (0, _) => format!("{total} of {total} valid, {warnings} warnings"),
            _ => format!("{} of {total} valid", total - invalid),
        });
    }
    if invalid == 0 { Ok(()) } else { Err(CliError::Definition) }
}

fn check(file: &Path, options: &Options, format: Format) -> Result<Finding, CliError> {
    let text = input::file(file, DEFINITION_BYTES).inspect_err(|error| {
        if let CliError::Usage(text) = error {
            output::message(text);
        }
    });
    let text = text.map_err(|_| CliError::Definition)?;
    let loaded = definition::load(&text, options);
    if format == Format::Text {
        files::show(file, &text, &loaded.diagnostics);
    }
    let valid = loaded.plan.is_some() && !files::has_error(&loaded.diagnostics);
    let diagnostics = loaded.diagnostics;
    Ok(Finding { file: file.display().to_string(), valid, diagnostics })
}
