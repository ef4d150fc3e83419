//! What workers are told: orders become messages, messages become frames.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use serde_bytes::ByteBuf;
use windlass_bus::Bus;
use windlass_proto::limits;
use windlass_proto::plan::{FunctionTarget, Kind};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::packed::Packed;
use windlass_proto::wire::session::SessionId;
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::{Sessions, remaining_ms};
use crate::clock;
use crate::dispatch::dispatcher::{Departure, Order};
use crate::fleet::evaluation;
use crate::fleet::session::{self, Unsent, WorkerSession};

impl Sessions {
    /// Does what follows from what was heard, and says it.
    pub(super) async fn execute_orders(&mut self) {
        if self.is_up() && self.closing.is_none() {
            self.dispatcher.passes(self.clock.now());
            self.dispatcher.assign(&mut self.orders);
        }
        for order in std::mem::take(&mut self.orders) {
            match order {
                Order::Send(session, assignment) => self.send(session, *assignment).await,
                Order::Cancel(session, key) => {
                    self.enqueue(session, |peer| peer.cancelled(key));
                }
                Order::Lost(key, loss) => {
                    self.totals.lost += 1;
                    self.reporter.lost(key, loss);
                }
                Order::GiveUp(key, times, worker) => self.give_up(&key, times, &worker),
                Order::Delayed(worker, key, times, pause_ms) => {
                    self.totals.delayed += 1;
                    // Twice is a bad moment of somebody; each later doubling is told.
                    if times > 3 && times.is_power_of_two() && self.complaints.admits() {
                        let (worker, instance) = (&*worker, key.instance);
                        tracing::warn!(
                            worker,
                            %instance,
                            times,
                            pause_ms,
                            "task redelivery is backing off: it was lost or handed back again"
                        );
                    }
                }
                Order::Dismiss(session, why) => {
                    let peer = self.sessions.remove(&session);
                    // Who asks over HTTP is told at its next request, or by the end of this one.
                    if !peer.as_ref().is_some_and(WorkerSession::is_http) {
                        self.dismissed.push(session);
                    }
                    if let Some(peer) = peer {
                        self.session_ended(peer.identity, why);
                    }
                }
            }
        }
        if self.bus.is_none() || !self.is_up() {
            return self.flush_http();
        }
        let mut pending = std::mem::take(&mut self.pending).into_iter();
        while let Some(session) = pending.next() {
            if !self.flush(session).await {
                // The others would not get through either, and each would take as long to find out.
                return self.pending.extend(pending);
            }
        }
        for session in std::mem::take(&mut self.dismissed) {
            // An empty frame says that the session is no more.
            if !self.publish(self.prefix.to_worker(session).into(), Vec::new()).await {
                return;
            }
        }
    }

    /// Fails a task that no worker takes.
    fn give_up(&mut self, key: &AssignmentKey, times: u32, worker: &str) {
        self.totals.lost += 1;
        let detail = format!(
            "workers were given this task {times} times in a row and each time handed it back, or did \
             not take it; the last was `{worker}`: look at its log"
        );
        tracing::warn!(worker, instance = %key.instance, times, "task failed: no worker accepts it");
        self.answer(key, Problem::new(Standard::Runtime, detail));
    }

    /// A session has ended: who runs workers wants to know of which one, and why.
    fn session_ended(&mut self, identity: Arc<str>, why: Departure) {
        self.tell_left(&identity, why);
        let worker = &*identity;
        match why {
            Departure::Goodbye => tracing::info!(worker, "worker deregistered"),
            Departure::Silent => {
                let lease = self.lease;
                tracing::warn!(worker, ?lease, "worker lost: no heartbeat for a whole lease");
                // Names cost memory; who is forgotten joins instead of being back.
                if self.missing.len() >= limits::WORKERS {
                    self.missing.clear();
                }
                self.missing.insert(identity);
            }
            Departure::Replaced | Departure::Closing => {}
        }
    }

    /// Puts something into the next message of a session.
    pub(super) fn enqueue(&mut self, session: SessionId, add: impl FnOnce(&mut WorkerSession)) {
        if let Some(peer) = self.sessions.get_mut(&session) {
            add(peer);
            self.mark_pending(session);
        }
    }

