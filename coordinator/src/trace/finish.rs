//! Makes spans of what is over.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Array, KeyValue, Value};
use windlass_proto::id::FrameId;
use windlass_proto::limits;
use windlass_proto::plan::{DEFAULT_POOL, Kind, Task};
use windlass_proto::time::Timestamp;
use windlass_proto::trace::{
    SAMPLED, SpanId, TraceContext, TraceId, span_of_delivery, span_of_instance, span_of_visit,
    trace_of,
};
use windlass_telemetry::{FinishedSpan, SpanLink, names, opentelemetry, shortened};

use super::delivery::Delivery;
use super::recorder::Decided;
use super::visit::{End, Fault, Visit};
use super::{ROOT, is_traced, trace_id};
use crate::engine::{LossReason, Parent};

/// Makes spans of what ends with one decision.
pub(super) struct Finisher<'f> {
    decided: &'f Decided<'f>,
    id: Arc<str>,
    trace: TraceId,
    /// The span of the instance. Ids are hashes, and several spans name one.
    root: SpanId,
    /// The span of the visit that was asked for last: a delivery ends with its visit.
    latest: Cell<Option<(FrameId, SpanId)>>,
    pub(super) spans: Vec<FinishedSpan>,
}

impl<'f> Finisher<'f> {
    pub(super) fn new(decided: &'f Decided<'f>, id: &Arc<str>, root: SpanId) -> Self {
        let (trace, latest) = (trace_id(decided.instance), Cell::new(None));
        Self { decided, id: id.clone(), trace, root, latest, spans: Vec::new() }
    }

    /// When what ends, ends.
    pub(super) fn at(&self) -> Timestamp {
        self.decided.at
    }

    /// The instance is over; where it faulted, because of the task at `failed`.
    pub(super) fn instance(&mut self, visit: Visit, end: End, failed: Option<Arc<str>>) {
        let Decided { plan, instance, .. } = self.decided;
        let caller = self.caller();
        let mut attributes = self.common();
        attributes.extend([
            KeyValue::new(names::WORKFLOW_VERSION, plan.id.version.clone()),
            KeyValue::new(names::INSTANCE_STATUS, end.name()),
            KeyValue::new(names::INSTANCE_PRIORITY, i64::from(instance.priority)),
            KeyValue::new(names::INSTANCE_VISITS, i64::from(instance.next_frame) - 1),
        ]);
        let labels = instance.labels.iter();
        attributes
            .extend(labels.map(|(key, value)| KeyValue::new(names::label(key), value.clone())));
        if let End::Faulted(_) = end {
            // Its own span may be one too many.
            attributes.extend(failed.map(|it| KeyValue::new(names::TASK_REFERENCE, it)));
        }
        attributes.extend(untraced(&visit));
        let mut links = visit.notes.links;
        links.extend(instance.parent.map(|parent| {
            let to = instance.trace.clone().unwrap_or_else(|| started_by(parent));
            SpanLink { to, is_remote: false }
        }));
        let (status, failed) = outcome(&end);
        attributes.extend(failed);
        self.spans.push(FinishedSpan {
            trace_id: self.trace,
            span_id: self.root,
            parent: caller.map(|it| it.span_id),
            is_parent_remote: caller.is_some(),
            name: format!("workflow {}/{}", plan.id.namespace, plan.id.name).into(),
            kind: if caller.is_some() { SpanKind::Server } else { SpanKind::Internal },
            start: visit.began,
            end: self.decided.at,
            encloses: visit.encloses,
            state: self.caller().and_then(|it| it.state.clone()),
            random: self.caller().is_some_and(|it| it.random),
            status,
            attributes,
            events: visit.notes.events,
            dropped_events: visit.notes.dropped,
            links,
            dropped_links: visit.notes.dropped_links,
        });
    }

