//! Journals that earlier versions wrote: facts of instances, and the states they add up to.
//!
//! The files lie in `golden/`. A change of the state alone (a new field, say) needs
//! `WINDLASS_GOLDEN=states`, which leaves the recorded facts and snapshots as they are and writes
//! down what they add up to now. `WINDLASS_GOLDEN=write` records the latest file anew, with the
//! facts of this version. Once a version is released, the facts it wrote stay for ever: a change of
//! format then gets a file of its own beside the old ones.
//!
//! - `facts-1.json`: before instances had priorities and deliveries could be lost.
//! - `facts-2.json`: with both, before uses of secrets were kept.
//! - `facts-3.json`: with those, before an output that the last task gave was kept once.
//! - `facts-4.json`: with that, before instances went on for others.
//! - `facts-5.json`: with those.

use std::path::PathBuf;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use windlass_coordinator::engine::{Instance, decode};
use windlass_coordinator::journal::Journal;
use windlass_proto::id::{Digest, InstanceId};

use super::check;
use super::coverage::{self, Coverage};
use super::run::{Run, Story};
use crate::support::paths;

/// The file that holds what this version writes.
const LATEST: &str = "facts-5.json";

/// Instances in a file.
const INSTANCES: usize = 20;

/// Facts of an instance at most, so that the file can be read.
const FACTS: usize = 70;

#[derive(Serialize, Deserialize)]
struct Recorded {
    id: InstanceId,
    /// The facts as the journal holds them, in base64.
    entries: Vec<String>,
    /// A snapshot of the state after half of the entries, in base64.
    snapshot: String,
    /// A digest of the state's bytes after each entry.
    states: Vec<Digest>,
    /// The state after half of the entries.
    middle: serde_json::Value,
    /// The state after all of them.
    end: serde_json::Value,
}

impl Recorded {
    /// Folds entries, and writes down what they add up to.
    fn of(id: InstanceId, entries: Vec<String>) -> Self {
        let mut state = Instance::not_started(id);
        let (mut states, mut snapshot, mut middle) = (Vec::new(), String::new(), String::new());
        for (number, entry) in entries.iter().enumerate() {
            fold(&mut state, entry);
            states.push(digest(&state));
            if number == entries.len() / 2 {
                snapshot = STANDARD.encode(state.to_bytes().unwrap());
                middle = serde_json::to_string(&state).unwrap();
            }
        }
        let middle = serde_json::from_str(&middle).unwrap();
        let end = serde_json::to_value(&state).unwrap();
        Self { id, entries, snapshot, states, middle, end }
    }
}

fn fold(state: &mut Instance, entry: &str) {
    for turn in decode(&STANDARD.decode(entry).unwrap()).unwrap() {
        turn.facts.iter().for_each(|fact| state.evolve(turn.at, fact));
    }
    let misfits = &state.changes.misfits;
    assert_eq!(misfits.count(), 0, "what an earlier version wrote does not fit: {misfits:?}");
    state.changes = Default::default();
}

fn digest(state: &Instance) -> Digest {
    Digest::of(&STANDARD.encode(state.to_bytes().unwrap()))
}

fn folder() -> PathBuf {
    paths::root().join("tests/it/sim/golden")
}

fn read(file: &PathBuf) -> Vec<Recorded> {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn write(file: &PathBuf, recorded: &[Recorded]) {
    std::fs::write(file, serde_json::to_string_pretty(recorded).unwrap() + "\n").unwrap();
}

/// Runs simulations until there are instances with every kind of fact.
fn record() -> Vec<Recorded> {
    let (mut seen, mut recorded) = (Coverage::default(), Vec::new());
    for seed in 1..2_000 {
        let story = Mutex::new(Story::default());
        let mut run = Run::new(seed, &story);
        run.drive();
        for id in check::instances(&run.journal) {
            let facts = check::facts(&*run.journal, id);
            let kinds: Vec<_> = facts.iter().map(|(_, fact)| coverage::fact(fact)).collect();
            let missing = seen.missing_facts().len();
            let adds = kinds.iter().any(|kind| !seen.has(kind));
            let room = recorded.len() + missing.div_ceil(2) < INSTANCES;
            if facts.len() <= FACTS && (adds || (room && facts.len() > FACTS / 2)) {
                kinds.into_iter().for_each(|kind| seen.note(kind));
                let stored = run.journal.facts(id, 0, usize::MAX).unwrap();
                let entries = stored.iter().map(|it| STANDARD.encode(&it.facts)).collect();
                recorded.push(Recorded::of(id, entries));
            }
        }
        if seen.missing_facts().is_empty() && recorded.len() >= INSTANCES {
            return recorded;
        }
    }
    panic!("no instance has these facts: {:?}", seen.missing_facts());
}

/// What kept facts add up to does not change, nor what a kept snapshot and the facts after it do.
#[test]
fn old_journals_add_up_to_the_same_states() {
    let mode = std::env::var("WINDLASS_GOLDEN").unwrap_or_default();
    if mode == "write" {
        std::fs::create_dir_all(folder()).unwrap();
        write(&folder().join(LATEST), &record());
    }
    let files = paths::files(&folder());
    assert!(!files.is_empty(), "no journal is kept");
    let mut seen = Coverage::default();
    for file in files {
        let mut all = read(&file);
        if mode == "states" {
            let kept = |it: Recorded| {
                let snapshot = it.snapshot;
                Recorded { snapshot, ..Recorded::of(it.id, it.entries) }
            };
            all = all.into_iter().map(kept).collect();
            write(&file, &all);
        }
        for recorded in all {
            compare(&recorded, &mut seen);
        }
    }
    let missing = seen.missing_facts();
    assert!(missing.is_empty(), "record journals (WINDLASS_GOLDEN=write) with {missing:?}");
}

fn compare(recorded: &Recorded, seen: &mut Coverage) {
    let (id, half) = (recorded.id, recorded.entries.len() / 2);
    let snapshot = STANDARD.decode(&recorded.snapshot).unwrap();
    let mut resumed = Instance::from_bytes(&snapshot).unwrap();
    let mut state = Instance::not_started(id);
    for (number, entry) in recorded.entries.iter().enumerate() {
        for turn in decode(&STANDARD.decode(entry).unwrap()).unwrap() {
            turn.facts.iter().for_each(|fact| seen.note(coverage::fact(fact)));
        }
        fold(&mut state, entry);
        if number == half {
            assert_eq!(serde_json::to_value(&state).unwrap(), recorded.middle, "{id}, half way");
            assert_eq!(digest(&resumed), digest(&state), "{id}, its snapshot");
        }
        if number > half {
            fold(&mut resumed, entry);
        }
        assert_eq!(digest(&state), recorded.states[number], "{id}, after entry {number}");
    }
    assert_eq!(serde_json::to_value(&state).unwrap(), recorded.end, "{id}, at its end");
    assert_eq!(digest(&resumed), digest(&state), "{id}, from its snapshot");
}
