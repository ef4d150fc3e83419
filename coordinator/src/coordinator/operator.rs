//! Who asks for what changes the coordinator, as far as the request says, and the trail of it.

use std::sync::Arc;

use tokio::runtime::Handle;
use windlass_proto::audit::AuditAction;

use super::{Coordinator, CoordinatorError};
use crate::audit::{self, AuditError};
use crate::secrets::SecretsError;

/// What a request says of whoever sends it. Nobody is authenticated yet.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// The caller's own id of the request: `X-Request-Id`.
    pub request: Option<Arc<str>>,
}

impl Coordinator {
    /// As [`Coordinator::audited`], for who may block: durable when it returns.
    pub(super) fn teller(
        &self,
        action: AuditAction,
        by: Operator,
    ) -> impl FnOnce(String) -> Result<(), AuditError> + use<> {
        let (router, handle) = (self.runtime.router.clone(), Handle::current());
        // Made here, where the caller's trace is known.
        let mut event = audit::own(action, true, |event| event.request = by.request);
        move |detail| {
            event.detail = Some(detail.into());
            handle.block_on(router.secrets.audit.kept(vec![event]))
        }
    }

    /// Puts into the audit trail what an operator is about to do.
    pub(super) async fn audited(
        &self,
        action: AuditAction,
        detail: String,
        by: Operator,
    ) -> Result<(), CoordinatorError> {
        let event = audit::own(action, true, |event| {
            event.detail = Some(detail.into());
            event.request = by.request;
        });
        let kept = self.runtime.router.secrets.audit.kept(vec![event]).await;
        Ok(kept.map_err(SecretsError::from)?)
    }
}
