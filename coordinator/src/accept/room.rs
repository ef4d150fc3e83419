//! The room that requests take while they are handled.

use std::sync::{Arc, Mutex};

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
pub(super) struct Room(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Room {
    pub(super) fn of(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    /// Gives it back: what follows is waiting.
    pub(super) fn leave(&self) {
        drop(self.0.lock().unwrap_or_else(|it| it.into_inner()).take());
    }
}
