//! Events that nobody waited for when they came: kept, and handed to whoever begins to wait.
//!
//! The partition that an event falls to keeps it, once all have offered it to their instances. A
//! visit that begins to wait is remembered as eager, and offered what is kept at the end of the
//! turn; so are, after a restart and when an event has just become durable, those that wait for it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits::{
    self, INSTANCE_FILTER_STEPS, LOAD_COST, MESSAGE_COST, ROUTE_COST, TURN_COST,
};
use windlass_proto::time::Timestamp;

use super::events::part;
use super::message::{Dealt, Done, EventOutcome, EventTicket, EventToKeep};
use super::release::Release;
use super::{Batch, Partition};
use crate::early::{EarlyEvent, EarlyPlace, HANDED_OUT, Kept, Whose, early_key, identity};
use crate::engine::{Body, Input, Instance, Route, interest};
use crate::journal::{EarlyKey, EarlyWrite, JournalError};

/// Instances that may want what is kept.
#[derive(Default)]
pub(super) struct Eager {
    order: VecDeque<InstanceId>,
    /// What each has to look at.
    looks: HashMap<InstanceId, Look>,
    /// Those that have enough to do, and may want more once they have gone on.
    busy: HashMap<InstanceId, Look>,
    /// Until when it stands in the journal that an event was handed out here.
    handed_out_until: Timestamp,
}

/// What one instance has to look at among the events that are kept.
#[derive(Debug, Default, PartialEq, Eq)]
struct Look {
    /// All that come after a place, or all there are: it has begun to wait.
    after: Option<Option<EarlyPlace>>,
    /// Events before that which are new, or that another partition had: it has seen the others.
    only: BTreeSet<EarlyPlace>,
}

impl Look {
    fn all() -> Self {
        Self { after: Some(None), only: BTreeSet::new() }
    }

    fn is_over(&self) -> bool {
        self.after.is_none() && self.only.is_empty()
    }

    /// Has to look at these as well, each once and the older ones first.
    fn join(&mut self, other: Self) {
        self.after = match (self.after, other.after) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.only.extend(other.only);
        if self.only.len() > limits::EARLY_ONES
            && let Some(first) = self.only.first()
        {
            let from = before(*first);
            self.after = Some(self.after.map_or(from, |it| it.min(from)));
        }
        if let Some(after) = self.after {
            self.only.retain(|place| Some(*place) <= after);
        }
    }
}

/// The place just before another one.
fn before((at, key): EarlyPlace) -> Option<EarlyPlace> {
    match u128::from_be_bytes(key.0).checked_sub(1) {
        Some(key) => Some((at, EarlyKey(key.to_be_bytes()))),
        None => Some((Timestamp(at.0.checked_sub(1)?), EarlyKey([u8::MAX; 16]))),
    }
}

impl Eager {
    /// It begins to wait: it has to look at all there are.
    pub(super) fn add(&mut self, id: InstanceId) {
        self.join(id, Look::all());
    }

    /// One event is new for it.
    fn one(&mut self, id: InstanceId, place: EarlyPlace) {
        self.join(id, Look { after: None, only: BTreeSet::from([place]) });
    }

    fn join(&mut self, id: InstanceId, look: Look) {
        if look.is_over() {
            return;
        }
        if !self.looks.contains_key(&id) {
            self.order.push_back(id);
        }
        self.looks.entry(id).or_default().join(look);
    }

    fn next(&mut self) -> Option<(InstanceId, Look)> {
        let id = self.order.pop_front()?;
        Some((id, self.looks.remove(&id).unwrap_or_default()))
    }

    /// It has enough to do.
    fn rest(&mut self, id: InstanceId, look: Look) {
        self.busy.entry(id).or_default().join(look);
    }

