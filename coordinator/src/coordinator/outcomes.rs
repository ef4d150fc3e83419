//! What came of what the audit trail was told of before it was done.
//!
//! ```text
//!  kept: an entry, `pending` ──> the action ──> answered ──> an entry with what came of it
//!                                   └─ given up on, or a crash ──> `unknown`, then or at the next start
//! ```
//!
//! What runs on after whoever asked has gone may announce more: nobody's outcome is told before the
//! last has ended that can.
//!
//! **Invariant:** each entry that is `pending` is followed by one that names it, for as long as the
//! process lives; what a crash left without one gets it at the next start (`audit/pending`).
//!
//! Starts and events sent say nothing of what came of them unless they fail: there may be tens of
//! thousands a second, and an instance that was started says so itself.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use windlass_proto::audit::{AuditAction, AuditEvent, AuditOutcome};

use crate::audit;
use crate::secrets::Secrets;

/// The entries of one request that were written before what they tell of. Whoever can announce one
/// has a part in this; when the last of them ends, what was not told of is `unknown`.
#[derive(Debug, Default)]
pub(super) struct Intents {
    announced: Mutex<Vec<AuditEvent>>,
    /// Has the trail; nothing until somebody is to tell.
    secrets: OnceLock<Arc<Secrets>>,
}

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
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody waits for that.
    fn tell(&self, outcome: AuditOutcome, why: Option<&str>) {
        let Some(secrets) = self.secrets.get() else { return };
        for intent in std::mem::take(&mut *self.lock()) {
            if !is_many(intent.action) || outcome == AuditOutcome::Failed {
                secrets.audit.record(audit::outcome(&intent, outcome, why));
            }
        }
    }
}

impl Drop for Intents {
    fn drop(&mut self) {
        self.tell(AuditOutcome::Unknown, Some("whoever asked did not wait for it"));
    }
}

/// True for what is done so often that only its failures are told.
fn is_many(action: AuditAction) -> bool {
    matches!(action, AuditAction::InstanceStarted | AuditAction::EventsPublished)
}

/// Tells what came of what a request asked for, once that is known. Where nobody does, as the
/// request is given up on before, [`Intents`] tell that nobody knows.
#[derive(Debug)]
pub(crate) struct Outcomes(Arc<Intents>);

impl Outcomes {
    pub(super) fn new(secrets: Arc<Secrets>, intents: Arc<Intents>) -> Self {
        // One request has one trail.
        let _ = intents.secrets.set(secrets);
        Self(intents)
    }

    /// It was done, or it was not, and why.
    pub(crate) fn are(self, result: Result<(), String>) {
        match result {
            Ok(()) => self.0.tell(AuditOutcome::Done, None),
            Err(why) => self.0.tell(AuditOutcome::Failed, Some(&why)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use windlass_proto::audit::{AuditAction, AuditOutcome};

    use super::{Intents, Outcomes};
    use crate::audit;
    use crate::secrets::{Secrets, SecretsOptions};

    #[tokio::test]
    async fn what_is_announced_after_who_asked_has_gone_has_an_outcome_too() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = Some(folder.path().to_owned());
        let options = SecretsOptions { data_dir, ..SecretsOptions::default() };
        let secrets = Arc::new(Secrets::open(options, None).unwrap());
        let intents = Arc::<Intents>::default();
        // The request is given up on; what it has begun goes on.
        drop(Outcomes::new(secrets.clone(), intents.clone()));
        let event = |action| audit::own(action, true, |_| {});
        let mut announced = event(AuditAction::DefinitionChanged);
        intents.announce(&mut announced);
        secrets.audit.kept(vec![announced.clone()]).await.unwrap();
        drop(intents);
        // They are kept in order.
        secrets.audit.kept(vec![event(AuditAction::AccessChanged)]).await.unwrap();
        let lines = secrets.audit.last(10).unwrap();
        let mut outcomes = lines.iter().filter(|it| it.event.intent == Some(announced.id));
        assert_eq!(outcomes.next().unwrap().event.outcome, Some(AuditOutcome::Unknown));
        assert!(outcomes.next().is_none());
    }
}
