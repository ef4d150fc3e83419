//! Workers that ask over HTTP: what they say, and what they are answered.

use std::sync::Arc;
use std::time::Instant;

use windlass_proto::limits;
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
        if !self.registrations.admits() {
            return Err(HttpRefusal::Later("too many workers join at once"));
        }
        if let Some(why) = registration::oddity(introduction) {
            self.totals.refused += 1;
            return Err(HttpRefusal::Refused(why));
        }
        if self.dispatcher.registered() >= limits::WORKERS {
            self.totals.refused += 1;
            return Err(HttpRefusal::Later("too many workers"));
        }
        let profile = registration::profile(introduction);
        let now = self.clock.now();
        match self.dispatcher.admits(&profile.identity, now) {
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
        self.dispatcher.join(session, profile, now);
        let link = Link::Http(Box::new(HttpLink::new(owner, introduction.concurrency)));
        self.sessions.insert(session, WorkerSession::new(link, false, identity));
        Ok(HttpWelcome { session, lease: self.lease, beat: self.lease / BEATS })
    }

    /// A worker takes a turn, and waits for what follows.
    fn turn(&mut self, session: SessionId, turn: HttpTurn) {
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
        let unsent = peer.take_assignments();
        let calls = self.http_calls(unsent, number);
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

    fn http_calls(&mut self, unsent: Vec<Unsent>, number: u64) -> Vec<HttpCall> {
        let mut calls = Vec::with_capacity(unsent.len());
        for Unsent { assignment, token, .. } in unsent {
            match self.evaluated_call(&assignment) {
                Ok((function, arguments)) => {
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
        calls
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
