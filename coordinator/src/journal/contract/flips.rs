//! Bits that flip and files that are cut off: what is lost is named, never passed over.
//!
//! `WINDLASS_FLIPS` says how many, `WINDLASS_FLIPS_SEED` which; each one prints its place when it
//! goes wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use windlass_proto::id::{Digest, InstanceId, PartitionId};
use windlass_proto::time::Timestamp;

use super::super::ordered::Ordered as _;
use super::super::sled::{Missing, Options, SledJournal, check_directory, salvage};
use super::super::space::{Change, Space};
use super::super::{
    Commit, Filter, Head, InstanceWrite, Journal, JournalError, StoredDefinition, StoredInstance,
    TimerKey, keys,
};
use super::{Random, head, id, small, start, write};
use crate::journal::Status;

/// Tried when nothing else is said: half a minute of a slow machine at most.
const FLIPS: u64 = 30;
const SEED: u64 = 20_260_101;

/// What is tried goes in turn to journals of so many instances, closed or as a process that was
/// killed leaves them: then much is in the write-ahead log alone.
const JOURNALS: [(u64, Left); 5] = [
    (20, Left::Closed),
    (20, Left::Open),
    (200, Left::Closed),
    (1_500, Left::Closed),
    (700, Left::Open),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Closed,
    Open,
}

/// How long a damaged journal may take to open.
const DEADLINE: Duration = Duration::from_secs(30);

/// All that a journal tells.
pub(super) type Content = BTreeMap<InstanceId, (Head, StoredInstance, Vec<TimerKey>)>;

/// Instances of all kinds: some ended, some with much in them, some that wait; a few commits at a
/// time, and closed twice on the way.
fn make(directory: &Path, instances: u64) {
    drop(made(directory, instances));
}

/// The same, still open.
fn made(directory: &Path, instances: u64) -> SledJournal {
    let mut open = None;
    for (session, step) in (0..3).zip([instances / 2, instances / 4, instances]) {
        drop(open.take());
        let journal = SledJournal::open(directory, &small()).unwrap();
        let definition = StoredDefinition {
            id: head("w", Status::Running, 1).workflow,
            digest: Digest::of("w"),
            text: "text ".repeat(2_000).into(),
            deployed_at: Timestamp(session),
            retired_at: None,
        };
        journal.put_definition(&definition).unwrap();
        let numbers: Vec<u64> = match session {
            0 => (0..step).collect(),
            1 => (instances / 2..instances / 2 + step).collect(),
            _ => (instances / 2 + instances / 4..instances).collect(),
        };
        for numbers in numbers.chunks(16) {
            journal.commit(&starts(numbers)).unwrap();
            journal.commit(&goes_on(numbers)).unwrap();
        }
        open = Some(journal);
    }
    open.unwrap()
}

fn of_partition(instance: InstanceId, write: InstanceWrite) -> Commit {
    Commit { partition: instance.partition(4), writes: vec![write], ..Commit::default() }
}

pub(super) fn starts(numbers: &[u64]) -> Vec<Commit> {
    let one = |number: &u64| {
        let instance = id(*number, (*number % 4) as u16);
        let mut commit = of_partition(instance, start(instance, *number));
        commit.timers_set.push(TimerKey { due: Timestamp(1_000 + number), instance, timer: 1 });
        commit
    };
    numbers.iter().map(one).collect()
}

pub(super) fn goes_on(numbers: &[u64]) -> Vec<Commit> {
    let mut commits = Vec::new();
    for number in numbers {
        let instance = id(*number, (*number % 4) as u16);
        let facts = number.to_be_bytes().repeat(if number % 7 == 0 { 1_500 } else { 9 });
        let mut write = write(instance, 1, &facts);
        if number % 3 == 0 {
            write.head = Some(head("w", Status::Completed, *number));
            write.hot = Some(false);
        }
        let mut commit = of_partition(instance, write);
        if number % 3 == 0 {
            commit.timers_cleared.push(TimerKey {
                due: Timestamp(1_000 + number),
                instance,
                timer: 1,
            });
        }
        commits.push(commit);
    }
    commits
}

