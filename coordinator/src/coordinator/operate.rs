//! What operators do to more than one instance: suspend definitions and namespaces, cancel all that
//! began with one instance.

use windlass_proto::id::InstanceId;
use windlass_proto::limits::CANCEL_PAGE;
use windlass_proto::time::Timestamp;

use super::handle::blocking;
use super::{Coordinator, CoordinatorError};
use crate::admission::{Outcome, Suspended};
use crate::clock;
use crate::journal::{Filter, Status};

/// Why what began with a cancelled root is cancelled.
const REASON: &str = "the instance that it began with was cancelled with all that it started";

impl Coordinator {
    /// Suspends starts, durably: no workflow of it is started any more, neither by requests nor by
    /// other instances, which wait for it. What runs goes on.
    ///
    /// # Errors
    /// When it is suspended already, or that cannot be kept.
    pub async fn suspend_starts(&self, what: Suspended) -> Result<(), CoordinatorError> {
        self.needs_reserve()?;
        let (admission, asked) = (self.runtime.admission.clone(), what.clone());
        match blocking(move || admission.suspend(asked, clock::now())).await?? {
            Outcome::Done => Ok(()),
            Outcome::Already => Err(CoordinatorError::Already { what, state: "suspended" }),
            Outcome::TooMany => Err(CoordinatorError::TooManySuspensions),
        }
    }

    /// Lets starts go on that were suspended.
    ///
    /// # Errors
    /// When they are not suspended, or that cannot be kept.
    pub async fn resume_starts(&self, what: Suspended) -> Result<(), CoordinatorError> {
        self.needs_room()?;
        let (admission, asked) = (self.runtime.admission.clone(), what.clone());
        match blocking(move || admission.resume(&asked)).await?? {
            true => Ok(()),
            false => Err(CoordinatorError::Already { what, state: "not suspended" }),
        }
    }

    /// All that is suspended, and since when.
    #[must_use]
    pub fn suspended_starts(&self) -> Vec<(Suspended, Timestamp)> {
        self.runtime.admission.all()
    }

    /// Cancels an instance and everything it has started, directly or through others, and keeps
    /// them from starting more; returns how many were cancelled. It goes on when nobody waits for
    /// it any more, and after a restart.
    ///
    /// # Errors
    /// When there is no such instance, or another one has started it.
    pub async fn cancel_root(
        &self,
        root: InstanceId,
        reason: Option<String>,
    ) -> Result<usize, CoordinatorError> {
        let since = match self.show(root).await {
            Ok(view) => match view.head.root.or(view.head.parent) {
                Some(above) => return Err(CoordinatorError::NotARoot { id: root, root: above }),
                None => view.head.started_at,
            },
            // It may be gone while what it has started goes on.
            Err(CoordinatorError::UnknownInstance(_)) => {
                let of = Filter { root: Some(root), ..Filter::default() };
                if self.search(of, None, 1).await?.items.is_empty() {
                    return Err(CoordinatorError::UnknownInstance(root));
                }
                Timestamp(0)
            }
            Err(error) => return Err(error),
        };
        self.needs_reserve()?;
        let (admission, what) = (self.runtime.admission.clone(), Suspended::Root(root));
        let suspended = blocking(move || admission.suspend(what, clock::now())).await??;
        if suspended == Outcome::TooMany {
            return Err(CoordinatorError::TooManySuspensions);
        }
        let own = self.end(root, reason).await.unwrap_or(false);
        let coordinator = self.clone();
        let cancelling = tokio::spawn(async move { coordinator.cancel_started(root, since).await });
        let started = cancelling.await.map_err(|_| CoordinatorError::Stopping)??;
        Ok(started + usize::from(own))
    }

    /// Goes on with what [`Coordinator::cancel_root`] had begun before a restart.
    pub(super) fn go_on_cancelling(&self, runtime: &tokio::runtime::Handle) {
        for (what, _) in self.suspended_starts() {
            let Suspended::Root(root) = what else { continue };
            let coordinator = self.clone();
            runtime.spawn(async move {
                if let Err(error) = coordinator.cancel_started(root, Timestamp(0)).await {
                    tracing::warn!(%root, %error, "cancelling descendants failed");
                }
            });
        }
    }

    /// Cancels what a root has started since then, until nothing is open any more.
    async fn cancel_started(
        &self,
        root: InstanceId,
        since: Timestamp,
    ) -> Result<usize, CoordinatorError> {
        let mut cancelled = 0;
        loop {
            let (found, done) = self.cancel_once(root, since).await?;
            cancelled += done;
            // A start that was on its way when the last look began is found by one more.
            if found == 0 {
                break;
            }
        }
        let admission = self.runtime.admission.clone();
        blocking(move || admission.resume(&Suspended::Root(root))).await??;
        Ok(cancelled)
    }

    /// One look at all there is: how many were open, and how many of them it cancelled.
    async fn cancel_once(
        &self,
        root: InstanceId,
        since: Timestamp,
    ) -> Result<(usize, usize), CoordinatorError> {
        let (mut cursor, mut found, mut done) = (None, 0, 0);
        loop {
            let statuses =
                vec![Status::Pending, Status::Running, Status::Waiting, Status::Suspended];
            let of = Filter { root: Some(root), statuses, ..Filter::default() };
            let page = self.search(of, cursor, CANCEL_PAGE).await?;
            found += page.items.len();
            let orders = page.items.iter().map(|(id, _)| self.end(*id, Some(REASON.to_owned())));
            for outcome in futures_util::future::join_all(orders).await {
                match outcome {
                    Ok(true) => done += 1,
                    // It has ended by itself, or was cancelled just now.
                    Ok(false)
                    | Err(
                        CoordinatorError::Conflict { .. } | CoordinatorError::UnknownInstance(_),
                    ) => {}
                    Err(error) => return Err(error),
                }
            }
            cursor = page.next;
            if cursor.is_none_or(|it| it.started_at < since) {
                return Ok((found, done));
            }
        }
    }
}
