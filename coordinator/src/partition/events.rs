//! Events: to the instances that wait for them, each event once.

use std::sync::Arc;

use sha2::Digest as _;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId};

use super::message::EventTicket;
use super::release::Release;
use super::{Batch, Partition};
use crate::engine::{Body, Input};
use crate::journal::JournalError;

/// How long a consumed event is remembered, so that a repeat of it is dropped: a day, longer than
/// any sender retries.
const REMEMBERED_MS: u64 = 24 * 3_600_000;

impl Partition {
    /// Offers an event to the instances of this partition that may wait for it.
    pub(super) fn event(
        &mut self,
        batch: &mut Batch,
        ticket: Arc<EventTicket>,
    ) -> Result<(), JournalError> {
        let consumed = self.consume(batch, &ticket.event)?;
        batch.releases.push(Release::Stamp(ticket, consumed));
        Ok(())
    }

    /// Lets an event go again that an instance has emitted and nobody has acknowledged.
    pub(super) fn emit_again(
        &mut self,
        batch: &mut Batch,
        instance: InstanceId,
        frame: FrameId,
    ) -> Result<(), JournalError> {
        let Some(resident) = self.load(instance)? else { return Ok(()) };
        let body = resident.instance.frames.get(&frame).map(|it| &it.body);
        if let Some(Body::Publishing { event }) = body {
            let event = Arc::new(event.clone());
            let namespace = resident.plan.id.namespace.clone();
            batch.releases.push(Release::Publish { instance, frame, event, namespace });
        }
        Ok(())
    }

    fn consume(
        &mut self,
        batch: &mut Batch,
        event: &Arc<CloudEvent>,
    ) -> Result<usize, JournalError> {
        let candidates = self.routing.candidates(event.kind());
        if candidates.is_empty() {
            return Ok(0);
        }
        let key = identity(event);
        if self.seen.contains_key(&key) || self.shared.journal.has_seen(self.id, &key)? {
            return Ok(0);
        }
        let mut consumed = 0;
        for instance in candidates {
            let arrived = Input::EventArrived(event.clone());
            if self.input(batch, instance, arrived)?.is_ok() {
                consumed += 1;
            }
        }
        if consumed > 0 {
            self.seen.insert(key.clone(), batch.number);
            batch.commit.seen.push((key, batch.now.plus(REMEMBERED_MS)));
        }
        Ok(consumed)
    }
}

/// What tells an event from others: source and id.
pub(crate) fn identity(event: &CloudEvent) -> Arc<[u8]> {
    let mut hash = sha2::Sha256::new();
    hash.update(event.source().as_bytes());
    hash.update([0]);
    hash.update(event.id().as_bytes());
    Arc::from(&hash.finalize()[..16])
}
