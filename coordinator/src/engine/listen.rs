//! `listen`: waiting for events.
//!
//! Events that arrive while `foreach` works on an earlier one queue up. Correlations without an
//! expectation are fixed by the first matching event and hold for all filters of the listen.

mod filter;
mod interest;

use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::expression::Template;
use windlass_proto::id::FrameId;
use windlass_proto::limits;
use windlass_proto::plan::{Kind, Listen, Strategy, Subscription, Until};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

use super::evaluate::{Unevaluated, no_secrets_here};
use super::fact::Fact;
use super::flow::{check, fit};
use super::instance::{Body, Listening, Step};
use super::scope::Locals;
use super::turn::Turn;
pub(super) use filter::read;
pub use interest::{Interest, Key, Route, awaited, interest};

impl<'a> Turn<'a> {
    /// Begins to wait for events.
    pub(super) fn listen(&mut self, id: FrameId, listen: &'a Listen, input: &Value) {
        match self.expectations(id, listen, input) {
            Ok(expectations) => self.record(Fact::Subscribed { frame: id, expectations }),
            Err(problem) => return self.fail(id, problem),
        }
        if matches!(&listen.strategy, Strategy::All(filters) if filters.is_empty()) {
            self.record(Fact::ListenClosed { frame: id });
            self.steps.push_back(Step::NextItem { frame: id });
        }
    }

    /// What correlations must be, as far as `expect` says.
    fn expectations(
        &self,
        id: FrameId,
        listen: &Listen,
        input: &Value,
    ) -> Result<Vec<(Arc<str>, Value)>, Problem> {
        let mut expectations: Vec<(Arc<str>, Value)> = Vec::new();
        let filters: Vec<_> = strategies(listen).flat_map(|it| it.filters()).collect();
        let conditions = filters.iter().flat_map(|filter| filter.with.iter().map(|(_, it)| it));
        if conditions.clone().any(Template::uses_secrets) {
            return Err(no_secrets_here("a filter of events"));
        }
        for correlation in filters.iter().flat_map(|filter| &filter.correlate) {
            if correlation.from.uses_secrets() {
                return Err(no_secrets_here("`correlate`"));
            }
            let Some(expect) = &correlation.expect else { continue };
            if expect.uses_secrets() {
                return Err(no_secrets_here("`correlate`"));
            }
            let value = self
                .template(expect, input, id, &Locals::default())
                .and_then(|value| match value.has_sealed() {
                    true => Err(Unevaluated::plain_needed("`expect`")),
                    false => Ok(value),
                })
                .map_err(|it| it.without_worker("`correlate`"))?;
            expectations.push((correlation.key.clone(), value));
        }
        Ok(expectations)
    }

    /// An event arrives; every listening visit that wants it takes it.
    pub(super) fn event_arrived(&mut self, event: &CloudEvent) {
        let listening: Vec<FrameId> = self
            .state
            .frames
            .iter()
            .filter(|(_, it)| matches!(&it.body, Body::Listening(listening) if !listening.closed))
            .map(|(id, _)| *id)
            .collect();
        for id in listening {
            if self.state.frame(id).is_none() {
                // It was too much for a visit before this one, whose error has closed this one too.
                continue;
            }
            let left = self.offering.get();
            let share = left.clamp(limits::FILTER_LEAST_STEPS, limits::FILTER_STEPS);
            self.filtering.set(share);
            self.offer(id, event);
            let taken = share.saturating_sub(self.filtering.get());
            self.offering.set(left.saturating_sub(taken));
            self.filtered.set(self.filtered.get().saturating_add(taken));
        }
    }

    /// Offers an event to one listening visit.
    fn offer(&mut self, id: FrameId, event: &CloudEvent) {
        let Some((Body::Listening(state), Kind::Listen(listen))) = self.work_of(id) else {
            return self.misfit("offer", id);
        };
        if let Strategy::Any { until: Some(Until::Consumed(until)), .. } = &listen.strategy
            && let Some((filter, correlations)) =
                self.matching(id, until, &state.until_matched, state, event)
        {
            let last = is_satisfied(until, &state.until_matched, filter);
            let (frame, item) = (id, None);
            let trace = event.trace();
            self.record(Fact::EventConsumed { frame, filter, item, correlations, last, trace });
            if last {
                self.steps.push_back(Step::NextItem { frame });
            }
            return;
        }
        let Some((filter, correlations)) =
            self.matching(id, &listen.strategy, &state.matched, state, event)
        else {
            // It does not want this one.
            return;
        };
        let last = is_satisfied(&listen.strategy, &state.matched, filter);
        let item = read(event, listen.read);
        if let Err(problem) = room_for_event(state).and_then(|()| self.room_for(&[&item])) {
            return self.fail(id, problem);
        }
        let (frame, item) = (id, Some(item));
        let trace = event.trace();
        self.record(Fact::EventConsumed { frame, filter, item, correlations, last, trace });
        self.steps.push_back(Step::NextItem { frame });
    }

    /// The filter an event matches, with the correlations it fixes.
    #[allow(clippy::type_complexity)]
    fn matching(
        &self,
        id: FrameId,
        strategy: &Strategy,
        matched: &[u32],
        state: &Listening,
        event: &CloudEvent,
    ) -> Option<(Option<u32>, Vec<(Arc<str>, Value)>)> {
        let filters = strategy.filters();
        if filters.is_empty() {
            // Lifecycle events of workflows are for whoever asks for them by type.
            let lifecycle = event.kind().starts_with("io.serverlessworkflow.");
            // What was kept is so for whoever waits for it, not for who hears everything.
            return (!lifecycle && !self.early).then(|| (None, Vec::new()));
        }
        for (number, filter) in (0u32..).zip(filters) {
            if matches!(strategy, Strategy::All(_)) && matched.contains(&number) {
                continue;
            }
            if let Some(correlations) = self.passes_filter(id, filter, state, event) {
                return Some((Some(number), correlations));
            }
        }
        None
    }

