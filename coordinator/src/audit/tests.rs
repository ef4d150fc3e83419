//! The trail on a real disk: nothing is lost, nothing is there twice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::audit::{AuditAction, AuditEvent, AuditOutcome, AuditTask};
use windlass_proto::id::WorkflowId;
use windlass_proto::secret::SecretName;
use windlass_proto::time::Timestamp;

use super::file::Sizes;
use super::verify::{Against, check_directory};
use super::writer::Copies;
use super::{
    AuditError, AuditLine, AuditLog, AuditOptions, Filter, Page, Start, Told, outcome, own,
};

fn event(number: u128) -> AuditEvent {
    own(AuditAction::Granted, true, |it| {
        it.id = Uuid::from_u128(number);
        it.detail = Some(format!("number {number}").into());
    })
}

fn options(path: &Path) -> AuditOptions {
    AuditOptions { place: Some(path.to_owned()), keep_key: true, ..AuditOptions::default() }
}

/// Events in a file, without heads.
fn written(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|it| !it.contains("\"audit.head\"")).count()
}

fn open(path: &Path) -> AuditLog {
    AuditLog::open(options(path), None, None).unwrap()
}

fn ids(log: &AuditLog, limit: usize) -> Vec<u128> {
    log.last(limit).unwrap().into_iter().map(|it| it.event.id.as_u128()).collect()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    (folder, path)
}

#[tokio::test]
async fn what_comes_again_is_there_once_also_after_a_restart() {
    let (_folder, path) = place();
    for round in 0..3 {
        let log = open(&path);
        log.kept((1..=3 + round).map(event).collect()).await.unwrap();
        log.kept(vec![event(2), event(1)]).await.unwrap();
    }
    let log = open(&path);
    assert_eq!(ids(&log, 100), [5, 4, 3, 2, 1]);
    assert_eq!(ids(&log, 2), [5, 4]);
    assert!(ids(&log, 0).is_empty());
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(lines[0]["action"], "audit.head");
    let first = &lines[1];
    assert_eq!(first["action"], "secret.granted");
    assert!(first["time"].as_str().unwrap().ends_with('Z'), "{first}");
}

#[tokio::test]
async fn half_a_line_is_removed_and_whole_ones_stay() {
    let (_folder, path) = place();
    open(&path).kept(vec![event(1), event(2)]).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    let zeros = vec![0; 50_000];
    for cut in [whole.len() - 1, whole.len() / 2 + 5, 3, 0] {
        // A file may have grown before what was written to it got there.
        let left = if cut == 3 { [&whole[..cut], &zeros].concat() } else { whole[..cut].to_vec() };
        std::fs::write(&path, left).unwrap();
        let log = open(&path);
        log.kept(vec![event(1), event(2)]).await.unwrap();
        let mut ids = ids(&log, 9);
        ids.sort_unstable();
        assert_eq!(ids, [1, 2], "cut at {cut}");
        drop(log);
        assert_eq!(written(&path), 2);
    }
}

#[tokio::test]
async fn full_files_move_on_and_the_oldest_goes() {
    let (folder, path) = place();
    let sizes = Sizes { bytes: 6_000, files: 2 };
    let log = AuditLog::sized(options(&path), Copies::default(), sizes).unwrap();
    for number in 1..=60 {
        log.kept(vec![event(number)]).await.unwrap();
    }
    let mut names: Vec<_> =
        folder.path().read_dir().unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["audit.1.jsonl", "audit.2.jsonl", "audit.head", "audit.jsonl", "audit.key"]);
    let found = ids(&log, 1_000);
    assert!(found.len() > 10 && found.len() < 60, "{found:?}");
    let expected: Vec<u128> = (0..found.len() as u128).map(|it| 60 - it).collect();
    assert_eq!(found, expected, "the newest, over all files, in order");
    drop(log);
    // A repeat of what is in a full file is still known.
    let log = AuditLog::sized(options(&path), Copies::default(), sizes).unwrap();
    log.kept(vec![event(found[found.len() - 1])]).await.unwrap();
    assert_eq!(ids(&log, 1_000), found);
}