pub(super) fn content(journal: &SledJournal) -> Result<Content, JournalError> {
    let mut content = Content::new();
    let mut timers: BTreeMap<InstanceId, Vec<TimerKey>> = BTreeMap::new();
    for partition in 0..4 {
        let all = journal.timers(PartitionId(partition), None, Timestamp(u64::MAX), usize::MAX)?;
        all.into_iter().for_each(|it| timers.entry(it.instance).or_default().push(it));
    }
    let mut cursor = None;
    loop {
        let page = journal.list(&Filter::default(), cursor, 500)?;
        for (instance, head) in page.items {
            let loaded = journal.load(instance)?.ok_or_else(|| {
                JournalError::Damaged(format!("instance {instance} is listed and not there"))
            })?;
            let timers = timers.remove(&instance).unwrap_or_default();
            content.insert(instance, (head, loaded, timers));
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(content),
        }
    }
}

pub(super) struct Files(pub(super) Vec<(String, Vec<u8>)>);

impl Files {
    pub(super) fn of(directory: &Path) -> Self {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let name = entry.file_name().into_string().unwrap();
                files.push((name, fs::read(entry.path()).unwrap()));
            }
        }
        files.sort();
        Self(files)
    }

    pub(super) fn put(&self, directory: &Path) {
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory).unwrap();
        for (name, bytes) in &self.0 {
            fs::write(directory.join(name), bytes).unwrap();
        }
    }

    /// Damages one of the files; says how.
    fn damage(&mut self, random: &mut Random, left: Left) -> String {
        // Nearly always what holds nearly all there is.
        let named = |sought: &str| self.0.iter().position(|(name, _)| name == sought).unwrap();
        let which = match random.below(10) {
            0 => random.below(self.0.len() as u64),
            1..=5 if left == Left::Open => named("journal.wal") as u64,
            _ => named("db") as u64,
        };
        let (name, bytes) = &mut self.0[which as usize];
        let used = bytes.iter().rposition(|it| *it != 0).unwrap_or(0) as u64 + 1;
        let at = random.below(used);
        if bytes.is_empty() {
            return format!("nothing in {name}");
        }
        if random.below(5) == 0 {
            bytes.truncate(at as usize);
            return format!("{name} cut to {at} bytes");
        }
        let bit = random.below(8);
        bytes[at as usize] ^= 1 << bit;
        format!("bit {bit} of byte {at} of {name} flipped")
    }
}

