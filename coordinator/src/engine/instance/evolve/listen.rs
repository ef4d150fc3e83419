//! Facts of `listen`.

use std::sync::Arc;

use windlass_proto::id::FrameId;
use windlass_proto::value::Value;

use crate::engine::fact::Fact;
use crate::engine::instance::{Body, Instance, Listening};

impl Instance {
    /// Applies a fact of a `listen`.
    pub(super) fn listened(&mut self, fact: &Fact) {
        match fact {
            Fact::Subscribed { frame, expectations } => self.subscribed(*frame, expectations),
            Fact::EventConsumed { frame, filter, item, correlations, last, .. } => {
                self.event_consumed(*frame, (*filter, item.as_ref()), correlations, *last);
            }
            Fact::ItemBegan { frame } => self.item_began(*frame),
            Fact::ItemEnded { frame, output, context } => {
                self.item_ended(*frame, output, context.as_ref());
            }
            Fact::ListenClosed { frame } => self.listen_closed(*frame),
            // No other is handed here.
            _ => {}
        }
    }

    fn subscribed(&mut self, id: FrameId, expectations: &[(Arc<str>, Value)]) {
        let correlations = expectations.iter().cloned().collect();
        let listening = Listening { correlations, ..Listening::default() };
        self.set_body(id, Body::Listening(Box::new(listening)));
        self.changes.subscribed.push(id);
    }

    fn event_consumed(
        &mut self,
        id: FrameId,
        (filter, item): (Option<u32>, Option<&Value>),
        correlations: &[(Arc<str>, Value)],
        last: bool,
    ) {
        let Some((held, Body::Listening(listening))) = self.body_held(id) else { return };
        let matched = match item {
            Some(_) => &mut listening.matched,
            None => &mut listening.until_matched,
        };
        if let Some(filter) = filter
            && !matched.contains(&filter)
        {
            matched.push(filter);
        }
        for (key, value) in correlations {
            held.add(value);
            let old = listening.correlations.insert(key.clone(), value.clone());
            old.iter().for_each(|old| held.take(old));
        }
        listening.weight += item.map_or(0, Value::weight);
        item.iter().for_each(|item| held.add(item));
        listening.queue.extend(item.cloned());
        if !correlations.is_empty() && !last {
            self.changes.subscribed.push(id);
        }
        self.close_listening(id, last);
    }

    fn item_began(&mut self, id: FrameId) {
        if let Some((held, Body::Listening(listening))) = self.body_held(id) {
            let next = listening.queue.pop_front();
            held.replace(&mut listening.value, next.clone().unwrap_or_default());
            held.fill(&mut listening.item, next.clone());
            next.iter().for_each(|it| held.take(it));
        }
        self.restart(id);
    }

    fn item_ended(&mut self, id: FrameId, output: &Value, context: Option<&Value>) {
        if let Some((held, Body::Listening(listening))) = self.body_held(id) {
            held.add(output);
            let taken = listening.item.take();
            taken.iter().for_each(|item| held.take(item));
            let taken = taken.map_or(0, |item| item.weight());
            listening.weight = listening.weight.saturating_sub(taken) + output.weight();
            listening.outputs.push(output.clone());
        }
        if let Some(context) = context {
            self.set_context(id, context.clone());
        }
    }

    fn listen_closed(&mut self, id: FrameId) {
        if let Some((held, Body::Listening(listening))) = self.body_held(id) {
            listening.queue.iter().for_each(|item| held.take(item));
            let dropped = listening.queue.drain(..).map(|item| item.weight()).sum();
            listening.weight = listening.weight.saturating_sub(dropped);
        }
        self.close_listening(id, true);
    }

    /// Stops wanting events once `last` is true.
    fn close_listening(&mut self, id: FrameId, last: bool) {
        if let Some(Body::Listening(listening)) = self.body_mut(id)
            && last
            && !listening.closed
        {
            listening.closed = true;
            self.changes.unsubscribed.push(id);
        }
    }
}
