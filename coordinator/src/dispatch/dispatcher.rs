//! Who performs what: pure bookkeeping of workers, assignments in flight and assignments that wait.
//!
//! It has no clock, no bus and no randomness: everything that happens comes in with its time, and
//! what follows comes out as [`Order`]s. The life of an assignment here:
//!
//! ```text
//!  submit ──> backlog ──assign──> in flight ──reported──> (gone)
//!                                  │  │  └─ the worker is dead, or does not hold it ──> lost
//!                                  │  └─ all workers are silent ─┐
//!                                  └──a worker holds it── orphan <┴── recover
//!                                                           └─ nobody does, a lease long ──> lost
//! ```
//!
//! Who is dead, and who only cannot be heard, is a matter of [`failure_detector`].
//!
//! What is lost goes back to its partition, which journals a new delivery and submits it again: the
//! journal is the truth, nothing here outlives the process.

mod depths;
mod failure_detector;
mod identity_conflicts;
mod in_flight;
mod known;
mod order;
mod orphans;
mod redelivery;
mod roster;
mod times;
mod whereabouts;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::message::{Beat, Held};
use windlass_proto::wire::session::SessionId;
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::backlog::{Backlog, Lane, Waiting};
use super::backlog_counts::BacklogCounts;
use crate::engine::{DeliveryLoss, LossReason};
pub use depths::Depths;
use failure_detector::{FailureDetector, Judgement};
pub use identity_conflicts::Admission;
use identity_conflicts::{CurrentSession, IdentityConflicts};
use in_flight::InFlight;
pub use order::{Departure, Order};
use orphans::{Orphan, Orphans};
use redelivery::{Loss, Redeliveries};
use roster::Member;
pub use roster::{Profile, WorkerView};
pub use times::LaneView;
use times::Times;
pub use whereabouts::Whereabouts;

/// See the module.
pub struct Dispatcher {
    lease_ms: u64,
    backlog: Backlog,
    failure_detector: FailureDetector,
    orphans: Orphans,
    redeliveries: Redeliveries,
    identity_conflicts: IdentityConflicts,
    times: Times,
    /// The latest time that was told.
    now: Timestamp,
    in_flight: HashMap<AssignmentKey, InFlight>,
    members: HashMap<SessionId, Member>,
    /// Sessions that may have room, the next one first.
    turns: VecDeque<SessionId>,
}

impl Dispatcher {
    /// One without workers and work.
    #[must_use]
    pub fn new(lease_ms: u64, backlog_counts: Arc<BacklogCounts>) -> Self {
        Self {
            lease_ms,
            backlog: Backlog::new(backlog_counts),
            failure_detector: FailureDetector::new(lease_ms),
            orphans: Orphans::default(),
            redeliveries: Redeliveries::default(),
            identity_conflicts: IdentityConflicts::default(),
            times: Times::default(),
            now: Timestamp::default(),
            in_flight: HashMap::new(),
            members: HashMap::new(),
            turns: VecDeque::new(),
        }
    }

    /// A new assignment.
    pub fn submit(&mut self, lane: Lane, assignment: Assignment, now: Timestamp) {
        self.backlog.push(lane, assignment, now);
    }

    /// An assignment from before the coordinator started: a worker that still holds it has a
    /// lease's time to say so, from when any worker is heard.
    pub fn recover(&mut self, lane: Lane, assignment: Assignment, now: Timestamp) {
        let key = assignment.key.clone();
        let flight = InFlight {
            session: SessionId([0; 16]),
            sent_at: None,
            times: self.times.of(&lane),
            traced: None,
            lane,
            frame: Some(0),
            bytes: assignment.input.weight(),
            losses: assignment.losses,
            cancelled: false,
            assignment: Some(Arc::new(assignment)),
        };
        let (identity, suspect, until, rests) = (None, false, None, None);
        let (owner, from) = (None, now);
        let orphan = Orphan { flight, identity, owner, suspect, from, until, rests };
        self.orphans.insert(key, orphan);
    }

    /// An assignment is no longer wanted.
    pub fn cancel(&mut self, key: &AssignmentKey, orders: &mut Vec<Order>) {
        self.redeliveries.forget(key);
        if self.backlog.remove(key).is_some() || self.orphans.remove(key).is_some() {
            return;
        }
        if let Some(flight) = self.in_flight.get_mut(key) {
            flight.cancelled = true;
            orders.push(Order::Cancel(flight.session, key.clone()));
        }
    }

