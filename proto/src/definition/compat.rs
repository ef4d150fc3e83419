//! What is accepted beside the specification, brought to its spelling once, before decoding.
//!
//! Only the text of a definition is looked at, never data. Each rule that applies leaves a finding.

mod authentication;
mod call;
mod document;
mod event;
mod schema;
mod task;

use std::sync::Arc;

pub use self::document::full_version;

use super::findings::Findings;
use super::node::{Data, Mapping, Member, Node, Place, Style};
use super::{Options, codes};
use crate::value::Value;

/// Rewrites `root` to the specification's spelling.
pub(super) fn normalise(root: &mut Node, findings: &mut Findings, options: &Options) {
    let text = |path: &[&str]| {
        let found = path.iter().try_fold(&*root, |node, key| node.get(key));
        found.and_then(Node::as_str).map(str::to_owned)
    };
    // What was accepted runs on, though a later version may call more of it a deviation.
    findings.strict |= !options.accepted
        && text(&["document", "metadata", "compat"]).is_some_and(|mode| mode == "strict");
    let namespace = text(&["document", "namespace"]);
    let own = root.get("use").and_then(|it| it.get("functions")).and_then(|it| it.get("function"));
    let own_function = own.is_some();
    let mut compat = Compat { findings, own_function, namespace, mapped_arguments: false };
    if let Some(document) = root.get_mut("document") {
        compat.document(document, options.unversioned || options.accepted);
    }
    compat.workflow(root);
}

/// Rewrites the task of a function of a catalog.
pub(super) fn normalise_function(root: &mut Node, findings: &mut Findings) {
    let mut compat =
        Compat { findings, own_function: false, namespace: None, mapped_arguments: false };
    compat.task(root);
}

struct Compat<'f> {
    findings: &'f mut Findings,
    /// `use.functions` has a function that is called `function`.
    own_function: bool,
    /// Of the workflow, for `run.workflow` without one.
    namespace: Option<String>,
    /// By its `dsl`, a mapping is the right form of `arguments` of scripts and shell commands.
    mapped_arguments: bool,
}

