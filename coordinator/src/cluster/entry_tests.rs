use super::{Assembler, Entry, FORMAT, Message, Part, Sealer};
use crate::journal::replicated::LogPosition;

const BEFORE: LogPosition = LogPosition { epoch: 3, term: 9, sequence: 40 };

fn sealer() -> Sealer {
    Sealer::new(&[7; 32], "shop", 0)
}

fn open(sequence: u64, message: &[u8]) -> Message {
    sealer().open(sequence, message).unwrap().unwrap()
}

fn is_junk(sealer: &Sealer, sequence: u64, message: &[u8]) -> bool {
    sealer.open(sequence, message).unwrap().is_none()
}

fn all() -> Vec<Entry> {
    let noise: Vec<u8> =
        (0..5_000_u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        Entry::Epoch { after: None, snapshot: false, cluster: 1, url: String::new() },
        Entry::Epoch {
            after: Some(BEFORE),
            snapshot: true,
            cluster: u64::MAX,
            url: "http://a:1".to_owned(),
        },
        Entry::Batch(noise),
        Entry::Batch(vec![0; 100_000]),
        Entry::File { name: "tokens.json".to_owned(), bytes: Some(b"{}".to_vec()) },
        Entry::File { name: "tokens.json".to_owned(), bytes: None },
        Entry::Records(b"r".to_vec()),
        Entry::Whole,
    ]
}

/// The messages of an entry whose first one is behind `before`.
fn seal(entry: &Entry, before: LogPosition, part_bytes: usize) -> Vec<Vec<u8>> {
    let parts = Part::of(entry, part_bytes);
    let places = (before.sequence..).map(|sequence| LogPosition { sequence, ..before });
    parts
        .iter()
        .zip(places)
        .map(|(part, it)| sealer().seal(part, it, it.sequence).unwrap())
        .collect()
}

fn put_together(messages: &[Vec<u8>], before: LogPosition) -> Option<Entry> {
    let mut assembler = Assembler::default();
    let mut entry = None;
    for (number, message) in (1..).zip(messages) {
        assert!(entry.is_none());
        let message = open(before.sequence + number, message);
        entry = assembler.push(message).unwrap();
    }
    assert_eq!(assembler.is_open(), entry.is_none());
    entry
}

#[test]
fn entries_come_back_however_they_are_cut() {
    for entry in all() {
        for part_bytes in [1_000, 100, 1 << 20] {
            let messages = seal(&entry, BEFORE, part_bytes);
            assert!(messages.iter().all(|it| it.len() <= part_bytes + 100));
            assert_eq!(put_together(&messages, BEFORE), Some(entry.clone()));
        }
    }
}

#[test]
fn nothing_can_be_read_moved_changed_or_taken_from_elsewhere() {
    let secret = b"a-secret-that-no-bus-sees".repeat(2);
    let messages = seal(&Entry::Batch(secret.clone()), BEFORE, 1 << 20);
    let message = &messages[0];
    assert!(!message.windows(8).any(|it| secret.windows(8).any(|of| of == it)));
    open(41, message);
    assert!(is_junk(&sealer(), 42, message), "moved");
    for other in [
        Sealer::new(&[8; 32], "shop", 0),
        Sealer::new(&[7; 32], "shop2", 0),
        Sealer::new(&[7; 32], "shop", 1),
    ] {
        assert!(is_junk(&other, 41, message));
    }
    for at in 0..message.len() {
        let mut changed = message.clone();
        changed[at] ^= 1;
        assert!(is_junk(&sealer(), 41, &changed), "byte {at}");
        assert!(is_junk(&sealer(), 41, &message[..at]), "cut at {at}");
    }
}

#[test]
fn what_a_dead_leader_left_in_the_middle_is_dropped_and_nothing_else_is() {
    let batch = &all()[2];
    let torn = seal(batch, BEFORE, 1_000);
    let mut assembler = Assembler::default();
    for (number, message) in (1..).zip(&torn[..2]) {
        assert_eq!(assembler.push(open(40 + number, message)).unwrap(), None);
    }
    let next = LogPosition { epoch: 4, term: 1, sequence: 42 };
    let epoch =
        Entry::Epoch { after: Some(BEFORE), snapshot: false, cluster: 1, url: String::new() };
    let message = seal(&epoch, next, 1_000).remove(0);
    assert_eq!(assembler.push(open(43, &message)).unwrap(), Some(epoch));
    // A part of another entry, or one that does not follow, is damage.
    for second in [&seal(batch, next, 1_000)[0], &torn[2]] {
        let mut assembler = Assembler::default();
        assembler.push(open(41, &torn[0])).unwrap();
        let message = open(43, second);
        assert!(assembler.push(message).is_err());
    }
}

#[test]
fn an_entry_goes_on_behind_what_somebody_else_published() {
    let (sealer, batch) = (sealer(), &all()[2]);
    let parts = Part::of(batch, 1_000);
    assert!(parts.len() > 2, "{} parts", parts.len());
    let (mut assembler, mut sequence) = (Assembler::default(), BEFORE.sequence);
    let (mut entry, mut previous) = (None, sequence);
    for part in &parts {
        // Junk before the first part and between any two.
        sequence += 1;
        assert!(is_junk(&sealer, sequence, b"junk"));
        let before = LogPosition { sequence, ..BEFORE };
        let message = sealer.seal(part, before, previous).unwrap();
        sequence += 1;
        let message = open(sequence, &message);
        assert_eq!(message.previous, previous);
        entry = assembler.push(message).unwrap();
        previous = sequence;
    }
    assert_eq!(entry.as_ref(), Some(batch));
}

#[test]
fn a_part_that_was_replaced_is_missed() {
    let parts = seal(&all()[2], BEFORE, 1_000);
    let mut assembler = Assembler::default();
    assembler.push(open(41, &parts[0])).unwrap();
    assert!(is_junk(&sealer(), 42, b"something else"));
    assert!(assembler.push(open(43, &parts[2])).is_err());
}

#[test]
fn what_a_newer_windlass_wrote_is_not_taken_for_junk() {
    let part = &Part::of(&Entry::Whole, 100)[0];
    let message = sealer().seal_as(FORMAT + 1, part, BEFORE, 40).unwrap();
    assert!(sealer().open(41, &message).is_err());
    // Nobody without the key can make such a one.
    assert!(is_junk(&sealer(), 42, &message));
    assert!(is_junk(&sealer(), 41, &[FORMAT + 1; 200]));
}

#[test]
fn a_member_is_known_under_its_own_name_only() {
    let sealed = sealer().seal_member("a.member.1", b"here").unwrap();
    assert_eq!(sealer().open_member("a.member.1", &sealed).unwrap(), b"here");
    assert_eq!(sealer().open_member("a.member.2", &sealed), None);
}

#[test]
fn an_epoch_tells_of_which_cluster_it_is_and_nothing_else_does() {
    let told = |entry: &Entry| {
        let message = seal(entry, BEFORE, 1 << 20).remove(0);
        open(BEFORE.sequence + 1, &message).into_epoch()
    };
    let told: Vec<_> = all().iter().map(told).collect();
    assert_eq!(told[..3], [Some((false, 1)), Some((true, u64::MAX)), None]);
    assert!(told[3..].iter().all(Option::is_none));
}
