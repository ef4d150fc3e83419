//! Which fact can be when: one table of states and facts.
//!
//! The instance as a whole stands somewhere ([`Phase`]), and each visit of a task does something
//! ([`Doing`]). A row says where the instance may stand when a fact comes, which visit the fact is
//! about, what that may be doing, what it does then, and what else must hold: a timer that is set,
//! a branch that is there.
//!
//! A new kind of fact does not compile before it has a row.

use windlass_proto::id::FrameId;

use super::{Body, Instance, Listening, ROOT};
use crate::engine::fact::{Fact, TimerPurpose};
use crate::engine::misfit::{Misfit, MisfitKind};

/// Where an instance stands, as far as that decides which facts can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No fact is known of it.
    NotStarted = 1,
    /// It runs or waits.
    Active = 1 << 1,
    /// It is suspended, by an operator or by the process.
    Suspended = 1 << 2,
    /// It has ended.
    Ended = 1 << 3,
}

/// What a visit is doing: [`Body`] without its data, and two more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Nothing: it is over, or never was.
    Closed = 1,
    /// Runs the workflow's own list.
    Root = 1 << 1,
    /// [`Body::Begun`]
    Begun = 1 << 2,
    /// [`Body::Dispatched`]
    Dispatched = 1 << 3,
    /// [`Body::Evaluating`]
    Evaluating = 1 << 4,
    /// [`Body::Sequence`], below the root.
    Sequence = 1 << 5,
    /// [`Body::Loop`]
    Loop = 1 << 6,
    /// [`Body::Fork`]
    Fork = 1 << 7,
    /// [`Body::Trying`]
    Trying = 1 << 8,
    /// [`Body::Retrying`]
    Retrying = 1 << 9,
    /// [`Body::Catching`]
    Catching = 1 << 10,
    /// [`Body::Extending`]
    Extending = 1 << 11,
    /// [`Body::Waiting`]
    Waiting = 1 << 12,
    /// [`Body::Publishing`]
    Publishing = 1 << 13,
    /// [`Body::Listening`]
    Listening = 1 << 14,
    /// [`Body::Child`]
    Child = 1 << 15,
    /// [`Body::Approving`]
    Approving = 1 << 16,
}

/// Several of [`Phase`], a bit each.
type Phases = u8;

const NOT_STARTED: Phases = Phase::NotStarted as u8;
const ACTIVE: Phases = Phase::Active as u8;
const SUSPENDED: Phases = Phase::Suspended as u8;
const OPEN: Phases = ACTIVE | SUSPENDED;
const ENDED: Phases = Phase::Ended as u8;
/// A child that nobody waits for may end after its parent.
const STARTED: Phases = OPEN | ENDED;

/// Several of [`Doing`], a bit each.
type Doings = u32;

const fn any(of: &[Doing]) -> Doings {
    let (mut all, mut at) = (0, 0);
    while at < of.len() {
        all |= of[at] as Doings;
        at += 1;
    }
    all
}

const ROOTED: Doings = any(&[Doing::Root]);
/// The task itself has not begun; its `if` or its input may have been at a worker.
const FRESH: Doings = any(&[Doing::Begun, Doing::Evaluating]);
/// At a worker.
const AWAY: Doings = any(&[Doing::Dispatched, Doing::Evaluating]);
/// Its input can become known: a worker transforms the input of a task that is dispatched.
const ENTERED: Doings = FRESH | AWAY;
/// Has tasks below it, in a list or as branches.
const LISTS: Doings = ROOTED
    | any(&[Doing::Sequence, Doing::Loop, Doing::Fork, Doing::Trying, Doing::Catching])
    | any(&[Doing::Extending, Doing::Listening]);
/// Can give an output next.
const GIVING: Doings = ENTERED
    | any(&[Doing::Sequence, Doing::Loop, Doing::Fork, Doing::Trying, Doing::Catching])
    | any(&[Doing::Waiting, Doing::Publishing, Doing::Listening, Doing::Child]);
const TRIES: Doings = any(&[Doing::Trying]);
const RETRIES: Doings = any(&[Doing::Retrying]);
const LOOPS: Doings = any(&[Doing::Loop]);
const FORKS: Doings = any(&[Doing::Fork]);
const LISTENS: Doings = any(&[Doing::Listening]);
const CHILDREN: Doings = any(&[Doing::Child]);
const EXTENDS: Doings = any(&[Doing::Extending]);
const APPROVES: Doings = any(&[Doing::Approving]);
/// Any open visit of a task.
const TASK: Doings = GIVING | RETRIES | EXTENDS | APPROVES;

