//! Trails that were tampered with: each way is found, and called what it is.

use std::path::{Path, PathBuf};

use uuid::Uuid;
use windlass_proto::audit::{AuditAction, AuditEvent};
use windlass_proto::limits;

use super::{Against, Finding, KnownHeads, Report, check_directory, check_files, check_stream};
use crate::audit::chain::{Composer, LineHash, Position, Tip};
use crate::audit::file::Sizes;
use crate::audit::key::AuditKey;
use crate::audit::writer::Copies;
use crate::audit::{AuditLog, AuditOptions, own};
use crate::clock;

fn event(number: u128) -> AuditEvent {
    own(AuditAction::Granted, true, |it| {
        it.id = Uuid::from_u128(number);
        it.detail = Some(format!("number {number}").into());
    })
}

fn options(folder: &Path) -> AuditOptions {
    AuditOptions {
        place: Some(folder.join("audit.jsonl")),
        keep_key: true,
        ..AuditOptions::default()
    }
}

/// A trail of so many events in files of about so many bytes; it ends with a head.
fn trail(events: u128, bytes: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sizes = Sizes { bytes, files: 20 };
    let log = AuditLog::sized(options(folder.path()), Copies::default(), sizes).unwrap();
    for number in 1..=events {
        let (done, written) = std::sync::mpsc::channel();
        log.keep(vec![event(number)], move || done.send(()).unwrap());
        written.recv().unwrap();
    }
    folder
}

/// A trail of lines: 1 is a head, 2 to 11 are events, 12 is a head.
fn ten() -> tempfile::TempDir {
    trail(10, 1 << 20)
}

fn file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("audit.jsonl")
}

fn lines(folder: &tempfile::TempDir) -> Vec<String> {
    let text = std::fs::read_to_string(file(folder)).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn write(folder: &tempfile::TempDir, lines: &[String]) {
    let text: String = lines.iter().flat_map(|it| [it.as_str(), "\n"]).collect();
    std::fs::write(file(folder), text).unwrap();
}

fn check(folder: &tempfile::TempDir) -> Report {
    check_directory(folder.path(), Against::default()).unwrap()
}

/// What is wrong: the line, the numbers, and what it is.
fn told(report: &Report) -> Vec<(u64, u64, u64, Finding)> {
    let of = |it: &super::Defect| {
        let sequence = it.sequence.unwrap_or(0);
        (it.line, sequence, it.to.unwrap_or(sequence), it.finding)
    };
    report.defects.iter().map(of).collect()
}

/// What is wrong after lines were changed.
fn after(change: impl FnOnce(&mut Vec<String>)) -> Vec<(u64, u64, u64, Finding)> {
    let folder = ten();
    let mut all = lines(&folder);
    assert_eq!(all.len(), 12);
    change(&mut all);
    write(&folder, &all);
    let report = check(&folder);
    assert!(!report.is_clean());
    told(&report)
}

/// A line with something else in it.
fn forged(line: &str) -> String {
    let forged =
        line.replace("secret.granted", "secret.denied!").replace("audit.head\",", "audit.head\" ,");
    assert_ne!(forged, line);
    forged
}

#[test]
fn what_nobody_touched_is_clean() {
    let folder = ten();
    let report = check(&folder);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.events, report.heads, report.before_chain), (10, 2, 0));
    assert_eq!((report.first, report.unsigned, report.keys.len()), (Some(1), 0, 1));
    let all = lines(&folder);
    assert_eq!(report.last, Some(format!("12:{}", LineHash::of(all[11].as_bytes()))));
    assert_eq!(report.signed, Some(format!("11:{}", LineHash::of(all[10].as_bytes()))));
    let text = std::fs::read(file(&folder)).unwrap();
    assert!(check_stream(&*text, &Against::default()).unwrap().is_clean());
}

