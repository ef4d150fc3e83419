//! What workers say: registrations, reports, signs of life.

use async_nats::Message;
use windlass_proto::audit::AuditEvent;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::wire::message::{
    Audited, Beat, Definition, Held, Settled, StoreTime, ToCoordinator, TokenReport, decode,
};
use windlass_proto::wire::outcome::Outcome;
use windlass_proto::wire::session::{FrameError, SessionId};
use windlass_proto::wire::subject::session_of;
use windlass_proto::wire::truncated::Truncated;
use windlass_proto::wire::{AssignmentKey, Report};

use super::{Command, Sessions};
use crate::clock;
use crate::dispatch::Verdict;
use crate::dispatch::dispatcher::Proofs;
use crate::engine::DeliveryLoss;
use crate::fleet::evaluation;
use crate::fleet::registration::consider;
use crate::fleet::session::{Link, WorkerSession};
use crate::fleet::skew;

impl Sessions {
    /// Somebody wants to join.
    pub(super) async fn register(&mut self, hello: Message) {
        let Some(reply) = hello.reply else { return };
        if !self.registrations.admits() {
            return;
        }
        let registered = self.dispatcher.registered();
        let now = self.clock.now();
        let admits = |identity: &_| self.dispatcher.admits(identity, None, now);
        let considered = consider(&self.key, &hello.payload, self.lease, registered, admits);
        let registration = match considered {
            Ok(registration) => registration,
            Err(error) => {
                self.totals.foreign += 1;
                if self.complaints.admits() {
                    tracing::warn!(
                        %error,
                        "malformed registration ignored: a worker's key has to be \
                         the one that `windlass coordinator key` prints"
                    );
                }
                return;
            }
        };
        if let Some(identity) = &registration.contested {
            self.totals.contested += 1;
            if self.contests.admits() {
                tracing::warn!(
                    identity = &**identity,
                    "two workers share an identity; the one that is there stays, the other one is not \
                     let in: each process needs an identity of its own"
                );
            }
        }
        match registration.accepted {
            Some((session, applicant, profile)) => {
                self.totals.joined += 1;
                let (worker, pool) = (&*profile.identity, &*profile.pool);
                let known = self.dispatcher.has(worker);
                match self.missing.remove(worker) || known {
                    true => tracing::info!(worker, pool, %session, "worker re-registered"),
                    false => tracing::info!(worker, pool, %session, "worker registered"),
                }
                let subject = self.prefix.to_worker(session).into();
                let evaluates = profile.evaluates;
                let identity = profile.identity.clone();
                self.tell_admitted(&profile.identity, &profile.pool, "NATS");
                self.dispatcher.join(session, profile, self.clock.now());
                let link = Link::Bus(Box::new(applicant.channel(session)), subject);
                let peer = WorkerSession::new(link, evaluates, identity);
                self.sessions.insert(session, peer);
            }
            None => {
                if let Some(objection) = registration.objection {
                    self.totals.refused += 1;
                    tracing::warn!(objection, "worker registration refused");
                    self.tell_refused(&objection);
                }
            }
        }
        if let Some(answer) = registration.answer {
            self.publish(reply, answer).await;
        }
    }

    /// A frame has come.
    pub(super) fn receive(&mut self, message: &Message) {
        let Some(session) = session_of(&message.subject) else { return };
        let Some(peer) = self.sessions.get_mut(&session) else {
            return self.unknown_session(session);
        };
        // Nobody else may speak on the bus for a worker that does not.
        let Some(channel) = peer.channel() else { return };
        match channel.open(&message.payload) {
            Ok(Some(bytes)) => match decode(&bytes) {
                Ok(said) => self.take(session, said),
                Err(error) => {
                    self.totals.unreadable += 1;
                    if self.complaints.admits() {
                        let identity = &*peer.identity;
                        tracing::warn!(identity, %error, "malformed message from a worker");
                    }
                }
            },
            Ok(None) => {}
            Err(FrameError::TooLarge) => {
                let (beginning, worker) = (channel.take_overflow(), peer.identity.clone());
                self.too_large(session, &beginning, &worker);
            }
            Err(error) => {
                self.totals.forged += 1;
                if self.complaints.admits() {
                    tracing::warn!(%session, %error, "frame rejected");
                }
            }
        }
    }

    /// A message is larger than any may be. The reports in it that are whole count, and the one
    /// that does not fit even alone ends its task: it would come again for ever.
    fn too_large(&mut self, session: SessionId, beginning: &[u8], worker: &str) {
        self.totals.unreadable += 1;
        if self.complaints.admits() {
            let most = limits::MESSAGE_BYTES;
            tracing::warn!(worker, most, "message from a worker exceeds the size limit");
        }
        let Truncated { whole, broken } = Truncated::of(beginning);
        let alone = whole.is_empty();
        for report in whole {
            self.report(session, report);
        }
        if let Some((key, token)) = broken
            && alone
        {
            let most = limits::MESSAGE_BYTES;
            let detail = format!("the worker's report is larger than {most} bytes");
            let result = Err(Problem::new(Standard::Runtime, detail));
            let outcome = Outcome::from(result).pack().unwrap_or_default();
            self.report(session, TokenReport { key, token, outcome });
        }
    }

    pub(super) fn take(&mut self, session: SessionId, said: ToCoordinator) {
        for report in said.reports {
            self.report(session, report);
        }
        for key in &said.released {
            self.dispatcher.released(session, key, &mut self.orders);
        }
        if !said.audit.is_empty() {
            self.audit(session, said.audit);
        }
        if !said.wanted.is_empty() {
            let texts = said.wanted.into_iter().map(|digest| {
                let text = self.catalog.by_digest(&digest).map(|it| it.text);
                Definition { digest, text }
            });
            let texts: Vec<_> = texts.collect();
            self.enqueue(session, |peer| peer.out.definitions.extend(texts));
        }
        if let Some(beat) = said.beat {
            self.beat(session, &beat);
        }
    }

