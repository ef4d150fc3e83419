//! Bodies of many values: JSON Lines, JSON text sequences (RFC 7464), event streams.

use windlass_proto::limits;
use windlass_proto::value::{Members, Value};

/// How a body holds values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Records {
    /// One in each line.
    Lines,
    /// Each after a record separator.
    Sequence,
    /// In events, as servers send them.
    Events,
}

impl Records {
    /// The kind of a media type; none where it is no such.
    pub(super) fn of(media: &str) -> Option<Self> {
        match media {
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/jsonlines"
            | "application/x-jsonlines"
            | "application/json-lines" => Some(Self::Lines),
            "application/json-seq" => Some(Self::Sequence),
            "text/event-stream" => Some(Self::Events),
            _ => None,
        }
    }

    /// The values in a body.
    ///
    /// # Errors
    /// Why it cannot be read, in words that go on after "the response cannot be read: ".
    pub(super) fn read(self, text: &str) -> Result<Value, String> {
        let text = text.trim_start_matches('\u{feff}');
        let values = match self {
            Self::Lines => values(text.split('\n').enumerate(), "line"),
            // What stands before the first separator is nothing.
            Self::Sequence => values(text.split('\u{1e}').enumerate().skip(1), "record"),
            Self::Events => events(text),
        };
        values.map(Value::array)
    }
}

fn values<'t>(
    parts: impl Iterator<Item = (usize, &'t str)>,
    what: &str,
) -> Result<Vec<Value>, String> {
    let mut values = Vec::new();
    for (at, part) in parts.filter(|(_, part)| !part.trim().is_empty()) {
        room(&values)?;
        let number = if what == "line" { at + 1 } else { at };
        let value = Value::from_json(part).map_err(|error| format!("{what} {number}: {error}"))?;
        values.push(value);
    }
    Ok(values)
}

/// The events of a stream (HTML, "Server-sent events"), each with `data`, as JSON where it is, and
/// `event` and `id` where the server named it. One that breaks off does not count.
fn events(text: &str) -> Result<Vec<Value>, String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut data) = (Vec::new(), None::<String>);
    let (mut name, mut id) = (None, None::<&str>);
    for line in text.split_inclusive('\n') {
        let Some(line) = line.strip_suffix('\n') else { break };
        if line.is_empty() {
            let name = name.take();
            if let Some(data) = data.take() {
                room(&events)?;
                events.push(event(name, id, data));
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            },
            "event" => name = Some(value),
            // It is that of all that follow, until there is another one.
            "id" if !value.contains('\0') => id = Some(value),
            _ => {}
        }
    }
    Ok(events)
}

fn event(name: Option<&str>, id: Option<&str>, data: String) -> Value {
    let mut members = Members::new();
    for (key, value) in [("event", name), ("id", id)] {
        if let Some(value) = value.filter(|it| !it.is_empty()) {
            members.insert(key.into(), Value::from(value));
        }
    }
    let data = Value::from_json(&data).unwrap_or_else(|_| Value::from(data));
    members.insert("data".into(), data);
    Value::from(members)
}

fn room(values: &[Value]) -> Result<(), String> {
    let most = limits::RESPONSE_RECORDS;
    match values.len() < most {
        true => Ok(()),
        false => Err(format!("it has more than {most} values, the most a call reads")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use windlass_proto::limits;

    use super::Records;
    use crate::testing::json;

    #[test]
    fn lines_and_records_are_an_array() {
        let lines = Records::of("application/x-ndjson").unwrap();
        assert_eq!(lines.read("{\"a\":1}\r\n\n[2]\n\"x\""), Ok(json(r#"[{"a":1},[2],"x"]"#)));
        assert_eq!(lines.read(""), Ok(json("[]")));
        let why = lines.read("1\n\n{\"a\"").unwrap_err();
        assert!(why.starts_with("line 3: "), "{why}");
        let sequence = Records::of("application/json-seq").unwrap();
        assert_eq!(sequence.read("\u{1e}{\"a\":1}\n\u{1e}[2]\n"), Ok(json(r#"[{"a":1},[2]]"#)));
        assert_eq!(Records::of("application/json"), None);
    }

    #[test]
    fn events_are_an_array_whatever_ends_their_lines() {
        let stream = ": hello\n\nid: 7\nretry: 250\ndata: {\"a\": 1}\n\nevent: done\ndata: one\n\
                      data: two\n\nid:\ndata:[DONE]\n\nid: 9\n\nevent: cut\ndata: off\n";
        let expected = json(
            r#"[{"id":"7","data":{"a":1}},{"event":"done","id":"7","data":"one\ntwo"},
                {"data":"[DONE]"}]"#,
        );
        for end in ["\n", "\r\n", "\r"] {
            assert_eq!(Records::Events.read(&stream.replace('\n', end)).as_ref(), Ok(&expected));
        }
    }

    #[test]
    fn there_are_only_so_many() {
        let most = limits::RESPONSE_RECORDS;
        for (kind, one) in [(Records::Lines, "1\n"), (Records::Events, "data\n\n")] {
            assert!(kind.read(&one.repeat(most)).is_ok());
            assert!(kind.read(&one.repeat(most + 1)).unwrap_err().contains("more than"));
        }
    }
}
