//! What an instance has done, as its history tells it: a visit for each time that a task was begun,
//! with what it waited for meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use crate::coordinator::HistoryEntry;

/// How a visit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Waiting,
    Completed,
    Faulted,
    /// It ended with what it was in.
    Cancelled,
}

impl State {
    /// The word that statuses of instances have for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Faulted => "faulted",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a visit did for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// It was with a worker, or waited for one.
    Work,
    /// It waited, for time, an event, a limit, a child, or to try again.
    Wait,
}

/// A part of a visit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) doing: Doing,
    pub(super) from: Timestamp,
    pub(super) until: Option<Timestamp>,
}

/// One time that a task was begun.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// Number of the fact that began it.
    pub(super) sequence: u64,
    pub(super) task: Arc<str>,
    pub(super) name: Arc<str>,
    /// Which visit of the task it is, of those that are told of, from 1.
    pub(super) number: u32,
    /// How many others it is within, and the innermost of them.
    pub(super) depth: usize,
    pub(super) within: Option<usize>,
    pub(super) from: Timestamp,
    pub(super) until: Option<Timestamp>,
    pub(super) parts: Vec<Part>,
    pub(super) state: State,
    /// How often it was tried again.
    pub(super) retries: u32,
    /// How often a worker was lost with it.
    pub(super) losses: u32,
    /// The last error.
    pub(super) error: Option<String>,
    pub(super) child: Option<String>,
}

