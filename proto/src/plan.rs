//! A definition made ready to run: references resolved, expressions compiled, tasks indexed.
//!
//! A [`Plan`] is immutable and shared by all instances of its digest. Tasks live in one arena and
//! are named by [`TaskIx`]; a list of tasks is a slice of indices.

mod action;
mod approval;
mod authentication;
pub mod data_flow;
mod event;
mod limit;
mod mcp;
mod requirements;
mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use action::{
    A2aCall, Argument, AsyncApiCall, AsyncApiSubscription, Consume, Container, ExternalResource,
    FunctionCall, FunctionTarget, GrpcCall, GrpcTypes, HttpCall, HttpOutput, OpenApiCall, Return,
    Script, ScriptBody, Shell, SubWorkflow,
};
pub use approval::{Approval, Form};
pub use authentication::{
    Authentication, ClientAuthentication, Credentials, Endpoint, Grant, OAuth2, OAuth2Endpoints,
    Token,
};
pub use limit::{LIMIT_ERROR, Limit, LimitTerms, OnFull, Rate};
pub use mcp::{McpCall, McpTransport, McpVersion};
pub use requirements::{ReachableSecrets, uses_input};
pub(crate) use schedule::listener;
pub use schedule::{Overlap, Schedule};

pub use event::{Correlation, EventFilter, Listen, ReadAs, Strategy, Subscription, Until};

use crate::expression::{Program, Template, UriTemplate};
use crate::id::{Digest, WorkflowId};
use crate::schema::Schema;
use crate::secret::SecretName;
use crate::value::Value;
use crate::wire::subject::is_token;

/// The pool of workers that takes what names no other.
pub const DEFAULT_POOL: &str = "default";

/// True for what a pool of workers can be called: 1 to
/// [`POOL_NAME_BYTES`](crate::limits::POOL_NAME_BYTES) letters, digits, dashes and underscores.
#[must_use]
pub fn is_pool_name(name: &str) -> bool {
    is_token(name)
}

/// Index of a task in [`Plan::tasks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskIx(pub u32);

/// Tasks in declaration order.
pub type TaskList = Arc<[TaskIx]>;

/// A definition made ready to run.
#[derive(Debug)]
pub struct Plan {
    /// Namespace, name and version.
    pub id: WorkflowId,
    /// Digest of the text this plan was made from.
    pub digest: Digest,
    /// `document.title`.
    pub title: Option<Arc<str>>,
    /// `document.summary`, in Markdown.
    pub summary: Option<Arc<str>>,
    /// `document.tags`.
    pub tags: Value,
    /// `document.metadata`.
    pub metadata: Value,
    /// `metadata.windlass.onFault` of the document.
    pub on_fault: OnFault,
    /// The workflow that `metadata.windlass.onFault` of the document names: it is started when an
    /// instance faults.
    pub fault_workflow: Option<FaultWorkflow>,
    /// `metadata.windlass.limit` of the document.
    pub limit: Option<Arc<Limit>>,
    /// `metadata.windlass.keepEvents` of the document: milliseconds for which an event that a task
    /// of it may listen for is kept before one does, where that is longer than usual.
    pub keep_events: Option<u64>,
    /// `metadata.windlass.retention` of the document: milliseconds that instances are kept for once
    /// they have ended.
    pub retention: Option<u64>,
    /// The definition as data, normalised to the specification's spelling: `$workflow.definition`.
    pub definition: Value,
    /// All tasks: the workflow's own, those of `use.functions`, those of extensions.
    pub tasks: Vec<Task>,
    /// `do`.
    pub root: TaskList,
    /// `input`.
    pub input: Input,
    /// `output`.
    pub output: Output,
    /// `timeout`.
    pub timeout: Option<Duration>,
    /// `use.secrets`.
    pub secrets: Vec<SecretName>,
    /// `use.authentications`.
    pub authentications: BTreeMap<Arc<str>, Arc<Authentication>>,
    /// `use.functions`, by name, and functions of catalogs, by where they came from. Such a task's
    /// [`Task::reference`] starts at the function.
    pub functions: BTreeMap<Arc<str>, TaskIx>,
    /// `use.catalogs`: name to endpoint.
    pub catalogs: BTreeMap<Arc<str>, Endpoint>,
    /// `use.extensions`, in declaration order.
    pub extensions: Vec<Extension>,
    /// `schedule`.
    pub schedule: Option<Schedule>,
}

