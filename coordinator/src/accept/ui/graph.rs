//! The definition of an instance as a picture, each task coloured by what became of it.

use windlass_proto::graph::{Mark, marked};
use windlass_proto::plan::{Plan, TaskIx};

use super::parts;
use super::visits::Run;

/// The picture of a definition; none where it has too many tasks for one.
pub(super) fn of_definition(plan: &Plan) -> Option<String> {
    marked(plan, &|_| None)
}

/// The same of an instance of it, with links to its history at `history`.
pub(super) fn of_instance(plan: &Plan, run: &Run, history: &str) -> Option<String> {
    let visited = run.by_task();
    let mark = |task: TaskIx| {
        let visits = visited.get(&task)?;
        let last = visits.last()?;
        let retries: u32 = visits.iter().map(|it| it.retries).sum();
        let mut notes = Vec::new();
        if visits.len() > 1 {
            notes.push(format!("×{}", visits.len()));
        }
        if retries > 0 {
            notes.push(format!("↻{retries}"));
        }
        Some(Mark {
            class: last.state.word(),
            note: notes.join(" "),
            link: Some(parts::entry_path(history, last.sequence)),
        })
    };
    marked(plan, &mark)
}
