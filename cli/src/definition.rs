//! Files of definitions: read, checked, findings shown.

use std::path::{Path, PathBuf};

use windlass_coordinator::catalog::Unsupported;
use windlass_proto::definition::{self, Diagnostic, Options, Severity, Wanted, pins};
use windlass_proto::id::WorkflowId;
use windlass_proto::limits::DEFINITION_BYTES;
use windlass_proto::plan::{Kind, Plan};
use windlass_worker::Worker;

use crate::error::CliError;
use crate::{functions, input, output};

/// What to do with definitions that ask for what this version cannot do.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Support {
    /// Take definitions with parts that this version cannot do, such as protocols of AsyncAPI:
    /// tasks of that kind wait until a worker offers it
    #[arg(long)]
    pub(crate) allow_unsupported: bool,
}

impl Support {
    /// The same, for a coordinator.
    fn unsupported(self) -> Unsupported {
        if self.allow_unsupported { Unsupported::Allow } else { Unsupported::Refuse }
    }

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
    /// Whether it calls functions of catalogs that are not in its text yet.
    pub(crate) wants_functions: bool,
    /// Whether it may ask for what cannot be done.
    pub(crate) unsupported: Unsupported,
    /// Its file.
    path: PathBuf,
}

impl Checked {
    /// Whose file is in which directory.
    pub(crate) fn place(&self) -> (WorkflowId, PathBuf) {
        (self.id.clone(), self.folder.clone())
    }

    /// True when `deployed` is this definition, with the functions that were pinned to it then:
    /// they are not fetched again, as a version stays what it was.
    pub(crate) fn is_deployed_as(&self, deployed: Option<&str>) -> bool {
        deployed.is_some_and(|it| pins::source(it) == pins::source(&self.text))
    }

    /// With the functions that it calls, and that they call, fetched by `worker`.
    ///
    /// # Errors
    /// When one cannot be had or used; it was shown which.
    pub(crate) async fn with_functions(mut self, worker: &Worker) -> Result<Self, CliError> {
        let pinned = functions::pin(worker, self.text.clone(), functions::is_elsewhere).await;
        let found = match pinned {
            Ok(text) => {
                let options = Options { unversioned: true, ..Options::default() };
                let loaded = definition::load(&text, &options);
                self.text = text;
                let Some(plan) = loaded.plan else {
                    let mut found = loaded.diagnostics;
                    found.retain(|it| it.severity == Severity::Error);
                    show(&self.path, &self.text, &found);
                    return Err(CliError::Definition);
                };
                self.runs_processes = runs_processes(&plan);
                return Ok(self);
            }
            Err(found) => found,
        };
        show(&self.path, &self.text, &found);
        Err(CliError::Definition)
    }
}

/// Reads a file and shows what was found about it, warnings too: who runs it from a script or reads
/// a log is warned of the same. The last line of standard error is the problem document, where
/// there is one.
///
/// # Errors
/// When the file cannot be read or the definition has errors.
pub(crate) fn check(path: &Path, support: Support) -> Result<Checked, CliError> {
    check_with(path, support, &support.options())
}

/// As [`check`], for a run on the spot: the workflow needs no version.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_here(path: &Path, support: Support) -> Result<Checked, CliError> {
    check_with(path, support, &Options { unversioned: true, ..support.options() })
}

fn check_with(path: &Path, support: Support, options: &Options) -> Result<Checked, CliError> {
    let text = input::file(path, DEFINITION_BYTES)?;
    let mut loaded = definition::load(&text, options);
    // They are fetched in a moment, or the server has them.
    loaded.diagnostics.retain(|it| it.code != Wanted::CODE);
    show(path, &text, &loaded.diagnostics);
    match loaded.plan {
        Some(plan) if !has_error(&loaded.diagnostics) => {
            let runs_processes = runs_processes(&plan);
            let wants_functions = loaded.wanted.iter().any(functions::is_elsewhere);
            let (id, path) = (plan.id.clone(), path.to_owned());
            let (unsupported, folder) = (support.unsupported(), functions::directory_of(&path));
            Ok(Checked { text, id, folder, runs_processes, wants_functions, unsupported, path })
        }
        _ => Err(CliError::Definition),
    }
}

fn runs_processes(plan: &Plan) -> bool {
    plan.tasks
        .iter()
        .any(|it| matches!(it.kind, Kind::Container(_) | Kind::Shell(_) | Kind::Script(_)))
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
