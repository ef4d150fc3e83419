//! Messages on their way: to workers and back, and what clients will do.

use std::sync::Arc;

use tokio::sync::oneshot;
use windlass_coordinator::coordinator::restore;
use windlass_coordinator::engine::Input;
use windlass_coordinator::journal::Journal;
use windlass_coordinator::partition::Message;
use windlass_proto::wire::{Assignment, AssignmentKey, Report, Work};

use super::super::worker;
use super::Run;
use super::clients::{Ask, Awaiting};

/// Something that will happen.
pub(super) enum Item {
    /// An assignment reaches a worker; which visit of its task it is.
    Assigned(Box<Assignment>, u32),
    /// A report reaches the coordinator.
    Reported(Report),
    /// A client, an operator or a stranger asks for something.
    Asked(Ask),
}

impl Item {
    /// True for what need not have happened when a run ends.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Asked(Ask::Post | Ask::Strange | Ask::Look(_)))
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
            Item::Asked(ask) => self.ask(ask),
        }
    }

    /// An assignment leaves for the workers.
    pub(super) fn send(&mut self, assignment: Assignment) {
        let key = &assignment.key;
        let performs = assignment.work == Work::Perform;
        let done = self.accepted.contains(&(key.instance, key.frame));
        assert!(!(performs && done), "{} is dispatched again after its end", assignment.reference);
        if self.chance(10) {
            self.assert_kept(key);
        }
        let mut visit = 0;
        if performs {
            self.performed.insert(key.clone());
            let task = (key.instance, assignment.reference.clone());
            let visits = self.visits.entry(task).or_default();
            if !visits.contains(&key.frame) {
                visits.push(key.frame);
            }
            let position = visits.iter().position(|it| *it == key.frame).unwrap();
            visit = u32::try_from(position).unwrap() + 1;
        }
        self.transmit(|| Item::Assigned(Box::new(assignment.clone()), visit));
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

    /// Sends something once, twice, late, or not at all.
    fn transmit(&mut self, item: impl Fn() -> Item) {
        if self.chance(self.knobs.lost) {
            self.tell(|| "a message to or from a worker is lost".into());
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
        let report = Report { key, result };
        self.transmit(|| Item::Reported(report.clone()));
        if !self.calm && self.chance(2) {
            // A worker that hung, and comes back long after.
            let late = self.random.u64(1_000..200_000);
            self.at(late, Item::Reported(report));
        }
    }

    fn report(&mut self, report: Report) {
        let Report { key, result } = report;
        let (reply, answer) = oneshot::channel();
        let input = Input::Reported { frame: key.frame, delivery: key.delivery, result };
        self.tell(|| format!("report on {key:?}"));
        self.awaiting.push(Awaiting::Report(key.clone(), answer));
        self.post(Message::Input { instance: key.instance, input, reply: Some(reply) });
    }

    /// Puts a message into the inbox it belongs to.
    pub(super) fn post(&mut self, message: Message) {
        let partitions = u16::try_from(self.partitions.len()).unwrap();
        let outside = Arc::clone(&self.outside);
        let mut state = outside.state();
        let instance = match &message {
            Message::Start(start) => start.id,
            Message::Input { instance, .. }
            | Message::Show { instance, .. }
            | Message::Watch { instance, .. } => *instance,
            Message::Reported(report) => report.key.instance,
            Message::Lost { key, .. } => key.instance,
            Message::CancelChild { child, .. } => *child,
            Message::Event(_) => panic!("events go to all partitions"),
        };
        let partition = instance.partition(partitions);
        state.inboxes[usize::from(partition.0)].push_back(message);
    }
}
