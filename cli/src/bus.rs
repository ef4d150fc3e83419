//! The way to NATS, as coordinator and worker are told it.

use std::path::PathBuf;

use windlass_proto::wire::subject::Prefix;
use windlass_worker::fleet::bus::BusOptions;

/// Where NATS is, and how to be let in.
#[derive(clap::Args)]
#[command(next_help_heading = "NATS")]
pub(crate) struct Nats {
    /// The servers, separated by commas: nats://, tls://, ws:// or wss:// [env: WINDLASS_NATS]
    /// [default: nats://127.0.0.1:4222]
    // Not by clap's own means: a URL with a password was taken out of the environment.
    #[arg(id = "nats", long = "nats", value_name = "URL")]
    url: Option<String>,
    /// The first token of every subject: others share the servers under other names
    #[arg(long, env = "WINDLASS_BUS", default_value = "windlass", value_name = "NAME")]
    pub(crate) bus: Prefix,
    /// A .creds file: user JWT and seed
    #[arg(long, env = "WINDLASS_NATS_CREDS", value_name = "FILE", conflicts_with = "nats_nkey")]
    nats_creds: Option<PathBuf>,
    /// A file with the seed of an NKEY
    #[arg(long, env = "WINDLASS_NATS_NKEY", value_name = "FILE")]
    nats_nkey: Option<PathBuf>,
    /// Trust the certificates in a PEM file; connections must be encrypted then
    #[arg(long, env = "WINDLASS_NATS_CA", value_name = "FILE")]
    nats_ca: Option<PathBuf>,
    /// Begin with the handshake of TLS: for servers with `handshake_first`
    #[arg(long, env = "WINDLASS_NATS_TLS_FIRST",
        value_parser = clap::builder::BoolishValueParser::new())]
    nats_tls_first: bool,
    /// The certificate to show, PEM
    #[arg(long, env = "WINDLASS_NATS_CERT", value_name = "FILE", requires = "nats_key")]
    nats_cert: Option<PathBuf>,
    /// The key of that certificate, PEM
    #[arg(long, env = "WINDLASS_NATS_KEY", value_name = "FILE", requires = "nats_cert")]
    nats_key: Option<PathBuf>,
}

impl Nats {
    fn url(&self) -> String {
        let named = || windlass_worker::variable("WINDLASS_NATS")?.into_string().ok();
        self.url.clone().or_else(named).unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned())
    }

    /// True where somebody says where NATS is.
    pub(crate) fn is_named(&self) -> bool {
        self.url.is_some() || windlass_worker::variable("WINDLASS_NATS").is_some()
    }

    /// The files with what lets it in.
    pub(crate) fn credentials(&self) -> Vec<PathBuf> {
        let all = [&self.nats_creds, &self.nats_nkey, &self.nats_key];
        all.into_iter().flatten().cloned().collect()
    }

    /// The options of a connection that the servers show as `name`.
    pub(crate) fn options(&self, name: &str) -> BusOptions {
        BusOptions {
            url: self.url(),
            name: name.to_owned(),
            credentials: self.nats_creds.clone(),
            nkey: self.nats_nkey.clone(),
            ca: self.nats_ca.clone(),
            tls_first: self.nats_tls_first,
            identity: self.nats_cert.clone().zip(self.nats_key.clone()),
        }
    }
}
