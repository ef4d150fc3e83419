//! Telling what is done with secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use uuid::Uuid;
use windlass_proto::audit::{AuditAction, AuditEvent, AuditTask};
use windlass_proto::wire::Assignment;

use crate::clock;
use crate::trace::current_traceparent;

/// Takes audit events to where they are kept. Must not block.
///
/// An attempt reserves places before it does anything with secrets, so that what it does can be
/// told.
pub trait AuditSink: Send + Sync {
    /// Takes one event for which no place was reserved.
    fn record(&self, event: AuditEvent);

    /// Takes one event for which [`AuditSink::reserve`] gave a place; that is free again once the
    /// event is kept.
    fn record_reserved(&self, event: AuditEvent) {
        self.record(event);
    }

    /// Waits until there is room for this many events, and keeps it for them. Who came first is
    /// first. Dropping the future gives up the wait.
    fn reserve(&self, _places: usize) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Takes back places that were not used.
    fn give_back(&self, _places: usize) {}
}

/// Room for events that are not kept yet, which attempts wait for.
pub struct AuditRoom {
    all: usize,
    free: Semaphore,
    /// Attempts that wait for room.
    waiting: AtomicUsize,
    short: AtomicBool,
}

impl AuditRoom {
    /// Room for so many events.
    #[must_use]
    pub fn new(all: usize) -> Self {
        let (waiting, short) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { all, free: Semaphore::new(all), waiting, short }
    }

    /// Waits for so many places, all at once; more than there are count as all. Calls `short` first
    /// if it has to wait.
    pub async fn reserve(&self, places: usize, short: impl FnOnce() + Send) {
        let places = u32::try_from(places.min(self.all)).unwrap_or(u32::MAX);
        let permit = match self.free.try_acquire_many(places) {
            Ok(permit) => Ok(permit),
            Err(_) => {
                let _waits = Waits::new(self);
                short();
                self.free.acquire_many(places).await
            }
        };
        // Never closed, so never an error.
        if let Ok(permit) = permit {
            permit.forget();
        }
    }

    /// Frees so many places.
    pub fn free(&self, places: usize) {
        self.free.add_permits(places);
    }

    /// True from when somebody had to wait until nobody does and half of all is free: the time to
    /// take on nothing more.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let short = self.short.load(Ordering::Relaxed)
            && (self.waiting.load(Ordering::Relaxed) > 0
                || self.free.available_permits() * 2 < self.all);
        self.short.store(short, Ordering::Relaxed);
        short
    }
}

/// Counts somebody who waits.
struct Waits<'a>(&'a AuditRoom);

impl<'a> Waits<'a> {
    fn new(room: &'a AuditRoom) -> Self {
        room.waiting.fetch_add(1, Ordering::Relaxed);
        room.short.store(true, Ordering::Relaxed);
        Self(room)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps nothing.
pub(crate) struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _event: AuditEvent) {}
}

/// Tells what one attempt does. Its clones are of the same attempt, and share what it has reserved.
#[derive(Clone)]
pub struct AttemptAudit {
    places: Arc<Places>,
    task: AuditTask,
    environment: Option<Arc<str>>,
    traceparent: Option<Arc<str>>,
}

/// Room for events that an attempt is still to tell.
struct Places {
    sink: Arc<dyn AuditSink>,
    left: AtomicUsize,
}

impl Places {
    /// True when there was a place left.
    fn take(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self) {
        let left = self.left.swap(0, Ordering::Relaxed);
        if left > 0 {
            self.sink.give_back(left);
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl AttemptAudit {
    /// Tells `sink` what is done for this delivery of a task.
    #[must_use]
    pub fn new(sink: Arc<dyn AuditSink>, assignment: &Assignment) -> Self {
        let task = AuditTask {
            workflow: assignment.workflow.clone(),
            instance: assignment.key.instance,
            task: assignment.reference.clone(),
            visit: assignment.visit,
            delivery: assignment.key.delivery,
        };
        let environment = assignment.grant.as_ref().map(|grant| grant.environment.clone());
        let places = Arc::new(Places { sink, left: AtomicUsize::new(0) });
        let traceparent =
            current_traceparent().map(Arc::from).or_else(|| assignment.traceparent.clone());
        Self { places, task, environment, traceparent }
    }

    /// Waits until there is room for this many events of the attempt. To be done once, before it
    /// does anything with secrets: attempts that waited in the middle of their work could wait for
    /// one another.
    pub async fn reserve(&self, places: usize) {
        self.places.sink.reserve(places).await;
        self.places.left.fetch_add(places, Ordering::Relaxed);
    }

    /// Gives back what was reserved and not used.
    pub fn give_back(&self) {
        self.places.give_back();
    }

    /// Records that `action` was done, or was not; `more` adds what is known of it.
    pub fn record(&self, action: AuditAction, success: bool, more: impl FnOnce(&mut AuditEvent)) {
        let mut event = AuditEvent::new(Uuid::now_v7(), clock::now(), action, success);
        event.task = Some(self.task.clone());
        event.environment = self.environment.clone();
        // What is done later, as a renewal, is done for the attempt.
        let now = current_traceparent().map(Arc::from);
        event.traceparent = now.or_else(|| self.traceparent.clone());
        more(&mut event);
        if self.places.take() {
            self.places.sink.record_reserved(event);
        } else {
            self.places.sink.record(event);
        }
    }

    /// Records what is not of this attempt, but of all of its worker.
    pub(crate) fn record_of_worker(
        &self,
        action: AuditAction,
        success: bool,
        more: impl FnOnce(&mut AuditEvent),
    ) {
        let mut event = AuditEvent::new(Uuid::now_v7(), clock::now(), action, success);
        more(&mut event);
        self.places.sink.record(event);
    }
}
