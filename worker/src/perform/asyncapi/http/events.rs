//! Server-sent events and lines of JSON, taken out of a response while it comes.

use windlass_proto::limits;

use super::incoming;
use crate::perform::asyncapi::message::Incoming;

/// How a response is divided into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Events,
    Lines,
    /// Not at all.
    Unknown,
}

impl Form {
    pub(super) fn of(media: &str) -> Self {
        match media {
            "text/event-stream" => Self::Events,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => Self::Lines,
            _ => Self::Unknown,
        }
    }
}

/// A response so far.
pub(super) struct Events {
    form: Form,
    bytes: Vec<u8>,
    /// Where the next line begins.
    at: usize,
    /// Up to where no end of a line was found.
    searched: usize,
    /// Whether a line ended with CR, so that LF at its beginning belongs to that.
    after_cr: bool,
    event: Event,
}

/// What an event has so far.
#[derive(Default)]
struct Event {
    data: Option<String>,
    name: Option<String>,
    id: Option<String>,
}

impl Events {
    pub(super) fn new(form: Form) -> Self {
        let event = Event::default();
        Self { form, bytes: Vec::new(), at: 0, searched: 0, after_cr: false, event }
    }

    pub(super) fn is_known(&self) -> bool {
        self.form != Form::Unknown
    }

    /// Adds what has come.
    ///
    /// # Errors
    /// When a message becomes larger than is taken.
    pub(super) fn add(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.bytes.drain(..self.at);
        self.searched -= self.at;
        self.at = 0;
        let held = self.event.data.as_ref().map_or(0, String::len) + self.bytes.len();
        if held + chunk.len() > limits::SUBSCRIBED_MESSAGE_BYTES {
            return Err(format!(
                "a message is larger than {} bytes",
                limits::SUBSCRIBED_MESSAGE_BYTES
            ));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The next message that is complete.
    pub(super) fn take(&mut self) -> Option<Incoming> {
        loop {
            let line = self.line()?;
            let text = String::from_utf8_lossy(&line).into_owned();
            match self.form {
                Form::Lines if text.trim().is_empty() => {}
                Form::Lines => return Some(json(line)),
                _ => {
                    if let Some(incoming) = self.event.line(&text) {
                        return Some(incoming);
                    }
                }
            }
        }
    }

    /// What is left when the response has ended: a last line may have no end; an event that is
    /// cut off does not count.
    pub(super) fn last(&mut self) -> Option<Incoming> {
        let rest = self.bytes.split_off(self.at);
        (self.at, self.searched) = (0, 0);
        self.bytes.clear();
        let counts = self.form == Form::Lines && !rest.trim_ascii().is_empty();
        counts.then(|| json(rest))
    }

    /// The next line, without its end.
    fn line(&mut self) -> Option<Vec<u8>> {
        if self.after_cr && self.bytes.get(self.at) == Some(&b'\n') {
            self.at += 1;
        }
        self.after_cr &= self.at >= self.bytes.len();
        let from = self.searched.max(self.at);
        let is_end = |it: &u8| *it == b'\n' || (*it == b'\r' && self.form == Form::Events);
        let Some(end) = self.bytes[from..].iter().position(is_end) else {
            self.searched = self.bytes.len();
            return None;
        };
        let end = from + end;
        let line = self.bytes[self.at..end].to_vec();
        self.after_cr = self.bytes[end] == b'\r';
        self.at = end + 1;
        self.searched = self.at;
        Some(line)
    }
}

impl Event {
    /// Takes a line; gives the event that it ends.
    fn line(&mut self, line: &str) -> Option<Incoming> {
        if line.is_empty() {
            let Self { data, name, id } = std::mem::take(self);
            let mut incoming = incoming(data?);
            let named = [("event", name), ("id", id)];
            for (header, value) in named.into_iter().filter_map(|(k, v)| Some((k, v?))) {
                incoming.add_header(header, &value);
            }
            return Some(incoming);
        }
        let line = line.trim_start_matches('\u{feff}');
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                None => self.data = Some(value.to_owned()),
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
            },
            "event" => self.name = Some(value.to_owned()),
            "id" => self.id = Some(value.to_owned()),
            _ => {}
        }
        None
    }
}

fn json(line: Vec<u8>) -> Incoming {
    Incoming { content_type: Some("application/json".to_owned()), ..incoming(line) }
}

#[cfg(test)]
mod tests;
