//! Who asks for what changes the coordinator, as far as the request says, and the trail of it.

use std::sync::Arc;

use windlass_proto::audit::AuditAction;

use super::{Coordinator, CoordinatorError};
use crate::audit;
use crate::secrets::SecretsError;

/// What a request says of whoever sends it. Nobody is authenticated yet.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// The caller's own id of the request: `X-Request-Id`.
    pub request: Option<Arc<str>>,
}

impl Coordinator {
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
