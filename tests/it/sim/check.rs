//! What must hold, whatever happened.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use windlass_coordinator::approval::OpenApproval;
use windlass_coordinator::catalog::Catalog;
use windlass_coordinator::coordinator::restore;
use windlass_coordinator::engine::{Body, Ending, Fact, Instance, TimerPurpose, decode, interest};
use windlass_coordinator::journal::memory::MemoryJournal;
use windlass_coordinator::journal::{Filter, Journal, Table, TimerKey};
use windlass_coordinator::partition::{MisfitSource, approval};
use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::limits::DELIVERIES_LOST;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::coverage;
use super::oracle::{self, Failure};
use super::run::Run;
use super::traces;

/// How much later than due a timer may fire while the coordinator is up: the time that turns and
/// commits take in a run.
const LATE_MS: u64 = 10_000;

/// A time without a coordinator.
pub(super) struct Outage {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// States as they were in memory, by instance and number of facts.
#[derive(Default)]
pub(super) struct Captured(HashMap<InstanceId, BTreeMap<u64, Vec<u8>>>);

impl Captured {
    pub(super) fn keep(&mut self, id: InstanceId, sequence: u64, state: Vec<u8>) {
        self.0.entry(id).or_default().insert(sequence, state);
    }

    /// The state that the journal's facts add up to is the one that was in memory.
    pub(super) fn compare(&mut self, journal: &MemoryJournal, id: InstanceId) {
        let Some(states) = self.0.get_mut(&id) else { return };
        let Some(stored) = journal.load(id).unwrap() else { return };
        let last = stored.facts.last().map(|it| it.sequence + u64::from(it.count));
        let sequence = last.or(stored.snapshot.as_ref().map(|it| it.0)).unwrap();
        let older = states.keys().copied().take_while(|it| *it < sequence).collect::<Vec<_>>();
        older.iter().for_each(|it| drop(states.remove(it)));
        let Some(live) = states.get(&sequence) else { return };
        let replayed = restore(id, &stored).unwrap();
        assert_same(live, &replayed, "from the latest snapshot");
        if stored.snapshot.is_some() {
            assert_same(live, &fold(id, &facts(journal, id)), "from the first fact");
        }
    }

