//! Plays one case: a rehearsal for the coordinator, a worker whose calls are answered by mocks, and
//! a clock that jumps to what comes next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use windlass_coordinator::approval::{ApprovalId, OpenApproval};
use windlass_coordinator::catalog::Catalog;
use windlass_coordinator::engine::{ChildOutcome, Verdict};
use windlass_coordinator::history::HistoryEntry;
use windlass_coordinator::journal::Head;
use windlass_coordinator::rehearsal::{
    Reached, ReachedIn, Rehearsal, RehearsalError, RehearsedChild,
};
use windlass_coordinator::view::InstanceView;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{Digest, InstanceId};
use windlass_proto::limits;
use windlass_proto::plan::{Kind, Plan};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, Field, Report, Work};
use windlass_worker::{
    CancellationToken, DevelopmentSecrets, Egress, EgressRule, HttpOptions, PlanSource,
    ProcessOptions, Worker, WorkerError,
};

use super::mocks::{Caller, Made, Mocks, Takes};
use super::read::complete;
use super::texts::Texts;
use super::{BEGINNING, SentEvent, Start, Surroundings};

/// The id of every instance that a case starts: what follows from it (delays with jitter, ids of
/// children and of events) is the same each time.
const ID: InstanceId = InstanceId(Uuid::from_u128(0x019b_76da_a800_7000_8000_0000_0000_0001));

/// What happened in a case.
pub(crate) struct Played {
    /// The instance, as far as one was started.
    pub(crate) main: Option<InstanceView>,
    /// Milliseconds from when it was started to its end, or to when nothing went on.
    pub(crate) took: u64,
    /// When the case began.
    pub(crate) began: Timestamp,
    /// The calls that were made.
    pub(crate) made: Vec<Made>,
    /// The first call that nothing is said of.
    pub(crate) unmocked: Option<Made>,
    /// For each event how many instances took it; none where it was not sent.
    pub(crate) consumed: Vec<Option<usize>>,
    /// The histories of all instances, in the order of their starts.
    pub(crate) histories: Vec<History>,
    /// Events that the instance emitted.
    pub(crate) emitted: Vec<CloudEvent>,
    /// What all instances have come to.
    pub(crate) reached: Vec<ReachedIn>,
}

/// What happened in one instance.
pub(crate) struct History {
    /// Its workflow.
    pub(crate) plan: Arc<Plan>,
    /// What happened.
    pub(crate) entries: Vec<HistoryEntry>,
}

/// Why a case cannot be played to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlayError {
    /// The workflow.
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
    /// The worker.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// What a case is played with.
pub(crate) struct Stage<'s> {
    /// The definitions.
    pub(crate) texts: &'s Texts,
    /// What surrounds the instance.
    pub(crate) around: &'s Surroundings,
    /// Whether calls that nothing is said of are made.
    pub(crate) allows_calls: bool,
}

/// Something that will happen.
enum Coming {
    Report(Report),
    Child(RehearsedChild, ChildOutcome),
    Decision(ApprovalId, Verdict),
    Event(usize),
}

/// A case that is being played.
struct Play<'s> {
    rehearsal: Rehearsal,
    worker: Worker,
    mocks: Arc<Mocks>,
    events: &'s [SentEvent],
    coming: BTreeMap<(Timestamp, u64), Coming>,
    /// Events that come as soon as something listens.
    waiting: VecDeque<usize>,
    numbered: u64,
    consumed: Vec<Option<usize>>,
    /// Questions to people that the mocks were asked.
    asked: BTreeSet<ApprovalId>,
    /// Cases of `switch` that a worker chose.
    chosen: Vec<(Digest, Reached)>,
}

struct Plans(Arc<Catalog>);

impl PlanSource for Plans {
    fn plan(&self, digest: &Digest) -> Option<Arc<Plan>> {
        self.0.plan(digest)
    }
}

/// Plays a case.
///
/// # Errors
/// When it does not end, or cannot begin.
pub(crate) async fn play(stage: &Stage<'_>, start: &Start) -> Result<Played, PlayError> {
    let began = stage.around.now.unwrap_or(BEGINNING);
    let texts: Vec<&str> = stage.texts.0.iter().map(|it| it.text.as_str()).collect();
    let scheduled = matches!(start, Start::Schedule(_));
    let mut rehearsal = Rehearsal::begin(&texts, began, scheduled)?;
    let mocks = Arc::new(Mocks::new(stage.around.mocks.clone(), stage.allows_calls));
    let worker = worker(stage, mocks.clone(), rehearsal.catalog())?;
    if let (Start::Input(input), Some(first)) = (start, stage.texts.0.first()) {
        rehearsal.start(ID, first.plan.clone(), input.clone())?;
    }
    let events = &stage.around.events[..];
    let mut play = Play {
        rehearsal,
        worker,
        mocks,
        events,
        coming: BTreeMap::new(),
        waiting: VecDeque::new(),
        numbered: 0,
        consumed: vec![None; events.len()],
        asked: BTreeSet::new(),
        chosen: Vec::new(),
    };
    for (index, event) in events.iter().enumerate() {
        match event.at {
            Some(at) => play.later(began.plus(at), Coming::Event(index)),
            None => play.waiting.push_back(index),
        }
    }
    let main = play.run(start).await?;
    play.told(began, main)
}

