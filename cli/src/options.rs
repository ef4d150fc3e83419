//! Options that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use windlass_coordinator::journal::sled::Missing;
use windlass_proto::duration::typed;
use windlass_worker::Resolve;

/// Which server to talk to.
#[derive(Args)]
pub(crate) struct Remote {
    /// The server's URL
    #[arg(long, env = "WINDLASS_URL", default_value = "http://127.0.0.1:7400", value_name = "URL")]
    pub(crate) url: String,
}

/// What to do with a damaged journal.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct JournalOptions {
    /// Go on with what is left of a journal that has lost something, without what is missing
    #[arg(long)]
    pub(crate) accept_loss: bool,
}

impl JournalOptions {
    /// The same, for the journal.
    pub(crate) fn missing(self) -> Missing {
        if self.accept_loss { Missing::Accept } else { Missing::Refuse }
    }
}

/// What the embedded worker may do and knows.
#[derive(Args, Default)]
#[command(next_help_heading = "Worker")]
pub(crate) struct WorkerOptions {
    /// A secret, for development: shows in process lists, so prefer --secrets-file
    #[arg(long = "secret", value_name = "NAME=VALUE")]
    pub(crate) secrets: Vec<String>,
    /// A YAML or JSON map of secrets; WINDLASS_SECRET_<NAME> variables are read as well
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets_file: Option<PathBuf>,
    /// Where secrets come from, in TOML: a vault, a cluster, a cloud; see README
    #[arg(long, env = "WINDLASS_SECRETS_CONFIG", value_name = "FILE",
        conflicts_with_all = ["secrets", "secrets_file"])]
    pub(crate) secrets_config: Option<PathBuf>,
    /// Connect elsewhere for a host and port, as curl has it
    #[arg(long, value_name = "HOST:PORT:ADDR[:PORT]")]
    pub(crate) resolve: Vec<Resolve>,
    /// Trust the certificates in a PEM file, beside the system's
    #[arg(long = "ca-file", value_name = "FILE")]
    pub(crate) ca_files: Vec<PathBuf>,
}

/// Reads `30s`, `2m`, `PT30S`, …
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    typed::parse(text).map_err(|error| error.to_string())
}

/// Reads a label, `name=value`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn labels_have_a_name() {
        assert_eq!(label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(label("a="), Ok(("a".to_owned(), String::new())));
        assert!(label("a").is_err());
        assert!(label("=b").is_err());
    }
}
