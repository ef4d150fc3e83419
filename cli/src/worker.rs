//! The embedded worker, as the command line describes it.

use std::path::PathBuf;

use windlass_worker::{Builder, DevelopmentSecrets, DevelopmentSecretsError, HttpOptions, Worker};

use crate::error::CliError;
use crate::options::WorkerOptions;

/// Describes the worker; plans are for the caller to add. `files` is the directory below which
/// `file:` resources are read.
///
/// # Errors
/// When secrets cannot be read from where the options say.
pub(crate) fn builder(options: WorkerOptions, files: Option<PathBuf>) -> Result<Builder, CliError> {
    let secrets = secrets(&options).map_err(|error| CliError::Usage(error.to_string()))?;
    let http = HttpOptions {
        resolve: options.resolve,
        ca_files: options.ca_files,
        files,
        ..HttpOptions::default()
    };
    Ok(Worker::builder().http(http).secrets(std::sync::Arc::new(secrets)))
}

fn secrets(options: &WorkerOptions) -> Result<DevelopmentSecrets, DevelopmentSecretsError> {
    // Variables that are not text cannot be secrets of ours.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut secrets = DevelopmentSecrets::new().environment(variables);
    for pair in &options.secrets {
        secrets = secrets.pair(pair)?;
    }
    match &options.secrets_file {
        Some(path) => secrets.file(path),
        None => Ok(secrets),
    }
}

#[cfg(test)]
mod tests {
    use super::{CliError, WorkerOptions, builder};

    #[test]
    fn a_secret_without_a_name_is_refused_and_not_repeated() {
        let options = WorkerOptions {
            secrets: vec!["hunter2".to_owned()],
            secrets_file: None,
            resolve: Vec::new(),
            ca_files: Vec::new(),
        };
        let refused = builder(options, None).err();
        assert!(matches!(refused, Some(CliError::Usage(text)) if !text.contains("hunter2")));
    }
}
