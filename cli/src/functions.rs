//! Functions of catalogs, fetched for who deploys a definition and pinned to its text.

use std::path::{Path, PathBuf};

use windlass_proto::definition::pins;
use windlass_proto::definition::{self, Diagnostic, Location, Options, Wanted};
use windlass_proto::limits;
use windlass_proto::problem::Problem;
use windlass_worker::{Egress, Resolve, Worker};

use crate::error::CliError;
use crate::options::WorkerOptions;
use crate::worker::{self, Files};

/// How functions of catalogs are fetched.
#[derive(clap::Args)]
#[command(next_help_heading = "Functions of catalogs")]
pub(crate) struct FetchOptions {
    /// Read `file:` catalogs below this directory [default: that of the definition]
    #[arg(long, value_name = "DIR")]
    file_root: Option<PathBuf>,
    /// A secret that the endpoint of a catalog asks for; prefer --secrets-file
    #[arg(long = "secret", value_name = "NAME=VALUE")]
    secrets: Vec<String>,
    /// A YAML or JSON map of such secrets; WINDLASS_SECRET_NAME variables are read as well
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<PathBuf>,
    /// Connect elsewhere for a host and port, as curl has it
    #[arg(long, value_name = "HOST:PORT:ADDR[:PORT]")]
    resolve: Vec<Resolve>,
    /// Trust the certificates in a PEM file, beside the system's
    #[arg(long = "ca-file", value_name = "FILE")]
    ca_files: Vec<PathBuf>,
}

impl FetchOptions {
    /// Who fetches the functions of the definition at `path`.
    ///
    /// # Errors
    /// When the options make no sense.
    pub(crate) fn worker(&self, path: &Path) -> Result<Worker, CliError> {
        let root = self.file_root.clone().unwrap_or_else(|| directory_of(path));
        let options = WorkerOptions {
            secrets: self.secrets.clone(),
            secrets_file: self.secrets_file.clone(),
            resolve: self.resolve.clone(),
            ca_files: self.ca_files.clone(),
            ..WorkerOptions::default()
        };
        let built = worker::builder(options, Files::below(root), Egress::unrestricted())?.build();
        built.map_err(|error| CliError::Usage(error.to_string()))
    }
}

/// The directory of a file.
pub(crate) fn directory_of(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|it| *it != Path::new(""));
    parent.unwrap_or_else(|| Path::new(".")).to_owned()
}

/// True for a function that somebody has to fetch: those of the default catalog are the server's.
pub(crate) fn is_elsewhere(wanted: &Wanted) -> bool {
    matches!(wanted.location, Location::Url(_))
}

/// True for a function in a file of this machine.
pub(crate) fn is_file(wanted: &Wanted) -> bool {
    matches!(&wanted.location, Location::Url(url) if url.starts_with("file:"))
}

/// `text` with those of the functions that it calls, and that they call, which are `meant`.
///
/// # Errors
/// What cannot be had, each at the place of its call.
pub(crate) async fn pin(
    worker: &Worker,
    mut text: String,
    meant: fn(&Wanted) -> bool,
) -> Result<String, Vec<Diagnostic>> {
    loop {
        let options = Options { unversioned: true, ..Options::default() };
        let loaded = definition::load(&text, &options);
        let mut wanted = loaded.wanted;
        wanted.retain(meant);
        let (Some(plan), Some(first)) = (loaded.plan, wanted.first()) else { return Ok(text) };
        // Pins that cannot be read leave no plan.
        let Ok((source, mut pinned)) = pins::read(&text) else { return Ok(text) };
        let mut failed = Vec::new();
        if pinned.len() + wanted.len() > limits::PINNED_FUNCTIONS {
            let why = format!("there are more than {}", limits::PINNED_FUNCTIONS);
            return Err(vec![first.failed(&why, "define some functions in `use.functions`")]);
        }
        for wanted in &wanted {
            let url = wanted.location.key();
            let authentication = wanted.authentication.clone();
            match worker.fetch(&plan, &url, authentication, limits::FUNCTION_BYTES).await {
                Ok(function) => {
                    pinned.insert(url, function.into());
                }
                Err(problem) => failed.push(refused(wanted, &problem)),
            }
        }
        if !failed.is_empty() {
            return Err(failed);
        }
        text = pins::join(source, &pinned);
    }
}

/// What to say of a function that was not fetched.
fn refused(wanted: &Wanted, problem: &Problem) -> Diagnostic {
    let why = problem.detail.as_deref().unwrap_or("nothing is known of why");
    let hint = match problem.status {
        401 | 403 => {
            "check the `authentication` of the catalog's endpoint, and give the secrets that it \
             names: --secrets-file"
        }
        404 => "check name, version and the catalog's endpoint",
        _ => "see that the catalog can be reached from here",
    };
    wanted.failed(why, hint)
}