#[derive(Debug, Default)]
struct Counts {
    intact: u64,
    refused: u64,
    named: u64,
    saved: u64,
    of_instances: u64,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

#[test]
fn what_a_disk_loses_is_named() {
    let (flips, seed) = (number("WINDLASS_FLIPS", FLIPS), number("WINDLASS_FLIPS_SEED", SEED));
    let folder = tempfile::tempdir().unwrap();
    let journals = JOURNALS.map(|(size, left)| {
        let directory = folder.path().join(format!("of-{size}-{left:?}"));
        let journal = made(&directory, size);
        let content = content(&journal).unwrap();
        assert_eq!(content.len() as u64, size);
        if left == Left::Closed {
            drop(journal);
            return (Files::of(&directory), content, left);
        }
        (Files::of(&directory), content, left)
    });
    let mut counts = Counts::default();
    for flip in 0..flips {
        let (files, content, left) = &journals[(flip % journals.len() as u64) as usize];
        let mut random = Random((seed + flip).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut damaged = Files(files.0.clone());
        let how = format!("{flip}: {}", damaged.damage(&mut random, *left));
        try_one(&folder.path().join("tried"), &damaged, content, &how, &mut counts, flip % 4 == 0);
    }
    println!("{flips} flips and cuts from seed {seed}: silent 0, {counts:?}");
    assert!(counts.refused > 0, "the damage is no damage: {counts:?}");
    assert!(flips < FLIPS || counts.intact > 0, "everything is refused: {counts:?}");
}

fn try_one(
    directory: &Path,
    damaged: &Files,
    whole: &Content,
    how: &str,
    counts: &mut Counts,
    save: bool,
) {
    damaged.put(directory);
    let checked = check_directory(directory);
    let sound = checked.as_ref().is_ok_and(|it| it.damage.is_empty() && it.lost.is_empty());
    assert_eq!(
        Files::of(directory).0.iter().filter(|it| it.0 != "windlass.lock").count(),
        damaged.0.iter().filter(|it| it.0 != "windlass.lock").count(),
        "{how}: a file is left"
    );
    if save && !sound {
        saved(directory, whole, how, counts);
    }
    let options = Options { deadline: DEADLINE, ..small() };
    let found = match SledJournal::open(directory, &options) {
        Ok(journal) => content(&journal),
        Err(error) => {
            assert!(error.to_string().len() > 20, "{how}: {error}");
            assert!(!sound, "{how}: fsck finds nothing and it does not open: {error}");
            counts.refused += 1;
            return;
        }
    };
    match found {
        Ok(found) if found == *whole => counts.intact += 1,
        Ok(found) => panic!(
            "{how}: {} of {} instances are there and nothing says so",
            found.len(),
            whole.len()
        ),
        Err(error) => {
            assert!(!sound, "{how}: fsck finds nothing of {error}");
            counts.named += 1;
        }
    }
}

/// What can be saved is right.
fn saved(directory: &Path, whole: &Content, how: &str, counts: &mut Counts) {
    let to = directory.with_extension("saved");
    let _ = fs::remove_dir_all(&to);
    let before = Files::of(directory).0;
    let report = salvage(directory, &to);
    assert!(before == Files::of(directory).0, "{how}: salvage changed what it reads");
    let Ok(report) = report else { return };
    let journal = SledJournal::open(&to, &small()).unwrap();
    let content = content(&journal).unwrap();
    drop(journal);
    assert_eq!(content.len() as u64, report.instances, "{how}");
    for (instance, found) in &content {
        let due = &whole[instance];
        // A part of the log may be gone, and with it the latest of an instance.
        assert!(due.1.facts.starts_with(&found.1.facts), "{how}: {instance} is not what it was");
    }
    let check = check_directory(&to).unwrap();
    assert!(check.damage.is_empty() && check.lost.is_empty(), "{how}: {check:?}");
    counts.saved += 1;
    counts.of_instances += content.len() as u64;
}

fn lost(result: Result<SledJournal, JournalError>) -> String {
    match result {
        Err(error @ (JournalError::Lost(_) | JournalError::StoreGone { .. })) => error.to_string(),
        other => panic!("{:?}", other.map(|_| "it opens")),
    }
}

#[test]
fn a_store_that_is_gone_or_older_is_refused_until_that_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    make(&directory, 20);
    let early = Files::of(&directory);
    {
        let journal = SledJournal::open(&directory, &small()).unwrap();
        journal.commit(&starts(&[40, 41, 44])).unwrap();
    }
    // The store as it was, under the witness of what it became.
    let late = Files::of(&directory);
    let mut older = Files(early.0.clone());
    older.0.retain(|(name, _)| name != "journal.witness");
    older.0.extend(late.0.iter().filter(|(name, _)| name == "journal.witness").cloned());
    for (files, says) in [
        (&older, "partition 0 ends at commit"),
        (
            &Files(late.0.iter().filter(|it| it.0 == "journal.witness").cloned().collect()),
            "is gone",
        ),
    ] {
        files.put(&directory);
        for _ in 0..2 {
            let said = lost(SledJournal::open(&directory, &small()));
            assert!(said.contains(says) && said.contains("--accept-loss"), "{said}");
        }
    }
    // Neither store nor witness, but what the store leaves beside: there was a journal.
    let rest = late.0.iter().filter(|it| !matches!(&*it.0, "journal.witness" | "db"));
    Files(rest.cloned().collect()).put(&directory);
    let said = lost(SledJournal::open(&directory, &small()));
    assert!(said.contains("is gone"), "{said}");
    assert!(check_directory(&directory).unwrap_err().to_string().contains("is gone"));
    // A snapshot of what is gone says nothing any more: the store would not open with it.
    fs::write(directory.join("snap.0000000000000400"), b"left over").unwrap();
    let accepting = Options { missing: Missing::Accept, ..small() };
    assert!(content(&SledJournal::open(&directory, &accepting).unwrap()).unwrap().is_empty());
    older.put(&directory);
    let report = check_directory(&directory).unwrap();
    let of_0 = report.lost.iter().find(|it| it.partition == Some(PartitionId(0))).unwrap();
    assert_eq!((of_0.instances, of_0.commits), (Some(2), Some(1)), "{report:?}");
    drop(SledJournal::open(&directory, &accepting).unwrap());
    let journal = SledJournal::open(&directory, &small()).unwrap();
    assert_eq!(content(&journal).unwrap().len(), 20);
    drop(journal);
    assert!(check_directory(&directory).unwrap().lost.is_empty());
}

/// A journal knows that it had a witness: `fsck` and the start judge alike.
#[test]
fn a_journal_whose_witness_is_gone_or_damaged_is_refused_until_that_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    make(&directory, 20);
    let whole = Files::of(&directory);
    let witness = directory.join("journal.witness");
    let accepting = Options { missing: Missing::Accept, ..small() };
    for (how, bytes) in
        [("gone", None), ("damaged", Some(&b""[..])), ("damaged", Some(b"not a witness"))]
    {
        whole.put(&directory);
        match bytes {
            Some(bytes) => fs::write(&witness, bytes).unwrap(),
            None => fs::remove_file(&witness).unwrap(),
        }
        for _ in 0..2 {
            let said = lost(SledJournal::open(&directory, &small()));
            assert!(said.contains(how) && said.contains("--accept-loss"), "{said}");
            let report = check_directory(&directory).unwrap();
            assert!(report.lost[0].what.contains(how), "{report:?}");
        }
        drop(SledJournal::open(&directory, &accepting).unwrap());
        assert_eq!(content(&SledJournal::open(&directory, &small()).unwrap()).unwrap().len(), 20);
        assert!(check_directory(&directory).unwrap().lost.is_empty());
    }
    // The machine went down when the first witness was being made: nothing was acknowledged yet.
    let key = keys::WITNESSED.to_vec();
    let unmarked = vec![Change { space: Space::Common, key, value: None }];
    SledJournal::open(&directory, &small()).unwrap().ordered.write(unmarked).unwrap();
    fs::write(&witness, b"").unwrap();
    assert!(check_directory(&directory).unwrap().lost.is_empty());
    drop(SledJournal::open(&directory, &small()).unwrap());
    fs::write(&witness, b"").unwrap();
    assert!(lost(SledJournal::open(&directory, &small())).contains("damaged"));
}

