//! What came of what the audit trail was told of before it was done.
//!
//! ```text
//!  kept: an entry, `pending` ──> the action ──> answered ──> an entry with what came of it
//!                                   └─ given up on, or a crash ──> `unknown`, then or at the next start
//! ```
//!
//! **Invariant:** each entry that is `pending` is followed by one that names it, for as long as the
//! process lives; what a crash left without one gets it at the next start (`audit/pending`).
//!
//! Starts and events sent say nothing of what came of them unless they fail: there may be tens of
//! thousands a second, and an instance that was started says so itself.

use std::sync::{Arc, Mutex, PoisonError};

use windlass_proto::audit::{AuditAction, AuditEvent, AuditOutcome};

use crate::audit;
use crate::secrets::Secrets;

/// The entries of one request that were written before what they tell of.
#[derive(Debug, Default)]
pub(super) struct Intents(Mutex<Vec<AuditEvent>>);

impl Intents {
    /// Takes note of an entry that is about to be written, and says in it that what came of it
    /// follows.
    pub(super) fn announce(&self, event: &mut AuditEvent) {
        if !is_many(event.action) {
            event.outcome = Some(AuditOutcome::Pending);
        }
        self.lock().push(event.clone());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<AuditEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True for what is done so often that only its failures are told.
fn is_many(action: AuditAction) -> bool {
    matches!(action, AuditAction::InstanceStarted | AuditAction::EventsPublished)
}

/// Tells what came of what a request asked for, once that is known; that nobody knows, when the
/// request is given up on before.
#[derive(Debug)]
pub(crate) struct Outcomes {
    /// Has the trail.
    secrets: Arc<Secrets>,
    intents: Arc<Intents>,
}

impl Outcomes {
    pub(super) fn new(secrets: Arc<Secrets>, intents: Arc<Intents>) -> Self {
        Self { secrets, intents }
    }

    /// It was done, or it was not, and why.
    pub(crate) fn are(self, result: Result<(), String>) {
        match result {
            Ok(()) => self.tell(AuditOutcome::Done, None),
            Err(why) => self.tell(AuditOutcome::Failed, Some(&why)),
        }
    }

    /// Nobody waits for that.
    fn tell(&self, outcome: AuditOutcome, why: Option<&str>) {
        for intent in std::mem::take(&mut *self.intents.lock()) {
            if !is_many(intent.action) || outcome == AuditOutcome::Failed {
                self.secrets.audit.record(audit::outcome(&intent, outcome, why));
            }
        }
    }
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        self.tell(AuditOutcome::Unknown, Some("whoever asked did not wait for it"));
    }
}