#[test]
fn an_altered_line_is_named_wherever_it_is() {
    for line in 2..=11_usize {
        let found = after(|all| all[line - 1] = forged(&all[line - 1]));
        let at = line as u64;
        assert_eq!(found, [(at, at, at, Finding::Altered)], "line {line}");
    }
    // A head at the beginning is one that the next line has the hash of; the last has no next.
    assert_eq!(after(|all| all[0] = forged(&all[0])), [(1, 1, 1, Finding::Altered)]);
    let found = after(|all| all[11] = forged(&all[11]));
    assert_eq!(found, [(12, 12, 12, Finding::Rewritten), (12, 12, 12, Finding::BadSignature)]);
    // Two next to each other, and one that cannot be read any more.
    let found = after(|all| {
        all[4] = forged(&all[4]);
        all[5] = forged(&all[5]);
    });
    assert_eq!(found, [(5, 5, 5, Finding::Altered), (6, 6, 6, Finding::Altered)]);
    let found = after(|all| all[4] = all[4].replace(':', ";"));
    assert_eq!(found, [(5, 5, 5, Finding::Altered)]);
    let found = after(|all| all[4] = all[4].replace("\"sequence\":5", "\"sequence\":500"));
    assert_eq!(found, [(5, 5, 5, Finding::Altered)]);
}

#[test]
fn deleted_lines_are_named_wherever_they_were() {
    assert_eq!(after(|all| _ = all.remove(4)), [(5, 5, 5, Finding::Deleted)]);
    assert_eq!(after(|all| _ = all.drain(4..8)), [(5, 5, 8, Finding::Deleted)]);
    // The end of the trail, against the head that is noted; with its head gone it is cut too.
    assert_eq!(after(|all| _ = all.drain(10..)), [(10, 11, 12, Finding::Cut)]);
    assert_eq!(after(|all| _ = all.remove(10)), [(11, 11, 11, Finding::Deleted)]);
    // The begin: a file begins with a head.
    assert_eq!(after(|all| _ = all.drain(..3)), [(1, 3, 3, Finding::Deleted)]);
    let found = after(|all| {
        all.remove(8);
        all.remove(2);
    });
    assert_eq!(found, [(3, 3, 3, Finding::Deleted), (8, 9, 9, Finding::Deleted)]);
    let found = after(Vec::clear);
    assert_eq!(found, [(0, 1, 12, Finding::Cut)]);
}

#[test]
fn inserted_lines_are_named_and_copies_too() {
    // It has the number and the hash that follow, so that those after it are the odd ones.
    let made_up = |all: &mut Vec<String>| all.insert(4, forged(&all[4]));
    assert_eq!(after(made_up), [(5, 5, 5, Finding::Inserted)]);
    // The true ones have won before the next thing is wrong.
    let found = after(|all| {
        all.remove(8);
        made_up(all);
    });
    assert_eq!(found, [(5, 5, 5, Finding::Inserted), (10, 9, 9, Finding::Deleted)]);
    assert_eq!(after(|all| all.insert(4, all[4].clone())), [(6, 5, 5, Finding::Inserted)]);
    assert_eq!(after(|all| all.insert(9, all[4].clone())), [(10, 5, 5, Finding::Inserted)]);
    assert_eq!(after(|all| all.insert(4, "{}".to_owned())), [(5, 0, 0, Finding::Inserted)]);
    assert_eq!(after(|all| all.insert(4, String::new())), [(5, 0, 0, Finding::Inserted)]);
    let found = after(|all| {
        let copy = all[3..6].to_vec();
        all.splice(8..8, copy);
    });
    let expected = [4, 5, 6].map(|it| (it + 5, it, it, Finding::Inserted));
    assert_eq!(found, expected);
}

