//! The API of a coordinator in this process: where it listens, and for how long.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use windlass_coordinator::accept::{
    self, ApiProblem, ConnectionLimits, Exposure, Listeners, Tls, TlsFiles,
};
use windlass_coordinator::access::{self, Access, AccessError};
use windlass_coordinator::admission::StartQuotas;
use windlass_coordinator::catalog::Acceptance;
use windlass_coordinator::cluster::{Forwarder, Passed};
use windlass_coordinator::coordinator::{Coordinator, CoordinatorError, Operator};
use windlass_coordinator::policy::DEFAULT;
use windlass_proto::limits;

use crate::code::{JOURNAL_FAILED, NOT_STARTED};
use crate::definition::Checked;
use crate::error::CliError;
use crate::options::duration;
use crate::output;

/// Where the API is served.
#[derive(clap::Args)]
pub(crate) struct ServeOptions {
    /// Where to listen; port 0 takes a free one
    #[arg(long, env = "WINDLASS_BIND", default_value = "127.0.0.1:7400", value_name = "ADDR:PORT",
        value_parser = address)]
    pub(crate) bind: SocketAddr,
    /// Allow --bind to listen beyond this machine in plain HTTP: something in front of it speaks
    /// TLS
    #[arg(long, env = "WINDLASS_ALLOW_REMOTE")]
    pub(crate) allow_remote: bool,
    /// Ask everybody who they are, and let them do what this file grants them: tokens, identity
    /// providers, roles, in TOML; taken anew when it changes. See docs/access.md. `none` asks
    /// nobody, also beyond this machine: whoever reaches the port can run workflows
    #[arg(long, env = "WINDLASS_AUTH", value_name = "FILE|none")]
    pub(crate) auth: Option<PathBuf>,
    /// Serve health and metrics on a port of their own as well, in plain HTTP: /healthz, /readyz
    /// and /metrics, which --bind then has no more. Whoever reaches it reads names of namespaces
    /// and workflows
    #[arg(long, env = "WINDLASS_ADMIN_BIND", value_name = "ADDR:PORT", value_parser = address)]
    pub(crate) admin_bind: Option<SocketAddr>,
    /// Serve pages for browsers under /ui, by the same rights as the API; `windlass dev` has them
    /// unless told `--ui=false`. See docs/ui.md
    #[arg(long, env = "WINDLASS_UI", value_name = "true|false", num_args = 0..=1,
        default_missing_value = "true", require_equals = true)]
    pub(crate) ui: Option<bool>,
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
    #[command(flatten)]
    pub(crate) connections: ConnectionOptions,
}

/// What the API is secured with.
#[derive(Clone, Default, clap::Args)]
pub(crate) struct TlsOptions {
    /// Serve the API by TLS with this certificate, in PEM, followed by those between it and its
    /// authority; taken anew when the file changes
    // What goes together is held against each other below: clap does not see what a file says.
    #[arg(long, env = "WINDLASS_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, env = "WINDLASS_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Let in only clients with a certificate of these authorities, in PEM; with --auth, those with
    /// a token as well
    #[arg(long, env = "WINDLASS_TLS_CLIENT_CA", value_name = "FILE")]
    pub(crate) tls_client_ca: Option<PathBuf>,
}

impl TlsOptions {
    /// Refuses a part without what it goes with: half of it would be plain HTTP.
    fn whole(&self) -> Result<(), CliError> {
        let missing = match (&self.tls_cert, &self.tls_key, &self.tls_client_ca) {
            (Some(_), Some(_), _) | (None, None, None) => return Ok(()),
            (Some(_), None, _) => "--tls-cert needs --tls-key",
            (None, Some(_), _) => "--tls-key needs --tls-cert",
            (None, None, Some(_)) => "--tls-client-ca needs --tls-cert and --tls-key",
        };
        Err(CliError::Usage(missing.to_owned()))
    }

    /// What handshakes are made with, if any.
    fn open(&self, client_required: bool) -> Result<Option<Arc<Tls>>, CliError> {
        let (Some(certificate), Some(key)) = (self.tls_cert.clone(), self.tls_key.clone()) else {
            return Ok(None);
        };
        let client_authorities = self.tls_client_ca.clone();
        let files = TlsFiles { certificate, key, client_authorities, client_required };
        let refused =
            |error| CliError::coded(&NOT_STARTED, &format!("TLS cannot be served: {error}"));
        Tls::open(files).map(|it| Some(Arc::new(it))).map_err(refused)
    }
}

