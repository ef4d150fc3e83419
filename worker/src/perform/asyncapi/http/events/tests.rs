#![allow(clippy::unwrap_used)]

use windlass_proto::limits;

use super::{Events, Form};

/// What comes out of `text`, which comes in pieces of `size` bytes.
fn read(form: Form, text: &str, size: usize) -> Vec<(String, Vec<(String, String)>)> {
    let mut events = Events::new(form);
    let mut all = Vec::new();
    for chunk in text.as_bytes().chunks(size) {
        events.add(chunk).unwrap();
        while let Some(incoming) = events.take() {
            all.push(incoming);
        }
    }
    all.extend(events.last());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    all.into_iter().map(|it| (text(&it.payload), it.headers)).collect()
}

#[test]
fn events_end_with_an_empty_line_however_they_are_cut() {
    let text = "\u{feff}: hello\r\ndata: one\r\nid: 7\r\nevent: told\r\n\r\ndata:two\rdata: more\r\r\
                retry: 5\n\nid: 8\n\ndata\n\ndata: größer\n\ndata: cut off\n";
    let named = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
    };
    let expected = vec![
        ("one".to_owned(), named(&[("event", "told"), ("id", "7")])),
        ("two\nmore".to_owned(), Vec::new()),
        (String::new(), Vec::new()),
        ("größer".to_owned(), Vec::new()),
    ];
    for size in [1, 2, 3, 7, 1_000] {
        assert_eq!(read(Form::Events, text, size), expected, "in pieces of {size}");
    }
}

#[test]
fn lines_are_messages_and_the_last_may_have_no_end() {
    let text = "{\"a\":1}\r\n\n[2]\n  \n\"größer\"";
    for size in [1, 2, 5, 1_000] {
        let read: Vec<_> = read(Form::Lines, text, size).into_iter().map(|it| it.0).collect();
        let trimmed: Vec<_> = read.iter().map(|it| it.trim_end()).collect();
        assert_eq!(trimmed, ["{\"a\":1}", "[2]", "\"größer\""], "in pieces of {size}");
    }
}

#[test]
fn a_message_without_end_is_refused() {
    for form in [Form::Lines, Form::Events] {
        let mut events = Events::new(form);
        let chunk = vec![b'x'; limits::SUBSCRIBED_MESSAGE_BYTES];
        events.add(&chunk).unwrap();
        assert!(events.take().is_none());
        assert!(events.add(b"x").unwrap_err().contains("larger than"));
    }
    // Nor one of many lines, each of which is small.
    let mut events = Events::new(Form::Events);
    let line = format!("data: {}\n", "x".repeat(1 << 20));
    let mut taken = 0;
    while events.add(line.as_bytes()).is_ok() {
        assert!(events.take().is_none());
        taken += 1;
    }
    assert!(taken <= limits::SUBSCRIBED_MESSAGE_BYTES >> 20, "{taken}");
}
