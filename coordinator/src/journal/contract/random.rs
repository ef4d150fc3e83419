//! Long random runs against a plain model, with crashes, reopening and full turns of the ring.

use std::collections::{BTreeMap, BTreeSet};

use windlass_proto::id::InstanceId;
use windlass_proto::time::Timestamp;

use super::super::memory::{CrashPoint, MemoryJournal};
use super::super::{Filter, Head, InstanceWrite, Journal, Status, StoredFacts};
use super::{Random, commit, head, id, retain};

/// What the journal should say.
#[derive(Default)]
struct Model {
    instances: BTreeMap<InstanceId, Instance>,
}

#[derive(Clone, Default)]
struct Instance {
    facts: Vec<StoredFacts>,
    head: Option<Head>,
    hot: bool,
    snapshot: Option<(u64, Vec<u8>)>,
}

impl Instance {
    fn next(&self) -> u64 {
        self.facts.last().map_or(0, |last| last.sequence + u64::from(last.count))
    }

    fn status(&self) -> Option<Status> {
        self.head.as_ref().map(|head| head.status)
    }

    fn apply(&mut self, write: &InstanceWrite) {
        if write.count > 0 {
            self.facts.push(StoredFacts {
                sequence: write.sequence,
                count: write.count,
                facts: write.facts.clone().into(),
            });
        }
        if let Some(head) = &write.head {
            self.head = Some(head.clone());
        }
        if let Some(hot) = write.hot {
            self.hot = hot;
        }
        if let Some(snapshot) = &write.snapshot {
            self.snapshot = Some((write.sequence + u64::from(write.count), snapshot.clone()));
        }
    }
}

fn random_write(random: &mut Random, instance: InstanceId, state: &Instance) -> InstanceWrite {
    let size = match random.below(40) {
        0 => 20_000,
        1..4 => 3_000,
        _ => 20 + random.below(200),
    };
    let starts = state.facts.is_empty();
    let status = match random.below(12) {
        _ if starts => Some(Status::Running),
        0 | 1 => Some(Status::Completed),
        2 => Some(Status::Waiting),
        // An ended instance may go on, as after a retry; most do not.
        _ => None,
    };
    // A change of status or of heat may come without facts.
    let bare = !starts && random.below(15) == 0;
    let filler = random.below(256) as u8;
    InstanceWrite {
        instance,
        sequence: state.next(),
        count: if bare { 0 } else { 1 + random.below(3) as u32 },
        facts: vec![filler; if bare { 0 } else { size as usize }].into(),
        head: status.map(|status| head("w", status, 1)),
        hot: match random.below(6) {
            _ if starts => Some(true),
            0 => Some(true),
            1 => Some(false),
            _ => None,
        },
        snapshot: (random.below(60) == 0).then(|| vec![filler; 100 * random.below(200) as usize]),
    }
}

fn compare(journal: &MemoryJournal, model: &Model, random: &mut Random) {
    let mut hot = BTreeSet::new();
    for (instance, state) in &model.instances {
        if state.hot {
            hot.insert(*instance);
        }
        assert_eq!(journal.head(*instance).unwrap(), state.head, "{instance}");
        let from = random.below(state.next() + 1);
        let limit = 1 + random.below(20) as usize;
        let expected: Vec<_> = state
            .facts
            .iter()
            .filter(|facts| facts.sequence + u64::from(facts.count) > from)
            .take(limit)
            .cloned()
            .collect();
        assert_eq!(journal.facts(*instance, from, limit).unwrap(), expected, "{instance}");
        let loaded = journal.load(*instance).unwrap().unwrap();
        let after = state.snapshot.as_ref().map_or(0, |(after, _)| *after);
        assert_eq!(loaded.snapshot, state.snapshot, "{instance}");
        let rest = state.facts.iter().filter(|facts| facts.sequence >= after);
        assert!(loaded.facts.iter().eq(rest), "{instance}");
    }
    let found: BTreeSet<_> = (0..4)
        .flat_map(|number| {
            journal.hot(windlass_proto::id::PartitionId(number), None, usize::MAX).unwrap()
        })
        .collect();
    assert_eq!(found, hot);
    let listed = journal.list(&Filter::default(), None, usize::MAX).unwrap();
    assert!(listed.items.iter().map(|(id, _)| id).eq(model.instances.keys().rev()));
}

/// One group of commits, and how the instances it touches stand after it.
fn group(
    random: &mut Random,
    model: &Model,
    born: &mut u64,
) -> (Vec<super::Commit>, BTreeMap<InstanceId, Instance>) {
    let mut after = BTreeMap::new();
    let mut commits = Vec::new();
    let known: Vec<_> = model.instances.keys().copied().collect();
    for _ in 0..=random.below(6) {
        let place = random.below(known.len().max(1) as u64) as usize;
        let instance = match (random.below(8), known.get(place)) {
            (0, _) | (_, None) => {
                *born += 1;
                id(*born, random.below(4) as u16)
            }
            (choice, Some(instance)) => {
                // Few ended instances go on.
                let ended = model.instances[instance].status() == Some(Status::Completed);
                if ended && choice > 1 {
                    continue;
                }
                *instance
            }
        };
        let state = after
            .entry(instance)
            .or_insert_with(|| model.instances.get(&instance).cloned().unwrap_or_default());
        let write = random_write(random, instance, state);
        state.apply(&write);
        commits.push(commit(vec![write]));
    }
    (commits, after)
}

fn run(seed: u64, groups: usize, every: u64) -> MemoryJournal {
    let mut random = Random(seed);
    let mut journal = MemoryJournal::in_memory(4).unwrap();
    let mut model = Model::default();
    let mut born = 0;
    for _ in 0..groups {
        let (commits, after) = group(&mut random, &model, &mut born);
        if commits.is_empty() || random.below(every) > 0 {
            journal.commit(&commits).unwrap();
            model.instances.extend(after);
        } else {
            let (point, kept) = match random.below(4) {
                0 => (CrashPoint::BeforeWrite, false),
                1 => (CrashPoint::AfterWrite { kept: false }, false),
                2 => (CrashPoint::AfterWrite { kept: true }, true),
                _ => (CrashPoint::AfterSync, true),
            };
            journal.crash_at(0, point);
            // A group that changes nothing is not written, and so does not crash.
            let unchanged = journal.commit(&commits).is_ok();
            if kept || unchanged {
                model.instances.extend(after);
            }
            compare_after_reopening(&mut journal, &model, &mut random);
        }
        if random.below(40) == 0 {
            // All that is completed goes, wherever the ring stands.
            retain(&journal, Timestamp(1_000), usize::MAX);
            model.instances.retain(|_, state| state.status() != Some(Status::Completed));
        }
    }
    compare(&journal, &model, &mut random);
    compare_after_reopening(&mut journal, &model, &mut random);
    assert_eq!(journal.check().unwrap().damage, Vec::<String>::new());
    journal
}

fn compare_after_reopening(journal: &mut MemoryJournal, model: &Model, random: &mut Random) {
    *journal = MemoryJournal::reopen(journal.durable(), 4).unwrap();
    compare(journal, model, random);
}

#[test]
fn crashes_lose_nothing_that_was_told_and_keep_nothing_by_half() {
    for seed in 1..40 {
        run(seed, 60, 4);
    }
}

#[test]
fn turns_of_the_ring_lose_nothing() {
    let journal = run(100, 4_000, 500);
    assert!(journal.slots_written() > 2_500, "the ring has 2,048 slots");
}
