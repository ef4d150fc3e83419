//! Messages on their way: to workers and back, and what clients will do. Whoever hands assignments
//! to workers is simulated here as well.

use std::sync::Arc;

use windlass_coordinator::coordinator::restore;
use windlass_coordinator::engine::{Body, DeliveryLoss};
use windlass_coordinator::journal::Journal;
use windlass_coordinator::partition::{Message, Verdict};
use windlass_proto::limits::DELIVERIES_LOST;
use windlass_proto::secret::{SecretName, SecretUse};
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, AssignmentKey, Report, Work};

use super::super::model::SECRET;
use super::super::worker;
use super::clients::Ask;
use super::{Delivery, Run, delivery};

/// Something that will happen.
pub(super) enum Item {
    /// An assignment reaches a worker; which visit of its task it is.
    Assigned(Box<Assignment>, u32),
    /// A report reaches the coordinator.
    Reported(Report),
    /// A delivery is taken for lost; whether the task is blamed for it.
    Lost(AssignmentKey, bool),
    /// A client, an operator or a stranger asks for something.
    Asked(Ask),
}

impl Item {
    /// True for what need not have happened when a run ends.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Asked(Ask::Post | Ask::Strange | Ask::Look(_)))
    }

    /// True when a worker has this delivery, or has reported on it. A report of a later term than
    /// the coordinator's is another coordinator's: it answers nothing here.
    fn is_about(&self, wanted: Delivery, term: u64) -> bool {
        match self {
            Self::Assigned(assignment, _) => delivery(&assignment.key) == wanted,
            Self::Reported(report) => delivery(&report.key) == wanted && report.key.epoch <= term,
            Self::Lost(..) | Self::Asked(_) => false,
        }
    }
}

