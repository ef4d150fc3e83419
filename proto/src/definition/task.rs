//! Tasks: lists of them, what all kinds share, and which kind one is.

mod approval;
mod call;
mod choose;
mod composite;
mod event;
mod grpc;
mod mcp;
mod protocol;
mod run;
mod simple;
mod variables;

use std::collections::HashMap;
use std::sync::Arc;

pub(super) use approval::APPROVAL;
pub(super) use call::OUTPUTS;
pub(super) use event::READS;
pub(super) use mcp::METHODS as MCP_METHODS;
pub(super) use protocol::{A2A_METHODS, ASYNCAPI_PROTOCOLS};
pub(super) use run::RETURNS;

use indexmap::IndexMap;

use super::codes;
use super::decoder::{Decoder, optional};
use super::lints::{BEFORE_INPUT, INSIDE};
use super::node::{Mapping, Node, Place, escape};
use crate::limits;
use crate::plan::{Export, Flow, Kind, Task, TaskIx, TaskList};
use crate::suggest;
use crate::value::Value;
use crate::wire::capability::Capability;

/// Where a task stands.
#[derive(Clone, Copy)]
pub(super) struct Position<'p> {
    /// JSON pointer of the task.
    pub(super) pointer: &'p str,
    /// Names of the list it is in, for `then`.
    pub(super) siblings: Siblings<'p>,
}

/// What `then` may name.
#[derive(Clone, Copy)]
pub(super) enum Siblings<'p> {
    /// The tasks of the same list, by name.
    List(&'p IndexMap<Arc<str>, Sibling>),
    /// Branches of a `fork`: no sequence, so none can be gone to.
    Branches,
    /// A function's own task stands in no list.
    Alone,
}

/// A name in a list of tasks.
#[derive(Clone, Copy)]
pub(super) struct Sibling {
    /// Where the first task of that name stands.
    at: usize,
    /// Others have the name too.
    repeated: bool,
}

/// Keys of every task.
const COMMON: &[&str] = &["if", "input", "output", "export", "timeout", "then", "metadata"];

/// Keys that tell the kind, with the further keys of that kind. A key that is also a further key
/// of another kind comes after it.
const KINDS: &[(&str, &[&str])] = &[
    ("for", &["for", "while", "do"]),
    ("try", &["try", "catch"]),
    ("listen", &["listen", "foreach"]),
    ("call", &["call", "with"]),
    ("do", &["do"]),
    ("emit", &["emit"]),
    ("fork", &["fork"]),
    ("raise", &["raise"]),
    ("run", &["run"]),
    ("set", &["set"]),
    ("switch", &["switch"]),
    ("wait", &["wait"]),
];

const DIRECTIVES: &[(&str, Flow)] =
    &[("continue", Flow::Continue), ("exit", Flow::Exit), ("end", Flow::End)];

/// The words that say where the flow goes on, beside names of tasks.
pub(super) fn flow_words() -> impl Iterator<Item = &'static str> {
    DIRECTIVES.iter().map(|(word, _)| *word)
}