/// What a visit does after a fact about it.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The same as before.
    Stays,
    /// This.
    Does(Doing),
    /// What it did before extensions took over.
    GoesOn,
    /// Nothing any more.
    Closes,
}
use Then::{Closes, Does, GoesOn, Stays};

/// What the table says of one fact.
struct Row {
    name: &'static str,
    phases: Phases,
    visit: Option<(FrameId, Doings, Then)>,
    operands: bool,
    next: Option<Phase>,
}

/// A row: the fact and where the instance may stand; then, behind `:`, the visit it is about, what
/// that may be doing `=>` what it does after it; then what else must hold; then, behind `->`, where
/// the instance stands after it, if not where it stood.
macro_rules! table {
    ($($fact:ident { $($fields:tt)* } $phases:ident
        $(: $visit:tt $doings:expr => $then:expr)?
        $(, if $holds:expr)?
        $(, -> $next:ident)?;)*) => {
        fn row(state: &Instance, fact: &Fact) -> Row {
            match fact {
                $(Fact::$fact { $($fields)* } => Row {
                    name: stringify!($fact),
                    phases: $phases,
                    visit: None $(.or(Some((*$visit, $doings, $then))))?,
                    operands: true $(&& state.holds($holds))?,
                    next: None $(.or(Some(Phase::$next)))?,
                },)*
            }
        }
    };
}

