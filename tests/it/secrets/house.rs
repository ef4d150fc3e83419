//! A fleet whose secrets are in a store of their own: NATS, OpenBao, coordinator, workers.

use serde_json::{Value, json};

use crate::support::bao::Bao;
use crate::support::command::{Output, windlass_under};
use crate::support::faketime;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;

/// The environment the coordinator works for.
pub(super) const ENVIRONMENT: &str = "production";
/// Lets attempts with the same rights share a login, in `[vault]`.
pub(super) const SHARED: &str = "login = \"shared\"";
/// What its JWTs say of where they come from.
const ISSUER: &str = "windlass-of-the-test";

/// All of it; it ends when this is dropped.
pub(super) struct House {
    pub(super) fleet: Fleet,
    pub(super) bao: Bao,
    pub(super) nats: Nats,
    config: tempfile::TempDir,
}

/// What differs between tests.
#[derive(Default)]
pub(super) struct Wishes {
    /// How many workers.
    pub(super) workers: usize,
    /// Further flags of the coordinator.
    pub(super) coordinator: Vec<String>,
    /// Further flags of every worker.
    pub(super) worker: Vec<String>,
    /// Further lines of `[vault]` in secrets.toml.
    pub(super) vault: String,
    /// Further text of secrets.toml: tables.
    pub(super) config: String,
    /// Further flags of `windlass secret setup vault`.
    pub(super) setup: Vec<String>,
    /// Further variables of all processes.
    pub(super) variables: Vec<(String, String)>,
    /// Whether all processes log everything they can.
    pub(super) trace: bool,
    /// Whether all processes are started with core dumps on, as far as this machine lets them.
    pub(super) core_dumps: bool,
    /// By how much the coordinator's clock is off, as `-7m`; needs faketime.
    pub(super) clock: Option<&'static str>,
    /// Where workers put temporary files.
    pub(super) temporary: Option<std::path::PathBuf>,
}

impl House {
    /// With one worker and nothing special.
    pub(super) async fn new() -> Self {
        Self::with(Wishes { workers: 1, ..Wishes::default() }).await
    }

    /// As wished. Vault is set up by the command that operators use.
    pub(super) async fn with(wishes: Wishes) -> Self {
        let (nats, bao) = tokio::join!(Nats::start(), Bao::start());
        bao.mount_kv2("secret").await;
        let config = tempfile::tempdir().unwrap();
        let file = config.path().join("secrets.toml");
        let text = format!(
            "store = \"vault\"\n[vault]\naddress = \"{}\"\n{}\n[vault.auth]\nmethod = \"jwt\"\n{}\n",
            bao.address(),
            wishes.vault,
            wishes.config
        );
        std::fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        let mut layout = Layout::on(&nats.url(), wishes.workers)
            .coordinator(&["--environment", ENVIRONMENT, "--issuer", ISSUER])
            .worker(&["--secrets-config", &file])
            .worker(&wishes.worker);
        layout.coordinator_flags.extend(wishes.coordinator);
        let mut fleet = Fleet::prepare(layout).await;
        for role in fleet.workers.iter_mut().chain([&mut fleet.coordinator]) {
            role.variables.extend(wishes.variables.iter().cloned());
            if wishes.trace {
                role.variables.push(("WINDLASS_LOG".to_owned(), "trace".to_owned()));
            }
            if wishes.core_dumps {
                let script = "ulimit -c 4096 2>/dev/null; exec \"$0\" \"$@\"";
                role.wrapper = ["sh", "-c", script].map(str::to_owned).into();
            }
            if let Some(folder) = &wishes.temporary {
                role.variables.push(("TMPDIR".to_owned(), folder.display().to_string()));
            }
        }
        if let Some(offset) = wishes.clock {
            faketime::forget_the_dead();
            faketime::wrap(&mut fleet.coordinator, offset);
        }
        fleet.start_all().await;
        let house = Self { fleet, bao, nats, config };
        house.set_up(&wishes.setup).await.exits(0);
        house
    }

    /// Runs `windlass secret setup vault --apply` for the coordinator as it listens now.
    pub(super) async fn set_up(&self, more: &[String]) -> Output {
        let jwks = format!("{}/.well-known/jwks.json", self.fleet.api.base());
        let mut arguments: Vec<String> =
            ["secret", "setup", "vault", "--apply"].map(str::to_owned).into();
        arguments.extend(["--secrets-config".to_owned(), self.config_file()]);
        arguments.extend(["--jwks-url".to_owned(), jwks]);
        arguments.extend(["--issuer".to_owned(), ISSUER.to_owned()]);
        arguments.extend(more.iter().cloned());
        windlass_under(&[("VAULT_TOKEN", self.bao.root_token())], &arguments).await
    }

    /// The workers' secrets.toml.
    pub(super) fn config_file(&self) -> String {
        self.config.path().join("secrets.toml").display().to_string()
    }

    /// Puts a secret of the coordinator's environment into the store.
    pub(super) async fn put(&self, namespace: &str, name: &str, data: Value) {
        self.put_at(ENVIRONMENT, namespace, name, data).await;
    }

    /// Puts a secret of any environment into the store.
    pub(super) async fn put_at(&self, environment: &str, namespace: &str, name: &str, data: Value) {
        let path = format!("secret/data/{environment}/{namespace}/{name}");
        self.bao.write(&path, json!({"data": data})).await;
    }
}
