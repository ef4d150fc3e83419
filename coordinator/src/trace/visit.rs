//! What is known of a visit while it goes on.

use std::borrow::Cow;
use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits;
use windlass_proto::plan::{Kind, Plan, TaskIx};
use windlass_proto::problem::Problem;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::{SAMPLED, TraceContext, span_of_instance, trace_of};
use windlass_telemetry::shortened;

use super::delivery::Delivery;
use super::notes::Notes;
use super::pointer::Pointer;

/// A visit that goes on; with that of the root frame, the instance itself.
pub(super) struct Visit {
    pub(super) parent: FrameId,
    /// None for the root.
    pub(super) task: Option<TaskIx>,
    pub(super) pointer: Pointer,
    pub(super) began: Timestamp,
    /// False for one that gets no span: there are too many.
    pub(super) traced: bool,
    /// True once a worker has had to do with it, or with what is inside.
    pub(super) encloses: bool,
    /// What of it is at a worker.
    pub(super) delivery: Option<Delivery>,
    /// Why the flow left it without an end of its own.
    pub(super) fault: Option<Fault>,
    pub(super) notes: Notes,
    pub(super) more: Option<Box<More>>,
    /// What is inside and gets no span.
    pub(super) untraced: Option<Box<Untraced>>,
}

/// What few visits have.
#[derive(Default)]
pub(super) struct More {
    pub(super) iterations: u32,
    pub(super) attempts: u32,
    pub(super) child: Option<InstanceId>,
    /// Id and type of an event.
    pub(super) event: Option<(String, String)>,
}

/// Visits that get no span.
#[derive(Default)]
pub(super) struct Untraced {
    pub(super) count: u32,
    /// How many lasted no longer than each of [`DURATIONS_MS`], and longer than all.
    pub(super) durations: [u32; DURATIONS_MS.len() + 1],
}

/// The bounds that the durations of visits without spans are counted by, in milliseconds.
const DURATIONS_MS: [u64; 7] = [10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000];

/// An error as far as it is told: its detail may hold data. Its type is cut, since a visit keeps
/// that of each of its events.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: Arc<str>,
    pub(super) status: u16,
}

/// How a visit ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    Completed,
    Faulted(Fault),
    Cancelled,
    Skipped,
}

impl From<&Problem> for Fault {
    fn from(problem: &Problem) -> Self {
        let kind = match shortened(&problem.kind) {
            Cow::Borrowed(_) => problem.kind.clone(),
            Cow::Owned(cut) => cut.into(),
        };
        Self { kind, status: problem.status }
    }
}

impl Visit {
    pub(super) fn new(
        parent: FrameId,
        task: Option<TaskIx>,
        pointer: Pointer,
        began: Timestamp,
    ) -> Self {
        Self {
            parent,
            task,
            pointer,
            began,
            traced: true,
            encloses: false,
            delivery: None,
            fault: None,
            notes: Notes::default(),
            more: None,
            untraced: None,
        }
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> u64 {
        let event = self.more.as_ref().and_then(|it| it.event.as_ref());
        let event = event.map_or(0, |(id, kind)| id.len() + kind.len());
        // Of a visit inside a function the pointer is its own.
        let pointer = self.pointer.prefix.len() + self.pointer.reference.len();
        let pointer = if self.pointer.prefix.is_empty() { 0 } else { pointer };
        limits::RECORDED_VISIT_BYTES + (event + self.notes.bytes() + pointer) as u64
    }

    pub(super) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// True for a `listen` with `foreach`.
    pub(super) fn is_foreach(&self, plan: &Plan) -> bool {
        let kind = self.task.map(|it| &plan.task(it).kind);
        matches!(kind, Some(Kind::Listen(listen)) if listen.each.is_some())
    }

    /// It has started a child, which is a trace of its own.
    pub(super) fn started(&mut self, child: InstanceId) {
        self.more().child = Some(child);
        // Children are recorded where their parents are.
        let to = TraceContext::of(trace_of(child), span_of_instance(child), SAMPLED);
        self.notes.link(to, false);
    }

    /// It emits an event.
    pub(super) fn emitted(&mut self, event: &CloudEvent) {
        let (id, kind) = (shortened(event.id()), shortened(event.kind()));
        self.more().event = Some((id.into_owned(), kind.into_owned()));
    }

    /// How it ended where the flow left it without an end of its own.
    pub(super) fn left(&mut self) -> End {
        self.fault.take().map_or(End::Cancelled, End::Faulted)
    }
}

impl Untraced {
    /// Counts one that is over.
    pub(super) fn ended(&mut self, milliseconds: u64) {
        let place = DURATIONS_MS.iter().take_while(|it| **it < milliseconds).count();
        if let Some(count) = self.durations.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }
}

impl End {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Faulted(_) => "faulted",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}
