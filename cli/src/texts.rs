//! Reads the definitions that are tried out.

use std::path::{Path, PathBuf};

use windlass_proto::definition::{self, Diagnostic, Options, Severity};
use windlass_proto::limits::DEFINITION_BYTES;
use windlass_worker::Egress;

use crate::case::texts::{Text, Texts};
use crate::error::CliError;
use crate::options::WorkerOptions;
use crate::worker::{self, Files};
use crate::{definition as files, functions, input};

/// Reads and checks definitions, and shows their errors. Functions of catalogs in files are read;
/// those elsewhere only where calls are allowed.
///
/// # Errors
/// When a file cannot be read, or has errors.
pub(crate) async fn read(paths: &[PathBuf], allows_calls: bool) -> Result<Texts, CliError> {
    let mut texts = Vec::with_capacity(paths.len());
    for path in paths {
        texts.push(read_one(path, allows_calls).await?);
    }
    Ok(Texts(texts))
}

async fn read_one(path: &Path, allows_calls: bool) -> Result<Text, CliError> {
    let mut text = input::file(path, DEFINITION_BYTES)?;
    // What a worker cannot do is mocked.
    let options = Options { unversioned: true, ..Options::default() };
    let mut loaded = definition::load(&text, &options);
    let meant = if allows_calls { functions::is_elsewhere } else { functions::is_file };
    if loaded.wanted.iter().any(meant) {
        let files = Files::below(functions::directory_of(path));
        let built =
            worker::builder(WorkerOptions::default(), files, Egress::unrestricted())?.build();
        let worker = built.map_err(|error| CliError::Usage(error.to_string()))?;
        match functions::pin(&worker, text.clone(), meant).await {
            Ok(pinned) => {
                loaded = definition::load(&pinned, &options);
                text = pinned;
            }
            Err(found) => loaded.diagnostics.extend(found),
        }
    }
    let is_error = |it: &&Diagnostic| it.severity == Severity::Error;
    let errors: Vec<_> = loaded.diagnostics.iter().filter(is_error).cloned().collect();
    match loaded.plan {
        Some(plan) if errors.is_empty() => Ok(Text { path: path.to_owned(), text, plan }),
        _ => {
            files::show(path, &text, &errors);
            Err(CliError::Definition)
        }
    }
}
