//! Events: to the instances that wait for them, each event once.
//!
//! An event that many listen for is offered in slices, so that others get their turn between them.
//! Events keep their order: the next one waits until this one has been offered to all. What has
//! been consumed of an event that is offered in slices is remembered by instance, so that after a
//! crash, when it comes again, it goes on with the others.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::Digest as _;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits::{
    self, EVENT_STEPS, INSTANCE_FILTER_STEPS, LOAD_COST, MESSAGE_COST, ROUTE_COST, TURN_COST,
};
use windlass_proto::time::Timestamp;

use super::effects::in_trace;
use super::message::EventTicket;
use super::release::Release;
use super::{Batch, Partition};
use crate::early::identity;
use crate::engine::{self, Body};
use crate::events::lifecycle::Level;
use crate::journal::JournalError;
use crate::schedule::ScheduleId;
use crate::trace::Passing;

/// An event that is being offered.
pub(super) struct Offer {
    ticket: Arc<EventTicket>,
    key: Arc<[u8]>,
    /// Instances it has not been offered to.
    rest: std::vec::IntoIter<InstanceId>,
    /// How many have consumed it.
    consumed: usize,
    /// Their namespaces.
    takers: Vec<Arc<str>>,
    /// Namespaces that keep it, or where an instance has had it from what was kept.
    withheld: HashMap<Arc<str>, bool>,
    /// Those of them in the batch in progress.
    latest: Vec<InstanceId>,
    /// Steps its filters have taken, by namespace.
    steps: HashMap<Arc<str>, u64>,
    /// True when a part of it was offered before a crash.
    resumed: bool,
    /// True when a part of it was offered in an earlier turn.
    sliced: bool,
}

impl Offer {
    /// An instance of this namespace has consumed it.
    fn took(&mut self, namespace: &Arc<str>) {
        if !self.takers.contains(namespace) {
            self.takers.push(namespace.clone());
            self.ticket.taken_by(namespace);
        }
    }
}

impl Partition {
    /// Offers an event to the instances of this partition that may wait for it.
    pub(super) fn event(
        &mut self,
        batch: &mut Batch,
        ticket: Arc<EventTicket>,
    ) -> Result<(), JournalError> {
        let candidates = self.routing.candidates(&ticket.event);
        self.cost += candidates.lookups * ROUTE_COST;
        if candidates.instances.is_empty() {
            batch.releases.push(Release::Stamp(ticket, 0));
            return Ok(());
        }
        let key = identity(&ticket.event);
        if self.has_seen(&key)? {
            batch.releases.push(Release::Stamp(ticket, 0));
            return Ok(());
        }
        let resumed = self.has_seen(&part(&key, None))?;
        let rest = candidates.instances.into_iter().collect::<Vec<_>>().into_iter();
        let (consumed, takers, withheld, latest, steps) = Default::default();
        let sliced = false;
        let offer =
            Offer { ticket, key, rest, consumed, takers, withheld, latest, steps, resumed, sliced };
        self.go_on(batch, Box::new(offer))
    }

    pub(super) fn has_seen(&self, key: &Arc<[u8]>) -> Result<bool, JournalError> {
        Ok(self.seen.contains_key(key) || self.shared.journal.has_seen(self.id, key)?)
    }

    /// Offers an event to as many as the turn has room for; the others wait for the next one.
    pub(super) fn go_on(
        &mut self,
        batch: &mut Batch,
        mut offer: Box<Offer>,
    ) -> Result<(), JournalError> {
        while let Some(instance) = offer.rest.next() {
            if offer.resumed && self.has_seen(&part(&offer.key, Some(instance)))? {
                offer.consumed += 1;
                if let Some(namespace) = self.namespace_of(instance)? {
                    offer.took(&namespace);
                }
            } else if self.offer_to(batch, &mut offer, instance)? {
                offer.consumed += 1;
                offer.latest.push(instance);
            }
            if self.cost >= TURN_COST && !offer.rest.as_slice().is_empty() {
                return self.slice(batch, offer);
            }
        }
        if offer.consumed > 0 {
            self.remember(batch, offer.key.clone());
            let sliced = offer.resumed || offer.sliced;
            self.remember_takers(batch, &offer.ticket.event, &offer.takers, sliced);
        }
        batch.releases.push(Release::Stamp(offer.ticket, offer.consumed));
        Ok(())
    }

    /// Ends a slice: who has consumed the event is remembered with it.
    fn slice(&mut self, batch: &mut Batch, mut offer: Box<Offer>) -> Result<(), JournalError> {
        self.remember_takers(batch, &offer.ticket.event, &offer.takers, true);
        offer.sliced = true;
        let latest = std::mem::take(&mut offer.latest);
        if !latest.is_empty() {
            self.remember(batch, part(&offer.key, None));
        }
        for instance in latest {
            self.remember(batch, part(&offer.key, Some(instance)));
        }
        self.lanes.put_back(offer);
        Ok(())
    }

    pub(super) fn remember(&mut self, batch: &mut Batch, key: Arc<[u8]>) {
        self.seen.insert(key.clone(), batch.number);
        batch.commit.seen.push((key, batch.now.plus(limits::EVENT_REMEMBERED_MS)));
    }

