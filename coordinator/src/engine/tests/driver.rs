//! Drives one instance without threads or clocks, and checks after every decision what must always
//! hold: folding the journaled facts gives the live state, byte for byte.

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::definition::{Options, load};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::plan::Plan;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::worker::{self, Job};
use super::{json, shown};
use crate::engine::{
    Body, ChildOutcome, Decision, Effect, Ending, Fact, Input, Instance, Journaled, Origin, Parent,
    Rejection, Reset, ResetOrder, Succession, Unrepairable, Unresettable, create, decide, decode,
    encode, faulted, recover, replay, reset, retrace, succeed, succeeded,
};

/// When every run begins: 2026-01-01, as good as any.
pub(super) const START: Timestamp = Timestamp(1_767_225_600_000);

/// What a worker answers.
pub(super) enum Answer {
    /// What `with` evaluates to, for tasks without one the input.
    Echo,
    /// This raw output.
    Give(Value),
    /// This error.
    Fail(Problem),
    /// The same after so many milliseconds.
    After(u64, Box<Answer>),
    /// This error, of whoever does not want to be asked again for so many milliseconds.
    Busy(Problem, u64),
    /// Nothing.
    Never,
}

type Script = Box<dyn FnMut(&Job) -> Answer>;
type Children = Box<dyn FnMut(&[Arc<str>; 3], &Value) -> Option<ChildOutcome>>;

/// One instance and the world around it.
pub(super) struct Run {
    pub(super) plan: Arc<Plan>,
    pub(super) state: Instance,
    pub(super) at: Timestamp,
    /// All facts so far.
    pub(super) facts: Vec<Fact>,
    /// Assignments sent, in order.
    pub(super) jobs: Vec<Job>,
    /// Assignments cancelled.
    pub(super) cancelled: Vec<(FrameId, u32)>,
    /// Events emitted.
    pub(super) published: Vec<Arc<CloudEvent>>,
    /// Children started: workflow, input, awaited.
    pub(super) children: Vec<([Arc<str>; 3], Value, bool)>,
    /// What they know of their parent.
    pub(super) parents: Vec<Parent>,
    /// Children cancelled.
    pub(super) cancelled_children: Vec<InstanceId>,
    /// What the parent was told.
    pub(super) notified: Vec<(InstanceId, FrameId, ChildOutcome)>,
    /// How often the instance yielded.
    pub(super) yields: usize,
    input: Value,
    parent: Option<Parent>,
    secrets: Value,
    script: Script,
    child: Children,
    publishing: Option<Problem>,
    held: bool,
    inbox: VecDeque<Input>,
    later: Vec<(Timestamp, Input)>,
    shadow: Instance,
    entry: Vec<u8>,
}

/// A definition's text, its `document` before `body`.
pub(super) fn definition(body: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: test, name: test, version: '1.0.0'}}\n{}\n",
        body.trim()
    )
}

/// The plan of a definition; its warnings do not matter here.
pub(super) fn plan(text: &str) -> Arc<Plan> {
    let loaded = load(text, &Options::default());
    loaded.plan.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.diagnostics))
}

/// A problem of a standard type.
pub(super) fn problem(kind: Standard, status: u16) -> Problem {
    Problem::new(kind, "scripted").with_status(status)
}

impl Run {
    /// A workflow with this body; its instance is not created before [`Self::go`] or
    /// [`Self::begin`].
    pub(super) fn of(body: &str) -> Self {
        Self::planned(plan(&definition(body)))
    }

