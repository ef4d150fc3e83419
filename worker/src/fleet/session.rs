//! One session: assignments in, reports out, signs of life, until it ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Message, Subject, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_bytes::ByteBuf;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use windlass_bus::Bus;
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::wire::hello::{Joined, Welcome};
use windlass_proto::wire::message::{
    Beat, Definition, Sent, StoreTime, ToCoordinator, ToWorker, decode, encode,
};
use windlass_proto::wire::session::Channel;
use windlass_proto::wire::{Assignment, AssignmentKey, Report};

use super::held::{Finished, Held};
use super::outbox::Outbox;
use super::plans::{Plans, compile};
use super::{Event, FleetOptions, health};
use crate::clock;
use crate::trace::{Reporting, Traced};
use crate::worker::Worker;

/// A worker's stay with a coordinator, over all its sessions.
pub(super) struct Member {
    pub(super) worker: Worker,
    pub(super) plans: Arc<Plans>,
    pub(super) bus: Bus,
    pub(super) held: Held,
    /// What it did with secrets.
    pub(super) outbox: Arc<Outbox>,
    pub(super) events: mpsc::UnboundedSender<Inner>,
    pub(super) inbox: mpsc::UnboundedReceiver<Inner>,
    pub(super) health: Arc<health::State>,
    pub(super) capabilities: Vec<Arc<str>>,
    pub(super) identity: Arc<str>,
    pub(super) options: FleetOptions,
    /// When it gives up what it works on; none until it is told to stop.
    pub(super) drained_by: Option<Instant>,
    /// True once it has handed back what it could not finish.
    pub(super) gave_up: bool,
    /// When the clock of the store of secrets was read that was told last.
    pub(super) store_seen: Option<tokio::time::Instant>,
}

/// What its own tasks tell.
pub(super) enum Inner {
    /// A task has ended.
    Done(Box<Report>, Reporting),
    /// A task was not begun, as there was no room for what it would have to tell.
    NotBegun(AssignmentKey),
    /// A definition was compiled, or cannot be.
    Loaded(Digest, Option<Arc<Plan>>),
}

/// How a session ended.
pub(super) enum End {
    /// The worker has left.
    Left,
    /// The session is gone, or the coordinator silent.
    Lost,
}

/// The worker's end of a session.
struct Session {
    channel: Channel,
    subject: Subject,
    welcome: Welcome,
    beats: u64,
    /// When the coordinator was last heard.
    heard: Instant,
    /// When that was last looked at.
    looked: Instant,
    out: ToCoordinator,
    /// True once it was said that a frame was refused.
    complained: bool,
    /// True when the last beat said that the outbox is short of room.
    short: bool,
    /// When that may be said anew.
    next_turn: Instant,
}