    /// Takes up the next event, or ends the listen when no more are wanted.
    pub(super) fn next_item(&mut self, id: FrameId) {
        let Some((Body::Listening(state), Kind::Listen(listen))) = self.work_of(id) else {
            return self.misfit("next_item", id);
        };
        if state.item.is_some() {
            return;
        }
        if state.queue.is_empty() {
            if state.closed {
                let outputs = Value::array(state.outputs.clone());
                let fits = fit(&outputs, "the output of `listen`");
                match fits.and_then(|()| self.room_for(&[&outputs])) {
                    Ok(()) => self.finish_task(id, outputs, None),
                    Err(problem) => self.fail(id, problem),
                }
            }
            return;
        }
        self.record(Fact::ItemBegan { frame: id });
        match &listen.each {
            Some(each) if !each.body.is_empty() => {
                self.steps.push_back(Step::Advance { frame: id, position: 0 });
            }
            Some(_) | None => {
                let item = self.state.raw_for_child(id);
                self.item_ended(id, item);
            }
        }
    }

    /// The tasks of `foreach` gave their output for an event.
    pub(super) fn item_ended(&mut self, id: FrameId, value: Value) {
        let Some((Body::Listening(_), Kind::Listen(listen))) = self.work_of(id) else {
            return self.misfit("item_ended", id);
        };
        let (output, context) = match &listen.each {
            None => (value, None),
            Some(each) => match self.item_output(id, each, value) {
                Ok(output) => output,
                Err(problem) => return self.fail(id, problem),
            },
        };
        self.record(Fact::ItemEnded { frame: id, output, context });
        match self.is_over(id, &listen.strategy) {
            Ok(true) => self.record(Fact::ListenClosed { frame: id }),
            Ok(false) => {}
            Err(problem) => return self.fail(id, problem),
        }
        self.steps.push_back(Step::NextItem { frame: id });
    }

    /// `foreach.output` and `foreach.export` for one event.
    fn item_output(
        &self,
        id: FrameId,
        each: &Subscription,
        value: Value,
    ) -> Result<(Value, Option<Value>), Problem> {
        let mut output = value;
        if let Some(transform) = &each.output.transform {
            let locals = Locals { raw_output: Some(&output), ..Locals::default() };
            output = self
                .template(transform, &output, id, &locals)
                .map_err(|it| it.without_worker("`foreach.output`"))?;
        }
        check(each.output.schema.as_ref(), &output, "the output of `foreach`")?;
        let Some(transform) = &each.export.transform else { return Ok((output, None)) };
        let locals = Locals { output: Some(&output), ..Locals::default() };
        let context = self
            .template(transform, &output, id, &locals)
            .map_err(|it| it.without_worker("`foreach.export`"))?;
        check(each.export.schema.as_ref(), &context, "the context")?;
        Ok((output, Some(context)))
    }

    /// `until` as a condition, on what was gathered so far.
    fn is_over(&mut self, id: FrameId, strategy: &Strategy) -> Result<bool, Problem> {
        let Strategy::Any { until: Some(Until::Condition(condition)), .. } = strategy else {
            return Ok(false);
        };
        let Some(Body::Listening(state)) = self.state.frame(id).map(|frame| &frame.body) else {
            self.misfit("is_over", id);
            return Ok(false);
        };
        let gathered = Value::array(state.outputs.clone());
        self.program(condition, &gathered, id, &Locals::default())
            .map(|it| it.is_truthy())
            .map_err(|it| it.without_worker("`until`"))
    }
}

/// What a `listen` gathered and what waits for `foreach` is bounded.
fn room_for_event(state: &Listening) -> Result<(), Problem> {
    if state.weight > limits::PAYLOAD_BYTES as u64 {
        let detail = format!(
            "the events gathered take more than {} bytes: keep less with `foreach.output.as`, or \
             end the listening earlier with `until`",
            limits::PAYLOAD_BYTES
        );
        return Err(Problem::new(Standard::Runtime, detail));
    }
    if state.queue.len() >= limits::LISTEN_QUEUE {
        let detail = format!("more than {} events wait for `foreach`", limits::LISTEN_QUEUE);
        return Err(Problem::new(Standard::Runtime, detail));
    }
    Ok(())
}

/// The strategy, and the one that ends it.
fn strategies(listen: &Listen) -> impl Iterator<Item = &Strategy> {
    let until = match &listen.strategy {
        Strategy::Any { until: Some(Until::Consumed(until)), .. } => Some(&**until),
        _ => None,
    };
    std::iter::once(&listen.strategy).chain(until)
}

/// True when the event that matched `filter` is the last one a strategy wants.
fn is_satisfied(strategy: &Strategy, matched: &[u32], filter: Option<u32>) -> bool {
    match strategy {
        Strategy::One(_) | Strategy::Any { until: None, .. } => true,
        Strategy::Any { until: Some(_), .. } => false,
        Strategy::All(filters) => {
            let more = filter.is_some_and(|filter| !matched.contains(&filter));
            matched.len() + usize::from(more) >= filters.len()
        }
    }
}
