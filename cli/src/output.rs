//! Standard output for data, standard error for people. The only file that writes to either.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use serde::Serialize;
use windlass_coordinator::clock;

use crate::exact;

/// How lists are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON document
    Json,
    /// Columns
    Table,
}

impl Format {
    /// What was asked for, or columns on a terminal and JSON elsewhere.
    pub(crate) fn or_default(chosen: Option<Self>) -> Self {
        let default = if io::stdout().is_terminal() { Self::Table } else { Self::Json };
        chosen.unwrap_or(default)
    }
}

/// Writes a JSON document: indented on a terminal, compact elsewhere.
pub(crate) fn json(document: &impl Serialize) {
    let text = render(document, io::stdout().is_terminal());
    text_line(&text);
}

/// Writes a page of a list as its server gave it, or as a table of a row for each item, and tells
/// people how to go on.
pub(crate) fn page(
    page: &serde_json::Value,
    chosen: Option<Format>,
    headings: &[&str],
    row: impl FnMut(&serde_json::Value) -> Vec<String>,
) {
    if Format::or_default(chosen) == Format::Json {
        return json(page);
    }
    let rows: Vec<_> = page["items"].as_array().into_iter().flatten().map(row).collect();
    table(headings, &rows);
    if let Some(next) = page["next"].as_str() {
        message(&format!("there are more: --cursor {next}"));
    }
}

/// Writes one line of JSON: for streams.
pub(crate) fn json_line(document: &impl Serialize) {
    text_line(&render(document, false));
}

/// Writes text as data.
pub(crate) fn text_line(text: &str) {
    let mut out = io::stdout().lock();
    // A reader that went away (`| head`) is no failure of ours.
    let _ = writeln!(out, "{}", exact::written(text.trim_end_matches('\n')));
    let _ = out.flush();
}

/// Writes text as it is, to be kept in a file.
pub(crate) fn text(text: &str) {
    let mut out = io::stdout().lock();
    // A reader that went away is no failure of ours.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Writes text as it is; false when whoever reads it went away.
///
/// # Errors
/// When it cannot be written, as to a full disk.
pub(crate) fn write(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// True where standard error is for programs: one JSON object a line.
static MESSAGES_AS_JSON: AtomicBool = AtomicBool::new(false);

/// Messages are lines of the log, where that is JSON.
pub(crate) fn messages_as_json(chosen: bool) {
    MESSAGES_AS_JSON.store(chosen, Ordering::Relaxed);
}

/// Tells people something.
pub(crate) fn message(text: &str) {
    if !MESSAGES_AS_JSON.load(Ordering::Relaxed) {
        let _ = writeln!(io::stderr().lock(), "windlass: {text}");
        return;
    }
    let line = serde_json::json!({
        "timestamp": clock::now().to_rfc3339(), "level": "INFO", "target": "windlass",
        "message": text,
    });
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Shows people text as it is, such as a rendered finding.
pub(crate) fn notice(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", exact::written(text));
}

/// Writes a problem document to standard error: as sentences on a terminal, as JSON elsewhere.
pub(crate) fn problem(document: &serde_json::Value) {
    let is_terminal = io::stderr().is_terminal();
    notice(&if is_terminal { sentences(document) } else { render(document, false) });
}

/// A problem document in words: what, why, where, and who knows more.
fn sentences(document: &serde_json::Value) -> String {
    let text = |name: &str| document[name].as_str().filter(|it| !it.is_empty()).map(printable);
    let title = text("title").or(text("type")).unwrap_or_else(|| "it failed".to_owned());
    let status = document["status"].as_u64().map(|it| format!(" (status {it})"));
    let mut lines = vec![format!("windlass: {title}{}", status.unwrap_or_default())];
    lines.extend(text("detail").map(|it| format!("  {it}")));
    lines.extend(text("instance").map(|it| format!("  at {it}")));
    if let Some(cause) = document.get("cause").filter(|it| it.is_object()) {
        lines.extend(sentences(cause).lines().map(|it| format!("  {it}")));
    }
    match text("code") {
        Some(code) => lines.push(format!("  `windlass explain {code}` says what to do")),
        // The errors of workflows have no code, but a type.
        None if text("title").is_some() => lines.extend(text("type").map(|it| format!("  {it}"))),
        None => {}
    }
    lines.join("\n")
}

fn render(document: &impl Serialize, pretty: bool) -> String {
    let rendered = if pretty {
        serde_json::to_string_pretty(document)
    } else {
        serde_json::to_string(document)
    };
    // Documents have string keys and no foreign serialisers: this cannot fail.
    rendered.unwrap_or_default()
}

/// Writes rows as columns under a heading.
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>]) {
    text_line(&columns(heading, rows));
}

pub(crate) fn columns(heading: &[&str], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = heading.iter().map(|it| (*it).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(&heading)
        .chain(rows)
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let widths: Vec<usize> = (0..heading.len())
        .map(|at| lines.iter().filter_map(|row| row.get(at)).map(|it| it.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for row in &lines {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let gap = width.saturating_sub(cell.chars().count()) + 2;
            line.extend(std::iter::repeat_n(' ', gap));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Text without control characters: a workflow's data must not command the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{columns, printable, render, sentences};

    #[test]
    fn columns_line_up_and_carry_no_control_characters() {
        let rows = [vec!["é".to_owned(), "x\u{1b}[2J".to_owned()], vec!["long".into(), "y".into()]];
        let text = columns(&["A", "B"], &rows);
        assert_eq!(text, "A     B\né     x [2J\nlong  y\n");
        assert_eq!(printable("a\r\nb"), "a  b");
    }

    #[test]
    fn problems_are_sentences_for_people() {
        let api = serde_json::json!({"type": "urn:windlass:problem:WL0504", "status": 400,
            "title": "Invalid input", "detail": "no\u{1b}[2J", "code": "WL0504",
            "cause": {"type": "https://a/validation", "status": 400, "title": "Validation",
                "detail": "too short", "instance": "/input"}});
        assert_eq!(
            sentences(&api),
            "windlass: Invalid input (status 400)\n  no [2J\n  windlass: Validation (status \
             400)\n    too short\n    at /input\n    https://a/validation\n  `windlass explain \
             WL0504` says what to do"
        );
        assert_eq!(sentences(&serde_json::json!(null)), "windlass: it failed");
    }

    #[test]
    fn documents_are_compact_where_programs_read() {
        let document = serde_json::json!({"b": 1, "a": [true]});
        assert_eq!(render(&document, false), r#"{"b":1,"a":[true]}"#);
        assert!(render(&document, true).contains("\n  \"b\": 1"));
    }
}