#[test]
fn reordered_lines_are_named() {
    assert_eq!(after(|all| all.swap(4, 5)), [(5, 6, 6, Finding::Reordered)]);
    let found = after(|all| all.swap(3, 7));
    assert_eq!(found, [(4, 8, 8, Finding::Reordered), (8, 4, 4, Finding::Reordered)]);
    // A block that is moved: either part may be called the one that moved.
    let found = after(|all| {
        let block: Vec<String> = all.drain(3..5).collect();
        all.splice(7..7, block);
    });
    assert_eq!(found, [(8, 4, 4, Finding::Reordered), (9, 5, 5, Finding::Reordered)]);
}

#[test]
fn a_chain_that_was_made_anew_is_not_signed() {
    let folder = ten();
    let mut all = lines(&folder);
    // All lines follow one another: the forger has no key, but patience.
    all[4] = forged(&all[4]);
    for index in 5..all.len() {
        let is = LineHash::of(all[index - 1].as_bytes());
        let mut line: serde_json::Value = serde_json::from_str(&all[index]).unwrap();
        line["previous"] = is.to_string().into();
        all[index] = line.to_string();
    }
    write(&folder, &all);
    let found = told(&check(&folder));
    assert_eq!(found, [(12, 12, 12, Finding::Rewritten), (12, 12, 12, Finding::BadSignature)]);
    // Or an own key: it is not the one that is known.
    let key = AuditKey::generate().unwrap();
    let known = check(&ten()).keys[0];
    let mut composer = Composer::new(Tip::default(), &key, clock::now());
    composer.head();
    (1..=3).for_each(|it| composer.event(event(it)));
    composer.head();
    let text = composer.lines().bytes;
    assert!(check_stream(&*text, &Against::default()).unwrap().is_clean());
    let against = Against { keys: vec![known], ..Against::default() };
    let found = told(&check_stream(&*text, &against).unwrap());
    assert_eq!(found, [(1, 1, 1, Finding::ForeignKey), (5, 5, 5, Finding::ForeignKey)]);
}

#[test]
fn a_head_that_others_know_shows_a_cut_and_another_trail() {
    let folder = ten();
    let text = std::fs::read_to_string(file(&folder)).unwrap();
    let all = lines(&folder);
    let at = |line: usize| Position {
        sequence: line as u64,
        hash: LineHash::of(all[line - 1].as_bytes()),
    };
    let short: String = all[..6].iter().flat_map(|it| [it.as_str(), "\n"]).collect();
    let against = |heads| Against { heads, ..Against::default() };
    let found = |text: &str, heads| told(&check_stream(text.as_bytes(), &against(heads)).unwrap());
    assert_eq!(found(&text, vec![at(12), at(3)]), []);
    assert_eq!(found(&short, Vec::new()), [], "that it is cut only others know");
    assert_eq!(found(&short, vec![at(12)]), [(6, 7, 12, Finding::Cut)]);
    let other = Position { sequence: 5, ..at(6) };
    assert_eq!(found(&text, vec![other]), [(5, 5, 5, Finding::Rewritten)]);
    assert_eq!(check_stream(short.as_bytes(), &Against::default()).unwrap().unsigned, 5);
    let known = |text: &str, heads| check_stream(text.as_bytes(), &against(heads)).unwrap().known;
    assert_eq!(known(&text, Vec::new()), None);
    let all_there = KnownHeads { given: 2, found: 2, ..KnownHeads::default() };
    assert_eq!(known(&text, vec![at(12), at(1), at(12)]), Some(all_there));
    let missing = vec![other.to_string(), at(12).to_string()];
    let some = KnownHeads { given: 3, found: 1, missing, ..KnownHeads::default() };
    assert_eq!(known(&short, vec![at(12), other, at(1)]), Some(some));
    // What the directory itself has noted is nobody else's, but if somebody else has it as well.
    let noted = |heads| Against { heads, noted: Some(at(12)), ..Against::default() };
    let report = |heads| check_stream(text.as_bytes(), &noted(heads)).unwrap().known;
    assert_eq!(report(Vec::new()), None);
    let one = KnownHeads { given: 1, found: 1, ..KnownHeads::default() };
    assert_eq!(report(vec![at(1)]), Some(one.clone()));
    assert_eq!(report(vec![at(12)]), Some(one));
    // Its first file was removed.
    let rest: String = all[6..].iter().flat_map(|it| [it.as_str(), "\n"]).collect();
    let some = KnownHeads { given: 2, found: 1, before: 1, ..KnownHeads::default() };
    assert_eq!(known(&rest, vec![at(1), at(12)]), Some(some));
}

