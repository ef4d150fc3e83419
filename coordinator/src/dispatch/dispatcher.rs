//! Who performs what: pure bookkeeping of workers, assignments in flight and assignments that wait.
//!
//! It has no clock, no bus and no randomness: everything that happens comes in with its time, and
//! what follows comes out as [`Order`]s. The life of an assignment here:
//!
//! ```text
//!  submit ──> backlog ──assign──> in flight ──reported──> (gone)
//!                                    │  └─ the worker is silent, or does not hold it ──> lost
//!  recover ──> recovered ──a worker holds it──> in flight
//!                  └─ nobody does, a lease long ──> lost
//! ```
//!
//! What is lost goes back to its partition, which journals a new delivery and submits it again: the
//! journal is the truth, nothing here outlives the process.

mod roster;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use windlass_proto::time::Timestamp;
use windlass_proto::wire::message::{Beat, Held};
use windlass_proto::wire::session::SessionId;
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::backlog::{Backlog, Lane};
use super::census::Census;
use roster::Member;
pub use roster::{Profile, WorkerView};

/// Something to do for who keeps the sessions.
#[derive(Debug)]
pub enum Order {
    /// Send an assignment, then say with [`Dispatcher::sent`] in which frame it went.
    Send(SessionId, Box<Assignment>),
    /// Tell a worker that an assignment is not wanted any more.
    Cancel(SessionId, AssignmentKey),
    /// Tell the partition that a delivery will not be answered; the flag says whether its worker may
    /// have died of it.
    Lost(AssignmentKey, bool),
    /// Forget a session.
    Dismiss(SessionId),
}

/// An assignment at a worker.
struct Flight {
    session: SessionId,
    lane: Lane,
    /// Counter of the frame it went in; none until it was sent.
    frame: Option<u64>,
    since: Timestamp,
    bytes: u64,
    losses: u32,
    cancelled: bool,
    /// Kept where the report of it is still to be transformed here.
    assignment: Option<Arc<Assignment>>,
}

/// An assignment that a worker may hold since before the coordinator started.
struct Recovered {
    assignment: Assignment,
    lane: Lane,
    until: Timestamp,
}

/// See the module.
pub struct Dispatcher {
    lease_ms: u64,
    backlog: Backlog,
    recovered: HashMap<AssignmentKey, Recovered>,
    flights: HashMap<AssignmentKey, Flight>,
    members: HashMap<SessionId, Member>,
    /// Sessions that may have room, the next one first.
    turns: VecDeque<SessionId>,
}

/// How much of what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// Assignments that wait, by lane, and since when the oldest.
    pub waiting: BTreeMap<Lane, (usize, Timestamp)>,
    /// Assignments at workers, by pool.
    pub in_flight: BTreeMap<Arc<str>, usize>,
    /// Assignments that a worker may hold since before a restart.
    pub recovered: usize,
}

impl Dispatcher {
    /// One without workers and work.
    #[must_use]
    pub fn new(lease_ms: u64, census: Arc<Census>) -> Self {
        Self {
            lease_ms,
            backlog: Backlog::new(census),
            recovered: HashMap::new(),
            flights: HashMap::new(),
            members: HashMap::new(),
            turns: VecDeque::new(),
        }
    }

    /// A new assignment.
    pub fn submit(&mut self, lane: Lane, assignment: Assignment, now: Timestamp) {
        self.backlog.push(lane, assignment, now);
    }

    /// An assignment from before the coordinator started: a worker that still holds it has a lease's
    /// time to say so.
    pub fn recover(&mut self, lane: Lane, assignment: Assignment, now: Timestamp) {
        let until = now.plus(self.lease_ms);
        self.recovered.insert(assignment.key.clone(), Recovered { assignment, lane, until });
    }

    /// An assignment is no longer wanted.
    pub fn cancel(&mut self, key: &AssignmentKey, orders: &mut Vec<Order>) {
        if self.backlog.remove(key).is_some() || self.recovered.remove(key).is_some() {
            return;
        }
        if let Some(flight) = self.flights.get_mut(key) {
            flight.cancelled = true;
            orders.push(Order::Cancel(flight.session, key.clone()));
        }
    }

    /// A worker was welcomed. It gets nothing before its first beat.
    pub fn join(&mut self, session: SessionId, profile: Profile, now: Timestamp) {
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
        let Some(member) = self.members.get_mut(&session) else { return };
        let first = !member.ready;
        member.hear(beat, now);
        let identity = member.profile.identity.clone();
        if beat.goodbye {
            return self.dismiss(session, false, orders);
        }
        for held in &beat.held {
            self.holds(session, held, now, proofs, orders);
        }
        self.reconcile(session, beat, now, orders);
        if first {
            // The same process under its former session: what it still holds has just moved here.
            let former = |(id, member): (&SessionId, &Member)| {
                (*id != session && member.profile.identity == identity).then_some(*id)
            };
            let former: Vec<_> = self.members.iter().filter_map(former).collect();
            former.into_iter().for_each(|id| self.dismiss(id, false, orders));
        }
        self.turn(session);
    }