/// How many connections the API keeps open.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct ConnectionOptions {
    /// Connections of the API open at once, as far as the limit of open files allows; past it idle
    /// ones are closed, the oldest first
    #[arg(long, env = "WINDLASS_MAX_CONNECTIONS", default_value_t = limits::API_CONNECTIONS,
        value_name = "NUMBER")]
    pub(crate) max_connections: usize,
    /// Connections of one client address
    #[arg(long, env = "WINDLASS_MAX_CLIENT_CONNECTIONS", value_name = "NUMBER",
        default_value_t = limits::API_CLIENT_CONNECTIONS)]
    pub(crate) max_client_connections: usize,
}

impl ConnectionOptions {
    fn limits(self) -> ConnectionLimits {
        ConnectionLimits { all: self.max_connections, client: self.max_client_connections }
    }
}

/// How many instances that others have started may be open.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct QuotaOptions {
    /// Open instances of those that one root has started, directly or through others; past it
    /// starts of children wait, and fail after a minute
    #[arg(long, env = "WINDLASS_MAX_ROOT_STARTS", default_value_t = limits::ROOT_STARTS,
        value_name = "NUMBER")]
    max_root_starts: usize,
    /// Open instances in one namespace of those that others have started
    #[arg(long, env = "WINDLASS_MAX_NAMESPACE_STARTS", default_value_t = limits::NAMESPACE_STARTS,
        value_name = "NUMBER")]
    max_namespace_starts: usize,
    /// How long the idempotency key of a start counts once its instance has ended; later it starts
    /// another one. As long as instances are kept (--retention-days) unless given
    #[arg(long, env = "WINDLASS_KEY_RETENTION", value_name = "DURATION", value_parser = duration)]
    key_retention: Option<Duration>,
}

impl QuotaOptions {
    /// What the coordinator takes.
    pub(crate) fn quotas(self) -> StartQuotas {
        let key_ms = self.key_retention.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
        StartQuotas {
            root: self.max_root_starts,
            namespace: self.max_namespace_starts,
            key_ms: key_ms.unwrap_or(u64::MAX),
        }
    }
}

/// A listener that is bound, and not served yet.
pub(crate) struct Bound {
    listeners: Listeners,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    limits: ConnectionLimits,
    rules: Option<PathBuf>,
    /// True where only clients with a certificate are let in.
    certified: bool,
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().map_err(|_| "write ADDRESS:PORT, such as 127.0.0.1:7400".to_owned())
}

impl ServeOptions {
    /// Who can reach it; an error unless that was allowed.
    pub(crate) fn exposure(&self) -> Result<Exposure, CliError> {
        self.tls.whole()?;
        let bind = self.bind;
        if bind.ip().is_loopback() {
            return Ok(Exposure::Loopback);
        }
        let is_tls = self.tls.tls_cert.is_some();
        // Whoever has a certificate was given it.
        let is_asked = self.asks() || self.tls.tls_client_ca.is_some();
        let is_none = self.auth.is_some() && !self.asks();
        if is_asked && (is_tls || self.allow_remote) || is_none && self.allow_remote {
            return Ok(Exposure::Network);
        }
        let missing = match is_asked {
            false if is_none => {
                "--auth none asks nobody who they are: add --allow-remote to say that \
                                something before it does"
            }
            false => {
                "nobody is asked who they are: whoever reaches it can run workflows with your \
                      secrets. Say who may do what (--auth FILE, see docs/access.md), or let in only \
                      clients with a certificate (--tls-cert, --tls-key, --tls-client-ca). Where \
                      something in front of it asks, write --auth none"
            }
            true => {
                "tokens would cross the network in plain HTTP. Serve it by TLS (--tls-cert, \
                     --tls-key), or add --allow-remote where something in front of it does"
            }
        };
        Err(CliError::Usage(format!("--bind {bind} listens beyond this machine, and {missing}")))
    }

    /// True when everybody is asked who they are.
    pub(crate) fn asks(&self) -> bool {
        self.rules().is_some()
    }