impl Compat<'_> {
    fn deviation(&mut self, code: &'static str, place: Place, message: &str, hint: &str) {
        self.findings.deviation(code, place, message, hint);
    }

    fn workflow(&mut self, root: &mut Node) {
        if let Some(reusable) = root.get_mut("use") {
            self.reusable(reusable);
        }
        if let Some(timeout) = root.get_mut("timeout") {
            self.timeout(timeout);
        }
        if let Some(schedule) = root.get_mut("schedule") {
            self.durations(schedule, &["every", "after"]);
            if let Some(on) = schedule.get_mut("on") {
                self.strategy(on);
            }
        }
        for key in ["input", "output"] {
            if let Some(flow) = root.get_mut(key) {
                self.schema(flow);
            }
        }
        if let Some(list) = root.get_mut("do") {
            self.tasks(list);
        }
    }

    fn reusable(&mut self, node: &mut Node) {
        self.list_of_strings(node, "secrets");
        for policy in values(node.get_mut("authentications")) {
            self.authentication(policy);
        }
        for error in values(node.get_mut("errors")) {
            self.error(error);
        }
        for retry in values(node.get_mut("retries")) {
            self.retry(retry);
        }
        for timeout in values(node.get_mut("timeouts")) {
            self.timeout(timeout);
        }
        for catalog in values(node.get_mut("catalogs")) {
            self.endpoint_at(catalog, "endpoint");
        }
        for function in values(node.get_mut("functions")) {
            self.task(function);
        }
        for item in items(node.get_mut("extensions")) {
            for extension in values(Some(item)) {
                for key in ["before", "after"] {
                    if let Some(list) = extension.get_mut(key) {
                        self.tasks(list);
                    }
                }
            }
        }
    }

    /// `{after: duration}`
    fn timeout(&mut self, node: &mut Node) {
        self.durations(node, &["after"]);
    }

    fn durations(&mut self, node: &mut Node, keys: &[&str]) {
        for key in keys {
            if let Some(duration) = node.get_mut(key) {
                self.duration(duration);
            }
        }
    }

    /// Units with capitals.
    fn duration(&mut self, node: &mut Node) {
        const UNITS: [&str; 5] = ["days", "hours", "minutes", "seconds", "milliseconds"];
        let Some(members) = node.as_mapping() else { return };
        let capitals: Vec<(Arc<str>, String, Place)> = members
            .iter()
            .map(|(key, member)| (key.clone(), key.to_lowercase(), member.key))
            .filter(|(key, lower, _)| **key != **lower && UNITS.contains(&lower.as_str()))
            .collect();
        for (key, lower, place) in capitals {
            let message = format!("`{key}` is written with capitals");
            self.deviation(codes::DURATION_CASE, place, &message, &format!("write `{lower}`"));
            rename(node, &key, &lower);
        }
    }

    fn retry(&mut self, node: &mut Node) {
        self.durations(node, &["delay"]);
        if let Some(jitter) = node.get_mut("jitter") {
            self.durations(jitter, &["from", "to"]);
        }
        if let Some(limit) = node.get_mut("limit") {
            self.durations(limit, &["duration"]);
            if let Some(attempt) = limit.get_mut("attempt") {
                self.durations(attempt, &["duration"]);
            }
        }
    }

    /// An error to raise.
    fn error(&mut self, node: &mut Node) {
        if let Some(place) = rename(node, "details", "detail") {
            let message = "an error has `detail`, not `details`";
            self.deviation(codes::ERROR_DETAILS, place, message, "write `detail`");
        }
        self.strings(node, &["title", "detail"]);
    }

    fn resource(&mut self, node: &mut Node) {
        self.strings(node, &["name"]);
        self.endpoint_at(node, "endpoint");
    }

    /// Numbers and booleans where strings belong.
    fn strings(&mut self, node: &mut Node, keys: &[&str]) {
        for key in keys {
            if let Some(found) = node.get_mut(key) {
                self.stringify(found, &format!("`{key}`"));
            }
        }
    }

    fn list_of_strings(&mut self, node: &mut Node, key: &str) {
        let what = format!("an entry of `{key}`");
        let Some(found) = node.get_mut(key) else { return };
        if found.as_str().is_some() {
            let message = format!("`{key}` is a single value");
            self.deviation(codes::SCALAR_LIST, found.place, &message, "write it as a list");
            *found = Node::new(found.place, Data::Sequence(vec![found.clone()]));
        }
        for item in items(Some(found)) {
            self.stringify(item, &what);
        }
    }

    fn stringify(&mut self, node: &mut Node, what: &str) {
        let Data::Scalar { value, text, .. } = &node.data else { return };
        if matches!(value, Value::String(_) | Value::Null) {
            return;
        }
        let message = format!("{what} must be a string, not {}", node.what());
        let hint = format!("put it in quotes: \"{text}\"");
        let text = text.clone();
        self.deviation(codes::NOT_A_STRING, node.place, &message, &hint);
        let value = Value::String(text.clone());
        *node = Node::new(node.place, Data::Scalar { value, text, style: Style::Plain });
    }
}

/// The values of a mapping, when there is one.
fn values(node: Option<&mut Node>) -> impl Iterator<Item = &mut Node> {
    node.and_then(Node::as_mapping_mut)
        .into_iter()
        .flat_map(|members| members.values_mut().map(|member| &mut member.node))
}

/// The items of a sequence, when there is one.
fn items(node: Option<&mut Node>) -> impl Iterator<Item = &mut Node> {
    node.and_then(Node::as_sequence_mut).into_iter().flatten()
}

/// Calls a member by another name, in its place; gives the place of its key. Nothing happens when
/// `to` is there as well.
fn rename(node: &mut Node, from: &str, to: &str) -> Option<Place> {
    let members = node.as_mapping_mut()?;
    if members.contains_key(to) {
        return None;
    }
    let (index, _, member) = members.shift_remove_full(from)?;
    let place = member.key;
    members.shift_insert(index, to.into(), member);
    Some(place)
}

/// Takes a member out.
fn take(node: &mut Node, key: &str) -> Option<Member> {
    node.as_mapping_mut()?.shift_remove(key)
}

/// Puts a member in, at the end.
fn put(members: &mut Mapping, key: &str, place: Place, node: Node) {
    members.insert(key.into(), Member { key: place, node });
}
