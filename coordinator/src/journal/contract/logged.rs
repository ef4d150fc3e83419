//! The write-ahead log: what ends a process or a machine leaves all that was acknowledged.

use std::fs;
use std::path::Path;

use windlass_proto::limits::{JOURNAL_WAL_GROUP_BYTES, JOURNAL_WAL_HALF_BYTES};

use super::super::sled::{Missing, Options, SledJournal, check_directory, salvage};
use super::super::{Journal, JournalError};
use super::flips::{Content, Files, content, goes_on, starts};
use super::{commit, id, open, small, write};
use crate::journal::Status;

const LOG: &str = "db";
const WAL: &str = "journal.wal";
const WITNESS: &str = "journal.witness";
const BLOCK: usize = 4 << 10;

fn file<'a>(files: &'a Files, name: &str) -> &'a [u8] {
    &files.0.iter().find(|it| it.0 == name).unwrap().1
}

/// Files of which some are others'.
fn with(files: &Files, others: &[(&str, &[u8])]) -> Files {
    let mut files = files.0.clone();
    for (name, bytes) in others {
        files.retain(|it| it.0 != *name);
        files.push(((*name).to_owned(), bytes.to_vec()));
    }
    Files(files)
}

fn opened(directory: &Path, files: &Files) -> Result<Content, JournalError> {
    files.put(directory);
    content(&SledJournal::open(directory, &small())?)
}

/// What is refused by name, and by `fsck` too, until the loss is accepted.
fn refused(directory: &Path, files: &Files, says: &str) -> Content {
    files.put(directory);
    let report = check_directory(directory).unwrap();
    assert!(report.lost.iter().any(|it| it.what.contains(says)), "{says}: {report:?}");
    for _ in 0..2 {
        let error = SledJournal::open(directory, &small()).map(drop).unwrap_err();
        assert!(matches!(error, JournalError::Lost(_)), "{error}");
        let said = error.to_string();
        assert!(said.contains(says) && said.contains("--accept-loss"), "{said}");
    }
    let accepting = Options { missing: Missing::Accept, ..small() };
    let left = content(&SledJournal::open(directory, &accepting).unwrap()).unwrap();
    assert_eq!(content(&open(directory)).unwrap(), left);
    assert!(check_directory(directory).unwrap().lost.is_empty());
    left
}

/// Where frames begin in a log that was not gone through yet.
fn frames(wal: &[u8]) -> Vec<usize> {
    (BLOCK..wal.len()).step_by(BLOCK).filter(|at| wal[*at..].starts_with(b"frame")).collect()
}

#[test]
fn what_is_in_the_log_alone_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let journal = open(&directory);
    // The log of sled as it was before, as the machine may leave it: only the write-ahead log was
    // synced since.
    let before = Files::of(&directory);
    journal.commit(&starts(&[1, 2, 3, 40])).unwrap();
    journal.commit(&goes_on(&[1, 2, 40])).unwrap();
    let whole = content(&journal).unwrap();
    let killed = Files::of(&directory);
    assert!(file(&before, LOG) == file(&killed, LOG), "no commit writes to sled");
    assert_eq!(opened(&copy, &killed).unwrap(), whole);
    let off = with(&killed, &[(WITNESS, file(&before, WITNESS))]);
    assert_eq!(opened(&copy, &off).unwrap(), whole, "the witness may be late");
    // Looking at it changes nothing, saving it saves all.
    killed.put(&copy);
    let report = check_directory(&copy).unwrap();
    assert!(report.damage.is_empty() && report.lost.is_empty(), "{report:?}");
    assert!(file(&Files::of(&copy), WAL) == file(&killed, WAL));
    let saved = folder.path().join("saved");
    let report = salvage(&copy, &saved).unwrap();
    assert!(report.is_all() && report.instances == 4, "{report:?}");
    assert_eq!(content(&open(&saved)).unwrap().len(), 4);
    // Closing moves it to sled: a version that knows no such log would find all of it.
    drop(journal);
    let closed = Files::of(&directory);
    assert!(file(&killed, LOG) != file(&closed, LOG));
    assert_eq!(opened(&copy, &closed).unwrap(), whole);
}

