//! Certificates for stub servers, and a listener that speaks TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Makes ring the process-wide provider; the client and the stubs need one.
pub(crate) fn provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A certificate authority made for one test and a server certificate it signed.
pub(crate) struct Identity {
    /// The authority's certificate, as `--ca-file` takes it.
    pub(crate) authority: String,
    /// What the server presents.
    pub(crate) config: Arc<rustls::ServerConfig>,
}

/// PEM files of one authority: each a certificate and its key.
pub(crate) struct Certificates {
    /// The authority's certificate.
    pub(crate) authority: String,
    /// A server's.
    pub(crate) server: (String, String),
    /// A client's.
    pub(crate) client: (String, String),
}

/// Certificates for a server of these names and one client.
pub(crate) fn certificates(hosts: &[&str]) -> Certificates {
    let authority = authority();
    let issue = |usage| {
        let (certificate, key) = issue(&authority, hosts, usage);
        (certificate.pem(), key.serialize_pem())
    };
    let server = issue(ExtendedKeyUsagePurpose::ServerAuth);
    let client = issue(ExtendedKeyUsagePurpose::ClientAuth);
    Certificates { authority: authority.pem(), server, client }
}

/// A client's certificate that no authority has signed, and its key.
pub(crate) fn self_signed() -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a client for tests");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // One that is called as what it signs would be taken for self-signed by OpenSSL.
    params.distinguished_name.push(DnType::CommonName, "an authority for tests");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(
    authority: &CertifiedIssuer<'static, KeyPair>,
    hosts: &[&str],
    usage: ExtendedKeyUsagePurpose,
) -> (Certificate, KeyPair) {
    let names: Vec<String> = hosts.iter().map(|&it| it.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

/// An identity for these host names.
pub(crate) fn identity(hosts: &[&str]) -> Identity {
    provider();
    let authority = authority();
    let (certificate, key) = issue(&authority, hosts, ExtendedKeyUsagePurpose::ServerAuth);

    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    Identity { authority: authority.pem(), config: Arc::new(config) }
}

/// Accepts TLS connections; a handshake that fails or hangs holds up nobody else.
pub(crate) struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    local: SocketAddr,
    accepting: AbortHandle,
}

impl TlsListener {
    /// Listens on `inner` with `config`.
    pub(crate) fn new(inner: TcpListener, config: Arc<rustls::ServerConfig>) -> Self {
        let (sender, ready) = mpsc::channel(64);
        let local = inner.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(config);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, peer)) = inner.accept().await {
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    let handshake = acceptor.accept(stream);
                    let limit = Duration::from_secs(20);
                    if let Ok(Ok(stream)) = tokio::time::timeout(limit, handshake).await {
                        let _ = sender.send((stream, peer)).await;
                    }
                });
            }
        });
        Self { ready, local, accepting: accepting.abort_handle() }
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(next) => next,
            // The accepting task has ended: there is nothing more to serve.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