#[tokio::test]
async fn many_at_once_all_get_there() {
    let (_folder, path) = place();
    let log = open(&path);
    let kept = (0..50).map(|batch| {
        let events = (0..20).map(|it| event(batch * 20 + it)).collect();
        log.kept(events)
    });
    futures_util::future::try_join_all(kept).await.unwrap();
    let mut all = ids(&log, 10_000);
    all.sort_unstable();
    assert_eq!(all, (0..1_000).collect::<Vec<_>>());
    assert!(log.has_room());
}

#[test]
fn what_cannot_be_written_is_not_acknowledged_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("data");
    std::fs::create_dir(&inner).unwrap();
    let path = inner.join("audit.jsonl");
    let sizes = Sizes { bytes: 1, files: 1 };
    let log = AuditLog::sized(options(&path), Copies::default(), sizes).unwrap();
    let (done, acknowledged) = std::sync::mpsc::channel();
    let keep = |events: Vec<AuditEvent>| {
        let done = done.clone();
        log.keep(events, move || done.send(()).unwrap());
    };
    keep(vec![event(0)]);
    acknowledged.recv().unwrap();
    std::fs::remove_dir_all(&inner).unwrap();
    keep((1..=windlass_proto::limits::AUDIT_QUEUE as u128).map(event).collect());
    assert!(!log.has_room(), "no more should be done with secrets");
    assert!(acknowledged.try_recv().is_err());
    std::fs::create_dir(&inner).unwrap();
    acknowledged.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    assert_eq!(ids(&log, 3), [10_000, 9_999, 9_998]);
    assert!(log.has_room());
}

#[test]
fn a_trail_without_a_folder_is_an_error() {
    let (folder, _) = place();
    let missing = AuditLog::open(options(&folder.path().join("no/audit.jsonl")), None, None);
    assert!(matches!(missing, Err(AuditError::File { .. })));
}

#[tokio::test]
async fn an_event_that_is_too_long_loses_what_tells_least() {
    let (_folder, path) = place();
    let log = open(&path);
    let mut long = event(1);
    long.detail = Some("x".repeat(100_000).into());
    log.kept(vec![long]).await.unwrap();
    let found = log.last(1).unwrap().remove(0).event;
    assert_eq!(found.detail.as_deref(), Some("what was said of it was too long"));
}

#[test]
fn a_flush_waits_for_the_disk() {
    let (_folder, path) = place();
    let log = open(&path);
    (1..=100).for_each(|it| log.record(event(it)));
    log.flush();
    assert_eq!(ids(&log, 1_000).len(), 100);
}

#[tokio::test]
async fn what_may_not_have_been_published_is_published_again_after_a_restart() {
    let (_folder, path) = place();
    let open = || {
        let (publish, published) = tokio::sync::mpsc::channel(4);
        (AuditLog::open(options(&path), Some(publish), None).unwrap(), published)
    };
    let (log, mut published) = open();
    let mut old = event(1);
    old.at = windlass_proto::time::Timestamp(1);
    log.kept(vec![old, event(2), event(3), event(3)]).await.unwrap();
    for number in 1..=3 {
        assert_eq!(next(&mut published).await, Some(number));
    }
    drop(log);
    assert_eq!(next(&mut published).await, None, "each once");
    let (log, mut published) = open();
    for number in 2..=3 {
        assert_eq!(next(&mut published).await, Some(number));
    }
    // A stream that does not keep up holds nobody up.
    log.kept((4..=20).map(event).collect()).await.unwrap();
    assert_eq!(ids(&log, 100).len(), 20);
}

/// The next event that is published.
async fn next(published: &mut tokio::sync::mpsc::Receiver<Told>) -> Option<u128> {
    loop {
        let told = published.recv().await?;
        if let Ok(line) = serde_json::from_slice::<AuditLine>(&told.line) {
            assert_eq!(told.id, line.event.id.to_string());
            return Some(line.event.id.as_u128());
        }
        assert!(told.id.starts_with("head-"), "{told:?}");
    }
}

