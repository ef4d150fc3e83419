//! What a client shows of itself in TLS.

use std::sync::Arc;

use reqwest::Identity;
use windlass_proto::id::Digest;

/// A certificate with its chain and its private key. Clones share them.
#[derive(Clone)]
pub(crate) struct ClientIdentity(Arc<Parts>);

struct Parts {
    digest: Digest,
    identity: Identity,
}

impl ClientIdentity {
    /// Reads certificates, the client's first, and a private key; none where they are not there in
    /// PEM. Whether they belong together shows when a client is made of them.
    pub(crate) fn from_pem(pem: &str) -> Option<Self> {
        let identity = Identity::from_pem(pem.as_bytes()).ok()?;
        Some(Self(Arc::new(Parts { digest: Digest::of(pem), identity })))
    }

    /// Tells it from others.
    pub(crate) fn digest(&self) -> Digest {
        self.0.digest.clone()
    }

    /// For the client.
    pub(super) fn tls(&self) -> Identity {
        self.0.identity.clone()
    }
}
