//! Audit events on their way to the coordinator: kept until they are on disk there.
//!
//! One batch is under way at a time, always from the first event that was not acknowledged, so that a
//! lost message leaves no gap.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use windlass_proto::audit::AuditEvent;
use windlass_proto::limits;
use windlass_proto::wire::message::Audited;

use crate::audit::AuditSink;

/// How long a batch waits for its acknowledgement before it is sent again.
const AGAIN: Duration = Duration::from_millis(limits::REPORT_AGAIN_MS);

/// See the module. Numbers go on over sessions: they are of the worker's life.
#[derive(Default)]
pub(super) struct Outbox {
    inner: Mutex<Inner>,
    told: Notify,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Audited>,
    /// The number of the last event there was.
    last: u64,
    /// When a batch was sent that is not acknowledged.
    sent: Option<Instant>,
    /// True once events were lost: said once.
    overflowed: bool,
}

impl AuditSink for Outbox {
    fn record(&self, event: AuditEvent) {
        let mut inner = self.inner();
        // Who asks for room first leaves some for what is under way; past that something is wrong.
        if inner.waiting.len() >= 2 * limits::AUDIT_OUTBOX {
            if !std::mem::replace(&mut inner.overflowed, true) {
                tracing::error!("audit events are lost: the coordinator takes none");
            }
            return;
        }
        inner.last += 1;
        let number = inner.last;
        inner.waiting.push_back(Audited { number, event });
        drop(inner);
        self.told.notify_one();
    }

    fn has_room(&self) -> bool {
        self.inner().waiting.len() < limits::AUDIT_OUTBOX
    }
}

impl Outbox {
    /// Waits until there may be something to send.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    /// True when the coordinator has everything.
    pub(super) fn is_empty(&self) -> bool {
        self.inner().waiting.is_empty()
    }

    /// What is to be sent now.
    pub(super) fn batch(&self, now: Instant) -> Vec<Audited> {
        let mut inner = self.inner();
        let under_way = inner.sent.is_some_and(|at| now.duration_since(at) < AGAIN);
        if under_way || inner.waiting.is_empty() {
            return Vec::new();
        }
        inner.sent = Some(now);
        inner.waiting.iter().take(limits::AUDIT_BATCH).cloned().collect()
    }

    /// The coordinator has all events up to this one on disk.
    pub(super) fn settle(&self, number: u64) {
        let mut inner = self.inner();
        let before = inner.waiting.len();
        inner.waiting.retain(|it| it.number > number);
        // A late answer to an earlier batch says nothing of the one under way.
        if inner.waiting.len() < before {
            inner.sent = None;
            inner.overflowed = false;
        }
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
mod tests {
    use std::time::Instant;

    use uuid::Uuid;
    use windlass_proto::audit::{AuditAction, AuditEvent};
    use windlass_proto::limits;
    use windlass_proto::time::Timestamp;

    use super::{AGAIN, Outbox};
    use crate::audit::AuditSink as _;

    fn event(number: usize) -> AuditEvent {
        AuditEvent {
            id: Uuid::from_u128(number as u128),
            at: Timestamp(0),
            action: AuditAction::Granted,
            success: true,
            task: None,
            worker: None,
            secret: None,
            version: None,
            environment: None,
            lease: None,
            request: None,
            traceparent: None,
            detail: None,
        }
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
        assert_eq!(numbers(&outbox, now + AGAIN), [1, 2, 3]);
        outbox.settle(2);
        assert_eq!(numbers(&outbox, now + AGAIN), [3]);
        outbox.settle(1);
        assert!(numbers(&outbox, now + AGAIN).is_empty(), "a late answer to the first");
        outbox.begin_again();
        assert_eq!(numbers(&outbox, now + AGAIN), [3]);
        outbox.settle(3);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_full_outbox_says_so_and_still_has_a_bound() {
        let (outbox, now) = (Outbox::default(), Instant::now());
        (1..limits::AUDIT_OUTBOX).for_each(|it| outbox.record(event(it)));
        assert!(outbox.has_room());
        outbox.record(event(0));
        assert!(!outbox.has_room());
        (0..3 * limits::AUDIT_OUTBOX).for_each(|it| outbox.record(event(it)));
        let mut taken = 0;
        loop {
            let batch = numbers(&outbox, now);
            let Some(last) = batch.last() else { break };
            assert_eq!(batch[0], taken + 1, "no gap");
            taken = *last;
            outbox.settle(taken);
        }
        assert_eq!(taken, 2 * limits::AUDIT_OUTBOX as u64);
        assert!(outbox.has_room());
    }
}
