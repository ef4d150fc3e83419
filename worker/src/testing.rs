//! What the tests of this crate share: plans made by hand, servers on the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use futures_util::future::BoxFuture;
use windlass_proto::audit::AuditEvent;
use windlass_proto::expression::{Names, Template, UriTemplate};
use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId, WorkflowId};
use windlass_proto::plan::{
    Authentication, Endpoint, Export, Flow, HttpCall, HttpOutput, Input, Kind, OnFault, Output,
    Plan, Task, TaskIx,
};
use windlass_proto::problem::Problem;
use windlass_proto::secret::SecretName;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, AssignmentKey, Work};

use crate::audit::{AttemptAudit, AuditSink, NoAudit};
use crate::clock;
use crate::{
    Builder, CancellationToken, HttpOptions, PlanSource, ProcessOptions, SecretContext, SecretData,
    SecretError, SecretStore, SecretValue, Worker,
};

/// Data from JSON text.
pub(crate) fn json(text: &str) -> Value {
    Value::from_json(text).unwrap()
}

/// A template of JSON text, with the secrets `key` and `login` and the variable `x`.
pub(crate) fn template(text: &str) -> Template {
    let names = Names {
        secrets: vec!["key".into(), "login".into()],
        bound: vec!["x".into()],
        loose: false,
    };
    Template::compile(&json(text), &names).unwrap()
}

/// A template that is this string.
pub(crate) fn text(text: &str) -> Template {
    template(&Value::from(text).to_json())
}

/// An endpoint without expressions.
pub(crate) fn endpoint(uri: &str, authentication: Option<Authentication>) -> Endpoint {
    Endpoint {
        uri: UriTemplate { template: text(uri) },
        authentication: authentication.map(Arc::new),
    }
}

/// A call that the fields can be changed of.
pub(crate) fn http(method: &str, uri: &str) -> HttpCall {
    HttpCall {
        method: text(method),
        endpoint: endpoint(uri, None),
        headers: None,
        query: None,
        body: None,
        output: HttpOutput::Content,
        redirect: false,
    }
}

/// A task with defaults for all but its kind.
pub(crate) fn task(kind: Kind) -> Task {
    Task {
        index: TaskIx(0),
        name: "task".into(),
        reference: "/do/0/task".into(),
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
        kind,
        variables: Arc::from([]),
    }
}

/// A plan of one task.
pub(crate) fn plan(task: Task) -> Plan {
    Plan {
        id: WorkflowId { namespace: "test".into(), name: "test".into(), version: "1.0.0".into() },
        digest: Digest("digest".into()),
        title: None,
        summary: None,
        tags: Value::Null,
        metadata: Value::Null,
        on_fault: OnFault::Fault,
        fault_workflow: None,
        limit: None,
        keep_events: None,
        retention: None,
        definition: Value::Null,
        tasks: vec![task],
        root: Arc::from([TaskIx(0)]),
        input: Input::default(),
        output: Output::default(),
        timeout: None,
        secrets: vec![SecretName("key".into()), SecretName("login".into())],
        authentications: BTreeMap::new(),
        functions: BTreeMap::new(),
        catalogs: BTreeMap::new(),
        extensions: Vec::new(),
        schedule: None,
    }
}

/// The only plan there is.
struct One(Arc<Plan>);

impl PlanSource for One {
    fn plan(&self, _digest: &Digest) -> Option<Arc<Plan>> {
        Some(self.0.clone())
    }
}

/// A source with this plan only.
pub(crate) fn source(plan: Arc<Plan>) -> Arc<dyn PlanSource> {
    Arc::new(One(plan))
}

/// An assignment of the task with index 0.
pub(crate) fn assignment(input: Value) -> Assignment {
    Assignment {
        key: AssignmentKey {
            instance: InstanceId(uuid::Uuid::from_u128(7)),
            frame: FrameId(3),
            delivery: 1,
            partition: PartitionId(0),
            epoch: 1,
        },
        workflow: WorkflowId {
            namespace: "test".into(),
            name: "test".into(),
            version: "1.0.0".into(),
        },
        digest: Digest("digest".into()),
        task: TaskIx(0),
        visit: 1,
        reference: "/do/0/task".into(),
        work: Work::Perform,
        input,
        variables: Vec::new(),
        now: Timestamp(1_700_000_000_000),
        deadline: None,
        traceparent: None,
        tracestate: None,
        pool: None,
        priority: windlass_proto::limits::DEFAULT_PRIORITY,
        losses: 0,
        grant: None,
    }
}

/// On whose behalf a test reads secrets.
pub(crate) fn secret_context() -> SecretContext {
    let assignment = assignment(Value::Null);
    SecretContext {
        workflow: assignment.workflow.clone(),
        instance: assignment.key.instance,
        task: assignment.reference.clone(),
        grant: None,
        deadline: None,
        began: tokio::time::Instant::now(),
        audit: AttemptAudit::new(Arc::new(NoAudit), &assignment),
    }
}

/// Keeps what it is told.
#[derive(Clone, Default)]
pub(crate) struct Audited(Arc<Mutex<Vec<AuditEvent>>>);

impl AuditSink for Audited {
    fn record(&self, event: AuditEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Audited {
    /// For an attempt.
    pub(crate) fn attempt(&self) -> AttemptAudit {
        AttemptAudit::new(Arc::new(self.clone()), &assignment(Value::Null))
    }

    /// What it was told since it was asked last.
    pub(crate) fn take(&self) -> Vec<AuditEvent> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Milliseconds from now.
pub(crate) fn in_ms(milliseconds: u64) -> Timestamp {
    clock::now().plus(milliseconds)
}

/// A store that holds what a test gives it.
pub(crate) struct Given(pub(crate) Vec<(&'static str, Result<Value, SecretError>)>);

impl SecretStore for Given {
    fn read<'a>(
        &'a self,
        name: &'a SecretName,
        _context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<SecretValue, SecretError>> {
        let found = self.0.iter().find(|(known, _)| **known == *name.0);
        let result = found.map_or(Err(SecretError::Missing), |(_, result)| result.clone());
        let secret = result.map(|value| SecretValue::new(SecretData::from_value(&value)));
        Box::pin(std::future::ready(secret))
    }
}

/// Processes, of all kinds.
pub(crate) fn allowed() -> ProcessOptions {
    ProcessOptions { shell: true, script: true, mcp: true, ..ProcessOptions::default() }
}

/// A worker's description with these secrets, and no proxy.
pub(crate) fn builder(secrets: Given) -> Builder {
    let processes = allowed();
    Worker::builder().secrets(Arc::new(secrets)).http(no_proxy()).processes(processes)
}

pub(crate) fn no_proxy() -> HttpOptions {
    HttpOptions { environment_proxies: false, ..HttpOptions::default() }
}

/// Performs `task` on `input` with the worker `builder` describes.
pub(crate) async fn perform_with(
    builder: Builder,
    task: Task,
    assignment: Assignment,
) -> Result<Value, Problem> {
    let worker = builder.plans(source(Arc::new(plan(task)))).build().unwrap();
    worker.perform(assignment, CancellationToken::new()).await.result
}

/// Performs a task of this kind on `input`.
pub(crate) async fn perform(kind: Kind, input: Value) -> Result<Value, Problem> {
    perform_with(builder(Given(Vec::new())), task(kind), assignment(input)).await
}

/// The last segment of a problem's type, and its status.
pub(crate) fn kind_of(problem: &Problem) -> (String, u16) {
    (problem.kind.rsplit('/').next().unwrap().to_owned(), problem.status)
}

/// Serves `router` on the loopback until the test ends.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}
