//! Workers that ask over HTTP: what they say, and what they are answered.

use std::sync::Arc;
use std::time::Instant;

use windlass_proto::limits;
use windlass_proto::plan::DEFAULT_POOL;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::Assignment;
use windlass_proto::wire::hello::Introduction;
use windlass_proto::wire::session::SessionId;

use super::Sessions;
use crate::dispatch::dispatcher::Admission;
use crate::dispatch::http::{
    HttpAnswer, HttpCall, HttpRefusal, HttpRequest, HttpTurn, HttpWelcome, Owner, delivery,
};
use crate::fleet::http_link::HttpLink;
use crate::fleet::registration;
use crate::fleet::session::{Link, Unsent, WorkerSession};

/// Parts of a lease between two turns of a worker at most.
const BEATS: u32 = limits::BEATS_PER_LEASE as u32;

impl Sessions {
    /// A worker speaks.
    pub(super) fn http(&mut self, request: HttpRequest) {
        match request {
            HttpRequest::Join(introduction, owner, reply) => {
                let welcomed = match self.recovered {
                    true => self.let_in(&introduction, owner),
                    // It would show what it holds to somebody who does not know it yet.
                    false => Err(HttpRefusal::Later("the coordinator is starting")),
                };
                // Who asked may have gone: then it is silent, and forgotten after a lease.
                let _ = reply.send(welcomed);
            }
            HttpRequest::Turn(session, owner, turn, reply) => {
                let peer = self.sessions.get_mut(&session);
                let link = peer.and_then(WorkerSession::http).filter(|it| it.owner == owner);
                match link {
                    Some(link) => {
                        // One request at a time: an earlier one is of a connection that broke.
                        link.nothing();
                        let wait = turn.wait.min(self.lease / BEATS);
                        link.asks = Some((reply, Instant::now() + wait));
                        self.turn(session, *turn);
                    }
                    None => drop(reply.send(Err(HttpRefusal::Unknown))),
                }
            }
        }
    }

    fn let_in(
        &mut self,
        introduction: &Introduction,
        owner: Owner,
    ) -> Result<HttpWelcome, HttpRefusal> {
        if !self.http_registrations.admits() {
            return Err(HttpRefusal::Later("too many workers join at once"));
        }
        if let Some(why) = objection(introduction) {
            self.totals.refused += 1;
            self.tell_refused(&why);
            return Err(HttpRefusal::Refused(why));
        }
        let links = self.sessions.values_mut().filter_map(WorkerSession::http);
        if links.filter(|it| it.owner == owner).count() >= limits::HTTP_WORKERS_OF_ONE {
            self.totals.refused += 1;
            return Err(HttpRefusal::Later("too many workers of this token"));
        }
        if self.dispatcher.registered() >= limits::WORKERS {
            self.totals.refused += 1;
            return Err(HttpRefusal::Later("too many workers"));
        }
        let profile = registration::profile(introduction, Some(owner.clone()));
        let now = self.clock.now();
        match self.dispatcher.admits(&profile.identity, Some(&owner), now) {
            Admission::Welcome => {}
            Admission::Wait => {
                return Err(HttpRefusal::Later("another process may have this identity"));
            }
            Admission::Refuse => {
                self.totals.contested += 1;
                let identity = &profile.identity;
                return Err(HttpRefusal::Refused(format!(
                    "another process that lives has the identity `{identity}`: each needs its own"
                )));
            }
        }
        let session = SessionId::random();
        self.totals.joined += 1;
        let (worker, pool) = (&*profile.identity, &*profile.pool);
        self.missing.remove(worker);
        tracing::info!(worker, pool, %session, "worker registered over HTTP");
        let identity = profile.identity.clone();
        self.tell_admitted(&identity, &profile.pool, "HTTP");
        self.dispatcher.join(session, profile, now);
        let link = Link::Http(Box::new(HttpLink::new(owner, introduction.concurrency)));
        self.sessions.insert(session, WorkerSession::new(link, false, identity));
        Ok(HttpWelcome { session, lease: self.lease, beat: self.lease / BEATS })
    }

    /// A worker takes a turn, and waits for what follows.
    fn turn(&mut self, session: SessionId, mut turn: HttpTurn) {
        // Until it has been taken.
        let _kept = turn.kept.take();
        let Some(link) = self.sessions.get_mut(&session).and_then(WorkerSession::http) else {
            return;
        };
        link.turns += 1;
        if link.unseen.as_ref().is_some_and(|it| it.number <= turn.seen) {
            link.unseen = None;
        }
        // What it names beyond that, it cannot have seen.
        let seen = turn.seen.min(link.number);
        let number = link.turns;
        if let (Some(answer), false) = (link.unseen.clone(), turn.goodbye)
            && let Some((reply, _)) = link.asks.take()
        {
            // It did not arrive.
            let _ = reply.send(Ok(answer));
        }
        if turn.goodbye {
            link.nothing();
        }
        let concurrency = if turn.leaving { 0 } else { turn.concurrency.min(link.concurrency) };
        let said = HttpTurn { seen, concurrency, ..turn }.said(number);
        self.take(session, said);
        // It takes no more than this now: what lies here for it goes to others.
        let excess = self.dispatcher.excess(session);
        if let Some(peer) = self.sessions.get_mut(&session) {
            let unsent = peer.take_last(excess);
            self.dispatcher.unsent(&unsent, &mut self.orders);
        }
    }