#[tokio::test]
async fn what_is_published_has_the_bytes_of_the_file_heads_too() {
    let (_folder, path) = place();
    let (publish, mut published) = tokio::sync::mpsc::channel(9);
    let log = AuditLog::open(options(&path), Some(publish), None).unwrap();
    log.kept(vec![event(1), event(2)]).await.unwrap();
    drop(log);
    let mut told = Vec::new();
    while let Some(it) = published.recv().await {
        told.extend_from_slice(&it.line);
        told.push(b'\n');
    }
    assert_eq!(told, std::fs::read(&path).unwrap());
}

#[tokio::test]
async fn numbers_go_on_over_files_restarts_and_what_was_removed() {
    let (_folder, path) = place();
    let sizes = Sizes { bytes: 6_000, files: 2 };
    for round in 0..3 {
        let log = AuditLog::sized(options(&path), Copies::default(), sizes).unwrap();
        for number in 1..=10 {
            log.kept(vec![event(round * 10 + number)]).await.unwrap();
        }
    }
    let last = || {
        let log = open(&path);
        (log.last_position(), log.last(1).unwrap())
    };
    let (before, lines) = last();
    assert!(lines[0].sequence.unwrap() < before.sequence, "a head is the last");
    assert!(before.sequence > 30, "{before}");
    // Lost: what was signed is known all the same.
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(path.with_extension("1.jsonl")).unwrap();
    let (found, _) = last();
    assert_eq!(found, before);
    let log = open(&path);
    log.kept(vec![event(99)]).await.unwrap();
    let line = log.last(1).unwrap().remove(0);
    assert_eq!(line.sequence, Some(before.sequence + 2), "behind a head");
}

#[tokio::test]
async fn what_is_written_is_signed_after_a_while() {
    let (_folder, path) = place();
    let log = open(&path);
    let many = u128::from(windlass_proto::limits::AUDIT_HEAD_ENTRIES) * 2 + 1;
    log.kept((1..=many).map(event).collect()).await.unwrap();
    log.flush();
    let text = std::fs::read_to_string(&path).unwrap();
    let heads = text.lines().enumerate().filter(|it| it.1.contains("\"audit.head\""));
    let heads: Vec<usize> = heads.map(|it| it.0 + 1).collect();
    assert_eq!(heads, [1, 1_002, 2_003, 2_005]);
    log.flush();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "nothing to sign");
}

/// The numbers of a page's lines.
fn numbers(page: &Page) -> Vec<u64> {
    let lines = page.items.iter().map(|it| serde_json::from_str(it.get()).unwrap());
    lines.map(|it: serde_json::Value| it["sequence"].as_u64().unwrap()).collect()
}

/// A trail of several files, and the numbers of its events.
fn several(path: &Path, events: u128) -> (AuditLog, Vec<u64>) {
    let sizes = Sizes { bytes: 40_000, files: 30 };
    let log = AuditLog::sized(options(path), Copies::default(), sizes).unwrap();
    for chunk in (1..=events).collect::<Vec<_>>().chunks(20) {
        let (done, kept) = std::sync::mpsc::channel();
        log.keep(chunk.iter().copied().map(event).collect(), move || done.send(()).unwrap());
        kept.recv().unwrap();
    }
    let all = log.last(10_000).unwrap();
    let mut numbers: Vec<u64> = all.into_iter().map(|it| it.sequence.unwrap()).collect();
    numbers.reverse();
    assert_eq!(numbers.len() as u128, events);
    (log, numbers)
}

