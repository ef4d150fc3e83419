//! TLS of the API: certificates from files, taken anew when the files change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use windlass_proto::limits::API_TLS_RELOAD_MS;

use crate::hangup;

/// The files that TLS is served with, all in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, followed by those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose client certificates are taken.
    pub client_authorities: Option<PathBuf>,
    /// Whether a client must have one of them; else it may show who it is in another way.
    pub client_required: bool,
}

/// Why TLS cannot be served with some files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file holds something else.
    #[error("{} has no {wanted} in PEM", path.display())]
    Missing {
        /// Which one.
        path: PathBuf,
        /// What it should have.
        wanted: &'static str,
    },
    /// A certificate of an authority is none.
    #[error("{}: {error}", path.display())]
    Authority {
        /// Which file has it.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// Certificate and key do not go together, or are of a kind that is not served.
    #[error("{} with the key {}: {error}", certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong.
        error: rustls::Error,
    },
}

/// What handshakes are made with.
pub struct Tls {
    files: TlsFiles,
    state: RwLock<State>,
}

struct State {
    acceptor: TlsAcceptor,
    /// Of the files as they were read last, good or not.
    digest: [u8; 32],
}

/// The files' bytes.
struct Material {
    certificate: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
    client_authorities: Option<Vec<u8>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// True where nobody is let in without a certificate.
    pub(super) fn requires_clients(&self) -> bool {
        self.files.client_required && self.files.client_authorities.is_some()
    }

    /// Reads the files. Blocking.
    ///
    /// # Errors
    /// When TLS cannot be served with them.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let material = read(&files)?;
        let acceptor = acceptor(&files, &material)?;
        let state = RwLock::new(State { acceptor, digest: digest(&material) });
        Ok(Self { files, state })
    }

    /// What the next handshake is made with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.state.read().unwrap_or_else(PoisonError::into_inner).acceptor.clone()
    }

    /// Looks for changed files until it is dropped. Connections that are open keep what they began
    /// with; files that cannot be served with leave the old ones in force.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut looks = tokio::time::interval(Duration::from_millis(API_TLS_RELOAD_MS));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = hangup::heard() => {}
            }
            let tls = self.clone();
            // A panic in it was reported already, and the next look is another one.
            let _ = tokio::task::spawn_blocking(move || tls.reload()).await;
        }
    }

    /// Takes the files anew if they have changed; what went wrong is logged once a change.
    fn reload(&self) {
        let material = match read(&self.files) {
            Ok(material) => material,
            // Between the removal of one file and the arrival of the next: there will be a look
            // that finds both.
            Err(error) => return tracing::debug!(%error, "TLS files could not be read"),
        };
        let digest = digest(&material);
        if self.state.read().unwrap_or_else(PoisonError::into_inner).digest == digest {
            return;
        }
        let loaded = acceptor(&self.files, &material);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.digest = digest;
        let certificate = self.files.certificate.display();
        match loaded {
            Ok(acceptor) => {
                state.acceptor = acceptor;
                tracing::info!(%certificate, "TLS certificate reloaded");
            }
            Err(error) => {
                tracing::warn!(%certificate, %error, "TLS certificate not reloaded, the old one stays");
            }
        }
    }
}

fn read(files: &TlsFiles) -> Result<Material, TlsError> {
    let bytes = |path: &Path| {
        std::fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), error })
    };
    Ok(Material {
        certificate: bytes(&files.certificate)?,
        key: bytes(&files.key)?.into(),
        client_authorities: files.client_authorities.as_deref().map(bytes).transpose()?,
    })
}

fn digest(material: &Material) -> [u8; 32] {
    let authorities = material.client_authorities.as_deref().unwrap_or_default();
    let mut digest = Sha256::new();
    for part in [material.certificate.as_slice(), material.key.as_slice(), authorities] {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

fn acceptor(files: &TlsFiles, material: &Material) -> Result<TlsAcceptor, TlsError> {
    let pair = |error| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        error,
    };
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(pair)?;
    let builder = match (&files.client_authorities, &material.client_authorities) {
        (Some(path), Some(pem)) => {
            let roots = Arc::new(authorities(path, pem)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = match files.client_required {
                true => verifier,
                false => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| refused(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let chain = certificates(&files.certificate, &material.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&material.key)
        .map_err(|_| TlsError::Missing { path: files.key.clone(), wanted: "private key" })?;
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let missing = || TlsError::Missing { path: path.to_owned(), wanted: "certificate" };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|it| !it.is_empty()).ok_or_else(missing)
}

fn authorities(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots.add(certificate).map_err(|error| refused(path, &error))?;
    }
    Ok(roots)
}

fn refused(path: &Path, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Authority { path: path.to_owned(), error: error.to_string() }
}
