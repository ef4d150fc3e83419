//! What pages are made of: times, statuses, values, tables, links.

use maud::{Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value as Json;
use windlass_proto::limits::{UI_CELL_CHARACTERS, UI_OPEN_VALUE_BYTES, UI_VALUE_BYTES};
use windlass_proto::time::Timestamp;

use crate::accept::access::Caller;
use crate::access::{Permission, Resource};

/// All but what means nothing anywhere in an address (RFC 3986, unreserved).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text as a part of an address.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The address of a page, with what it asks for; what is empty is left out.
pub(super) fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    match pairs.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", pairs.join("&")),
    }
}

/// An entry of the history at `history`.
pub(super) fn entry_path(history: &str, number: u64) -> String {
    format!("{history}?from={number}#e{number}")
}

/// The page of an instance.
pub(super) fn instance_path(id: &str) -> String {
    format!("/ui/instances/{}", encoded(id))
}

/// The page of a workflow.
pub(super) fn workflow_path(namespace: &str, name: &str) -> String {
    format!("/ui/definitions/{}/{}", encoded(namespace), encoded(name))
}

/// The link to an instance.
pub(super) fn instance_link(id: &str) -> Markup {
    html! { a.id href=(instance_path(id)) { (id) } }
}

/// A workflow, which leads to its definition for whoever may read that; of one version, if it is
/// given.
pub(super) fn workflow_link(caller: &Caller, namespace: &str, name: &str, version: &str) -> Markup {
    let text = html! { bdi { (namespace) "/" (name) } };
    match may_read(caller, namespace, name) {
        true => {
            let path = address(&workflow_path(namespace, name), &[("version", version)]);
            html! { a href=(path) { (text) } }
        }
        false => text,
    }
}

/// Whether somebody may read a workflow's definition.
pub(super) fn may_read(caller: &Caller, namespace: &str, name: &str) -> bool {
    caller.principal().may(Permission::WorkflowRead, Resource::Workflow(namespace, name))
}

/// A moment: in UTC, and in the reader's zone where the script runs.
pub(super) fn time(at: Timestamp) -> Markup {
    time_text(&at.to_rfc3339())
}

/// The same of a moment in RFC 3339.
pub(super) fn time_text(text: &str) -> Markup {
    let shown = text.replacen('T', " ", 1).replacen('Z', " UTC", 1);
    html! { time datetime=(text) { (shown) } }
}

/// A length of time, in two units at most.
pub(super) fn duration(ms: u64) -> String {
    let (seconds, minutes, hours) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    let tenths = ms % 1_000 / 100;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{seconds}.{tenths} s"),
        60_000..3_600_000 => format!("{minutes} min {} s", seconds % 60),
        3_600_000..86_400_000 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// A status, by its shape as well as by its colour.
pub(super) fn status(word: &str) -> Markup {
    let shape = match word {
        "completed" => {
            "M6 .5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM5 8.9 2.3 6.2l1-1L5 6.9l3.7-3.7 1 1Z"
        }
        "faulted" => {
            "M3.7.5h4.6l3.2 3.2v4.6l-3.2 3.2H3.7L.5 8.3V3.7ZM6 5 4.2 3.2l-1 1L5 6 3.2 7.8l1 1L6 7l1.8 \
             1.8 1-1L7 6l1.8-1.8-1-1Z"
        }
        "cancelled" => {
            "M6 .5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Zm0 1.6c.8 0 1.5.2 2.1.6L2.7 8.1A3.9 \
             3.9 0 0 1 6 2.1Zm0 7.8c-.8 0-1.5-.2-2.1-.6l5.4-5.4A3.9 3.9 0 0 1 6 9.9Z"
        }
        "running" => "M2 .8 11 6l-9 5.2Z",
        "waiting" => "M2 .5h8v2L7 6l3 3.5v2H2v-2L5 6 2 2.5Z",
        "suspended" => "M2 1h3v10H2ZM7 1h3v10H7Z",
        _ => "M6 .5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Zm0 1.5a4 4 0 1 1 0 8 4 4 0 0 1 0-8Z",
    };
    html! {
        span class={ "status " (class(word)) } {
            svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" {
                path fill-rule="evenodd" d=(shape) {}
            }
            (word)
        }
    }
}