    pub(super) fn compare_all(&mut self, journal: &MemoryJournal) {
        let ids: Vec<InstanceId> = self.0.keys().copied().collect();
        for id in ids {
            self.compare(journal, id);
        }
        // What was not durable by now never will be.
        self.0.clear();
    }
}

fn assert_same(live: &[u8], replayed: &Instance, how: &str) {
    if replayed.to_bytes().unwrap() != live {
        let live = Instance::from_bytes(live).unwrap();
        panic!(
            "replayed {how}, the state is another one\nlive: {live:#?}\nreplayed: {replayed:#?}"
        );
    }
}

/// The state that facts add up to, snapshots left aside.
fn fold(id: InstanceId, facts: &[(Timestamp, Fact)]) -> Instance {
    let mut instance = Instance::not_started(id);
    facts.iter().for_each(|(at, fact)| instance.evolve(*at, fact));
    let misfits = &instance.changes.misfits;
    assert_eq!(misfits.count(), 0, "facts of {id} do not follow: {misfits:?}");
    instance
}

/// All facts of an instance, with the time they were decided at.
pub(super) fn facts(journal: &dyn Journal, id: InstanceId) -> Vec<(Timestamp, Fact)> {
    let mut all = Vec::new();
    for entry in journal.facts(id, 0, usize::MAX).unwrap() {
        assert_eq!(entry.sequence, all.len() as u64, "{id} has a gap in its facts");
        for turn in decode(&entry.facts).unwrap() {
            all.extend(turn.facts.into_iter().map(|fact| (turn.at, fact)));
        }
    }
    all
}

pub(super) fn instances(journal: &MemoryJournal) -> Vec<InstanceId> {
    let all = journal.list(&Filter::default(), None, usize::MAX).unwrap().items;
    all.into_iter().map(|(id, _)| id).collect()
}

/// The journal's indexes say what the states say.
pub(super) fn indexes(journal: &MemoryJournal, catalog: &Catalog) {
    let partitions = journal.partitions();
    let (mut timers, mut hot, mut listening) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    let (mut open, mut asked) = (BTreeMap::new(), BTreeMap::new());
    for id in instances(journal) {
        let state = restore(id, &journal.load(id).unwrap().unwrap()).unwrap();
        let head = journal.head(id).unwrap().unwrap();
        assert_eq!(head.status, state.status(), "the head of {id} is not up to date");
        if !head.status.is_final() {
            *open.entry((id.partition(partitions), head.workflow.name.clone())).or_insert(0) += 1;
        }
        let of = state.timers.iter();
        timers.extend(of.map(|(timer, it)| TimerKey { due: it.due, instance: id, timer: *timer }));
        if state.is_hot() {
            hot.insert(id);
        }
        let plan = catalog.plan(&head.digest).unwrap();
        let visits = state.frames.keys();
        asked.extend(visits.filter_map(|it| OpenApproval::of(&plan, &state, *it)));
        let listens = |body: &Body| matches!(body, Body::Listening(listening) if !listening.closed);
        let of = state.frames.iter().filter(|(_, frame)| listens(&frame.body));
        listening.extend(of.map(|(frame, _)| {
            let interest = interest(&plan, &state, *frame).unwrap();
            ((id, *frame), rmp_serde::to_vec(&interest).unwrap())
        }));
    }
    let all = |from: &dyn Fn(PartitionId) -> Vec<TimerKey>| {
        (0..partitions).flat_map(|it| from(PartitionId(it))).collect::<BTreeSet<_>>()
    };
    let end = Timestamp(u64::MAX);
    let indexed = all(&|it| journal.timers(it, None, end, usize::MAX).unwrap());
    assert_eq!(indexed, timers, "the index of timers is not what is open");
    let partitions = || (0..partitions).map(PartitionId);
    let rows = partitions().flat_map(|it| {
        let rows = journal.rows(it, Table::Approvals, None, usize::MAX).unwrap();
        rows.into_iter().map(|(name, row)| approval(&name, &row).unwrap())
    });
    assert_eq!(
        rows.collect::<BTreeMap<_, _>>(),
        asked,
        "the rows of questions are not what is open"
    );
    let indexed: BTreeSet<InstanceId> =
        partitions().flat_map(|it| journal.hot(it, None, usize::MAX).unwrap()).collect();
    assert_eq!(indexed, hot, "the index of hot instances is not what is hot");
    let counted = partitions().flat_map(|it| {
        let all = journal.open_instances(it).unwrap().unwrap().into_iter();
        all.map(move |open| ((it, open.name), open.count))
    });
    let counted: BTreeMap<_, u64> = counted.collect();
    assert_eq!(counted, open, "the count of open instances is not how many are open");
    let subscriptions = partitions().flat_map(|it| {
        let all = journal.subscriptions(it, None, usize::MAX).unwrap();
        all.into_iter().map(|(id, frame, interest)| ((id, frame), interest.to_vec()))
    });
    let indexed: BTreeMap<(InstanceId, FrameId), Vec<u8>> = subscriptions.collect();
    assert_eq!(indexed, listening, "the index of subscriptions is not who listens, and for what");
}

/// Checks a run that is over.
pub(super) fn end(run: &mut Run<'_>) {
    for found in MisfitSource::ALL {
        assert_eq!(run.misfits.count(found), 0, "impossible states: {found:?}");
    }
    let journal = run.journal.clone();
    let report = journal.check().unwrap();
    assert!(report.damage.is_empty(), "{:#?}", report.damage);
    indexes(&journal, &run.outside.shared_catalog());
    let mut states = HashMap::new();
    for id in instances(&journal) {
        let facts = facts(&*journal, id);
        history(run, id, &facts);
        let state = fold(id, &facts);
        let stored = journal.load(id).unwrap().unwrap();
        assert_same(&state.to_bytes().unwrap(), &restore(id, &stored).unwrap(), "at the end");
        states.insert(id, state);
    }
    traces::check(run, &instances(&journal));
    for client in &run.clients {
        let state = states.get(&client.id).unwrap_or_else(|| panic!("{} is lost", client.id));
        let ending = state.ending.as_ref().unwrap();
        if let Some(told) = &client.told {
            assert_eq!(told, ending, "{} has two outcomes", client.id);
        }
        if client.cancelled {
            let cancelled = matches!(ending, Ending::Cancelled(_));
            assert!(cancelled, "{} was cancelled and came to {ending:?}", client.id);
        }
    }
    for state in states.values() {
        successors(state, &states);
        handlers(run, state, &states);
        outcome(run, state);
        orphan(run, state, &states);
    }
}

/// An instance came to what it must come to.
fn outcome(run: &mut Run<'_>, state: &Instance) {
    let got = match state.ending.as_ref().unwrap() {
        Ending::Completed(output) => Ok(plain(output)),
        Ending::Faulted(problem) => Err(Failure {
            kind: problem.kind.to_string(),
            status: problem.status,
            at: problem.instance.as_deref().unwrap_or_default().to_owned(),
        }),
        Ending::Cancelled(_) => {
            let client = run.clients.iter().find(|it| it.id == state.id);
            let allowed = match (client, state.parent) {
                (Some(client), _) => client.maybe_cancelled,
                (None, parent) => parent.is_some_and(|parent| parent.waits),
            };
            assert!(allowed, "nobody cancelled {}", state.id);
            return;
        }
    };
    if let Some(predecessor) = state.repair.predecessor {
        run.coverage.note(match run.mended.contains(&state.id) {
            true => "retry to another end",
            false => "retry to the same end",
        });
        let named = run.retried.get(&predecessor).is_none_or(|it| *it == state.id);
        assert!(named, "two go on for {predecessor}");
    }
    if run.mended.contains(&state.id) {
        return;
    }
    let name = &state.workflow.name;
    match oracle::outcome(&run.workflows, name, &plain(&state.input)) {
        None => run.coverage.note("outcome not determined"),
        Some(expected) => {
            run.coverage.note("outcome determined");
            assert_eq!(got, expected, "{} of {name}, input {}", state.id, state.input.to_json());
        }
    }
}

fn plain(value: &Value) -> serde_json::Value {
    serde_json::from_str(&value.to_json()).unwrap()
}

/// One goes on for another where both say so, and only one does.
fn successors(state: &Instance, states: &HashMap<InstanceId, Instance>) {
    let repair = &state.repair;
    assert!(repair.successors.len() <= 1, "{:?} go on for {}", repair.successors, state.id);
    for next in &repair.successors {
        assert_eq!(states[next].repair.predecessor, Some(state.id));
    }
    if let Some(before) = repair.predecessor {
        assert_eq!(states[&before].repair.successors, [state.id]);
    }
}

/// What names a workflow for its faults has it started once for each, and nothing else is; what
/// handles a fault has nothing started.
fn handlers(run: &mut Run<'_>, state: &Instance, states: &HashMap<InstanceId, Instance>) {
    let of_it = |it: &&Instance| {
        it.parent.is_some_and(|above| above.instance == state.id && above.frame == FrameId(0))
    };
    let found: Vec<_> = states.values().filter(of_it).map(|it| it.id).collect();
    let workflow = run.workflows.iter().find(|it| it.name == *state.workflow.name).unwrap();
    let handles = state.repair.handles || state.parent.is_some_and(|it| it.handles);
    let faulted = matches!(state.ending, Some(Ending::Faulted(_)));
    let wanted = workflow.sweeps && faulted && !handles;
    assert_eq!(found.len(), usize::from(wanted), "{found:?} handle the fault of {}", state.id);
    if handles && faulted {
        run.coverage.note("handler faulted");
    }
    let Some(handler) = &state.repair.handler else { return assert!(!wanted, "{}", state.id) };
    assert_eq!((&[handler.instance][..], handler.pending), (&found[..], false), "{}", state.id);
    assert_eq!(handler.refused, None, "{}", state.id);
}

/// A child that is awaited ends with its parent.
fn orphan(run: &Run<'_>, state: &Instance, states: &HashMap<InstanceId, Instance>) {
    let Some(parent) = state.parent.filter(|parent| parent.waits) else { return };
    let parent = &states[&parent.instance];
    let late = run.lateness(parent.ended_at.unwrap().0, state.ended_at.unwrap().0);
    assert!(late < LATE_MS, "{} goes on for {late} ms after its parent", state.id);
}

/// Timers fire once, not early and not late; events are consumed once.
fn history(run: &mut Run<'_>, id: InstanceId, facts: &[(Timestamp, Fact)]) {
    let (mut timers, mut next) = (HashMap::new(), 0);
    let mut deliveries: HashMap<FrameId, u32> = HashMap::new();
    let (mut lost, mut losses) = (HashSet::new(), HashMap::new());
    let (mut consumed, mut emitted) = (HashSet::new(), HashSet::new());
    let mut suspended = None;
    let (mut endings, mut asked, mut sequence) = (0, HashSet::new(), 0_u64);
    let succeeds = |it: &(Timestamp, Fact)| matches!(it.1, Fact::Succeeds { .. });
    let kept = facts.iter().rposition(succeeds).map_or(0, |it| it as u64 + 1);
    for (at, fact) in facts {
        run.coverage.note(coverage::fact(fact));
        sequence += 1;
        match fact {
            Fact::TimerSet { purpose, due, .. } => {
                timers.insert(next, (*purpose, *due));
                next += 1;
            }
            Fact::TimerFired { timer } => {
                let (purpose, due) = timers.remove(timer).expect("a timer fires twice");
                run.coverage.note(coverage::timer(purpose));
                run.coverage.note("input TimerFired");
                assert!(*at >= due, "timer {timer} of {id} fires at {at:?}, not at {due:?}");
                // While an instance is suspended, what its timers do waits for the end of that.
                let due = due.max(suspended.unwrap_or_default());
                let late = run.lateness(due.0, at.0);
                assert!(late < LATE_MS, "timer {timer} of {id} fires {late} ms late");
            }
            Fact::Dispatched { frame, delivery }
            | Fact::EvaluationRequested { frame, delivery, .. } => {
                let before = deliveries.insert(*frame, *delivery).unwrap_or_default();
                assert!(*delivery > before, "{id} sends delivery {delivery} of {frame:?} twice");
            }
            Fact::DeliveryLost { frame, blamed, .. } => {
                let delivery = deliveries[frame];
                let once = lost.insert((*frame, delivery));
                assert!(once, "{id} loses delivery {delivery} of {frame:?} twice");
                let heard = run.reports.contains(&(id, *frame, delivery));
                assert!(!heard, "{id} hears of delivery {delivery} of {frame:?}, which is lost");
                let losses = losses.entry(*frame).or_insert(0);
                *losses += u32::from(*blamed);
                assert!(*losses <= DELIVERIES_LOST, "{id} takes down {losses} workers");
                if *losses == DELIVERIES_LOST {
                    run.coverage.note("delivery given up");
                }
            }
            Fact::EventConsumed { frame, item, .. } => {
                run.coverage.note("input EventArrived");
                let number = item.as_ref().and_then(|it| it.get("v")).and_then(Value::as_i64);
                if let Some(number) = number {
                    let once = consumed.insert((*frame, number));
                    assert!(once, "{id} consumes event {number} twice");
                    let sent = u64::try_from(number).ok();
                    let early = |it: &u64| run.kept.contains(it) && run.sent_events[it] == 1;
                    // What is kept of another one was that one's.
                    if let Some(number) = sent.filter(early).filter(|_| sequence > kept) {
                        // Of several visits in one instance, each has it: they get it together.
                        let taker = *run.takers.entry(number).or_insert(id);
                        assert_eq!(taker, id, "event {number} was kept for the first to wait");
                        run.coverage.note("event consumed early");
                    }
                }
            }
            Fact::ApprovalAsked { .. } => drop(asked.insert(sequence - 1)),
            Fact::ApprovalDecided { number, .. } => {
                assert!(asked.remove(number), "{id} is told of {number} twice, or never asked");
            }
            Fact::Emitted { frame, .. } => drop(emitted.insert(*frame)),
            Fact::TaskCompleted { frame, .. } if emitted.contains(frame) => {
                run.coverage.note("input Published");
            }
            Fact::Resumed => suspended = Some(*at),
            Fact::Succeeds { since, .. } => {
                // Who looks after it begins to count anew, and timeouts leave out the time between.
                losses.clear();
                suspended = Some(*at);
                for (purpose, due) in timers.values_mut() {
                    if matches!(purpose, TimerPurpose::Timeout | TimerPurpose::Attempt) {
                        *due = due.plus(at.since(*since));
                    }
                }
            }
            Fact::Completed(_)
            | Fact::CompletedUnchanged
            | Fact::Faulted(_)
            | Fact::Cancelled(_) => endings += 1,
            _ => {}
        }
    }
    assert_eq!(endings, 1, "{id} has {endings} outcomes");
    assert!(matches!(facts.first(), Some((_, Fact::Started { .. }))), "{id} does not begin");
}

impl Run<'_> {
    /// How long something took during which there was a coordinator.
    fn lateness(&self, due: u64, at: u64) -> u64 {
        let down = self
            .outages
            .iter()
            .map(|outage| outage.to.min(at).saturating_sub(outage.from.max(due)));
        at.saturating_sub(due).saturating_sub(down.sum())
    }
}
