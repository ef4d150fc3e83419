//! Histories as text: what is kept of one, and what is shown of one.

use windlass_coordinator::catalog::difference;
use windlass_coordinator::history::HistoryEntry;
use windlass_proto::duration;
use windlass_proto::time::Timestamp;

use super::judge::Failure;
use super::play::Played;

/// The history of the instance and of its children, a line for each entry: when, what, where, with
/// what.
pub(crate) fn text(played: &Played) -> String {
    let mut text = String::new();
    for history in &played.histories {
        text.push_str(&format!("# {}\n", history.plan.id));
        for entry in &history.entries {
            text.push_str(&line(entry, played.began));
            text.push('\n');
        }
    }
    text
}

/// One entry.
pub(crate) fn line(entry: &HistoryEntry, began: Timestamp) -> String {
    let after = duration::written(entry.at.since(began));
    let task = entry.task.as_deref().unwrap_or("-");
    let data = entry.data.to_json();
    format!("+{after:<12} {:<24} {task} {data}", entry.event)
}

/// What is not as it was kept; `kept` is none where there is no such file.
pub(crate) fn compare(kept: Option<&str>, now: &str, file: &str, line: usize) -> Option<Failure> {
    let Some(kept) = kept else {
        let message = format!("there is no history in {file}");
        return Some(Failure::new(line, message, "--update writes it"));
    };
    if kept == now {
        return None;
    }
    let message = format!("the history is not that of {file}");
    let lines = difference(kept, now);
    let detail = format!("- kept\n+ now\n{}\n--update keeps it", lines.trim_end());
    Some(Failure::new(line, message, detail))
}
