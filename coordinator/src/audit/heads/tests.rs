//! What waits, what is posted, and what is taken for an address and a secret.

use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::{Heads, HeadsUrl, Told, last, secret};
use crate::audit::chain::{Composer, LineHash, Position, Tip};
use crate::audit::key::AuditKey;
use crate::audit::verify::read_heads;

/// Heads one after the other.
fn heads(count: usize) -> Vec<Told> {
    let key = AuditKey::generate().unwrap();
    let mut composer = Composer::new(Tip::default(), &key, Timestamp(1_500));
    (0..count).for_each(|_| composer.head());
    composer.lines().made.into_iter().map(|it| Told { line: it.line, at: it.at }).collect()
}

#[tokio::test]
async fn the_newest_wait_and_the_last_is_told_at_the_end() {
    let (all, waiting) = (heads(limits::AUDIT_HEADS_WAITING + 3), Heads::default());
    for it in &all {
        waiting.offer(it.line.clone(), it.at);
    }
    let next = waiting.next().await.unwrap();
    assert_eq!(next.at, all[3].at, "the oldest three went");
    waiting.told(&next);
    assert_eq!(waiting.next().await.unwrap().at, all[4].at);
    waiting.end();
    let next = waiting.next().await.unwrap();
    assert_eq!(next.at, all.last().unwrap().at);
    waiting.ends().await;
    waiting.told(&next);
    assert!(waiting.next().await.is_none());
}

#[test]
fn what_is_posted_is_a_head_to_whoever_checks() {
    let all = heads(2);
    let mut kept = Vec::new();
    for it in &all {
        kept.extend(it.body().unwrap());
        kept.extend(b"\r\n\n");
    }
    kept.extend(&all[0].line);
    kept.extend(format!("\n{}", all[1].at).into_bytes());
    let read = read_heads(&*kept).unwrap();
    assert_eq!(read, [all[0].at, all[1].at, all[0].at, all[1].at]);
    let forged = String::from_utf8(all[0].body().unwrap()).unwrap();
    let forged = forged.replacen(":1,", ":2,", 1);
    for odd in [&*forged, "{}", "7", "[1]", "{\"sequence\":1,\"hash\":\"00\"}"] {
        let error = read_heads(format!("{}\n{odd}\n", all[0].at).as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("line 2 "), "{odd}: {error}");
    }
}

#[test]
fn the_last_head_of_a_trail_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    assert!(last(&path).unwrap().is_none());
    let all = heads(2);
    let mut text = all[0].line.clone();
    text.push(b'\n');
    text.extend(&all[1].line);
    text.extend(b"\n{\"sequence\":3}\n{\"half");
    std::fs::write(&path, text).unwrap();
    let found = last(&path).unwrap().unwrap();
    let at = Position { sequence: 2, hash: LineHash::of(&all[1].line) };
    assert_eq!((found.at, found.line), (at, all[1].line.clone()));
}

#[test]
fn addresses_are_of_http_and_show_only_where_they_lead() {
    let url: HeadsUrl = "https://witness.example.com/hook/T0KEN?key=T0KEN".parse().unwrap();
    assert_eq!(format!("{url:?}"), "https://witness.example.com");
    for odd in ["", "witness:80", "ftp://a", "http://", "https://ada:pw@a/", "https://ada@a/"] {
        assert!(odd.parse::<HeadsUrl>().is_err(), "{odd}");
    }
}

#[test]
fn a_secret_is_the_first_line_and_long_enough() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    assert!(secret(&path).err().unwrap().contains("secret: "));
    for (text, good) in [
        ("0123456789abcdef\nmore", Some("0123456789abcdef")),
        (" whsec_MDEyMzQ1Njc4OWFiY2RlZg== ", Some("whsec_MDEyMzQ1Njc4OWFiY2RlZg==")),
        ("", None),
        ("hunter2", None),
        ("whsec_!!!!!!!!!!!!!!!!!!!!!!!!", None),
    ] {
        std::fs::write(&path, text).unwrap();
        let read = secret(&path);
        assert_eq!(read.as_ref().ok().map(|it| it.expose().as_str()), good, "{text}");
        assert!(read.err().is_none_or(|it| !it.contains("hunter2")));
    }
}