impl Plan {
    /// The task at `index`. An index comes only from this plan, so it always exists.
    #[must_use]
    pub fn task(&self, index: TaskIx) -> &Task {
        &self.tasks[index.0 as usize]
    }
}

/// What becomes of an instance when a task of it fails and nothing catches that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    /// It ends with the error.
    #[default]
    Fault,
    /// It is suspended until an operator lets the task be tried again, gives its output, or cancels
    /// the instance.
    Suspend,
}

/// A workflow that is started when an instance of another one faults, in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultWorkflow {
    /// Its name.
    pub name: Arc<str>,
    /// Its version; `latest` for the highest.
    pub version: Arc<str>,
}

impl OnFault {
    /// As a definition has them.
    pub const WORDS: &[(&str, Self)] = &[("fault", Self::Fault), ("suspend", Self::Suspend)];
}

/// One task, whatever its kind.
#[derive(Debug)]
pub struct Task {
    /// Its index in the plan.
    pub index: TaskIx,
    /// The name its list gives it.
    pub name: Arc<str>,
    /// JSON pointer of the task, such as `/do/0/getPet`; inside `use.functions`, relative to the
    /// function (empty for the function's own task), as the call site's pointer comes before it.
    pub reference: Arc<str>,
    /// The task as data, for `$task.definition`.
    pub definition: Value,
    /// `if`.
    pub condition: Option<Program>,
    /// `input`.
    pub input: Input,
    /// `output`.
    pub output: Output,
    /// `export`.
    pub export: Export,
    /// `timeout`.
    pub timeout: Option<Duration>,
    /// `then`.
    pub then: Flow,
    /// `metadata`; null when absent.
    pub metadata: Value,
    /// The pool of workers that what a worker does for this task must go to:
    /// `metadata.windlass.pool` of the task, else of the document; `None` for the default pool.
    pub pool: Option<Arc<str>>,
    /// `metadata.windlass.onFault` of the task: for its own errors and those of tasks inside.
    pub on_fault: Option<OnFault>,
    /// `metadata.windlass.limit` of the task.
    pub limit: Option<Arc<Limit>>,
    /// What the task does.
    pub kind: Kind,
    /// Names of the variables that the expressions a worker evaluates for this task use:
    /// `input.from`, the definition, `output.as`; sorted, without repeats. Empty for tasks that the
    /// coordinator runs itself.
    pub variables: Arc<[Arc<str>]>,
}

/// `input` of a workflow or task.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// `schema`, checked on the raw input.
    pub schema: Option<SchemaSource>,
    /// `from`; absent means the identity.
    pub from: Option<Template>,
}

/// `output` of a workflow or task.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// `as`; absent means the identity.
    pub transform: Option<Template>,
    /// `schema`, checked on the transformed output.
    pub schema: Option<SchemaSource>,
}

/// `export` of a task.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// `as`; absent keeps the context.
    pub transform: Option<Template>,
    /// `schema`, checked on the new context.
    pub schema: Option<SchemaSource>,
}

/// Where a schema comes from.
#[derive(Clone, Debug)]
pub enum SchemaSource {
    /// `document`, compiled.
    Inline(Schema),
    /// `resource`, fetched by a worker when the schema is needed.
    External(ExternalResource),
}

/// A duration of the definition, in milliseconds.
#[derive(Clone, Debug)]
pub enum Duration {
    /// A literal.
    Fixed(u64),
    /// An expression that gives ISO 8601 text or an object of units.
    Computed(Template),
}

/// Where the flow goes after a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Flow {
    /// The next task of the list, or the end of the list.
    #[default]
    Continue,
    /// The end of the enclosing list.
    Exit,
    /// The end of the workflow.
    End,
    /// The task at this position of the same list.
    Task(u32),
}

/// What a task does.
#[derive(Debug)]
pub enum Kind {
    /// `do`
    Do(TaskList),
    /// `set`
    Set(Template),
    /// `switch`
    Switch(Vec<Case>),
    /// `for`
    For(For),
    /// `fork`
    Fork(Fork),
    /// `try`
    Try(Try),
    /// `raise`
    Raise(Raise),
    /// `wait`
    Wait(Duration),
    /// `emit`: the event's attributes and data.
    Emit(Template),
    /// `listen`
    Listen(Listen),
    /// `call: http`
    Http(Box<HttpCall>),
    /// `call: openapi`
    OpenApi(Box<OpenApiCall>),
    /// `call: grpc`
    Grpc(Box<GrpcCall>),
    /// `call: asyncapi`
    AsyncApi(Box<AsyncApiCall>),
    /// `call: a2a`
    A2a(Box<A2aCall>),
    /// `call: mcp`
    Mcp(Box<McpCall>),
    /// `call` of a function by name.
    Function(FunctionCall),
    /// `call: windlass.approval`
    Approval(Box<Approval>),
    /// `run.container`
    Container(Box<Container>),
    /// `run.script`
    Script(Box<Script>),
    /// `run.shell`
    Shell(Box<Shell>),
    /// `run.workflow`
    Workflow(SubWorkflow),
}

