use windlass_proto::definition::{Options, load};
use windlass_proto::id::InstanceId;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use windlass_proto::limits;
use windlass_telemetry::Sampler;

use super::Resident;
use crate::engine::{Body, Fact, Input, Origin, create, decide};
use crate::memory::Memory;

/// What a loop of as many iterations writes, when its input has so many items: for each turn the
/// bytes of facts, and those of a snapshot.
fn written(iterations: usize, items: i64) -> Vec<(usize, Option<usize>)> {
    let text = "document: {dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'}\n\
        do: [{all: {for: {each: item, in: '${ .items }'}, do: [{step: {call: work}}]}}]\n";
    let functions = Some(vec!["work".into()]);
    let plan = load(text, &Options { functions, ..Options::default() }).plan.unwrap();
    let (id, at) = (InstanceId(uuid::Uuid::nil()), Timestamp(1));
    let input = Value::object([("items", Value::array((0..items).map(Value::Int).collect()))]);
    let (state, begun) = create(&plan, id, at, input, Origin::default());
    let charge = Memory::new(u64::MAX).of_instance(&"n".into());
    let mut resident = Resident::new(state, plan.clone(), charge);
    let turn = |resident: &mut Resident, facts: Vec<Fact>| {
        resident.keep(at, facts).unwrap();
        let write = resident.write(1).unwrap();
        (write.facts.len(), write.snapshot.map(|it| it.len()))
    };
    let mut all = vec![turn(&mut resident, begun.facts)];
    for _ in 0..iterations {
        let open = resident.instance.frames.iter().find_map(|(frame, it)| match it.body {
            Body::Dispatched { delivery } => Some((*frame, delivery)),
            _ => None,
        });
        let (frame, delivery) = open.unwrap();
        let (result, secrets) = (Ok(Value::from("x".repeat(100))), Vec::new());
        let report = Input::Reported { frame, delivery, result, secrets, retry_after_ms: None };
        let facts = decide(&plan, &mut resident.instance, at, report).unwrap().facts;
        all.push(turn(&mut resident, facts));
    }
    all
}

#[test]
fn snapshots_take_no_more_than_facts_however_large_the_state_is() {
    for items in [3_000, 20_000] {
        let mut behind = 0;
        let mut most = 0;
        let mut snapshots = 0;
        for (facts, snapshot) in written(2_900, items) {
            behind += facts;
            if let Some(bytes) = snapshot {
                assert!(bytes <= behind, "{bytes} bytes after {behind} of facts, {items} items");
                (behind, snapshots, most) = (0, snapshots + 1, most.max(bytes));
            }
        }
        assert!(snapshots > 0 && behind <= 3 * most, "{snapshots} snapshots, {behind} behind");
    }
}

#[test]
fn a_state_that_is_smaller_than_a_thousand_facts_is_written_after_as_many() {
    let snapshots = written(900, 901).iter().filter(|it| it.1.is_some()).count();
    assert!(snapshots >= 2, "{snapshots}");
}

#[test]
fn what_is_kept_of_a_recorded_instance_counts_as_its_memory() {
    let text = "document: {dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'}\n\
        do: [{all: {fork: {branches: [BRANCHES]}}}]\n";
    let branches: Vec<_> = (0..50).map(|it| format!("{{b{it}: {{call: work}}}}")).collect();
    let text = text.replace("BRANCHES", &branches.join(", "));
    let functions = Some(vec!["work".into()]);
    let plan = load(&text, &Options { functions, ..Options::default() }).plan.unwrap();
    let held = |sampler: Option<Sampler>| {
        let (id, at) = (InstanceId(uuid::Uuid::nil()), Timestamp(1));
        let (state, begun) = create(&plan, id, at, Value::Null, Origin::default());
        let charge = Memory::new(u64::MAX).of_instance(&"n".into());
        let mut resident = Resident::new(state, plan.clone(), charge);
        let mut releases = Vec::new();
        if let Some(sampler) = sampler {
            resident.trace(sampler, at, &begun.facts, &mut releases);
        }
        let (_, open) = resident.count();
        let ended = decide(&plan, &mut resident.instance, at, Input::Cancel { reason: None });
        if let Some(sampler) = sampler {
            resident.trace(sampler, at, &ended.unwrap().facts, &mut releases);
        }
        let (_, over) = resident.count();
        (open, over)
    };
    let (without, with) = (held(None), held(Some(Sampler::default())));
    let visits = 51 * limits::RECORDED_VISIT_BYTES;
    // Each is rounded up to a grain.
    assert!(with.0 + limits::MEMORY_GRAIN_BYTES > without.0 + visits, "{with:?} {without:?}");
    assert!(with.1 < without.1 + limits::MEMORY_GRAIN_BYTES * 2, "{with:?} {without:?}");
}
