//! What a coordinator in this process has to say about secrets, as the command line describes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use windlass_coordinator::audit::{HeadsUrl, HeadsWebhook, Publish};
use windlass_coordinator::identity::IdentityOptions;
use windlass_coordinator::secrets::{Secrets, SecretsError, SecretsOptions};
use windlass_proto::limits;
use windlass_proto::wire::subject::is_token;

use crate::error::CliError;
use crate::options::{duration, size};

/// Who may read which secrets, of which environment.
#[derive(Args, Clone)]
#[command(next_help_heading = "Secrets")]
pub(crate) struct SecretArgs {
    /// Which environment's secrets tasks get: a part of where stores keep them
    #[arg(long, env = "WINDLASS_ENVIRONMENT", default_value = "default", value_name = "NAME",
        value_parser = environment)]
    pub(crate) environment: String,
    /// The policy of who may read which secrets; without it the API sets one, and until then every
    /// workflow may read the secrets it declares
    #[arg(long, env = "WINDLASS_SECRET_POLICY", value_name = "FILE")]
    pub(crate) secret_policy: Option<PathBuf>,
    /// Let nobody replace that policy alone: what one person sets, another one has to approve
    #[arg(long, env = "WINDLASS_SECRET_POLICY_APPROVAL", conflicts_with = "secret_policy")]
    pub(crate) secret_policy_approval: bool,
    /// How much of the audit trail is kept; the oldest goes when there is more
    #[arg(long, env = "WINDLASS_AUDIT_RETENTION", default_value = "2GiB", value_name = "SIZE",
        value_parser = retention)]
    pub(crate) audit_retention: u64,
    /// Post each signed head of the audit trail to this address, as JSON that is signed as the
    /// Standard Webhooks are: who keeps them sees later if the trail was cut off. See docs/audit.md
    #[arg(long, env = "WINDLASS_AUDIT_HEADS_WEBHOOK", value_name = "URL")]
    pub(crate) audit_heads_webhook: Option<HeadsUrl>,
    /// The secret that signs them: the first line of this file
    #[arg(long, env = "WINDLASS_AUDIT_HEADS_SECRET_FILE", value_name = "FILE")]
    pub(crate) audit_heads_secret_file: Option<PathBuf>,
}

/// How tasks prove to a store who they are.
#[derive(Args, Clone)]
#[command(next_help_heading = "Secrets")]
pub(crate) struct IdentityArgs {
    /// Where the store finds the keys that verify identities of tasks [default: where the API
    /// listens]
    #[arg(long, env = "WINDLASS_ISSUER", value_name = "URL")]
    issuer: Option<String>,
    /// Whom identities of tasks are for
    #[arg(long, env = "WINDLASS_AUDIENCE", default_value = "windlass", value_name = "NAME")]
    audience: String,
    /// How long one key signs identities
    #[arg(long, env = "WINDLASS_KEY_ROTATION", default_value = "24h", value_name = "DURATION",
        value_parser = rotation)]
    key_rotation: Duration,
}

impl Default for SecretArgs {
    fn default() -> Self {
        let audit_retention = limits::AUDIT_RETENTION_BYTES;
        Self {
            environment: "default".to_owned(),
            secret_policy: None,
            secret_policy_approval: false,
            audit_retention,
            audit_heads_webhook: None,
            audit_heads_secret_file: None,
        }
    }
}

impl SecretArgs {
    /// The options of a coordinator that keeps its data in `data_dir`, if anywhere.
    ///
    /// # Errors
    /// When one is given without another that it needs.
    pub(crate) fn options(
        self,
        data_dir: Option<&Path>,
        identity: IdentityOptions,
    ) -> Result<SecretsOptions, CliError> {
        let audit_heads = self.heads()?;
        Ok(SecretsOptions {
            data_dir: data_dir.map(Path::to_owned),
            environment: self.environment.into(),
            identity,
            keep_keys: true,
            policy: self.secret_policy,
            policy_approval: self.secret_policy_approval,
            records: crate::telemetry::audit_records(),
            audit_retention: self.audit_retention,
            audit_heads,
        })
    }

    fn heads(&self) -> Result<Option<HeadsWebhook>, CliError> {
        let missing = match (&self.audit_heads_webhook, &self.audit_heads_secret_file) {
            (Some(url), Some(secret)) => {
                let (url, secret) = (url.clone(), secret.clone());
                return Ok(Some(HeadsWebhook { url, secret }));
            }
            (None, None) => return Ok(None),
            (Some(_), None) => "--audit-heads-webhook needs --audit-heads-secret-file",
            (None, Some(_)) => "--audit-heads-secret-file needs --audit-heads-webhook",
        };
        Err(CliError::Usage(missing.to_owned()))
    }
}

impl IdentityArgs {
    /// The options of a coordinator whose API is at `url`.
    pub(crate) fn options(&self, url: &str) -> IdentityOptions {
        IdentityOptions {
            issuer: self.issuer.clone().unwrap_or_else(|| url.to_owned()),
            audience: self.audience.clone(),
            rotation: self.key_rotation,
        }
    }
}

/// Opens what `options` says. The data directory must be this process's alone. Blocking.
///
/// # Errors
/// When a file cannot be used.
pub(crate) fn open(
    options: SecretsOptions,
    publish: Option<Publish>,
    runtime: &tokio::runtime::Handle,
) -> Result<Arc<Secrets>, SecretsError> {
    let secrets = Arc::new(Secrets::open(options, publish)?);
    secrets.rotate_keys(runtime);
    Ok(secrets)
}

fn environment(text: &str) -> Result<String, String> {
    if is_token(text) {
        return Ok(text.to_owned());
    }
    let most = limits::POOL_NAME_BYTES;
    Err(format!("an environment's name consists of 1 to {most} letters, digits, `-` and `_`"))
}

fn retention(text: &str) -> Result<u64, String> {
    let (least, most) = (limits::AUDIT_RETENTION_LEAST, limits::AUDIT_FILE_BYTES);
    let most = most * u64::from(limits::AUDIT_FILES_MOST);
    match size(text)? {
        it if (least..=most).contains(&it) => Ok(it),
        _ => Err(format!("from {} MiB to {} GiB", least >> 20, most >> 30)),
    }
}

fn rotation(text: &str) -> Result<Duration, String> {
    let rotation = duration(text)?;
    // A minute is what the shortest-lived reader of the keys needs; past a year nobody rotates.
    if (Duration::from_secs(60)..=Duration::from_secs(366 * 24 * 3_600)).contains(&rotation) {
        Ok(rotation)
    } else {
        Err("a key signs from 1m to a year".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{environment, retention, rotation};

    #[test]
    fn names_and_durations_that_make_no_sense_are_refused() {
        assert!(environment("production-eu_1").is_ok());
        for text in ["", "a/b", "..", "a b", "{x}"] {
            assert!(environment(text).is_err(), "{text}");
        }
        assert!(rotation("24h").is_ok() && rotation("1m").is_ok());
        assert_eq!(retention("2GiB"), Ok(windlass_proto::limits::AUDIT_RETENTION_BYTES));
        assert!(retention("1MiB").is_err() && retention("999GiB").is_err());
        assert!(rotation("59s").is_err() && rotation("10000h").is_err());
    }
}
