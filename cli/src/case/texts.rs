//! Definitions of a suite, with their files: where a task stands.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_proto::definition::located::Document;
use windlass_proto::id::WorkflowId;
use windlass_proto::plan::Plan;

/// A definition, checked.
#[derive(Clone)]
pub(crate) struct Text {
    /// Its file, as it was named.
    pub(crate) path: PathBuf,
    /// Its text, functions of catalogs included.
    pub(crate) text: String,
    /// What it says.
    pub(crate) plan: Arc<Plan>,
}

/// The definitions of a suite: first the one that is tested.
#[derive(Clone)]
pub(crate) struct Texts(pub(crate) Vec<Text>);

impl Texts {
    /// The definition of a workflow.
    fn of(&self, workflow: &WorkflowId) -> Option<&Text> {
        self.0.iter().find(|it| it.plan.id == *workflow)
    }

    /// `FILE:LINE` of the task that a JSON pointer leads to.
    pub(crate) fn place(&self, workflow: &WorkflowId, reference: &str) -> Option<String> {
        self.of(workflow).map(|text| text.place(reference))
    }

    /// True when some workflow has a task of this name or JSON pointer.
    pub(crate) fn has_task(&self, task: &str) -> bool {
        self.tasks().any(|(reference, name)| match task.starts_with('/') {
            true => task == reference || is_call_of(task, reference),
            false => task == name,
        })
    }

    /// JSON pointers and names of all tasks.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = (&str, &str)> {
        let tasks = self.0.iter().flat_map(|it| &it.plan.tasks);
        tasks.map(|it| (&*it.reference, &*it.name))
    }
}

/// True for a task of a function: its pointer begins with that of the call, wherever that is.
fn is_call_of(task: &str, reference: &str) -> bool {
    !reference.starts_with("/do/") && task.ends_with(reference)
}

impl Text {
    /// `FILE:LINE` of the task that a JSON pointer leads to.
    pub(crate) fn place(&self, reference: &str) -> String {
        let line = Document::parse(windlass_proto::definition::pins::source(&self.text))
            .map_or(1, |document| document.line_of(reference));
        format!("{}:{line}", self.path.display())
    }

    /// The directory of its file.
    pub(crate) fn folder(&self) -> PathBuf {
        let parent = self.path.parent().filter(|it| *it != Path::new(""));
        parent.unwrap_or_else(|| Path::new(".")).to_owned()
    }
}