    /// Whether a worker of `owner` may join under this identity: not while another process has it,
    /// and never while somebody else's has.
    pub fn admits(
        &mut self,
        identity: &Arc<str>,
        owner: Option<&Arc<str>>,
        now: Timestamp,
    ) -> Admission {
        self.look(now);
        let mut alike = self.members.values().filter(|it| it.profile.identity == *identity);
        if alike.any(|it| !it.profile.yields_to(owner)) {
            return Admission::Refuse;
        }
        if self.orphans.of_another(identity, owner) {
            return Admission::Wait;
        }
        // Whoever could not be heard asks anew, perhaps more than once, and its last words from
        // before have only just arrived.
        let back_at = self.failure_detector.just_back(now);
        let named =
            self.members.iter().filter(|(_, it)| it.ready && it.profile.identity == *identity);
        let sessions = named.map(|(id, it)| CurrentSession { session: *id, heard_at: it.heard_at });
        match sessions.max_by_key(|it| it.heard_at) {
            None => Admission::Welcome,
            Some(current) => {
                self.identity_conflicts.ask(identity, current, self.lease_ms, now, back_at)
            }
        }
    }

    /// A worker was welcomed. It gets nothing before its first beat.
    pub fn join(&mut self, session: SessionId, profile: Profile, now: Timestamp) {
        self.look(now);
        self.orphans.lives(&profile.identity);
        self.members.insert(session, Member::new(profile, now));
    }

    /// A sign of life: adopts what the worker still holds, finds what it has lost.
    pub fn beat(
        &mut self,
        session: SessionId,
        beat: &Beat,
        now: Timestamp,
        proofs: &dyn Proofs,
        orders: &mut Vec<Order>,
    ) {
        self.look(now);
        let Some(member) = self.members.get(&session) else { return };
        let (first, identity) = (!member.ready, member.profile.identity.clone());
        let owner = member.profile.owner.clone();
        // The same process under its former sessions: what it still holds moves here.
        let former = |(id, member): (&SessionId, &Member)| {
            let profile = &member.profile;
            let same = profile.identity == identity && profile.yields_to(owner.as_ref());
            (first && *id != session && same).then_some(*id)
        };
        let former: Vec<_> = self.members.iter().filter_map(former).collect();
        let heard = former.iter().chain([&session]).filter_map(|id| self.members.get(id));
        let heard_at = heard.map(|it| it.heard_at).min().unwrap_or(now);
        let silence = self.failure_detector.silence(heard_at, now);
        self.failure_detector.heard_from(silence, now, self.members.values());
        self.orphans.heard(now.plus(self.lease_ms));
        let Some(member) = self.members.get_mut(&session) else { return };
        member.record_beat(beat, now);
        if beat.goodbye {
            return self.dismiss(session, Departure::Goodbye, false, orders);
        }
        let mut unwanted = 0;
        for held in &beat.held {
            unwanted += usize::from(!self.holds(session, held, proofs, orders));
        }
        if let Some(member) = self.members.get_mut(&session) {
            member.unwanted = unwanted;
        }
        self.reconcile(session, beat, orders);
        if first {
            let held = beat.held.iter().map(|it| &it.key).collect();
            let dropped = self.orphans.dropped_by(&identity, &held);
            let worker = Some(identity.clone());
            let loss = DeliveryLoss { blamed: false, worker, reason: Some(LossReason::NotHeld) };
            orders.extend(dropped.into_iter().map(|key| Order::Lost(key, loss.clone())));
            for id in former {
                self.dismiss(id, Departure::Replaced, false, orders);
            }
        }
        self.turn(session);
    }

    /// Takes note of the time.
    fn look(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.failure_detector.look(now);
    }

    /// A worker says that it holds an assignment. False when nobody wants it any more, and nothing
    /// here counts it.
    fn holds(
        &mut self,
        session: SessionId,
        held: &Held,
        proofs: &dyn Proofs,
        orders: &mut Vec<Order>,
    ) -> bool {
        let key = &held.key;
        match self.in_flight.get(key) {
            Some(flight) if flight.session == session => {
                // It has not ended yet. Or the message did not get through: so it is said again.
                if flight.cancelled {
                    orders.push(Order::Cancel(session, key.clone()));
                }
                return true;
            }
            Some(_) if proofs.is_token(key, &held.token) => {
                self.reassign(key, session);
                return true;
            }
            _ => {}
        }
        if proofs.is_awaited(key) || !proofs.is_token(key, &held.token) {
            return true;
        }
        match self.orphans.remove(key) {
            Some(flight) => {
                self.settle(key, flight, session);
                true
            }
            // Given up meanwhile, or ended: whatever comes of it is not wanted.
            None => {
                orders.push(Order::Cancel(session, key.clone()));
                false
            }
        }
    }