table! {
    Started { .. }                 NOT_STARTED, -> Active;
    Requested { .. }               OPEN;
    Suspended { .. }               ACTIVE, -> Suspended;
    Quarantined { .. }             OPEN, if |it| it.quarantine.is_none(), -> Suspended;
    Resumed { .. }                 SUSPENDED, -> Active;
    Halted { frame, .. }           OPEN: frame TASK => Does(Doing::Begun), -> Suspended;
    Overridden { frame }           OPEN: frame TASK => Does(Doing::Begun);
    Succeeds { frame, .. }         OPEN: frame TASK => Does(Doing::Begun), -> Active;
    Succeeded { by, .. }           ENDED, if |it| !it.repair.successors.contains(by);
    Completed { .. }               OPEN: (&ROOT) ROOTED => Closes, -> Ended;
    CompletedUnchanged { .. }      OPEN: (&ROOT) ROOTED => Closes, -> Ended;
    Faulted { .. }                 OPEN: (&ROOT) ROOTED => Closes, -> Ended;
    Cancelled { .. }               OPEN: (&ROOT) ROOTED => Closes, -> Ended;
    HandlerStarted { .. }          ENDED, if |it| it.repair.handler.is_none();
    HandlerSettled { .. }          ENDED, if |it| it.has_pending_handler();
    Yielded { .. }                 OPEN;
    // Steps are not worked off while it is suspended, and what timers do waits.
    Continued { .. }               ACTIVE, if |it| !it.pending.is_empty();
    TimerFired { timer }           ACTIVE, if |it| it.has_timer(*timer);
    ChildAbandoned { child }       STARTED, if |it| !it.abandoned.contains(child);
    ChildGone { child }            STARTED, if |it| it.abandoned.contains(child);

    // A share is asked for by the workflow before its first task, or by a visit before its task.
    LimitAsked { frame: ROOT, .. }
        OPEN: (&ROOT) ROOTED => Stays, if |it| !it.claims.contains_key(&ROOT);
    // A worker may have evaluated its `if` just now.
    LimitAsked { frame, .. }
        OPEN: frame FRESH => Does(Doing::Begun), if |it| !it.claims.contains_key(frame);
    LimitTaken { frame }
        OPEN: frame FRESH | ROOTED => Stays, if |it| it.has_claim(*frame, false);
    LimitRefused { frame, displaced }
        OPEN: frame TASK | ROOTED => Stays, if |it| it.has_claim(*frame, *displaced);

    InputTransformed { .. }        ACTIVE: (&ROOT) ROOTED => Stays;
    TaskOpened { parent, position, .. }
        ACTIVE: parent LISTS => Stays, if |it| it.has_place(*parent, *position);
    TaskSkipped { parent, position, frame: None, .. }
        ACTIVE: parent LISTS => Stays, if |it| it.has_place(*parent, *position);
    // A worker has evaluated its `if`, or it begins again.
    TaskSkipped { parent, position, frame: Some(frame), .. }
        OPEN: frame FRESH => Closes, if |it| it.is_at(*frame, *parent, *position);
    TaskInput { frame, .. }        OPEN: frame ENTERED => Stays;
    TaskCompleted { frame, .. }    OPEN: frame GIVING => Closes, if |it| it.is_placed(*frame);
    TaskFaulted { frame, .. }      OPEN: frame TASK => Closes;

    // A delivery that is lost is followed by the next one.
    Dispatched { frame, .. }       OPEN: frame ENTERED => Does(Doing::Dispatched);
    EvaluationRequested { frame, .. }
        OPEN: frame GIVING | EXTENDS => Does(Doing::Evaluating);
    DeliveryLost { frame, .. }     OPEN: frame AWAY => Stays;
    SecretsUsed { frame, .. }      OPEN: frame AWAY => Stays;

    SequenceBegan { frame, .. }    OPEN: frame FRESH => Does(Doing::Sequence);
    LoopBegan { frame, .. }        OPEN: frame FRESH => Does(Doing::Loop);
    Iterated { frame, .. }         ACTIVE: frame LOOPS => Stays;
    Forked { frame, .. }           OPEN: frame FRESH => Does(Doing::Fork);
    // That of the workflow, where a branch ends it.
    ContextMerged { frame, .. }    OPEN: frame FORKS | ROOTED => Stays;
    BranchFaulted { frame, position, .. }
        OPEN: frame FORKS => Stays, if |it| it.has_place(*frame, *position);
    AttemptBegan { frame, attempt: 1 }
        OPEN: frame FRESH => Does(Doing::Trying);
    AttemptBegan { frame, attempt }
        OPEN: frame RETRIES => Does(Doing::Trying), if |it| it.is_attempt(*frame, *attempt);
    RetryScheduled { frame, .. }   OPEN: frame TRIES => Does(Doing::Retrying);
    Caught { frame, .. }           OPEN: frame TRIES => Does(Doing::Catching);

    TimerSet { frame, purpose: TimerPurpose::Wait, .. }
        OPEN: frame FRESH => Does(Doing::Waiting);
    TimerSet { frame, purpose: TimerPurpose::Retry, .. }
        OPEN: frame RETRIES => Stays;
    TimerSet { frame, purpose: TimerPurpose::Attempt, .. }
        OPEN: frame TRIES => Stays;
    TimerSet { frame, purpose: TimerPurpose::Timeout, .. }
        OPEN: frame FRESH | ROOTED => Stays;

    Emitted { frame, .. }          OPEN: frame FRESH => Does(Doing::Publishing);
    // Again under another id, where this one goes on for an instance that waited for it.
    ChildStarted { frame, .. }     OPEN: frame FRESH | CHILDREN => Does(Doing::Child);
    Subscribed { frame, .. }       OPEN: frame FRESH => Does(Doing::Listening);
    EventConsumed { frame, .. }
        OPEN: frame LISTENS => Stays, if |it| it.hears(*frame, |it| !it.closed);
    ItemBegan { frame }
        ACTIVE: frame LISTENS => Stays, if |it| it.hears(*frame, |it| !it.queue.is_empty());
    ItemEnded { frame, .. }
        OPEN: frame LISTENS => Stays, if |it| it.hears(*frame, |it| it.item.is_some());
    ListenClosed { frame }         OPEN: frame LISTENS => Stays;

    ApprovalAsked { frame, .. }    OPEN: frame FRESH => Does(Doing::Approving);
    // What follows gives the task its output.
    ApprovalDecided { frame, .. }  OPEN: frame APPROVES => Does(Doing::Begun);

    ExtensionsBegan { frame, after: false, .. }
        OPEN: frame FRESH => Does(Doing::Extending);
    // One before the task may have taken its place.
    ExtensionsBegan { frame, after: true, .. }
        OPEN: frame GIVING | EXTENDS => Does(Doing::Extending);
    ExtensionBegan { frame, .. }   OPEN: frame EXTENDS => Stays;
    ExtensionsEnded { frame }      OPEN: frame EXTENDS => GoesOn;
}

/// Where a fact that fits leads.
pub(super) struct Transition {
    name: &'static str,
    phase: Phase,
    visit: Option<(FrameId, Doing, Then)>,
}

impl Instance {
    /// Where it stands, as far as that decides which facts can be.
    pub(in crate::engine) fn phase(&self) -> Phase {
        if self.ending.is_some() {
            Phase::Ended
        } else if self.sequence == 0 {
            Phase::NotStarted
        } else if self.suspended {
            Phase::Suspended
        } else {
            Phase::Active
        }
    }

