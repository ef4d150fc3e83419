//! Event streams (`text/event-stream`), as far as the answers to one request need them.

use reqwest::header::HeaderMap;
use windlass_proto::value::Value;

use super::message::{METHOD_NOT_FOUND, Reply, RpcError, answers};
use crate::media::{content_type, media_type};

/// What a stream has told so far.
#[derive(Default)]
pub(in crate::perform) struct Told {
    /// The answers.
    pub(super) replies: Vec<Reply>,
    /// The id of the last event, to go on after it.
    pub(in crate::perform) last: Option<String>,
    /// Milliseconds to wait before that.
    pub(in crate::perform) pause: Option<u64>,
}

/// True for a response that is a stream of events.
pub(in crate::perform) fn is_stream(headers: &HeaderMap) -> bool {
    media_type(&content_type(headers)) == "text/event-stream"
}

/// True when an answer is in a stream, of which what begins at `latest` is new.
pub(in crate::perform) fn has_answer(headers: &HeaderMap, body: &[u8], latest: usize) -> bool {
    holds(headers, body, latest, |_| true)
}

/// True when a stream, of which what begins at `latest` is new, has now an answer that `is_it`.
pub(in crate::perform) fn holds(
    headers: &HeaderMap,
    body: &[u8],
    latest: usize,
    is_it: impl Fn(&Reply) -> bool,
) -> bool {
    // The end of an event may have come in two parts.
    let settled = latest.saturating_sub(3);
    let (old, new) = body.split_at_checked(settled).unwrap_or((body, &[]));
    if !is_stream(headers) || end_of_event(new).is_none() {
        return false;
    }
    let start = last_end(old);
    read(body.get(start..).unwrap_or_default(), None, &is_it).replies.last().is_some_and(is_it)
}

/// Where the last event in `bytes` that is complete ends. Looked for from the end, as this is asked
/// each time that something comes.
fn last_end(bytes: &[u8]) -> usize {
    let ends = |at: &usize| {
        let event = &bytes[..*at];
        [&b"\n\n"[..], b"\r\r", b"\r\n\r\n"].iter().any(|end| event.ends_with(end))
    };
    (1..=bytes.len()).rev().find(ends).unwrap_or_default()
}

/// Where the first event in `bytes` ends.
fn end_of_event(bytes: &[u8]) -> Option<usize> {
    let at = |end: &[u8]| bytes.windows(end.len()).position(|it| it == end);
    [at(b"\n\n"), at(b"\r\r"), at(b"\r\n\r\n")].into_iter().flatten().min()
}

/// Reads the events of a stream up to the answer that `is_last`, of those to the request with the
/// number `asked`; an event that is cut off does not count.
pub(super) fn read(body: &[u8], asked: Option<i64>, is_last: impl Fn(&Reply) -> bool) -> Told {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let mut told = Told::default();
    let mut data = String::new();
    for line in text.split_inclusive('\n') {
        let Some(line) = line.strip_suffix('\n') else { break };
        if line.is_empty() {
            let message = Value::from_json(&std::mem::take(&mut data));
            told.replies.extend(message.ok().and_then(|it| reply(&it, asked)));
            if told.replies.last().is_some_and(&is_last) {
                break;
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value);
            }
            "id" => told.last = Some(value.to_owned()).filter(|it| !it.is_empty()),
            "retry" => told.pause = value.parse().ok().or(told.pause),
            _ => {}
        }
    }
    told
}

/// The answer in a message; a request of the server's own stands for one, as it waits for somebody
/// who is not here. That it is there still needs no answer.
fn reply(message: &Value, asked: Option<i64>) -> Option<Reply> {
    if let Some((_, reply)) = Reply::in_message(message, answers(asked)) {
        return Some(reply);
    }
    let method = message.get("method")?.as_str().filter(|it| *it != "ping")?;
    message.get("id").filter(|it| !it.is_null())?;
    Some(Reply::Error(RpcError {
        code: METHOD_NOT_FOUND,
        message: format!(
            "it asks for {method} before it answers, and nobody is here who does that"
        ),
        data: None,
    }))
}

#[cfg(test)]
mod tests;
