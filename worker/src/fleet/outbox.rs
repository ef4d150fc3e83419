//! Audit events on their way to the coordinator: kept until they are on disk there.
//!
//! One batch is under way at a time, always from the first event that was not acknowledged, so that
//! a lost message leaves no gap. Attempts that find no room wait for it, and the worker takes
//! nothing more while one does; what is under way already may still tell how it ends.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use windlass_proto::audit::AuditEvent;
use windlass_proto::limits;
use windlass_proto::wire::message::Audited;

use crate::audit::{AuditRoom, AuditSink};

/// See the module. Numbers go on over sessions: they are of the worker's life.
pub(super) struct Outbox {
    inner: Mutex<Inner>,
    told: Notify,
    room: AuditRoom,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Waiting>,
    /// The number of the last event there was.
    last: u64,
    /// When a batch was sent that is not acknowledged.
    sent: Option<Instant>,
    /// True once events were lost: said once.
    overflowed: bool,
}

/// An event that is not acknowledged.
struct Waiting {
    audited: Audited,
    /// True when it has a place that others wait for.
    reserved: bool,
}

impl Default for Outbox {
    fn default() -> Self {
        let room = AuditRoom::new(limits::AUDIT_OUTBOX);
        Self { inner: Mutex::default(), told: Notify::new(), room }
    }
}

impl AuditSink for Outbox {
    fn record(&self, event: AuditEvent) {
        self.push(event, false);
    }

    fn record_reserved(&self, event: AuditEvent) {
        self.push(event, true);
    }

    fn reserve(&self, places: usize) -> BoxFuture<'_, ()> {
        // The coordinator is to send nothing more.
        Box::pin(self.room.reserve(places, || self.told.notify_one()))
    }

    fn give_back(&self, places: usize) {
        self.room.free(places);
        self.told.notify_one();
    }
}

impl Outbox {
    fn push(&self, event: AuditEvent, reserved: bool) {
        let mut inner = self.inner();
        if inner.waiting.len() >= limits::AUDIT_OUTBOX_MOST {
            if !std::mem::replace(&mut inner.overflowed, true) {
                tracing::error!("audit events dropped: the coordinator accepts none");
            }
            drop(inner);
            self.room.free(usize::from(reserved));
            return;
        }
        inner.last += 1;
        let audited = Audited { number: inner.last, event };
        inner.waiting.push_back(Waiting { audited, reserved });
        drop(inner);
        self.told.notify_one();
    }

    /// Events that the coordinator has not acknowledged.
    pub(super) fn waiting(&self) -> usize {
        self.inner().waiting.len()
    }

    /// Waits until there may be something to send.
    pub(super) async fn ready(&self) {
        self.told.notified().await;
    }

    /// True when the coordinator has everything.
    pub(super) fn is_empty(&self) -> bool {
        self.inner().waiting.is_empty()
    }

    /// True while there is so little room that no more work should come.
    pub(super) fn is_short(&self) -> bool {
        self.room.is_short()
    }

    /// What is to be sent now.
    pub(super) fn batch(&self, now: Instant) -> Vec<Audited> {
        let mut inner = self.inner();
        let under_way = inner.sent.is_some_and(|at| {
            now.duration_since(at) < Duration::from_millis(limits::REPORT_AGAIN_MS)
        });
        if under_way || inner.waiting.is_empty() {
            return Vec::new();
        }
        inner.sent = Some(now);
        inner.waiting.iter().take(limits::AUDIT_BATCH).map(|it| it.audited.clone()).collect()
    }

    /// The coordinator has all events up to this one on disk.
    pub(super) fn settle(&self, number: u64) {
        let mut inner = self.inner();
        let before = inner.waiting.len();
        let mut places = 0;
        while inner.waiting.front().is_some_and(|it| it.audited.number <= number) {
            let settled = inner.waiting.pop_front();
            places += usize::from(settled.is_some_and(|it| it.reserved));
        }
        // A late answer to an earlier batch says nothing of the one under way.
        if inner.waiting.len() < before {
            inner.sent = None;
            inner.overflowed = false;
        }
        drop(inner);
        self.room.free(places);
    }

