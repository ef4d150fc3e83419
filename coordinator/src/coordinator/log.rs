//! What this process logs, and changing it: an operator's doing, so it is in the audit trail.

use windlass_proto::audit::AuditAction;

use super::{Coordinator, CoordinatorError};
use crate::audit;
use crate::log::BadDirectives;
use crate::secrets::SecretsError;

impl Coordinator {
    /// What is logged now, and what was when the process began.
    ///
    /// # Errors
    /// When the log of this process cannot be changed.
    pub fn log_directives(&self) -> Result<(String, String), CoordinatorError> {
        let log = self.runtime.log.as_ref().ok_or(BadDirectives::Fixed)?;
        Ok((log.current(), log.initial()))
    }

    /// Changes what is logged, to what it was at the beginning unless told otherwise; nothing
    /// changes before that is in the audit trail. Gives what [`Coordinator::log_directives`] does.
    ///
    /// # Errors
    /// When the directives cannot be read, or the change cannot be kept in the trail.
    pub async fn set_log_directives(
        &self,
        directives: Option<String>,
    ) -> Result<(String, String), CoordinatorError> {
        let log = self.runtime.log.as_ref().ok_or(BadDirectives::Fixed)?;
        let directives = directives.unwrap_or_else(|| log.initial());
        log.check(&directives)?;
        let detail = format!("from {} to {directives}", log.current());
        let event = audit::own(AuditAction::LogChanged, true, |event| {
            event.detail = Some(detail.into());
        });
        let kept = self.runtime.router.secrets.audit.kept(vec![event]).await;
        kept.map_err(SecretsError::from)?;
        log.set(&directives)?;
        self.log_directives()
    }
}
