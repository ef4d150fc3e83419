//! Ids that follow from instance, visit and delivery.

use sha2::{Digest as _, Sha256};

use super::{SpanId, TraceId};
use crate::id::{FrameId, InstanceId};

/// The trace of an instance that was started without one: its number is the instance's id, so that
/// whoever has the id of one finds the other.
#[must_use]
pub fn trace_of(instance: InstanceId) -> TraceId {
    TraceId::new(instance.0.as_u128())
}

/// The span of an instance, from its start to its end.
#[must_use]
pub fn span_of_instance(instance: InstanceId) -> SpanId {
    span(b"instance", instance, &[])
}

/// The span of one visit of a task.
#[must_use]
pub fn span_of_visit(instance: InstanceId, frame: FrameId) -> SpanId {
    span(b"visit", instance, &[frame.0])
}

/// The span of one sending of a visit to a worker.
#[must_use]
pub fn span_of_delivery(instance: InstanceId, frame: FrameId, delivery: u32) -> SpanId {
    span(b"delivery", instance, &[frame.0, delivery])
}

/// A function of what it is the span of, other for each.
fn span(kind: &[u8], instance: InstanceId, numbers: &[u32]) -> SpanId {
    let mut hash = Sha256::new();
    hash.update(b"windlass span ");
    hash.update(kind);
    hash.update(instance.0.as_bytes());
    for number in numbers {
        hash.update(number.to_be_bytes());
    }
    let hash = hash.finalize();
    SpanId::new(hash[..8].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// Whether a trace is among the share of `ratio` (0 to 1) of all: the same for everybody who asks.
/// All bits of the id count, since those of instances begin with the time.
#[must_use]
pub fn is_within_ratio(trace: TraceId, ratio: f64) -> bool {
    let number = trace.number();
    let mixed = mix((number >> 64) as u64 ^ mix(number as u64));
    // 53 bits are what a double has.
    let share = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    share < ratio
}

/// The finalizer of SplitMix64: every bit of the input changes half of those of the output.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