#[test]
fn a_torn_end_of_the_log_is_no_loss_and_a_damaged_write_is() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let journal = open(&directory);
    journal.commit(&starts(&[1, 2])).unwrap();
    let before = Files::of(&directory);
    let whole = content(&journal).unwrap();
    journal.commit(&starts(&[3])).unwrap();
    let after = Files::of(&directory);
    let all = content(&journal).unwrap();
    drop(journal);
    let wal = file(&after, WAL);
    let frames = frames(wal);
    let torn = |at: usize| {
        let mut torn = wal.to_vec();
        torn[at + 40] ^= 1;
        torn
    };
    let (last, first) = (torn(*frames.last().unwrap()), torn(frames[0]));
    // Nobody heard of the last one.
    let unheard = with(&after, &[(WAL, &last), (WITNESS, file(&before, WITNESS))]);
    assert_eq!(opened(&copy, &unheard).unwrap(), whole);
    let heard = with(&after, &[(WAL, &last)]);
    assert_eq!(refused(&copy, &heard, "ends at commit"), whole);
    let middle = with(&after, &[(WAL, &first)]);
    assert!(refused(&copy, &middle, "is missing").is_empty());
    let (gone, cut, none) =
        (with(&after, &[]), &wal[..wal.len() - 1], [&[0; BLOCK], &wal[BLOCK..]]);
    let gone = Files(gone.0.into_iter().filter(|it| it.0 != WAL).collect());
    assert!(refused(&copy, &gone, "is gone").is_empty());
    assert_eq!(refused(&copy, &with(&after, &[(WAL, cut)]), "is cut off"), all);
    let short = &wal[..*frames.last().unwrap() + 40];
    assert_eq!(refused(&copy, &with(&after, &[(WAL, short)]), "is cut off"), whole);
    assert!(refused(&copy, &with(&after, &[(WAL, &none.concat())]), "first block").is_empty());
    // One of another journal.
    open(&directory.join("other")).commit(&starts(&[9])).unwrap();
    let other = fs::read(directory.join("other").join(WAL)).unwrap();
    let mixed = with(&after, &[(WAL, &other)]);
    assert!(refused(&copy, &mixed, "another journal").is_empty());
}

/// A start says all that `fsck` says, and what is not known is not counted as nothing.
#[test]
fn without_its_log_all_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let journal = open(&directory);
    journal.commit(&starts(&[1, 2, 3])).unwrap();
    let killed = Files::of(&directory);
    drop(journal);
    let gone = Files(killed.0.into_iter().filter(|it| it.0 != WAL).collect());
    gone.put(&copy);
    let found = check_directory(&copy).unwrap().lost;
    let error = SledJournal::open(&copy, &small()).map(drop).unwrap_err();
    let JournalError::Lost(told) = &error else { panic!("{error}") };
    assert_eq!(*told, found, "{error}");
    assert!(error.to_string().contains("partition 1 ends at commit 0 of 1"), "{error}");
    assert_eq!((told[0].records, told[0].instances), (None, None), "nobody knows: {told:?}");
    let json = serde_json::to_value(&told[0]).unwrap();
    assert!(json["records"].is_null() && json["from_commit"].is_null(), "{json}");
    let counted: u64 = told.iter().filter_map(|it| it.instances).sum();
    assert_eq!(counted, 3, "{told:?}");
}

/// The log is whole: where sled's file is not, that is what is said.
#[test]
fn a_damaged_store_is_not_taken_for_a_damaged_log() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let journal = open(&directory);
    for number in 1..60 {
        journal.commit(&starts(&[number])).unwrap();
        journal.commit(&goes_on(&[number])).unwrap();
    }
    drop(journal);
    let closed = Files::of(&directory);
    let store = file(&closed, LOG);
    let used = store.iter().rposition(|it| *it != 0).unwrap() + 1;
    let mut refusals = 0;
    for part in 0..40 {
        let mut damaged = store.to_vec();
        damaged[used * part / 40..used * (part + 1) / 40].fill(0xa5);
        with(&closed, &[(LOG, &damaged)]).put(&copy);
        let Err(error) = SledJournal::open(&copy, &small()) else { continue };
        let said = error.to_string();
        let blamed = said.contains("its write-ahead log") && !said.contains("the store, db,");
        assert!(!blamed, "part {part}: {said}");
        refusals += u32::from(said.contains("store, db,"));
    }
    assert!(refusals > 0, "no damage was found with the log beside it");
}