#[test]
fn a_journal_ahead_of_its_witness_opens() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    make(&directory, 20);
    let witness = fs::read(directory.join("journal.witness")).unwrap();
    let journal = SledJournal::open(&directory, &small()).unwrap();
    journal.commit(&starts(&[40, 41, 44])).unwrap();
    drop(journal);
    fs::write(directory.join("journal.witness"), &witness).unwrap();
    assert_eq!(content(&SledJournal::open(&directory, &small()).unwrap()).unwrap().len(), 23);
}

#[test]
fn a_large_journal_is_added_up_while_commits_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    make(&directory, 200);
    let journal = SledJournal::open(&directory, &small()).unwrap();
    journal.verify_anew();
    let mut number = 1_000;
    while !journal.verify(7).unwrap() {
        journal.commit(&starts(&[number])).unwrap();
        journal.commit(&goes_on(&[number])).unwrap();
        number += 1;
    }
    assert!(number > 1_050, "it took one turn a page");
    // One record changed behind its back.
    let instance = id(7, 3);
    super::damage::take_away(&journal, instance);
    journal.verify_anew();
    let found = loop {
        match journal.verify(100) {
            Ok(true) => panic!("a head that is gone is not missed"),
            Ok(false) => {}
            Err(error) => break error,
        }
    };
    assert!(found.to_string().contains("partition 3"), "{found}");
}