impl Run<'_> {
    pub(super) fn at(&mut self, delay: u64, item: Item) {
        self.scheduled += 1;
        self.schedule.insert((self.now + delay, self.scheduled), item);
    }

    /// The next message that is due arrives.
    pub(super) fn deliver(&mut self) {
        let Some((_, item)) = self.schedule.pop_first() else { return };
        match item {
            Item::Assigned(assignment, visit) => self.perform(&assignment, visit),
            Item::Reported(report) => self.report(report),
            Item::Lost(key, blamed) => self.lost(key, blamed),
            Item::Asked(ask) => self.ask(ask),
        }
    }

    /// An assignment leaves the partitions: for a worker, unless one has it from before a restart.
    pub(super) fn dispatched(&mut self, assignment: Assignment, recovered: bool) {
        let delivery = delivery(&assignment.key);
        let fresh = self.sent.insert(delivery);
        assert!(fresh || recovered, "{:?} is sent twice", assignment.key);
        if !recovered {
            return self.send(assignment);
        }
        self.coverage.note("delivery recovered");
        let held = self.schedule.values().any(|item| item.is_about(delivery, self.epoch));
        if held {
            self.coverage.note("delivery held over a restart");
        }
        match (held, self.chance(20)) {
            // The worker has not been heard of in time, though it may be alive.
            (_, true) => self.lose(assignment.key, false),
            (true, false) => {}
            (false, false) => self.send(assignment),
        }
    }

    /// An assignment leaves for the workers.
    fn send(&mut self, assignment: Assignment) {
        let key = &assignment.key;
        let performs = assignment.work == Work::Perform;
        let done = self.accepted.contains(&(key.instance, key.frame));
        assert!(!(performs && done), "{} is dispatched again after its end", assignment.reference);
        if self.chance(10) {
            self.assert_kept(key);
        }
        let mut visit = 0;
        if performs {
            self.performed.insert(delivery(key));
            let task = (key.instance, assignment.reference.clone());
            let visits = self.visits.entry(task).or_default();
            if !visits.contains(&key.frame) {
                visits.push(key.frame);
            }
            let position = visits.iter().position(|it| *it == key.frame).unwrap();
            visit = u32::try_from(position).unwrap() + 1;
        }
        let key = assignment.key.clone();
        if self.chance(3) {
            self.usurp(key.clone());
        }
        self.transmit(&key, || Item::Assigned(Box::new(assignment.clone()), visit));
    }

    /// A delivery is found to be lost, after a while.
    fn lose(&mut self, key: AssignmentKey, blamed: bool) {
        let lease = self.random.u64(0..3_000);
        self.at(lease, Item::Lost(key, blamed));
    }

    /// What leaves rests on facts that are durable by then.
    fn assert_kept(&self, key: &AssignmentKey) {
        let state = restore(key.instance, &self.journal.load(key.instance).unwrap().unwrap());
        let state = state.unwrap();
        let kept = match state.frames.get(&key.frame) {
            Some(frame) => frame.delivery >= key.delivery,
            // Another turn, durable together with the one that sends, has closed it.
            None => state.next_frame > key.frame.0,
        };
        assert!(kept, "{key:?} leaves before its fact is durable");
    }

    /// Sends something about a delivery once, twice, late, or not at all.
    fn transmit(&mut self, key: &AssignmentKey, item: impl Fn() -> Item) {
        if self.chance(self.knobs.lost) {
            self.tell(|| "a message to or from a worker is lost".into());
            if self.random.bool() {
                self.lose(key.clone(), false);
            }
            return;
        }
        let copies = if self.chance(self.knobs.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = match self.chance(10) {
                true => self.random.u64(0..=self.knobs.late),
                false => self.random.u64(0..10),
            };
            self.at(delay, item());
        }
    }

    fn perform(&mut self, assignment: &Assignment, visit: u32) {
        let plan = self.outside.shared_catalog().plan(&assignment.digest).unwrap();
        let result = worker::perform(&plan, assignment, visit);
        let key = assignment.key.clone();
        self.tell(|| format!("a worker performs {} {key:?}: {result:?}", assignment.reference));
        let Some(result) = result.transpose() else {
            return self.lose(key, true);
        };
        // An expression is evaluated there because it names the secret.
        let secrets = match assignment.work {
            Work::Evaluate(_) => {
                vec![SecretUse { name: SecretName(SECRET.0.into()), version: Some("7".into()) }]
            }
            Work::Perform => Vec::new(),
        };
        let report = Report { key, result, secrets, retry_after_ms: None };
        if self.chance(self.knobs.deaths) {
            return self.die(report, assignment.losses);
        }
        self.transmit(&report.key, || Item::Reported(report.clone()));
        if !self.calm && self.chance(2) {
            // A worker that hung, and comes back long after.
            let late = self.random.u64(1_000..200_000);
            self.at(late, Item::Reported(report));
        }
    }

    /// A worker ends, gives an assignment back, or only seems to have ended. The last loss that
    /// makes a task fail is left to tasks that are to blame.
    fn die(&mut self, report: Report, losses: u32) {
        let blamed = losses + 1 < DELIVERIES_LOST && self.random.bool();
        self.tell(|| format!("the worker with {:?} is lost, blamed: {blamed}", report.key));
        self.lose(report.key.clone(), blamed);
        if self.chance(40) {
            let late = self.random.u64(0..20_000);
            self.at(late, Item::Reported(report));
        }
    }

    fn report(&mut self, report: Report) {
        self.tell(|| format!("report on {:?}", report.key));
        self.reporting.push(report.clone());
        self.post(Message::Reported(report));
    }

    fn lost(&mut self, key: AssignmentKey, blamed: bool) {
        self.tell(|| format!("{key:?} is lost, blamed: {blamed}"));
        self.coverage.note("input Lost");
        let loss = DeliveryLoss { blamed, ..Default::default() };
        self.post(Message::Lost { key, loss });
    }

    /// What belongs to another coordinator that has taken over, unknown to this one.
    fn usurp(&mut self, key: AssignmentKey) {
        let key = AssignmentKey { epoch: self.epoch + 1_000, ..key };
        match self.random.bool() {
            true => self.lost(key, true),
            false => self.report(Report::new(key, Ok(Value::from("usurped")))),
        }
    }

    /// The fate of a report is told: what it rests on is durable.
    pub(super) fn settled(&mut self, key: &AssignmentKey, verdict: Verdict) {
        self.tell(|| format!("the report on {key:?} is {verdict:?}"));
        let at = self.reporting.iter().position(|report| report.key == *key);
        self.reporting.swap_remove(at.expect("a fate is told twice, or of no report"));
        if key.epoch > self.epoch {
            self.coverage.note("verdict Superseded");
            return assert_eq!(verdict, Verdict::Stale, "{key:?} is of a later term");
        }
        if self.chance(30) {
            assert!(!self.is_live(key), "{verdict:?} is told of {key:?} before it is durable");
        }
        match verdict {
            Verdict::Accepted => self.took(delivery(key)),
            Verdict::Stale => self.coverage.note("verdict Stale"),
            Verdict::Unknown => panic!("{key:?} is of an instance that is lost"),
        }
    }

    /// True when an answer to this delivery is waited for, as far as is durable.
    fn is_live(&self, key: &AssignmentKey) -> bool {
        let stored = self.journal.load(key.instance).unwrap();
        let state = restore(key.instance, &stored.unwrap()).unwrap();
        state.frames.get(&key.frame).is_some_and(|frame| match &frame.body {
            Body::Dispatched { delivery } | Body::Evaluating { delivery, .. } => {
                *delivery == key.delivery
            }
            _ => false,
        })
    }

    /// A report was accepted, durably.
    fn took(&mut self, delivery: Delivery) {
        self.coverage.note("input Reported");
        assert!(self.reports.insert(delivery), "two reports on {delivery:?} are accepted");
        if self.performed.contains(&delivery) {
            self.accepted.insert((delivery.0, delivery.1));
        }
    }

    /// Puts a message into the inbox it belongs to.
    pub(super) fn post(&mut self, message: Message) {
        let partitions = u16::try_from(self.partitions.len()).unwrap();
        let outside = Arc::clone(&self.outside);
        let mut state = outside.state();
        let instance = match &message {
            Message::Start(start) => start.id,
            Message::Succeed(new) => new.succession.predecessor,
            Message::Input { instance, .. }
            | Message::EmitAgain { instance, .. }
            | Message::EventTo { instance, .. }
            | Message::Stamped { instance, .. }
            | Message::Remove { instance, .. }
            | Message::Show { instance, .. }
            | Message::Watch { instance, .. } => *instance,
            Message::Reported(report) => report.key.instance,
            Message::Lost { key, .. } => key.instance,
            Message::CancelChild { child, .. } => *child,
            Message::Event(_)
            | Message::Keep(_)
            | Message::Early(..)
            | Message::Schedule(_)
            | Message::Settle(_)
            | Message::Limit(_)
            | Message::LimitPlace { .. } => {
                panic!("not for an instance")
            }
        };
        let partition = instance.partition(partitions);
        state.inboxes[usize::from(partition.0)].push_back(message);
    }
}