#[test]
fn files_follow_one_another_and_what_was_removed_at_the_begin_is_no_defect() {
    let folder = trail(40, 3_000);
    let report = check(&folder);
    assert!(report.is_clean() && report.files > 4, "{report:?}");
    assert_eq!((report.first, report.events), (Some(1), 40));
    // The oldest file goes.
    let oldest = format!("audit.{}.jsonl", report.files - 1);
    std::fs::remove_file(folder.path().join(&oldest)).unwrap();
    let report = check(&folder);
    assert!(report.is_clean(), "{report:?}");
    assert!(report.first > Some(1) && report.events < 40);
    // In any order, as a shell gives them.
    let mut files: Vec<PathBuf> =
        folder.path().read_dir().unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|it| it.extension().is_some_and(|it| it == "jsonl"));
    files.sort();
    assert!(check_files(&files, &Against::default()).unwrap().is_clean());
    // One in the middle goes.
    std::fs::remove_file(folder.path().join("audit.2.jsonl")).unwrap();
    std::fs::rename(folder.path().join("audit.3.jsonl"), folder.path().join("audit.2.jsonl"))
        .unwrap();
    let report = check(&folder);
    assert_eq!(report.defects.len(), 1, "{report:?}");
    let defect = &report.defects[0];
    assert!(defect.file.ends_with("audit.1.jsonl"), "{defect}");
    assert_eq!((defect.line, defect.finding), (1, Finding::Deleted));
    // The last line of a full file, which is a head.
    let folder = trail(40, 3_000);
    let path = folder.path().join("audit.1.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.trim_end().rfind('\n').unwrap() + 1]).unwrap();
    let found = told(&check(&folder));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0, found[0].3), (1, Finding::Deleted));
}

#[test]
fn a_crash_leaves_half_a_line_and_the_chain_goes_on() {
    let folder = ten();
    let text = std::fs::read_to_string(file(&folder)).unwrap();
    // Nothing of what was acknowledged is missing.
    std::fs::write(file(&folder), format!("{text}{{\"sequence\":13,\"prev")).unwrap();
    let report = check(&folder);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.half_line, Some(20));
    let log = AuditLog::open(options(folder.path()), None, None).unwrap();
    log.record(event(11));
    drop(log);
    let report = check(&folder);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.events, report.half_line), (11, None));
    // Half a line in the middle is no crash.
    let mut all = lines(&folder);
    all[4].truncate(20);
    write(&folder, &all);
    assert_eq!(told(&check(&folder)), [(5, 5, 5, Finding::Altered)]);
}

#[test]
fn lines_of_builds_without_a_chain_are_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let old = |number| {
        let mut line = serde_json::to_value(event(number)).unwrap();
        line["time"] = "2026-01-31T08:00:00Z".into();
        line.to_string()
    };
    write(&folder, &[old(1), old(2), old(3)]);
    let report = check(&folder);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.before_chain, report.first), (3, None));
    let log = AuditLog::open(options(folder.path()), None, None).unwrap();
    log.record(event(3));
    log.record(event(4));
    log.flush();
    assert_eq!(log.last(9).unwrap().len(), 4);
    drop(log);
    let report = check(&folder);
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.before_chain, report.first, report.events), (3, Some(1), 1));
    // The first head says what was before it.
    let all = lines(&folder);
    let mut less = all.clone();
    less.remove(2);
    write(&folder, &less);
    assert_eq!(told(&check(&folder)), [(3, 1, 1, Finding::Altered)]);
    // A build without a chain that wrote again has written what no chain has.
    let mut more = all;
    more.push(old(5));
    write(&folder, &more);
    let log = AuditLog::open(options(folder.path()), None, None).unwrap();
    log.record(event(6));
    drop(log);
    assert_eq!(told(&check(&folder)), [(7, 0, 0, Finding::Inserted)]);
}

