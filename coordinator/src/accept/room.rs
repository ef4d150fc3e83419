//! The room that requests take while they are handled.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many of something there may be at once.
#[derive(Clone)]
pub(super) struct Budget {
    most: usize,
    permits: Arc<Semaphore>,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Self { most, permits: Arc::new(Semaphore::new(most)) }
    }

    /// One of them, if there may be one more.
    pub(super) fn take(&self) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().try_acquire_owned().ok()
    }

    /// How many there are.
    pub(super) fn used(&self) -> usize {
        self.most.saturating_sub(self.permits.available_permits())
    }
}

/// The room that a request takes while it is handled; a handler that only waits gives it back.
#[derive(Clone)]
pub(super) struct Room(Arc<Held>);

struct Held {
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    since: Instant,
    /// How long it was held.
    took: OnceLock<Duration>,
}

impl Room {
    pub(super) fn of(permit: OwnedSemaphorePermit) -> Self {
        let permit = Mutex::new(Some(permit));
        Self(Arc::new(Held { permit, since: Instant::now(), took: OnceLock::new() }))
    }

    /// Gives it back: what follows is waiting.
    pub(super) fn leave(&self) {
        self.took();
        drop(self.0.permit.lock().unwrap_or_else(|it| it.into_inner()).take());
    }

    /// How long it was held: the time that the request took, without what it waited after that.
    pub(super) fn took(&self) -> Duration {
        *self.0.took.get_or_init(|| self.0.since.elapsed())
    }
}