/// The class of a status: of words that are known alone.
fn class(word: &str) -> &'static str {
    let known = ["completed", "faulted", "cancelled", "running", "waiting", "suspended", "pending"];
    known.into_iter().find(|it| *it == word).unwrap_or("other")
}

/// A text of a cell, cut where it is very long.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(UI_CELL_CHARACTERS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A value, folded where it is large.
pub(super) fn value(title: &str, value: &impl Serialize) -> Markup {
    let (text, whole) = pretty(value);
    let shown = html! {
        pre.value tabindex="0" aria-label=(title) { code { (text) } }
        @if !whole { p.hint { "Cut: the command below shows all of it." } }
    };
    match text.len() > UI_OPEN_VALUE_BYTES {
        true => html! { details { summary { (title) } (shown) } },
        false => html! { h3 { (title) } (shown) },
    }
}

/// JSON in lines, and whether that is all of it.
pub(super) fn pretty(value: &impl Serialize) -> (String, bool) {
    let mut room = Room { text: Vec::new(), left: UI_VALUE_BYTES };
    let whole = serde_json::to_writer_pretty(&mut room, value).is_ok();
    // What was cut may end within a letter.
    let text = String::from_utf8_lossy(&room.text);
    (text.trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned(), whole)
}

/// Takes so many bytes and no more, so that nothing large is written to be cut.
struct Room {
    text: Vec<u8>,
    left: usize,
}

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(self.left);
        self.text.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        self.left -= taken;
        match taken == bytes.len() {
            true => Ok(taken),
            false => Err(std::io::ErrorKind::WriteZero.into()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a member of a document says, in a cell.
pub(super) fn json_text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

/// A command that tells the same at a terminal.
pub(super) fn command(text: &str) -> Markup {
    html! { code.command data-copy { (text) } }
}

/// A word of a command, for a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_./:=,@".contains(it);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Where there is nothing: why, and what to do about it.
pub(super) fn empty(why: &str, try_this: &str) -> Markup {
    html! {
        div.empty {
            p { (why) }
            @if !try_this.is_empty() { p { (command(try_this)) } }
        }
    }
}

/// A table of a page, which scrolls by itself where the screen is small.
pub(super) fn table(label: &str, headings: &[&str], rows: &[Markup]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { @for it in headings { th scope="col" { (it) } } } }
                tbody { @for row in rows { tr { (row) } } }
            }
        }
    }
}

/// The way to the next page, if there is one.
pub(super) fn next(address: Option<&str>, first: Option<&str>) -> Markup {
    html! {
        @if address.is_some() || first.is_some() {
            nav.pages aria-label="Pages of the list" {
                @if let Some(first) = first { a href=(first) { "First page" } }
                @if let Some(next) = address { a rel="next" href=(next) { "Next page" } }
            }
        }
    }
}

/// A picture that was made here.
pub(super) fn picture(label: &str, svg: String) -> Markup {
    html! {
        div.picture tabindex="0" role="region" aria-label=(label) { (PreEscaped(svg)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{address, cut, duration, pretty, quoted, status};

    #[test]
    fn lengths_are_told_in_two_units() {
        let all = [0, 999, 1_250, 61_000, 3_660_000, 90_000_000].map(duration);
        assert_eq!(all, ["0 ms", "999 ms", "1.2 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
        assert!(duration(u64::MAX).ends_with('h'));
    }

    #[test]
    fn addresses_and_commands_hold_what_they_are_given() {
        assert_eq!(address("/ui/x", &[("a", "1&b=2 é"), ("c", "")]), "/ui/x?a=1%26b%3D2%20%C3%A9");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted("a/b:1.0"), "a/b:1.0");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn what_is_large_is_cut() {
        let text = "ä".repeat(100_000);
        let (shown, whole) = pretty(&text);
        assert!(!whole && shown.len() <= super::UI_VALUE_BYTES && shown.ends_with('ä'));
        assert_eq!(cut(&text).chars().count(), super::UI_CELL_CHARACTERS + 1);
        assert_eq!(pretty(&1), ("1".to_owned(), true));
    }

    #[test]
    fn a_status_that_is_unknown_is_no_class() {
        let shown = status("\"><script>").into_string();
        assert!(shown.contains("status other") && !shown.contains("<script>"), "{shown}");
    }
}