    /// What was sent, must have arrived, and is not held, is lost. Time alone says nothing: where
    /// no frame gets through, they may all lie somewhere and arrive yet. A worker that hears
    /// nothing for a lease takes a new session, in which it shows what did.
    fn reconcile(&mut self, session: SessionId, beat: &Beat, orders: &mut Vec<Order>) {
        let Some(member) = self.members.get(&session) else { return };
        let held: HashSet<&AssignmentKey> = beat.held.iter().map(|it| &it.key).collect();
        let missing = |key: &&AssignmentKey| {
            let frame = self.in_flight.get(*key).and_then(|it| it.frame);
            frame.is_some_and(|frame| frame <= beat.seen) && !held.contains(key)
        };
        let missing: Vec<_> = member.in_flight.iter().filter(missing).cloned().collect();
        for key in missing {
            self.lose(&key, Loss::HandedBack, LossReason::NotHeld, orders);
        }
    }

    /// A report on an assignment has come in: its place is free. Gives the assignment where it was
    /// kept.
    pub fn reported(&mut self, key: &AssignmentKey) -> Option<Arc<Assignment>> {
        self.redeliveries.forget(key);
        if let Some(flight) = self.orphans.remove(key) {
            return flight.assignment;
        }
        let flight = self.untrack(key)?;
        flight.answered(self.now);
        self.turn(flight.session);
        flight.assignment
    }

    /// A worker hands an assignment back.
    pub fn released(&mut self, session: SessionId, key: &AssignmentKey, orders: &mut Vec<Order>) {
        if self.in_flight.get(key).is_some_and(|flight| flight.session == session) {
            self.lose(key, Loss::HandedBack, LossReason::HandedBack, orders);
            self.turn(session);
        }
    }

    /// The frame an assignment went in.
    pub fn sent(&mut self, key: &AssignmentKey, frame: u64) {
        if let Some(flight) = self.in_flight.get_mut(key) {
            flight.frame = Some(frame);
        }
    }

    /// What was put into a message has not left: its worker will never see it.
    pub fn unsent(&mut self, keys: &[AssignmentKey], orders: &mut Vec<Order>) {
        let unsent = LossReason::NotSent;
        keys.iter().for_each(|key| self.lose(key, Loss::Unlucky, unsent, orders));
    }

    /// Ends what has been silent for a lease, where that is not our own deafness. To be called a
    /// few times in each lease, after everything that lies there has been heard.
    pub fn tick(&mut self, now: Timestamp, orders: &mut Vec<Order>) {
        self.look(now);
        self.redeliveries.sweep(now);
        let judgement = self.failure_detector.judge(now, self.members.values());
        let silent = |it: &Member| {
            // Who asked to join and never came has nothing to lose.
            let judged = !it.ready || judgement != Judgement::Nobody;
            judged && self.failure_detector.silence(it.heard_at, now) > self.lease_ms
        };
        let silent: Vec<_> =
            self.members.iter().filter(|(_, it)| silent(it)).map(|(id, _)| *id).collect();
        for session in silent {
            match judgement {
                Judgement::Nobody => self.dismiss(session, Departure::Silent, false, orders),
                Judgement::Each { blame } => {
                    let died = blame && !self.asks(session);
                    self.dismiss(session, Departure::Silent, died, orders);
                }
                Judgement::Together { heard: true, .. } => {
                    self.dismiss(session, Departure::Silent, false, orders);
                }
                Judgement::Together { heard: false, suspect } => {
                    let suspect = suspect && !self.asks(session);
                    self.abandon(session, suspect, now, orders);
                }
            }
        }
        let over = self.orphans.over(&self.failure_detector, self.lease_ms, now);
        orders.extend(over.into_iter().map(|(key, loss)| Order::Lost(key, loss)));
    }

