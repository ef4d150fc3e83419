//! What this process logs, and changing it: an operator's doing, so it is in the audit trail.

use windlass_proto::audit::AuditAction;

use super::{Coordinator, CoordinatorError, Operator};
use crate::log::BadDirectives;

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
        by: &Operator,
    ) -> Result<(String, String), CoordinatorError> {
        let log = self.runtime.log.as_ref().ok_or(BadDirectives::Fixed)?;
        let directives = directives.unwrap_or_else(|| log.initial());
        log.check(&directives)?;
        let detail = format!("from {} to {directives}", log.current());
        self.audited(AuditAction::LogChanged, detail, by).await?;
        log.set(&directives)?;
        self.log_directives()
    }
}