/// What a history tells.
#[derive(Default)]
pub(super) struct Run {
    pub(super) visits: Vec<Visit>,
    /// Names of secrets, and when each was used last.
    pub(super) secrets: BTreeMap<String, Timestamp>,
    /// Those visits that have not ended, by their task.
    open: HashMap<Arc<str>, Vec<usize>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Run {
    /// What these entries tell, which are the last ones of a history.
    pub(super) fn of(entries: &[HistoryEntry]) -> Self {
        let mut run = Self::default();
        entries.iter().for_each(|it| run.take(it));
        run
    }

    /// The last error of a task, or of what is within it.
    pub(super) fn last_error(&self, task: &str) -> Option<&str> {
        let about = |it: &&Visit| &*it.task == task || within(&it.task, task);
        self.visits.iter().rev().filter(about).find_map(|it| it.error.as_deref())
    }

    /// The tasks that were visited.
    pub(super) fn by_task(&self) -> HashMap<&str, Vec<&Visit>> {
        let mut tasks: HashMap<&str, Vec<&Visit>> = HashMap::new();
        for visit in &self.visits {
            tasks.entry(&visit.task).or_default().push(visit);
        }
        tasks
    }

    fn take(&mut self, entry: &HistoryEntry) {
        let Some(task) = &entry.task else { return self.take_whole(entry) };
        match entry.event {
            "task.started" => return self.begin(task, entry),
            "task.secrets" => return self.note_secrets(entry),
            _ => {}
        }
        let Some(at) = self.open.get(task).and_then(|it| it.last()).copied() else { return };
        let now = entry.at;
        let ends = {
            let Some(visit) = self.visits.get_mut(at) else { return };
            visit.take(entry)
        };
        if let Some(state) = ends {
            // What is within it ends with it: branches that others were faster than.
            let inner: Vec<usize> = self.open_within(task);
            inner.into_iter().for_each(|it| self.end(it, State::Cancelled, now));
            self.end(at, state, now);
        }
    }

    /// What is about no task.
    fn take_whole(&mut self, entry: &HistoryEntry) {
        let ended = ["instance.completed", "instance.faulted", "instance.cancelled"];
        if ended.contains(&entry.event) {
            let all: BTreeSet<usize> = self.open.values().flatten().copied().collect();
            all.into_iter().for_each(|it| self.end(it, State::Cancelled, entry.at));
        }
    }

    fn begin(&mut self, task: &Arc<str>, entry: &HistoryEntry) {
        let number = self.numbers.entry(task.clone()).or_default();
        *number = number.saturating_add(1);
        let around = self.open.iter().filter(|(it, _)| within(task, it));
        let around: Vec<usize> = around.flat_map(|(_, open)| open.iter().copied()).collect();
        for at in &around {
            // What it is in goes on: an attempt after a wait, an event that was waited for.
            if let Some(visit) = self.visits.get_mut(*at) {
                visit.close(entry.at);
                visit.state = State::Running;
            }
        }
        let visit = Visit {
            sequence: entry.sequence,
            task: task.clone(),
            name: entry.name.clone().unwrap_or_default(),
            number: *number,
            depth: around.len(),
            within: around.iter().max_by_key(|it| self.depth(**it)).copied(),
            from: entry.at,
            until: None,
            parts: Vec::new(),
            state: State::Running,
            retries: 0,
            losses: 0,
            error: None,
            child: None,
        };
        self.open.entry(task.clone()).or_default().push(self.visits.len());
        self.visits.push(visit);
    }

    fn depth(&self, at: usize) -> usize {
        self.visits.get(at).map_or(0, |it| it.depth)
    }

    fn note_secrets(&mut self, entry: &HistoryEntry) {
        let used = entry.data.get("secrets").and_then(Value::as_array).unwrap_or_default();
        for name in used.iter().filter_map(Value::as_str) {
            self.secrets.insert(name.to_owned(), entry.at);
        }
    }

    fn open_within(&self, task: &str) -> Vec<usize> {
        let inner = self.open.iter().filter(|(it, _)| within(it, task));
        inner.flat_map(|(_, open)| open.iter().copied()).collect()
    }

    fn end(&mut self, at: usize, state: State, now: Timestamp) {
        let Some(visit) = self.visits.get_mut(at) else { return };
        visit.close(now);
        (visit.state, visit.until) = (state, Some(now));
        if let Some(open) = self.open.get_mut(&visit.task) {
            open.retain(|it| *it != at);
        }
    }
}

/// True when a task is within another one.
fn within(task: &str, other: &str) -> bool {
    task.strip_prefix(other).is_some_and(|it| it.starts_with('/'))
}

impl Visit {
    /// Takes what happened to it; gives how it ended, if it did.
    fn take(&mut self, entry: &HistoryEntry) -> Option<State> {
        let now = entry.at;
        match entry.event {
            "task.scheduled" => self.begin(Doing::Work, now),
            "task.waiting" | "task.listening" | "limit.waiting" => self.begin(Doing::Wait, now),
            "task.child" => {
                self.child = text(&entry.data, "child");
                self.begin(Doing::Wait, now);
            }
            "limit.taken" | "limit.refused" => {
                self.close(now);
                self.state = State::Running;
            }
            "task.retried" => {
                self.retries = self.retries.saturating_add(1);
                self.error = error(&entry.data);
                self.begin(Doing::Wait, now);
            }
            "task.lost" => {
                self.losses = self.losses.saturating_add(1);
                self.begin(Doing::Wait, now);
            }
            "task.caught" => {
                self.close(now);
                self.error = error(&entry.data);
                self.state = State::Running;
            }
            "task.suspended" => {
                self.error = error(&entry.data);
                self.begin(Doing::Wait, now);
            }
            "task.completed" => return Some(State::Completed),
            "task.faulted" => {
                self.error = error(&entry.data);
                return Some(State::Faulted);
            }
            _ => {}
        }
        None
    }

    fn begin(&mut self, doing: Doing, now: Timestamp) {
        self.close(now);
        self.parts.push(Part { doing, from: now, until: None });
        self.state = match doing {
            Doing::Work => State::Running,
            Doing::Wait => State::Waiting,
        };
    }