    /// A worker says that it holds an assignment.
    fn holds(
        &mut self,
        session: SessionId,
        held: &Held,
        now: Timestamp,
        proofs: &dyn Proofs,
        orders: &mut Vec<Order>,
    ) {
        let key = &held.key;
        match self.flights.get(key) {
            Some(flight) if flight.session == session => return,
            Some(_) if proofs.is_token(key, &held.token) => return self.rehome(key, session),
            _ => {}
        }
        if proofs.is_awaited(key) || !proofs.is_token(key, &held.token) {
            return;
        }
        match self.recovered.remove(key) {
            Some(Recovered { assignment, lane, .. }) => {
                self.fly(session, lane, &assignment, Some(0), now);
            }
            // Given up meanwhile, or ended: whatever comes of it is not wanted.
            None => orders.push(Order::Cancel(session, key.clone())),
        }
    }

    /// What was sent, has arrived or must have, and is not held, is lost.
    fn reconcile(
        &mut self,
        session: SessionId,
        beat: &Beat,
        now: Timestamp,
        orders: &mut Vec<Order>,
    ) {
        let Some(member) = self.members.get(&session) else { return };
        let held: HashSet<&AssignmentKey> = beat.held.iter().map(|it| &it.key).collect();
        let missing = |key: &&AssignmentKey| {
            let Some(flight) = self.flights.get(*key) else { return false };
            let Some(frame) = flight.frame else { return false };
            let arrived = frame <= beat.seen || now.since(flight.since) > self.lease_ms;
            arrived && !held.contains(key)
        };
        let missing: Vec<_> = member.flights.iter().filter(missing).cloned().collect();
        for key in missing {
            self.lose(&key, false, orders);
        }
    }

    /// A report on an assignment has come in: its place is free. Gives the assignment where it was
    /// kept.
    pub fn reported(&mut self, key: &AssignmentKey) -> Option<Arc<Assignment>> {
        if let Some(Recovered { assignment, .. }) = self.recovered.remove(key) {
            return Some(Arc::new(assignment));
        }
        let flight = self.land(key)?;
        self.turn(flight.session);
        flight.assignment
    }

    /// A worker hands an assignment back.
    pub fn released(&mut self, session: SessionId, key: &AssignmentKey, orders: &mut Vec<Order>) {
        if self.flights.get(key).is_some_and(|flight| flight.session == session) {
            self.lose(key, false, orders);
            self.turn(session);
        }
    }

    /// The frame an assignment went in.
    pub fn sent(&mut self, key: &AssignmentKey, frame: u64) {
        if let Some(flight) = self.flights.get_mut(key) {
            flight.frame = Some(frame);
        }
    }

    /// Ends what has been silent for a lease.
    pub fn tick(&mut self, now: Timestamp, orders: &mut Vec<Order>) {
        let silent = |member: &Member| now.since(member.heard_at) > self.lease_ms;
        let silent: Vec<_> =
            self.members.iter().filter(|(_, it)| silent(it)).map(|(id, _)| *id).collect();
        for session in silent {
            self.dismiss(session, true, orders);
        }
        let over: Vec<_> = self
            .recovered
            .iter()
            .filter(|(_, it)| it.until < now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            self.recovered.remove(&key);
            orders.push(Order::Lost(key, false));
        }
    }

    /// The coordinator was cut off and is back: nobody could be heard, so every lease begins anew.
    pub fn reconnected(&mut self, now: Timestamp) {
        self.members.values_mut().for_each(|member| member.heard_at = now);
        let until = now.plus(self.lease_ms);
        self.recovered.values_mut().for_each(|it| it.until = until);
    }

    /// Gives waiting assignments to workers with room: one from each lane in turn.
    pub fn assign(&mut self, now: Timestamp, orders: &mut Vec<Order>) {
        let mut lanes = self.backlog.lanes();
        while !lanes.is_empty() && !self.turns.is_empty() {
            lanes.retain(|lane| self.assign_one(lane, now, orders));
        }
    }

    /// False when nothing of this lane can be assigned now.
    fn assign_one(&mut self, lane: &Lane, now: Timestamp, orders: &mut Vec<Order>) -> bool {
        for losses in self.backlog.suspicions(lane) {
            if let Some(session) = self.pick(lane, Some(losses))
                && let Some(waiting) = self.backlog.pop_suspect(lane, losses)
            {
                self.send(session, lane, waiting.assignment, now, orders);
                return true;
            }
        }
        let Some(session) = self.pick(lane, None) else { return false };
        let Some(waiting) = self.backlog.pop(lane) else { return false };
        self.send(session, lane, waiting.assignment, now, orders);
        true
    }