    /// Answers those that wait, where there is no bus that others would have to be told by first.
    pub(super) fn flush_http(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for session in pending {
            let Some(peer) = self.sessions.get_mut(&session) else { continue };
            if peer.is_http() {
                peer.waiting = false;
                self.answer_poll(session);
            } else {
                self.pending.push(session);
            }
        }
        if self.bus.is_none() {
            self.dismissed.clear();
        }
    }

    /// Answers a worker that waits, if there is something to say.
    pub(super) fn answer_poll(&mut self, session: SessionId) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        // Nothing but a turn is answered.
        peer.out.beat = None;
        peer.out.audited = None;
        let news = peer.has_news();
        let Some(link) = peer.http() else { return };
        // Who only says something does not wait.
        if !news && link.asks.as_ref().is_some_and(|(_, until)| *until <= Instant::now()) {
            link.nothing();
        }
        let waits = link.asks.as_ref().is_some_and(|(reply, _)| !reply.is_closed());
        if !news || !waits || link.unseen.is_some() {
            return;
        }
        let Some((reply, _)) = link.asks.take() else { return };
        let number = link.number + 1;
        link.number = number;
        let mut cancelled = std::mem::take(&mut peer.out.cancelled);
        let settled = std::mem::take(&mut peer.out.settled);
        // Nobody was told of these: there is nothing to end.
        for key in cancelled.extract_if(.., |it| peer.forget(it)) {
            self.dispatcher.reported(&key);
        }
        let calls = self.http_calls(session, number);
        let token = |key: &_| self.key.token(key).to_vec();
        let answer = Arc::new(HttpAnswer {
            number,
            calls,
            cancelled: cancelled.into_iter().map(|it| delivery(it.clone(), token(&it))).collect(),
            settled: settled
                .into_iter()
                .map(|it| (delivery(it.key.clone(), token(&it.key)), it.accepted))
                .collect(),
        });
        if let Some(link) = self.sessions.get_mut(&session).and_then(WorkerSession::http) {
            link.unseen = Some(answer.clone());
        }
        // Who asked may have gone: then the next turn gets it.
        let _ = reply.send(Ok(answer));
    }

    /// The next calls of a worker, evaluated; as many as one answer should hold, and at least one.
    /// What does not fit waits for the next turn.
    fn http_calls(&mut self, session: SessionId, number: u64) -> Vec<HttpCall> {
        let peer = self.sessions.get_mut(&session);
        let mut unsent = peer.map(WorkerSession::take_assignments).unwrap_or_default();
        let (mut calls, mut room) = (Vec::new(), limits::MESSAGE_WEIGHT);
        while room > 0
            && let Some(Unsent { assignment, token, remaining_ms }) = unsent.pop_front()
        {
            match self.sized_call(&assignment) {
                Ok((_, _, bytes)) if bytes > room && !calls.is_empty() => {
                    unsent.push_front(Unsent { assignment, token, remaining_ms });
                    break;
                }
                Ok((function, arguments, bytes)) => {
                    room = room.saturating_sub(bytes);
                    self.dispatcher.sent(&assignment.key, number);
                    calls.push(HttpCall {
                        function,
                        arguments,
                        idempotency_key: assignment.idempotency_key(),
                        remaining_ms: super::remaining_ms(assignment.deadline),
                        delivery: delivery(assignment.key, token.into_vec()),
                        workflow: assignment.workflow,
                        reference: assignment.reference,
                        traceparent: assignment.traceparent,
                    });
                }
                Err(problem) => {
                    self.dispatcher.reported(&assignment.key);
                    self.answer(&assignment.key, problem);
                }
            }
        }
        if let Some(peer) = self.sessions.get_mut(&session) {
            peer.put_back(unsent);
        }
        calls
    }

    /// Function and evaluated arguments, and how many bytes they are in an answer.
    fn sized_call(&self, assignment: &Assignment) -> Result<(Arc<str>, Value, u64), Problem> {
        let (function, arguments) = self.evaluated_call(assignment)?;
        let Some(bytes) = arguments.json_bytes(limits::PAYLOAD_BYTES) else {
            let most = limits::PAYLOAD_BYTES;
            let detail = format!("the arguments of the call exceed {most} bytes of JSON");
            return Err(Problem::new(Standard::Runtime, detail));
        };
        Ok((function, arguments, bytes as u64))
    }

    /// Tells those that have waited long enough that there is nothing.
    pub(super) fn answer_late_polls(&mut self) {
        let now = Instant::now();
        for link in self.sessions.values_mut().filter_map(WorkerSession::http) {
            if link.asks.as_ref().is_some_and(|(_, until)| *until <= now) {
                link.nothing();
            }
        }
    }
}

/// Why a worker may not join over HTTP, if it may not. Its token says nothing of pools, where the
/// key of a worker on the bus admits it to one: so it serves the pool that is everybody's.
fn objection(introduction: &Introduction) -> Option<String> {
    let pool = &*introduction.pool;
    registration::oddity(introduction).or_else(|| {
        (pool != DEFAULT_POOL).then(|| {
            format!(
                "workers over HTTP serve the pool `{DEFAULT_POOL}` alone; one of `{pool}` needs NATS \
                 and the key of its pool"
            )
        })
    })
}
