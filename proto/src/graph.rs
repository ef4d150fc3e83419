//! Definitions as diagrams: flow charts in Mermaid's language, and pictures.
//!
//! Each list of tasks is a chain of nodes, each task with lists inside is a frame around them.

mod svg;

use std::fmt::Write as _;

pub use svg::{Mark, marked};

use crate::limits::GRAPH_LABEL_CHARACTERS;
use crate::plan::{Case, Flow, Kind, Plan, Task, TaskIx, Try};

/// The picture of a definition; none of one with more tasks than fit on any page.
#[must_use]
pub fn svg(plan: &Plan) -> Option<String> {
    svg::svg(plan)
}

/// The flow chart of a definition.
#[must_use]
pub fn mermaid(plan: &Plan) -> String {
    let mut chart =
        Chart { plan, text: String::from("flowchart TD\n"), depth: 1, edges: Vec::new() };
    chart.line("begin([start])");
    let first = chart.list(&plan.root, Some("finish"));
    chart.line("finish([end])");
    chart.edge("begin", &first.unwrap_or_else(|| "finish".to_owned()), None);
    for (name, task) in &plan.functions {
        chart.line(&format!("subgraph f{}[\"function {}\"]", task.0, label(name)));
        chart.depth += 1;
        chart.task(*task);
        chart.depth -= 1;
        chart.line("end");
    }
    // All nodes are there before the first edge: one that is not would be drawn where it is named.
    let edges = std::mem::take(&mut chart.edges);
    edges.iter().for_each(|it| chart.line(it));
    chart.text
}

struct Chart<'p> {
    plan: &'p Plan,
    text: String,
    depth: usize,
    edges: Vec<String>,
}

impl Chart<'_> {
    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}{line}", "  ".repeat(self.depth));
    }

    fn edge(&mut self, from: &str, to: &str, what: Option<&str>) {
        self.edges.push(match what {
            Some(what) => format!("{from} -->|\"{}\"| {to}", label(what)),
            None => format!("{from} --> {to}"),
        });
    }

    /// The tasks of a list, and the edges between them; `after` is what follows it. Gives the first
    /// one.
    fn list(&mut self, list: &[TaskIx], after: Option<&str>) -> Option<String> {
        let nodes: Vec<String> = list.iter().map(|it| id(*it)).collect();
        for (position, index) in list.iter().enumerate() {
            self.task(*index);
            let (task, node) = (self.plan.task(*index), id(*index));
            let next = nodes.get(position + 1).map(String::as_str).or(after);
            let to = |flow: Flow| match flow {
                Flow::Continue => next,
                Flow::Exit => after,
                Flow::End => Some("finish"),
                Flow::Task(position) => nodes.get(position as usize).map(String::as_str),
            };
            match &task.kind {
                Kind::Raise(_) => {}
                Kind::Switch(cases) => {
                    for Case { name, then, .. } in cases {
                        if let Some(to) = to(*then) {
                            self.edge(&node, to, Some(name));
                        }
                    }
                    let has_default = cases.iter().any(|it| it.when.is_none());
                    if let (false, Some(to)) = (has_default, to(task.then)) {
                        self.edge(&node, to, Some("else"));
                    }
                }
                _ => {
                    if let Some(to) = to(task.then) {
                        self.edge(&node, to, None);
                    }
                }
            }
            if let (true, Some(to)) = (task.condition.is_some(), next) {
                self.edges.push(format!("{node} -.->|\"if not\"| {to}"));
            }
        }
        nodes.into_iter().next()
    }

    /// A task, and what is inside of it.
    fn task(&mut self, index: TaskIx) {
        let plan = self.plan;
        let task = plan.task(index);
        let (node, name) = (id(index), title(task));
        match &task.kind {
            Kind::Do(list) => self.frame(&node, &name, |it| drop(it.list(list, None))),
            Kind::For(it) => self.frame(&node, &name, |chart| drop(chart.list(&it.body, None))),
            Kind::Fork(fork) => self.frame(&node, &name, |chart| {
                fork.branches.iter().for_each(|it| chart.task(*it));
            }),
            Kind::Try(it) => self.frame(&node, &name, |chart| chart.attempt(&node, it)),
            Kind::Listen(listen) => match listen.each.as_ref() {
                Some(each) => {
                    self.frame(&node, &name, |chart| drop(chart.list(&each.body, None)));
                }
                None => self.line(&format!("{node}[/\"{name}\"/]")),
            },
            Kind::Switch(_) => self.line(&format!("{node}{{\"{name}\"}}")),
            Kind::Emit(_) => self.line(&format!("{node}[\\\"{name}\"\\]")),
            Kind::Wait(_) => self.line(&format!("{node}([\"{name}\"])")),
            Kind::Raise(_) => self.line(&format!("{node}{{{{\"{name}\"}}}}")),
            Kind::Workflow(_) => self.line(&format!("{node}[[\"{name}\"]]")),
            _ => self.line(&format!("{node}[\"{name}\"]")),
        }
    }

    fn frame(&mut self, node: &str, name: &str, inside: impl FnOnce(&mut Self)) {
        self.line(&format!("subgraph {node}[\"{name}\"]"));
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.line("end");
    }

    /// The tasks of a `try`, and those of its clauses.
    fn attempt(&mut self, node: &str, it: &Try) {
        let body = format!("{node}_try");
        self.frame(&body, "try", |chart| drop(chart.list(&it.body, None)));
        for (number, clause) in it.clauses.iter().enumerate() {
            let caught = format!("{node}_catch{number}");
            if clause.retry.is_some() {
                self.edges.push(format!("{body} -.->|\"retry\"| {body}"));
            }
            if let Some(list) = &clause.body {
                self.frame(&caught, "catch", |chart| drop(chart.list(list, None)));
                self.edges.push(format!("{body} -.->|\"error\"| {caught}"));
            }
        }
    }
}