#[test]
fn pages_follow_one_another_in_both_directions_and_do_not_change() {
    let (_folder, path) = place();
    let (log, all) = several(&path, 500);
    let filter = Filter::default();
    for limit in [1, 7, 100, 1_000] {
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let page = log.page(&filter, Start::After(after), limit).unwrap();
            found.extend(numbers(&page));
            let Some(seen) = page.seen else { break };
            assert!(seen > after);
            after = seen;
        }
        assert_eq!(found, all, "limit {limit}");
        let (mut found, mut start) = (Vec::new(), Start::Newest);
        loop {
            let page = log.page(&filter, start, limit).unwrap();
            found.extend(numbers(&page));
            if !page.more {
                break;
            }
            start = Start::Before(page.seen.unwrap());
        }
        found.reverse();
        assert_eq!(found, all, "limit {limit}");
    }
    let page = || numbers(&log.page(&filter, Start::After(all[99]), 5).unwrap());
    let before = page();
    assert_eq!(before, all[100..105]);
    log.record(event(501));
    log.flush();
    assert_eq!(page(), before);
    let page = numbers(&log.page(&filter, Start::Before(all[100]), 5).unwrap());
    assert_eq!(page, all[95..100].iter().rev().copied().collect::<Vec<_>>());
    assert!(log.page(&filter, Start::After(u64::MAX), 5).unwrap().items.is_empty());
    assert!(log.page(&filter, Start::Before(0), 5).unwrap().items.is_empty());
}

#[test]
fn lines_are_as_they_are_in_the_file_heads_too_where_they_are_asked_for() {
    let (_folder, path) = place();
    let log = open(&path);
    (1..=5).for_each(|it| log.record(event(it)));
    log.flush();
    let filter = Filter { heads: true, ..Filter::default() };
    let page = log.page(&filter, Start::After(0), 100).unwrap();
    let text: String = page.items.iter().flat_map(|it| [it.get(), "\n"]).collect();
    assert_eq!(text, std::fs::read_to_string(&path).unwrap());
    let page = log.page(&Filter::default(), Start::After(0), 100).unwrap();
    assert_eq!(page.items.len(), 5);
}

#[test]
fn a_filter_takes_what_all_of_it_holds_for() {
    let (_folder, path) = place();
    let log = open(&path);
    for number in 1..=4_u128 {
        let mut event = event(number);
        event.at = Timestamp(u64::try_from(number).unwrap() * 1_000);
        if number == 2 {
            event.success = false;
            event.action = AuditAction::Denied;
            event.worker = Some("w-1".into());
            event.secret = Some(SecretName("api-key".into()));
            let (namespace, name, version) = ("shop".into(), "pay".into(), "1.0.0".into());
            event.task = Some(AuditTask {
                workflow: WorkflowId { namespace, name, version },
                instance: Uuid::from_u128(7).to_string().parse().unwrap(),
                task: "/do/0".into(),
                visit: 1,
                delivery: 1,
            });
        }
        log.record(event);
    }
    log.flush();
    let count = |filter: Filter| log.page(&filter, Start::Newest, 100).unwrap().items.len();
    let text = |it: &str| Some(it.to_owned());
    let none = Filter::default;
    assert_eq!(count(none()), 4);
    assert_eq!(count(Filter { since: Some(Timestamp(3_000)), ..none() }), 2);
    assert_eq!(count(Filter { until: Some(Timestamp(3_000)), ..none() }), 2);
    assert_eq!(count(Filter { success: Some(true), ..none() }), 3);
    for it in ["pay", "shop/pay", "shop/pay:1.0.0", "pay:1.0.0"] {
        assert_eq!(count(Filter { workflow: text(it), ..none() }), 1, "{it}");
    }
    for it in ["pa", "other/pay", "shop/pay:2.0.0", "shop/", "pay:"] {
        assert_eq!(count(Filter { workflow: text(it), ..none() }), 0, "{it}");
    }
    for (filter, other) in [
        (Filter { action: text("secret.denied"), ..none() }, "secret.login"),
        (Filter { namespace: text("shop"), ..none() }, "sho"),
        (Filter { instance: text(&Uuid::from_u128(7).to_string()), ..none() }, "7"),
        (Filter { worker: text("w-1"), ..none() }, "w-2"),
        (Filter { secret: text("api-key"), ..none() }, "api"),
    ] {
        assert_eq!(count(filter.clone()), 1, "{filter:?}");
        assert_eq!(count(Filter { success: Some(true), ..filter.clone() }), 0, "{filter:?}");
        let other = |it: Option<String>| it.map(|_| other.to_owned());
        let Filter { action, namespace, instance, worker, secret, .. } = filter;
        let (action, namespace, instance) = (other(action), other(namespace), other(instance));
        let (worker, secret) = (other(worker), other(secret));
        assert_eq!(count(Filter { action, namespace, instance, worker, secret, ..none() }), 0);
    }
}

