//! `windlass secret setup vault`: what Vault must have for tasks to log in, each with its own
//! rights.

mod apply;
mod layout;
mod script;

use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass_coordinator::identity::IdentityOptions;
use windlass_proto::secret::SecretName;
use windlass_worker::{PathConfig, SecretsConfig, VaultAuth, VaultConfig, VaultEngine};

use self::layout::{Engine, Layout, Place, Trust, Wanted};
use super::vault::Vault;
use crate::error::CliError;
use crate::options::duration;
use crate::output;

/// Set a store of secrets up
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    store: Store,
}

#[derive(clap::Subcommand)]
enum Store {
    /// Vault or OpenBao: prints a script that makes mounts, policies and role, or makes them
    Vault(Box<VaultArgs>),
}

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  windlass secret setup vault > setup.sh\n  VAULT_TOKEN=… windlass \
                  secret setup vault --issuer https://windlass:7400 --apply\n\n\
                  --apply needs a token that may do this in VAULT_TOKEN. Done again, it changes \
                  only what differs."
)]
struct VaultArgs {
    /// Make it, instead of printing a script that does
    #[arg(long)]
    apply: bool,
    /// Where secrets are found by their names: the workers' configuration
    #[arg(long, env = "WINDLASS_SECRETS_CONFIG", value_name = "FILE")]
    secrets_config: Option<PathBuf>,
    /// Where Vault is, unless the configuration says so
    #[arg(long, env = "VAULT_ADDR", value_name = "URL")]
    address: Option<String>,
    /// What the coordinator's tokens say of where they come from: its own --issuer
    #[arg(
        long,
        env = "WINDLASS_ISSUER",
        default_value = "http://127.0.0.1:7400",
        value_name = "URL"
    )]
    issuer: String,
    /// Whom the coordinator's tokens are for: its own --audience
    #[arg(long, env = "WINDLASS_AUDIENCE", default_value = "windlass", value_name = "NAME")]
    audience: String,
    /// Where Vault fetches the coordinator's public keys [default: ISSUER/.well-known/jwks.json]
    #[arg(long, value_name = "URL", conflicts_with = "public_keys")]
    jwks_url: Option<String>,
    /// A public key in PEM, for a Vault that cannot reach the coordinator
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
    /// Believe only tokens of this environment; may be repeated
    #[arg(long = "environment", value_name = "NAME")]
    environments: Vec<String>,
    /// How long a task may keep its rights by renewing them
    #[arg(long, default_value = "24h", value_name = "DURATION", value_parser = duration)]
    longest: Duration,
    /// Tokens that Vault does not keep: cheaper, and not to be given back before their minute is
    /// over
    #[arg(long)]
    batch_tokens: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<(), CliError> {
    let Store::Vault(args) = args.store;
    let config = config(&args)?;
    let layout = Layout::of(&wanted(&args, &config)?);
    if !args.apply {
        output::text_line(&script::script(&layout, config.namespace.as_deref()));
        return Ok(());
    }
    Vault::of(&config)?.apply(&layout).await
}

/// Sets `vault` up for the tasks of one coordinator: that of `issuer`, with public keys in these
/// files.
///
/// # Errors
/// When Vault refuses something or does not answer, or a file cannot be read.
pub(crate) async fn set_up(
    vault: &Vault,
    config: &VaultConfig,
    issuer: String,
    public_keys: Vec<PathBuf>,
    batch_tokens: bool,
) -> Result<(), CliError> {
    let args = VaultArgs {
        apply: true,
        secrets_config: None,
        address: None,
        issuer,
        audience: IdentityOptions::default().audience,
        jwks_url: None,
        public_keys,
        environments: Vec::new(),
        longest: Duration::from_secs(24 * 3600),
        batch_tokens,
    };
    vault.apply(&Layout::of(&wanted(&args, config)?)).await
}

/// What the workers' configuration says of Vault, or what it says by default.
fn config(args: &VaultArgs) -> Result<VaultConfig, CliError> {
    let address = args.address.clone();
    let read = match &args.secrets_config {
        Some(path) => SecretsConfig::load(path),
        None => {
            let text = "store = \"vault\"\n[vault.auth]\nmethod = \"jwt\"\n";
            let address = address.clone().or_else(|| Some("http://127.0.0.1:8200".to_owned()));
            SecretsConfig::parse(text, Path::new("secrets.toml"), address)
        }
    };
    let usage = |text: &dyn std::fmt::Display| CliError::Usage(text.to_string());
    let mut vault = read
        .map_err(|error| usage(&error))?
        .vault
        .ok_or_else(|| usage(&"the configuration names another store than vault"))?;
    if let Some(address) = address {
        vault.address =
            address.parse().map_err(|error| usage(&format_args!("--address: {error}")))?;
    }
    Ok(vault)
}

fn wanted(args: &VaultArgs, config: &VaultConfig) -> Result<Wanted, CliError> {
    let VaultAuth::Jwt { mount, role } = &config.auth else {
        let text = "the configuration does not log in with tokens of tasks: there is nothing to set \
                    up but the role or token that it names";
        return Err(CliError::Usage(text.to_owned()));
    };
    let trust = match (&args.jwks_url, args.public_keys.as_slice()) {
        (Some(url), _) => Trust::Jwks(url.clone()),
        (None, []) => {
            Trust::Jwks(format!("{}/.well-known/jwks.json", args.issuer.trim_end_matches('/')))
        }
        (None, files) => Trust::Keys(files.iter().map(|it| key(it)).collect::<Result<_, _>>()?),
    };
    for (name, place) in &config.secrets {
        if !SecretName(name.as_str().into()).has_slot() && place.path().contains("{name}") {
            return Err(CliError::Usage(format!(
                "the name of the secret {name:?} cannot be a part of a path: write the `path` of \
                 [vault.secret.{name:?}] without {{name}}"
            )));
        }
    }
    Ok(Wanted {
        auth: mount.clone(),
        role: role.clone(),
        trust,
        issuer: args.issuer.clone(),
        audience: args.audience.clone(),
        environments: args.environments.clone(),
        transit: config.transit_mount.clone(),
        longest: args.longest.as_secs(),
        batch: args.batch_tokens,
        default: place(&config.paths),
        others: config.secrets.iter().map(|(name, it)| (name.clone(), place(it))).collect(),
    })
}

fn key(path: &Path) -> Result<String, CliError> {
    let read = std::fs::read_to_string(path);
    let refused = |error| CliError::Usage(format!("cannot read {}: {error}", path.display()));
    // As Vault keeps it.
    Ok(read.map_err(refused)?.trim().to_owned())
}

fn place(paths: &PathConfig) -> Place {
    let engine = match paths.engine() {
        VaultEngine::Kv2 => Engine::Kv2,
        VaultEngine::Kv1 => Engine::Kv1,
        VaultEngine::Database => Engine::Credentials,
        VaultEngine::Pki => Engine::Pki,
    };
    Place { engine, mount: paths.mount().to_owned(), path: paths.path() }
}
