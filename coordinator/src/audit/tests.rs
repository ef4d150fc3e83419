//! The trail on a real disk: nothing is lost, nothing is there twice.

use std::path::{Path, PathBuf};

use uuid::Uuid;
use windlass_proto::audit::{AuditAction, AuditEvent};

use super::file::Sizes;
use super::writer::Copies;
use super::{AuditError, AuditLog, own};

fn event(number: u128) -> AuditEvent {
    own(AuditAction::Granted, true, |it| {
        it.id = Uuid::from_u128(number);
        it.detail = Some(format!("number {number}").into());
    })
}

fn open(path: &Path) -> AuditLog {
    AuditLog::open(Some(path.to_owned()), None, None).unwrap()
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
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
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
        assert_eq!(std::fs::read(&path).unwrap().iter().filter(|it| **it == b'\n').count(), 2);
    }
}

#[tokio::test]
async fn full_files_move_on_and_the_oldest_goes() {
    let (folder, path) = place();
    let sizes = Sizes { bytes: 2_000, files: 2 };
    let log = AuditLog::sized(Some(path.clone()), Copies::default(), sizes).unwrap();
    for number in 1..=60 {
        log.kept(vec![event(number)]).await.unwrap();
    }
    let mut names: Vec<_> =
        folder.path().read_dir().unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["audit.1.jsonl", "audit.2.jsonl", "audit.jsonl"]);
    let found = ids(&log, 1_000);
    assert!(found.len() > 10 && found.len() < 60, "{found:?}");
    let expected: Vec<u128> = (0..found.len() as u128).map(|it| 60 - it).collect();
    assert_eq!(found, expected, "the newest, over all files, in order");
    drop(log);
    // A repeat of what is in a full file is still known.
    let log = AuditLog::sized(Some(path), Copies::default(), sizes).unwrap();
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
    let log = AuditLog::sized(Some(path.clone()), Copies::default(), sizes).unwrap();
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
    let missing = AuditLog::open(Some(folder.path().join("no/audit.jsonl")), None, None);
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
        let (publish, published) = tokio::sync::mpsc::channel(3);
        (AuditLog::open(Some(path.clone()), Some(publish), None).unwrap(), published)
    };
    let (log, mut published) = open();
    let mut old = event(1);
    old.at = windlass_proto::time::Timestamp(1);
    log.kept(vec![old, event(2), event(3), event(3)]).await.unwrap();
    for number in 1..=3 {
        assert_eq!(published.recv().await.unwrap().event.id, Uuid::from_u128(number));
    }
    drop(log);
    assert!(published.recv().await.is_none(), "each once");
    let (log, mut published) = open();
    for number in 2..=3 {
        assert_eq!(published.recv().await.unwrap().event.id, Uuid::from_u128(number));
    }
    // A stream that does not keep up holds nobody up.
    log.kept((4..=20).map(event).collect()).await.unwrap();
    assert_eq!(ids(&log, 100).len(), 20);
}