#[test]
fn a_worker_that_floods_the_trail_waits_and_that_is_told_once() {
    let (_folder, path) = place();
    let sizes = Sizes { bytes: 20_000, files: 2 };
    let log = AuditLog::sized(options(&path), Copies::default(), sizes).unwrap();
    let (rogue, other): (Arc<str>, Arc<str>) = ("rogue".into(), "other".into());
    let mut taken = 0;
    while log.admits(&rogue, taken + 1, taken + 10) {
        assert!(taken < 1_000, "it is never deferred");
        let of = |it| AuditEvent { worker: Some(rogue.clone()), ..event(it) };
        (1..=10).for_each(|it| log.record(of(u128::from(taken + it))));
        log.flush();
        taken += 10;
    }
    assert!(!log.admits(&rogue, taken + 1, taken + 10));
    assert!(log.admits(&other, 1, 10));
    log.flush();
    let filter = Filter { action: Some("audit.deferred".to_owned()), ..Filter::default() };
    let told = log.page(&filter, Start::Newest, 100).unwrap().items;
    assert_eq!(told.len(), 1);
    assert!(told[0].get().contains("10 events have to wait"), "{}", told[0]);
}

#[test]
fn what_a_crash_leaves_without_an_outcome_is_unknown_at_the_next_start() {
    let (_folder, path) = place();
    let pending = |number| {
        let mut event = event(number);
        event.outcome = Some(AuditOutcome::Pending);
        event
    };
    let log = open(&path);
    for number in 1..=3 {
        log.record(pending(number));
    }
    log.record(outcome(&pending(2), AuditOutcome::Failed, Some("status 409")));
    log.flush();
    drop(log);
    for _ in 0..2 {
        let log = open(&path);
        log.flush();
        let of = |it: &AuditLine| Some((it.event.intent?.as_u128(), it.event.outcome?));
        let mut told: Vec<_> = log.last(100).unwrap().iter().filter_map(of).collect();
        told.reverse();
        let unknown = |number| (number, AuditOutcome::Unknown);
        assert_eq!(told, [(2, AuditOutcome::Failed), unknown(1), unknown(3)], "once");
        let last = &log.last(1).unwrap()[0].event;
        let detail = "number 3: the coordinator ended before that was known";
        assert_eq!((last.detail.as_deref(), last.success), (Some(detail), false));
    }
}

#[test]
fn fewer_files_are_kept_when_that_is_asked_for() {
    assert_eq!(Sizes::of(2 << 30), Sizes { bytes: 64 << 20, files: 31 });
    assert_eq!(Sizes::of(2 << 20), Sizes { bytes: 1 << 20, files: 1 });
    assert_eq!(Sizes::of(0), Sizes::of(2 << 20));
    let (folder, path) = place();
    drop(several(&path, 500));
    let files = || {
        let names = folder.path().read_dir().unwrap().map(|it| it.unwrap().file_name());
        names.filter(|it| it.to_string_lossy().ends_with(".jsonl")).count()
    };
    assert!(files() > 4, "{}", files());
    drop(AuditLog::sized(options(&path), Copies::default(), Sizes { bytes: 9_000, files: 2 }));
    assert_eq!(files(), 3);
    let report = check_directory(folder.path(), Against::default()).unwrap();
    assert!(report.is_clean() && report.first > Some(1), "{report:?}");
}
