//! Attempts on a store that needs no login by attempt.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use windlass_proto::sealed::Sealed;
use windlass_proto::secret::SecretName;
use zeroize::Zeroizing;

use super::{Lease, SecretContext, SecretError, SecretSource, SecretStore, SecretValue};

/// Reads from a store with the worker's own rights to it, whoever the task is.
pub struct Standing {
    store: Arc<dyn SecretStore>,
}

impl Standing {
    /// Secrets from `store`.
    #[must_use]
    pub fn new(store: Arc<dyn SecretStore>) -> Self {
        Self { store }
    }
}

impl SecretSource for Standing {
    fn lease(&self, context: SecretContext) -> Box<dyn Lease> {
        Box::new(Attempt { store: self.store.clone(), context })
    }
}

struct Attempt {
    store: Arc<dyn SecretStore>,
    context: SecretContext,
}

impl Lease for Attempt {
    fn read<'a>(
        &'a mut self,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        self.store.read(name, &self.context)
    }

    fn seal<'a>(
        &'a mut self,
        _texts: &'a [Zeroizing<Vec<u8>>],
    ) -> BoxFuture<'a, Result<Vec<Sealed>, SecretError>> {
        Box::pin(async { Err(SecretError::Unavailable("it has no key to seal with".to_owned())) })
    }

    fn open<'a>(
        &'a mut self,
        _sealed: &'a [Sealed],
    ) -> BoxFuture<'a, Result<Vec<Zeroizing<Vec<u8>>>, SecretError>> {
        Box::pin(async { Err(SecretError::Unavailable("it has no key to open with".to_owned())) })
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}