    /// Something happened to an instance.
    pub(super) fn went_on(&mut self, id: InstanceId) {
        if !self.busy.is_empty()
            && let Some(look) = self.busy.remove(&id)
        {
            self.join(id, look);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// What an instance waits for.
enum Wanted {
    Routes(Vec<Route>),
    /// It has enough to do.
    Later,
    Nothing,
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
        ticket: Arc<EventTicket>,
    ) -> Result<(), JournalError> {
        if self.may_be_kept(&ticket.event) {
            batch.releases.push(Release::Stamp(ticket, 0));
        } else if let Some(Dealt { done: Done::Emitter(_, instance, frame), .. }) = ticket.stamp(0)
        {
            // Refused, it has an answer already.
            let _ = self.input(batch, instance, Input::Published { frame, result: Ok(()) })?;
        }
        Ok(())
    }

    /// Remembers which namespaces have had an event that others may keep; `begun`, if that may
    /// have been begun. Where nobody else waits for such events, nothing more is written: a repeat
    /// is kept for nobody then.
    pub(super) fn remember_takers(
        &mut self,
        batch: &mut Batch,
        event: &CloudEvent,
        takers: &[Arc<str>],
        begun: bool,
    ) {
        let early = &self.shared.early;
        let may_be_kept = || match takers {
            [only] if !begun => self.shared.catalog.is_awaited_beside(event.kind(), only),
            _ => self.may_be_kept(event),
        };
        if takers.is_empty() || !early.keeps() || !may_be_kept() {
            return;
        }
        self.remember(batch, noted(event));
        for namespace in takers {
            self.remember(batch, marker(namespace, event));
        }
    }

    /// Keeps an event for the namespaces where nobody had it: as many as a turn has room for.
    pub(super) fn keep_event(
        &mut self,
        batch: &mut Batch,
        mut keep: EventToKeep,
    ) -> Result<(), JournalError> {
        let event = keep.event.clone();
        while let Some(it) = keep.namespaces.pop() {
            self.cost += LOAD_COST;
            // Its marker is looked for again once the place is taken.
            let had = self.had_by(&it.namespace, &event)?;
            if !had {
                let until = self.shared.early.until(batch.now, it.keep_ms);
                let kept = self.keep_for(batch, &event, (it.namespace, None), until)?;
                keep.kept_until = keep.kept_until.max(kept);
            }
            if (self.cost >= TURN_COST || batch.is_full()) && !keep.namespaces.is_empty() {
                batch.releases.push(Release::KeepRest(Box::new(keep)));
                return Ok(());
            }
        }
        let EventToKeep { consumed, kept_until, done, .. } = keep;
        batch.releases.push(Release::EventDone(done, EventOutcome { consumed, kept_until }));
        Ok(())
    }

    /// Whether a namespace has had an event. Where it was consumed and it is not written down by
    /// whom, nobody else was waiting for such events.
    fn had_by(&self, namespace: &str, event: &CloudEvent) -> Result<bool, JournalError> {
        let (key, noted) = (identity(event), noted(event));
        let begun = part(&key, None);
        let mut consumed = false;
        for partition in (0..self.shared.journal.partitions()).map(PartitionId) {
            if self.has_seen_at(partition, &key)? || self.has_seen_at(partition, &begun)? {
                if !self.has_seen_at(partition, &noted)? {
                    return Ok(true);
                }
                consumed = true;
            }
        }
        Ok(consumed && self.is_marked(&marker(namespace, event))?)
    }

    /// Whether a key is remembered by a partition, as far as that is durable where it is another.
    fn has_seen_at(&self, partition: PartitionId, key: &Arc<[u8]>) -> Result<bool, JournalError> {
        if partition == self.id {
            return self.has_seen(key);
        }
        self.shared.journal.has_seen(partition, key)
    }

    /// Whether a namespace keeps an event, or had it from what it kept.
    pub(super) fn is_kept(
        &self,
        now: Timestamp,
        namespace: &str,
        event: &CloudEvent,
    ) -> Result<bool, JournalError> {
        if !self.shared.early.may_know(now) {
            return Ok(false);
        }
        // What leaves the memory meanwhile is remembered by then.
        let key = early_key(namespace, &identity(event), None);
        Ok(self.shared.early.holds(key, now) || self.is_marked(&from_kept(namespace, event))?)
    }

    /// Whether a key is remembered by any partition.
    fn is_marked(&self, key: &Arc<[u8]>) -> Result<bool, JournalError> {
        for number in 0..self.shared.journal.partitions() {
            if self.has_seen_at(PartitionId(number), key)? {
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
        let kept = Arc::new(EarlyEvent { key, namespace, instance, event, at, until });
        match self.shared.early.keep(kept.clone(), batch.now) {
            Kept::New => {
                // Only now: a copy that was consumed is remembered before its place is free.
                let had = kept.instance.is_none() && self.had_by(&kept.namespace, &kept.event)?;
                if had {
                    self.shared.early.gone(key);
                    return Ok(None);
                }
                let body = kept.encode().inspect_err(|_| self.shared.early.gone(key))?;
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
        let key = sent_to(id, &event);
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
            for id in self.who_may_want(&event) {
                self.eager.add(id);
            }
        }
    }

    /// An event may be had now: by all, or by one that did not get to see it.
    pub(super) fn early_came(&mut self, key: EarlyKey, only: Option<InstanceId>) {
        let Some(event) = self.shared.early.get(key) else { return };
        let place = (event.at, event.key);
        let instances = only.map_or_else(|| self.who_may_want(&event), |id| vec![id]);
        for id in instances {
            self.eager.one(id, place);
        }
    }

    fn who_may_want(&mut self, event: &EarlyEvent) -> Vec<InstanceId> {
        let candidates = self.routing.candidates(&event.event);
        self.cost += candidates.lookups * ROUTE_COST;
        let mut instances: Vec<_> = candidates.instances.into_iter().collect();
        instances.retain(|id| {
            // Of those that are not in memory the namespace is not known yet.
            let is_foreign = |id: InstanceId| {
                self.residents.get(id).is_some_and(|it| it.plan.id.namespace != event.namespace)
            };
            event.instance.is_none_or(|it| it == *id)
                && self.schedules.listener(*id).is_none()
                && !is_foreign(*id)
        });
        instances
    }

    /// Offers what is kept to those who may want it, as many as a turn has room for beside its
    /// messages.
    pub(super) fn offer_early(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        let most = self.cost + TURN_COST;
        while self.cost < most
            && !batch.is_full()
            && let Some((id, look)) = self.eager.next()
        {
            let rest = self.offer_early_to(batch, id, look, most)?;
            self.eager.join(id, rest);
        }
        Ok(())
    }

    /// Offers what is kept to one instance; what it has yet to look at, if the turn has no more
    /// room.
    fn offer_early_to(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        mut look: Look,
        most: u64,
    ) -> Result<Look, JournalError> {
        let Some(namespace) = self.namespace_of(id)? else { return Ok(Look::default()) };
        // Only an event that it consumes changes that.
        let mut wanted = self.wanted(id);
        while !look.is_over() && self.cost < most && !batch.is_full() {
            self.cost += ROUTE_COST + MESSAGE_COST / 4;
            let routes = match &wanted {
                Wanted::Routes(routes) => routes,
                Wanted::Nothing => return Ok(Look::default()),
                Wanted::Later => {
                    self.eager.rest(id, look);
                    return Ok(Look::default());
                }
            };
            let early = &self.shared.early;
            let whose = Whose { namespace: &namespace, instance: id, partition: self.id };
            let found = if let Some((_, key)) = look.only.pop_first() {
                early.take(key, &whose, batch.now)
            } else {
                let found = early.find(&whose, routes, look.after.flatten(), batch.now);
                look.after = found.as_ref().map(|event| Some((event.at, event.key)));
                found
            };
            if let Some(event) = found
                && self.offer_one_early(batch, id, &event)?
            {
                wanted = self.wanted(id);
            }
        }
        Ok(look)
    }

    /// Offers an event to one instance, which nobody else is offered meanwhile; true when it has
    /// consumed it.
    fn offer_one_early(
        &mut self,
        batch: &mut Batch,
        id: InstanceId,
        event: &EarlyEvent,
    ) -> Result<bool, JournalError> {
        if self.had(event)? {
            self.leave_early(batch, event.key);
        } else if self.hand_over(batch, id, (&event.event, INSTANCE_FILTER_STEPS), true)?.0 {
            self.remember_early(batch, event, id);
            self.leave_early(batch, event.key);
            return Ok(true);
        } else {
            for (partition, other) in self.shared.early.put_back(event.key) {
                batch.releases.push(Release::EarlyAgain(partition, other, event.key));
            }
        }
        Ok(false)
    }

    fn wanted(&self, id: InstanceId) -> Wanted {
        let resident = self.residents.get(id).filter(|it| it.instance.ending.is_none());
        let Some(resident) = resident else { return Wanted::Nothing };
        // Events pass by what is set aside, until it goes on.
        if is_busy(&resident.instance) || resident.instance.quarantine.is_some() {
            return Wanted::Later;
        }
        let (plan, instance) = (&resident.plan, &resident.instance);
        let visits = instance.frames.iter().filter(|(_, it)| matches!(it.body, Body::Listening(_)));
        let interests = visits.filter_map(|(frame, _)| interest(plan, instance, *frame));
        let routes: Vec<_> = interests.flat_map(|it| it.into_routes()).collect();
        if routes.is_empty() { Wanted::Nothing } else { Wanted::Routes(routes) }
    }

    /// Whether the namespace that keeps an event has had it, or the instance that it is for.
    fn had(&self, event: &EarlyEvent) -> Result<bool, JournalError> {
        match event.instance {
            Some(instance) => self.has_seen(&sent_to(instance, &event.event)),
            None => self.had_by(&event.namespace, &event.event),
        }
    }

    fn remember_early(&mut self, batch: &mut Batch, kept: &EarlyEvent, id: InstanceId) {
        let event = &kept.event;
        match kept.instance {
            Some(_) => self.remember(batch, sent_to(id, event)),
            None => {
                self.remember(batch, noted(event));
                self.remember(batch, marker(&kept.namespace, event));
                self.remember(batch, from_kept(&kept.namespace, event));
                self.remember(batch, identity(event));
                self.remember_handing_out(batch);
            }
        }
    }

    /// Remembers that there are marks of [`from_kept`], for as long as there are.
    fn remember_handing_out(&mut self, batch: &mut Batch) {
        let marks = batch.now.plus(limits::EVENT_REMEMBERED_MS);
        if self.eager.handed_out_until < marks {
            let until = marks.plus(limits::EARLY_HANDED_OUT_MS);
            self.eager.handed_out_until = until;
            batch.commit.seen.push((Arc::from(HANDED_OUT), until));
        }
        self.shared.early.handed_out(marks);
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

/// What is remembered of an event of which it is written down which namespaces had it.
fn noted(event: &CloudEvent) -> Arc<[u8]> {
    Arc::from(early_key("", &[&*identity(event), b"noted"].concat(), None).0.as_slice())
}

/// What is remembered of an event that a namespace has had from what it kept.
fn from_kept(namespace: &str, event: &CloudEvent) -> Arc<[u8]> {
    let key = early_key(namespace, &[&*identity(event), b"\0kept"].concat(), None);
    Arc::from(key.0.as_slice())
}

/// What is remembered of an event that was sent to one instance: it may come to others as well, and
/// to this one with them.
fn sent_to(id: InstanceId, event: &CloudEvent) -> Arc<[u8]> {
    Arc::from(early_key("", &identity(event), Some(id)).0.as_slice())
}

/// True when so many events wait for a `foreach` that more had better wait elsewhere.
fn is_busy(instance: &Instance) -> bool {
    instance.frames.values().any(|frame| match &frame.body {
        Body::Listening(listening) => listening.queue.len() >= limits::EARLY_QUEUE,
        _ => false,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
