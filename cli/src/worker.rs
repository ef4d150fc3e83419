//! The embedded worker, as the command line describes it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use windlass_proto::id::WorkflowId;
use windlass_worker::{
    Builder, DevelopmentSecrets, DevelopmentSecretsError, Egress, HttpOptions, SecretsConfig,
    Worker, WorkerAccess,
};

use crate::error::CliError;
use crate::options::WorkerOptions;

/// Where `file:` resources are read, which a worker of a fleet does nowhere.
#[derive(Default)]
pub(crate) struct Files {
    /// The directory of the file that holds a definition.
    pub(crate) beside: HashMap<WorkflowId, PathBuf>,
    /// The directory for all others.
    pub(crate) elsewhere: Option<PathBuf>,
}

impl Files {
    /// Beside the files of definitions, whose `folders` these are, and for others in the current
    /// directory.
    pub(crate) fn beside(folders: impl IntoIterator<Item = (WorkflowId, PathBuf)>) -> Self {
        let beside = folders.into_iter().collect();
        Self { beside, elsewhere: Some(PathBuf::from(".")) }
    }

    /// None: no task reads one.
    pub(crate) fn none() -> Self {
        Self { beside: HashMap::new(), elsewhere: None }
    }

    /// Below one directory.
    pub(crate) fn below(directory: PathBuf) -> Self {
        Self { beside: HashMap::new(), elsewhere: Some(directory) }
    }
}

/// Describes the worker; plans and processes are for the caller to add. `usual` is what tasks may
/// call where the options say nothing of it.
///
/// # Errors
/// When secrets cannot be read from where the options say, or the options contradict each other.
pub(crate) fn builder(
    options: WorkerOptions,
    files: Files,
    usual: Egress,
) -> Result<Builder, CliError> {
    let egress = options.egress(usual)?;
    let given = secrets(&options).map_err(|error| CliError::Usage(error.to_string()))?;
    let secrets = match &options.secrets_config {
        Some(path) => SecretsConfig::load(path)
            .and_then(|it| it.source(given))
            .map_err(|error| CliError::Usage(error.to_string()))?,
        None => Arc::new(WorkerAccess::new(Arc::new(given))),
    };
    let http = HttpOptions {
        resolve: options.resolve,
        ca_files: options.ca_files,
        egress,
        idempotent_hosts: options.idempotent_hosts,
        traced_paths: options.traced_paths,
        call_limits: options.call_limits,
        files: files.elsewhere,
        files_of: files.beside,
        ..HttpOptions::default()
    };
    Ok(Worker::builder().http(http).secret_source(secrets))
}

fn secrets(options: &WorkerOptions) -> Result<DevelopmentSecrets, DevelopmentSecretsError> {
    let mut secrets = DevelopmentSecrets::new().environment(windlass_worker::variables());
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
    use super::{CliError, Egress, Files, WorkerOptions, builder};

    #[test]
    fn a_configuration_that_is_wrong_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.toml");
        std::fs::write(&path, "store = \"volt\"\n").unwrap();
        let options = WorkerOptions { secrets_config: Some(path), ..WorkerOptions::default() };
        let refused = builder(options, Files::default(), Egress::public()).err();
        assert!(
            matches!(refused, Some(CliError::Usage(text)) if text.contains("secrets.toml:1:9"))
        );
    }

    #[test]
    fn a_secret_without_a_name_is_refused_and_not_repeated() {
        let options =
            WorkerOptions { secrets: vec!["hunter2".to_owned()], ..WorkerOptions::default() };
        let refused = builder(options, Files::default(), Egress::public()).err();
        assert!(matches!(refused, Some(CliError::Usage(text)) if !text.contains("hunter2")));
    }
}
