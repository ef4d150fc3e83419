//! The HTTP clients of a worker: certificates, name overrides, which hosts may be called.

pub(crate) mod call_limit;
pub(crate) mod connect;
pub(crate) mod identity;
pub(crate) mod proxy;
mod resolve;
pub(crate) mod reuse;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Method, Url};
use tokio::time::Instant;
use windlass_proto::id::{Digest, WorkflowId};
use windlass_proto::limits;
use windlass_proto::metric::Snapshot;
use windlass_proto::problem::{Problem, Standard};

use self::call_limit::CallLimits;
pub(crate) use self::call_limit::Turn;
pub use self::call_limit::{CallLimit, CallLimitError};
use self::connect::Trust;
use self::identity::ClientIdentity;
use self::proxy::Proxies;
pub use self::resolve::{Resolve, ResolveError};
use self::reuse::Connections;
use crate::cache::Cache;
use crate::egress::{Caller, Egress, Lookup, Named, Refusal, Refusals};
use crate::error::WorkerError;

/// How a worker calls others over HTTP.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Where the connections for certain hosts and ports really go. What they name may be called,
    /// unless a rule of `egress` refuses it.
    pub resolve: Vec<Resolve>,
    /// PEM files of certificates to trust beside the platform's.
    pub ca_files: Vec<PathBuf>,
    /// What may be called.
    pub egress: Egress,
    /// Hosts that do nothing twice for one `Idempotency-Key`, `*.example.com` for all below a
    /// domain: a call to one of them is repeated once when a connection that was used before closes
    /// without an answer, whatever its method. Other calls are if their method is idempotent (RFC
    /// 9110).
    pub idempotent_hosts: Vec<String>,
    /// Hosts whose paths spans may tell, `*.example.com` for all below a domain: paths hold ids of
    /// people and keys of others.
    pub traced_paths: Vec<String>,
    /// How many calls go to certain hosts at once, and how often.
    pub call_limits: Vec<CallLimit>,
    /// Whether the proxies named by the environment (`HTTPS_PROXY`, `NO_PROXY`, …) are used.
    pub environment_proxies: bool,
    /// Directory below which `file:` resources are read; none refuses them all.
    pub files: Option<PathBuf>,
    /// Other directories for some definitions: that of the file which holds one.
    pub files_of: HashMap<WorkflowId, PathBuf>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            resolve: Vec::new(),
            ca_files: Vec::new(),
            egress: Egress::unrestricted(),
            idempotent_hosts: Vec::new(),
            traced_paths: Vec::new(),
            call_limits: Vec::new(),
            environment_proxies: true,
            files: None,
            files_of: HashMap::new(),
        }
    }
}

/// How to send to one URL.
pub(crate) struct Route {
    pub(crate) client: Client,
    /// The URL to give to the client.
    pub(crate) url: Url,
    /// The `Host` header, where the URL given to the client has another port.
    pub(crate) host: Option<String>,
}

/// A client for each [`Way`], made when it is first used, as reading the platform's certificates
/// takes a while.
pub(crate) struct Clients {
    options: HttpOptions,
    egress: Arc<Egress>,
    proxies: Proxies,
    roots: Vec<Certificate>,
    made: Mutex<HashMap<Way, Client>>,
    /// Those that show something of themselves in TLS, for a while: secrets are replaced.
    identified: Cache<(Way, Digest), Client>,
    /// Calls that were refused.
    refused: Refusals,
    /// Which of them have to wait.
    pub(crate) limits: CallLimits,
    /// Those that have carried an answer.
    pub(crate) connections: Connections,
    /// What connections that are not HTTP check certificates with.
    pub(crate) trust: Trust,
}

/// What a client is for. Its resolver sees names without ports and without what rules say of them,
/// so that one client could not tell them apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Way {
    protocol: Protocol,
    target: Target,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// HTTP, over connections that are kept for the next request.
    Http,
    /// HTTP, over a new connection for each request.
    HttpFresh,
    /// HTTP/2 alone, without the codings that HTTP has for contents.
    Grpc,
    /// The same with TLS.
    GrpcTls,
}

/// Where a client connects to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Target {
    /// The address of an override, by its place.
    Override(usize),
    /// What a name stands for; the port where rules of egress care for it.
    Direct(Named, Option<u16>),
    /// A proxy of the environment.
    Proxy,
}