    /// What a visit is doing.
    pub(in crate::engine) fn doing(&self, id: FrameId) -> Doing {
        let Some(frame) = self.frames.get(&id) else { return Doing::Closed };
        match &frame.body {
            Body::Begun => Doing::Begun,
            Body::Dispatched { .. } => Doing::Dispatched,
            Body::Evaluating { .. } => Doing::Evaluating,
            Body::Sequence { .. } if id == ROOT => Doing::Root,
            Body::Sequence { .. } => Doing::Sequence,
            Body::Loop { .. } => Doing::Loop,
            Body::Fork { .. } => Doing::Fork,
            Body::Trying { .. } => Doing::Trying,
            Body::Retrying { .. } => Doing::Retrying,
            Body::Catching { .. } => Doing::Catching,
            Body::Extending { .. } => Doing::Extending,
            Body::Waiting => Doing::Waiting,
            Body::Publishing { .. } => Doing::Publishing,
            Body::Listening(_) => Doing::Listening,
            Body::Child { .. } => Doing::Child,
            Body::Approving(_) => Doing::Approving,
        }
    }

    /// Looks a fact up: where it leads, or a misfit.
    pub(super) fn transition(&self, fact: &Fact) -> Result<Transition, Misfit> {
        let Row { name, phases, visit, operands, next } = row(self, fact);
        let phase = self.phase();
        let visit = visit.map(|(id, doings, then)| (id, self.doing(id), doings, then));
        let fits = phases & phase as u8 != 0
            && visit.is_none_or(|(_, doing, doings, _)| doings & doing as Doings != 0)
            && operands;
        if !fits {
            let visit = visit.map(|(id, doing, ..)| (id, doing));
            return Err(Misfit { kind: MisfitKind::Fact, what: name, phase, visit });
        }
        let phase = next.unwrap_or(phase);
        let visit = visit.map(|(id, doing, _, then)| (id, doing, then));
        Ok(Transition { name, phase, visit })
    }

    /// Gives closures in the table their type.
    fn holds(&self, test: impl Fn(&Self) -> bool) -> bool {
        test(self)
    }

    /// Whether a frame can have something at `position`: a branch, or any place of a list. It must
    /// be older than what it is to get: whoever walks up the frames relies on that.
    fn has_place(&self, parent: FrameId, position: u32) -> bool {
        parent.0 < self.next_frame
            && match self.frames.get(&parent).map(|it| &it.body) {
                Some(Body::Fork { branches, .. }) => (position as usize) < branches.len(),
                _ => LISTS & self.doing(parent) as Doings != 0,
            }
    }

    /// Whether the frame above can take what this one gives.
    fn is_placed(&self, id: FrameId) -> bool {
        self.frames.get(&id).is_some_and(|it| self.has_place(it.parent, it.position))
    }

    fn is_at(&self, id: FrameId, parent: FrameId, position: u32) -> bool {
        self.is_placed(id)
            && self.frames.get(&id).is_some_and(|it| (it.parent, it.position) == (parent, position))
    }

    /// Whether an attempt of this number comes next.
    fn is_attempt(&self, id: FrameId, next: u32) -> bool {
        let body = self.frames.get(&id).map(|it| &it.body);
        matches!(body, Some(Body::Retrying { attempt, .. }) if attempt.saturating_add(1) == next)
    }

    fn has_timer(&self, timer: u32) -> bool {
        self.timers.get(&timer).is_some_and(|it| self.frames.contains_key(&it.frame))
    }

    /// True while it is not known whether what its fault starts has started.
    pub(in crate::engine) fn has_pending_handler(&self) -> bool {
        self.repair.handler.as_ref().is_some_and(|it| it.pending)
    }

    fn has_claim(&self, id: FrameId, taken: bool) -> bool {
        self.claims.get(&id).is_some_and(|it| it.taken.is_some() == taken)
    }

    fn hears(&self, id: FrameId, test: impl Fn(&Listening) -> bool) -> bool {
        match self.frames.get(&id).map(|it| &it.body) {
            Some(Body::Listening(listening)) => test(listening),
            _ => false,
        }
    }

    /// Whether it came to what the table says: the other half of the table, for debug builds.
    pub(super) fn is_after(&self, transition: &Transition) -> bool {
        let Transition { phase, visit, .. } = transition;
        let visit = visit.is_none_or(|(id, before, then)| {
            let doing = self.doing(id);
            match then {
                Stays => doing == before,
                Does(this) => doing == this,
                GoesOn => doing != Doing::Closed,
                Closes => doing == Doing::Closed,
            }
        });
        self.phase() == *phase && visit
    }
}

impl Transition {
    /// The fact's name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}