    /// A visit is over.
    pub(super) fn visit(&mut self, id: FrameId, visit: Visit, end: End) {
        let Some(task) = visit.task.map(|it| self.decided.plan.task(it)) else { return };
        let mut attributes = self.of_task(id, &visit, task);
        attributes.extend([
            KeyValue::new(names::TASK_KIND, kind(task)),
            KeyValue::new(names::TASK_STATUS, end.name()),
        ]);
        attributes.extend(untraced(&visit));
        if let Some(more) = visit.more {
            let numbers = [(names::ITERATIONS, more.iterations), (names::ATTEMPTS, more.attempts)];
            let numbers = numbers.into_iter().filter(|(_, it)| *it > 0);
            attributes.extend(numbers.map(|(name, it)| KeyValue::new(name, i64::from(it))));
            attributes.extend(more.child.map(|it| KeyValue::new(names::CHILD, it.to_string())));
            if let Some((event, kind)) = more.event {
                attributes.push(KeyValue::new(names::EVENT_ID, event));
                attributes.push(KeyValue::new(names::EVENT_TYPE, kind));
            }
        }
        let (status, failed) = outcome(&end);
        attributes.extend(failed);
        let emits = matches!(task.kind, Kind::Emit(_));
        self.spans.push(FinishedSpan {
            trace_id: self.trace,
            span_id: self.span(id),
            parent: Some(self.span(visit.parent)),
            is_parent_remote: false,
            name: format!("task {}", shortened(&task.name)).into(),
            kind: if emits { SpanKind::Producer } else { SpanKind::Internal },
            start: visit.began,
            end: self.decided.at,
            encloses: visit.encloses,
            state: self.caller().and_then(|it| it.state.clone()),
            random: self.caller().is_some_and(|it| it.random),
            status,
            attributes,
            events: visit.notes.events,
            dropped_events: visit.notes.dropped,
            links: visit.notes.links,
            dropped_links: visit.notes.dropped_links,
        });
    }

    /// A worker has answered.
    pub(super) fn reported(&mut self, id: FrameId, visit: &Visit, delivery: Delivery) {
        self.delivery(id, visit, delivery, Vec::new());
    }

    /// Nobody waits for a worker's answer any more.
    pub(super) fn abandoned(&mut self, id: FrameId, visit: &Visit, delivery: Delivery) {
        let cancelled = KeyValue::new(names::TASK_STATUS, End::Cancelled.name());
        self.delivery(id, visit, delivery, vec![cancelled]);
    }

    /// No worker will answer.
    pub(super) fn lost(
        &mut self,
        id: FrameId,
        visit: &Visit,
        delivery: Delivery,
        worker: Option<Arc<str>>,
        reason: Option<LossReason>,
    ) {
        let mut more = vec![KeyValue::new(names::LOST, true)];
        more.extend(worker.map(|it| KeyValue::new(names::WORKER, it)));
        more.extend(reason.map(|it| KeyValue::new(names::LOSS_REASON, it.to_string())));
        self.delivery(id, visit, delivery, more);
        if let Some(span) = self.spans.last_mut() {
            span.status = Status::error("");
        }
    }

    fn delivery(&mut self, id: FrameId, visit: &Visit, of: Delivery, more: Vec<KeyValue>) {
        let Some(task) = visit.task.map(|it| self.decided.plan.task(it)) else { return };
        if !visit.traced {
            return;
        }
        let mut attributes = self.of_task(id, visit, task);
        let work = if of.evaluates { "evaluate" } else { "perform" };
        attributes.extend([
            KeyValue::new(names::DELIVERY, i64::from(of.number)),
            KeyValue::new(names::WORK, work),
        ]);
        let pool = task.pool.clone().map_or(Value::from(DEFAULT_POOL), Value::from);
        attributes.push(KeyValue::new(names::POOL, pool));
        attributes.extend(more);
        self.spans.push(FinishedSpan {
            trace_id: self.trace,
            span_id: span_of_delivery(self.decided.instance.id, id, of.number),
            parent: Some(self.span(id)),
            is_parent_remote: false,
            name: format!("deliver {}", shortened(&task.name)).into(),
            kind: SpanKind::Producer,
            start: of.sent,
            end: self.decided.at,
            encloses: visit.encloses,
            state: self.caller().and_then(|it| it.state.clone()),
            random: self.caller().is_some_and(|it| it.random),
            status: Status::Unset,
            attributes,
            events: Vec::new(),
            dropped_events: 0,
            links: Vec::new(),
            dropped_links: 0,
        });
    }

