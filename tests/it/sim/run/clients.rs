//! Those who start, watch and disturb instances.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::oneshot::{self, Receiver, error::TryRecvError};
use windlass_coordinator::engine::{ChildOutcome, Ending, Input, Rejection, Requester, Verdict};
use windlass_coordinator::journal::{Journal, Table};
use windlass_coordinator::partition::{
    Done, EventOutcome, EventTicket, Message, NewInstance, Refusal, Reply, Shown, StartPolicy,
    StartReply, SuccessorReply, Watch, approval,
};
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::value::Value;

use super::super::coverage;
use super::super::generate::OUTSIDE_TYPES;
use super::super::model::{NAMESPACE, OUTSIDE, VERSION};
use super::Run;
use super::network::Item;

/// Somebody who starts an instance.
pub(in crate::sim) struct Client {
    pub(in crate::sim) id: InstanceId,
    pub(in crate::sim) workflow: String,
    pub(in crate::sim) input: Value,
    /// The start was acknowledged: it must never be lost.
    pub(in crate::sim) acknowledged: bool,
    /// A start was acknowledged as the first one.
    first: bool,
    /// What whoever waited for the end was told.
    pub(in crate::sim) told: Option<Ending>,
    /// A cancellation was accepted.
    pub(in crate::sim) cancelled: bool,
    /// A cancellation may have been accepted.
    pub(in crate::sim) maybe_cancelled: bool,
}

/// What somebody asks for.
#[derive(Clone, Copy)]
pub(super) enum Ask {
    Start(usize),
    Cancel(usize),
    Suspend(usize),
    Resume(usize),
    /// Has another instance go on for one that has faulted.
    Retry(InstanceId),
    /// Shows an instance and waits for changes of it.
    Look(usize),
    /// An event from outside, every now and then.
    Post,
    /// Something that belongs to nothing.
    Strange,
}

/// An answer that is waited for.
pub(super) enum Awaiting {
    Start(usize, Receiver<StartReply>),
    End(usize, Receiver<Ending>),
    Operation(Ask, Receiver<Reply>),
    Retry(InstanceId, Receiver<SuccessorReply>),
    Strange(Receiver<Reply>),
    Decision(Receiver<Reply>),
    Event((usize, u64), Receiver<EventOutcome>),
    View(Receiver<Shown>),
    Change(Receiver<()>),
}

impl Client {
    pub(super) fn new(id: InstanceId, workflow: String, input: Value) -> Self {
        Self {
            id,
            workflow,
            input,
            acknowledged: false,
            first: false,
            told: None,
            cancelled: false,
            maybe_cancelled: false,
        }
    }
}

