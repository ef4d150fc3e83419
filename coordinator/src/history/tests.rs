use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::definition::Options;
use windlass_proto::id::InstanceId;
use windlass_proto::limits::{HISTORY_STATE_FACTS, HISTORY_STATES, HISTORY_STATES_EACH};
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::{Place, Reader, States};
use crate::catalog::{Catalog, Unsupported};
use crate::engine::{Body, Fact, Input, Instance, Journaled, Origin, create, decide, encode};
use crate::history::HistoryEntry;
use crate::journal::memory::MemoryJournal;
use crate::journal::{Commit, Head, InstanceWrite, Journal};
use crate::view;

/// Iterations of the loop whose history is read: several times the facts that are folded without a
/// thought.
const ITERATIONS: i64 = 1_000;

const AT: Timestamp = Timestamp(7);

struct Stage {
    journal: Arc<MemoryJournal>,
    catalog: Catalog,
    plan: Arc<Plan>,
}

impl Stage {
    fn new() -> Self {
        let journal = Arc::new(MemoryJournal::in_memory(1).unwrap());
        let functions = Some(vec!["work".into()]);
        let options = Options { functions, ..Options::default() };
        let catalog = Catalog::open(journal.clone(), options).unwrap();
        let text = "document: {dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'}\n\
            do: [{all: {for: {each: item, in: '${ .items }'}, do: [{step: {call: work}}]}}]\n";
        let deployed = catalog.deploy(text, Unsupported::Allow, AT, |_| Ok(())).ok().unwrap();
        let plan = catalog.plan(&deployed.digest).unwrap();
        Self { journal, catalog, plan }
    }

    /// Runs an instance until so many iterations have ended; after every `snapshots` of them, the
    /// state is written.
    fn run(&self, id: InstanceId, at: Timestamp, iterations: i64, snapshots: i64) -> Instance {
        let items = (0..ITERATIONS).map(Value::Int).collect();
        let input = Value::object([("items", Value::array(items))]);
        let (mut state, begun) = create(&self.plan, id, at, input, Origin::default());
        self.commit(&state, at, begun.facts, false);
        for number in 1..=iterations {
            let open = state.frames.iter().find_map(|(frame, it)| match it.body {
                Body::Dispatched { delivery } => Some((*frame, delivery)),
                _ => None,
            });
            let (frame, delivery) = open.unwrap();
            let (result, secrets) = (Ok(Value::Int(number)), Vec::new());
            let report = Input::Reported { frame, delivery, result, secrets, retry_after_ms: None };
            let facts = decide(&self.plan, &mut state, at, report).unwrap().facts;
            self.commit(&state, at, facts, number % snapshots == 0);
        }
        state
    }

    fn commit(&self, state: &Instance, at: Timestamp, facts: Vec<Fact>, snapshot: bool) {
        let (count, mut entry) = (u32::try_from(facts.len()).unwrap(), Vec::new());
        encode(&Journaled { at, facts }, &mut entry).unwrap();
        let sequence = state.sequence - u64::from(count);
        let head = (sequence == 0 || state.ending.is_some()).then(|| view::head(state));
        let snapshot = snapshot.then(|| state.to_bytes().unwrap());
        let write = InstanceWrite {
            instance: state.id,
            sequence,
            count,
            facts: entry.into(),
            head,
            hot: None,
            snapshot,
        };
        let partition = state.id.partition(1);
        let commit = Commit { partition, writes: vec![write], ..Commit::default() };
        self.journal.commit(&[commit]).unwrap();
    }

    fn reader<'r>(&'r self, states: &'r States) -> Reader<'r> {
        Reader { journal: &*self.journal, catalog: &self.catalog, states }
    }

    fn head(&self, id: InstanceId) -> Head {
        self.journal.head(id).unwrap().unwrap()
    }
}

fn id(number: u128) -> InstanceId {
    InstanceId(Uuid::from_u128(number))
}

fn told(entries: Vec<HistoryEntry>) -> Vec<String> {
    let line = |it: HistoryEntry| {
        format!("{} {} {:?} {:?} {}", it.sequence, it.event, it.task, it.name, it.data.to_json())
    };
    entries.into_iter().map(line).collect()
}

/// All pages, one after the other.
fn pages(reader: &Reader<'_>, id: InstanceId, limit: usize) -> Vec<String> {
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let page = reader.read(id, from, limit).unwrap().unwrap();
        assert!(page.entries.len() <= limit);
        all.extend(told(page.entries));
        match page.next {
            Some(next) => from = next,
            None => return all,
        }
    }
}

