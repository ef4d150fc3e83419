//! Files of definitions: read, checked, findings shown.

use std::path::{Path, PathBuf};

use windlass_proto::definition::{self, Diagnostic, Options, Severity};
use windlass_proto::id::WorkflowId;
use windlass_proto::limits::DEFINITION_BYTES;
use windlass_proto::plan::{Kind, Task};

use crate::error::CliError;
use crate::{input, output};

/// What to do with definitions that ask for what this version cannot do.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Support {
    /// Take definitions with parts that this version cannot do, such as containers: tasks of that
    /// kind wait until a worker offers it
    #[arg(long)]
    pub(crate) allow_unsupported: bool,
}

impl Support {
    fn options(self) -> Options {
        Options { refuse_unsupported: !self.allow_unsupported, ..Options::default() }
    }
}

/// A file with a definition that has no error.
pub(crate) struct Checked {
    /// Its text.
    pub(crate) text: String,
    /// Its identity.
    pub(crate) id: WorkflowId,
    /// The directory of the file.
    pub(crate) folder: PathBuf,
    /// Whether a task of it runs a process of this machine.
    pub(crate) runs_processes: bool,
}

/// Reads a file and shows what was found about it, warnings too: who runs it from a script or reads
/// a log is warned of the same. The last line of standard error is the problem document, where
/// there is one.
///
/// # Errors
/// When the file cannot be read or the definition has errors.
pub(crate) fn check(path: &Path, support: Support) -> Result<Checked, CliError> {
    check_with(path, &support.options())
}

/// As [`check`], for a run on the spot: the workflow needs no version.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_here(path: &Path, support: Support) -> Result<Checked, CliError> {
    check_with(path, &Options { unversioned: true, ..support.options() })
}

fn check_with(path: &Path, options: &Options) -> Result<Checked, CliError> {
    let text = input::file(path, DEFINITION_BYTES)?;
    let loaded = definition::load(&text, options);
    show(path, &text, &loaded.diagnostics);
    match loaded.plan {
        Some(plan) if !has_error(&loaded.diagnostics) => {
            let is_process = |it: &Task| matches!(it.kind, Kind::Shell(_) | Kind::Script(_));
            let runs_processes = plan.tasks.iter().any(is_process);
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            Ok(Checked { text, id: plan.id.clone(), folder: folder.to_owned(), runs_processes })
        }
        _ => Err(CliError::Definition),
    }
}

/// Shows findings to people.
pub(crate) fn show(path: &Path, text: &str, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        output::notice(&diagnostic.render(&path.display().to_string(), text));
    }
}

/// True when one of the findings is an error.
pub(crate) fn has_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|it| it.severity == Severity::Error)
}
