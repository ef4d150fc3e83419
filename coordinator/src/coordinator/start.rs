//! Starting instances, and telling a repeat of a start from another start under its id.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;
use windlass_proto::audit::AuditAction;
use windlass_proto::id::{Digest, InstanceId, WorkflowId};
use windlass_proto::limits;
use windlass_proto::plan::{Plan, SchemaSource};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::schema::Unfit;
use windlass_proto::trace::{TraceContext, span_of_instance, trace_of};
use windlass_proto::value::Value;

use super::handle::{RETRY_AFTER, blocking, outcome, shown};
use super::{Coordinator, CoordinatorError, Operator, Outcome, Start, Started, WorkflowRef};
use crate::engine::Ending;
use crate::journal::Holder;
use crate::memory::Full;
use crate::partition::{
    Earlier, Message, NewInstance, OnEnded, OnRunning, StartPolicy, StartReply,
};

impl Coordinator {
    /// Starts an instance; returns once the start is durable.
    ///
    /// # Errors
    /// When the workflow is unknown, its input schema refuses the input, there is too much work, or
    /// another workflow or input was started under the same id or key.
    pub async fn start(&self, start: Start) -> Result<Started, CoordinatorError> {
        self.begin(start, None, None).await
    }

    /// The same for somebody who was asked who they are: that they start it is in the audit trail
    /// before it is started.
    ///
    /// # Errors
    /// As [`Coordinator::start`], and when the trail cannot be kept.
    pub async fn start_by(&self, start: Start, by: &Operator) -> Result<Started, CoordinatorError> {
        self.begin(start, by.is_known().then_some(by), None).await
    }

    /// The span of an instance that was started without a caller's trace; none where nobody traces.
    pub(crate) fn span_of(
        &self,
        started: &Started,
        caller: Option<&TraceContext>,
    ) -> Option<TraceContext> {
        let sampler = self.runtime.router.sampler().filter(|_| caller.is_none())?;
        let (trace_id, span_id) = (trace_of(started.id), span_of_instance(started.id));
        let sampled = sampler.is_sampled(trace_id, None);
        Some(TraceContext { trace_id, span_id, sampled, random: false, state: None })
    }

    /// Starts an instance and waits for its end, at most `patience`.
    ///
    /// # Errors
    /// As [`Coordinator::start`].
    pub async fn run(
        &self,
        start: Start,
        patience: Duration,
    ) -> Result<(Started, Option<Outcome>), CoordinatorError> {
        let (ended, end) = oneshot::channel();
        let started = self.begin(start, None, Some(ended)).await?;
        match timeout(patience, end).await {
            Ok(Ok(ending)) => Ok((started, Some(outcome(ending)))),
            Ok(Err(_)) => Err(self.stopped()),
            Err(_) => Ok((started, None)),
        }
    }

    async fn begin(
        &self,
        start: Start,
        by: Option<&Operator>,
        ended: Option<oneshot::Sender<Ending>>,
    ) -> Result<Started, CoordinatorError> {
        self.needs_room()?;
        let WorkflowRef { namespace, name, .. } = &start.workflow;
        match self.admits(namespace, name) {
            Err(refusal @ CoordinatorError::Suspended(_)) => {
                return self.repeats(&start, refusal).await;
            }
            admitted => admitted?,
        }
        self.room(&start.workflow.namespace, start.input.weight())?;
        let plan = match self.plan(&start.workflow).await {
            Err(retired @ CoordinatorError::Retired(_)) => {
                return self.repeats(&start, retired).await;
            }
            plan => plan?,
        };
        check_input(&plan, &start.input).await?;
        let id = instance_id(&start);
        let (workflow, digest) = (plan.id.clone(), plan.digest.clone());
        let input = start.input.clone();
        if let Some(by) = by {
            let (namespace, detail) =
                (workflow.namespace.clone(), told(&workflow, id, start.policy));
            let action = AuditAction::InstanceStarted;
            self.audited_in(action, Some(namespace), detail, by).await?;
        }
        let (reply, answer) = oneshot::channel();
        let new = NewInstance {
            id,
            plan,
            input: start.input,
            labels: start.labels,
            priority: start
                .priority
                .unwrap_or(limits::DEFAULT_PRIORITY)
                .min(limits::HIGHEST_PRIORITY),
            parent: None,
            trace: start.trace,
            by: by.and_then(|it| it.requester(None)).or_else(|| self.requester.clone()),
            policy: StartPolicy {
                keyed: is_keyed(start.id, start.idempotency_key.as_ref()),
                ..start.policy
            },
            reply: Some(reply),
            ended,
        };
        let message = Message::Start(Box::new(new));
        match self.ask(id, message, answer).await? {
            StartReply { retired: true, .. } => Err(CoordinatorError::Retired(workflow)),
            StartReply { id, refused: Some(status), .. } => {
                Err(CoordinatorError::StartKeyUsed { id, status })
            }
            StartReply { id, earlier: Some(earlier), .. } => {
                same(id, &start.workflow, earlier, (digest, input)).await?;
                Ok(Started { id, repeated: true })
            }
            StartReply { id, earlier: None, .. } => Ok(Started { id, repeated: false }),
        }
    }

    /// Whether an instance, or an event for all, may be taken in.
    pub(super) fn room(&self, namespace: &str, bytes: u64) -> Result<(), CoordinatorError> {
        self.runtime.router.memory.admit(namespace, bytes).map_err(|full| {
            let what = match full {
                Full::Process => "the instances in memory take as much as they may",
                Full::Namespace => {
                    "the instances of this namespace take as much memory as they may"
                }
            };
            CoordinatorError::OutOfMemory(what, RETRY_AFTER)
        })
    }

