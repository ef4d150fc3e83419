//! `schedule`: when instances are started without anybody asking.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Export, Flow, Input, Kind, Listen, OnFault, Output, Plan, Task, TaskIx};
use crate::cron::Cron;
use crate::id::{Digest, WorkflowId};
use crate::value::Value;

/// `schedule`, and how `document.metadata.windlass.schedule` wants it done. All triggers that are
/// given count.
#[derive(Debug, Default)]
pub struct Schedule {
    /// `every`: milliseconds from one start to the next, counted from the deployment.
    pub every: Option<u64>,
    /// `cron`
    pub cron: Option<Cron>,
    /// `after`: milliseconds from the end of an instance to the next start.
    pub after: Option<u64>,
    /// `on` and `read`: a workflow of one task that listens, whose output is the input of what is
    /// started.
    pub on: Option<Arc<Plan>>,
    /// What happens when an instance is due while another one is open.
    pub overlap: Overlap,
    /// Milliseconds by which a start may be late and is made all the same; without them, of all
    /// that were missed, the last one is made.
    pub catch_up: Option<u64>,
    /// Milliseconds over which starts of different schedules are spread.
    pub jitter: u64,
}

impl Schedule {
    /// True when something starts instances.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.every.is_some() || self.cron.is_some() || self.after.is_some() || self.on.is_some()
    }

    /// True when ends of its instances matter to it.
    #[must_use]
    pub fn follows_ends(&self) -> bool {
        self.after.is_some() || self.overlap != Overlap::Allow
    }
}

/// What happens when an instance is due while an earlier one of its schedule is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It starts beside it.
    #[default]
    Allow,
    /// It is skipped.
    Skip,
    /// It waits for its end; more than one do not.
    BufferOne,
    /// It waits for its turn.
    BufferAll,
    /// The earlier one is cancelled, and it starts when that has ended.
    Cancel,
}

impl Overlap {
    /// All of them, with what they are called.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("allow", Self::Allow),
        ("skip", Self::Skip),
        ("buffer-one", Self::BufferOne),
        ("buffer-all", Self::BufferAll),
        ("cancel", Self::Cancel),
    ];

    /// What it is called.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|it| it.1 == self).map_or("allow", |it| it.0)
    }
}

/// The workflow that listens for what starts an instance of the workflow `id`.
pub(crate) fn listener(id: WorkflowId, digest: Digest, definition: Value, listen: Listen) -> Plan {
    let index = TaskIx(0);
    let task = Task {
        index,
        name: "on".into(),
        reference: "/schedule/on".into(),
        definition: Value::Null,
        condition: None,
        input: Input::default(),
        output: Output::default(),
        export: Export::default(),
        timeout: None,
        then: Flow::Continue,
        metadata: Value::Null,
        pool: None,
        on_fault: None,
        limit: None,
        kind: Kind::Listen(listen),
        variables: [].into(),
    };
    Plan {
        id,
        digest,
        title: None,
        summary: None,
        tags: Value::Null,
        metadata: Value::Null,
        on_fault: OnFault::Fault,
        fault_workflow: None,
        limit: None,
        keep_events: None,
        retention: None,
        definition,
        tasks: vec![task],
        root: [index].into(),
        input: Input::default(),
        output: Output::default(),
        timeout: None,
        secrets: Vec::new(),
        authentications: BTreeMap::new(),
        functions: BTreeMap::new(),
        catalogs: BTreeMap::new(),
        extensions: Vec::new(),
        schedule: None,
    }
}
