//! Files that are named, and those in directories that are.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::CliError;

/// What is looked for in directories.
pub(crate) struct Wanted {
    /// What a name ends with.
    endings: &'static [&'static str],
    /// What it does not end with.
    except: &'static [&'static str],
    /// How people call it.
    name: &'static str,
}

/// Tests of workflows.
pub(crate) const TESTS: Wanted =
    Wanted { endings: TEST_ENDINGS, except: &[], name: "*.test.yaml or *.test.yml" };

/// Definitions.
pub(crate) const DEFINITIONS: Wanted =
    Wanted { endings: &[".yaml", ".yml"], except: TEST_ENDINGS, name: "*.yaml or *.yml" };

/// How names of files of tests end.
pub(crate) const TEST_ENDINGS: &[&str] = &[".test.yaml", ".test.yml"];

/// The files that were named, and those in the directories that were. Names that begin with a dot
/// and links to directories are passed over.
///
/// # Errors
/// When a directory cannot be read, or has none.
pub(crate) fn files(named: &[PathBuf], wanted: &Wanted) -> Result<Vec<PathBuf>, CliError> {
    let mut all = Vec::new();
    for path in named {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let before = all.len();
        below(path, wanted, &mut all).map_err(|error| {
            CliError::Usage(format!("{} cannot be read: {error}", path.display()))
        })?;
        if all.len() == before {
            let (path, name) = (path.display(), wanted.name);
            return Err(CliError::Usage(format!("{path} has no {name}, nor has what is below")));
        }
    }
    Ok(all)
}

/// Adds those in a directory and below it, by name.
fn below(directory: &Path, wanted: &Wanted, all: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = std::fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let ends = |endings: &[&str]| endings.iter().any(|it| name.ends_with(it));
        if entry.file_type()?.is_dir() {
            below(&path, wanted, all)?;
        } else if ends(wanted.endings) && !ends(wanted.except) {
            // People know `./a` as `a`.
            all.push(path.strip_prefix("./").map(Path::to_owned).unwrap_or(path));
        }
    }
    Ok(())
}
