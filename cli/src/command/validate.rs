//! `windlass validate`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use windlass_proto::definition::{self, Diagnostic, Options, Wanted};
use windlass_proto::limits::DEFINITION_BYTES;

use crate::error::CliError;
use crate::functions::FetchOptions;
use crate::{definition as files, find, functions, input, output};

/// Check definitions and show every finding.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  windlass validate order.yaml payment.yaml --strict\n  windlass validate workflows\n\n\
                        Exit code 2 when a definition has an error."
)]
pub(crate) struct Args {
    /// Definitions, YAML or JSON, - for standard input; of a directory all *.yaml and *.yml in it
    /// and below, but no tests (*.test.yaml)
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Refuse what is accepted beside the specification
    #[arg(long)]
    strict: bool,
    /// Fetch the functions of catalogs that the definitions call, and check them; those of `file:`
    /// are read in any case
    #[arg(long)]
    online: bool,
    #[command(flatten)]
    fetch: FetchOptions,
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
pub(crate) async fn run(args: &Args) -> Result<(), CliError> {
    let mut findings = Vec::new();
    let mut unreadable = None;
    for file in &find::files(&args.files, &find::DEFINITIONS)? {
        match check(file, args).await {
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

async fn check(file: &Path, args: &Args) -> Result<Finding, CliError> {
    let text = input::file(file, DEFINITION_BYTES).inspect_err(|error| {
        if let CliError::Usage(text) = error {
            output::message(text);
        }
    });
    let text = text.map_err(|_| CliError::Definition)?;
    let options = Options { strict: args.strict, ..Options::default() };
    let mut loaded = definition::load(&text, &options);
    let meant = if args.online { functions::is_elsewhere } else { functions::is_file };
    if loaded.wanted.iter().any(meant) {
        let worker = args.fetch.worker(file)?;
        match functions::pin(&worker, text.clone(), meant).await {
            Ok(pinned) => loaded = definition::load(&pinned, &options),
            Err(found) => {
                let place = |it: &Diagnostic| (it.line, it.column);
                // Each is told once: that it was not fetched, and why.
                loaded.diagnostics.retain(|it| {
                    it.code != Wanted::CODE || !found.iter().any(|f| place(f) == place(it))
                });
                loaded.diagnostics.extend(found);
                loaded.diagnostics.sort_by_key(place);
            }
        }
    }
    let diagnostics = loaded.diagnostics;
    if args.output == Format::Text {
        files::show(file, &text, &diagnostics);
    }
    let valid = loaded.plan.is_some() && !files::has_error(&diagnostics);
    Ok(Finding { file: file.display().to_string(), valid, diagnostics })
}