impl Kind {
    /// True when a worker performs the task; the coordinator runs all others itself.
    #[must_use]
    pub fn is_dispatched(&self) -> bool {
        match self {
            Self::Http(_)
            | Self::OpenApi(_)
            | Self::Grpc(_)
            | Self::AsyncApi(_)
            | Self::A2a(_)
            | Self::Mcp(_)
            | Self::Container(_)
            | Self::Script(_)
            | Self::Shell(_) => true,
            Self::Function(call) => matches!(call.target, FunctionTarget::Registered(_)),
            Self::Do(_)
            | Self::Set(_)
            | Self::Switch(_)
            | Self::For(_)
            | Self::Fork(_)
            | Self::Try(_)
            | Self::Raise(_)
            | Self::Wait(_)
            | Self::Emit(_)
            | Self::Listen(_)
            | Self::Approval(_)
            | Self::Workflow(_) => false,
        }
    }

    /// Calls `each` with the name of every variable that the definition of a task which the
    /// coordinator runs itself uses (with repeats).
    pub fn each_variable(&self, each: &mut dyn FnMut(&Arc<str>)) {
        match self {
            Self::Set(template) | Self::Emit(template) => template.each_variable(each),
            Self::Switch(cases) => {
                let conditions = cases.iter().filter_map(|case| case.when.as_ref());
                conditions.flat_map(Program::variables).for_each(each);
            }
            Self::For(it) => it.items.each_variable(each),
            Self::Raise(raise) => raise.parts().for_each(|part| part.each_variable(each)),
            Self::Function(call) => call.with.iter().for_each(|with| with.each_variable(each)),
            // A worker that evaluates the input evaluates the rest as well.
            Self::Workflow(child) => {
                let names = [&child.namespace, &child.name, &child.version].into_iter();
                names.chain(&child.input).for_each(|part| part.each_variable(each));
            }
            _ => {}
        }
    }

    /// The specification's word for the kind: the key that tells a task's type.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Do(_) => "do",
            Self::Set(_) => "set",
            Self::Switch(_) => "switch",
            Self::For(_) => "for",
            Self::Fork(_) => "fork",
            Self::Try(_) => "try",
            Self::Raise(_) => "raise",
            Self::Wait(_) => "wait",
            Self::Emit(_) => "emit",
            Self::Listen(_) => "listen",
            Self::Http(_)
            | Self::OpenApi(_)
            | Self::Grpc(_)
            | Self::AsyncApi(_)
            | Self::A2a(_)
            | Self::Mcp(_)
            | Self::Function(_)
            | Self::Approval(_) => "call",
            Self::Container(_) | Self::Script(_) | Self::Shell(_) | Self::Workflow(_) => "run",
        }
    }

    /// What it calls or runs, in the words of definitions; none where it does neither.
    #[must_use]
    pub fn detail(&self) -> Option<&'static str> {
        Some(match self {
            Self::Http(_) => "http",
            Self::OpenApi(_) => "openapi",
            Self::Grpc(_) => "grpc",
            Self::AsyncApi(_) => "asyncapi",
            Self::A2a(_) => "a2a",
            Self::Mcp(_) => "mcp",
            Self::Function(_) => "function",
            Self::Approval(_) => "approval",
            Self::Container(_) => "container",
            Self::Script(_) => "script",
            Self::Shell(_) => "shell",
            Self::Workflow(_) => "workflow",
            Self::Do(_)
            | Self::Set(_)
            | Self::Switch(_)
            | Self::For(_)
            | Self::Fork(_)
            | Self::Try(_)
            | Self::Raise(_)
            | Self::Wait(_)
            | Self::Emit(_)
            | Self::Listen(_) => return None,
        })
    }
}

/// A case of `switch`.
#[derive(Debug)]
pub struct Case {
    /// The name the list gives it.
    pub name: Arc<str>,
    /// `when`; absent for the default case.
    pub when: Option<Program>,
    /// `then`.
    pub then: Flow,
}