    pub(super) fn planned(plan: Arc<Plan>) -> Self {
        let id = InstanceId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001));
        Self {
            plan,
            state: Instance::not_started(id),
            at: START,
            facts: Vec::new(),
            jobs: Vec::new(),
            cancelled: Vec::new(),
            published: Vec::new(),
            children: Vec::new(),
            parents: Vec::new(),
            cancelled_children: Vec::new(),
            notified: Vec::new(),
            yields: 0,
            input: Value::empty_object(),
            parent: None,
            secrets: Value::empty_object(),
            script: Box::new(|_| Answer::Echo),
            child: Box::new(|_, input| Some(ChildOutcome::Completed(input.clone()))),
            publishing: None,
            held: false,
            inbox: VecDeque::new(),
            later: Vec::new(),
            shadow: Instance::not_started(id),
            entry: Vec::new(),
        }
    }

    pub(super) fn input(mut self, text: &str) -> Self {
        self.input = json(text);
        self
    }

    pub(super) fn value(mut self, input: Value) -> Self {
        self.input = input;
        self
    }

    pub(super) fn id(mut self, id: u128) -> Self {
        self.state.id = InstanceId(Uuid::from_u128(id));
        self.shadow.id = self.state.id;
        self
    }

    pub(super) fn parent(mut self, parent: Parent) -> Self {
        self.parent = Some(parent);
        self
    }

    pub(super) fn secrets(mut self, text: &str) -> Self {
        self.secrets = json(text);
        self
    }

    /// How workers answer.
    pub(super) fn script(mut self, script: impl FnMut(&Job) -> Answer + 'static) -> Self {
        self.script = Box::new(script);
        self
    }

    /// How children end; `None` for never.
    pub(super) fn child(
        mut self,
        child: impl FnMut(&[Arc<str>; 3], &Value) -> Option<ChildOutcome> + 'static,
    ) -> Self {
        self.child = Box::new(child);
        self
    }

    /// Events cannot be handed over.
    pub(super) fn unpublishable(mut self, problem: Problem) -> Self {
        self.publishing = Some(problem);
        self
    }

    /// Creates the instance and runs it as far as it goes by itself: to its end, or until it waits
    /// for events, children or workers that never answer.
    pub(super) fn go(mut self) -> Self {
        self.begin();
        self.settle();
        self
    }

    /// Creates the instance, without answering anything yet.
    pub(super) fn begin(&mut self) {
        let (state, decision) = create(
            &self.plan,
            self.state.id,
            self.at,
            self.input.clone(),
            Origin { parent: self.parent, ..Origin::default() },
        );
        self.state = state;
        self.keep(decision);
    }

    /// Creates the instance with this many facts on its count already.
    pub(super) fn aged(mut self, facts: u64) -> Self {
        self.begin();
        self.state.sequence = facts;
        self.shadow.sequence = facts;
        self.settle();
        self
    }

    /// Answers, fires and continues until nothing is left to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            if self.state.ending.is_some() || !self.step() {
                return;
            }
        }
        panic!("the instance does not settle");
    }

    /// Does the next thing: an answer, a continuation, or the timer or late answer due next.
    fn step(&mut self) -> bool {
        if let Some(input) = self.inbox.pop_front() {
            self.feed_unless_late(input);
            return true;
        }
        let later = self.later.iter().map(|(due, _)| *due).min();
        let timer = self.due_timer();
        match (later, timer) {
            (Some(due), timer) if timer.is_none_or(|(fires, _)| due < fires) => {
                self.at = self.at.max(due);
                let at = self.later.iter().position(|(it, _)| *it == due).unwrap();
                let (_, input) = self.later.remove(at);
                self.feed_unless_late(input);
                true
            }
            (_, Some((due, number))) => {
                self.at = self.at.max(due);
                self.feed(Input::TimerFired { timer: number }).expect("a timer that is due fires");
                true
            }
            (_, None) => false,
        }
    }

    /// The timer that is due next, unless its firing waits for resume already.
    fn due_timer(&self) -> Option<(Timestamp, u32)> {
        let deferred =
            |number: u32| self.state.pending.contains(&crate::engine::Step::Fire { timer: number });
        let timers = self.state.timers.iter().filter(|(number, _)| !deferred(**number));
        timers.map(|(number, timer)| (timer.due, *number)).min()
    }

    /// Does the next thing, whatever it is.
    pub(super) fn nudge(&mut self) {
        self.step();
    }

    /// Workers do not answer any more, the test does.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// Lets time pass: everything due until then happens.
    pub(super) fn wait(&mut self, milliseconds: u64) {
        let until = self.at.plus(milliseconds);
        loop {
            let later = self.later.iter().map(|(due, _)| *due).min();
            let timer = self.due_timer().map(|(due, _)| due);
            let next = later.into_iter().chain(timer).min();
            let due = !self.inbox.is_empty() || next.is_some_and(|due| due <= until);
            if self.state.ending.is_some() || !due || !self.step() {
                break;
            }
        }
        self.at = self.at.max(until);
    }

    /// What the outside answers may come too late; anything else must be taken.
    fn feed_unless_late(&mut self, input: Input) {
        let often_late =
            matches!(input, Input::EventArrived(_) | Input::Continue | Input::Reported { .. });
        // Where the test answers as well, it may have been faster.
        let may_be_late = often_late || self.held;
        let result = self.feed(input);
        assert!(may_be_late || result.is_ok(), "{result:?}");
    }

    /// Hands an input to the engine. A refused one must change nothing.
    pub(super) fn feed(&mut self, input: Input) -> Result<(), Rejection> {
        let before = self.state.to_bytes().unwrap();
        match decide(&self.plan, &mut self.state, self.at, input) {
            Ok(decision) => {
                self.keep(decision);
                Ok(())
            }
            Err(rejection) => {
                assert_eq!(before, self.state.to_bytes().unwrap(), "a rejection changes nothing");
                Err(rejection)
            }
        }
    }

    /// An event from outside.
    pub(super) fn event(&mut self, text: &str) -> Result<(), Rejection> {
        let event = CloudEvent::from_value(json(text)).unwrap();
        self.feed(Input::EventArrived(Arc::new(event)))
    }

    /// An event of this type with this data.
    pub(super) fn event_of(&mut self, kind: &str, data: &str) -> Result<(), Rejection> {
        let number = self.facts.len();
        self.event(&format!(
            r#"{{"specversion":"1.0","id":"e{number}","source":"/test","type":"{kind}","data":{data}}}"#
        ))
    }

    /// Forgets the live state and goes on with what the journal has, as after a crash.
    pub(super) fn crash(&mut self) {
        self.inbox.clear();
        self.later.clear();
        self.state = Instance::from_bytes(&self.shadow.to_bytes().unwrap()).unwrap();
        let decision = recover(&self.plan, &mut self.state, self.at);
        self.keep(decision);
    }

    /// Goes on with another instance, from the task that failed.
    pub(super) fn retry(&mut self) -> Result<(), Unrepairable> {
        let succession = faulted(self.state.id, decode(&self.entry).unwrap())?;
        self.succeed(succession)
    }

    /// Goes on with another instance, from where an operator says; gives what is kept and what is
    /// done again.
    pub(super) fn reset(&mut self, order: ResetOrder) -> Result<Reset, Unresettable> {
        let turns = decode(&self.entry).unwrap();
        let reset = reset(&self.plan, self.state.id, turns, order)?;
        let kept = &reset.succession.kept;
        let made = retrace(&self.plan, &self.plan, self.state.id, kept, &reset.told);
        assert!(made.is_ok(), "the same definition leads to the same facts: {made:?}");
        self.succeed(reset.succession.clone()).unwrap();
        Ok(reset)
    }

    /// The same by another definition.
    pub(super) fn reset_by(
        &mut self,
        plan: Arc<Plan>,
        order: ResetOrder,
    ) -> Result<(), Unresettable> {
        let turns = decode(&self.entry).unwrap();
        let mut reset = reset(&self.plan, self.state.id, turns, order)?;
        let (old, kept) = (self.state.id, &reset.succession.kept);
        reset.succession.kept = retrace(&self.plan, &plan, old, kept, &reset.told)?;
        // The one that is left notes who goes on for it by what it runs itself.
        let (old, is_reset) = (self.plan.clone(), true);
        self.succeed_by(plan, old, reset.succession, is_reset).unwrap();
        Ok(())
    }

    /// The journal so far.
    pub(super) fn written(&self) -> Vec<u8> {
        self.entry.clone()
    }

    fn succeed(&mut self, succession: Succession) -> Result<(), Unrepairable> {
        let (plan, is_reset) = (self.plan.clone(), succession.reset.is_some());
        self.succeed_by(plan.clone(), plan, succession, is_reset)
    }

    fn succeed_by(
        &mut self,
        plan: Arc<Plan>,
        old_plan: Arc<Plan>,
        mut succession: Succession,
        is_reset: bool,
    ) -> Result<(), Unrepairable> {
        let old = self.state.id;
        let id = InstanceId(Uuid::from_u128(old.0.as_u128() + 1));
        let mut state = replay(id, &mut succession)?;
        assert_eq!(state.changes.misfits.count(), 0, "what is kept does not follow");
        let decision = succeeded(&old_plan, &mut self.state, self.at, (id, is_reset));
        self.plan = plan;
        assert_eq!(decision.facts, [Fact::Succeeded { by: id, reset: is_reset }]);
        assert_eq!(self.state.changes.misfits.count(), 0);
        self.inbox.clear();
        self.later.clear();
        self.entry.clear();
        self.shadow = Instance::not_started(id);
        self.facts.clear();
        for turn in &succession.kept {
            encode(turn, &mut self.entry).unwrap();
            turn.facts.iter().for_each(|fact| self.shadow.evolve(turn.at, fact));
            self.facts.extend(turn.facts.iter().cloned());
        }
        let decision = succeed(&self.plan, &mut state, self.at, &succession);
        self.state = state;
        self.keep(decision);
        Ok(())
    }

    /// Journals what was decided, checks it, and does what it asks for.
    fn keep(&mut self, decision: Decision) {
        let turn = Journaled { at: self.at, facts: decision.facts.clone() };
        let mut entry = Vec::new();
        encode(&turn, &mut entry).unwrap();
        let decoded = decode(&entry).unwrap();
        assert_eq!(decoded, [turn], "facts survive the journal");
        for turn in decoded {
            turn.facts.iter().for_each(|fact| self.shadow.evolve(turn.at, fact));
        }
        self.entry.extend(entry);
        self.facts.extend(decision.facts);
        self.verify();
        decision.effects.into_iter().for_each(|effect| self.perform(effect));
    }

    /// What must hold after every decision.
    fn verify(&mut self) {
        let live = self.state.to_bytes().unwrap();
        assert_eq!(self.state.changes.misfits.count(), 0, "a decision met what cannot be");
        let misfits = &self.shadow.changes.misfits;
        assert_eq!(misfits.count(), 0, "the facts do not follow: {misfits:?}");
        self.shadow.changes = crate::engine::Changes::default();
        if live != self.shadow.to_bytes().unwrap() {
            panic!("folding gives another state:\n{:#?}\n{:#?}", self.state, self.shadow);
        }
        let outstanding = self.state.frames.values().filter(|frame| is_outstanding(&frame.body));
        assert_eq!(outstanding.count(), self.state.outstanding as usize, "outstanding");
        for timer in self.state.timers.values() {
            assert!(self.state.frames.contains_key(&timer.frame), "a timer without a frame");
        }
        for (id, frame) in &self.state.frames {
            assert!(self.state.frames.contains_key(&frame.parent), "{id:?} has no parent");
        }
        if self.state.ending.is_some() {
            assert!(self.state.frames.is_empty() && self.state.timers.is_empty());
        }
        self.state.changes = crate::engine::Changes::default();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Dispatch { .. } => self.dispatch(effect),
            Effect::CancelAssignment { frame, delivery } => {
                self.cancelled.push((frame, delivery));
            }
            Effect::Publish { frame, event } => {
                self.published.push(event.clone());
                let result = match &self.publishing {
                    None => {
                        self.inbox.push_back(Input::EventArrived(event));
                        Ok(())
                    }
                    Some(problem) => Err(problem.clone()),
                };
                self.inbox.push_back(Input::Published { frame, result });
            }
            Effect::StartChild { parent, workflow, input, .. } => {
                let (frame, wait) = (parent.frame, parent.waits);
                let outcome = (self.child)(&workflow, &input);
                self.children.push((workflow, input, wait));
                self.parents.push(parent);
                let answer = match outcome {
                    Some(ChildOutcome::Completed(_)) if !wait => Input::ChildAccepted { frame },
                    Some(outcome) => Input::ChildEnded { frame, outcome },
                    None => return,
                };
                self.inbox.push_back(answer);
            }
            Effect::CancelChild { child } => self.cancelled_children.push(child),
            Effect::NotifyParent { parent, frame, outcome } => {
                self.notified.push((parent, frame, outcome));
            }
            Effect::Ended(ending) => assert_eq!(self.state.ending, Some(ending)),
            Effect::Yield => {
                self.yields += 1;
                self.inbox.push_back(Input::Continue);
            }
        }
    }

    fn dispatch(&mut self, effect: Effect) {
        let job = Job::new(&self.plan, effect);
        let (frame, delivery) = (job.frame, job.delivery);
        let (mut after, mut retry_after_ms) = (0, None);
        let result = match job.prepare(&self.plan, self.at, &self.secrets) {
            Err(problem) => Some(Err(problem)),
            Ok(job) => {
                let mut answer =
                    if job.is_evaluation() { Answer::Echo } else { (self.script)(&job) };
                while let Answer::After(more, then) = answer {
                    after += more;
                    answer = *then;
                }
                if let Answer::Busy(problem, wait) = answer {
                    retry_after_ms = Some(wait);
                    answer = Answer::Fail(problem);
                }
                let result = worker::perform(&self.plan, &job, answer, self.at, &self.secrets);
                self.jobs.push(job);
                result
            }
        };
        let Some(result) = result.filter(|_| !self.held) else { return };
        let secrets = Vec::new();
        let report = Input::Reported { frame, delivery, result, secrets, retry_after_ms };
        match after {
            0 => self.inbox.push_back(report),
            after => self.later.push((self.at.plus(after), report)),
        }
    }

    /// The names of the tasks opened, in order.
    pub(super) fn order(&self) -> String {
        let opened = self.facts.iter().filter_map(|fact| match fact {
            Fact::TaskOpened { task, .. } => Some(&*self.plan.task(*task).name),
            _ => None,
        });
        opened.collect::<Vec<_>>().join(" ")
    }

    /// How many facts there are of a kind.
    pub(super) fn count(&self, is: impl Fn(&Fact) -> bool) -> usize {
        self.facts.iter().filter(|fact| is(fact)).count()
    }

    /// The output, as JSON.
    pub(super) fn output(&self) -> String {
        match &self.state.ending {
            Some(Ending::Completed(output)) => output.to_json(),
            other => panic!("not completed: {}", shown(other.as_ref())),
        }
    }

    /// The error.
    pub(super) fn problem(&self) -> &Problem {
        match &self.state.ending {
            Some(Ending::Faulted(problem)) => problem,
            other => panic!("not faulted: {}", shown(other.as_ref())),
        }
    }

    /// Milliseconds since the start.
    pub(super) fn elapsed(&self) -> u64 {
        self.at.since(START)
    }
}

impl Drop for Run {
    /// In the end the whole journal is folded once more, from its bytes.
    fn drop(&mut self) {
        if std::thread::panicking() || self.entry.is_empty() {
            return;
        }
        let mut folded = Instance::not_started(self.state.id);
        for turn in decode(&self.entry).unwrap() {
            turn.facts.iter().for_each(|fact| folded.evolve(turn.at, fact));
        }
        assert_eq!(folded.changes.misfits.count(), 0, "the journal holds what cannot be");
        folded.sequence = self.state.sequence;
        assert!(folded.to_bytes().unwrap() == self.state.to_bytes().unwrap(), "folded journal");
        let reread = Instance::from_bytes(&folded.to_bytes().unwrap()).unwrap();
        assert!(reread.to_bytes().unwrap() == folded.to_bytes().unwrap(), "snapshot");
    }
}

fn is_outstanding(body: &Body) -> bool {
    matches!(
        body,
        Body::Dispatched { .. }
            | Body::Evaluating { .. }
            | Body::Publishing { .. }
            | Body::Child { .. }
    )
}