    /// Files that are nobody's business but this process's.
    pub(crate) fn credentials(&self) -> Vec<PathBuf> {
        let files = [self.tls.tls_key.as_deref(), self.rules()].into_iter().flatten();
        files.filter(|it| it.exists()).map(Path::to_owned).collect()
    }

    /// The file of who may do what, if everybody is asked who they are.
    fn rules(&self) -> Option<&Path> {
        self.auth.as_deref().filter(|it| *it != Path::new("none"))
    }

    /// Binds the address. To be done before the journal is opened: an address in use is the most
    /// common mistake.
    ///
    /// `pages` says whether there are pages for browsers where no option says so.
    pub(crate) async fn bind(&self, pages: bool) -> Result<Bound, CliError> {
        let exposure = self.exposure()?;
        if let Some(rules) = self.rules() {
            // Before anything is opened: who writes one makes mistakes in it.
            let read = access::check(rules).map_err(|it| CliError::Usage(it.to_string()))?;
            if read.certificates && self.tls.tls_client_ca.is_none() {
                let text = "`[certificates]` takes certificates of an authority: name its file by \
                            --tls-client-ca";
                return Err(CliError::Usage(format!("{}: {text}", rules.display())));
            }
        }
        let tls = self.tls.open(self.rules().is_none())?;
        let (api, address) = listen(self.bind).await?;
        let admin = match self.admin_bind {
            Some(it) => Some(listen(it).await?),
            None => None,
        };
        let (admin, admin_address) = admin.unzip();
        let pages = self.ui.unwrap_or(pages);
        let listeners = Listeners { api, exposure, tls, access: None, pages, admin, passed: None };
        let (limits, rules) = (self.connections.limits(), self.rules().map(Path::to_owned));
        let certified = self.tls.tls_client_ca.is_some() && rules.is_none();
        Ok(Bound { listeners, address, admin: admin_address, limits, rules, certified })
    }
}

async fn listen(bind: SocketAddr) -> Result<(TcpListener, SocketAddr), CliError> {
    let failed = |error: std::io::Error| not_bound(bind, &error);
    let listener = TcpListener::bind(bind).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

impl Bound {
    /// Where the API will be.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.listeners.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Passes on what comes to the same ports while another coordinator leads, until `stopped`.
    pub(crate) fn answer_as_standby(
        &self,
        forwarder: Forwarder,
        stopped: oneshot::Receiver<()>,
    ) -> Result<impl Future<Output = ()> + Send + 'static + use<>, CliError> {
        let address = self.address;
        let shared = self.listeners.shared().map_err(|error| not_bound(address, &error))?;
        let (limits, asks) = (self.limits, self.rules.is_some());
        Ok(async move {
            let stop = async move { drop(stopped.await) };
            let passes_on = (forwarder, asks);
            if let Err(error) = accept::serve_standby(shared, passes_on, limits, stop).await {
                tracing::warn!(%error, "nobody answers while this coordinator waits");
            }
        })
    }

    /// Deploys the definitions, which were checked before, and serves until `stop` completes or the
    /// journal fails; what other coordinators pass on is `passed`. Metrics are pushed meanwhile,
    /// where telemetry is on.
    pub(crate) async fn serve(
        self,
        coordinator: &Coordinator,
        definitions: Vec<Checked>,
        data_dir: Option<&Path>,
        passed: Option<mpsc::Receiver<Passed>>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), CliError> {
        let access = self.rules.clone().map(|rules| {
            // The data directory is locked by now.
            Access::open(rules, data_dir.map(|it| it.join("tokens.json"))).map(Arc::new)
        });
        let access = access.transpose().map_err(|error| not_read(&error))?;
        let export = crate::telemetry::export()?;
        for definition in definitions {
            // Those that are given at the start were checked, and are replaced where they may be.
            let accepted = Acceptance { unsupported: definition.unsupported, replace: true };
            match coordinator.deploy(definition.text, accepted, Operator::default()).await {
                Ok(deployed) => {
                    let word = if deployed.changed { "deployed" } else { "unchanged" };
                    output::message(&format!("{word} {}", deployed.workflow));
                }
                // What is deployed goes on: to be down would help nobody.
                Err(error @ CoordinatorError::VersionExists { .. }) => {
                    output::problem(&ApiProblem::from(error).to_json());
                }
                Err(error) => return Err(error.into()),
            }
        }
        let url = self.url();
        let Self { listeners, address, admin, limits, certified, .. } = self;
        let has_policy = coordinator.secret_policy().text().as_ref() != DEFAULT;
        match &access {
            Some(_) if has_policy => output::message("everybody is asked who they are"),
            Some(_) => output::message(
                "everybody is asked who they are. There is no policy of secrets: who may deploy \
                 workflows may read every secret (`windlass secret policy set`)",
            ),
            None if listeners.exposure == Exposure::Network && !certified => {
                output::message("nobody is asked who they are by the API itself");
            }
            None => {}
        }
        let listeners = Listeners { access, passed, ..listeners };
        if let Some(admin) = admin {
            output::message(&format!("health and metrics on http://{admin}"));
        }
        output::message(&format!("listening on {url}"));
        if listeners.pages {
            output::message(&format!("pages for browsers on {url}/ui"));
        }
        let served = accept::serve(listeners, coordinator.clone(), limits, export, stop);
        let served = tokio::select! {
            served = served => served,
            () = following(coordinator) => Ok(()),
            reason = coordinator.failed() => {
                return Err(CliError::coded(&JOURNAL_FAILED, &reason));
            }
        };
        output::message("stopping; open instances continue at the next start");
        served.map_err(|error| not_bound(address, &error))
    }
}

