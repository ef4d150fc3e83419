//! The HTTP clients of a worker: certificates, name overrides, which hosts may be called.

pub(crate) mod proxy;
pub(crate) mod reuse;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Method, Url};
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use self::reuse::Connections;
use crate::error::WorkerError;

/// How a worker calls others over HTTP.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Where the connections for certain hosts and ports really go.
    pub resolve: Vec<Resolve>,
    /// PEM files of certificates to trust beside the platform's.
    pub ca_files: Vec<PathBuf>,
    /// Hosts that may be called, `*.example.com` for all below a domain; empty allows all.
    pub allow: Vec<String>,
    /// Hosts that do nothing twice for one `Idempotency-Key`, `*.example.com` for all below a
    /// domain: a call to one of them is repeated once when a connection that was used before closes
    /// without an answer, whatever its method. Other calls are if their method is idempotent (RFC
    /// 9110).
    pub idempotent_hosts: Vec<String>,
    /// Hosts whose paths spans may tell, `*.example.com` for all below a domain: paths hold ids of
    /// people and keys of others.
    pub traced_paths: Vec<String>,
    /// Whether the proxies named by the environment (`HTTPS_PROXY`, `NO_PROXY`, …) are used.
    pub environment_proxies: bool,
    /// Directory below which `file:` resources are read; none refuses them all.
    pub files: Option<PathBuf>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            resolve: Vec::new(),
            ca_files: Vec::new(),
            allow: Vec::new(),
            idempotent_hosts: Vec::new(),
            traced_paths: Vec::new(),
            environment_proxies: true,
            files: None,
        }
    }
}

/// `HOST:PORT:ADDRESS[:PORT]`, as curl writes it: connections for a host and port go to an address.
/// Certificates, the `Host` header and everything reported keep the host's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    host: String,
    port: u16,
    address: SocketAddr,
}

/// The text is not of the form `HOST:PORT:ADDRESS[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not of the form HOST:PORT:ADDRESS[:PORT], such as example.com:443:127.0.0.1:8443"
)]
pub struct ResolveError(pub String);

impl FromStr for Resolve {
    type Err = ResolveError;

    fn from_str(text: &str) -> Result<Self, ResolveError> {
        parse_resolve(text).ok_or_else(|| ResolveError(text.to_owned()))
    }
}

fn parse_resolve(text: &str) -> Option<Resolve> {
    let (host, rest) = text.split_once(':')?;
    let (port, target) = rest.split_once(':')?;
    let port: u16 = port.parse().ok()?;
    let address = match target.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, port),
        Err(_) => match target.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            Some(address) => SocketAddr::new(address.parse().ok()?, port),
            None => target.parse().ok()?,
        },
    };
    (!host.is_empty()).then(|| Resolve { host: host.to_ascii_lowercase(), port, address })
}

impl fmt::Display for Resolve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.host, self.port, self.address)
    }
}

/// How to send to one URL.
pub(crate) struct Route<'a> {
    pub(crate) client: &'a Client,
    /// The URL to give to the client.
    pub(crate) url: Url,
    /// The `Host` header, where the URL given to the client has another port.
    pub(crate) host: Option<String>,
}

/// One client for all hosts, and one for each override: a client's resolver sees names without
/// ports, so one client could not tell two ports of a host apart. Made when first used, as reading
/// the platform's certificates takes a while.
pub(crate) struct Clients {
    options: HttpOptions,
    roots: Vec<Certificate>,
    general: Slots,
    overridden: Vec<Slots>,
    /// Those that have carried an answer.
    pub(crate) connections: Connections,
}

/// A client that keeps connections for the next request, one that makes a new one for each, and
/// those that speak gRPC, without TLS and with it.
#[derive(Default)]
struct Slots {
    keeping: OnceLock<Client>,
    fresh: OnceLock<Client>,
    grpc: OnceLock<Client>,
    grpc_tls: OnceLock<Client>,
}

impl Slots {
    fn http(&self, fresh: bool) -> Slot<'_> {
        match fresh {
            false => (&self.keeping, limits::IDLE_CONNECTIONS),
            true => (&self.fresh, 0),
        }
    }

    fn grpc(&self, tls: bool) -> Slot<'_> {
        (if tls { &self.grpc_tls } else { &self.grpc }, limits::IDLE_CONNECTIONS)
    }
}

