//! Spans that wait for their export, written as OTLP has them.
//!
//! As bytes they take less room than as the SDK has them, and what they were made of is freed by
//! the thread that has made it: to hand a span whole to another thread took longer than to write
//! it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::trace::SpanData;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::SpanId;

use crate::acknowledged::Listener;
use crate::settings::Batching;
use crate::wire;

/// Spans that leave together.
#[derive(Debug, Default)]
pub(crate) struct SpanBatch {
    /// By the part of the program that makes them: two or three.
    scopes: Vec<(InstrumentationScope, Vec<u8>)>,
    /// How many they are.
    pub(crate) items: u64,
    /// Those of which somebody wants to know whether they were taken.
    pub(crate) ids: Vec<(SpanId, Timestamp)>,
}

/// Batches that wait, and whoever waits for them.
#[derive(Debug)]
pub(crate) struct Batches {
    state: Mutex<State>,
    changed: Condvar,
    batching: Batching,
}

#[derive(Debug, Default)]
struct State {
    full: VecDeque<SpanBatch>,
    filling: SpanBatch,
    /// Since when something is in that.
    since: Option<Instant>,
    /// How often it was asked that all be exported, and how often all was.
    asked: u64,
    answered: u64,
    /// Nothing is taken any more.
    closing: bool,
    /// All that was taken is exported.
    over: bool,
}

impl SpanBatch {
    /// Adds a span that is written.
    pub(crate) fn add(
        &mut self,
        scope: &InstrumentationScope,
        written: &[u8],
        id: Option<(SpanId, Timestamp)>,
    ) {
        self.items += 1;
        self.ids.extend(id);
        match self.scopes.iter_mut().find(|(it, _)| it == scope) {
            Some((_, spans)) => spans.extend_from_slice(written),
            None => self.scopes.push((scope.clone(), written.to_vec())),
        }
    }

    /// The request for all of them, of a resource that is written already.
    pub(crate) fn request(&self, resource: &wire::Resource) -> Vec<u8> {
        wire::request(&self.scopes, resource)
    }
}

impl Batches {
    pub(crate) fn new(batching: Batching) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), batching }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It is never left half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a span; false once nothing is taken any more.
    pub(crate) fn push(&self, span: &SpanData, told: &Listener) -> bool {
        // Others write theirs meanwhile.
        let (written, id) = (wire::span(span), told.id(span));
        let mut state = self.lock();
        if state.closing {
            return false;
        }
        let is_first = state.filling.items == 0;
        state.filling.add(&span.instrumentation_scope, &written, id);
        if state.filling.items >= self.batching.export as u64 {
            let full = std::mem::take(&mut state.filling);
            state.full.push_back(full);
            state.since = None;
            self.changed.notify_all();
        } else if is_first {
            state.since = Some(Instant::now());
            self.changed.notify_all();
        }
        true
    }

    /// What is to be exported next, once it is time; none when all is over. Only one may ask, and
    /// what it has got before is exported when it asks again.
    pub(crate) fn next(&self) -> Option<SpanBatch> {
        let delay = self.batching.delay;
        let mut state = self.lock();
        loop {
            if let Some(full) = state.full.pop_front() {
                return Some(full);
            }
            let waited = state.since.map(|it| it.elapsed());
            let is_due = state.closing || state.asked > state.answered;
            if waited.is_some_and(|it| is_due || it >= delay) {
                state.since = None;
                return Some(std::mem::take(&mut state.filling));
            }
            state.answered = state.asked;
            state.over = state.closing;
            self.changed.notify_all();
            if state.over {
                return None;
            }
            let pause = waited.map_or(delay, |it| delay.saturating_sub(it));
            let woken = self.changed.wait_timeout(state, pause);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has all exported that was taken so far; false where that takes longer.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let mut state = self.lock();
        state.asked += 1;
        let asked = state.asked;
        self.wait(state, within, |it| it.answered >= asked || it.over)
    }

    /// Takes nothing more, and has all exported that was taken; false where that takes longer.
    pub(crate) fn close(&self, within: Duration) -> bool {
        let mut state = self.lock();
        state.closing = true;
        self.wait(state, within, |it| it.over)
    }

    /// Takes nothing more, and waits for nothing.
    pub(crate) fn abandon(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    fn wait(
        &self,
        state: MutexGuard<'_, State>,
        within: Duration,
        is_so: impl Fn(&State) -> bool,
    ) -> bool {
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(state, within, |it| !is_so(it));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
