//! Generated workflows as data, and how they are written down.
//!
//! The model is a small part of the language, chosen so that its meaning can be told in a few lines
//! of plain Rust (see `oracle`). Expressions give integers and never fail on data of another shape,
//! except [`Shape::Bad`], which always does.

use serde_json::{Map, Value, json};

/// Namespace of all generated workflows.
pub(super) const NAMESPACE: &str = "sim";
/// Their version.
pub(super) const VERSION: &str = "1.0.0";
/// The secret that generated expressions name, and what the simulated worker takes it for.
pub(super) const SECRET: (&str, &str) = ("hush", "abcd");
/// The workflow that is started for faults.
pub(super) const SWEEP: &str = "sweep";
/// Type of the errors that generated workflows raise.
pub(super) const OOPS: &str = "https://sim.example/oops";
/// `data.n` of events from outside; their `data.v` is a number of their own.
pub(super) const OUTSIDE: i64 = 7;

/// A workflow.
#[derive(Clone, Debug, Default)]
pub(super) struct Workflow {
    pub(super) name: String,
    pub(super) functions: Vec<(String, Task)>,
    pub(super) extensions: Vec<Extension>,
    pub(super) from: Option<Shape>,
    pub(super) output: Option<Shape>,
    pub(super) timeout: Option<Timeout>,
    pub(super) tasks: Vec<Task>,
    /// Has [`SWEEP`] started when it faults.
    pub(super) sweeps: bool,
}

/// What runs before and after tasks of a kind. What it gives is dropped, so the outcome is the same
/// without.
#[derive(Clone, Debug)]
pub(super) struct Extension {
    pub(super) kind: &'static str,
    pub(super) before: Vec<Task>,
    pub(super) after: Vec<Task>,
}

/// A task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) condition: Option<Condition>,
    pub(super) from: Option<Shape>,
    pub(super) output: Option<Shape>,
    /// `export.as: $context + { key: value }`
    pub(super) export: Option<(String, Expr)>,
    pub(super) then: Then,
    pub(super) timeout: Option<Timeout>,
    pub(super) kind: Kind,
}

/// A timeout, by what is known of it beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timeout {
    /// Longer than anything takes.
    Never,
    /// Shorter than what it is set on.
    Sure(u64),
    /// Either.
    Racy(u64),
}

/// What a task does.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Set(Shape),
    Do(Vec<Task>),
    Switch(Vec<(Option<Condition>, Then)>),
    For {
        items: Items,
        condition: Option<Condition>,
        body: Vec<Task>,
    },
    Fork {
        compete: bool,
        branches: Vec<Task>,
    },
    Try(Box<Try>),
    Raise(u16),
    Wait(u64),
    /// People are asked; what they decide is not looked at.
    Ask,
    /// Type of the event; its data is `{ n }`, its subject the instance.
    Emit(String, Expr),
    Listen(Listen),
    Call(Call, Option<Vec<(String, Expr)>>),
    /// Name of the workflow, whether it is awaited, its input.
    Child(String, bool, Option<Shape>),
}

/// The items of a `for`.
#[derive(Clone, Debug)]
pub(super) enum Items {
    List(Vec<i64>),
    Range(i64),
    /// Null, which is no items.
    Null,
    /// Neither null nor an array.
    Bad,
}

/// What a call calls.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// Gives back its arguments.
    Echo,
    /// Fails the first so many visits with this status, then gives back its arguments.
    Flaky(u32, u16),
    /// Takes down every worker that performs it.
    Deadly,
    /// A function of the workflow's own.
    Own(String),
}

/// A `try` with its `catch`.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub(super) body: Vec<Task>,
    /// `errors.with.status`
    pub(super) status: Option<u16>,
    pub(super) when: Option<Condition>,
    pub(super) retry: Option<Retry>,
    pub(super) handler: Option<Vec<Task>>,
    pub(super) then: Option<Then>,
}

/// A retry policy.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    pub(super) count: u32,
    pub(super) delay: u64,
    pub(super) backoff: &'static str,
    pub(super) jitter: Option<u64>,
    pub(super) attempt: Option<Timeout>,
}

/// A `listen`.
#[derive(Clone, Debug)]
pub(super) struct Listen {
    pub(super) mode: Mode,
    /// Types of the events it takes.
    pub(super) types: Vec<String>,
    /// True when only events with the instance's id as subject count.
    pub(super) own: bool,
    pub(super) foreach: Option<Vec<Task>>,
}

/// How many events a `listen` takes.
#[derive(Clone, Debug)]
pub(super) enum Mode {
    One,
    Any,
    All,
    /// Any of them, until there are so many.
    UntilCount(u32),
    /// Any of them, until an event of this type.
    UntilType(String),
}

/// Where the flow goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Then {
    Continue,
    Exit,
    End,
    To(String),
}