    /// A new session, or a new connection: what was under way is sent again.
    pub(super) fn begin_again(&self) {
        self.inner().sent = None;
        self.told.notify_one();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::time::{Duration, Instant};

    use futures_util::FutureExt as _;
    use uuid::Uuid;
    use windlass_proto::audit::{AuditAction, AuditEvent};
    use windlass_proto::limits;
    use windlass_proto::time::Timestamp;

    use super::Outbox;
    use crate::audit::AuditSink as _;

    fn event(number: usize) -> AuditEvent {
        let id = Uuid::from_u128(number as u128);
        AuditEvent::new(id, Timestamp(0), AuditAction::Granted, true)
    }

    fn numbers(outbox: &Outbox, now: Instant) -> Vec<u64> {
        outbox.batch(now).iter().map(|it| it.number).collect()
    }

    #[test]
    fn a_batch_is_repeated_until_it_is_acknowledged() {
        let (outbox, now) = (Outbox::default(), Instant::now());
        assert!(numbers(&outbox, now).is_empty());
        outbox.record(event(1));
        outbox.record(event(2));
        assert_eq!(numbers(&outbox, now), [1, 2]);
        outbox.record(event(3));
        assert!(numbers(&outbox, now).is_empty(), "one at a time");
        assert_eq!(
            numbers(&outbox, now + Duration::from_millis(limits::REPORT_AGAIN_MS)),
            [1, 2, 3]
        );
        outbox.settle(2);
        assert_eq!(numbers(&outbox, now + Duration::from_millis(limits::REPORT_AGAIN_MS)), [3]);
        outbox.settle(1);
        assert!(
            numbers(&outbox, now + Duration::from_millis(limits::REPORT_AGAIN_MS)).is_empty(),
            "a late answer to the first"
        );
        outbox.begin_again();
        assert_eq!(numbers(&outbox, now + Duration::from_millis(limits::REPORT_AGAIN_MS)), [3]);
        outbox.settle(3);
        assert!(outbox.is_empty());
    }

    /// The last number of all that are sent after `taken`, batch by batch.
    fn take_all_from(outbox: &Outbox, mut taken: u64) -> u64 {
        let now = Instant::now();
        loop {
            let batch = numbers(outbox, now);
            let Some(last) = batch.last() else { return taken };
            assert_eq!(batch[0], taken + 1, "no gap");
            taken = *last;
            outbox.settle(taken);
        }
    }

    #[tokio::test]
    async fn who_finds_no_room_waits_until_events_are_acknowledged() {
        let (outbox, now) = (Outbox::default(), Instant::now());
        outbox.reserve(limits::AUDIT_OUTBOX).await;
        (0..limits::AUDIT_OUTBOX).for_each(|it| outbox.record_reserved(event(it)));
        assert!(!outbox.is_short(), "nobody waits");
        let mut waits = outbox.reserve(8);
        assert!((&mut waits).now_or_never().is_none());
        assert!(outbox.is_short());
        // What is under way already may still tell how it ends: it takes nobody's place.
        outbox.record(event(0));
        let first = numbers(&outbox, now);
        outbox.settle(*first.last().unwrap());
        waits.await;
        assert!(outbox.is_short(), "until half of it is free");
        assert_eq!(take_all_from(&outbox, first.len() as u64), limits::AUDIT_OUTBOX as u64 + 1);
        assert!(!outbox.is_short());
        outbox.give_back(8);
        outbox.reserve(limits::AUDIT_OUTBOX).now_or_never().expect("all of it is free");
    }

    #[tokio::test]
    async fn who_gives_up_the_wait_leaves_nothing_behind() {
        let outbox = Outbox::default();
        outbox.reserve(limits::AUDIT_OUTBOX - 1).await;
        let mut waits = outbox.reserve(2);
        assert!((&mut waits).now_or_never().is_none());
        drop(waits);
        outbox.give_back(limits::AUDIT_OUTBOX - 1);
        assert!(!outbox.is_short());
        outbox.reserve(limits::AUDIT_OUTBOX).now_or_never().expect("all of it is free");
    }

    #[test]
    fn it_has_a_bound_all_the_same() {
        let outbox = Outbox::default();
        (0..limits::AUDIT_OUTBOX_MOST + 10).for_each(|it| outbox.record(event(it)));
        assert_eq!(take_all_from(&outbox, 0), limits::AUDIT_OUTBOX_MOST as u64);
    }
}
