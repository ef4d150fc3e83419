//! Searches and counts: what the index finds is what the heads say.

use std::collections::BTreeMap;

use windlass_proto::id::InstanceId;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::time::Timestamp;

use super::super::keys;
use super::super::memory::MemoryJournal;
use super::super::ordered::Ordered as _;
use super::super::space::Change;
use super::super::{Commit, Filter, Head, InstanceWrite, Journal, SearchCursor, Status};
use super::{Random, commit, each, head, id, open, retain, small, write};

/// Instances as they ought to be found.
#[derive(Default)]
struct World {
    heads: BTreeMap<InstanceId, (Head, u64)>,
    time: u64,
    /// Ids whose instances were removed.
    free: Vec<InstanceId>,
    /// What is committed together.
    gathered: Vec<Commit>,
}

const STATUSES: [Status; 7] = [
    Status::Pending,
    Status::Running,
    Status::Waiting,
    Status::Suspended,
    Status::Cancelled,
    Status::Faulted,
    Status::Completed,
];

impl World {
    fn commit(&mut self, journal: &dyn Journal) {
        journal.commit(&std::mem::take(&mut self.gathered)).unwrap();
    }

    fn put(&mut self, journal: &dyn Journal, instance: InstanceId, head: Head) {
        let sequence = self.heads.get(&instance).map_or(0, |it| it.1);
        let write =
            InstanceWrite { head: Some(head.clone()), ..write(instance, sequence, b"fact") };
        self.gathered.push(commit(vec![write]));
        self.heads.insert(instance, (head, sequence + 1));
        if self.gathered.len() == 60 {
            self.commit(journal);
        }
    }

    fn start(&mut self, journal: &dyn Journal, random: &mut Random) {
        // Clocks may stand still, or go back.
        self.time = (self.time + random.below(3)).saturating_sub(u64::from(random.below(50) == 0));
        let time = 1_000 + self.time;
        // Ids need not follow the time.
        let new = id(random.below(1 << 40), random.below(4) as u16);
        let free = if random.below(3) == 0 { self.free.pop() } else { None };
        let instance = free.unwrap_or(new);
        if self.heads.contains_key(&instance) {
            return;
        }
        let name = ["order", "invoice", "parcel"][random.below(3) as usize];
        let mut head = head(name, Status::Running, time);
        if random.below(3) == 0 {
            head.workflow.version = "2.0.0".into();
        }
        head.labels = vec![("customer".into(), random.below(40).to_string().into())];
        if random.below(4) == 0 {
            head.parent = self.heads.keys().next().copied();
            head.root = head.parent;
        }
        self.put(journal, instance, head);
    }

    fn change(&mut self, journal: &dyn Journal, random: &mut Random) {
        let place = random.below(self.heads.len() as u64) as usize;
        let Some((instance, (head, _))) = self.heads.iter().nth(place) else { return };
        let (instance, mut head) = (*instance, head.clone());
        head.status = STATUSES[random.below(7) as usize];
        head.ended_at =
            head.status.is_final().then(|| Timestamp(head.started_at.0 + random.below(90)));
        let kind = [Standard::Timeout, Standard::Validation][random.below(2) as usize];
        head.error = (head.status == Status::Faulted).then(|| Problem::new(kind, "no"));
        self.put(journal, instance, head);
    }

    /// Those that match, those that started last first.
    fn due(&self, filter: &Filter) -> Vec<InstanceId> {
        let matching = self.heads.iter().filter(|(_, (head, _))| head.matches(filter));
        let mut due: Vec<_> = matching.map(|(id, (head, _))| (head.started_at, *id)).collect();
        due.sort_unstable();
        due.into_iter().rev().map(|(_, id)| id).collect()
    }

    fn filter(&self, random: &mut Random) -> Filter {
        let mut filter = Filter::default();
        let mut one_in = |of| random.below(of) == 0;
        if one_in(3) {
            filter.name = Some("order".to_owned());
        }
        if one_in(5) {
            filter.version = Some("2.0.0".to_owned());
        }
        if one_in(2) {
            filter.statuses = vec![Status::Faulted, Status::Waiting];
        }
        if one_in(4) {
            filter.errors = vec!["timeout".to_owned()];
        }
        if one_in(3) {
            filter.labels = vec![("customer".to_owned(), "7".to_owned())];
        }
        if one_in(6) {
            filter.root = self.heads.keys().next().copied();
        }
        if one_in(6) {
            filter.parent = self.heads.keys().next().copied();
        }
        if one_in(4) {
            filter.started_after = Some(Timestamp(1_000 + self.time / 3));
            filter.started_before = Some(Timestamp(1_000 + self.time / 2));
        }
        if one_in(5) {
            filter.ended_after = Some(Timestamp(1_000 + self.time / 3));
            filter.ended_before = Some(Timestamp(1_000 + self.time));
        }
        filter
    }