    async fn send(&mut self, session: SessionId, assignment: Assignment) {
        if session::weight(&assignment) > limits::MESSAGE_BYTES as u64 - limits::FRAME_BYTES as u64
        {
            let most = limits::MESSAGE_BYTES;
            let detail = format!("input and variables of the task exceed {most} bytes together");
            self.dispatcher.reported(&assignment.key);
            return self.answer(&assignment.key, Problem::new(Standard::Runtime, detail));
        }
        if let Err(problem) = self.granter.check(&assignment) {
            self.dispatcher.reported(&assignment.key);
            return self.answer(&assignment.key, problem);
        }
        let token = ByteBuf::from(self.key.token(&assignment.key).to_vec());
        let remaining_ms = remaining_ms(assignment.deadline);
        if let Some(peer) = self.sessions.get_mut(&session).filter(|it| it.is_http()) {
            // Its arguments are evaluated when it asks: until then it shares the instance's values.
            peer.assign(Unsent { assignment, token, remaining_ms });
            self.totals.sent += 1;
            return self.mark_pending(session);
        }
        let evaluates = self.sessions.get(&session).is_none_or(|peer| peer.evaluates);
        let full = if evaluates {
            let unsent = Unsent { assignment, token, remaining_ms };
            self.sessions.get_mut(&session).map(|peer| peer.assign(unsent))
        } else {
            match self.call(&assignment) {
                Ok((function, arguments)) => {
                    let call = session::call(&assignment, function, arguments, token, remaining_ms);
                    self.sessions.get_mut(&session).map(|peer| peer.call(call))
                }
                Err(problem) => {
                    self.dispatcher.reported(&assignment.key);
                    return self.answer(&assignment.key, problem);
                }
            }
        };
        self.totals.sent += 1;
        self.mark_pending(session);
        if full == Some(true) {
            self.flush(session).await;
        }
    }

    /// Function and evaluated arguments, for a worker that does not evaluate.
    fn call(&self, assignment: &Assignment) -> Result<(Arc<str>, Packed), Problem> {
        let (name, arguments) = self.evaluated_call(assignment)?;
        let packed = Packed::of(&arguments);
        let unwritable = |error| Problem::new(Standard::Runtime, format!("the arguments: {error}"));
        Ok((name, packed.map_err(unwritable)?))
    }

    /// The same, not packed.
    pub(super) fn evaluated_call(
        &self,
        assignment: &Assignment,
    ) -> Result<(Arc<str>, Value), Problem> {
        let missing = || Problem::new(Standard::Runtime, "the definition of the task is missing");
        let plan = self.plan(assignment).ok_or_else(missing)?;
        let task = plan.tasks.get(assignment.task.0 as usize).ok_or_else(missing)?;
        let name = match &task.kind {
            Kind::Function(call) => match &call.target {
                FunctionTarget::Registered(name) => name.clone(),
                FunctionTarget::Defined(_) | FunctionTarget::Cataloged(_) => return Err(missing()),
            },
            _ => return Err(missing()),
        };
        Ok((name, evaluation::arguments(&plan, assignment)?))
    }

    /// Publishes what a session has to say. False when the bus does not take it.
    async fn flush(&mut self, session: SessionId) -> bool {
        let Some(frame_bytes) = self.bus.as_ref().map(Bus::frame_bytes) else { return true };
        let Some(peer) = self.sessions.get_mut(&session) else { return true };
        peer.waiting = false;
        if peer.is_http() {
            self.answer_poll(session);
            return true;
        }
        peer.grant(&self.granter, clock::now());
        let Some((sealed, subject)) = peer.seal(frame_bytes) else { return true };
        for key in &sealed.keys {
            self.dispatcher.sent(key, sealed.last);
        }
        for frame in sealed.frames {
            if !self.publish(subject.clone(), frame).await {
                // A message that lacks a frame is none: nobody will begin what was in it.
                self.dispatcher.unsent(&sealed.keys, &mut self.orders);
                return false;
            }
        }
        true
    }

    /// False when the bus does not take it.
    pub(super) async fn publish(&self, subject: Subject, frame: Vec<u8>) -> bool {
        let Some(bus) = &self.bus else { return true };
        let publish = bus.client.publish(subject, Bytes::from(frame));
        match tokio::time::timeout(Duration::from_millis(limits::BUS_TIMEOUT_MS), publish).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::warn!(%error, "publishing to NATS failed"),
            Err(_) => tracing::warn!("publishing to NATS timed out"),
        }
        false
    }
}
