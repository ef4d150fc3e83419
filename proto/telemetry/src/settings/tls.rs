//! Certificates of collectors and of this process, from PEM files.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use windlass_proto::limits;

use super::SettingsError;
use super::destination::Lookup;
use super::text::error;

/// Whom to trust, and what this process shows of itself.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Certificates, as PEM, that the collector's must lead to; none takes the system's.
    pub roots: Option<Vec<u8>>,
    /// What this process shows a collector that asks who it is.
    pub client: Option<ClientIdentity>,
}

/// A certificate and the key that belongs to it, as PEM.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate, and those that it leads to.
    pub certificate: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}

impl Tls {
    pub(super) fn read(lookup: &Lookup) -> Result<Self, SettingsError> {
        let roots = lookup.named("CERTIFICATE").map(|(name, path)| {
            let pem = file(&name, &path)?;
            certificates(&name, &path, &pem)?;
            Ok(pem)
        });
        let client = match (lookup.named("CLIENT_CERTIFICATE"), lookup.named("CLIENT_KEY")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(identity(&certificate, &key)?),
            (Some((name, _)), None) => {
                return Err(alone(&name, "OTEL_EXPORTER_OTLP_CLIENT_KEY", "the key of"));
            }
            (None, Some((name, _))) => {
                return Err(alone(
                    &name,
                    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
                    "the certificate for",
                ));
            }
        };
        Ok(Self { roots: roots.transpose()?, client })
    }
}

fn alone(name: &str, other: &str, what: &str) -> SettingsError {
    error(name, &format!("set {other} to the PEM file with {what} it, or unset both"))
}

fn identity(
    (certificate_name, certificate_path): &(String, String),
    (key_name, key_path): &(String, String),
) -> Result<ClientIdentity, SettingsError> {
    let certificate = file(certificate_name, certificate_path)?;
    let chain = certificates(certificate_name, certificate_path, &certificate)?;
    let key = file(key_name, key_path)?;
    let private = PrivateKeyDer::from_pem_slice(&key).map_err(|_| {
        let reason = format!(
            "{key_path} holds no private key as PEM; one with a passphrase has to be decrypted \
             first: openssl pkey -in {key_path}"
        );
        error(key_name, &reason)
    })?;
    match CertifiedKey::from_der(chain, private, &ring::default_provider()) {
        Ok(_) => Ok(ClientIdentity { certificate, key }),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let reason = format!("the key is not that of the certificate in {certificate_path}");
            Err(error(key_name, &reason))
        }
        Err(it) => Err(error(key_name, &format!("{key_path} cannot be used: {it}"))),
    }
}

/// The certificates of a file; at least one.
fn certificates(
    name: &str,
    path: &str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(error(name, &format!("{path} holds no certificates as PEM (BEGIN CERTIFICATE)"))),
    }
}

fn file(name: &str, path: &str) -> Result<Vec<u8>, SettingsError> {
    let mut pem = Vec::new();
    let read = File::open(path)
        .and_then(|it| it.take(limits::EXPORT_PEM_BYTES as u64 + 1).read_to_end(&mut pem))
        .and_then(|read| match read > limits::EXPORT_PEM_BYTES {
            true => Err(io::Error::other("it is larger than certificates are")),
            false => Ok(pem),
        });
    read.map_err(|it| {
        // The file itself in the place of its path is a common mistake, and may be a key.
        let shown =
            if path.contains("-----BEGIN") || path.contains('\n') { "what is given" } else { path };
        let reason = format!(
            "{shown} cannot be read: {it}; write the path of a PEM file that this process may read"
        );
        error(name, &reason)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