/// Where a client is kept, and how many idle connections it keeps to one host.
type Slot<'a> = (&'a OnceLock<Client>, usize);

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
        let overridden = options.resolve.iter().map(|_| Slots::default()).collect();
        let (general, connections) = (Slots::default(), Connections::default());
        Ok(Self { options, roots, general, overridden, connections })
    }

    pub(crate) fn options(&self) -> &HttpOptions {
        &self.options
    }

    /// The way to `url`, over a new connection if it has to be `fresh`.
    pub(crate) fn route(&self, url: &Url, fresh: bool) -> Result<Route<'_>, Problem> {
        let host = url.host_str().unwrap_or_default();
        self.permit(host)?;
        let port = url.port_or_known_default();
        let overrides = self.options.resolve.iter().zip(&self.overridden);
        for (resolve, slot) in overrides {
            if resolve.host == host && Some(resolve.port) == port {
                let client = self.client(slot.http(fresh), |builder| {
                    // HTTP/2 would send the rewritten port as the authority.
                    builder.no_proxy().http1_only().resolve(host, resolve.address)
                })?;
                return Ok(rewritten(client, url, resolve));
            }
        }
        let client = self.client(self.general.http(fresh), |builder| {
            let use_them = self.options.environment_proxies;
            if use_them { proxy::from_environment(builder) } else { builder.no_proxy() }
        })?;
        Ok(Route { client, url: url.clone(), host: None })
    }

    /// The way to `url` by HTTP/2 alone, without the codings that HTTP has for contents.
    pub(crate) fn route_grpc(&self, url: &Url) -> Result<Route<'_>, Problem> {
        let host = url.host_str().unwrap_or_default();
        self.permit(host)?;
        let (port, tls) = (url.port_or_known_default(), url.scheme() == "https");
        let plain = |builder: ClientBuilder| {
            builder
                .http2_prior_knowledge()
                .http2_initial_stream_window_size(limits::GRPC_STREAM_WINDOW_BYTES)
                .http2_initial_connection_window_size(limits::GRPC_CONNECTION_WINDOW_BYTES)
                .no_gzip()
                .no_deflate()
                .no_brotli()
                .no_zstd()
        };
        for (resolve, slots) in self.options.resolve.iter().zip(&self.overridden) {
            if resolve.host == host && Some(resolve.port) == port {
                let client = self.client(slots.grpc(tls), |builder| {
                    plain(builder).no_proxy().resolve(host, resolve.address)
                })?;
                return Ok(rewritten(client, url, resolve));
            }
        }
        let client = self.client(self.general.grpc(tls), |builder| {
            // A proxy takes requests without TLS to pass them on, and speaks HTTP/1.1 for it.
            let use_them = tls && self.options.environment_proxies;
            let builder = plain(builder);
            if use_them { proxy::from_environment(builder) } else { builder.no_proxy() }
        })?;
        Ok(Route { client, url: url.clone(), host: None })
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

    fn permit(&self, host: &str) -> Result<(), Problem> {
        let allow = &self.options.allow;
        let permitted = allow.is_empty() || is_among(host, allow);
        if permitted {
            return Ok(());
        }
        let detail = format!("this worker's configuration does not allow calls to the host {host}");
        Err(Problem::new(Standard::Authorization, detail))
    }

    fn client<'a>(
        &self,
        (slot, kept): Slot<'a>,
        adapt: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<&'a Client, Problem> {
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let base = || {
            adapt(Client::builder())
                .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(Duration::from_millis(limits::CONNECT_TIMEOUT_MS))
                .pool_max_idle_per_host(kept)
                .pool_idle_timeout(Duration::from_millis(limits::IDLE_CONNECTION_MS))
        };
        let built = base()
            .tls_certs_merge(self.roots.iter().cloned())
            .build()
            // A machine without certificates can still call plain HTTP and what `ca_files` trusts.
            .or_else(|_| base().tls_certs_only(self.roots.iter().cloned()).build());
        let client = built.map_err(|error| {
            Problem::new(Standard::Runtime, format!("the worker cannot set up HTTP: {error}"))
        })?;
        Ok(slot.get_or_init(|| client))
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

/// The route of an override. A resolver's port only counts where the URL names none, so a URL that
/// names one gets the target's instead.
fn rewritten<'a>(client: &'a Client, url: &Url, resolve: &Resolve) -> Route<'a> {
    let mut target = url.clone();
    if url.port().is_none() || target.set_port(Some(resolve.address.port())).is_err() {
        return Route { client, url: url.clone(), host: None };
    }
    Route { client, url: target, host: Some(format!("{}:{}", resolve.host, resolve.port)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Clients, HttpOptions, Resolve};

    #[test]
    fn the_forms_of_curl_are_read() {
        for (text, expected) in [
            ("Example.com:443:127.0.0.1", "example.com:443:127.0.0.1:443"),
            ("example.com:443:127.0.0.1:8443", "example.com:443:127.0.0.1:8443"),
            ("example.com:80:::1", "example.com:80:[::1]:80"),
            ("example.com:80:[::1]", "example.com:80:[::1]:80"),
            ("example.com:80:[::1]:81", "example.com:80:[::1]:81"),
        ] {
            assert_eq!(text.parse::<Resolve>().unwrap().to_string(), expected);
        }
        for text in ["", "example.com", "example.com:443", ":1:127.0.0.1", "a:b:127.0.0.1", "a:1:b"]
        {
            assert!(text.parse::<Resolve>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_allowed_hosts_are_called() {
        let allow = vec!["api.example.com".to_owned(), "*.internal".to_owned()];
        let clients = Clients::new(HttpOptions { allow, ..HttpOptions::default() }).unwrap();
        for host in ["api.example.com", "a.internal", "a.b.internal"] {
            assert_eq!(clients.permit(host), Ok(()), "{host}");
        }
        for host in ["example.com", "internal", ".internal", "evilinternal", "127.0.0.1"] {
            assert_eq!(clients.permit(host).unwrap_err().status, 403, "{host}");
        }
    }
}