impl Decoder<'_> {
    /// A list of named tasks; `pointer` is that of the list.
    pub(super) fn task_list(&mut self, node: &Node, pointer: &str) -> Option<TaskList> {
        self.named_tasks(node, pointer, false)
    }

    /// Like a task list, but its tasks run side by side.
    pub(super) fn branches(&mut self, node: &Node, pointer: &str) -> Option<TaskList> {
        self.named_tasks(node, pointer, true)
    }

    fn named_tasks(&mut self, node: &Node, pointer: &str, branches: bool) -> Option<TaskList> {
        let Some(items) = node.as_sequence() else {
            let message = format!("a list of tasks is needed here, not {}", node.what());
            let hint = "write each task as an item of its own: `- name: { … }`";
            self.error(codes::WRONG_TYPE, node.place, message, hint);
            return None;
        };
        let named = self.name_tasks(items);
        let mut names = IndexMap::new();
        for (at, task) in named.iter().enumerate() {
            if let Some((name, _)) = task {
                let sibling = names.entry(name.clone());
                sibling
                    .and_modify(|it: &mut Sibling| it.repeated = true)
                    .or_insert(Sibling { at, repeated: false });
            }
        }
        let siblings = if branches { Siblings::Branches } else { Siblings::List(&names) };
        let mut list = Vec::with_capacity(items.len());
        for (at, task) in named.iter().enumerate() {
            let index = self.reserve();
            list.push(index);
            if let Some((name, node)) = task {
                let pointer = format!("{pointer}/{at}/{}", escape(name));
                self.task(index, name, node, Position { pointer: &pointer, siblings });
            }
        }
        Some(list.into())
    }

    /// An index for a task that is decoded later.
    pub(super) fn reserve(&mut self) -> TaskIx {
        self.tasks.push(None);
        TaskIx(u32::try_from(self.tasks.len() - 1).unwrap_or(u32::MAX))
    }

    fn name_tasks<'n>(&mut self, items: &'n [Node]) -> Vec<Option<(Arc<str>, &'n Node)>> {
        let mut lines: HashMap<Arc<str>, usize> = HashMap::new();
        items
            .iter()
            .map(|item| {
                let members = self.mapping(item, "an item of a task list")?;
                let (Some((name, member)), 1) = (members.first(), members.len()) else {
                    let place = members.get_index(1).map_or(item.place, |(_, second)| second.key);
                    let message =
                        format!("an item must hold one task, this one has {}", members.len());
                    let hint = if members.is_empty() {
                        "write `- name: { … }`"
                    } else if is_one_task(members) {
                        "this task has no name: write `- name: { … }`, with all of it below the name"
                    } else {
                        "start each task with a dash of its own, and indent what belongs to it"
                    };
                    self.error(codes::NOT_ONE_TASK, place, message, hint);
                    return None;
                };
                self.check_name(name, member.key)?;
                if let Some(line) = lines.insert(name.clone(), member.key.span.line) {
                    let message = format!("a task of this list is already called `{name}`");
                    let hint = format!("the other is on line {line}: rename one");
                    self.deviation(codes::DUPLICATE_TASK, member.key, message, &hint);
                }
                if name.trim().is_empty() {
                    let message = "a task has an empty name";
                    self.warning(codes::UNNAMED_TASK, member.key, message, "give it a name");
                }
                if DIRECTIVES.iter().any(|(word, _)| **word == **name) {
                    let message = format!(
                        "`{name}` is a flow directive; `then: {name}` never goes to this task"
                    );
                    self.warning(codes::RESERVED_NAME, member.key, message, "rename the task");
                }
                Some((name.clone(), &member.node))
            })
            .collect()
    }

    /// Names come back in many places, so they are bounded.
    pub(super) fn check_name(&mut self, name: &str, place: Place) -> Option<()> {
        if name.len() <= limits::NAME_BYTES {
            return Some(());
        }
        let message = format!("a name of {} bytes is too long", name.len());
        let hint = format!("up to {} bytes are possible", limits::NAME_BYTES);
        self.error(codes::LONG_NAME, place, message, &hint);
        None
    }

    /// Decodes one task into the place reserved for it.
    pub(super) fn task(
        &mut self,
        index: TaskIx,
        name: &Arc<str>,
        node: &Node,
        position: Position<'_>,
    ) {
        let decoded = self.decode_task(index, name, node, position);
        if let Some(slot) = self.tasks.get_mut(index.0 as usize) {
            *slot = decoded;
        }
    }

    fn decode_task(
        &mut self,
        index: TaskIx,
        name: &Arc<str>,
        node: &Node,
        position: Position<'_>,
    ) -> Option<Task> {
        if node.as_mapping().is_none() && KINDS.iter().any(|(word, _)| *word == &**name) {
            let message = format!("the task `{name}` must be a mapping, not {}", node.what());
            self.error(codes::WRONG_TYPE, node.place, message, &unnamed(name));
            return None;
        }
        self.mapping(node, &format!("the task `{name}`"))?;
        self.where_null(INSIDE, |decoder| decoder.decode_parts(index, name, node, position))
    }

    fn decode_parts(
        &mut self,
        index: TaskIx,
        name: &Arc<str>,
        node: &Node,
        position: Position<'_>,
    ) -> Option<Task> {
        let word = self.kind_of(node, name)?;
        let (condition, input) = self.where_null(BEFORE_INPUT, |decoder| {
            (
                decoder.condition_at(node, "if"),
                optional(node.get("input"), |node| decoder.input(node)),
            )
        });
        let timeout = optional(node.get("timeout"), |node| self.timeout(node));
        let then = optional(node.get("then"), |node| self.flow(node, position.siblings));
        let metadata = self.metadata(node.get("metadata"));
        let (pool, on_fault) = self.pool_and_fault(node);
        let limit = self.where_null(BEFORE_INPUT, |it| it.limit(node.get("metadata")));
        let loop_names = if word == "for" { self.loop_names(node) } else { Vec::new() };
        let kind = match word {
            "for" => self.for_task(node, &loop_names, position),
            "try" => self.try_task(node, position),
            "listen" => self.listen(node, position),
            "call" => self.call(node, position),
            "do" => self.do_task(node, position),
            "emit" => self.emit(node),
            "fork" => self.fork(node, position),
            "raise" => self.raise(node),
            "run" => self.run(node),
            "set" => self.set(node),
            "switch" => self.switch(node, position),
            _ => self.wait(node),
        };
        // The last item of a loop stays bound for what follows it.
        let (output, export) = self.bound(&loop_names, |decoder| {
            (
                optional(node.get("output"), |node| decoder.output(node)),
                optional(node.get("export"), |node| decoder.export(node)),
            )
        });
        let (input, output) = (input?.unwrap_or_default(), output?.unwrap_or_default());
        let export: Export = export?.unwrap_or_default();
        let kind: Kind = kind?;
        let local: &[&str] = match Capability::performing(&kind) {
            Some(_) => &["export"],
            None => &["input", "output", "export"],
        };
        self.check_schemas(node, local);
        let variables = variables::of(&kind, &input, &output);
        Some(Task {
            index,
            name: name.clone(),
            reference: position.pointer.into(),
            definition: node.value(),
            condition: condition?,
            input,
            output,
            export,
            timeout: timeout?,
            then: then?.unwrap_or_default(),
            metadata: metadata?,
            pool: pool?,
            on_fault: on_fault?,
            limit: limit?,
            kind,
            variables,
        })
    }

    /// `metadata`: any mapping.
    pub(super) fn metadata(&mut self, node: Option<&Node>) -> Option<Value> {
        let Some(node) = node else { return Some(Value::Null) };
        self.mapping(node, "`metadata`")?;
        Some(node.value())
    }

    fn kind_of(&mut self, node: &Node, name: &Arc<str>) -> Option<&'static str> {
        let what = format!("the task `{name}`");
        let Some((word, keys)) = KINDS.iter().find(|(word, _)| node.get(word).is_some()) else {
            return self.no_kind(node, name);
        };
        let other =
            KINDS.iter().find(|(other, _)| !keys.contains(other) && node.get(other).is_some());
        if let Some((other, _)) = other {
            let place = node.as_mapping().and_then(|members| members.get(*other));
            let message = format!("{what} is both `{word}` and `{other}`");
            let place = place.map_or(node.place, |member| member.key);
            self.error(codes::SEVERAL_TASK_TYPES, place, message, "split it into two tasks");
            return None;
        }
        let known: Vec<&str> = keys.iter().chain(COMMON).copied().collect();
        self.closed(node, &what, &known)?;
        Some(word)
    }

    fn no_kind<T>(&mut self, node: &Node, name: &str) -> Option<T> {
        let what = format!("the task `{name}`");
        let words = || KINDS.iter().map(|(word, _)| *word);
        let members = node.as_mapping();
        let meant = members.into_iter().flatten().find_map(|(key, member)| {
            let unknown = !COMMON.contains(&&**key);
            unknown.then(|| suggest::nearest(key, words()).map(|meant| (member.key, meant)))?
        });
        let message = format!("{what} does not say what to do");
        match meant {
            Some((place, meant)) => {
                let hint = format!("did you mean `{meant}`?");
                self.error(codes::NO_TASK_TYPE, place, message, &hint);
            }
            None => {
                let listed: Vec<_> = words().collect();
                let hint = if listed.contains(&name) {
                    unnamed(name)
                } else {
                    format!("give it one of {}", listed.join(", "))
                };
                self.error(codes::NO_TASK_TYPE, node.place, message, &hint);
            }
        }
        None
    }

    /// `then`
    pub(super) fn flow(&mut self, node: &Node, siblings: Siblings<'_>) -> Option<Flow> {
        let name = self.string(node, "`then`")?;
        if let Some((_, flow)) = DIRECTIVES.iter().find(|(word, _)| **word == *name) {
            return Some(*flow);
        }
        if let Siblings::List(names) = siblings
            && let Some(sibling) = names.get(&name)
        {
            if sibling.repeated {
                let message = format!("several tasks of this list are called `{name}`");
                let hint = "rename them, so that it is clear where the flow goes";
                self.error(codes::DUPLICATE_TASK, node.place, message, hint);
                return None;
            }
            return u32::try_from(sibling.at).ok().map(Flow::Task);
        }
        let hint = match siblings {
            Siblings::Branches => {
                "branches of a fork run side by side: none follows another".into()
            }
            Siblings::Alone => "a function's task stands in no list: use `exit` or `end`".into(),
            Siblings::List(names) => {
                let words = DIRECTIVES.iter().map(|(word, _)| *word);
                self.hint(&name, names.keys().map(|it| &**it).chain(words))
            }
        };
        let message = format!("there is no task `{name}` in the same list");
        self.error(codes::THEN_TARGET, node.place, message, &hint);
        None
    }
}

/// True for what would be one task if it stood below a name.
fn is_one_task(members: &Mapping) -> bool {
    let kind = KINDS.iter().find(|(word, _)| members.contains_key(*word));
    kind.is_some_and(|(_, keys)| {
        members.keys().all(|key| keys.contains(&&**key) || COMMON.contains(&&**key))
    })
}

/// What to do about a task that is called like what it should do.
fn unnamed(word: &str) -> String {
    format!("`{word}` is the name of the task here; write `- name: {{ {word}: … }}`")
}