#[test]
fn heads_cannot_be_left_out() {
    let key = AuditKey::generate().unwrap();
    let mut composer = Composer::new(Tip::default(), &key, clock::now());
    composer.head();
    // As one would write who has no key.
    for number in 0..=u128::from(limits::AUDIT_HEAD_ENTRIES) {
        composer.tip.unsigned = 0;
        composer.event(event(number));
    }
    let text = composer.lines().bytes;
    let found = told(&check_stream(&*text, &Against::default()).unwrap());
    assert_eq!(found, [(1_002, 1_002, 1_002, Finding::Unsigned)]);
}

#[test]
fn whatever_is_changed_is_found_and_nothing_that_was_not() {
    let folder = trail(25, 1 << 20);
    let all = lines(&folder);
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut changed = all.clone();
        for _ in 0..random.usize(1..6) {
            let (at, other) = (random.usize(0..changed.len()), random.usize(0..changed.len()));
            match random.u8(0..6) {
                0 if changed.len() > 1 => _ = changed.remove(at),
                1 => changed.insert(at, changed[other].clone()),
                2 => changed.swap(at, other),
                3 => changed[at] = changed[at].replacen("e", "3", 1),
                4 => changed.insert(at, "{\"sequence\":18446744073709551615}".to_owned()),
                _ => {
                    let number = format!("\"sequence\":{}", random.u64(0..30));
                    let line = &changed[at];
                    let rest = line.find(',').map_or("", |it| &line[it..]);
                    changed[at] = format!("{{{number}{rest}");
                }
            }
        }
        write(&folder, &changed);
        let report = check(&folder);
        assert_eq!(report.is_clean(), changed == all, "seed {seed}: {report:?}");
        for defect in &report.defects {
            assert!(defect.line <= changed.len() as u64, "seed {seed}: {defect}");
        }
    }
}

#[test]
fn numbers_that_nobody_gives_break_nothing() {
    for number in ["0", "1", "18446744073709551615", "-1", "1.5", "99999999999999999999"] {
        for count in 1..4 {
            let line = format!("{{\"sequence\":{number},\"action\":\"audit.head\"}}\n");
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(file(&folder), line.repeat(count)).unwrap();
            check(&folder);
            let log = AuditLog::open(options(folder.path()), None, None).unwrap();
            log.record(event(1));
            log.flush();
            assert_eq!(log.last(9).unwrap().len(), 1, "{number}");
        }
    }
}

#[test]
fn what_is_found_is_bounded() {
    let folder = trail(3_000, 1 << 30);
    let mut all = lines(&folder);
    for line in all.iter_mut().skip(1).step_by(2).filter(|it| it.contains("granted")) {
        *line = forged(line);
    }
    write(&folder, &all);
    let report = check(&folder);
    assert!(report.defects.len() <= 3 * limits::AUDIT_DEFECTS, "{}", report.defects.len());
    assert!(report.more_defects > 0);
}

#[test]
fn a_hundred_thousand_entries_are_checked() {
    let key = AuditKey::generate().unwrap();
    let mut composer = Composer::new(Tip::default(), &key, clock::now());
    composer.head();
    (1..=100_000).for_each(|it| composer.event(event(it)));
    let text = composer.lines().bytes;
    let begun = std::time::Instant::now();
    let report = check_stream(&*text, &Against::default()).unwrap();
    println!("{} bytes in {:?}", text.len(), begun.elapsed());
    assert!(report.is_clean());
    assert_eq!((report.events, report.heads), (100_000, 101));
}
