//! Messages come in: what a turn has room for goes to where its kind is dealt with, the rest waits
//! in line.

use std::sync::Arc;

use windlass_proto::expression::steps_taken;
use windlass_proto::id::InstanceId;
use windlass_proto::limits::{MESSAGE_COST, TURN_COST, TURN_MESSAGES};

use super::lanes::{Item, Lane};
use super::message::{Message, Shown};
use super::release::Release;
use super::{Batch, Partition};
use crate::engine::Input;
use crate::journal::JournalError;

impl Partition {
    /// Decides on messages in the order they came while that is all there is, and by turns of
    /// namespaces when there is more than one turn has room for.
    pub(super) fn take_all(
        &mut self,
        batch: &mut Batch,
        messages: &mut Vec<Message>,
    ) -> Result<(), JournalError> {
        self.name(messages);
        let few = messages.len() <= TURN_MESSAGES;
        let mut taken = 0;
        for message in messages.drain(..) {
            if few && self.lanes.is_empty() && self.has_room(batch) {
                self.decide_on(batch, Item::Message(message, None))?;
                taken += 1;
            } else {
                let (lane, instance) = self.lane(&message);
                let charge = self.memory().waiting_if_large(message.weight());
                self.lanes.push(lane, instance, Item::Message(message, charge));
            }
        }
        while taken < TURN_MESSAGES
            && self.has_room(batch)
            && let Some(item) = self.lanes.pop()
        {
            self.decide_on(batch, item)?;
            taken += 1;
        }
        Ok(())
    }

    /// False when the turn should end: it has cost much, or what it decided is much to write.
    fn has_room(&self, batch: &Batch) -> bool {
        self.cost < TURN_COST && !batch.is_full()
    }

    fn decide_on(&mut self, batch: &mut Batch, item: Item) -> Result<(), JournalError> {
        let (before, cost) = (steps_taken(), self.cost);
        match item {
            Item::Message(message, charge) => {
                // From now on it takes the memory of its instance.
                drop(charge);
                self.take(batch, message)?;
            }
            Item::Offer(offer) => self.go_on(batch, offer)?,
        }
        // Offers count by themselves, as they end by that.
        let spent = steps_taken().wrapping_sub(before).max(self.cost - cost);
        self.cost = cost + spent + MESSAGE_COST;
        Ok(())
    }

    /// Hands a message to where its kind is dealt with.
    pub(super) fn take(&mut self, batch: &mut Batch, message: Message) -> Result<(), JournalError> {
        match message {
            Message::Start(start) => self.start(batch, *start),
            Message::Succeed(new) => self.succeed(batch, *new),
            Message::Remove { instance, ended_at, reply } => {
                self.remove(batch, instance, ended_at, reply)
            }
            Message::Input { instance, input, reply } => {
                let answer = self.input(batch, instance, input)?;
                if let Some(reply) = reply {
                    batch.releases.push(Release::Answered(reply, answer));
                }
                Ok(())
            }
            Message::Reported(report) => self.reported(batch, report),
            Message::Lost { key, loss } => self.lost(batch, &key, loss),
            Message::CancelChild { parent, child } => {
                self.parked.remove(child);
                let reason = Some(Arc::from("the parent workflow does not wait for it any more"));
                // Refused, it has ended already or was never started: all the same to the parent.
                let _ = self.input(batch, child, Input::Cancel { reason })?;
                let gone = Input::ChildGone { child };
                batch.releases.push(Release::Tell(parent, gone));
                Ok(())
            }
            Message::Event(ticket) => self.event(batch, ticket),
            Message::EventTo { instance, ticket } => self.event_to(batch, instance, &ticket),
            Message::Stamped { ticket, .. } => self.stamped(batch, ticket),
            Message::Keep(keep) => self.keep_event(batch, *keep),
            Message::Early(key, only) => {
                self.early_came(key, only);
                Ok(())
            }
            Message::EmitAgain { instance, frame } => self.emit_again(batch, instance, frame),
            Message::Show { instance, approval, reply } => {
                // Read from the journal elsewhere: everybody would wait for it here.
                let shown = self.residents.get(instance).map_or(Shown::NotInMemory, |it| {
                    Shown::View(Box::new(crate::view::view(&it.plan, &it.instance, approval)))
                });
                batch.releases.push(Release::Shown(reply, shown));
                Ok(())
            }
            Message::Limit(news) => {
                self.limit_news(batch, &news);
                Ok(())
            }
            Message::LimitPlace { key, name, reply } => {
                let place = self.limits.place(&key, name);
                batch.releases.push(Release::LimitPlace(reply, place));
                Ok(())
            }
            Message::Schedule(order) => self.order(batch, order),
            Message::Settle(reply) => {
                self.settling.push(reply);
                Ok(())
            }
            Message::Watch { instance, watch } => self.watch(batch, instance, watch),
        }
    }

    /// Where a message waits, and among whose messages it keeps its place.
    fn lane(&self, message: &Message) -> (Lane, Option<InstanceId>) {
        match message {
            Message::Schedule(_) | Message::LimitPlace { .. } => return (Lane::Operators, None),
            // What is said of one key comes from one namespace, and keeps its order.
            Message::Limit(news) => return (Lane::Namespace(news.namespace()), None),
            _ => {}
        }
        let Some(instance) = message.instance() else { return (Lane::Events, None) };
        let known = || match message {
            Message::Start(start) => Some(Lane::Namespace(start.plan.id.namespace.clone())),
            Message::Succeed(new) => Some(Lane::Namespace(new.plan.id.namespace.clone())),
            _ => {
                let resident = self.residents.get(instance)?;
                Some(Lane::Namespace(resident.plan.id.namespace.clone()))
            }
        };
        if let Message::Show { .. }
        | Message::Watch { .. }
        | Message::Remove { .. }
        | Message::Input { reply: Some(_), .. } = message
        {
            // Nothing that was answered is behind these in any line.
            return (Lane::Operators, None);
        }
        let lane = self.lanes.place(instance).or_else(known).unwrap_or(Lane::Elsewhere);
        (lane, Some(instance))
    }
}