impl Clients {
    pub(crate) fn new(options: HttpOptions) -> Result<Self, WorkerError> {
        // An error means that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = Vec::new();
        for path in &options.ca_files {
            let unreadable =
                |reason: String| WorkerError::Certificates { path: path.clone(), reason };
            let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
            let found = Certificate::from_pem_bundle(&pem)
                .map_err(|_| unreadable("it holds no PEM certificates".to_owned()))?;
            if found.is_empty() {
                return Err(unreadable("it holds no PEM certificates".to_owned()));
            }
            roots.extend(found);
        }
        let egress = Arc::new(options.egress.clone());
        let proxies =
            if options.environment_proxies { Proxies::of_environment() } else { Proxies::none() };
        let (made, refused, connections, trust) = Default::default();
        let identified = Cache::new(limits::CLIENT_IDENTITIES);
        let limits = CallLimits::new(&options.call_limits);
        Ok(Self {
            options,
            egress,
            proxies,
            roots,
            made,
            identified,
            refused,
            limits,
            connections,
            trust,
        })
    }

    pub(crate) fn options(&self) -> &HttpOptions {
        &self.options
    }

    /// The way to `url`, by `protocol`, on which `identity` is shown.
    pub(crate) fn route(
        &self,
        url: &Url,
        protocol: Protocol,
        identity: Option<&ClientIdentity>,
        caller: Caller<'_>,
    ) -> Result<Route, Problem> {
        if identity.is_some() && url.scheme() != "https" {
            let detail = "`certificate` is shown in TLS: the endpoint has to begin with https";
            return Err(Problem::new(Standard::Configuration, detail));
        }
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let refused = |refusal: Refusal| self.refusal(&refusal, caller);
        let given = self.options.resolve.iter().position(|it| it.is_for(host, port));
        if let Some((index, resolve)) =
            given.and_then(|it| Some((it, self.options.resolve.get(it)?)))
        {
            self.egress.overridden(host, resolve.address.ip(), port).map_err(refused)?;
            let way = Way { protocol, target: Target::Override(index) };
            let client = self.client(way, identity)?;
            let (url, host) = resolve.rewrite(url);
            return Ok(Route { client, url, host });
        }
        // A proxy takes requests without TLS to pass them on, and speaks HTTP/1.1 for it.
        let target = if protocol != Protocol::Grpc && self.proxies.take(url) {
            self.egress.proxied(host, port).map_err(refused)?;
            Target::Proxy
        } else {
            let named = self.egress.host(host, port).map_err(refused)?;
            Target::Direct(named, self.egress.cares_for(port).then_some(port))
        };
        let client = self.client(Way { protocol, target }, identity)?;
        Ok(Route { client, url: url.clone(), host: None })
    }