    fn check(&mut self, journal: &dyn Journal, random: &mut Random) {
        self.commit(journal);
        for _ in 0..12 {
            let filter = self.filter(random);
            let due = self.due(&filter);
            let limit = [1, 7, 100, 10_000][random.below(4) as usize];
            let wanted = due.len().min(limit * 5);
            let found = pages(journal, &filter, limit, wanted);
            assert_eq!(found, due[..wanted], "{filter:?} by {limit}");
            let counted = journal.count(&filter).unwrap();
            assert_eq!((counted.count, counted.is_whole), (due.len() as u64, true), "{filter:?}");
        }
    }
}

/// What the first pages have, up to `wanted`.
fn pages(journal: &dyn Journal, filter: &Filter, limit: usize, wanted: usize) -> Vec<InstanceId> {
    let (mut found, mut cursor) = (Vec::new(), None::<SearchCursor>);
    while found.len() < wanted {
        let page = journal.search(filter, cursor, limit).unwrap();
        assert!(page.items.len() <= limit);
        found.extend(page.items.iter().map(|(id, _)| *id));
        let Some(next) = page.next else { break };
        assert!(cursor.is_none_or(|before| next < before), "the cursor moves on");
        cursor = Some(next);
    }
    found.truncate(wanted);
    found
}

fn run(journal: &dyn Journal, seed: u64, steps: usize) -> World {
    let (mut world, mut random) = (World::default(), Random(seed));
    for step in 1..=steps {
        match random.below(10) {
            0..7 => world.start(journal, &mut random),
            7..9 => world.change(journal, &mut random),
            // What is due is indexed at any time.
            _ if step % 7 == 0 => while journal.index().unwrap() {},
            _ => {}
        }
        if step % (steps / 3) == 0 {
            world.check(journal, &mut random);
            // Oldest ends first.
            let before = Timestamp(1_000 + world.time / 50);
            while retain(journal, before, 100) > 0 {}
            let is_over = |head: &Head| head.ended_at.is_some_and(|at| at < before);
            let over = world.heads.extract_if(.., |_, (head, _)| is_over(head));
            world.free = over.map(|(id, _)| id).collect();
            world.check(journal, &mut random);
        }
    }
    world
}

#[test]
fn a_search_finds_what_the_heads_say() {
    each(|journal| drop(run(journal, 42, 6_000)));
}

#[test]
fn the_index_is_there_after_a_restart_and_made_anew_where_it_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = run(&open(directory.path()), 7, 5_000);
    let journal = open(directory.path());
    let era = journal.index.era();
    world.check(&journal, &mut Random(3));
    drop(journal);
    let journal = open(directory.path());
    assert_eq!(journal.index.era(), era, "nothing was made anew");
    // As a version that knows of no index leaves it: heads that no arrival tells of.
    journal.without_index().unwrap();
    drop(journal);
    let journal = open(directory.path());
    assert_ne!(journal.index.era(), era);
    world.check(&journal, &mut Random(4));
    // A backup has none either.
    let mut backup = Vec::new();
    journal.backup(&mut backup).unwrap();
    let copy = tempfile::tempdir().unwrap();
    super::super::sled::restore(&copy.path().join("j"), &mut backup.as_slice()).unwrap();
    let restored = super::SledJournal::open(&copy.path().join("j"), &small()).unwrap();
    world.check(&restored, &mut Random(5));
}

#[test]
fn an_index_that_lacks_an_instance_is_made_anew() {
    let journal = MemoryJournal::in_memory(4).unwrap();
    let mut world = run(&journal, 11, 3_500);
    journal.forget_last_arrival().unwrap();
    let journal = MemoryJournal::reopen(journal.durable(), 4).unwrap();
    world.check(&journal, &mut Random(6));
}

#[test]
fn a_damaged_head_does_not_have_the_index_made_anew_each_time() {
    let journal = MemoryJournal::in_memory(4).unwrap();
    let mut world = run(&journal, 12, 3_500);
    world.commit(&journal);
    let instance = *world.heads.keys().next().unwrap();
    let (space, key) = (journal.space_of(instance), keys::of_instance(keys::HEAD, instance));
    let damage = Change { space, key, value: Some(b"no head".to_vec()) };
    journal.ordered.write(vec![damage]).unwrap();
    journal.without_index().unwrap();
    let journal = MemoryJournal::reopen(journal.durable(), 4).unwrap();
    let era = journal.index.era();
    let found = journal.count(&Filter::default()).unwrap().count;
    assert_eq!(found, world.heads.len() as u64 - 1);
    let journal = MemoryJournal::reopen(journal.durable(), 4).unwrap();
    assert_eq!(journal.index.era(), era);
}
