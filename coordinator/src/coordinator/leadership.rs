//! What the audit trail has of a leadership that is moved to another coordinator.

use windlass_proto::audit::AuditAction;

use super::{Coordinator, CoordinatorError, Operator};

impl Coordinator {
    /// Puts into the audit trail that another coordinator is to lead. Whoever has the cluster's key
    /// asks for it, and says who they are.
    ///
    /// # Errors
    /// When the trail cannot be written: then nothing is moved.
    pub async fn moves_leadership(&self, to: &str, by: &str) -> Result<(), CoordinatorError> {
        let detail = format!("to {to}, asked for by {by}");
        self.audited(AuditAction::LeadershipMoved, detail, &Operator::default()).await
    }

    /// Puts into the audit trail that it is not.
    pub fn refuses_to_move(&self, to: &str, by: &str, why: &str) {
        let detail = format!("to {to}, asked for by {by}: {why}");
        self.refused(AuditAction::LeadershipMoved, detail, &Operator::default());
    }
}
