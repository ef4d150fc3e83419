//! Fetches a document for who is about to deploy a definition, as a task of it would.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use windlass_proto::expression::{Template, UriTemplate};
use windlass_proto::id::{FrameId, InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::plan::{
    Authentication, Endpoint, Export, ExternalResource, Flow, Input, Kind, Output, Plan,
    SchemaSource, Task, TaskIx,
};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, AssignmentKey, Work};

use super::bounded;
use crate::attempt::Attempt;
use crate::clock;
use crate::scope::TaskScope;
use crate::seal::Seal;
use crate::shared::Shared;

/// Fetches the text at `url`, of at most `most` bytes, on behalf of the workflow of `plan`.
pub(crate) async fn fetch(
    worker: &Shared,
    plan: &Plan,
    url: &str,
    authentication: Option<Arc<Authentication>>,
    most: usize,
) -> Result<String, Problem> {
    let uri = UriTemplate { template: Template::Constant(Value::from(url)) };
    let resource = ExternalResource { name: None, endpoint: Endpoint { uri, authentication } };
    let (task, assignment) = (task_of(resource.clone()), assignment_of(plan));
    let cancelled = CancellationToken::new();
    let mut attempt = Attempt {
        worker,
        plan,
        task: &task,
        assignment: &assignment,
        cancelled: &cancelled,
        began: Instant::now(),
        input: Value::Null,
        scope: TaskScope::new(&assignment.variables),
        seal: Seal::default(),
        secret_session: None,
        used: Vec::new(),
        read_again: false,
        retry_after_ms: None,
        audit: OnceLock::new(),
    };
    let limit = Duration::from_millis(limits::CALL_TIMEOUT_MS);
    let late = || {
        let detail = format!("it did not come within {} s", limit.as_secs());
        Problem::new(Standard::Timeout, detail)
    };
    let fetched = {
        let fetch = async {
            attempt.read_secrets().await?;
            let fetched = attempt.fetch_within(&resource, &Value::Null, most).await?;
            Ok(fetched.text().to_owned())
        };
        bounded(std::pin::pin!(fetch), Some(limit), &cancelled, late).await
    };
    let fetched = fetched.map_err(|problem| attempt.seal.problem(problem));
    if let Some(session) = attempt.secret_session.take() {
        session.release().await;
    }
    fetched
}

/// A task that needs what fetching `resource` needs: its input is checked with it.
fn task_of(resource: ExternalResource) -> Task {
    Task {
        index: TaskIx(0),
        name: "fetch".into(),
        reference: "".into(),
        definition: Value::Null,
        condition: None,
        input: Input { schema: Some(SchemaSource::External(resource)), from: None },
        output: Output::default(),
        export: Export::default(),
        timeout: None,
        then: Flow::Continue,
        metadata: Value::Null,
        pool: None,
        on_fault: None,
        limit: None,
        kind: Kind::Do(Arc::from([])),
        variables: Arc::from([]),
    }
}

/// An assignment that nobody made: it has no instance yet.
fn assignment_of(plan: &Plan) -> Assignment {
    Assignment {
        key: AssignmentKey {
            instance: InstanceId(Uuid::nil()),
            frame: FrameId(0),
            delivery: 0,
            partition: PartitionId(0),
            epoch: 0,
        },
        workflow: plan.id.clone(),
        digest: plan.digest.clone(),
        task: TaskIx(0),
        visit: 0,
        reference: "".into(),
        work: Work::Perform,
        input: Value::Null,
        variables: Vec::new(),
        now: clock::now(),
        deadline: None,
        traceparent: None,
        tracestate: None,
        pool: None,
        priority: limits::DEFAULT_PRIORITY,
        losses: 0,
        grant: None,
    }
}
