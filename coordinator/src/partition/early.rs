//! Events that nobody waited for when they came: kept, and handed to whoever begins to wait.
//!
//! The partition that an event falls to keeps it, once all have offered it to their instances. A
//! visit that begins to wait is remembered as eager, and offered what is kept at the end of the
//! turn; so are, after a restart and when an event has just become durable, those that wait for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits::{self, INSTANCE_FILTER_STEPS, MESSAGE_COST, ROUTE_COST, TURN_COST};
use windlass_proto::time::Timestamp;

use super::events::{identity, part};
use super::message::{Done, EventOutcome, EventTicket, EventToKeep};
use super::release::Release;
use super::{Batch, Partition};
use crate::early::{EarlyEvent, EarlyPlace, Kept, early_key};
use crate::engine::{Body, Input, Instance, Route, interest};
use crate::journal::{EarlyKey, EarlyWrite, JournalError};

/// Instances that may want what is kept.
#[derive(Default)]
pub(super) struct Eager {
    order: VecDeque<InstanceId>,
    /// How far each has come among the events.
    places: HashMap<InstanceId, Option<EarlyPlace>>,
    /// Those that have enough to do, and may want more once they have gone on.
    busy: HashSet<InstanceId>,
}

impl Eager {
    /// It begins to wait, or there is something new.
    pub(super) fn add(&mut self, id: InstanceId) {
        self.go_on(id, None);
    }

    fn go_on(&mut self, id: InstanceId, after: Option<EarlyPlace>) {
        if self.places.insert(id, after).is_none() {
            self.order.push_back(id);
        }
    }

    fn next(&mut self) -> Option<(InstanceId, Option<EarlyPlace>)> {
        let id = self.order.pop_front()?;
        Some((id, self.places.remove(&id).flatten()))
    }

