//! Workflows tried out: a partition on a clock of its own, with nothing but memory behind it.
//!
//! What decides is what decides in production, so a workflow does here what it does there. Whoever
//! holds a [`Rehearsal`] plays everything else: what workers answer, which events come, and when.
//! Time passes only by [`Rehearsal::advance`], so a `wait` of three days takes none, and the same
//! answers at the same times always lead to the same facts.

mod outside;
mod reached;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::definition::{self, Diagnostic};
use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::plan::{Plan, TaskIx};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, Report};

use self::outside::Outside;
pub use self::outside::RehearsedChild;
pub use self::reached::Reached;
use crate::admission::{Admission, StartQuotas};
use crate::approval::{ApprovalId, OpenApproval};
use crate::catalog::{Acceptance, Catalog, Refused, Unsupported};
use crate::early::EarlyEvents;
use crate::engine::{ChildOutcome, Fact, Input, Instance, Verdict, decode};
use crate::history::{HistoryEntry, Reader, States};
use crate::journal::memory::MemoryJournal;
use crate::journal::{Filter, Head, Journal, JournalError, Table};
use crate::memory::Memory;
use crate::partition::{
    Batch, Done, EventTicket, Message, NewInstance, Partition, PartitionContext, StartPolicy,
    approval, fold,
};
use crate::view::{InstanceView, reference, view};

/// The one partition.
const PARTITION: PartitionId = PartitionId(0);

/// Why a rehearsal cannot begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// A definition has errors.
    #[error("the definition has errors")]
    Invalid(Vec<Diagnostic>),
    /// Two definitions are of the same version and not the same.
    #[error("two definitions are of {0}, and differ")]
    Twice(String),
    /// Instances go on and on.
    #[error(
        "the workflow does not end: it has made {} facts or taken {} turns",
        limits::REHEARSAL_FACTS,
        limits::REHEARSAL_TURNS
    )]
    Endless,
    /// The journal in memory failed, which is a defect.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Definitions, instances, and a time.
pub struct Rehearsal {
    journal: Arc<MemoryJournal>,
    outside: Outside,
    partition: Partition,
    now: Timestamp,
    /// Turns that are left to take, and facts that are left to make.
    turns: u32,
    facts: u64,
}

impl Rehearsal {
    /// Deploys `definitions` at `now`. Workflows start by their schedules only if `scheduled`.
    ///
    /// # Errors
    /// When a definition cannot be deployed.
    pub fn begin(
        definitions: &[&str],
        now: Timestamp,
        scheduled: bool,
    ) -> Result<Self, RehearsalError> {
        let journal = Arc::new(MemoryJournal::in_memory(1)?);
        let options = definition::Options { unversioned: true, ..Default::default() };
        let catalog = Arc::new(Catalog::open(journal.clone(), options)?);
        for text in definitions {
            // Whether a worker could do it does not matter where none does.
            let accepted = Acceptance { unsupported: Unsupported::Allow, replace: false };
            catalog.deploy(text, accepted, now, |_| Ok(())).map_err(refused)?;
        }
        let shared = PartitionContext {
            journal: journal.clone(),
            catalog: catalog.clone(),
            epoch: 1,
            losses: limits::DELIVERIES_LOST,
            memory: Memory::new(limits::REHEARSAL_BYTES),
            quarantine: Default::default(),
            admission: Arc::new(Admission::open(journal.clone(), StartQuotas::default())?),
            filters: Arc::default(),
            misfits: Arc::default(),
            counts: Arc::default(),
            sampler: None,
            early: Arc::new(EarlyEvents::open(journal.clone(), 0)?),
            successor: Arc::default(),
        };
        let mut partition = Partition::open(PARTITION, shared, now)?;
        partition.set_scheduled(scheduled);
        let (turns, facts) = (limits::REHEARSAL_TURNS, limits::REHEARSAL_FACTS);
        let outside = Outside::new(catalog);
        let mut rehearsal = Self { journal, outside, partition, now, turns, facts };
        let (batch, _) = rehearsal.partition.recover(now, None)?;
        rehearsal.commit(batch)?;
        // What a schedule starts at the deployment.
        rehearsal.settle()?;
        Ok(rehearsal)
    }