    fn send(
        &mut self,
        session: SessionId,
        lane: &Lane,
        assignment: Assignment,
        now: Timestamp,
        orders: &mut Vec<Order>,
    ) {
        self.fly(session, lane.clone(), &assignment, None, now);
        orders.push(Order::Send(session, Box::new(assignment)));
    }

    /// The worker for the next assignment of a lane: the one with most room of a few, so that work
    /// spreads. Workers that turn out to have none leave the ring until they have.
    fn pick(&mut self, lane: &Lane, suspicion: Option<u32>) -> Option<SessionId> {
        /// How many with room are compared.
        const COMPARED: usize = 8;
        let mut best: Option<(usize, SessionId)> = None;
        let (mut compared, mut looked) = (0, self.turns.len());
        while looked > 0 && compared < COMPARED {
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

    /// Takes note that an assignment is at a worker.
    fn fly(
        &mut self,
        session: SessionId,
        lane: Lane,
        assignment: &Assignment,
        frame: Option<u64>,
        now: Timestamp,
    ) {
        let Some(member) = self.members.get_mut(&session) else { return };
        let key = assignment.key.clone();
        let losses = assignment.losses;
        let bytes = assignment.input.weight();
        member.takes_off(key.clone(), bytes, losses);
        let assignment = (!member.profile.evaluates).then(|| Arc::new(assignment.clone()));
        let flight = Flight {
            session,
            lane,
            frame,
            since: now,
            bytes,
            losses,
            cancelled: false,
            assignment,
        };
        self.flights.insert(key, flight);
    }

    /// Takes note that an assignment is at its worker no more.
    fn land(&mut self, key: &AssignmentKey) -> Option<Flight> {
        let flight = self.flights.remove(key)?;
        if let Some(member) = self.members.get_mut(&flight.session) {
            member.lands(key, flight.bytes, flight.losses);
        }
        Some(flight)
    }

    fn lose(&mut self, key: &AssignmentKey, blamed: bool, orders: &mut Vec<Order>) {
        let Some(flight) = self.land(key) else { return };
        if !flight.cancelled {
            orders.push(Order::Lost(key.clone(), blamed));
        }
    }

    /// An assignment's worker has a new session.
    fn rehome(&mut self, key: &AssignmentKey, session: SessionId) {
        let Some(mut flight) = self.land(key) else { return };
        let Some(member) = self.members.get_mut(&session) else { return };
        member.takes_off(key.clone(), flight.bytes, flight.losses);
        flight.session = session;
        flight.frame = Some(0);
        self.flights.insert(key.clone(), flight);
    }

    /// Ends a session; `died` when its worker may have died of what it held.
    fn dismiss(&mut self, session: SessionId, died: bool, orders: &mut Vec<Order>) {
        let Some(member) = self.members.get_mut(&session) else { return };
        for key in std::mem::take(&mut member.flights) {
            // Whether it had arrived is not known: what kills at once is never seen in a beat.
            let sent = self.flights.get(&key).is_some_and(|it| it.frame.is_some());
            self.lose(&key, died && sent, orders);
        }
        self.members.remove(&session);
        orders.push(Order::Dismiss(session));
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

    /// True for a session that is known.
    #[must_use]
    pub fn knows(&self, session: SessionId) -> bool {
        self.members.contains_key(&session)
    }

    /// Workers registered.
    #[must_use]
    pub fn workers(&self, now: Timestamp) -> Vec<WorkerView> {
        let mut views: Vec<_> =
            self.members.iter().map(|(session, member)| member.view(*session, now)).collect();
        views.sort_by(|a, b| (&a.pool, &a.identity).cmp(&(&b.pool, &b.identity)));
        views
    }

    /// How many workers are registered.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.members.len()
    }

    /// How much waits and is under way.
    #[must_use]
    pub fn depths(&self) -> Depths {
        let mut in_flight: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for flight in self.flights.values() {
            *in_flight.entry(flight.lane.pool.clone()).or_default() += 1;
        }
        let recovered = &self.recovered;
        for it in recovered.values() {
            *in_flight.entry(it.lane.pool.clone()).or_default() += 1;
        }
        Depths { waiting: self.backlog.depths(), in_flight, recovered: recovered.len() }
    }

    /// Lanes with assignments that no registered worker can take.
    #[must_use]
    pub fn stranded(&mut self) -> Vec<Lane> {
        let lanes = self.backlog.lanes();
        let taken = |lane: &Lane| self.members.values().any(|it| it.profile.takes(lane));
        lanes.into_iter().filter(|lane| !taken(lane)).collect()
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
