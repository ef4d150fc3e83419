//! What happened over all runs, by kind: a generator that never leads to something tests nothing
//! of it.

use std::collections::BTreeMap;

use windlass_coordinator::engine::{Fact, Input, Rejection, TimerPurpose};
use windlass_coordinator::partition::Release;

/// How often each kind of thing was seen.
#[derive(Default)]
pub(super) struct Coverage(BTreeMap<&'static str, u64>);

/// Every kind that must be seen.
const ALL: &[&str] = &[
    "fact Started",
    "fact InputTransformed",
    "fact TaskOpened",
    "fact TaskInput",
    "fact TaskSkipped",
    "fact Dispatched",
    "fact EvaluationRequested",
    "fact DeliveryLost",
    "fact SecretsUsed",
    "fact TaskCompleted",
    "fact TaskFaulted",
    "fact LoopBegan",
    "fact Iterated",
    "fact Forked",
    "fact ContextMerged",
    "fact BranchFaulted",
    "fact SequenceBegan",
    "fact AttemptBegan",
    "fact RetryScheduled",
    "fact Caught",
    "fact TimerSet",
    "fact TimerFired",
    "fact Emitted",
    "fact Subscribed",
    "fact EventConsumed",
    "fact ItemBegan",
    "fact ItemEnded",
    "fact ListenClosed",
    "fact ChildStarted",
    "fact ChildAbandoned",
    "fact ChildGone",
    "fact ExtensionsBegan",
    "fact ExtensionBegan",
    "fact ExtensionsEnded",
    "fact Yielded",
    "fact Continued",
    "fact Suspended",
    "fact Resumed",
    "fact Completed",
    "fact CompletedUnchanged",
    "fact Faulted",
    "fact Cancelled",
    "fact Succeeds",
    "fact Succeeded",
    "timer Wait",
    "timer Retry",
    "timer Timeout",
    "timer Attempt",
    "input Reported",
    "input Lost",
    "input TimerFired",
    "input EventArrived",
    "input Published",
    "input ChildAccepted",
    "input ChildEnded",
    "input ChildGone",
    "input Continue",
    "input Cancel",
    "input Suspend",
    "input Resume",
    "release Dispatch",
    "release Recovered",
    "release Cancel",
    "release Settled",
    "release Tell",
    "release StartChild",
    "release CancelChild",
    "release Publish",
    "release Stamp",
    "release EventDone",
    "release EarlyKept",
    "release EarlyGone",
    "release Spans",
    "release Started",
    "release Answered",
    "release Succeeded",
    "release Shown",
    "release Ended",
    "release Changed",
    "verdict Stale",
    "verdict Superseded",
    "delivery recovered",
    "delivery held over a restart",
    "delivery given up",
    "refused Unknown",
    "refused Ended",
    "refused Stale",
    "refused NotWaited",
    "refused WrongStatus",
    "crash before write",
    "crash after a partial write",
    "crash after sync",
    "crash among releases",
    "crash between commits",
    "snapshot",
    "event consumed early",
    "outcome determined",
    "outcome not determined",
    "approval asked",
    "approval decided",
    "input Decide",
    "decision too late",
    "handler started",
    "handler settled",
    "handler faulted",
    "retry repeated",
    "retry to another end",
    "retry to the same end",
];

impl Coverage {
    pub(super) fn note(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }

    /// The kinds never seen.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        ALL.iter().filter(|kind| !self.0.contains_key(*kind)).copied().collect()
    }

    /// The kinds of facts never seen.
    pub(super) fn missing_facts(&self) -> Vec<&'static str> {
        self.missing().into_iter().filter(|kind| kind.starts_with("fact ")).collect()
    }

    pub(super) fn has(&self, kind: &str) -> bool {
        self.0.contains_key(kind)
    }

    /// All counts, one a line.
    pub(super) fn table(&self) -> String {
        self.0.iter().map(|(kind, count)| format!("{count:>10} {kind}\n")).collect()
    }
}

