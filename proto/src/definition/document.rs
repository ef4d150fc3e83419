//! The workflow itself: `document` and what stands beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::codes;
use super::decoder::{Decoder, optional};
use super::lints::OUTSIDE_TASKS;
use super::node::{Data, Node};
use crate::id::{Digest, WorkflowId};
use crate::plan::{Extension, FaultWorkflow, Limit, OnFault, Plan, Schedule, listener};
use crate::value::Value;

const ROOT: &[&str] =
    &["document", "input", "use", "do", "timeout", "output", "schedule", "evaluate"];

const DOCUMENT: &[&str] =
    &["dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata"];

/// What `document` says.
struct Document {
    id: WorkflowId,
    title: Option<Arc<str>>,
    summary: Option<Arc<str>>,
    tags: Value,
    metadata: Value,
    pool: Option<Arc<str>>,
    on_fault: OnFault,
    fault_workflow: Option<FaultWorkflow>,
    limit: Option<Arc<Limit>>,
    keep_events: Option<u64>,
    retention: Option<u64>,
}

impl Decoder<'_> {
    /// The whole workflow; `None` when anything was refused.
    pub(super) fn workflow(mut self, root: &Node, digest: Digest) -> (Option<Plan>, Self) {
        let plan = self.plan(root, digest);
        (plan.filter(|_| !self.findings.has_errors()), self)
    }

    fn plan(&mut self, root: &Node, digest: Digest) -> Option<Plan> {
        self.open(root, "a workflow", ROOT)?;
        let document =
            self.required(root, "document", "a workflow").and_then(|node| self.document(node));
        optional(root.get("evaluate"), |node| self.evaluate(node));
        let mut extensions = Some(Vec::<Extension>::new());
        if let Some(reusable) = root.get("use") {
            let bound = bound_names(root);
            self.reusable_parts(reusable, bound.clone());
            self.extended = true;
            self.functions(reusable);
            extensions = self.extensions(reusable, bound);
            self.extended = false;
        }
        let input = self.where_null(OUTSIDE_TASKS, |decoder| {
            optional(root.get("input"), |node| decoder.input(node))
        });
        let timeout = optional(root.get("timeout"), |node| self.timeout(node));
        self.check_schemas(root, &["input", "output"]);
        let schedule = self.where_null(OUTSIDE_TASKS, |decoder| decoder.schedule(root));
        let tasks =
            self.required(root, "do", "a workflow").and_then(|node| self.task_list(node, "/do"));
        let output = self.where_null(OUTSIDE_TASKS, |decoder| {
            optional(root.get("output"), |node| decoder.output(node))
        });
        self.pinned_functions();
        let document = document?;
        self.assign_pools(document.pool.as_ref());
        let mut reusable = std::mem::take(&mut self.reusable);
        reusable.functions.extend(self.cataloged.take_compiled());
        let definition = root.value();
        let schedule = schedule?.map(|(schedule, on)| {
            let own = |it| listener(document.id.clone(), digest.clone(), definition.clone(), it);
            Schedule { on: on.map(|it| Arc::new(own(it))), ..schedule }
        });
        Some(Plan {
            id: document.id,
            digest,
            title: document.title,
            summary: document.summary,
            tags: document.tags,
            metadata: document.metadata,
            on_fault: document.on_fault,
            fault_workflow: document.fault_workflow,
            limit: document.limit,
            keep_events: document.keep_events,
            retention: document.retention,
            definition,
            root: tasks?,
            tasks: std::mem::take(&mut self.tasks).into_iter().collect::<Option<_>>()?,
            input: input?.unwrap_or_default(),
            output: output?.unwrap_or_default(),
            timeout: timeout?,
            secrets: reusable.secrets,
            authentications: all(reusable.authentications)?,
            functions: reusable.functions,
            catalogs: all(reusable.catalogs)?,
            extensions: extensions?,
            schedule,
        })
    }

    fn document(&mut self, node: &Node) -> Option<Document> {
        let what = "`document`";
        let mut known: Vec<&str> = DOCUMENT.to_vec();
        for (key, member) in node.as_mapping().into_iter().flatten() {
            if key.starts_with("x-") {
                known.push(key);
                let message = format!("`document` has no property `{key}`");
                let hint = "what is for people and tools goes into `document.metadata`";
                self.deviation(codes::DOCUMENT_EXTENSION, member.key, message, hint);
            }
        }
        self.closed(node, what, &known)?;
        self.required_so(node, "dsl", what, "write `dsl: 1.0.3`").and_then(|node| self.dsl(node));
        let namespace =
            self.required(node, "namespace", what).and_then(|node| self.namespace(node));
        let name = self.required(node, "name", what).and_then(|node| self.name(node, "`name`"));
        let hint = "write `version: 0.1.0`; only `windlass run` and `windlass dev` do without";
        let version = self
            .required_so(node, "version", what, hint)
            .and_then(|node| self.version(node, "`version`"));
        let title = optional(node.get("title"), |node| self.string(node, "`title`"));
        let summary = optional(node.get("summary"), |node| self.string(node, "`summary`"));
        let tags = self.metadata_named(node.get("tags"), "`tags`");
        let metadata = self.metadata(node.get("metadata"));
        let known = ["pool", "schedule", "onFault", "limit", "keepEvents", "retention"];
        let pool = self.pool(node.get("metadata"), &known);
        let fault_workflow = self.fault_workflow(node.get("metadata"));
        let on_fault = match fault_workflow {
            Some(None) => self.on_fault(node.get("metadata")),
            _ => Some(None),
        };
        let limit = self.where_null(OUTSIDE_TASKS, |it| it.limit(node.get("metadata")));
        let keep_events = self.keep_events(node.get("metadata"));
        let retention = self.retention(node.get("metadata"));
        Some(Document {
            id: WorkflowId { namespace: namespace?, name: name?, version: version?.0 },
            title: title?,
            summary: summary?,
            tags: tags?,
            metadata: metadata?,
            pool: pool?,
            on_fault: on_fault?.unwrap_or_default(),
            fault_workflow: fault_workflow?,
            limit: limit?,
            keep_events: keep_events?,
            retention: retention?.flatten(),
        })
    }

    /// The workflow that `metadata` has started when an instance faults, where it names one.
    fn fault_workflow(&mut self, metadata: Option<&Node>) -> Option<Option<FaultWorkflow>> {
        const WHAT: &str = "`metadata.windlass.onFault`";
        let own = metadata.and_then(|node| node.get("windlass"));
        let found = own.and_then(|node| node.get("onFault"));
        // A word says what becomes of the instance itself.
        let Some(node) = found.filter(|it| it.as_mapping().is_some()) else { return Some(None) };
        self.closed(node, WHAT, &["workflow", "version"])?;
        let name = self
            .required(node, "workflow", WHAT)
            .and_then(|it| self.name(it, "`onFault.workflow`"));
        let version = match node.get("version") {
            None => Some("latest".into()),
            Some(it) if it.as_str() == Some("latest") => Some("latest".into()),
            Some(it) => self.version(it, "`onFault.version`").map(|(text, _)| text),
        };
        Some(Some(FaultWorkflow { name: name?, version: version? }))
    }

    fn metadata_named(&mut self, node: Option<&Node>, what: &str) -> Option<Value> {
        let Some(node) = node else { return Some(Value::Null) };
        self.mapping(node, what)?;
        Some(node.value())
    }

    fn dsl(&mut self, node: &Node) -> Option<()> {
        let (text, version) = self.version(node, "`dsl`")?;
        if version.major != 1 {
            let message = format!("version {text} of the DSL is not supported");
            let hint = "this runs 1.0.x; older versions have another structure";
            self.error(codes::UNSUPPORTED_DSL, node.place, message, hint);
        } else if version.minor > 0 {
            let message = format!("version {text} of the DSL is newer than 1.0");
            let hint = "what that version added may be refused";
            self.warning(codes::NEWER_DSL, node.place, message, hint);
        }
        Some(())
    }

    fn version(&mut self, node: &Node, what: &str) -> Option<(Arc<str>, semver::Version)> {
        let text = match &node.data {
            Data::Scalar { value: Value::Null, .. } | Data::Sequence(_) | Data::Mapping(_) => {
                return self.wrong(node, what, "a semantic version");
            }
            Data::Scalar { text, .. } => text,
        };
        if let (Some(text), Ok(version)) = (node.as_str(), semver::Version::parse(text)) {
            return Some((text.into(), version));
        }
        let message = format!("{what} must be a semantic version, not `{text}`");
        let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let full = [bare.to_owned(), format!("{bare}.0"), format!("{bare}.0.0")];
        let hint = match full.iter().find(|it| semver::Version::parse(it).is_ok()) {
            Some(full) => format!("write \"{full}\""),
            None => "three numbers with dots between, such as \"1.0.0\"".to_owned(),
        };
        self.error(codes::BAD_PATTERN, node.place, message, &hint);
        None
    }

    /// `namespace`, in which a dot or an underscore inside is accepted.
    fn namespace(&mut self, node: &Node) -> Option<Arc<str>> {
        let signs = |c: char| c == '.' || c == '_';
        if let Some(text) = node.as_str().filter(|text| text.contains(signs)) {
            let plain = text.replace(signs, "-");
            if is_name(&plain) && !text.contains("..") {
                let message = format!("`namespace` has a dot or an underscore: `{text}`");
                let hint = format!("write `{plain}`");
                self.deviation(codes::NAMESPACE_SIGNS, node.place, message, &hint);
                return Some(text.into());
            }
        }
        self.name(node, "`namespace`")
    }

    fn name(&mut self, node: &Node, what: &str) -> Option<Arc<str>> {
        let name = self.string(node, what)?;
        if is_name(&name) {
            return Some(name);
        }
        let message = format!("{what} cannot be `{name}`");
        let hint = "up to 63 letters, digits and dashes, with a letter or digit at both ends";
        self.error(codes::BAD_PATTERN, node.place, message, hint);
        None
    }

    fn evaluate(&mut self, node: &Node) -> Option<()> {
        self.closed(node, "`evaluate`", &["language", "mode"])?;
        if let Some(language) = node.get("language") {
            let name = self.string(language, "`evaluate.language`")?;
            if &*name != "jq" {
                let message = format!("expressions in `{name}` are not supported");
                self.error(codes::EXPRESSION_LANGUAGE, language.place, message, "write them in jq");
            }
        }
        if let Some(mode) = node.get("mode") {
            self.loose =
                self.choice(mode, "`evaluate.mode`", &[("strict", false), ("loose", true)])?;
        }
        Some(())
    }
}

