//! Attempts on a store that needs no login by attempt, and does not encrypt.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use windlass_proto::audit::AuditAction;
use windlass_proto::sealed::Sealed;
use windlass_proto::secret::SecretName;
use zeroize::Zeroizing;

use super::{
    SealingKey, SecretContext, SecretError, SecretSession, SecretSource, SecretStore, SecretValue,
};

/// Reads from a store with the worker's own rights to it, whoever the task is.
pub struct WorkerAccess {
    store: Arc<dyn SecretStore>,
    key: Arc<SealingKey>,
}

impl WorkerAccess {
    /// Secrets from `store`; results are sealed with a key of this process.
    #[must_use]
    pub fn new(store: Arc<dyn SecretStore>) -> Self {
        Self::with_key(store, SealingKey::of_this_process())
    }

    /// Secrets from `store`; results are sealed with `key`, which other workers must have as well.
    #[must_use]
    pub fn with_key(store: Arc<dyn SecretStore>, key: SealingKey) -> Self {
        Self { store, key: Arc::new(key) }
    }
}

impl SecretSource for WorkerAccess {
    fn session(&self, context: SecretContext) -> Box<dyn SecretSession> {
        Box::new(Attempt { store: self.store.clone(), key: self.key.clone(), context })
    }
}

struct Attempt {
    store: Arc<dyn SecretStore>,
    key: Arc<SealingKey>,
    context: SecretContext,
}

impl Attempt {
    /// Tells of `action` and what came of it.
    fn told<T>(
        &self,
        action: AuditAction,
        result: Result<T, SecretError>,
    ) -> Result<T, SecretError> {
        self.context.audit.record(action, result.is_ok(), |event| {
            event.detail = result.as_ref().err().map(|error| error.to_string().into());
        });
        result
    }
}

impl SecretSession for Attempt {
    fn read<'a>(
        &'a mut self,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        self.store.read(name, &self.context)
    }

    fn seal<'a>(
        &'a mut self,
        texts: &'a [Zeroizing<Vec<u8>>],
    ) -> BoxFuture<'a, Result<Vec<Sealed>, SecretError>> {
        let SecretContext { workflow, instance, .. } = &self.context;
        let seal = |text: &Zeroizing<Vec<u8>>| self.key.seal(text, &workflow.namespace, *instance);
        let sealed = texts.iter().map(seal).collect();
        Box::pin(std::future::ready(self.told(AuditAction::Sealed, sealed)))
    }

    fn open<'a>(
        &'a mut self,
        sealed: &'a [Sealed],
    ) -> BoxFuture<'a, Result<Vec<Zeroizing<Vec<u8>>>, SecretError>> {
        let namespace = &self.context.workflow.namespace;
        let open = |sealed| self.key.open(sealed, namespace);
        let opened = sealed.iter().map(open).collect();
        Box::pin(std::future::ready(self.told(AuditAction::Opened, opened)))
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}