    fn close(&mut self, now: Timestamp) {
        if let Some(part) = self.parts.last_mut().filter(|it| it.until.is_none()) {
            part.until = Some(now);
        }
    }
}

fn text(data: &Value, name: &str) -> Option<String> {
    data.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// An error in a few words.
fn error(data: &Value) -> Option<String> {
    let error = data.get("error")?;
    let title = text(error, "title").or_else(|| text(error, "type")).unwrap_or_default();
    Some(match text(error, "detail") {
        Some(detail) if !title.is_empty() => format!("{title}: {detail}"),
        Some(detail) => detail,
        None => title,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use windlass_proto::time::Timestamp;
    use windlass_proto::value::Value;

    use super::{Doing, Run, State};
    use crate::coordinator::HistoryEntry;

    /// An entry that was decided as many seconds after the epoch as its number says.
    pub(in crate::accept::ui) fn entry(
        sequence: u64,
        event: &'static str,
        task: &str,
        data: &str,
    ) -> HistoryEntry {
        let task = (!task.is_empty()).then(|| task.into());
        let name = task.clone();
        let (at, data) = (Timestamp(sequence * 1_000), Value::from_json(data).unwrap());
        HistoryEntry { sequence, at, event, task, name, data, sent: None }
    }

    #[test]
    fn visits_have_what_they_waited_for_and_how_they_ended() {
        let failed = r#"{"error": {"title": "Timeout", "detail": "no answer"}}"#;
        let run = Run::of(&[
            entry(0, "instance.started", "", "{}"),
            entry(1, "task.started", "/do/0/t", "{}"),
            entry(2, "task.started", "/do/0/t/try/0/c", "{}"),
            entry(3, "task.scheduled", "/do/0/t/try/0/c", "{}"),
            entry(4, "task.secrets", "/do/0/t/try/0/c", r#"{"secrets": ["key"]}"#),
            entry(5, "task.faulted", "/do/0/t/try/0/c", failed),
            entry(6, "task.retried", "/do/0/t", failed),
            entry(8, "task.started", "/do/0/t/try/0/c", "{}"),
            entry(9, "task.scheduled", "/do/0/t/try/0/c", "{}"),
        ]);
        let states: Vec<_> = run.visits.iter().map(|it| (it.depth, it.number, it.state)).collect();
        let expected = [(0, 1, State::Running), (1, 1, State::Faulted), (1, 2, State::Running)];
        assert_eq!(states, expected);
        let waited = run.visits[0].parts[0];
        assert_eq!((waited.doing, waited.until), (Doing::Wait, Some(Timestamp(8_000))));
        assert_eq!(run.visits[0].retries, 1);
        assert_eq!(run.visits[1].parts[0].doing, Doing::Work);
        assert_eq!(run.visits[1].until, Some(Timestamp(5_000)));
        assert_eq!(run.last_error("/do/0/t"), Some("Timeout: no answer"));
        assert_eq!(run.last_error("/do/0"), Some("Timeout: no answer"));
        assert_eq!(run.last_error("/do/0/other"), None);
        assert_eq!(run.secrets.keys().collect::<Vec<_>>(), ["key"]);
    }

    #[test]
    fn what_is_within_ends_with_what_it_is_in() {
        let run = Run::of(&[
            entry(1, "task.started", "/do/0/f", "{}"),
            entry(2, "task.started", "/do/0/f/fork/branches/0/a", "{}"),
            entry(3, "task.started", "/do/0/f/fork/branches/1/b", "{}"),
            entry(4, "task.completed", "/do/0/f/fork/branches/1/b", "{}"),
            entry(5, "task.completed", "/do/0/f", "{}"),
            entry(6, "task.started", "/do/1/f", "{}"),
            entry(7, "instance.cancelled", "", "{}"),
            // Of what began before the entries there are: nobody knows the begin.
            entry(8, "task.completed", "/do/9/gone", "{}"),
        ]);
        let states: Vec<_> = run.visits.iter().map(|it| it.state).collect();
        let (done, gone) = (State::Completed, State::Cancelled);
        assert_eq!(states, [done, gone, done, gone]);
        assert!(run.visits.iter().all(|it| it.until.is_some()));
    }
}