    /// Where in the caller's trace it was started, where it is that one.
    fn caller(&self) -> Option<&'f TraceContext> {
        let instance = self.decided.instance;
        instance.trace.as_ref().filter(|_| instance.parent.is_none())
    }

    fn span(&self, frame: FrameId) -> SpanId {
        match self.latest.get() {
            _ if frame == ROOT => self.root,
            Some((latest, span)) if latest == frame => span,
            _ => {
                let span = span_of_visit(self.decided.instance.id, frame);
                self.latest.set(Some((frame, span)));
                span
            }
        }
    }

    fn common(&self) -> Vec<KeyValue> {
        let plan = self.decided.plan;
        let mut attributes = Vec::with_capacity(limits::SPAN_ATTRIBUTES);
        attributes.extend([
            KeyValue::new(names::INSTANCE_ID, self.id.clone()),
            KeyValue::new(names::WORKFLOW_NAMESPACE, plan.id.namespace.clone()),
            KeyValue::new(names::WORKFLOW_NAME, plan.id.name.clone()),
        ]);
        attributes
    }

    fn of_task(&self, id: FrameId, visit: &Visit, task: &Task) -> Vec<KeyValue> {
        let mut attributes = self.common();
        attributes.extend([
            KeyValue::new(names::TASK_REFERENCE, visit.pointer.reference.clone()),
            KeyValue::new(names::TASK_NAME, task.name.clone()),
            KeyValue::new(names::TASK_VISIT, i64::from(id.0)),
        ]);
        attributes
    }
}

/// The visit that has started a child; the instance around it where the visit has no span.
fn started_by(parent: Parent) -> TraceContext {
    let Parent { instance, frame, .. } = parent;
    let span =
        if is_traced(frame) { span_of_visit(instance, frame) } else { span_of_instance(instance) };
    // Children are recorded where their parents are.
    TraceContext::of(trace_of(instance), span, SAMPLED)
}

/// What an attempt of a `try` is told with.
pub(super) fn attempt(number: u32) -> Vec<KeyValue> {
    vec![KeyValue::new(names::ATTEMPT, i64::from(number))]
}

/// What an error is told with.
pub(super) fn failed(fault: &Fault) -> Vec<KeyValue> {
    vec![
        KeyValue::new(names::ERROR_TYPE, fault.kind.clone()),
        KeyValue::new(names::ERROR_STATUS, i64::from(fault.status)),
    ]
}

fn outcome(end: &End) -> (Status, Vec<KeyValue>) {
    match end {
        // The description would be the error's title, which may hold data.
        End::Faulted(fault) => (Status::error(""), failed(fault)),
        End::Completed | End::Cancelled | End::Skipped => (Status::Unset, Vec::new()),
    }
}

fn untraced(visit: &Visit) -> Vec<KeyValue> {
    let Some(untraced) = &visit.untraced else { return Vec::new() };
    let durations = untraced.durations.iter().map(|it| i64::from(*it)).collect();
    vec![
        KeyValue::new(names::UNTRACED, i64::from(untraced.count)),
        KeyValue::new(names::UNTRACED_DURATIONS, Value::Array(Array::I64(durations))),
    ]
}

/// `set`, `call http`, `run script` and so on.
fn kind(task: &Task) -> Cow<'static, str> {
    let word = task.kind.word();
    task.kind.detail().map_or(word.into(), |detail| format!("{word} {detail}").into())
}
