//! Certificates: whom the server must be, and who asks.

use std::path::Path;

use reqwest::{Certificate, ClientBuilder, Identity};

use crate::error::CliError;
use crate::options::Certificates;

/// A client that trusts and shows what the options say.
pub(super) fn apply(
    mut builder: ClientBuilder,
    certificates: &Certificates,
) -> Result<ClientBuilder, CliError> {
    if let Some(path) = &certificates.certificate_authority {
        let found = Certificate::from_pem_bundle(&read(path)?).unwrap_or_default();
        if found.is_empty() {
            return Err(unusable(path, "it has no certificate in PEM"));
        }
        builder = builder.tls_certs_only(found);
    }
    if let Some(path) = &certificates.client_certificate {
        let mut pem = read(path)?;
        if let Some(key) = &certificates.client_key {
            pem.push(b'\n');
            pem.extend(read(key)?);
        }
        let identity = Identity::from_pem(&pem).map_err(|_| {
            unusable(path, "it needs a certificate and a private key, or --client-key FILE")
        })?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, reason: &str) -> CliError {
    CliError::Usage(format!("{}: {reason}", path.display()))
}
