//! Client certificates: whoever has one was given it by an authority that is trusted.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use windlass_proto::limits;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;

/// `organizationName` of X.520.
const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// Who a certificate is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its distinguished name as RFC 4514 writes it, such as `CN=ada,O=ops`.
    pub subject: Arc<str>,
    /// The organisations in it, as Kubernetes takes them for groups.
    pub groups: Vec<Arc<str>>,
    /// SHA-256 of it.
    pub fingerprint: [u8; 32],
}

impl ClientCertificate {
    /// Reads one that a handshake has verified. None when it names nobody.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let name = &certificate.tbs_certificate.subject;
        let subject = name.to_string();
        if subject.is_empty() || subject.len() > limits::ACCESS_NAME_BYTES {
            return None;
        }
        let attributes = name.0.iter().flat_map(|it| it.0.iter());
        let organisations = attributes.filter(|it| it.oid == ORGANISATION).filter_map(|it| {
            let text = it.value.decode_as::<Utf8StringRef<'_>>();
            let text = text.map(|it| Arc::from(it.as_str()));
            let printable = || it.value.decode_as::<PrintableStringRef<'_>>();
            text.ok().or_else(|| printable().ok().map(|it| Arc::from(it.as_str())))
        });
        Some(Self {
            subject: subject.into(),
            groups: organisations.collect(),
            fingerprint: Sha256::digest(der).into(),
        })
    }
}
