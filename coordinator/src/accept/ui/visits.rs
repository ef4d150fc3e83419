//! What an instance has done, as its history tells it: a visit for each time that a task was begun,
//! with what it waited for meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use windlass_proto::plan::TaskIx;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::parts;
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
    /// Which task of the definition.
    pub(super) index: Option<TaskIx>,
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
    open: HashMap<Which, Vec<usize>>,
    numbers: HashMap<Which, u32>,
    /// Those that only wait because the instance is suspended.
    held: Vec<usize>,
}

/// A task: a function's own one has the pointer of the task that calls it.
type Which = (Arc<str>, Option<TaskIx>);

impl Run {
    /// What these entries tell, which are the last ones of a history.
    #[cfg(test)]
    pub(super) fn of(entries: &[HistoryEntry]) -> Self {
        let mut run = Self::default();
        entries.iter().for_each(|it| run.take(it));
        run
    }

    /// The last error of the visit of a task that has not ended, or of what is within it; else the
    /// one for which what it is in was tried again. What came of visits before it is over.
    pub(super) fn last_error(&self, task: &str, index: TaskIx) -> Option<&str> {
        let open = self.open.get(&(task.into(), Some(index))).and_then(|it| it.last()).copied();
        let about = |it: &&Visit| &*it.task == task || within(&it.task, task);
        let since = self.visits.get(open.unwrap_or(0)..).unwrap_or_default();
        let own = since.iter().rev().filter(about).find_map(|it| it.error.as_deref());
        let around = |at: usize| self.visits.get(at)?.within;
        let mut around = std::iter::successors(open.and_then(around), |it| around(*it));
        own.or_else(|| {
            let again = around.find(|it| self.visits.get(*it).is_some_and(|it| it.retries > 0))?;
            self.visits.get(again)?.error.as_deref()
        })
    }

    /// The tasks that were visited.
    pub(super) fn by_task(&self) -> HashMap<TaskIx, Vec<&Visit>> {
        let mut tasks: HashMap<TaskIx, Vec<&Visit>> = HashMap::new();
        for visit in &self.visits {
            if let Some(index) = visit.index {
                tasks.entry(index).or_default().push(visit);
            }
        }
        tasks
    }