/// The worker, which calls nothing but what may be.
fn worker(
    stage: &Stage<'_>,
    mocks: Arc<Mocks>,
    catalog: Arc<Catalog>,
) -> Result<Worker, WorkerError> {
    let mut secrets = DevelopmentSecrets::new();
    for (name, value) in &stage.around.secrets {
        secrets = secrets.value(name, value);
    }
    let all = Egress::unrestricted();
    let egress = if stage.allows_calls { all } else { all.deny(EgressRule::Any) };
    let files_of = stage.texts.0.iter().map(|it| (it.plan.id.clone(), it.folder())).collect();
    let http = HttpOptions { egress, files_of, ..HttpOptions::default() };
    let runs = stage.allows_calls;
    let processes = ProcessOptions { shell: runs, script: runs, mcp: runs, ..Default::default() };
    let builder = Worker::builder().http(http).processes(processes).secrets(Arc::new(secrets));
    builder.plans(Arc::new(Plans(catalog))).stand_in(mocks).build()
}

impl Play<'_> {
    /// Plays until the instance has ended, with its children, or nothing goes on; gives its id.
    async fn run(&mut self, start: &Start) -> Result<Option<InstanceId>, PlayError> {
        loop {
            self.answer().await?;
            let main = self.main(start)?;
            if self.mocks.unmocked().is_some() || self.is_over(main)? {
                return Ok(main);
            }
            let now = self.rehearsal.now();
            let soonest = self.coming.first_key_value().map(|((at, _), _)| *at);
            if soonest.is_some_and(|at| at <= now) {
                self.next().await?;
                continue;
            }
            let due = self.rehearsal.next_due()?.filter(|due| *due > now);
            let next = soonest.into_iter().chain(due).min();
            if next.is_none() || self.rehearsal.listens()? {
                // What listens hears; what nobody hears is said so, rather than never sent.
                if let Some(index) = self.waiting.pop_front() {
                    self.send(index)?;
                    continue;
                }
            }
            match next {
                Some(next) => self.rehearsal.advance(next)?,
                None => return Ok(main),
            }
        }
    }

    /// The instance that is looked at, once it has been started.
    fn main(&self, start: &Start) -> Result<Option<InstanceId>, PlayError> {
        let Start::Schedule(number) = start else { return Ok(Some(ID)) };
        let mut left = *number;
        for id in self.rehearsal.instances()? {
            let head = self.rehearsal.head(id)?;
            if head.is_some_and(|it| it.parent.is_none()) {
                left -= 1;
                if left == 0 {
                    return Ok(Some(id));
                }
            }
        }
        Ok(None)
    }

    /// True when the instance has ended, and nothing that it has started goes on.
    fn is_over(&self, main: Option<InstanceId>) -> Result<bool, PlayError> {
        let Some(main) = main else { return Ok(false) };
        let is_open = |id| -> Result<Option<Head>, PlayError> {
            Ok(self.rehearsal.head(id)?.filter(|it| !it.status.is_final()))
        };
        if is_open(main)?.is_some() {
            return Ok(false);
        }
        for id in self.rehearsal.instances()? {
            if is_open(id)?.is_some_and(|it| it.root == Some(main)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Performs what has left for workers, and starts the children that are to be started.
    async fn answer(&mut self) -> Result<(), PlayError> {
        loop {
            self.ask()?;
            let (children, assignments) = (self.rehearsal.children(), self.rehearsal.assignments());
            if children.is_empty() && assignments.is_empty() {
                return Ok(());
            }
            for child in children {
                self.child(child)?;
            }
            for assignment in assignments {
                self.perform(assignment).await?;
            }
        }
    }

    /// Has the mocks decide what people are asked, each question once.
    fn ask(&mut self) -> Result<(), PlayError> {
        for (id, open) in self.rehearsal.approvals()? {
            if !self.asked.insert(id) {
                continue;
            }
            let OpenApproval { workflow, reference, question, .. } = open;
            let now = self.rehearsal.now();
            let name = reference.rsplit('/').next().unwrap_or_default();
            let name = name.replace("~1", "/").replace("~0", "~").into();
            let texts =
                |all: &[Arc<str>]| Value::array(all.iter().cloned().map(Value::from).collect());
            let sent = Value::object([
                ("title", Value::from(question.title.clone())),
                ("description", question.description.clone().map_or(Value::Null, Value::from)),
                ("roles", texts(&question.roles)),
                ("users", texts(&question.users)),
            ]);
            let caller = Caller { workflow, reference, name, now };
            match self.mocks.decision(caller, sent) {
                // Nobody decides: the task ends by its timeout, or not at all.
                None | Some((_, Takes::Forever)) => {}
                Some((verdict, Takes::Milliseconds(delay))) => {
                    self.later(now.plus(delay), Coming::Decision(id, verdict));
                }
            }
        }
        Ok(())
    }

    fn child(&mut self, child: RehearsedChild) -> Result<(), PlayError> {
        let parent = child.parent;
        let task = self.rehearsal.task_of(parent.instance, parent.frame)?;
        let Some((plan, reference, index)) = task else {
            return Ok(self.rehearsal.start_child(child)?);
        };
        let name = plan.task(index).name.clone();
        let now = self.rehearsal.now();
        let caller = Caller { workflow: plan.id.clone(), reference, name, now };
        let [namespace, workflow, version] = child.workflow.clone().map(Value::from);
        let sent = Value::object([
            ("namespace", namespace),
            ("name", workflow),
            ("version", version),
            ("input", child.input.clone()),
        ]);
        match self.mocks.child(caller, sent) {
            None => self.rehearsal.start_child(child)?,
            Some((_, Takes::Forever)) => {}
            Some((outcome, Takes::Milliseconds(delay))) => {
                self.later(now.plus(delay), Coming::Child(child, outcome));
            }
        }
        Ok(())
    }

    /// Performs an assignment as a worker does; its report comes when the mocks say.
    async fn perform(&mut self, mut assignment: Assignment) -> Result<(), PlayError> {
        let plan = self.rehearsal.catalog().required(&assignment.digest);
        let plan = plan.map_err(RehearsalError::from)?;
        let task = plan.task(assignment.task);
        let (key, now) = (assignment.key.clone(), self.rehearsal.now());
        self.mocks.begin(Caller {
            workflow: assignment.workflow.clone(),
            reference: assignment.reference.clone(),
            name: task.name.clone(),
            now,
        });
        // The worker's clock is the real one; what ends a task here is the rehearsal's.
        assignment.deadline = None;
        let chooses = matches!(task.kind, Kind::Switch(_))
            && assignment.work == Work::Evaluate(Field::Definition);
        let index = assignment.task;
        let most = Duration::from_millis(limits::TEST_REAL_CALL_MS);
        let performed = self.worker.perform(assignment, CancellationToken::new());
        let report = tokio::time::timeout(most, performed).await.unwrap_or_else(|_| {
            let detail = format!("the real call has not ended after {} s", most.as_secs());
            Report::new(key, Err(Problem::new(Standard::Timeout, detail)))
        });
        if let (true, Ok(Value::Int(number))) = (chooses, &report.result)
            && let Ok(number) = usize::try_from(*number)
        {
            self.chosen.push((plan.digest.clone(), Reached::Case(index, number)));
        }
        match self.mocks.end() {
            Takes::Forever => {}
            Takes::Milliseconds(delay) => self.later(now.plus(delay), Coming::Report(report)),
        }
        Ok(())
    }

    fn later(&mut self, at: Timestamp, coming: Coming) {
        self.numbered += 1;
        self.coming.insert((at, self.numbered), coming);
    }

    /// Lets what comes next happen.
    async fn next(&mut self) -> Result<(), PlayError> {
        match self.coming.pop_first().map(|(_, coming)| coming) {
            Some(Coming::Report(report)) => self.rehearsal.report(report)?,
            Some(Coming::Child(child, outcome)) => self.rehearsal.end_child(&child, outcome)?,
            Some(Coming::Decision(id, verdict)) => self.rehearsal.decide(id, verdict)?,
            Some(Coming::Event(index)) => self.send(index)?,
            None => {}
        }
        Ok(())
    }

    fn send(&mut self, index: usize) -> Result<(), PlayError> {
        let Some(event) = self.events.get(index) else { return Ok(()) };
        let id = format!("test-{}", index + 1);
        let event = complete(&event.event, &id, self.rehearsal.now());
        // It was one when it was read.
        let Ok(event) = CloudEvent::from_value(event) else { return Ok(()) };
        let consumed = self.rehearsal.send(event)?;
        if let Some(told) = self.consumed.get_mut(index) {
            *told = Some(consumed);
        }
        Ok(())
    }

    /// What happened, once it is over.
    fn told(self, began: Timestamp, main: Option<InstanceId>) -> Result<Played, PlayError> {
        let rehearsal = &self.rehearsal;
        let view = main.map(|it| rehearsal.view(it)).transpose()?.flatten();
        let started = view.as_ref().map_or(began, |it| it.head.started_at);
        let ended = view.as_ref().and_then(|it| it.head.ended_at).unwrap_or(rehearsal.now());
        let (mut histories, mut reached) = (Vec::new(), Vec::new());
        for id in rehearsal.instances()? {
            let Some((plan, mut come_to)) = rehearsal.reached(id)? else { continue };
            let chosen = self.chosen.iter().filter(|(digest, _)| *digest == plan.digest);
            come_to.extend(chosen.map(|(_, it)| *it));
            histories.push(History { plan: plan.clone(), entries: rehearsal.history(id)? });
            reached.push((plan, come_to));
        }
        Ok(Played {
            emitted: main.map(|it| rehearsal.emitted(it)).transpose()?.unwrap_or_default(),
            main: view,
            took: ended.since(started),
            began: started,
            made: self.mocks.made(),
            unmocked: self.mocks.unmocked(),
            consumed: self.consumed,
            histories,
            reached,
        })
    }
}

#[cfg(test)]
mod tests;