    fn report(&mut self, session: SessionId, report: TokenReport) {
        let TokenReport { key, token, outcome } = report;
        if !self.key.is_token(&key, &token) {
            self.totals.forged += 1;
            if self.complaints.admits() {
                let instance = key.instance;
                tracing::warn!(%session, %instance, "report with an invalid token rejected");
            }
            return;
        }
        let mut outcome = Outcome::unpack(&outcome);
        let needs_evaluation = self.sessions.get(&session).is_some_and(|peer| !peer.evaluates);
        if needs_evaluation {
            outcome = outcome.finite();
        }
        let Outcome { mut result, secrets, retry_after_ms } = outcome;
        self.dispatcher.passes(self.clock.now());
        if let Some(assignment) = self.dispatcher.reported(&key)
            && needs_evaluation
            && let Some(plan) = self.plan(&assignment)
        {
            result = result.and_then(|raw| evaluation::output(&plan, &assignment, raw));
        }
        self.awaited.insert(key.clone(), session);
        self.reporter.report(Report { key, result, secrets, retry_after_ms });
    }

    /// What a worker did with secrets. It says one batch at a time, from the first event that was
    /// not acknowledged, so the last number of a batch covers all before it.
    fn audit(&mut self, session: SessionId, said: Vec<Audited>) {
        let (Some(first), Some(last)) = (said.first(), said.last()) else { return };
        let (first, last) = (first.number, last.number);
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        if said.len() > limits::AUDIT_BATCH {
            self.totals.forged += 1;
            return;
        }
        // A repeat of what is on its way to the disk; what is more will come again.
        if peer.auditing || !self.secrets.audit.has_room() {
            return;
        }
        if !self.secrets.audit.admits(&peer.identity, first, last) {
            return;
        }
        peer.auditing = true;
        let worker = Some(peer.identity.clone());
        // What operators do, and what came of it, is for the coordinator alone to say.
        let stamped = said.into_iter().map(|it| AuditEvent {
            worker: worker.clone(),
            outcome: None,
            intent: None,
            ..it.event
        });
        let commands = self.commands.clone();
        self.secrets.audit.keep(stamped.collect(), move || {
            if let Some(commands) = commands.upgrade() {
                // The session task ends with the process: then the worker asks the next one.
                let _ = commands.send(Command::Audited(session, last));
            }
        });
    }

    /// A batch of a worker's audit events is on disk.
    pub(super) fn audited(&mut self, session: SessionId, number: u64) {
        self.enqueue(session, |peer| {
            peer.auditing = false;
            peer.out.audited = Some(number);
        });
    }

    fn beat(&mut self, session: SessionId, beat: &Beat) {
        if let Some(store) = beat.store {
            self.store_clock(session, store);
        }
        let replaced = |it: &&Held| {
            self.reporter.is_replaced_by(&it.key) && self.key.is_token(&it.key, &it.token)
        };
        if let Some(held) = beat.held.iter().find(replaced) {
            let loss = DeliveryLoss { blamed: false, worker: None, reason: None };
            return self.reporter.lost(held.key.clone(), loss);
        }
        if beat.leaving
            && let Some(peer) = self.sessions.get_mut(&session)
            && !std::mem::replace(&mut peer.leaving, true)
        {
            let worker = peer.identity.clone();
            self.tell_draining(&worker);
        }
        let now = self.clock.now();
        let Self { dispatcher, key, awaited, orders, .. } = self;
        dispatcher.beat(session, beat, now, &Known { key, awaited }, orders);
        self.enqueue(session, |peer| peer.out.beat = Some(beat.number));
    }

    /// What the clock of a store of secrets showed: identities that ours signs must be good there.
    fn store_clock(&mut self, session: SessionId, store: StoreTime) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        let ahead_ms = skew::ahead_ms(store, clock::now());
        peer.store_ahead_ms = Some(ahead_ms);
        if skew::is_large(ahead_ms) && self.skews.admits() {
            let seconds = ahead_ms.abs() / 1_000;
            let word = if ahead_ms < 0 { "behind" } else { "ahead of" };
            let worker = &*peer.identity;
            let most = limits::IDENTITY_LEEWAY_S;
            tracing::warn!(
                worker,
                "the secret store's clock is {seconds} s {word} this coordinator's: past {most} s \
                 identities of tasks may be refused; set both by one time service"
            );
        }
    }

    /// A partition has decided on a report.
    pub(super) fn settled(&mut self, key: AssignmentKey, verdict: Verdict) {
        let accepted = verdict == Verdict::Accepted;
        match accepted {
            true => self.totals.accepted += 1,
            false => self.totals.stale += 1,
        }
        if let Some(session) = self.awaited.remove(&key) {
            self.enqueue(session, |peer| peer.settled(Settled { key, accepted }));
        }
    }

    /// A frame of a session that is not known: its worker should register again.
    fn unknown_session(&mut self, session: SessionId) {
        if self.unknown_sessions.admits() {
            self.dismissed.push(session);
        }
    }
}

/// What the session task can say of an assignment.
struct Known<'a> {
    key: &'a windlass_proto::wire::key::CoordinatorKey,
    awaited: &'a std::collections::HashMap<AssignmentKey, SessionId>,
}

impl Proofs for Known<'_> {
    fn is_token(&self, key: &AssignmentKey, token: &[u8]) -> bool {
        self.key.is_token(key, token)
    }

    fn is_awaited(&self, key: &AssignmentKey) -> bool {
        self.awaited.contains_key(key)
    }
}