    /// Takes the next entry; nothing of it is kept but what is shown.
    pub(super) fn take(&mut self, entry: &HistoryEntry) {
        let Some(task) = &entry.task else { return self.take_whole(entry) };
        match entry.event {
            "task.started" => return self.begin(task, entry),
            "task.secrets" => return self.note_secrets(entry),
            _ => {}
        }
        let which = (task.clone(), entry.index);
        let Some(at) = self.open.get(&which).and_then(|it| it.last()).copied() else { return };
        let now = entry.at;
        let ends = {
            let Some(visit) = self.visits.get_mut(at) else { return };
            visit.take(entry)
        };
        if let Some(state) = ends {
            // What is within it ends with it: branches that others were faster than.
            let inner: Vec<usize> = self.open_within(task, at);
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
        match entry.event {
            "instance.suspended" => self.hold(entry.at),
            "instance.resumed" => self.go_on(entry.at),
            _ => {}
        }
    }

    /// The instance is suspended: what is not with a worker waits.
    fn hold(&mut self, now: Timestamp) {
        for at in self.open.values().flatten() {
            let Some(visit) = self.visits.get_mut(*at) else { continue };
            if visit.parts.last().is_none_or(|it| it.until.is_some()) {
                visit.begin(Doing::Wait, now);
                self.held.push(*at);
            }
        }
    }

    /// It is resumed: what only waited for that goes on.
    fn go_on(&mut self, now: Timestamp) {
        for at in std::mem::take(&mut self.held) {
            let waits = self.visits.get_mut(at).filter(|it| it.until.is_none());
            if let Some(visit) = waits {
                visit.close(now);
                visit.state = State::Running;
            }
        }
    }

    fn begin(&mut self, task: &Arc<str>, entry: &HistoryEntry) {
        let which = (task.clone(), entry.index);
        let number = self.numbers.entry(which.clone()).or_default();
        *number = number.saturating_add(1);
        let is_around =
            |(it, index): &Which| within(task, it) || *it == *task && *index != entry.index;
        let around = self.open.iter().filter(|(it, _)| is_around(it));
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
            index: entry.index,
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
        self.open.entry(which).or_default().push(self.visits.len());
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

    /// What is open within a visit, which is at `around`.
    fn open_within(&self, task: &str, around: usize) -> Vec<usize> {
        let may = self.open.iter().filter(|((it, _), _)| &**it == task || within(it, task));
        may.flat_map(|(_, open)| open.iter().copied()).filter(|it| *it > around).collect()
    }

    fn end(&mut self, at: usize, state: State, now: Timestamp) {
        let Some(visit) = self.visits.get_mut(at) else { return };
        visit.close(now);
        (visit.state, visit.until) = (state, Some(now));
        if let Some(open) = self.open.get_mut(&(visit.task.clone(), visit.index)) {
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
    // Kept with the visit, and shown no longer than this.
    Some(parts::cut(&match text(error, "detail") {
        Some(detail) if !title.is_empty() => format!("{title}: {detail}"),
        Some(detail) => detail,
        None => title,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use windlass_proto::plan::TaskIx;
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
        // As many tasks as there are pointers.
        let index = task.as_ref().map(|it: &std::sync::Arc<str>| index(it));
        HistoryEntry { sequence, at, event, task, name, index, data, sent: None }
    }

    fn index(task: &str) -> TaskIx {
        TaskIx(task.bytes().fold(0, |sum: u32, it| sum.wrapping_mul(31).wrapping_add(it.into())))
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
        let last = |task: &str| run.last_error(task, index(task));
        assert_eq!(last("/do/0/t"), Some("Timeout: no answer"));
        assert_eq!(last("/do/0"), Some("Timeout: no answer"));
        assert_eq!(last("/do/0/t/try/0/c"), Some("Timeout: no answer"), "why it is tried again");
        assert_eq!(last("/do/0/other"), None);
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

    #[test]
    fn an_error_of_an_earlier_visit_is_over() {
        let failed = r#"{"error": {"title": "Odd"}}"#;
        let mut all = Vec::new();
        for round in [0, 10] {
            all.push(entry(round + 1, "task.started", "/do/0/l/do/0/t", "{}"));
            all.push(entry(round + 2, "task.started", "/do/0/l/do/0/t/try/0/c", "{}"));
            if round == 0 {
                all.push(entry(3, "task.faulted", "/do/0/l/do/0/t/try/0/c", failed));
                all.push(entry(4, "task.caught", "/do/0/l/do/0/t", failed));
                all.push(entry(5, "task.completed", "/do/0/l/do/0/t", "{}"));
            }
        }
        let run = Run::of(&all);
        for task in ["/do/0/l/do/0/t", "/do/0/l/do/0/t/try/0/c"] {
            assert_eq!(run.last_error(task, index(task)), None, "{task}");
        }
    }

    #[test]
    fn what_is_suspended_waits_until_it_is_resumed() {
        let mut all = vec![
            entry(1, "task.started", "/do/0/d", "{}"),
            entry(2, "task.started", "/do/0/d/do/0/c", "{}"),
            entry(3, "task.scheduled", "/do/0/d/do/0/c", "{}"),
            entry(4, "instance.suspended", "", "{}"),
            entry(5, "task.completed", "/do/0/d/do/0/c", "{}"),
        ];
        let run = Run::of(&all);
        assert_eq!(run.visits[0].state, State::Waiting);
        assert_eq!(run.visits[1].parts.len(), 1, "it was with a worker");
        all.push(entry(9, "instance.resumed", "", "{}"));
        let run = Run::of(&all);
        let waited = run.visits[0].parts[0];
        assert_eq!(run.visits[0].state, State::Running);
        assert_eq!((waited.from, waited.until), (Timestamp(4_000), Some(Timestamp(9_000))));
    }

    #[test]
    fn the_task_of_a_function_is_not_the_one_that_calls_it() {
        let of = |index: u32, it| HistoryEntry { index: Some(TaskIx(index)), ..it };
        let run = Run::of(&[
            of(1, entry(1, "task.started", "/do/0/call", "{}")),
            of(7, entry(2, "task.started", "/do/0/call", "{}")),
            of(8, entry(3, "task.started", "/do/0/call/do/0/x", "{}")),
            of(8, entry(4, "task.completed", "/do/0/call/do/0/x", "{}")),
            of(7, entry(5, "task.completed", "/do/0/call", "{}")),
        ]);
        let states: Vec<_> = run.visits.iter().map(|it| (it.depth, it.number, it.state)).collect();
        let done = State::Completed;
        assert_eq!(states, [(0, 1, State::Running), (1, 1, done), (2, 1, done)]);
        assert_eq!(run.by_task()[&TaskIx(1)].len(), 1);
        assert_eq!(run.by_task()[&TaskIx(8)].len(), 1);
    }
}