    /// True for a worker that asked to join again after its last beat: it lives, and hears nothing.
    fn asks(&self, session: SessionId) -> bool {
        let Some(silent) = self.members.get(&session) else { return false };
        self.members.values().any(|it| {
            it.profile.identity == silent.profile.identity && it.joined_at > silent.heard_at
        })
    }

    /// True while most workers are silent, and none is given up for it.
    #[must_use]
    pub fn holds_judgement(&self) -> bool {
        self.failure_detector.holds()
    }

    /// The coordinator was cut off and is back: nobody could be heard, so every lease begins anew.
    pub fn reconnected(&mut self, now: Timestamp) {
        self.failure_detector.begin_again(now);
    }

    /// Gives waiting assignments to workers with room: one from each lane in turn.
    pub fn assign(&mut self, orders: &mut Vec<Order>) {
        let mut lanes = self.backlog.lanes();
        while !lanes.is_empty() && !self.turns.is_empty() {
            lanes.retain(|lane| self.assign_one(lane, orders));
        }
    }

    /// False when nothing of this lane can be assigned now.
    fn assign_one(&mut self, lane: &Lane, orders: &mut Vec<Order>) -> bool {
        for losses in self.backlog.suspicions(lane) {
            if let Some(session) = self.pick(lane, Some(losses))
                && let Some(waiting) = self.backlog.pop_suspect(lane, losses)
            {
                self.send(session, lane, waiting, orders);
                return true;
            }
        }
        let Some(session) = self.pick(lane, None) else { return false };
        let Some(waiting) = self.backlog.pop(lane) else { return false };
        self.send(session, lane, waiting, orders);
        true
    }

    fn send(&mut self, session: SessionId, lane: &Lane, waiting: Waiting, orders: &mut Vec<Order>) {
        let Waiting { assignment, since, .. } = waiting;
        self.track(session, lane.clone(), &assignment, since);
        orders.push(Order::Send(session, Box::new(assignment)));
    }

    /// The worker for the next assignment of a lane: the one with most room of a few, so that work
    /// spreads. Workers that turn out to have none leave the ring until they have.
    fn pick(&mut self, lane: &Lane, suspicion: Option<u32>) -> Option<SessionId> {
        let mut best: Option<(usize, SessionId)> = None;
        let (mut compared, mut looked) = (0, self.turns.len());
        while looked > 0 && compared < limits::WORKERS_COMPARED {
            looked -= 1;
            let Some(session) = self.turns.pop_front() else { break };
            let Some(member) = self.members.get_mut(&session) else { continue };
            let room = member.room();
            if room == 0 {
                member.in_turns = false;
                continue;
            }
            self.turns.push_back(session);
            let fits = suspicion.is_none_or(|losses| member.takes_suspect(losses));
            if !fits || !member.profile.takes(lane) {
                continue;
            }
            compared += 1;
            if best.is_none_or(|(most, _)| room > most) {
                best = Some((room, session));
            }
        }
        best.map(|(_, session)| session)
    }

    /// Takes note that an assignment goes to a worker.
    fn track(&mut self, session: SessionId, lane: Lane, assignment: &Assignment, since: Timestamp) {
        let (times, sent_at) = (self.times.of(&lane), Some(self.now));
        let Some(member) = self.members.get_mut(&session) else { return };
        let key = assignment.key.clone();
        let (bytes, losses) = (assignment.input.weight(), assignment.losses);
        member.add(key.clone(), bytes, losses);
        let kept = (!member.profile.evaluates).then(|| Arc::new(assignment.clone()));
        let flight = InFlight {
            session,
            lane,
            frame: None,
            bytes,
            losses,
            cancelled: false,
            sent_at,
            times,
            traced: in_flight::traced(assignment, self.now),
            assignment: kept,
        };
        flight.sent(self.now.since(since));
        self.in_flight.insert(key, flight);
    }

    /// Takes note that an assignment is at its worker no more.
    fn untrack(&mut self, key: &AssignmentKey) -> Option<InFlight> {
        let flight = self.in_flight.remove(key)?;
        if let Some(member) = self.members.get_mut(&flight.session) {
            member.remove(key, flight.bytes, flight.losses);
        }
        Some(flight)
    }