/// Writes so many bytes, some of them at once where `large` says so: too many for the log.
fn fill(journal: &SledJournal, from: u64, bytes: usize, large: bool) -> u64 {
    let (mut number, mut written) = (from, 0);
    while written < bytes {
        let instance = id(number, (number % 4) as u16);
        journal.commit(&starts(&[number])).unwrap();
        let size = if large && number % 16 == 3 { JOURNAL_WAL_GROUP_BYTES + 1 } else { 24 << 10 };
        // Bytes that cannot be packed.
        let facts: Vec<u8> = noise(number, size);
        journal.commit(&[commit(vec![write(instance, 1, &facts)])]).unwrap();
        written += size;
        number += 1;
    }
    number
}

fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut random = super::Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (0..size).map(|_| random.below(256) as u8).collect()
}

#[test]
fn the_log_goes_round_and_sled_follows() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let journal = open(&directory);
    let mut next = 1;
    // Round by what is in its frames alone, and then with writes that go past it.
    for round in 0..7 {
        next = fill(&journal, next, JOURNAL_WAL_HALF_BYTES * 2 / 3, round > 4);
        let killed = Files::of(&directory);
        let size = file(&killed, WAL).len();
        assert_eq!(size, BLOCK + 2 * JOURNAL_WAL_HALF_BYTES, "it does not grow");
        let found = opened(&copy, &killed).unwrap();
        assert_eq!(found, content(&journal).unwrap(), "round {round}");
        assert_eq!(found.len() as u64, next - 1);
    }
    assert_eq!(journal.check().unwrap().damage, Vec::<String>::new());
}

/// sled's part of a checkpoint may reach the disk by half, while the log still has all of it.
#[test]
fn a_checkpoint_that_is_cut_off_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let journal = open(&directory);
    let early = Files::of(&directory);
    let used = |files: &Files| file(files, LOG).iter().rposition(|it| *it != 0).unwrap() + 1;
    for number in 1..60 {
        journal.commit(&starts(&[number])).unwrap();
        journal.commit(&goes_on(&[number])).unwrap();
    }
    let whole = content(&journal).unwrap();
    let killed = Files::of(&directory);
    // Closing is a checkpoint, which overwrites nothing of the log.
    drop(journal);
    let late = Files::of(&directory);
    let (from, to) = (used(&early), used(&late));
    assert!(to > from + 10_000, "{from} {to}");
    for cut in (0..20).map(|it| from + (to - from) * it / 20) {
        let log = [&file(&late, LOG)[..cut], &vec![0; file(&late, LOG).len() - cut]].concat();
        let half = with(&killed, &[(LOG, &log)]);
        assert_eq!(opened(&copy, &half).unwrap(), whole, "cut at {cut} of {from} to {to}");
    }
}

/// Blocks of sled's log that were written.
fn used(files: &Files) -> usize {
    file(files, LOG).chunks(BLOCK).filter(|it| it.iter().any(|it| *it != 0)).count() * BLOCK
}

#[test]
fn a_large_value_is_written_little_more_than_once() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    let journal = open(&directory);
    journal.commit(&starts(&[1])).unwrap();
    let (instance, facts) = (id(1, 1), noise(1, 8 << 20));
    let before = used(&Files::of(&directory));
    journal.commit(&[commit(vec![write(instance, 1, &facts)])]).unwrap();
    let written = used(&Files::of(&directory)) - before;
    assert!(written < facts.len() * 9 / 8, "{written} bytes for {}", facts.len());
    assert!(journal.facts(instance, 1, 1).unwrap()[0].facts == facts);
}

