//! Connections that no HTTP client makes: to brokers and over WebSocket. Every one of them is made
//! here, with the hosts that may be called, the overridden addresses, the certificates and the
//! time that HTTP calls have.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use super::Clients;
use crate::egress::Caller;

/// A host and a port, and whether TLS is spoken from the first byte on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

/// An open connection.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// What certificates are checked with; made when it is first used, as reading the platform's takes
/// a while.
#[derive(Default)]
pub(crate) struct Trust(tokio::sync::OnceCell<Arc<RootCertStore>>);

impl Peer {
    /// For messages: `host:port`.
    pub(crate) fn shown(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The problem of a connection to it that was not made, or that broke.
    pub(crate) fn failed(&self, why: impl std::fmt::Display) -> Problem {
        let detail = format!("{} failed: {why}", self.shown());
        Problem::new(Standard::Communication, detail).with_status(503)
    }

    fn name(&self) -> Result<ServerName<'static>, Problem> {
        ServerName::try_from(self.host.clone()).map_err(|_| {
            let detail = format!("{} is no name that a certificate can have", self.host);
            Problem::new(Standard::Configuration, detail)
        })
    }
}

impl Clients {
    /// Connects to `peer`, within the time that a connection may take.
    ///
    /// # Errors
    /// An authorization problem for a host that may not be called, else one of communication.
    pub(crate) async fn connect(
        &self,
        peer: &Peer,
        caller: Caller<'_>,
    ) -> Result<Box<dyn Connection>, Problem> {
        let most = Duration::from_millis(limits::CONNECT_TIMEOUT_MS);
        let connected = tokio::time::timeout(most, self.connected(peer, caller)).await;
        connected.unwrap_or_else(|_| Err(peer.failed("the connection timed out")))
    }

    async fn connected(
        &self,
        peer: &Peer,
        caller: Caller<'_>,
    ) -> Result<Box<dyn Connection>, Problem> {
        // Nothing is looked up after this.
        let addresses = self.addresses(&peer.host, peer.port, caller).await?;
        let mut last = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // A message waits for no other.
                    stream.set_nodelay(true).map_err(|error| peer.failed(error))?;
                    return match peer.tls {
                        true => self.secure(peer, stream).await,
                        false => Ok(Box::new(stream)),
                    };
                }
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) => peer.failed(told(&error)),
            None => peer.failed("its name has no address"),
        })
    }

    /// Speaks TLS over `stream`, where that was not done from its first byte on.
    pub(crate) async fn secure(
        &self,
        peer: &Peer,
        stream: impl Connection + 'static,
    ) -> Result<Box<dyn Connection>, Problem> {
        let name = peer.name()?;
        let connector = TlsConnector::from(Arc::new(self.tls().await?));
        let stream = connector.connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| peer.failed(told(&error)))?))
    }

    /// TLS as HTTP calls speak it: with the platform's certificates and those of `ca_files`.
    async fn tls(&self) -> Result<ClientConfig, Problem> {
        let roots = self.roots().await?;
        Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }

    async fn roots(&self) -> Result<Arc<RootCertStore>, Problem> {
        let files = self.options().ca_files.clone();
        let read = || async {
            let read = tokio::task::spawn_blocking(move || {
                let mut roots = RootCertStore::empty();
                // A machine without certificates can still call what `ca_files` trusts.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                let all = files.iter().filter_map(|it| CertificateDer::pem_file_iter(it).ok());
                // What cannot be read was refused when the worker was started.
                roots.add_parsable_certificates(all.flatten().flatten());
                Arc::new(roots)
            });
            let ended = |_| Problem::new(Standard::Runtime, "the worker ends").with_status(503);
            read.await.map_err(ended)
        };
        self.trust.0.get_or_try_init(read).await.cloned()
    }
}

/// Why a connection was not made, in the words that HTTP calls use.
pub(crate) fn told(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>());
    match (tls, error.kind()) {
        (Some(tls @ rustls::Error::InvalidCertificate(_)), _) => {
            format!("TLS: {tls} (to trust a private authority, give its certificate to the worker)")
        }
        (Some(tls), _) => format!("TLS: {tls}"),
        (None, io::ErrorKind::ConnectionRefused) => {
            "connection refused: nothing listens there".to_owned()
        }
        (None, io::ErrorKind::TimedOut) => "the connection timed out".to_owned(),
        (None, _) => error.to_string(),
    }
}

/// The host and the port that `authority` names, `HOST[:PORT]`; none of what is neither.
pub(crate) fn authority(text: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(&format!("peer://{text}")).ok()?;
    let host = url.host_str().filter(|it| !it.is_empty())?;
    let plain = url.username().is_empty() && url.password().is_none();
    let alone = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let is_name = |it: char| it.is_ascii_alphanumeric() || "-._:[]".contains(it);
    if !(plain && alone && host.chars().all(is_name)) {
        return None;
    }
    Some((host.trim_matches(['[', ']']).to_ascii_lowercase(), url.port()))
}

#[cfg(test)]
mod tests;
