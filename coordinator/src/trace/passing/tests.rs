use windlass_proto::definition::{Options, load};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::limits::SPANS_PER_INSTANCE;
use windlass_proto::time::Timestamp;
use windlass_proto::trace::{
    TraceContext, span_of_delivery, span_of_instance, span_of_visit, trace_of,
};
use windlass_proto::value::Value;
use windlass_telemetry::{Root, Sampler};

use super::Passing;
use crate::engine::{Instance, Origin, create};

/// The first visit that has no span.
const BEYOND: FrameId = FrameId(SPANS_PER_INSTANCE + 1);

/// An instance with a visit that has a span, and two without inside of it.
fn instance(trace: Option<TraceContext>) -> Instance {
    let text = "document: {dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'}\n\
        do: [{a: {do: [{b: {wait: {hours: 1}}}]}}]\n";
    let plan = load(text, &Options::default()).plan.unwrap();
    let origin = Origin { trace, ..Origin::default() };
    let id = InstanceId(uuid::Uuid::from_u128(0x0190_c2f1_8f9a_7d3c_9a51_0c6f_1c1d_2e3f));
    let (mut instance, _) = create(&plan, id, Timestamp(1), Value::Null, origin);
    let inner = instance.frames[&FrameId(2)].clone();
    for (number, parent) in [(BEYOND, FrameId(1)), (FrameId(BEYOND.0 + 1), BEYOND)] {
        let frame = crate::engine::Frame { parent, ..inner.clone() };
        instance.frames.insert(number, frame);
    }
    instance
}

#[test]
fn what_is_handed_on_names_a_span_that_is_told() {
    let instance = instance(None);
    let passing = Passing::of(Some(Sampler::default()), &instance).unwrap();
    let (id, trace) = (instance.id, trace_of(instance.id));
    let last = FrameId(SPANS_PER_INSTANCE);
    let of = |span, flags| Some(TraceContext::of(trace, span, flags));
    assert_eq!(passing.delivery(last, 3), of(span_of_delivery(id, last, 3), 1));
    assert_eq!(passing.visit(last), of(span_of_visit(id, last), 1));
    for number in [BEYOND, FrameId(BEYOND.0 + 1)] {
        // A worker tells of what is sampled, and its span would have no parent.
        assert_eq!(passing.delivery(number, 1), of(span_of_visit(id, FrameId(1)), 0));
        assert_eq!(passing.visit(number), of(span_of_visit(id, FrameId(1)), 1));
    }
    // A visit that is over is not known any more.
    let over = FrameId(BEYOND.0 + 9);
    assert_eq!(passing.visit(over), of(span_of_instance(id), 1));
}

#[test]
fn flags_of_the_caller_go_on_whoever_takes_spans() {
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
    let instance = instance(Some(caller.parse().unwrap()));
    let sent = |sampler: Option<Sampler>, frame| {
        let passing = Passing::of(sampler, &instance).unwrap();
        passing.delivery(frame, 1).unwrap().traceparent()
    };
    for frame in [FrameId(1), BEYOND] {
        assert_eq!(sent(None, frame), caller, "nobody traces: as it came");
    }
    let never = Sampler { follows_parent: false, root: Root::None };
    assert!(sent(Some(Sampler::default()), FrameId(1)).ends_with("-03"));
    assert!(sent(Some(Sampler::default()), BEYOND).ends_with("-02"));
    assert!(sent(Some(never), FrameId(1)).ends_with("-02"));
}