/// What the specification allows as a name: that of a host in DNS.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 63;
    let outer = |c: char| c.is_ascii_alphanumeric();
    text.len() <= LONGEST
        && text.chars().all(|c| outer(c) || c == '-')
        && text.starts_with(outer)
        && text.ends_with(outer)
}

fn all<T>(parts: BTreeMap<Arc<str>, Option<T>>) -> Option<BTreeMap<Arc<str>, T>> {
    parts.into_iter().map(|(name, part)| Some((name, part?))).collect()
}

/// Every name that any task might bind, found by the keys that bind names.
fn bound_names(root: &Node) -> Vec<Arc<str>> {
    fn collect(node: &Node, names: &mut Vec<Arc<str>>) {
        match &node.data {
            Data::Scalar { .. } => {}
            Data::Sequence(items) => items.iter().for_each(|item| collect(item, names)),
            Data::Mapping(members) => {
                for (key, member) in members {
                    let binds = matches!(&**key, "each" | "at" | "item" | "as");
                    if let Some(name) = member.node.as_str().filter(|_| binds) {
                        let name = name.strip_prefix('$').unwrap_or(name);
                        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                        if !name.is_empty() && name.chars().all(word) {
                            names.push(name.into());
                        }
                    }
                    collect(&member.node, names);
                }
            }
        }
    }
    let mut names: Vec<Arc<str>> = ["item", "index", "error"].map(Into::into).to_vec();
    collect(root, &mut names);
    names.sort();
    names.dedup();
    names
}
