//! Access tokens that are kept for the next call.

use std::sync::Arc;

use windlass_proto::secret::Secret;

use crate::cache::Cache;

/// Tokens by the digest of everything they were asked for with.
pub(crate) type TokenCache = Cache<[u8; 32], AccessToken>;

/// An access token.
#[derive(Clone)]
pub(crate) struct AccessToken {
    pub(crate) scheme: Arc<str>,
    pub(crate) value: Arc<Secret<String>>,
}
