//! Finds containers that nobody looks after, and removes them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::engine::{Engine, Listed};
use super::error::ContainerError;
use super::life::Containers;
use super::order::labels;
use super::owner::Owner;
use crate::clock;

impl Containers {
    /// Whether the engine answers now.
    pub(crate) async fn answers(&self) -> Result<(), ContainerError> {
        let most = Duration::from_millis(limits::CONTAINER_ANSWER_MS);
        match tokio::time::timeout(most, Engine::connect(&self.options.engine)).await {
            Ok(connected) => connected.map(|_| ()),
            Err(_) => Err(ContainerError::Away(self.options.engine.to_string())),
        }
    }

    /// Looks for containers that nobody looks after, now and again until the worker is gone.
    pub(crate) fn sweep_regularly(self: &Arc<Self>) {
        let containers: Weak<Self> = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(containers) = containers.upgrade() {
                if let Err(error) = containers.sweep().await {
                    tracing::debug!(%error, "containers are not looked through");
                }
                drop(containers);
                sleep(Duration::from_millis(limits::CONTAINER_SWEEP_MS)).await;
            }
        });
    }

    async fn sweep(&self) -> Result<(), ContainerError> {
        let engine = Engine::connect(&self.options.engine).await?;
        // As it was before and as it is after: what ends meanwhile is looked after in either.
        let mut held = self.held();
        let listed = engine.list(labels::WORKER).await?;
        held.append(&mut self.held());
        for container in listed {
            if container.label(labels::ATTEMPT).is_some_and(|it| held.contains(it)) {
                continue;
            }
            if let Some(reason) = why_remove(&container, &self.owner, clock::now()) {
                let id = &container.id;
                tracing::info!(container = %id, reason, "a container that was left is removed");
                self.remove(&engine, id).await;
            }
        }
        Ok(())
    }
}

/// Why a container that nobody here looks after has to go; none where it may stay.
fn why_remove(container: &Listed, me: &Owner, now: Timestamp) -> Option<&'static str> {
    let worker = container.label(labels::WORKER)?;
    let moment = |name| container.label(name).and_then(|it| it.parse().ok()).map(Timestamp);
    let is_over = |at: Timestamp| at.plus(limits::CONTAINER_OVERDUE_MS) < now;
    if let (true, Some(kept)) = (container.has_ended(), container.label(labels::KEPT)) {
        return match moment(labels::KEPT) {
            Some(until) => is_over(until).then_some("it was kept long enough"),
            None => (kept != "never").then_some("until when it is kept cannot be read"),
        };
    }
    if worker == me.label() || me.has_ended(worker) == Some(true) {
        return Some("nobody looks after it any more");
    }
    moment(labels::DEADLINE).is_none_or(is_over).then_some("its time is over")
}

#[cfg(test)]
mod tests {
    use windlass_proto::limits::CONTAINER_OVERDUE_MS;
    use windlass_proto::time::Timestamp;

    use super::super::engine::Listed;
    use super::super::order::labels;
    use super::super::owner::Owner;
    use super::why_remove;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn listed(worker: &str, state: &str, deadline: u64, kept: Option<&str>) -> Listed {
        let mut all =
            vec![(labels::WORKER, worker.to_owned()), (labels::DEADLINE, deadline.to_string())];
        all.extend(kept.map(|it| (labels::KEPT, it.to_owned())));
        let all = all.into_iter().map(|(name, value)| (name.to_owned(), value));
        Listed { id: "it".to_owned(), labels: Some(all.collect()), state: state.to_owned() }
    }

    #[test]
    fn who_is_not_looked_after_goes_and_who_is_kept_stays() {
        let (me, other) = (Owner::new(), Owner::new());
        let (soon, past) = (NOW.0 + 1, NOW.0 - CONTAINER_OVERDUE_MS - 1);
        let goes = |worker: &str, state, deadline, kept| {
            why_remove(&listed(worker, state, deadline, kept), &me, NOW).is_some()
        };
        // Mine, and nobody holds it.
        assert!(goes(&me.label(), "running", soon, None));
        assert!(goes(&me.label(), "exited", soon, None));
        // Another's that lives, or may live: until its time is over.
        for worker in [other.label(), "elsewhere/1,1/x".to_owned()] {
            assert!(!goes(&worker, "running", soon, None), "{worker}");
            assert!(goes(&worker, "running", past, None), "{worker}");
            assert!(goes(&worker, "running", past, Some("never")), "{worker}");
        }
        // What has ended and is kept.
        let (until_soon, until_past) = (soon.to_string(), past.to_string());
        for state in ["exited", "stopped", "dead"] {
            assert!(!goes(&me.label(), state, past, Some("never")), "{state}");
            assert!(!goes(&me.label(), state, past, Some(&until_soon)), "{state}");
            assert!(goes(&me.label(), state, past, Some(&until_past)), "{state}");
            assert!(goes(&me.label(), state, past, Some("nonsense")), "{state}");
        }
        // Not ours at all.
        let foreign = Listed { id: "it".to_owned(), labels: None, state: "running".to_owned() };
        assert_eq!(why_remove(&foreign, &me, NOW), None);
    }
}
