//! Tells traces from the journal: of instances that fault and were not recorded, and after a crash
//! what a collector has not taken.
//!
//! On a thread of its own: whoever decides on instances does not wait for it. What finds no place
//! in line is not told, and counted as dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_telemetry::FinishedSpan;

use super::history::History;
use super::lives::Life;
use super::{Told, Tracer};
use crate::catalog::Catalog;
use crate::journal::{Filter, Journal, JournalError};

/// Tells instances from their journal.
pub(crate) struct Teller {
    sender: Mutex<Option<SyncSender<InstanceId>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    tracer: Tracer,
    /// What earlier processes left is not told any more: the next process has it to tell.
    stops: Arc<AtomicBool>,
}

impl Teller {
    /// Starts the thread. `earlier` is what earlier processes have told.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start(
        tracer: Tracer,
        journal: Arc<dyn Journal>,
        catalog: Arc<Catalog>,
        earlier: Option<Told>,
    ) -> Result<Self, JournalError> {
        let (sender, receiver) = sync_channel(limits::TOLD_QUEUED);
        let spans = tracer.clone();
        let stops = Arc::new(AtomicBool::new(false));
        let stopped = stops.clone();
        let run = move || {
            let sampler = spans.sampler;
            let history = History { sampler, journal: &*journal, catalog: &catalog };
            let telling = Telling { tracer: &spans, history, stopped: &stopped };
            if let Some(told) = earlier {
                telling.again(&told, &receiver);
            }
            receiver.iter().for_each(|instance| telling.tell_or_miss(instance));
        };
        let thread = thread::Builder::new()
            .name("traces".to_owned())
            .spawn(run)
            .map_err(|error| JournalError::Store(format!("no thread to be had: {error}")))?;
        let (sender, thread) = (Mutex::new(Some(sender)), Mutex::new(Some(thread)));
        Ok(Self { sender, thread, tracer, stops })
    }

    /// Puts an instance in line; never blocks.
    pub(crate) fn tell(&self, instance: InstanceId) {
        let sender = self.sender.lock().unwrap_or_else(|it| it.into_inner());
        if sender.as_ref().is_none_or(|it| it.try_send(instance).is_err()) {
            self.tracer.spans.missed();
        }
    }

    /// Ends: what is in line or was left by earlier processes is not told any more, and counts as
    /// dropped, so that the next process tells it. Blocking, for as long as one instance takes.
    pub(crate) fn close(&self) {
        self.stops.store(true, Ordering::Release);
        drop(self.sender.lock().unwrap_or_else(|it| it.into_inner()).take());
        let thread = self.thread.lock().unwrap_or_else(|it| it.into_inner()).take();
        // A panic there was reported by it.
        thread.into_iter().for_each(|it| drop(it.join()));
    }
}

/// What the thread works with.
struct Telling<'t> {
    tracer: &'t Tracer,
    history: History<'t>,
    stopped: &'t AtomicBool,
}

impl Telling<'_> {
    /// Tells an instance, unless the end is waited for.
    fn tell_or_miss(&self, instance: InstanceId) {
        match self.stopped.load(Ordering::Acquire) {
            true => self.tracer.spans.missed(),
            false => self.tell(instance),
        }
    }

    /// Tells all spans of an instance.
    fn tell(&self, instance: InstanceId) {
        match self.history.spans(instance, None) {
            Ok(spans) => self.tracer.record(spans),
            Err(error) => self.failed(instance, &error),
        }
    }

    /// Tells what ended in earlier processes, was recorded by them, and no collector has taken.
    /// What is in line meanwhile is told in between.
    fn again(&self, told: &Told, line: &Receiver<InstanceId>) {
        if told.lives.is_empty() {
            return;
        }
        let (mut looked_at, mut left, mut cursor) = (0, limits::TOLD_AGAIN, None);
        while looked_at < limits::TOLD_AGAIN_SCAN && left > 0 {
            line.try_iter().for_each(|instance| self.tell(instance));
            let page = match self.history.journal.list(
                &Filter::default(),
                cursor,
                limits::TOLD_AGAIN_PAGE,
            ) {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "traces of before the start cannot be told");
                    return;
                }
            };
            looked_at += page.items.len();
            for (instance, head) in &page.items {
                if self.stopped.load(Ordering::Acquire) {
                    // Counted, so that this process does not end as one whose spans are all told.
                    self.tracer.spans.missed();
                    return;
                }
                let is_met = |it: &&Life| it.meets(head.started_at, head.ended_at);
                let mut lives = told.lives.iter().filter(is_met).peekable();
                if lives.peek().is_none() || left == 0 {
                    continue;
                }
                left -= 1;
                lives.for_each(|life| self.rest(*instance, life, told));
            }
            cursor = page.next;
            if cursor.is_none() {
                return;
            }
        }
    }

    /// Tells what of an instance ended in one earlier process and no collector has taken.
    fn rest(&self, instance: InstanceId, life: &Life, told: &Told) {
        let history = History { sampler: life.sampler, ..self.history };
        match history.spans(instance, Some(life)) {
            Ok(spans) => {
                let is_missing = |it: &FinishedSpan| {
                    life.has(it.end) && !told.spans.contains(&it.span_id.number())
                };
                self.tracer.record(spans.into_iter().filter(is_missing).collect());
            }
            Err(error) => self.failed(instance, &error),
        }
    }

    fn failed(&self, instance: InstanceId, error: &JournalError) {
        tracing::warn!(%instance, %error, "the trace of an instance cannot be told");
        self.tracer.spans.untold();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