    /// Offers an event to one instance; true when it consumed it.
    fn offer_to(
        &mut self,
        batch: &mut Batch,
        offer: &mut Offer,
        id: InstanceId,
    ) -> Result<bool, JournalError> {
        if let Some(schedule) = self.schedules.listener(id) {
            return self.offer_to_schedule(batch, offer, schedule);
        }
        let Some(namespace) = self.namespace_of(id)? else { return Ok(false) };
        if self.is_withheld(batch.now, offer, &namespace)? {
            return Ok(false);
        }
        let used = offer.steps.entry(namespace.clone()).or_default();
        let left = EVENT_STEPS.saturating_sub(*used).min(INSTANCE_FILTER_STEPS);
        let event = offer.ticket.event.clone();
        let (consumed, steps) = self.hand_over(batch, id, (&event, left), false)?;
        if let Some(used) = offer.steps.get_mut(&namespace) {
            *used = used.saturating_add(steps);
        }
        if consumed {
            offer.took(&namespace);
        }
        Ok(consumed)
    }

    /// True for a repeat of an event that a namespace keeps, or has had from what it kept: the
    /// first to wait for it gets it, and nobody else.
    fn is_withheld(
        &self,
        now: Timestamp,
        offer: &mut Offer,
        namespace: &Arc<str>,
    ) -> Result<bool, JournalError> {
        if let Some(known) = offer.withheld.get(namespace) {
            return Ok(*known);
        }
        let is_withheld = self.is_kept(now, namespace, &offer.ticket.event)?;
        offer.withheld.insert(namespace.clone(), is_withheld);
        Ok(is_withheld)
    }

    /// The namespace of an instance that is there; it is in memory then.
    pub(super) fn namespace_of(
        &mut self,
        id: InstanceId,
    ) -> Result<Option<Arc<str>>, JournalError> {
        if self.is_untouchable(id) {
            return Ok(None);
        }
        let loads = self.residents.get(id).is_none();
        let Some(resident) = self.load(id)? else { return Ok(None) };
        let namespace = resident.plan.id.namespace.clone();
        self.cost += if loads { LOAD_COST } else { 0 };
        Ok(Some(namespace))
    }

    /// Lets an instance in memory decide on an event, for which its filters have so many steps:
    /// whether it consumed it, and the steps that they took.
    pub(super) fn hand_over(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        (event, left): (&CloudEvent, u64),
        early: bool,
    ) -> Result<(bool, u64), JournalError> {
        let (now, level) = (batch.now, self.lifecycle);
        let Some(resident) = self.residents.get_mut(id) else { return Ok((false, 0)) };
        if level != Level::Off {
            resident.note(level);
        }
        let plan = resident.plan.clone();
        let before = windlass_proto::expression::steps_taken();
        let offer = if early { engine::offer_early } else { engine::offer };
        let (decided, filtered) = offer(&plan, &mut resident.instance, now, event, left);
        let steps = windlass_proto::expression::steps_taken().wrapping_sub(before);
        self.cost += steps.max(filtered.steps) + MESSAGE_COST / 4;
        if filtered.too_dear > 0 {
            self.shared.filters.too_dear(&plan.id, id, event.kind(), filtered.too_dear);
        }
        match decided {
            Ok(decision) => {
                self.apply(batch, id, decision)?;
                Ok((true, filtered.steps))
            }
            Err(_) => {
                self.note_misfits(id);
                Ok((false, filtered.steps))
            }
        }
    }

    /// Offers an event to a schedule; true when it counts there.
    fn offer_to_schedule(
        &mut self,
        batch: &mut Batch,
        offer: &mut Offer,
        id: ScheduleId,
    ) -> Result<bool, JournalError> {
        let Some(workflow) = self.schedules.workflow(id) else { return Ok(false) };
        if self.is_withheld(batch.now, offer, &workflow.namespace)? {
            return Ok(false);
        }
        let used = offer.steps.entry(workflow.namespace.clone()).or_default();
        let left = EVENT_STEPS.saturating_sub(*used).min(INSTANCE_FILTER_STEPS);
        let event = offer.ticket.event.clone();
        let before = windlass_proto::expression::steps_taken();
        let (counts, filtered) = self.schedule_hears(batch, id, &event, left)?;
        let steps = windlass_proto::expression::steps_taken().wrapping_sub(before);
        *used = used.saturating_add(filtered.steps);
        self.cost += steps.max(filtered.steps) + MESSAGE_COST / 4;
        if filtered.too_dear > 0 {
            self.shared.filters.too_dear(&workflow, id.listener(), event.kind(), filtered.too_dear);
        }
        if counts {
            offer.took(&workflow.namespace);
        }
        Ok(counts)
    }

    /// Lets an event go again that an instance has emitted and nobody has acknowledged.
    pub(super) fn emit_again(
        &mut self,
        batch: &mut Batch,
        instance: InstanceId,
        frame: FrameId,
    ) -> Result<(), JournalError> {
        let sampler = self.shared.sampler;
        let Some(resident) = self.load(instance)? else { return Ok(()) };
        let body = resident.instance.frames.get(&frame).map(|it| &it.body);
        if let Some(Body::Publishing { event }) = body {
            let passing = Passing::of(sampler, &resident.instance);
            let event = Arc::new(event.clone());
            let event = in_trace(event, passing.as_ref(), frame);
            let namespace = resident.plan.id.namespace.clone();
            batch.releases.push(Release::Publish { instance, frame, event, namespace });
        }
        Ok(())
    }
}

/// What is remembered of an event that is offered in slices: that it has begun, and by whom it was
/// consumed.
pub(super) fn part(key: &[u8], instance: Option<InstanceId>) -> Arc<[u8]> {
    let mut hash = sha2::Sha256::new();
    hash.update(key);
    hash.update([1]);
    if let Some(instance) = instance {
        hash.update(instance.0.as_bytes());
    }
    Arc::from(&hash.finalize()[..16])
}