/// An expression that gives an integer.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    Int(i64),
    /// A member of `.`, 0 when there is none.
    Field(&'static str),
    /// A member of `$context`.
    Context(String),
    /// `$input.n`
    Input,
    /// `$workflow.input.n`
    Start,
    Item,
    Index,
    /// `$error.status`
    Status,
    /// Length of the secret.
    Secret,
    Sum(Box<Expr>, Box<Expr>),
}

/// An expression that gives a boolean: `a % m < b`
#[derive(Clone, Debug)]
pub(super) struct Condition(pub(super) Expr, pub(super) i64, pub(super) i64);

/// What data is turned into.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Object(Vec<(String, Expr)>),
    /// The data as it is.
    Keep,
    /// `{ n, was: . }`
    Wrap(Expr),
    /// `v<n>`
    Text(Expr),
    /// An expression that fails.
    Bad,
}

impl Expr {
    pub(super) fn jq(&self) -> String {
        match self {
            Self::Int(number) => number.to_string(),
            Self::Field(name) => format!("(.{name}? // 0)"),
            Self::Context(key) => format!("($context.{key}? // 0)"),
            Self::Input => "($input.n? // 0)".into(),
            Self::Start => "($workflow.input.n? // 0)".into(),
            Self::Item => "($item // 0)".into(),
            Self::Index => "($index // 0)".into(),
            Self::Status => "($error.status // 0)".into(),
            Self::Secret => format!("($secrets.{} | length)", SECRET.0),
            Self::Sum(left, right) => format!("({} + {})", left.jq(), right.jq()),
        }
    }
}

impl Condition {
    pub(super) fn jq(&self) -> String {
        format!("({} % {}) < {}", self.0.jq(), self.1, self.2)
    }
}

impl Shape {
    fn json(&self) -> Value {
        match self {
            Self::Object(members) => object(members),
            Self::Keep => json!("${ . }"),
            Self::Wrap(expr) => json!({"n": whole(expr), "was": "${ . }"}),
            Self::Text(expr) => json!(format!("v${{ {} }}", expr.jq())),
            Self::Bad => json!("${ error(\"no\") }"),
        }
    }

    /// The shape where only whole expressions are allowed.
    fn transform(&self) -> Value {
        match self {
            Self::Text(expr) => json!(format!("\"v\\({})\"", expr.jq())),
            other => other.json(),
        }
    }
}

fn whole(expr: &Expr) -> Value {
    match expr {
        Expr::Int(number) => json!(number),
        expr => json!(format!("${{ {} }}", expr.jq())),
    }
}

fn object(members: &[(String, Expr)]) -> Value {
    Value::Object(members.iter().map(|(key, expr)| (key.clone(), whole(expr))).collect())
}

impl Then {
    fn json(&self) -> Value {
        match self {
            Self::Continue => json!("continue"),
            Self::Exit => json!("exit"),
            Self::End => json!("end"),
            Self::To(name) => json!(name),
        }
    }
}

impl Timeout {
    fn json(self) -> Value {
        match self {
            Self::Never => json!({"after": "P200D"}),
            Self::Sure(after) | Self::Racy(after) => json!({"after": {"milliseconds": after}}),
        }
    }
}

impl Workflow {
    /// The definition's text.
    pub(super) fn text(&self) -> String {
        let functions: Map<String, Value> =
            self.functions.iter().map(|(name, task)| (name.clone(), task.json())).collect();
        let mut all = json!({
            "document": {
                "dsl": "1.0.3", "namespace": NAMESPACE, "name": self.name, "version": VERSION,
            },
            "use": {"secrets": [SECRET.0], "functions": functions},
            "do": list(&self.tasks),
        });
        if self.sweeps {
            all["document"]["metadata"] = json!({"windlass": {"onFault": {"workflow": SWEEP}}});
        }
        let extensions = self.extensions.iter().enumerate().map(|(number, it)| {
            let (before, after) = (list(&it.before), list(&it.after));
            json!({ format!("x{number}"): {"extend": it.kind, "before": before, "after": after} })
        });
        all["use"]["extensions"] = extensions.collect();
        if let Some(from) = &self.from {
            all["input"] = json!({"from": from.transform()});
        }
        if let Some(output) = &self.output {
            all["output"] = json!({"as": output.transform()});
        }
        if let Some(timeout) = self.timeout {
            all["timeout"] = timeout.json();
        }
        serde_json::to_string_pretty(&all).unwrap()
    }
}

/// A list of tasks.
fn list(tasks: &[Task]) -> Value {
    tasks.iter().map(|task| json!({ &task.name: task.json() })).collect()
}

impl Task {
    fn json(&self) -> Value {
        let mut task = self.kind.json();
        if let Some(condition) = &self.condition {
            task["if"] = json!(condition.jq());
        }
        if let Some(from) = &self.from {
            task["input"] = json!({"from": from.transform()});
        }
        if let Some(output) = &self.output {
            task["output"] = json!({"as": output.transform()});
        }
        if let Some((key, expr)) = &self.export {
            let merged = format!("${{ $context + {{ {key}: {} }} }}", expr.jq());
            task["export"] = json!({"as": merged});
        }
        if self.then != Then::Continue {
            task["then"] = self.then.json();
        }
        if let Some(timeout) = self.timeout {
            task["timeout"] = timeout.json();
        }
        task
    }
}

