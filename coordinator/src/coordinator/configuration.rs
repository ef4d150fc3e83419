//! What a configuration file says, as far as it counts while the coordinator runs: what is logged.

use windlass_proto::audit::AuditAction;

use super::{Coordinator, CoordinatorError, Operator};
use crate::audit;
use crate::log::BadDirectives;

/// A configuration file that was read.
#[derive(Clone, Debug)]
pub struct Configured {
    /// Its path.
    pub file: String,
    /// The digest of its text.
    pub digest: String,
    /// What is to be logged from now on, where that has changed.
    pub log: Option<String>,
}

impl Coordinator {
    /// Tells the audit trail which file the process began with; nobody waits for it.
    pub fn began_with(&self, configured: &Configured) {
        let Configured { file, digest, .. } = configured;
        let detail = format!("{file}, digest {digest}, at the start");
        let event = audit::own(AuditAction::ConfigurationChanged, true, |event| {
            event.detail = Some(detail.into());
        });
        self.runtime.router.secrets.audit.record(event);
    }

    /// Puts in force what a file says that was read anew; nothing changes before that is in the
    /// audit trail.
    ///
    /// # Errors
    /// When it cannot be kept in the trail, or what is to be logged cannot be read.
    pub async fn configured(&self, configured: &Configured) -> Result<(), CoordinatorError> {
        let Configured { file, digest, log } = configured;
        let by = Operator::default();
        let detail = format!("{file} read anew, digest {digest}");
        let Some(directives) = log else {
            return self.audited(AuditAction::ConfigurationChanged, detail, &by).await;
        };
        let log = self.runtime.log.as_ref().ok_or(BadDirectives::Fixed)?;
        log.check(directives)?;
        self.audited(AuditAction::ConfigurationChanged, detail, &by).await?;
        let detail = format!("from {} to {directives}, as {file} has it", log.current());
        self.audited(AuditAction::LogChanged, detail, &by).await?;
        Ok(log.begin(directives)?)
    }

    /// Tells the audit trail that a file was changed to what makes no sense; nobody waits for it.
    pub fn not_configured(&self, reason: String) {
        self.refused(AuditAction::ConfigurationChanged, reason, &Operator::default());
    }
}
