//! A value that only workers can read.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::InstanceId;

/// The encrypted form of a value that contains a secret. It says where it was sealed, which is bound
/// to the ciphertext: it opens only for tasks of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which key opens it, as the sealer calls it.
    pub key: Arc<str>,
    /// The namespace it was sealed in.
    pub namespace: Arc<str>,
    /// The instance it was sealed in.
    pub instance: InstanceId,
    /// The ciphertext.
    #[serde(with = "serde_bytes")]
    pub ciphertext: Vec<u8>,
}
