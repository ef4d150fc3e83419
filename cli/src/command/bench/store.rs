//! A store of secrets to measure with: an OpenBao or Vault of its own, in a folder that is thrown
//! away. As operators run it: its storage is on disk, and its audit log on.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use windlass_coordinator::identity::IdentityOptions;
use windlass_worker::SecretsConfig;
use zeroize::Zeroizing;

use super::workload::{Login, NAMESPACE, SECRET, Tokens, Way};
use crate::code::NOT_STARTED;
use crate::command::secret::setup;
use crate::command::secret::vault::Vault;
use crate::error::CliError;

/// The servers that are looked for on the PATH, in this order.
const PROGRAMS: [&str; 2] = ["bao", "vault"];

/// How long one may take until it serves.
const START: Duration = Duration::from_secs(30);

/// The pause between two looks whether it does.
const LOOK: Duration = Duration::from_millis(50);

/// Requests that a worker may send in a second: it is the store that is measured.
const RATE: u32 = 1_000_000;

/// A server that runs; it ends when this is dropped.
pub(super) struct Store {
    process: Child,
    address: String,
    token: Zeroizing<String>,
    folder: TempDir,
    batch: bool,
}

impl Store {
    /// Starts one, opens it, and writes the configuration of workers that use it as `way` says.
    ///
    /// # Errors
    /// When there is none on the PATH, or it does not start.
    pub(super) async fn start(way: &Way) -> Result<Self, CliError> {
        let program = PROGRAMS.iter().find_map(|it| on_path(it)).ok_or_else(|| {
            failed(&"neither `bao` nor `vault` is on the PATH: put one there to measure with")
        })?;
        let folder = tempfile::Builder::new().prefix("windlass-bench-store-").tempdir();
        let folder = folder.map_err(|error| failed(&error))?;
        let (port, cluster) = (free_port()?, free_port()?);
        let address = format!("http://127.0.0.1:{port}");
        let is_bao = program.ends_with("bao");
        let text = configuration(folder.path(), port, cluster, is_bao);
        let file = folder.path().join("server.hcl");
        let written = std::fs::create_dir(folder.path().join("data"))
            .and_then(|()| std::fs::write(&file, text))
            .and_then(|()| std::fs::write(config_file(&folder), workers(&address, way)));
        written.map_err(|error| failed(&error))?;
        let process = Command::new(&program)
            .args(["server", "-config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        let token = Zeroizing::default();
        let mut store =
            Self { process, address, token, folder, batch: way.tokens == Tokens::Batch };
        store.open().await?;
        if !is_bao {
            let file = store.folder.path().join("audit.jsonl");
            let device = json!({"type": "file", "options": {"file_path": file}});
            store.vault()?.send(Method::POST, "sys/audit/file", Some(&device)).await?;
        }
        Ok(store)
    }

    /// Makes its keys and unseals it.
    async fn open(&mut self) -> Result<(), CliError> {
        let began = Instant::now();
        let vault = self.vault()?;
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let made = loop {
            match vault.send(Method::POST, "sys/init", Some(&shares)).await {
                Ok(made) => break made.unwrap_or_default(),
                Err(error) if began.elapsed() > START => return Err(error),
                Err(_) => sleep(LOOK).await,
            }
        };
        self.token = Zeroizing::new(made["root_token"].as_str().unwrap_or_default().to_owned());
        let key = json!({"key": made["keys_base64"][0]});
        vault.send(Method::POST, "sys/unseal", Some(&key)).await?;
        // Until it is the active one of its cluster, it answers with an error.
        while let Err(error) = vault.send(Method::GET, "sys/health", None).await {
            if began.elapsed() > START {
                return Err(error);
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Lets tasks of the coordinator with these public keys, a JWKS, read the secret.
    ///
    /// # Errors
    /// When the store refuses something.
    pub(super) async fn admit(&self, keys: &Json) -> Result<(), CliError> {
        let mut files = Vec::new();
        for (number, key) in keys["keys"].as_array().into_iter().flatten().enumerate() {
            let file = self.folder.path().join(format!("key-{number}.pem"));
            std::fs::write(&file, pem(key["x"].as_str().unwrap_or_default()))
                .map_err(|error| failed(&error))?;
            files.push(file);
        }
        let config = SecretsConfig::load(&self.workers_config());
        let config = config.map_err(|error| failed(&error))?.vault;
        let config = config.ok_or_else(|| failed(&"the configuration names no vault"))?;
        let vault = self.vault()?;
        let engine = json!({"type": "kv", "options": {"version": "2"}});
        vault.send(Method::POST, "sys/mounts/secret", Some(&engine)).await?;
        setup::set_up(&vault, &config, IdentityOptions::default().issuer, files, self.batch)
            .await?;
        let path = format!("secret/data/default/{NAMESPACE}/{SECRET}");
        let data = json!({"data": {"value": "of the benchmark"}});
        let began = Instant::now();
        // The engine refuses everything for a moment, while it becomes one with versions.
        while let Err(error) = vault.send(Method::POST, &path, Some(&data)).await {
            if began.elapsed() > START {
                return Err(error);
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn vault(&self) -> Result<Vault, CliError> {
        Vault::new(&self.address, None, None, self.token.clone()).map(Vault::quietly)
    }

    /// The workers' secrets.toml.
    pub(super) fn workers_config(&self) -> PathBuf {
        config_file(&self.folder)
    }

    /// Its process.
    pub(super) fn process(&self) -> Option<u32> {
        self.process.id()
    }
}

fn config_file(folder: &TempDir) -> PathBuf {
    folder.path().join("secrets.toml")
}

/// The server's own configuration.
fn configuration(folder: &Path, port: u16, cluster: u16, is_bao: bool) -> String {
    let folder = folder.display();
    let mut text = format!(
        "api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"https://127.0.0.1:{cluster}\"\n\
         disable_mlock = true\n\
         listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
         storage \"raft\" {{\n  path = \"{folder}/data\"\n  node_id = \"alone\"\n  \
         performance_multiplier = 1\n}}\n"
    );
    // Vault has it by a request instead.
    if is_bao {
        text = text.replace("disable_mlock = true\n", "");
        text.push_str(&format!(
            "audit \"file\" \"to-file\" {{\n  options {{\n    \
             file_path = \"{folder}/audit.jsonl\"\n  }}\n}}\n"
        ));
    }
    text
}

/// What workers know of it.
fn workers(address: &str, way: &Way) -> String {
    let login = match way.login {
        Login::Attempt => "",
        Login::Shared => "login = \"shared\"\n",
    };
    format!(
        "store = \"vault\"\n[vault]\naddress = \"{address}\"\nrequests-per-second = {RATE}\n\
         {login}[vault.auth]\nmethod = \"jwt\"\n"
    )
}

/// An Ed25519 key in PEM; `x` is what a JWK has of it.
fn pem(x: &str) -> String {
    // What says in DER that it is one, in base64; its length lets the key follow as it is.
    const PREFIX: &str = "MCowBQYDK2VwAyEA";
    let standard = x.replace('-', "+").replace('_', "/");
    format!("-----BEGIN PUBLIC KEY-----\n{PREFIX}{standard}=\n-----END PUBLIC KEY-----\n")
}

fn on_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|it| it.join(program)).find(|it| it.is_file())
}

/// A port that nobody listens at.
fn free_port() -> Result<u16, CliError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|it| it.local_addr());
    address.map(|it| it.port()).map_err(|error| failed(&error))
}

fn failed(error: &dyn std::fmt::Display) -> CliError {
    CliError::coded(&NOT_STARTED, &error.to_string())
}