    /// Something happened to an instance.
    pub(super) fn went_on(&mut self, id: InstanceId) {
        if !self.busy.is_empty() && self.busy.remove(&id) {
            self.add(id);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl Partition {
    /// False when an event surely is not kept, whoever consumes it.
    pub(super) fn may_be_kept(&self, event: &CloudEvent) -> bool {
        self.shared.early.keeps() && self.shared.catalog.is_awaited(event.kind())
    }

    /// The bus has an event that an instance emitted.
    pub(super) fn stamped(
        &mut self,
        batch: &mut Batch,
        ticket: &EventTicket,
    ) -> Result<(), JournalError> {
        let Some(dealt) = ticket.stamp(0) else { return Ok(()) };
        match dealt.done {
            Done::Emitter(_, instance, frame) if !self.may_be_kept(&ticket.event) => {
                // Refused, it has an answer already.
                let _ = self.input(batch, instance, Input::Published { frame, result: Ok(()) })?;
            }
            _ => batch.releases.push(Release::EventDealt(ticket.event.clone(), dealt)),
        }
        Ok(())
    }

    /// Remembers which namespaces have had an event, where others wait for such events too.
    pub(super) fn remember_takers(
        &mut self,
        batch: &mut Batch,
        event: &CloudEvent,
        takers: &[Arc<str>],
    ) {
        if takers.is_empty() || !self.shared.early.keeps() {
            return;
        }
        let awaited = self.shared.catalog.awaited(event.kind());
        if awaited.iter().all(|it| takers.contains(&it.namespace)) {
            return;
        }
        for namespace in takers {
            self.remember(batch, marker(namespace, event));
        }
    }

    /// Keeps an event for the namespaces where nobody had it.
    pub(super) fn keep_event(
        &mut self,
        batch: &mut Batch,
        keep: EventToKeep,
    ) -> Result<(), JournalError> {
        let EventToKeep { event, namespaces, repeated, consumed, done } = keep;
        let unknown = repeated && {
            let all = self.shared.catalog.awaited(event.kind());
            let mut had = false;
            for it in &all {
                had |= self.is_marked(&marker(&it.namespace, &event))?;
            }
            // It was consumed, and nobody wrote down by whom.
            !had
        };
        let mut kept_until: Option<Timestamp> = None;
        for it in namespaces {
            if unknown || self.is_marked(&marker(&it.namespace, &event))? {
                continue;
            }
            let until = self.shared.early.until(batch.now, it.keep_ms);
            let kept = self.keep_for(batch, &event, (it.namespace, None), until)?;
            kept_until = kept_until.max(kept);
        }
        batch.releases.push(Release::EventDone(done, EventOutcome { consumed, kept_until }));
        Ok(())
    }

    /// Whether a key is remembered by any partition.
    fn is_marked(&self, key: &Arc<[u8]>) -> Result<bool, JournalError> {
        if self.has_seen(key)? {
            return Ok(true);
        }
        for number in 0..self.shared.journal.partitions() {
            if self.shared.journal.has_seen(PartitionId(number), key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps an event for a namespace, or for one instance of it; until when, if it is.
    fn keep_for(
        &mut self,
        batch: &mut Batch,
        event: &Arc<CloudEvent>,
        (namespace, instance): (Arc<str>, Option<InstanceId>),
        until: Timestamp,
    ) -> Result<Option<Timestamp>, JournalError> {
        let key = early_key(&namespace, &identity(event), instance);
        let (event, at) = (event.clone(), batch.now);
        let kept = EarlyEvent { key, namespace, instance, event, at, until };
        let body = kept.encode()?;
        match self.shared.early.keep(kept, batch.now) {
            Kept::New => {
                batch.bytes += body.len() as u64;
                batch.commit.early.push(EarlyWrite::Put(key, body));
                batch.releases.push(Release::EarlyKept(key));
                Ok(Some(until))
            }
            Kept::Already(until) => Ok((until > batch.now).then_some(until)),
            Kept::Full => Ok(None),
        }
    }

    /// Offers an event to one instance; it is kept for it where it does not wait for it yet.
    pub(super) fn event_to(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        ticket: &EventTicket,
    ) -> Result<(), JournalError> {
        let event = ticket.event.clone();
        let Some(dealt) = ticket.stamp(0) else { return Ok(()) };
        let mut outcome = EventOutcome::default();
        let key = part(&identity(&event), Some(id));
        if let Some(namespace) = self.namespace_of(id)?
            && !self.has_seen(&key)?
        {
            let (consumed, _) =
                self.hand_over(batch, id, (&event, INSTANCE_FILTER_STEPS), false)?;
            let open = self.residents.get(id).is_some_and(|it| it.instance.ending.is_none());
            if consumed {
                self.remember(batch, key);
                outcome.consumed = 1;
            } else if open && self.shared.early.keeps() {
                let until = self.shared.early.until(batch.now, None);
                outcome.kept_until = self.keep_for(batch, &event, (namespace, Some(id)), until)?;
            }
        }
        batch.releases.push(Release::EventDone(dealt.done, outcome));
        Ok(())
    }

    /// After a restart: who waits for what is kept may have been about to get it.
    pub(super) fn look_for_early(&mut self, now: Timestamp) {
        for event in self.shared.early.all(now) {
            self.tell_of(&event);
        }
    }

    /// An event may be had now.
    pub(super) fn early_came(&mut self, key: EarlyKey) {
        if let Some(event) = self.shared.early.get(key) {
            self.tell_of(&event);
        }
    }

    fn tell_of(&mut self, event: &EarlyEvent) {
        let candidates = self.routing.candidates(&event.event);
        self.cost += candidates.lookups * ROUTE_COST;
        for id in candidates.instances {
            if event.instance.is_none_or(|it| it == id) && self.schedules.listener(id).is_none() {
                self.eager.add(id);
            }
        }
    }

    /// Offers what is kept to those who may want it, as many as a turn has room for beside its
    /// messages.
    pub(super) fn offer_early(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        let most = self.cost + TURN_COST;
        while self.cost < most
            && !batch.is_full()
            && let Some((id, after)) = self.eager.next()
        {
            if let Some(after) = self.offer_early_to(batch, id, after, most)? {
                self.eager.go_on(id, Some(after));
            }
        }
        Ok(())
    }

    /// Offers what is kept to one instance; where to go on, if the turn has no more room.
    fn offer_early_to(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        mut after: Option<EarlyPlace>,
        most: u64,
    ) -> Result<Option<EarlyPlace>, JournalError> {
        let Some(namespace) = self.namespace_of(id)? else { return Ok(None) };
        while let Some(routes) = self.wanted(id) {
            let (early, whose) = (&self.shared.early, (&*namespace, id));
            let Some(event) = early.find(whose, &routes, after, (self.id, batch.now)) else {
                break;
            };
            after = Some((event.at, event.key));
            self.cost += ROUTE_COST + MESSAGE_COST / 4;
            if self.had(&event)? {
                self.leave_early(batch, event.key);
            } else if self.hand_over(batch, id, (&event.event, INSTANCE_FILTER_STEPS), true)?.0 {
                self.remember_early(batch, &event, id);
                self.leave_early(batch, event.key);
            } else {
                for other in self.shared.early.put_back(event.key) {
                    batch.releases.push(Release::EarlyAgain(other, event.key));
                }
            }
            if self.cost >= most || batch.is_full() {
                return Ok(after);
            }
        }
        Ok(None)
    }

    /// What an instance waits for; nothing where it has enough to do.
    fn wanted(&mut self, id: InstanceId) -> Option<Vec<Route>> {
        let resident = self.residents.get(id).filter(|it| it.instance.ending.is_none())?;
        // Events pass by what is set aside, until it goes on.
        if is_busy(&resident.instance) || resident.instance.quarantine.is_some() {
            self.eager.busy.insert(id);
            return None;
        }
        let (plan, instance) = (&resident.plan, &resident.instance);
        let visits = instance.frames.iter().filter(|(_, it)| matches!(it.body, Body::Listening(_)));
        let interests = visits.filter_map(|(frame, _)| interest(plan, instance, *frame));
        let routes: Vec<_> = interests.flat_map(|it| it.into_routes()).collect();
        (!routes.is_empty()).then_some(routes)
    }

    /// Whether an instance of this partition has had an event before, in the same namespace.
    fn had(&self, event: &EarlyEvent) -> Result<bool, JournalError> {
        let key = identity(&event.event);
        if let Some(instance) = event.instance {
            return self.has_seen(&part(&key, Some(instance)));
        }
        if self.has_seen(&marker(&event.namespace, &event.event))? {
            return Ok(true);
        }
        if !self.has_begun(&key)? {
            return Ok(false);
        }
        for it in self.shared.catalog.awaited(event.event.kind()) {
            if self.has_seen(&marker(&it.namespace, &event.event))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn remember_early(&mut self, batch: &mut Batch, event: &EarlyEvent, id: InstanceId) {
        let key = identity(&event.event);
        match event.instance {
            Some(_) => self.remember(batch, part(&key, Some(id))),
            None => {
                self.remember(batch, marker(&event.namespace, &event.event));
                self.remember(batch, key);
            }
        }
    }

    fn leave_early(&mut self, batch: &mut Batch, key: EarlyKey) {
        self.shared.early.consumed(key);
        batch.commit.early.push(EarlyWrite::Remove(key));
        batch.releases.push(Release::EarlyGone(key));
    }
}

/// What is remembered of an event that a namespace has had.
fn marker(namespace: &str, event: &CloudEvent) -> Arc<[u8]> {
    Arc::from(early_key(namespace, &identity(event), None).0.as_slice())
}

/// True when so many events wait for a `foreach` that more had better wait elsewhere.
fn is_busy(instance: &Instance) -> bool {
    instance.frames.values().any(|frame| match &frame.body {
        Body::Listening(listening) => listening.queue.len() >= limits::EARLY_QUEUE,
        _ => false,
    })
}
