//! Bytes that data has in base64, searched for secrets: their base64 may not tell.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use windlass_proto::limits;
use zeroize::Zeroizing;

use super::matcher::Matcher;

/// Looks for the secrets that a seal knew when this was made.
pub(crate) struct Search(Arc<Matcher>);

/// Base64 that counts as a secret.
pub(crate) struct Hidden {
    pub(super) text: Zeroizing<String>,
    /// The numbers of the secrets in it.
    pub(super) secrets: Vec<usize>,
}

impl Search {
    pub(super) fn new(matcher: Arc<Matcher>) -> Self {
        Self(matcher)
    }

    /// Those of `all` with a secret in them, each once: of more than
    /// [`SECRET_TEXTS`](limits::SECRET_TEXTS) so many that they make a seal overfull.
    pub(crate) fn hidden(&self, all: &[impl AsRef<[u8]>]) -> Vec<Hidden> {
        let mut seen = HashSet::new();
        let mut hidden = Vec::new();
        for bytes in all.iter().map(AsRef::as_ref) {
            if hidden.len() > limits::SECRET_TEXTS {
                break;
            }
            let text = String::from_utf8_lossy(bytes);
            if !self.0.finds(&text) || !seen.insert(bytes) {
                continue;
            }
            let secrets = self.0.found(&text);
            hidden.push(Hidden { text: Zeroizing::new(STANDARD.encode(bytes)), secrets });
        }
        hidden
    }
}
