//! Client certificates: whoever has one was given it by an authority that is trusted.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;

use crate::glob::matches as glob;

/// `organizationName` of X.520.
const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// Who a certificate is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its distinguished name as RFC 4514 writes it, such as `CN=ada,O=ops`.
    pub subject: Arc<str>,
    /// The organisations in it, as Kubernetes takes them for groups.
    pub groups: Vec<Arc<str>>,
    /// Tells it from others, and from every token.
    pub fingerprint: [u8; 32],
    /// When it ends.
    pub ends: Option<Timestamp>,
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
        let ends = certificate.tbs_certificate.validity.not_after.to_unix_duration();
        let ends = u64::try_from(ends.as_millis()).ok().map(Timestamp);
        Some(Self {
            subject: subject.into(),
            groups: organisations.collect(),
            fingerprint: Sha256::new()
                .chain_update(b"certificate ")
                .chain_update(der)
                .finalize()
                .into(),
            ends,
        })
    }
}

/// True when `pattern` fits a distinguished name, attribute by attribute: a `*` stays within one,
/// so that what somebody is called says nothing of where they belong. A `*` alone at the end stands
/// for all attributes that follow.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (patterns, names) = (attributes(pattern), attributes(name));
    match patterns.split_last() {
        Some((&"*", first)) => {
            names.len() >= first.len() && first.iter().zip(&names).all(|(it, name)| glob(it, name))
        }
        _ => {
            patterns.len() == names.len()
                && patterns.iter().zip(&names).all(|(it, name)| glob(it, name))
        }
    }
}

/// The attributes of a name, whose values may have commas and plus signs behind a backslash.
fn attributes(name: &str) -> Vec<&str> {
    let (mut all, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, sign) in name.char_indices() {
        if !escaped && matches!(sign, ',' | '+') {
            all.push(&name[start..at]);
            start = at + 1;
        }
        escaped = !escaped && sign == '\\';
    }
    all.push(&name[start..]);
    all
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stays_within_an_attribute() {
        for (pattern, name) in [
            ("CN=ada", "CN=ada"),
            ("CN=backup*", "CN=backup1"),
            ("CN=*,O=admins", "CN=ada,O=admins"),
            ("CN=ada,*", "CN=ada,O=ops,C=DE"),
            ("*", "CN=ada,O=ops"),
            ("CN=a\\,b", "CN=a\\,b"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("CN=*,O=admins", "CN=mallory\\,O=admins"),
            ("CN=*,O=admins", "CN=mallory\\+x,O=admins\\,O=admins"),
            ("CN=backup*", "CN=backup1,O=ops"),
            ("CN=backup*", "O=ops,CN=backup1"),
            ("CN=ada,O=*", "CN=ada"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