    pub(super) async fn plan(&self, workflow: &WorkflowRef) -> Result<Arc<Plan>, CoordinatorError> {
        let stored = self.stored(workflow)?;
        if stored.retired_at.is_some() {
            return Err(CoordinatorError::Retired(stored.id));
        }
        if let Some(plan) = self.runtime.router.catalog.at_hand(&stored.digest) {
            return Ok(plan);
        }
        let router = self.runtime.router.clone();
        let plan = blocking(move || router.catalog.plan(&stored.digest)).await?;
        plan.ok_or_else(|| CoordinatorError::UnknownWorkflow(shown(workflow)))
    }

    /// A start of what nothing is started of now: refused, unless it repeats an earlier one.
    async fn repeats(
        &self,
        start: &Start,
        refusal: CoordinatorError,
    ) -> Result<Started, CoordinatorError> {
        let asked = StartPolicy { keyed: false, ..start.policy };
        let answers_for_it = asked == StartPolicy::default();
        if answers_for_it && (start.id.is_some() || start.idempotency_key.is_some()) {
            let id = self
                .holder(instance_id(start), is_keyed(start.id, start.idempotency_key.as_ref()))
                .await?;
            if let Ok(view) = self.show(id).await {
                let same_input = view.input == start.input;
                let digest = view.head.digest;
                let input = (!same_input).then_some(view.input);
                let earlier =
                    Earlier { workflow: view.head.workflow, digest: digest.clone(), input };
                let digest =
                    self.stored(&start.workflow).map_or_else(|_| digest.clone(), |it| it.digest);
                let sent = (digest, start.input.clone());
                same(id, &start.workflow, earlier, sent).await?;
                return Ok(Started { id, repeated: true });
            }
        }
        Err(refusal)
    }

    /// The instance that has an id, or the key that it was made from.
    async fn holder(&self, id: InstanceId, keyed: bool) -> Result<InstanceId, CoordinatorError> {
        if !keyed {
            return Ok(id);
        }
        let journal = self.runtime.journal.clone();
        let holder = blocking(move || Holder::of(&*journal, id)).await??;
        Ok(holder.map_or(id, |it| it.instance))
    }
}

/// The id a start gets: the caller's, one that is a function of the idempotency key, or a new one.
fn instance_id(start: &Start) -> InstanceId {
    match (start.id, &start.idempotency_key) {
        (Some(id), _) => id,
        (None, Some(key)) => {
            let WorkflowRef { namespace, name, .. } = &start.workflow;
            let name = format!("{namespace}/{name}/{key}");
            InstanceId(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
        }
        (None, None) => InstanceId(Uuid::now_v7()),
    }
}

/// Whether a start repeats the one that had its id before. The version counts where the caller
/// names one: a higher one may have been deployed between two sendings of one request.
async fn same(
    id: InstanceId,
    asked: &WorkflowRef,
    earlier: Earlier,
    (digest, input): (Digest, Value),
) -> Result<(), CoordinatorError> {
    let WorkflowId { namespace, name, version } = &earlier.workflow;
    let versions = asked.version.as_deref().filter(|it| *it != "latest");
    let is_same = asked.namespace == **namespace
        && asked.name == **name
        && versions.is_none_or(|it| it == &**version);
    let (other, digests) = match (is_same, earlier.input) {
        (true, None) => return Ok(()),
        (true, Some(was)) => {
            let digests = move || [was, input].map(|it| Digest::of(&it.to_json()));
            ("another input", blocking(digests).await?)
        }
        (false, _) => ("another workflow", [earlier.digest, digest]),
    };
    let (workflow, digests) = (earlier.workflow, Some(Box::new(digests)));
    Err(CoordinatorError::OtherStart { id, other, workflow, digests })
}

/// What the audit trail says of a start.
fn told(workflow: &WorkflowId, id: InstanceId, policy: StartPolicy) -> String {
    match (policy.running, policy.ended) {
        (OnRunning::TerminateExisting, _) => {
            format!("start {workflow} under the key of {id}, ending what runs under it")
        }
        (_, OnEnded::Replace | OnEnded::ReplaceFailed) => {
            format!("start {workflow} under the key of {id}, in place of what has ended")
        }
        _ => format!("start {workflow} as {id}"),
    }
}

/// Whether the id of a start is made from a key.
fn is_keyed(id: Option<InstanceId>, key: Option<&String>) -> bool {
    id.is_none() && key.is_some()
}

/// The workflow's input schema is checked before anything is accepted, so that the caller learns at
/// once; the engine checks again for starts that come another way. What takes long is done where
/// nobody waits for the thread.
async fn check_input(plan: &Plan, input: &Value) -> Result<(), CoordinatorError> {
    let size = usize::try_from(input.weight()).unwrap_or(usize::MAX);
    if size > limits::PAYLOAD_BYTES {
        let (what, limit) = ("the input", limits::PAYLOAD_BYTES);
        return Err(CoordinatorError::TooLarge { what, size, limit });
    }
    let Some(SchemaSource::Inline(schema)) = &plan.input.schema else { return Ok(()) };
    let checked = match schema.validate_within(input, limits::SCHEMA_QUICK_STEPS) {
        Err(Unfit::TooCostly(_)) => {
            let (schema, input) = (schema.clone(), input.clone());
            blocking(move || schema.validate(&input)).await?
        }
        checked => checked,
    };
    checked.map_err(|error| {
        let detail = format!("the workflow's input is refused by its schema: {error}");
        let problem = Problem::new(Standard::Validation, detail).at(&Arc::from("/"));
        CoordinatorError::InvalidInput(problem)
    })
}