pub(super) fn fact(fact: &Fact) -> &'static str {
    match fact {
        Fact::Started { .. } => "fact Started",
        Fact::InputTransformed(_) => "fact InputTransformed",
        Fact::TaskOpened { .. } => "fact TaskOpened",
        Fact::TaskInput { .. } => "fact TaskInput",
        Fact::TaskSkipped { .. } => "fact TaskSkipped",
        Fact::Dispatched { .. } => "fact Dispatched",
        Fact::EvaluationRequested { .. } => "fact EvaluationRequested",
        Fact::DeliveryLost { .. } => "fact DeliveryLost",
        Fact::SecretsUsed { .. } => "fact SecretsUsed",
        Fact::TaskCompleted { .. } => "fact TaskCompleted",
        Fact::TaskFaulted { .. } => "fact TaskFaulted",
        Fact::LoopBegan { .. } => "fact LoopBegan",
        Fact::Iterated { .. } => "fact Iterated",
        Fact::Forked { .. } => "fact Forked",
        Fact::ContextMerged { .. } => "fact ContextMerged",
        Fact::BranchFaulted { .. } => "fact BranchFaulted",
        Fact::SequenceBegan { .. } => "fact SequenceBegan",
        Fact::AttemptBegan { .. } => "fact AttemptBegan",
        Fact::RetryScheduled { .. } => "fact RetryScheduled",
        Fact::Caught { .. } => "fact Caught",
        Fact::TimerSet { .. } => "fact TimerSet",
        Fact::TimerFired { .. } => "fact TimerFired",
        Fact::Emitted { .. } => "fact Emitted",
        Fact::Subscribed { .. } => "fact Subscribed",
        Fact::EventConsumed { .. } => "fact EventConsumed",
        Fact::ItemBegan { .. } => "fact ItemBegan",
        Fact::ItemEnded { .. } => "fact ItemEnded",
        Fact::ListenClosed { .. } => "fact ListenClosed",
        Fact::ChildStarted { .. } => "fact ChildStarted",
        Fact::ExtensionsBegan { .. } => "fact ExtensionsBegan",
        Fact::ExtensionBegan { .. } => "fact ExtensionBegan",
        Fact::ExtensionsEnded { .. } => "fact ExtensionsEnded",
        Fact::ChildAbandoned { .. } => "fact ChildAbandoned",
        Fact::ChildGone { .. } => "fact ChildGone",
        Fact::Yielded(_) => "fact Yielded",
        Fact::Continued => "fact Continued",
        Fact::Requested { .. } => "fact Requested",
        Fact::Suspended | Fact::Quarantined(_) => "fact Suspended",
        Fact::Resumed => "fact Resumed",
        Fact::Completed(_) => "fact Completed",
        Fact::CompletedUnchanged => "fact CompletedUnchanged",
        Fact::Faulted(_) => "fact Faulted",
        Fact::Cancelled(_) => "fact Cancelled",
        Fact::Halted { .. } => "halted",
        Fact::Overridden { .. } => "overridden",
        Fact::ApprovalAsked { .. } => "approval asked",
        Fact::ApprovalDecided { .. } => "approval decided",
        Fact::HandlerStarted { .. } => "handler started",
        Fact::HandlerSettled { .. } => "handler settled",
        Fact::LimitAsked { .. } => "limit asked",
        Fact::LimitTaken { .. } => "limit taken",
        Fact::LimitRefused { .. } => "limit refused",
        Fact::Succeeds { .. } => "fact Succeeds",
        Fact::Succeeded { .. } => "fact Succeeded",
    }
}

pub(super) fn timer(purpose: TimerPurpose) -> &'static str {
    match purpose {
        TimerPurpose::Wait => "timer Wait",
        TimerPurpose::Retry => "timer Retry",
        TimerPurpose::Timeout => "timer Timeout",
        TimerPurpose::Attempt => "timer Attempt",
    }
}

pub(super) fn input(input: &Input) -> &'static str {
    match input {
        Input::Reported { .. } => "input Reported",
        Input::Lost { .. } => "input Lost",
        Input::TimerFired { .. } => "input TimerFired",
        Input::EventArrived(_) => "input EventArrived",
        Input::Published { .. } => "input Published",
        Input::ChildAccepted { .. } => "input ChildAccepted",
        Input::ChildEnded { .. } => "input ChildEnded",
        Input::ChildGone { .. } => "input ChildGone",
        Input::Continue => "input Continue",
        Input::Cancel { .. } => "input Cancel",
        Input::Suspend | Input::Quarantine { .. } => "input Suspend",
        Input::Resume => "input Resume",
        Input::Skip { .. } => "input Skip",
        Input::Decide { .. } => "input Decide",
        Input::Requested { .. } => "input Requested",
        Input::Limit { .. } => "input Limit",
    }
}

pub(super) fn release(release: &Release) -> &'static str {
    match release {
        Release::Dispatch { .. } => "release Dispatch",
        Release::Recovered => "release Recovered",
        Release::Cancel(_) => "release Cancel",
        Release::Settled(..) => "release Settled",
        Release::Tell(..) => "release Tell",
        Release::StartChild { .. } => "release StartChild",
        Release::CancelChild { .. } => "release CancelChild",
        Release::Publish { .. } => "release Publish",
        Release::Lifecycle(_) => "release LifecycleEvent",
        Release::Spans(_) => "release Spans",
        Release::TellTrace(_) => "release TellTrace",
        Release::Stamp(..) => "release Stamp",
        Release::EventDone(..) => "release EventDone",
        Release::KeepRest(_) => "release KeepRest",
        Release::EarlyKept(_) => "release EarlyKept",
        Release::EarlyAgain(..) => "release EarlyAgain",
        Release::EarlyGone(_) => "release EarlyGone",
        Release::Started(..) => "release Started",
        Release::Answered(..) => "release Answered",
        Release::Succeeded(..) => "release Succeeded",
        Release::Limit(..) => "release Limit",
        Release::LimitPlace(..) => "release LimitPlace",
        Release::Removed(..) => "release Removed",
        Release::Scheduled(..) => "release Scheduled",
        Release::Settle(_) => "release Settle",
        Release::Shown(..) => "release Shown",
        Release::Ended(..) => "release Ended",
        Release::Changed(_) => "release Changed",
    }
}

pub(super) fn refusal(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::Ended => "refused Ended",
        Rejection::Stale => "refused Stale",
        Rejection::NotWaited => "refused NotWaited",
        Rejection::WrongStatus => "refused WrongStatus",
    }
}