/// Parts of a large value are put into sled before the record that they belong to.
#[test]
fn a_large_value_that_is_cut_off_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let journal = open(&directory);
    journal.commit(&starts(&[1, 2])).unwrap();
    // Large itself, so that all before it is in sled.
    let large = |sequence| vec![commit(vec![write(id(2, 2), sequence, &noise(sequence, 3 << 20))])];
    journal.commit(&large(1)).unwrap();
    let (early, before) = (Files::of(&directory), content(&journal).unwrap());
    journal.commit(&large(2)).unwrap();
    let (late, after) = (Files::of(&directory), content(&journal).unwrap());
    drop(journal);
    let (log, old) = (file(&late, LOG), file(&early, LOG));
    let from = log.iter().zip(old).position(|(late, early)| late != early).unwrap_or(old.len());
    let to = log.iter().rposition(|it| *it != 0).unwrap() + 1;
    let mut taken_back = 0;
    for cut in (0..=12).map(|it| from + (to - from) * it / 12) {
        // Where the log was shorter, nothing was written yet.
        let rest = old.get(cut..).unwrap_or_default();
        let cut_off = [&log[..cut], rest, &vec![0; log.len() - cut - rest.len()]].concat();
        // Nobody heard of it.
        let files = with(&late, &[(LOG, &cut_off), (WITNESS, file(&early, WITNESS))]);
        let found = opened(&copy, &files).unwrap();
        assert!(found == before || found == after, "cut at {cut} of {from} to {to}");
        taken_back += usize::from(found == before);
        // Opened once more, and from here on.
        let journal = open(&copy);
        assert_eq!(journal.check().unwrap().damage, Vec::<String>::new());
        let next = if found == before { 2 } else { 3 };
        journal.commit(&large(next)).unwrap();
        assert!(journal.facts(id(2, 2), next, 1).unwrap()[0].facts == noise(next, 3 << 20));
        drop(journal);
        let report = check_directory(&copy).unwrap();
        assert!(report.damage.is_empty() && report.lost.is_empty(), "{report:?}");
    }
    assert!(taken_back > 6, "{taken_back} of 13");
}

#[test]
fn a_journal_without_a_log_gets_one() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data/journal-1");
    fs::create_dir_all(&directory).unwrap();
    for file in [LOG, "conf"] {
        fs::copy(recorded.join(file), directory.join(file)).unwrap();
    }
    let journal = open(&directory);
    assert!(directory.join(WAL).exists());
    let before = fs::read(directory.join(LOG)).unwrap();
    journal.commit(&starts(&[77])).unwrap();
    assert!(fs::read(directory.join(LOG)).unwrap() == before, "it goes to the log first");
}

/// sled would write a new record five times over, as its pages fill up and are divided.
#[test]
fn a_checkpoint_writes_a_new_head_little_more_than_once() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    let journal = open(&directory);
    let before = used(&Files::of(&directory));
    let (instances, size) = (4_000, 400);
    for numbers in (0..instances).collect::<Vec<u64>>().chunks(40) {
        let mut starts = starts(numbers);
        // Timers are keys of their own.
        starts.iter_mut().for_each(|commit| commit.timers_set.clear());
        let ends = numbers.iter().map(|number| {
            let instance = id(*number, (number % 4) as u16);
            let mut write = write(instance, 1, &noise(*number, size));
            write.head = Some(super::head("w", Status::Completed, *number));
            write.hot = Some(false);
            commit(vec![write])
        });
        journal.commit(&starts.into_iter().chain(ends).collect::<Vec<_>>()).unwrap();
    }
    drop(journal);
    let written = used(&Files::of(&directory)) - before;
    let records = instances as usize * (size + 150);
    assert!(written < records * 3 / 2, "{written} bytes for {records} bytes of records");
}

#[test]
fn a_journal_that_gets_no_log_works_without() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    let in_the_way = directory.join("journal.wal.new");
    fs::create_dir_all(&in_the_way).unwrap();
    for number in 1..4 {
        let journal = open(&directory);
        assert!(!directory.join(WAL).exists());
        journal.commit(&starts(&[number])).unwrap();
        assert_eq!(content(&journal).unwrap().len() as u64, number);
    }
    fs::remove_dir(in_the_way).unwrap();
    let journal = open(&directory);
    assert!(directory.join(WAL).exists());
    journal.commit(&starts(&[9])).unwrap();
    assert_eq!(content(&journal).unwrap().len(), 4);
    drop(journal);
    assert!(check_directory(&directory).unwrap().lost.is_empty());
}