impl Member {
    /// Runs a session until it ends.
    pub(super) async fn run_session(
        &mut self,
        joined: Joined,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        notify: &impl Fn(Event),
    ) -> End {
        let listening = self.options.prefix.to_worker(joined.session);
        let Ok(mut frames) = self.bus.client.subscribe(listening).await else { return End::Lost };
        let mut ticks = interval(Duration::from_millis(joined.welcome.beat_ms.max(10)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut session = self.session(joined);
        let mut link = self.bus.link();
        let mut inner = Vec::with_capacity(limits::WORKER_ROUND);
        self.held.begin_again();
        self.outbox.begin_again();
        self.health.joined();
        let end = loop {
            let turn = self.turn(&session);
            tokio::select! {
                frame = frames.next() => match frame {
                    Some(frame) => {
                        if self.recv_all(Some(frame), &mut frames, &mut session) {
                            break End::Lost;
                        }
                    }
                    None => break End::Lost,
                },
                _ = self.inbox.recv_many(&mut inner, limits::WORKER_ROUND) => {
                    inner.drain(..).for_each(|it| self.ended(it, &mut session));
                }
                () = self.outbox.ready() => {}
                () = at(turn) => self.beat(&mut session),
                _ = ticks.tick() => {
                    // What lies here was said in time.
                    if self.recv_all(None, &mut frames, &mut session) || self.silent(&mut session) {
                        break End::Lost;
                    }
                    self.beat(&mut session);
                }
                Ok(()) = link.changed() => {
                    let up = link.borrow_and_update().up;
                    self.link_changed(up, &mut session);
                }
                () = &mut stop, if self.drained_by.is_none() => {
                    notify(Event::Draining);
                    self.worker.give_back_shared();
                    self.drained_by = Some(Instant::now() + self.options.drain);
                    self.beat(&mut session);
                }
                () = at(self.drained_by) => {
                    if self.gave_up {
                        self.leave(&mut session).await;
                        break End::Left;
                    }
                    // What is reported already gets a moment to be answered.
                    (self.gave_up, self.drained_by) = (true, Some(Instant::now() + Duration::from_millis(limits::LAST_WORDS_MS)));
                    session.out.released.extend(self.held.give_up());
                }
            }
            self.flush(&mut session).await;
            if self.drained_by.is_some() && self.is_drained() {
                self.leave(&mut session).await;
                break End::Left;
            }
        };
        self.health.left();
        end
    }

    fn link_changed(&mut self, up: bool, session: &mut Session) {
        session.heard = Instant::now();
        if up {
            // What was on its way when the connection broke may be lost.
            self.held.begin_again();
            self.outbox.begin_again();
        }
        self.beat(session);
    }

    fn session(&self, joined: Joined) -> Session {
        let Joined { session, channel, welcome } = joined;
        Session {
            channel,
            subject: self.options.prefix.to_coordinator(session).into(),
            welcome,
            beats: 0,
            heard: Instant::now(),
            looked: Instant::now(),
            out: ToCoordinator::default(),
            complained: false,
            short: false,
            next_turn: Instant::now(),
        }
    }

    /// True when there is nothing left to do, to give back or to tell.
    pub(super) fn is_drained(&self) -> bool {
        self.held.is_empty() && self.worker.holds_no_secret_session() && self.outbox.is_empty()
    }

    /// Takes a frame, and those that are there already. True when the session is gone.
    fn recv_all(
        &mut self,
        first: Option<Message>,
        frames: &mut Subscriber,
        session: &mut Session,
    ) -> bool {
        let mut next = first.or_else(|| frames.next().now_or_never().flatten());
        for _ in 0..limits::WORKER_ROUND {
            let Some(frame) = next else { return false };
            if frame.payload.is_empty() {
                return true;
            }
            self.receive(&frame, session);
            next = frames.next().now_or_never().flatten();
        }
        next.is_some_and(|frame| {
            self.receive(&frame, session);
            frame.payload.is_empty()
        })
    }

    fn receive(&mut self, frame: &Message, session: &mut Session) {
        match session.channel.open(&frame.payload) {
            Ok(None) => {}
            Ok(Some(bytes)) => match decode(&bytes) {
                Ok(said) => {
                    session.heard = Instant::now();
                    self.take(said, session);
                }
                Err(error) => {
                    self.health.refused();
                    tracing::warn!(%error, "malformed message from the coordinator");
                }
            },
            Err(error) => {
                self.health.refused();
                // Anybody on the bus can cause it: said once a session.
                let first = !std::mem::replace(&mut session.complained, true);
                if first {
                    tracing::warn!(%error, "frame rejected");
                }
            }
        }
    }

    fn take(&mut self, said: ToWorker, session: &mut Session) {
        for settled in said.settled {
            if !settled.accepted {
                tracing::debug!(instance = %settled.key.instance, "stale report");
            }
            self.held.settle(&settled.key);
        }
        if let Some(number) = said.audited {
            self.outbox.settle(number);
        }
        for key in said.cancelled {
            if self.held.cancel(&key) {
                session.out.released.push(key);
            }
        }
        for sent in said.assignments {
            self.assigned(sent, session);
        }
        for Definition { digest, text } in said.definitions {
            self.load(digest, text);
        }
    }

    fn assigned(&mut self, sent: Sent, session: &mut Session) {
        let Sent { key, assignment, token, remaining_ms } = sent;
        if self.held.has(&key) {
            return;
        }
        if self.drained_by.is_some() {
            session.out.released.push(key);
            return;
        }
        let mut assignment: Assignment = match assignment.read() {
            Ok(assignment) => assignment,
            Err(error) => {
                let detail = format!("this worker cannot read the task: {error}; is it older?");
                return self.cannot(key, token, detail);
            }
        };
        // The deadline came by the coordinator's clock; this machine's may be minutes off.
        assignment.deadline = remaining_ms.map(|left| clock::now().plus(left));
        if self.plans.has(&assignment.digest) {
            self.perform(assignment, token);
        } else {
            if !session.out.wanted.contains(&assignment.digest) {
                session.out.wanted.push(assignment.digest.clone());
            }
            self.held.park(assignment, token);
        }
    }

    /// Answers what cannot be performed here: in silence it would be sent again and again.
    fn cannot(&mut self, key: AssignmentKey, token: ByteBuf, detail: String) {
        let problem = Problem::new(Standard::Runtime, detail).with_status(503);
        self.held.perform(key.clone(), token);
        // The receiver lives as long as the worker serves.
        let report = Report::new(key, Err(problem));
        let _ = self.events.send(Inner::Done(Box::new(report), Reporting::untraced()));
    }

    fn perform(&mut self, assignment: Assignment, token: ByteBuf) {
        let cancelled = self.held.perform(assignment.key.clone(), token);
        let (worker, events) = (self.worker.clone(), self.events.clone());
        let identity = self.identity.clone();
        tokio::spawn(async move {
            let traced = Traced::attempt(&assignment, Some(&identity));
            let performed = worker.try_perform_traced(assignment, cancelled, traced.clone());
            let ended = match performed.await {
                Ok(report) => Inner::Done(Box::new(report), traced.report()),
                Err(assignment) => Inner::NotBegun(assignment.key),
            };
            // The receiver lives as long as the worker serves.
            let _ = events.send(ended);
        });
    }

    /// Compiles a definition away from the session.
    fn load(&self, digest: Digest, text: Option<Arc<str>>) {
        let events = self.events.clone();
        tokio::task::spawn_blocking(move || {
            let plan = text.and_then(|text| compile(&digest, &text));
            let _ = events.send(Inner::Loaded(digest, plan));
        });
    }

    fn ended(&mut self, inner: Inner, session: &mut Session) {
        match inner {
            Inner::Done(report, reporting) => {
                let key = report.key.clone();
                match self.held.finish(*report, reporting) {
                    Finished::Report => self.health.performed(),
                    Finished::Release => session.out.released.push(key),
                    Finished::Forgotten => {}
                }
            }
            Inner::NotBegun(key) => {
                if let Finished::Release = self.held.hand_back(&key) {
                    session.out.released.push(key);
                }
            }
            Inner::Loaded(digest, Some(plan)) => {
                self.plans.keep(digest.clone(), plan);
                for (assignment, token) in self.held.unpark(&digest) {
                    self.perform(assignment, token);
                }
            }
            Inner::Loaded(digest, None) => {
                for (assignment, token) in self.held.unpark(&digest) {
                    let detail = "this worker cannot read the definition; is it an older version?";
                    self.cannot(assignment.key, token, detail.to_owned());
                }
            }
        }
    }

    /// True when the coordinator has not been heard for a lease while the bus and this process were
    /// there. To be called with each beat.
    fn silent(&self, session: &mut Session) -> bool {
        let now = Instant::now();
        let beat = Duration::from_millis(session.welcome.beat_ms);
        let looked = std::mem::replace(&mut session.looked, now);
        if now.duration_since(looked) > beat * 2 {
            // It was stopped: what was said meanwhile is still on its way through this process.
            session.heard = now;
        }
        let lease = Duration::from_millis(session.welcome.lease_ms);
        self.bus.is_up() && session.heard.elapsed() > lease
    }

    /// When to say that it takes more work, or takes none, as the outbox of audit events has room
    /// for it; none when that was said.
    fn turn(&self, session: &Session) -> Option<Instant> {
        (self.outbox.is_short() != session.short).then_some(session.next_turn)
    }

    /// Says that it lives, what it holds and what it misses.
    fn beat(&mut self, session: &mut Session) {
        session.beats += 1;
        session.short = self.outbox.is_short();
        session.next_turn = Instant::now() + Duration::from_millis(limits::AUDIT_TURN_MS);
        let leaving = self.drained_by.is_some();
        let store = self.store_time();
        let concurrency = if leaving || session.short { 0 } else { self.options.concurrency };
        session.out.beat = Some(Beat {
            number: session.beats,
            seen: session.channel.received(),
            held: self.held.list(),
            concurrency,
            leaving,
            goodbye: false,
            store,
        });
        session.out.wanted = self.held.wanted();
        if self.bus.is_up() {
            session.out.reports.extend(self.held.overdue(Instant::now()));
        }
        self.health.beat(self.held.len(), concurrency);
    }

    /// What the clock of the store of secrets showed, unless that was said: how long ago it was is
    /// known for moments only, as machines sleep.
    fn store_time(&mut self) -> Option<StoreTime> {
        let clock = self.worker.store_clock()?;
        if self.store_seen.replace(clock.seen) == Some(clock.seen) {
            return None;
        }
        let ago_ms = u64::try_from(clock.seen.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(StoreTime { at: clock.at, ago_ms })
    }

    /// Publishes what there is to say; nothing while there is no connection.
    async fn flush(&mut self, session: &mut Session) {
        if !self.bus.is_up() {
            return;
        }
        // Those that are sent again are cut into messages like the others.
        let mut again = std::mem::take(&mut session.out.reports).into_iter();
        loop {
            let mut weight = 0;
            while weight < limits::MESSAGE_WEIGHT
                && let Some(report) = again.next().or_else(|| self.held.next_report())
            {
                weight += report.outcome.len() as u64;
                session.out.reports.push(report);
            }
            session.out.audit = self.outbox.batch(Instant::now());
            let ToCoordinator { reports, released, wanted, beat, audit } = &session.out;
            let quiet = reports.is_empty() && released.is_empty() && wanted.is_empty();
            if quiet && audit.is_empty() && beat.is_none() {
                return;
            }
            let said = std::mem::take(&mut session.out);
            self.publish(session, &said).await;
        }
    }

    async fn publish(&self, session: &mut Session, said: &ToCoordinator) {
        let bytes = match encode(said) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "a message to the coordinator could not be written");
                return;
            }
        };
        for frame in session.channel.seal(&bytes, self.bus.frame_bytes()) {
            let publish = self.bus.client.publish(session.subject.clone(), frame.into());
            let patience = Duration::from_millis(limits::BUS_TIMEOUT_MS);
            // What does not get through is sent again when no answer comes.
            match tokio::time::timeout(patience, publish).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "publishing to NATS failed"),
                Err(_) => tracing::warn!("publishing to NATS timed out"),
            }
        }
    }

    /// The last word.
    async fn leave(&mut self, session: &mut Session) {
        self.beat(session);
        if let Some(beat) = &mut session.out.beat {
            beat.goodbye = true;
        }
        self.flush(session).await;
        let flushed = self.bus.client.flush();
        // Without it the coordinator finds out by the lease.
        let _ = tokio::time::timeout(Duration::from_millis(limits::BUS_TIMEOUT_MS), flushed).await;
    }
}

/// Returns at `moment`; never without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