fn id(index: TaskIx) -> String {
    format!("t{}", index.0)
}

/// Name and kind.
fn title(task: &Task) -> String {
    format!("{}<br/>{}", label(&task.name), kind(task))
}

/// Its kind, and what of it.
fn kind(task: &Task) -> String {
    match task.kind.detail() {
        Some(detail) => format!("{}: {detail}", task.kind.word()),
        None => task.kind.word().to_owned(),
    }
}

/// Text that is nothing but text to Mermaid, cut where it is long.
fn label(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars().take(GRAPH_LABEL_CHARACTERS) {
        match letter {
            it if it.is_alphanumeric() || " -_.,:/".contains(it) => out.push(it),
            it if it.is_control() => out.push(' '),
            it => out.push_str(&format!("#{};", u32::from(it))),
        }
    }
    if text.chars().nth(GRAPH_LABEL_CHARACTERS).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::definition::{Options, load};

    use super::mermaid;

    #[test]
    fn every_kind_of_task_has_its_place() {
        let text = "
document: { dsl: '1.0.3', namespace: t, name: t, version: '1.0.0' }
do:
  - s: { switch: [ { big: { when: .n > 1, then: x } }, { small: { then: end } } ] }
  - x: { set: { a: 1 }, if: .n > 2 }
  - l: { for: { in: '[1]' }, do: [ { w: { wait: PT1S } } ] }
  - t:
      try: [ { c: { call: x } } ]
      catch: { retry: { delay: PT1S, limit: { attempt: { count: 1 } } }, do: [ { r: { raise: { error: { type: 'https://a/b', status: 500 } } } } ] }
  - 'odd \"]; end': { fork: { branches: [ { one: { set: { a: 1 } } }, { two: { do: [ { e: { emit: { event: { with: { type: a, source: /a } } } } } ] } } ] } }
";
        let loaded = load(text, &Options::default());
        let plan = loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
        let chart = mermaid(&plan);
        for line in [
            "begin([start])",
            "t0{\"s<br/>switch\"}",
            "t0 -->|\"big\"| t1",
            "t0 -->|\"small\"| finish",
            "t1 -.->|\"if not\"| t2",
            "subgraph t2[\"l<br/>for\"]",
            "t3([\"w<br/>wait\"])",
            "subgraph t4_try[\"try\"]",
            "t4_try -.->|\"retry\"| t4_try",
            "t4_try -.->|\"error\"| t4_catch0",
            "#34;#93;#59; end<br/>fork",
            "begin --> t0",
        ] {
            assert!(chart.contains(line), "{line} is not in\n{chart}");
        }
        assert_eq!(chart.matches("subgraph ").count(), chart.matches("  end\n").count(), "{chart}");
    }
}
