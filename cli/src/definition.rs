//! Files of definitions: read, checked, findings shown.

use std::path::Path;

use windlass_proto::definition::{self, Diagnostic, Options, Severity};
use windlass_proto::id::WorkflowId;
use windlass_proto::limits::DEFINITION_BYTES;
use windlass_proto::plan::{Kind, Task};

use crate::error::CliError;
use crate::{input, output};

/// A file with a definition that has no error.
pub(crate) struct Checked {
    /// Its text.
    pub(crate) text: String,
    /// Its identity.
    pub(crate) id: WorkflowId,
    /// Whether a task of it runs a process of this machine.
    pub(crate) runs_processes: bool,
}

/// Reads a file and shows what was found about it, warnings too: who runs it from a script or reads a log
/// is warned of the same. The last line of standard error is the problem document, where there is one.
///
/// # Errors
/// When the file cannot be read or the definition has errors.
pub(crate) fn check(path: &Path) -> Result<Checked, CliError> {
    check_with(path, &Options::default())
}

/// As [`check`], for a run on the spot: the workflow needs no version.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_here(path: &Path) -> Result<Checked, CliError> {
    check_with(path, &Options { unversioned: true, ..Options::default() })
}

fn check_with(path: &Path, options: &Options) -> Result<Checked, CliError> {
    let text = input::file(path, DEFINITION_BYTES)?;
    let loaded = definition::load(&text, options);
    show(path, &text, &loaded.diagnostics);
    match loaded.plan {
        Some(plan) if !has_error(&loaded.diagnostics) => {
            let is_process = |it: &Task| matches!(it.kind, Kind::Shell(_) | Kind::Script(_));
            let runs_processes = plan.tasks.iter().any(is_process);
            Ok(Checked { text, id: plan.id.clone(), runs_processes })
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

/// What a finding's code means.
pub(crate) fn explain(code: &str) -> Option<String> {
    let text = definition::explain(code)?;
    Some(format!("{code}: {}\n\n{text}\n", title(text)))
}

/// Code and title of every finding, in the order of codes.
pub(crate) fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    definition::codes().map(|(code, text)| (code, title(text)))
}

/// What a finding's explanation begins with: what is the matter, without examples and advice.
fn title(text: &str) -> &str {
    let (mut quoted, mut nested) = (false, 0_u32);
    for (at, letter) in text.char_indices() {
        let rest = &text[at..];
        match letter {
            '`' => quoted = !quoted,
            '(' => nested += 1,
            ')' => nested = nested.saturating_sub(1),
            _ if quoted || nested > 0 => {}
            '.' | ':' | ';' if rest[1..].starts_with(' ') => return &text[..at],
            ',' if rest.starts_with(", such as") || rest.starts_with(", as in") => {
                return &text[..at];
            }
            _ => {}
        }
    }
    text.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::{codes, title};

    #[test]
    fn titles_are_what_an_explanation_begins_with() {
        assert_eq!(
            title("A `a: b` is set (a. b) twice, such as c. No."),
            "A `a: b` is set (a. b) twice"
        );
        assert_eq!(title("A text is odd: names. More."), "A text is odd");
        assert_eq!(title("Only this."), "Only this");
        for (code, title) in codes() {
            assert!((8..200).contains(&title.len()), "{code}: {title}");
        }
    }
}