    /// The addresses of a host that may be called: for protocols that make their own connections.
    /// They must connect to one of these and look nothing up again.
    ///
    /// # Errors
    /// Authorization where none may be called; communication where the name cannot be resolved.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        port: u16,
        caller: Caller<'_>,
    ) -> Result<Vec<SocketAddr>, Problem> {
        let given = self.options.resolve.iter().find(|it| it.is_for(host, port));
        if let Some(resolve) = given {
            let checked = self.egress.overridden(host, resolve.address.ip(), port);
            checked.map_err(|refusal| self.refusal(&refusal, caller))?;
            return Ok(vec![resolve.address]);
        }
        let found = self.egress.addresses(host, port).await.map_err(|error| {
            let detail = format!("the name {host} cannot be resolved");
            Refusal::of(&*error).map_or_else(
                || Problem::new(Standard::Communication, detail),
                |refusal| self.refusal(refusal, caller),
            )
        })?;
        Ok(found)
    }

    /// The problem of a call that may not be made, which is told to everybody it concerns.
    pub(crate) fn refusal(&self, refusal: &Refusal, caller: Caller<'_>) -> Problem {
        self.refused.tell(refusal, caller)
    }

    /// Adds what there is to tell.
    pub(crate) fn measured(&self, snapshot: &mut Snapshot) {
        self.refused.measured(snapshot);
        self.limits.measured(snapshot);
    }

    /// True for a call that may be made once more when nobody knows whether it was received.
    pub(crate) fn may_repeat(&self, method: &Method, url: &Url, keyed: bool) -> bool {
        let host = url.host_str().unwrap_or_default();
        method.is_idempotent() || (keyed && is_among(host, &self.options.idempotent_hosts))
    }

    /// True where spans may tell the path of a URL.
    pub(crate) fn tells_path(&self, url: &Url) -> bool {
        url.host_str().is_some_and(|host| is_among(host, &self.options.traced_paths))
    }

    fn client(&self, way: Way, identity: Option<&ClientIdentity>) -> Result<Client, Problem> {
        let Some(identity) = identity else { return self.anonymous(way) };
        let key = (way, identity.digest());
        if let Some(client) = self.identified.get(&key) {
            return Ok(client);
        }
        let client =
            self.build(|| self.builder(way).identity(identity.tls())).map_err(|error| {
                let detail =
                    format!("the certificate and the key of the secret do not fit: {error}");
                Problem::new(Standard::Configuration, detail)
            })?;
        let until = Instant::now() + Duration::from_millis(limits::CLIENT_IDENTITY_MS);
        self.identified.put(key, client.clone(), until);
        Ok(client)
    }

    fn anonymous(&self, way: Way) -> Result<Client, Problem> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&way) {
            return Ok(client.clone());
        }
        let client = self.build(|| self.builder(way)).map_err(|error| {
            Problem::new(Standard::Runtime, format!("the worker cannot set up HTTP: {error}"))
        })?;
        made.insert(way, client.clone());
        Ok(client)
    }

    fn build(&self, builder: impl Fn() -> ClientBuilder) -> reqwest::Result<Client> {
        let roots = || self.roots.iter().cloned();
        builder()
            .tls_certs_merge(roots())
            .build()
            // A machine without certificates can still call plain HTTP and what `ca_files` trusts.
            .or_else(|_| builder().tls_certs_only(roots()).build())
    }

    fn builder(&self, way: Way) -> ClientBuilder {
        let builder = Client::builder()
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_millis(limits::CONNECT_TIMEOUT_MS))
            .pool_idle_timeout(Duration::from_millis(limits::IDLE_CONNECTION_MS));
        let kept = if way.protocol == Protocol::HttpFresh { 0 } else { limits::IDLE_CONNECTIONS };
        let builder = way.protocol.set(builder.pool_max_idle_per_host(kept));
        let lookup = |port, named, proxies| {
            let egress = self.egress.clone();
            Arc::new(Lookup { egress, port, named, proxies })
        };
        match way.target {
            Target::Override(index) => match self.options.resolve.get(index) {
                Some(resolve) => {
                    // HTTP/2 would send the rewritten port as the authority.
                    let is_http = matches!(way.protocol, Protocol::Http | Protocol::HttpFresh);
                    let builder = if is_http { builder.http1_only() } else { builder };
                    builder.no_proxy().resolve(&resolve.host, resolve.address)
                }
                None => builder.no_proxy(),
            },
            Target::Direct(named, port) => {
                let builder = builder.no_proxy();
                if self.egress.is_unrestricted() {
                    return builder;
                }
                builder.dns_resolver(lookup(port, named, Vec::new()))
            }
            Target::Proxy => {
                let builder = proxy::from_environment(builder);
                if self.egress.is_unrestricted() {
                    return builder;
                }
                builder.dns_resolver(lookup(None, Named::Unknown, self.proxies.hosts.clone()))
            }
        }
    }
}

impl Protocol {
    fn set(self, builder: ClientBuilder) -> ClientBuilder {
        match self {
            Self::Http | Self::HttpFresh => builder,
            Self::Grpc | Self::GrpcTls => builder
                .http2_prior_knowledge()
                .http2_initial_stream_window_size(limits::GRPC_STREAM_WINDOW_BYTES)
                .http2_initial_connection_window_size(limits::GRPC_CONNECTION_WINDOW_BYTES)
                .no_gzip()
                .no_deflate()
                .no_brotli()
                .no_zstd(),
        }
    }
}

/// True for a host that one of `patterns` names: itself, or `*.` and a domain above it.
fn is_among(host: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_prefix("*.") {
        Some(domain) => {
            host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
        }
        None => pattern.eq_ignore_ascii_case(host),
    })
}