/// `for`
#[derive(Debug)]
pub struct For {
    /// Name of the current item, without `$`.
    pub each: Arc<str>,
    /// Name of the current index, without `$`.
    pub at: Arc<str>,
    /// `in`: an expression, or an inline array.
    pub items: Template,
    /// `while`: evaluated before each iteration.
    pub condition: Option<Program>,
    /// `do`
    pub body: TaskList,
}

/// `fork`
#[derive(Debug)]
pub struct Fork {
    /// `branches`: each task is a branch.
    pub branches: TaskList,
    /// `compete`
    pub compete: bool,
}

/// `try`
#[derive(Debug)]
pub struct Try {
    /// `try`
    pub body: TaskList,
    /// `catch`: the specification allows one; a list is accepted, the first that matches wins.
    pub clauses: Vec<Catch>,
}

/// One `catch`.
#[derive(Debug)]
pub struct Catch {
    /// `errors.with`: any of these filters matches; empty matches every error.
    pub errors: Vec<ErrorFilter>,
    /// `as`, without `$`.
    pub variable: Arc<str>,
    /// `when`
    pub when: Option<Program>,
    /// `exceptWhen`
    pub except_when: Option<Program>,
    /// `retry`
    pub retry: Option<Arc<Retry>>,
    /// `do`; absent differs from empty: a retry that is exhausted then raises again.
    pub body: Option<TaskList>,
    /// `then`
    pub then: Option<Flow>,
}

/// Static filter of errors: every field given must match.
#[derive(Clone, Debug, Default)]
pub struct ErrorFilter {
    /// `type`: compared with [`crate::problem::same_type`].
    pub kind: Option<Template>,
    /// `status`
    pub status: Option<Template>,
    /// `instance`
    pub instance: Option<Template>,
    /// `title`
    pub title: Option<Template>,
    /// `detail`, also spelt `details`.
    pub detail: Option<Template>,
}

/// A retry policy.
#[derive(Debug, Default)]
pub struct Retry {
    /// `when`
    pub when: Option<Program>,
    /// `exceptWhen`
    pub except_when: Option<Program>,
    /// `delay`; absent means none.
    pub delay: Option<Duration>,
    /// `backoff`
    pub backoff: Backoff,
    /// `jitter`: least and most to add to each delay.
    pub jitter: Option<(Duration, Duration)>,
    /// `limit.attempt.count`: retries, not counting the first attempt; absent means no limit.
    pub attempts: Option<u32>,
    /// `limit.attempt.duration`: how long each attempt may take.
    pub attempt_duration: Option<Duration>,
    /// `limit.duration`: how long all attempts together may take.
    pub duration: Option<Duration>,
}

/// How delays grow. Vendor keys of the free-form objects are honoured where they are numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Backoff {
    /// Every delay is the same.
    #[default]
    Constant,
    /// The nth delay is `delay * n`.
    Linear,
    /// The nth delay is `delay * multiplier^(n-1)`.
    Exponential {
        /// 2 unless `multiplier` says otherwise.
        multiplier: f64,
        /// `maxDelay`, in milliseconds.
        longest: Option<u64>,
    },
}

/// `raise`: the parts of the error.
#[derive(Clone, Debug)]
pub struct Raise {
    /// `type`
    pub kind: UriTemplate,
    /// `status`
    pub status: Template,
    /// `title`
    pub title: Option<Template>,
    /// `detail`
    pub detail: Option<Template>,
    /// `instance`, where the author's text is a JSON pointer or an expression.
    pub instance: Option<Template>,
}

impl Raise {
    /// The templates of all parts that are given.
    pub fn parts(&self) -> impl Iterator<Item = &Template> {
        let optional = [&self.title, &self.detail, &self.instance].into_iter().flatten();
        [&self.kind.template, &self.status].into_iter().chain(optional)
    }

    /// True when one of its parts names a secret.
    #[must_use]
    pub fn uses_secrets(&self) -> bool {
        self.parts().any(Template::uses_secrets)
    }
}

/// An extension: tasks run before and after others.
#[derive(Debug)]
pub struct Extension {
    /// Its name.
    pub name: Arc<str>,
    /// `extend`: a kind of task, `composite` or `all`.
    pub extend: Arc<str>,
    /// `when`
    pub when: Option<Program>,
    /// `before`
    pub before: TaskList,
    /// `after`
    pub after: TaskList,
}
