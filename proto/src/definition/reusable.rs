//! `use`: what tasks refer to by name.

use std::sync::Arc;

use super::codes;
use super::decoder::{Decoder, optional};
use super::node::{Mapping, Node, escape};
use super::task::{Position, Siblings};
use crate::plan::{Extension, TaskIx};
use crate::secret::SecretName;

const PARTS: &[&str] = &[
    "authentications",
    "errors",
    "extensions",
    "functions",
    "retries",
    "secrets",
    "timeouts",
    "catalogs",
];

pub(in crate::definition) const TARGETS: &[&str] = &[
    "call",
    "composite",
    "emit",
    "for",
    "listen",
    "raise",
    "run",
    "set",
    "switch",
    "try",
    "wait",
    "all",
    "extension",
];

impl Decoder<'_> {
    /// Everything of `use` but its tasks, which may refer to all of it.
    ///
    /// `bound` are all variables any task of the definition binds: what is reused may name them, as
    /// it is evaluated where it is used.
    pub(super) fn reusable_parts(&mut self, node: &Node, bound: Vec<Arc<str>>) {
        if self.closed(node, "`use`", PARTS).is_none() {
            return;
        }
        if let Some(names) = node.get("secrets").and_then(|it| self.strings(it, "`use.secrets`")) {
            self.names.secrets = names;
            self.secrets_without_slot(node.get("secrets"));
        }
        let secrets = self.names.secrets.iter().cloned().map(SecretName);
        self.reusable.secrets = secrets.collect();
        self.declared = self.names.secrets.iter().cloned().collect();
        let bound: Vec<_> = bound.into_iter().map(Some).collect();
        self.bound(&bound, |decoder| decoder.named_parts(node));
        for (name, member) in self.part(node, "functions").into_iter().flatten() {
            self.check_name(name, member.key);
            let index = self.reserve();
            self.reusable.functions.insert(name.clone(), index);
        }
    }

    /// Warns of secrets that a store cannot find by their names.
    fn secrets_without_slot(&mut self, node: Option<&Node>) {
        let hint = "use letters, digits, `-`, `_` and `.`, or give it a place of its own in the workers' \
                    secrets.toml";
        for item in node.and_then(Node::as_sequence).into_iter().flatten() {
            let Some(name) = item.as_str().filter(|it| !SecretName((*it).into()).has_slot()) else {
                continue;
            };
            let message =
                format!("the name of the secret `{name}` cannot be a part of a path in a store");
            self.warning(codes::SECRET_WITHOUT_SLOT, item.place, message, hint);
        }
    }

    fn part<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n Mapping> {
        let found = node.get(key)?;
        self.mapping(found, &format!("`use.{key}`"))
    }

    fn named_parts(&mut self, node: &Node) {
        // Authentications first: catalogs refer to them. Until all are known each name stands for
        // nothing, so that none refers to another.
        let authentications = self.part(node, "authentications");
        for (name, member) in authentications.into_iter().flatten() {
            let decoded = self.defined_authentication(&member.node);
            self.reusable.authentications.insert(name.clone(), decoded);
        }
        for (name, member) in self.part(node, "errors").into_iter().flatten() {
            let decoded = self.raised_error(&member.node);
            self.reusable.errors.insert(name.clone(), decoded);
        }
        for (name, member) in self.part(node, "retries").into_iter().flatten() {
            let decoded = self.retry_in_place(&member.node).map(Arc::new);
            self.reusable.retries.insert(name.clone(), decoded);
        }
        for (name, member) in self.part(node, "timeouts").into_iter().flatten() {
            let decoded = self.timeout_in_place(&member.node);
            self.reusable.timeouts.insert(name.clone(), decoded);
        }
        for (name, member) in self.part(node, "catalogs").into_iter().flatten() {
            let what = format!("the catalog `{name}`");
            let decoded = self.closed(&member.node, &what, &["endpoint"]).and_then(|_| {
                let endpoint = self.required(&member.node, "endpoint", &what)?;
                self.endpoint(endpoint, "`endpoint`")
            });
            self.reusable.catalogs.insert(name.clone(), decoded);
        }
    }

    fn defined_authentication(&mut self, node: &Node) -> Option<Arc<crate::plan::Authentication>> {
        if let Some(used) = node.get("use") {
            let message = "an authentication in `use.authentications` cannot refer to another";
            let hint = "write the policy here; a secret goes inside the scheme";
            self.error(codes::USE_IN_USE, used.place, message, hint);
            return None;
        }
        self.authentication(node, true).map(Arc::new)
    }

    /// The tasks of `use.functions`; each starts the pointers of its own tasks anew.
    pub(super) fn functions(&mut self, node: &Node) {
        let Some(functions) = node.get("functions").and_then(Node::as_mapping) else { return };
        for (name, member) in functions {
            let index: Option<TaskIx> = self.reusable.functions.get(name).copied();
            if let Some(index) = index {
                let position = Position { pointer: "", siblings: Siblings::Alone };
                self.task(index, name, &member.node, position);
            }
        }
    }

    /// `use.extensions`
    pub(super) fn extensions(
        &mut self,
        node: &Node,
        bound: Vec<Arc<str>>,
    ) -> Option<Vec<Extension>> {
        let Some(extensions) = node.get("extensions") else { return Some(Vec::new()) };
        let items = self.sequence(extensions, "`use.extensions`")?;
        let bound: Vec<_> = bound.into_iter().map(Some).collect();
        let found: Vec<_> = self.bound(&bound, |decoder| {
            items.iter().enumerate().map(|(at, item)| decoder.extension(at, item)).collect()
        });
        found.into_iter().collect()
    }

    fn extension(&mut self, at: usize, item: &Node) -> Option<Extension> {
        let members = self.mapping(item, "an item of `use.extensions`")?;
        let (Some((name, member)), 1) = (members.first(), members.len()) else {
            let message =
                format!("an item must hold one extension, this one has {}", members.len());
            let hint = "start each extension with a dash of its own: `- name: { … }`";
            self.error(codes::NOT_ONE_TASK, item.place, message, hint);
            return None;
        };
        self.check_name(name, member.key)?;
        let node = &member.node;
        let what = format!("the extension `{name}`");
        self.closed(node, &what, &["extend", "when", "before", "after"])?;
        let extend = self.required(node, "extend", &what).and_then(|node| self.target(node));
        let when = self.condition_at(node, "when");
        let mut list = |key: &str| {
            let pointer = format!("/use/extensions/{at}/{}/{key}", escape(name));
            optional(node.get(key), |node| self.task_list(node, &pointer))
        };
        let (before, after) = (list("before"), list("after"));
        Some(Extension {
            name: name.clone(),
            extend: extend?,
            when: when?,
            before: before?.unwrap_or_else(|| [].into()),
            after: after?.unwrap_or_else(|| [].into()),
        })
    }

    fn target(&mut self, node: &Node) -> Option<Arc<str>> {
        let target = self.string(node, "`extend`")?;
        if &*target == "extension" {
            let message = "an extension never applies to the tasks of extensions";
            self.deviation(codes::EXTEND_EXTENSION, node.place, message, "remove it");
        }
        if TARGETS.contains(&&*target) {
            return Some(target);
        }
        let hint = match &*target {
            "do" | "fork" => "`composite` stands for `do` and `fork`".to_owned(),
            _ => self.hint(&target, TARGETS.iter().copied()),
        };
        self.error(codes::NOT_ONE_OF, node.place, format!("`extend` cannot be `{target}`"), &hint);
        None
    }
}
