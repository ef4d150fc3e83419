//! Tasks in other words.

use super::{Compat, codes, items, put, rename, values};
use crate::definition::node::{Data, Mapping, Node};

/// Keys that make a mapping under `try` a single task.
const TASK_WORDS: [&str; 12] =
    ["call", "do", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait"];

impl Compat<'_> {
    /// A task list.
    pub(super) fn tasks(&mut self, list: &mut Node) {
        for item in items(Some(list)) {
            for task in values(Some(item)) {
                self.task(task);
            }
        }
    }

    fn tasks_at(&mut self, node: &mut Node, key: &str) {
        if let Some(list) = node.get_mut(key) {
            self.tasks(list);
        }
    }

    pub(super) fn task(&mut self, task: &mut Node) {
        if let Some(timeout) = task.get_mut("timeout") {
            self.timeout(timeout);
        }
        for key in ["input", "output", "export"] {
            if let Some(flow) = task.get_mut(key) {
                self.schema(flow);
            }
        }
        if task.get("try").is_some() {
            self.try_task(task);
        }
        self.call(task);
        self.tasks_at(task, "do");
        if let Some(fork) = task.get_mut("fork") {
            self.tasks_at(fork, "branches");
        }
        self.subscription(task);
        let event = task.get_mut("emit").and_then(|emit| emit.get_mut("event"));
        if let Some(with) = event.and_then(|event| event.get_mut("with")) {
            self.strings(with, &["id", "type", "subject", "time", "datacontenttype"]);
        }
        if let Some(error) = task.get_mut("raise").and_then(|raise| raise.get_mut("error")) {
            self.error(error);
        }
        if let Some(run) = task.get_mut("run") {
            self.run(run);
        }
        if let Some(wait) = task.get_mut("wait") {
            self.wait(wait);
        }
        if let Some(to) = task.get_mut("listen").and_then(|listen| listen.get_mut("to")) {
            self.strategy(to);
        }
    }

    /// `wait: {duration: …}` instead of the duration itself.
    fn wait(&mut self, wait: &mut Node) {
        let only = wait.as_mapping().filter(|members| members.len() == 1);
        if let Some(member) = only.and_then(|members| members.get("duration")) {
            let (place, duration) = (member.key, member.node.clone());
            *wait = duration;
            let message = "`wait` is the duration itself";
            let hint = "write `wait: PT5S`, or `wait: { seconds: 5 }`";
            self.deviation(codes::WAIT_DURATION, place, message, hint);
        }
        self.duration(wait);
    }

    /// What has a `foreach` of events or messages.
    pub(super) fn subscription(&mut self, node: &mut Node) {
        if let Some(each) = node.get_mut("foreach") {
            self.tasks_at(each, "do");
            for key in ["output", "export"] {
                if let Some(flow) = each.get_mut(key) {
                    self.schema(flow);
                }
            }
        }
    }

    fn try_task(&mut self, task: &mut Node) {
        if let Some(body) = task.get_mut("try") {
            self.try_body(body);
            self.tasks(body);
        }
        let Some(catch) = task.get_mut("catch") else { return };
        if catch.as_sequence().is_some() {
            let message = "`catch` is a list of clauses";
            let hint = "the specification has one clause; the first that matches is taken";
            self.deviation(codes::CATCH_LIST, catch.place, message, hint);
            for clause in items(Some(catch)) {
                self.clause(clause);
            }
        } else {
            self.clause(catch);
        }
    }

    /// `try: {do: […]}` and `try: {call: …}`.
    fn try_body(&mut self, body: &mut Node) {
        let Some(members) = body.as_mapping() else { return };
        let place = body.place;
        let list = members.get("do").map(|member| &member.node);
        if let (1, Some(list)) = (members.len(), list.filter(|it| it.as_sequence().is_some())) {
            let message = "`try` holds the list of tasks itself";
            let hint = "write the tasks directly below `try:`, without `do:`";
            let list = list.clone();
            self.deviation(codes::TRY_DO, place, message, hint);
            *body = list;
        } else if TASK_WORDS.iter().any(|word| members.contains_key(*word)) {
            let message = "`try` holds a list of tasks, not one task";
            let hint = "write it as a list: `- name: { … }`";
            self.deviation(codes::TRY_TASK, place, message, hint);
            let item = Node::mapping(place, [("try".into(), body.clone())]);
            *body = Node::new(place, Data::Sequence(vec![item]));
        }
    }

    fn clause(&mut self, clause: &mut Node) {
        if let Some(retry) = clause.get_mut("retry") {
            self.retry(retry);
        }
        if clause.get("do").is_none()
            && let Some(place) = rename(clause, "handle", "do")
        {
            let message = "a `catch` has `do`, not `handle`";
            self.deviation(codes::CATCH_HANDLE, place, message, "write `do`");
        }
        self.tasks_at(clause, "do");
        // Before `error` becomes such a list itself.
        let listed = clause.get("errors").and_then(|errors| errors.get("with"));
        if let Some(list) = listed.filter(|it| it.as_sequence().is_some()) {
            let message = "`errors.with` is a list of filters";
            let hint = "the specification has one filter; any of these matches";
            self.deviation(codes::CATCH_ERROR, list.place, message, hint);
        }
        self.caught_error(clause);
        let Some(with) = clause.get_mut("errors").and_then(|errors| errors.get_mut("with")) else {
            return;
        };
        if with.as_sequence().is_some() {
            items(Some(with)).for_each(|filter| self.filter(filter));
        } else {
            self.filter(with);
        }
    }

    /// `error` instead of `errors.with`: a type, a filter, or a list of either.
    fn caught_error(&mut self, clause: &mut Node) {
        if clause.get("errors").is_some() {
            return;
        }
        let Some(place) = rename(clause, "error", "errors") else { return };
        let message = "a `catch` has `errors.with`, not `error`";
        let hint = "write `errors: { with: { type: … } }`";
        self.deviation(codes::CATCH_ERROR, place, message, hint);
        let Some(error) = clause.get_mut("errors") else { return };
        let of_type = |node: &Node| match node.as_str() {
            Some(_) => Node::mapping(node.place, [("type".into(), node.clone())]),
            None => node.clone(),
        };
        let with = match error.as_sequence() {
            Some(list) => {
                Node::new(error.place, Data::Sequence(list.iter().map(of_type).collect()))
            }
            None => of_type(error),
        };
        let mut members = Mapping::new();
        put(&mut members, "with", error.place, with);
        *error = Node::new(error.place, Data::Mapping(members));
    }

    /// Older versions of the schema call the property `details`, so that is no deviation.
    fn filter(&mut self, filter: &mut Node) {
        rename(filter, "details", "detail");
        self.strings(filter, &["type", "instance", "title", "detail"]);
    }
}