/// Follows the configuration file, if there is one; never ends.
async fn following(coordinator: &Coordinator) {
    crate::configuration::follow(coordinator).await;
    std::future::pending().await
}

fn not_read(error: &AccessError) -> CliError {
    CliError::coded(&NOT_STARTED, &error.to_string())
}

fn not_bound(address: SocketAddr, error: &std::io::Error) -> CliError {
    CliError::coded(&NOT_STARTED, &format!("cannot listen on {address}: {error}"))
}

#[cfg(test)]
mod tests {
    use windlass_coordinator::accept::Exposure;

    use super::{ConnectionOptions, ServeOptions, TlsOptions, address};

    #[test]
    fn other_machines_are_let_in_only_when_told() {
        let check = |text: &str, allow_remote, auth: Option<&str>, tls: TlsOptions| {
            let bind = address(text).ok()?;
            let connections = ConnectionOptions { max_connections: 8, max_client_connections: 8 };
            let (admin_bind, auth, ui) = (None, auth.map(Into::into), None);
            let options =
                ServeOptions { bind, allow_remote, auth, admin_bind, ui, tls, connections };
            options.exposure().ok()
        };
        let file = |name: &str| Some(name.into());
        let plain = TlsOptions::default();
        let tls = TlsOptions { tls_cert: file("c"), tls_key: file("k"), tls_client_ca: None };
        let mutual = TlsOptions { tls_client_ca: file("ca"), ..tls.clone() };
        for local in ["127.0.0.1:0", "localhost:7400", "[::1]:7400"] {
            assert_eq!(check(local, false, None, plain.clone()), Some(Exposure::Loopback));
        }
        let remote = |allow_remote, auth, tls: &TlsOptions| {
            check("0.0.0.0:7400", allow_remote, auth, tls.clone()).is_some()
        };
        // Who they are must be asked, and what they show must not be read by others.
        assert!(!remote(false, None, &plain) && !remote(true, None, &plain));
        assert!(!remote(false, None, &tls) && !remote(true, None, &tls));
        assert!(!remote(false, Some("auth.toml"), &plain));
        assert!(remote(true, Some("auth.toml"), &plain) && remote(false, Some("auth.toml"), &tls));
        assert!(remote(false, None, &mutual) && remote(true, Some("none"), &plain));
        assert!(!remote(false, Some("none"), &plain) && !remote(false, Some("none"), &tls));
        // Half of TLS would be none.
        let half = TlsOptions { tls_key: None, ..tls.clone() };
        let lone = TlsOptions { tls_client_ca: file("ca"), ..plain.clone() };
        for options in [half, lone] {
            assert!(!remote(true, Some("auth.toml"), &options));
        }
        assert!(address("7400").is_err());
    }
}