    /// The definitions.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.outside.shared_catalog()
    }

    /// What the time is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Starts an instance.
    ///
    /// # Errors
    /// When it does not come to rest.
    pub fn start(
        &mut self,
        id: InstanceId,
        plan: Arc<Plan>,
        input: Value,
    ) -> Result<(), RehearsalError> {
        self.tell(Message::Start(Box::new(NewInstance {
            id,
            plan,
            input,
            labels: Vec::new(),
            priority: limits::DEFAULT_PRIORITY,
            parent: None,
            trace: None,
            by: None,
            policy: StartPolicy::default(),
            reply: None,
            ended: None,
        })))
    }

    /// A worker reports.
    ///
    /// # Errors
    /// When what follows does not come to rest.
    pub fn report(&mut self, report: Report) -> Result<(), RehearsalError> {
        self.tell(Message::Reported(report))
    }

    /// An event comes; gives how many instances took it.
    ///
    /// # Errors
    /// When what follows does not come to rest.
    pub fn send(&mut self, event: CloudEvent) -> Result<usize, RehearsalError> {
        let (caller, mut answer) = oneshot::channel();
        self.tell(Message::Event(EventTicket::new(Arc::new(event), 1, Done::Caller(caller))))?;
        Ok(answer.try_recv().map_or(0, |it| it.consumed))
    }

    /// The assignments that have left for workers since this was last asked, in order.
    pub fn assignments(&mut self) -> Vec<Assignment> {
        std::mem::take(&mut self.outside.state().assignments)
    }

    /// The children that are to be started, in order: each waits for [`Self::start_child`] or
    /// [`Self::end_child`].
    pub fn children(&mut self) -> Vec<RehearsedChild> {
        std::mem::take(&mut self.outside.state().children)
    }

    /// Starts a child, as its parent asks for it.
    ///
    /// # Errors
    /// When what follows does not come to rest.
    pub fn start_child(&mut self, child: RehearsedChild) -> Result<(), RehearsalError> {
        child.into_release().go(&self.outside);
        self.settle()
    }

    /// Tells the parent that the child, which was never started, has ended; one that does not wait
    /// for it only that it was started.
    ///
    /// # Errors
    /// When what follows does not come to rest.
    pub fn end_child(
        &mut self,
        child: &RehearsedChild,
        outcome: ChildOutcome,
    ) -> Result<(), RehearsalError> {
        let frame = child.parent.frame;
        let input = match child.parent.waits {
            true => Input::ChildEnded { frame, outcome },
            false => Input::ChildAccepted { frame },
        };
        let instance = child.parent.instance;
        self.tell(Message::Input { instance, input, reply: None })
    }

    /// The questions to people that are open, in the order in which they were asked.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn approvals(&self) -> Result<Vec<(ApprovalId, OpenApproval)>, RehearsalError> {
        let rows = self.journal.rows(PARTITION, Table::Approvals, None, usize::MAX)?;
        let open = rows.iter().map(|(name, row)| approval(name, row));
        Ok(open.collect::<Result<_, _>>()?)
    }

    /// Somebody decides one.
    ///
    /// # Errors
    /// When what follows does not come to rest.
    pub fn decide(&mut self, id: ApprovalId, verdict: Verdict) -> Result<(), RehearsalError> {
        let input = Input::Decide { number: id.number, verdict };
        self.tell(Message::Input { instance: id.instance, input, reply: None })
    }

    /// True while something listens for events.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn listens(&self) -> Result<bool, RehearsalError> {
        Ok(!self.journal.subscriptions(PARTITION, None, 1)?.is_empty())
    }

    /// When something is due by itself: a wait, a retry, a timeout, a start by schedule.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn next_due(&self) -> Result<Option<Timestamp>, RehearsalError> {
        Ok(self.partition.next_due()?)
    }

    /// Lets the time be `to`, and what is due by then happen; never goes back.
    ///
    /// # Errors
    /// When what follows does not come to rest.
    pub fn advance(&mut self, to: Timestamp) -> Result<(), RehearsalError> {
        while self.now < to {
            // What is due and has not happened by now will not by itself.
            let due = self.partition.next_due()?.filter(|due| *due > self.now);
            let due = due.map_or(to, |due| due.min(to));
            // Timers are in memory only once they are due soon, and nothing is due before that.
            let soon = Timestamp(due.0.saturating_sub(limits::TIMER_HORIZON_MS / 2));
            let next = self.partition.next_wake().max(soon).min(due);
            self.now = next.max(self.now.plus(1));
            self.settle()?;
        }
        Ok(())
    }

    /// All instances, in the order in which they were started.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn instances(&self) -> Result<Vec<InstanceId>, RehearsalError> {
        let page = self.journal.list(&Filter::default(), None, usize::MAX)?;
        let mut all: Vec<_> = page.items.iter().map(|(id, head)| (head.started_at, *id)).collect();
        all.sort_unstable();
        Ok(all.into_iter().map(|(_, id)| id).collect())
    }

    /// What there is to see of an instance; none where there is no such.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn view(&self, id: InstanceId) -> Result<Option<InstanceView>, RehearsalError> {
        let Some(stored) = self.journal.load(id)? else { return Ok(None) };
        let (instance, _) = fold(id, &stored)?;
        let plan = self.outside.catalog.required(&instance.digest)?;
        Ok(Some(view(&plan, &instance, None)))
    }

    /// What lists show of an instance; none where there is no such.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn head(&self, id: InstanceId) -> Result<Option<Head>, RehearsalError> {
        Ok(self.journal.head(id)?)
    }

    /// The task that an open visit is of: its plan, its pointer and its index.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn task_of(
        &self,
        id: InstanceId,
        frame: FrameId,
    ) -> Result<Option<TaskPlace>, RehearsalError> {
        let Some(instance) = self.partition.instance(id) else { return Ok(None) };
        let plan = self.outside.catalog.required(&instance.digest)?;
        let task = instance.frames.get(&frame).and_then(|it| it.task);
        Ok(task.map(|task| (plan.clone(), reference(&plan, instance, frame), task)))
    }

    /// What happened in an instance, as `windlass history` tells it.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn history(&self, id: InstanceId) -> Result<Vec<HistoryEntry>, RehearsalError> {
        let states = States::default();
        let (journal, catalog) = (&*self.journal, &*self.outside.catalog);
        let reader = Reader { journal, catalog, states: &states };
        let (mut all, mut from) = (Vec::new(), Some(0));
        while let Some(next) = from {
            let Some(page) = reader.read(id, next, usize::MAX)? else { break };
            all.extend(page.entries);
            from = page.next;
        }
        Ok(all)
    }

    /// The events that an instance has emitted, in order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn emitted(&self, id: InstanceId) -> Result<Vec<CloudEvent>, RehearsalError> {
        let facts = self.facts_of(id)?;
        let events = facts.into_iter().filter_map(|(_, fact)| match fact {
            Fact::Emitted { event, .. } => Some(event),
            _ => None,
        });
        Ok(events.collect())
    }

    /// The tasks and branches that an instance has come to, and the plan they are of.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn reached(&self, id: InstanceId) -> Result<Option<ReachedIn>, RehearsalError> {
        let facts = self.facts_of(id)?;
        let Some(head) = self.journal.head(id)? else { return Ok(None) };
        let plan = self.outside.catalog.required(&head.digest)?;
        let mut reached = BTreeSet::new();
        let mut instance = Instance::not_started(id);
        for (at, fact) in &facts {
            reached::by(&plan, &instance, *at, fact, &mut reached);
            instance.evolve(*at, fact);
            instance.changes = Default::default();
        }
        Ok(Some((plan, reached)))
    }

    fn facts_of(&self, id: InstanceId) -> Result<Vec<(Timestamp, Fact)>, RehearsalError> {
        let mut facts = Vec::new();
        for stored in self.journal.facts(id, 0, usize::MAX)? {
            let damaged =
                |error: crate::engine::FactError| JournalError::Damaged(error.to_string());
            for turn in decode(&stored.facts).map_err(damaged)? {
                facts.extend(turn.facts.into_iter().map(|fact| (turn.at, fact)));
            }
        }
        Ok(facts)
    }

    fn tell(&mut self, message: Message) -> Result<(), RehearsalError> {
        self.outside.state().inbox.push(message);
        self.settle()
    }

    /// Takes turns until nothing is left to do at this time.
    fn settle(&mut self) -> Result<(), RehearsalError> {
        loop {
            let mut messages = std::mem::take(&mut self.outside.state().inbox);
            if messages.is_empty() && self.partition.next_wake() > self.now {
                return Ok(());
            }
            self.turns = self.turns.checked_sub(1).ok_or(RehearsalError::Endless)?;
            let batch = self.partition.turn(self.now, &mut messages)?;
            self.commit(batch)?;
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<(), RehearsalError> {
        let Batch { number, commit, releases, .. } = batch;
        let facts: u64 = commit.writes.iter().map(|it| u64::from(it.count)).sum();
        self.facts = self.facts.checked_sub(facts).ok_or(RehearsalError::Endless)?;
        self.journal.commit(&[commit])?;
        self.partition.durable().store(number, Ordering::Release);
        for release in releases {
            match RehearsedChild::of(release) {
                Ok(child) => self.outside.state().children.push(child),
                Err(release) => release.go(&self.outside),
            }
        }
        Ok(())
    }
}

/// A plan, the JSON pointer of a task, and its index.
pub type TaskPlace = (Arc<Plan>, Arc<str>, TaskIx);

/// A plan, and what an instance of it has come to.
pub type ReachedIn = (Arc<Plan>, BTreeSet<Reached>);

fn refused(refused: Refused) -> RehearsalError {
    match refused {
        Refused::Invalid(diagnostics) => RehearsalError::Invalid(diagnostics),
        Refused::Exists(id, _) => RehearsalError::Twice(id.to_string()),
        Refused::Journal(error) => RehearsalError::Journal(error),
        // Nobody is asked for permission, and nothing is told of it.
        Refused::Forbidden(_) | Refused::NotPermitted(_) | Refused::Untold(_) => {
            RehearsalError::Journal(JournalError::Store("a deployment was not permitted".into()))
        }
    }
}