#[test]
fn pages_of_any_size_tell_what_the_whole_tells() {
    let stage = Stage::new();
    stage.run(id(1), AT, ITERATIONS, i64::MAX);
    let whole = pages(&stage.reader(&States::default()), id(1), usize::MAX);
    assert!(whole.len() > 3 * 1_000 && whole.last().unwrap().contains("instance.completed"));
    let states = States::default();
    for limit in [13, 100, 1_000] {
        let paged = pages(&stage.reader(&states), id(1), limit);
        assert!(paged == whole, "pages of {limit}");
    }
    // Whatever was kept, a page in the middle is the same.
    let page = stage.reader(&states).read(id(1), 2_000, 50).unwrap().unwrap();
    let fresh = stage.reader(&States::default()).read(id(1), 2_000, 50).unwrap().unwrap();
    assert_eq!(told(page.entries), told(fresh.entries));
}

#[test]
fn a_page_goes_on_where_the_one_before_ended() {
    let stage = Stage::new();
    stage.run(id(1), AT, ITERATIONS, i64::MAX);
    let states = States::default();
    let (reader, head, mut from) = (stage.reader(&states), stage.head(id(1)), 0);
    let mut pages = 0;
    loop {
        let (start, _) = reader.start(id(1), &head, from).unwrap();
        assert!(
            start.sequence == from || from < HISTORY_STATE_FACTS,
            "the page from {from} on folds {} facts before it",
            from - start.sequence
        );
        pages += 1;
        match reader.read(id(1), from, 200).unwrap().unwrap().next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert!(pages > 15, "{pages}");
}

#[test]
fn who_waits_at_the_end_folds_only_what_is_new() {
    let stage = Stage::new();
    let mut state = stage.run(id(1), AT, ITERATIONS - 10, i64::MAX);
    let states = States::default();
    let reader = stage.reader(&states);
    let entries = reader.read(id(1), 0, usize::MAX).unwrap().unwrap().entries;
    let from = entries.last().unwrap().sequence + 1;
    let head = stage.head(id(1));
    // Facts that are not told may have come after the last entry.
    assert_eq!(reader.start(id(1), &head, from).unwrap().0.sequence, state.sequence);
    assert!(reader.read(id(1), from, 10).unwrap().unwrap().entries.is_empty());
    let cancelled = decide(&stage.plan, &mut state, AT, Input::Cancel { reason: None }).unwrap();
    stage.commit(&state, AT, cancelled.facts, false);
    let page = reader.read(id(1), from, 10).unwrap().unwrap();
    assert_eq!(page.entries.last().unwrap().event, "instance.cancelled");
    let fresh = stage.reader(&States::default()).read(id(1), from, 10).unwrap().unwrap();
    assert_eq!(told(page.entries), told(fresh.entries));
}

#[test]
fn a_page_far_in_starts_from_the_snapshot_and_tells_the_same() {
    let stage = Stage::new();
    let state = stage.run(id(1), AT, 950, 900);
    let states = States::default();
    let (reader, head) = (stage.reader(&states), stage.head(id(1)));
    let (covered, _) = stage.journal.snapshot(id(1), u64::MAX).unwrap().unwrap();
    assert_eq!(stage.journal.snapshot(id(1), covered - 1).unwrap(), None);
    assert_eq!(reader.start(id(1), &head, covered + 5).unwrap().0.sequence, covered);
    assert_eq!(reader.start(id(1), &head, covered - 1).unwrap().0.sequence, 0);
    let near = reader.read(id(1), covered + 5, usize::MAX).unwrap().unwrap();
    let whole = pages(&stage.reader(&States::default()), id(1), usize::MAX);
    let near = told(near.entries);
    assert!(!near.is_empty() && whole.ends_with(&near), "up to {}", state.sequence);
}

#[test]
fn states_are_few_and_those_of_another_instance_are_not_used() {
    let stage = Stage::new();
    let state = stage.run(id(1), AT, 400, i64::MAX);
    let states = States::default();
    for sequence in state.sequence..state.sequence + 10 {
        states.keep(Instance { sequence, ..state.clone() }, sequence);
    }
    assert_eq!(states.size(), (HISTORY_STATES_EACH, 4 * state.held.bytes()));
    for other in 0..2 * HISTORY_STATES as u128 {
        states.keep(Instance { id: id(100 + other), ..state.clone() }, 0);
    }
    assert_eq!(states.size(), (HISTORY_STATES, HISTORY_STATES as u64 * state.held.bytes()));
    let head = stage.head(id(1));
    let last = id(100 + 2 * HISTORY_STATES as u128 - 1);
    let from = state.sequence;
    assert!(states.nearest(Place { id: last, head: &head, from }).is_some());
    assert!(states.nearest(Place { id: id(1), head: &head, from }).is_none(), "it has left");
    let later = Head { started_at: Timestamp(8), ..head };
    assert!(states.nearest(Place { id: last, head: &later, from }).is_none());
    let short = Instance { sequence: HISTORY_STATE_FACTS - 1, id: id(99), ..state };
    states.keep(short, 0);
    assert!(states.nearest(Place { id: id(99), head: &stage.head(id(1)), from }).is_none());
}
