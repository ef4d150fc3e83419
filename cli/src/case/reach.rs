//! Coverage: which tasks and branches of the definitions some case has come to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use windlass_coordinator::rehearsal::{Reached, ReachedIn};
use windlass_proto::id::Digest;
use windlass_proto::plan::{Kind, Plan, Task};

use super::texts::Texts;

/// What cases have come to, by definition.
#[derive(Default)]
pub(crate) struct Coverage(BTreeMap<Digest, BTreeSet<Reached>>);

/// How much of some definitions was reached.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Tasks and branches that some case has come to.
    pub(crate) reached: usize,
    /// All there are.
    pub(crate) all: usize,
    /// Those that none has come to.
    pub(crate) missed: Vec<Missed>,
}

/// A task or a branch that no case has come to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Missed {
    /// `FILE:LINE`.
    pub(crate) place: String,
    /// `task`, `case` or `catch`.
    pub(crate) kind: &'static str,
    /// JSON pointer of the task.
    pub(crate) task: String,
    /// Which of its branches; for a task its kind.
    pub(crate) what: String,
}

impl Coverage {
    /// Adds what a case has come to.
    pub(crate) fn add(&mut self, reached: &[ReachedIn]) {
        for (plan, reached) in reached {
            self.0.entry(plan.digest.clone()).or_default().extend(reached);
        }
    }

    /// How much of `texts` it is.
    pub(crate) fn of(&self, texts: &Texts) -> Summary {
        let mut summary = Summary { reached: 0, all: 0, missed: Vec::new() };
        let nothing = BTreeSet::new();
        for text in &texts.0 {
            let reached = self.0.get(&text.plan.digest).unwrap_or(&nothing);
            for (item, what) in items(&text.plan) {
                summary.all += 1;
                if reached.contains(&item) {
                    summary.reached += 1;
                    continue;
                }
                let (kind, task) = match item {
                    Reached::Task(task) => ("task", task),
                    Reached::Case(task, _) => ("case", task),
                    Reached::Clause(task, _) => ("catch", task),
                };
                let task = text.plan.task(task).reference.to_string();
                summary.missed.push(Missed { place: text.place(&task), kind, task, what });
            }
        }
        summary
    }
}

impl Summary {
    /// All of several files of tests; what two of them have is counted twice, as they are apart.
    pub(crate) fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        let mut sum = Self { reached: 0, all: 0, missed: Vec::new() };
        for one in all {
            sum.reached += one.reached;
            sum.all += one.all;
            sum.missed.extend(one.missed);
        }
        sum
    }

    /// In percent, rounded down; all of nothing is all.
    pub(crate) fn percent(&self) -> usize {
        (self.reached * 100).checked_div(self.all).unwrap_or(100)
    }
}

/// All tasks and branches of a definition, and what they are.
fn items(plan: &Plan) -> Vec<(Reached, String)> {
    plan.tasks.iter().flat_map(of_task).collect()
}

fn of_task(task: &Task) -> Vec<(Reached, String)> {
    let kind = task.kind.detail().map(|it| format!("{}: {it}", task.kind.word()));
    let kind = kind.unwrap_or_else(|| task.kind.word().to_owned());
    let mut items = vec![(Reached::Task(task.index), kind)];
    match &task.kind {
        Kind::Switch(cases) => items.extend(
            cases
                .iter()
                .enumerate()
                .map(|(number, case)| (Reached::Case(task.index, number), case.name.to_string())),
        ),
        Kind::Try(it) => items.extend(it.clauses.iter().zip(0..).map(|(_, number)| {
            (Reached::Clause(task.index, number), format!("catch {}", number + 1))
        })),
        _ => {}
    }
    items
}
