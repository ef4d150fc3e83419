//! Assignments for tests.

use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::id::{Digest, FrameId, InstanceId, PartitionId, WorkflowId};
use windlass_proto::plan::TaskIx;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::wire::{Assignment, AssignmentKey, Work};

/// An assignment of instance `number`.
pub(crate) fn assignment(number: u128, namespace: &str, priority: u8, losses: u32) -> Assignment {
    let text = |it: &str| Arc::<str>::from(it);
    Assignment {
        key: AssignmentKey {
            instance: InstanceId(Uuid::from_u128(number)),
            frame: FrameId(1),
            delivery: 1,
            partition: PartitionId(0),
            epoch: 1,
        },
        workflow: WorkflowId {
            namespace: text(namespace),
            name: text("w"),
            version: text("1.0.0"),
        },
        digest: Digest::of("text"),
        task: TaskIx(0),
        reference: text("/do/0/a"),
        visit: 1,
        work: Work::Perform,
        input: Value::Null,
        variables: Vec::new(),
        now: Timestamp(0),
        deadline: None,
        traceparent: None,
        tracestate: None,
        pool: None,
        priority,
        losses,
        grant: None,
    }
}