    fn lose(
        &mut self,
        key: &AssignmentKey,
        loss: Loss,
        reason: LossReason,
        orders: &mut Vec<Order>,
    ) {
        let Some(flight) = self.untrack(key) else { return };
        if flight.cancelled {
            return;
        }
        let worker = self.members.get(&flight.session).map(|it| it.profile.identity.clone());
        let (blamed, reason) = (loss == Loss::Blamed, Some(reason));
        let told = DeliveryLoss { blamed, worker: worker.clone(), reason };
        if blamed {
            // Few of these are allowed.
            return orders.push(Order::Lost(key.clone(), told));
        }
        let worker = worker.unwrap_or_else(|| Arc::from("-"));
        let redelivery = self.redeliveries.note(key, loss, self.now);
        if loss == Loss::HandedBack && redelivery.handed_back >= limits::HANDED_BACK {
            self.redeliveries.forget(key);
            return orders.push(Order::GiveUp(key.clone(), redelivery.handed_back, worker));
        }
        match redelivery.pause_ms() {
            0 => orders.push(Order::Lost(key.clone(), told)),
            pause => {
                orders.push(Order::Delayed(worker, key.clone(), redelivery.times, pause));
                let (identity, suspect, from) = (None, false, self.now);
                let (until, rests) = (Some(from.plus(pause)), Some(told));
                let orphan = Orphan { flight, identity, owner: None, suspect, from, until, rests };
                self.orphans.insert(key.clone(), orphan);
            }
        }
    }

    /// An assignment's worker has a new session.
    fn reassign(&mut self, key: &AssignmentKey, session: SessionId) {
        if let Some(flight) = self.untrack(key) {
            self.settle(key, flight, session);
        }
    }

    /// A worker has an assignment that it was sent in another session.
    fn settle(&mut self, key: &AssignmentKey, mut flight: InFlight, session: SessionId) {
        let Some(member) = self.members.get_mut(&session) else { return };
        member.add(key.clone(), flight.bytes, flight.losses);
        flight.session = session;
        flight.frame = Some(0);
        flight.assignment.take_if(|_| member.profile.evaluates);
        self.in_flight.insert(key.clone(), flight);
    }

    /// Ends a session; `died` when its worker may have died of what it held.
    fn dismiss(&mut self, session: SessionId, why: Departure, died: bool, orders: &mut Vec<Order>) {
        let Some(member) = self.members.get_mut(&session) else { return };
        let reason = why.loses();
        for key in std::mem::take(&mut member.in_flight) {
            // Whether it had arrived is not known: what kills at once is never seen in a beat.
            let sent = self.in_flight.get(&key).is_some_and(|it| it.frame.is_some());
            let loss = if died && sent { Loss::Blamed } else { Loss::Unlucky };
            self.lose(&key, loss, reason, orders);
        }
        self.members.remove(&session);
        orders.push(Order::Dismiss(session, why));
    }

    /// Ends a session of a worker that cannot be heard, and neither can any other: what it was sent
    /// is orphaned. `suspect` when its worker may have died of that.
    fn abandon(
        &mut self,
        session: SessionId,
        suspect: bool,
        now: Timestamp,
        orders: &mut Vec<Order>,
    ) {
        let Some(member) = self.members.get_mut(&session) else { return };
        let (identity, owner) = (member.profile.identity.clone(), member.profile.owner.clone());
        for key in std::mem::take(&mut member.in_flight) {
            let Some(flight) = self.in_flight.remove(&key) else { continue };
            if flight.cancelled {
                continue;
            }
            // None takes down a worker that it was not sent to.
            let (suspect, identity) = (suspect && flight.frame.is_some(), Some(identity.clone()));
            let (until, rests, owner) = (None, None, owner.clone());
            let orphan = Orphan { flight, identity, owner, suspect, from: now, until, rests };
            self.orphans.insert(key, orphan);
        }
        self.members.remove(&session);
        orders.push(Order::Dismiss(session, Departure::Silent));
    }

    /// A worker may have room again.
    fn turn(&mut self, session: SessionId) {
        if let Some(member) = self.members.get_mut(&session)
            && !member.in_turns
            && member.room() > 0
        {
            member.in_turns = true;
            self.turns.push_back(session);
        }
    }
}

/// What the dispatcher cannot know by itself.
pub trait Proofs {
    /// True when `token` is that of the assignment.
    fn is_token(&self, key: &AssignmentKey, token: &[u8]) -> bool;
    /// True while a report of the assignment waits for its partition.
    fn is_awaited(&self, key: &AssignmentKey) -> bool;
}

#[cfg(test)]
mod tests;