impl Kind {
    fn json(&self) -> Value {
        match self {
            Self::Set(shape) => json!({"set": shape.json()}),
            Self::Do(tasks) => json!({"do": list(tasks)}),
            Self::Switch(cases) => {
                let cases = cases.iter().enumerate().map(|(number, (when, then))| {
                    let mut case = json!({"then": then.json()});
                    if let Some(when) = when {
                        case["when"] = json!(when.jq());
                    }
                    json!({ format!("case{number}"): case })
                });
                json!({"switch": cases.collect::<Value>()})
            }
            Self::For { items, condition, body } => {
                let items = match items {
                    Items::List(items) => json!(items),
                    Items::Range(count) => json!(format!("[range({count})]")),
                    Items::Null => json!("null"),
                    Items::Bad => json!("{ a: 1 }"),
                };
                let mut task = json!({"for": {"in": items}, "do": list(body)});
                if let Some(condition) = condition {
                    task["while"] = json!(condition.jq());
                }
                task
            }
            Self::Fork { compete, branches } => {
                json!({"fork": {"compete": compete, "branches": list(branches)}})
            }
            Self::Try(it) => it.json(),
            Self::Raise(status) => {
                json!({"raise": {"error": {"type": OOPS, "status": status, "title": "Oops"}}})
            }
            Self::Ask => json!({"call": "windlass.approval", "with": {"title": "Go on?"}}),
            Self::Wait(after) => json!({"wait": {"milliseconds": after}}),
            Self::Emit(kind, expr) => json!({"emit": {"event": {"with": {
                "source": "/sim", "type": kind, "subject": "${ $workflow.id }",
                "data": {"n": whole(expr)},
            }}}}),
            Self::Listen(listen) => listen.json(),
            Self::Call(call, with) => {
                let (name, extra) = match call {
                    Call::Echo => ("echo", None),
                    Call::Flaky(times, status) => ("flaky", Some((times, status))),
                    Call::Deadly => ("deadly", None),
                    Call::Own(name) => (&**name, None),
                };
                let mut task = json!({"call": name});
                if let Some(with) = with {
                    task["with"] = object(with);
                }
                if let Some((times, status)) = extra {
                    task["with"]["fail"] = json!(times);
                    task["with"]["status"] = json!(status);
                }
                task
            }
            Self::Child(name, wait, input) => {
                let mut workflow =
                    json!({"namespace": NAMESPACE, "name": name, "version": VERSION});
                if let Some(input) = input {
                    workflow["input"] = input.json();
                }
                json!({"run": {"workflow": workflow, "await": wait}})
            }
        }
    }
}

impl Try {
    fn json(&self) -> Value {
        let mut clause = json!({});
        if let Some(status) = self.status {
            clause["errors"] = json!({"with": {"status": status}});
        }
        if let Some(when) = &self.when {
            clause["when"] = json!(when.jq());
        }
        if let Some(retry) = &self.retry {
            clause["retry"] = retry.json();
        }
        if let Some(handler) = &self.handler {
            clause["do"] = list(handler);
        }
        if let Some(then) = &self.then {
            clause["then"] = then.json();
        }
        json!({"try": list(&self.body), "catch": clause})
    }
}

impl Retry {
    fn json(&self) -> Value {
        let mut attempt = json!({"count": self.count});
        match self.attempt {
            None => {}
            Some(Timeout::Never) => attempt["duration"] = json!("P100D"),
            Some(Timeout::Sure(after) | Timeout::Racy(after)) => {
                attempt["duration"] = json!({"milliseconds": after});
            }
        }
        let mut policy = json!({
            "delay": {"milliseconds": self.delay},
            "backoff": {self.backoff: {}},
            "limit": {"attempt": attempt},
        });
        if let Some(most) = self.jitter {
            policy["jitter"] = json!({"from": {"milliseconds": 1}, "to": {"milliseconds": most}});
        }
        policy
    }
}

impl Listen {
    fn json(&self) -> Value {
        let filter = |kind: &String| {
            let mut with = json!({"type": kind});
            if self.own {
                with["subject"] = json!("${ . == $workflow.id }");
            }
            json!({"with": with})
        };
        let filters: Value = self.types.iter().map(filter).collect();
        let to = match &self.mode {
            Mode::One => json!({"one": filters[0]}),
            Mode::Any => json!({"any": filters}),
            Mode::All => json!({"all": filters}),
            Mode::UntilCount(count) => {
                json!({"any": filters, "until": format!("length >= {count}")})
            }
            Mode::UntilType(kind) => json!({"any": filters, "until": {"one": filter(kind)}}),
        };
        let mut task = json!({"listen": {"to": to}});
        if let Some(tasks) = &self.foreach {
            task["foreach"] = json!({"item": "item", "at": "index", "do": list(tasks)});
        }
        task
    }
}
