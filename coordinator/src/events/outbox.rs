//! Where partitions leave what they emit and tell: never blocks, and has a bound.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{self, error::TrySendError};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;

use super::context::BusContext;
use super::counts::EventsView;
use super::lifecycle::{Level, LifecycleEvent};
use super::stream::Purpose;
use crate::partition::Emitted;

/// Emissions that found the queue full. The journal has the events: they are asked for again.
pub(super) type Deferred = Arc<Mutex<BTreeSet<(InstanceId, FrameId)>>>;

/// The way out.
pub struct Outbox {
    context: BusContext,
    level: Level,
    emitted: mpsc::Sender<Emitted>,
    lifecycle: mpsc::Sender<LifecycleEvent>,
    deferred: Deferred,
}

impl Outbox {
    pub(super) fn new(
        context: BusContext,
        level: Level,
    ) -> (Self, mpsc::Receiver<Emitted>, mpsc::Receiver<LifecycleEvent>) {
        let (emitted, emissions) = mpsc::channel(limits::EMIT_QUEUE);
        let (lifecycle, told) = mpsc::channel(limits::LIFECYCLE_QUEUE);
        (
            Self { context, level, emitted, lifecycle, deferred: Deferred::default() },
            emissions,
            told,
        )
    }

    pub(super) fn deferred(&self) -> Deferred {
        self.deferred.clone()
    }

    /// Hands over an event. When the queue is full only its place is kept: the partition is asked
    /// for it again as soon as there is room.
    pub fn emit(&self, emitted: Emitted) {
        // A publisher that has ended did so with the process: the journal has the rest.
        if let Err(TrySendError::Full(emitted)) = self.emitted.try_send(emitted) {
            self.context.counts.deferred.one();
            lock(&self.deferred).insert((emitted.instance, emitted.frame));
        }
    }

    /// Hands over what happened to an instance; dropped, and counted, when the queue is full.
    pub fn announce(&self, lifecycle: LifecycleEvent) {
        if self.lifecycle.try_send(lifecycle).is_err() {
            self.context.counts.dropped.one();
        }
    }

    /// What is to be told.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// False when so many events wait for the bus that no more instances should be started.
    #[must_use]
    pub fn admits(&self) -> bool {
        lock(&self.deferred).len() < limits::EMIT_DEFERRED
    }

    /// What there is, for people and monitoring.
    #[must_use]
    pub fn view(&self) -> EventsView {
        let queued = self.emitted.max_capacity() - self.emitted.capacity();
        let status = |purpose: Purpose| (purpose.word(), self.context.streams.status(purpose));
        EventsView {
            totals: self.context.counts.totals(),
            streams: Purpose::ALL.map(status).to_vec(),
            waiting: queued + lock(&self.deferred).len(),
            age: self.context.counts.age.0.distribution(),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