impl Run<'_> {
    /// Plans what clients and operators will do.
    pub(super) fn plan_clients(&mut self) {
        for client in 0..self.clients.len() {
            let delay = self.random.u64(0..3_000);
            self.at(delay, Item::Asked(Ask::Start(client)));
            let asks = [
                (30, Ask::Start(client)),
                (10, Ask::Cancel(client)),
                (20, Ask::Suspend(client)),
                (10, Ask::Suspend(client)),
                (30, Ask::Look(client)),
            ];
            for (percent, ask) in asks {
                if self.chance(percent) {
                    let soon = self.random.u64(0..500);
                    let later = self.random.u64(0..120_000);
                    let delay = delay + if self.random.bool() { soon } else { later };
                    self.at(delay, Item::Asked(ask));
                }
            }
        }
        self.at(500, Item::Asked(Ask::Post));
        // In some runs there is peace, so that nothing but timers wakes a partition.
        if self.random.bool() {
            self.at(50, Item::Asked(Ask::Strange));
        }
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Start(client) => self.start(client),
            Ask::Cancel(client) => {
                self.clients[client].maybe_cancelled = true;
                self.operate(ask, client, Input::Cancel { reason: None });
            }
            Ask::Suspend(client) => self.operate(ask, client, Input::Suspend),
            Ask::Resume(client) => self.operate(ask, client, Input::Resume),
            Ask::Retry(instance) => self.retry(instance),
            Ask::Look(client) => {
                let instance = self.clients[client].id;
                let (reply, view) = oneshot::channel();
                self.awaiting.push(Awaiting::View(view));
                self.post(Message::Show { instance, approval: None, reply });
                let (reply, change) = oneshot::channel();
                self.awaiting.push(Awaiting::Change(change));
                let from = self.random.u64(0..30);
                self.post(Message::Watch { instance, watch: Watch::Change(from, reply) });
            }
            Ask::Post => self.post_event(),
            Ask::Strange => self.disturb(),
        }
    }

    fn start(&mut self, number: usize) {
        let by = self.chance(30).then(|| Arc::new(Requester::default()));
        let client = &self.clients[number];
        let catalog = self.outside.shared_catalog();
        let plan = catalog.find(NAMESPACE, &client.workflow, Some(VERSION)).unwrap();
        let (reply, answer) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let start = NewInstance {
            id: client.id,
            plan,
            input: client.input.clone(),
            labels: vec![("client".into(), number.to_string().into())],
            priority: 5,
            parent: None,
            trace: None,
            by,
            policy: StartPolicy::default(),
            reply: Some(reply),
            ended: Some(ended),
        };
        self.awaiting.push(Awaiting::Start(number, answer));
        self.awaiting.push(Awaiting::End(number, end));
        self.tell(|| format!("start of {}", start.id));
        self.post(Message::Start(Box::new(start)));
    }

    fn operate(&mut self, ask: Ask, client: usize, input: Input) {
        let instance = self.clients[client].id;
        let (reply, answer) = oneshot::channel();
        self.awaiting.push(Awaiting::Operation(ask, answer));
        self.tell(|| format!("{input:?} {instance}"));
        self.coverage.note(coverage::input(&input));
        let by = self.chance(50).then(|| Arc::new(Requester::default()));
        let input = input.requested(by);
        self.post(Message::Input { instance, input, reply: Some(reply) });
    }

    /// An event from outside; some come twice.
    fn post_event(&mut self) {
        self.decide();
        let again = self.random.u64(1_000..40_000);
        self.at(again, Item::Asked(Ask::Post));
        let early = self.knobs.early > 0 && self.chance(50);
        let listening = |number| {
            let all = self.journal.subscriptions(PartitionId(number), None, 1).unwrap();
            !all.is_empty()
        };
        if !early && !(0..self.journal.partitions()).any(listening) {
            return;
        }
        let kind = self.random.usize(0..OUTSIDE_TYPES.len());
        let mut event = (kind, self.scheduled);
        if !self.posted.is_empty() && self.chance(20) {
            event = self.posted[self.random.usize(0..self.posted.len())];
        } else {
            self.posted.push(event);
        }
        self.send_event(event);
    }

    /// People decide what is open; some say it twice.
    fn decide(&mut self) {
        let mut open = Vec::new();
        for number in 0..self.journal.partitions() {
            let rows = self.journal.rows(PartitionId(number), Table::Approvals, None, usize::MAX);
            open.extend(
                rows.unwrap().into_iter().map(|(name, row)| approval(&name, &row).unwrap().0),
            );
        }
        for id in open {
            for _ in 0..if self.chance(10) { 2 } else { 1 } {
                let (approved, data) = (self.random.bool(), Value::Int(1));
                let by = self.chance(50).then(|| Arc::new(Requester::default()));
                let verdict = Verdict { approved, data, by };
                let input = Input::Decide { number: id.number, verdict };
                self.coverage.note(coverage::input(&input));
                let (reply, answer) = oneshot::channel();
                self.awaiting.push(Awaiting::Decision(answer));
                self.tell(|| format!("{id} is decided: {approved}"));
                let instance = id.instance;
                self.post(Message::Input { instance, input, reply: Some(reply) });
            }
        }
    }

    fn send_event(&mut self, (kind, number): (usize, u64)) {
        let event = json!({
            "specversion": "1.0", "id": number.to_string(), "source": "/outside",
            "type": OUTSIDE_TYPES[kind], "data": {"n": OUTSIDE, "v": number},
        });
        let event = Value::from_json(&event.to_string()).unwrap();
        let event = Arc::new(CloudEvent::from_value(event).unwrap());
        let partitions = u16::try_from(self.partitions.len()).unwrap();
        let (done, consumed) = oneshot::channel();
        *self.sent_events.entry(number).or_default() += 1;
        self.tell(|| format!("event {number} of type {}", OUTSIDE_TYPES[kind]));
        let ticket = EventTicket::new(event, partitions, Done::Caller(done));
        self.awaiting.push(Awaiting::Event((kind, number), consumed));
        for inbox in &mut self.outside.state().inboxes {
            inbox.push_back(Message::Event(ticket.clone()));
        }
    }

    /// Sends what belongs to nothing that is open.
    fn disturb(&mut self) {
        let again = self.random.u64(100..20_000);
        self.at(again, Item::Asked(Ask::Strange));
        let instance = match self.chance(10) {
            true => InstanceId(uuid::Uuid::from_u128(self.random.u128(..))),
            false => self.clients[self.random.usize(0..self.clients.len())].id,
        };
        let frame = FrameId(self.random.u32(0..8));
        let nowhere = FrameId(9_999);
        let input = match self.random.u32(0..6) {
            0 | 1 => Input::Reported {
                frame,
                delivery: 77,
                result: Ok(Value::Int(1)),
                secrets: Vec::new(),
                retry_after_ms: None,
            },
            2 => Input::TimerFired { timer: 9_999 },
            3 => Input::Published { frame: nowhere, result: Ok(()) },
            4 => {
                let outcome = ChildOutcome::Completed(Value::Int(1));
                Input::ChildEnded { frame: nowhere, outcome }
            }
            _ => {
                let members =
                    [("specversion", "1.0"), ("id", "x"), ("source", "/x"), ("type", "unwanted")];
                let event = Value::object(members.map(|(key, value)| (key, Value::from(value))));
                Input::EventArrived(Arc::new(CloudEvent::from_value(event).unwrap()))
            }
        };
        let (reply, answer) = oneshot::channel();
        self.awaiting.push(Awaiting::Strange(answer));
        self.tell(|| format!("a stranger says {input:?} to {instance}"));
        self.post(Message::Input { instance, input, reply: Some(reply) });
    }

    /// Takes the answers that have come, and notices those that never will.
    pub(super) fn hear(&mut self) {
        for awaiting in std::mem::take(&mut self.awaiting) {
            self.hear_one(awaiting);
        }
    }

    fn hear_one(&mut self, awaiting: Awaiting) {
        match awaiting {
            Awaiting::Start(client, mut answer) => match answer.try_recv() {
                Ok(reply) => self.acknowledged(client, reply),
                Err(TryRecvError::Empty) => self.awaiting.push(Awaiting::Start(client, answer)),
                Err(TryRecvError::Closed) => {
                    let delay = self.random.u64(10..2_000);
                    self.at(delay, Item::Asked(Ask::Start(client)));
                }
            },
            Awaiting::End(client, mut end) => match end.try_recv() {
                Ok(ending) => {
                    let head = self.journal.head(self.clients[client].id).unwrap().unwrap();
                    assert!(head.status.is_final(), "an end is told before it is durable");
                    let told = self.clients[client].told.get_or_insert_with(|| ending.clone());
                    assert_eq!(*told, ending, "an instance has two outcomes");
                }
                Err(TryRecvError::Empty) => self.awaiting.push(Awaiting::End(client, end)),
                Err(TryRecvError::Closed) => {}
            },
            Awaiting::Operation(ask, mut answer) => match answer.try_recv() {
                Err(TryRecvError::Empty) => self.awaiting.push(Awaiting::Operation(ask, answer)),
                Ok(reply) => self.operated(ask, Some(reply)),
                Err(TryRecvError::Closed) => self.operated(ask, None),
            },
            Awaiting::Retry(of, mut answer) => match answer.try_recv() {
                Err(TryRecvError::Empty) => self.awaiting.push(Awaiting::Retry(of, answer)),
                Ok(reply) => self.succeeded(of, reply),
                // Whoever asked gets no answer, and asks again.
                Err(TryRecvError::Closed) => self.at(10, Item::Asked(Ask::Retry(of))),
            },
            Awaiting::Strange(mut answer) => match answer.try_recv() {
                Ok(reply) => assert!(reply.is_err(), "what belongs to nothing is accepted"),
                Err(TryRecvError::Empty) => self.awaiting.push(Awaiting::Strange(answer)),
                Err(TryRecvError::Closed) => {}
            },
            Awaiting::Decision(mut answer) => match answer.try_recv() {
                Err(TryRecvError::Empty) => self.awaiting.push(Awaiting::Decision(answer)),
                // Whoever gets no answer decides what is open then.
                Ok(Ok(())) | Err(TryRecvError::Closed) => {}
                Ok(Err(Refusal::Rejected(Rejection::Stale | Rejection::Ended, _))) => {
                    self.coverage.note("decision too late");
                }
                Ok(Err(refusal)) => panic!("a decision is refused: {refusal:?}"),
            },
            Awaiting::Event(event, mut consumed) => match consumed.try_recv() {
                Ok(outcome) => {
                    if outcome.consumed == 0 && outcome.kept_until.is_some() {
                        self.kept.insert(event.1);
                    }
                }
                Err(TryRecvError::Empty) => self.awaiting.push(Awaiting::Event(event, consumed)),
                // Whoever sent it gets no answer, and sends it again.
                Err(TryRecvError::Closed) => self.send_event(event),
            },
            Awaiting::View(mut view) => match view.try_recv() {
                Err(TryRecvError::Empty) => self.awaiting.push(Awaiting::View(view)),
                Ok(_) | Err(TryRecvError::Closed) => {}
            },
            Awaiting::Change(mut change) => match change.try_recv() {
                Err(TryRecvError::Empty) => self.awaiting.push(Awaiting::Change(change)),
                Ok(()) | Err(TryRecvError::Closed) => {}
            },
        }
    }

    fn acknowledged(&mut self, number: usize, reply: StartReply) {
        let client = &mut self.clients[number];
        let kept = self.journal.head(client.id).unwrap().is_some();
        assert!(kept, "{} is acknowledged before it is durable", client.id);
        assert!(!client.first || reply.earlier.is_some(), "{} is started twice", client.id);
        client.first |= reply.earlier.is_none();
        client.acknowledged = true;
    }

    fn operated(&mut self, ask: Ask, reply: Option<Reply>) {
        match (ask, reply) {
            (Ask::Cancel(client), Some(Ok(()))) => self.clients[client].cancelled = true,
            (Ask::Suspend(client), reply) => {
                let known = !matches!(reply, Some(Err(Refusal::Unknown)));
                if known {
                    let delay = self.random.u64(1..60_000);
                    self.at(delay, Item::Asked(Ask::Resume(client)));
                }
            }
            (Ask::Resume(_), None) => {
                let delay = self.random.u64(1..2_000);
                self.at(delay, Item::Asked(ask));
            }
            (Ask::Resume(_), Some(Err(refusal))) => {
                let expected = match refusal {
                    // Nothing ends the process here.
                    Refusal::Quarantined => false,
                    Refusal::Unknown => true,
                    Refusal::Rejected(why, _) => {
                        matches!(why, Rejection::Ended | Rejection::WrongStatus)
                    }
                };
                assert!(expected, "resume is refused: {refusal:?}");
            }
            _ => {}
        }
    }
}
