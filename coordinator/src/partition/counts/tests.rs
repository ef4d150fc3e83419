//! Each end is counted by what it was.

use windlass_proto::definition::{Options, load};
use windlass_proto::id::InstanceId;
use windlass_proto::metric::Snapshot;
use windlass_proto::metric::text::Format;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::InstanceCounts;
use crate::engine::{Input, Origin, create, decide};

/// What is counted of instances that raise these errors, complete where there is none, and are
/// cancelled where it is empty; each takes three seconds.
fn counted(errors: &[Option<&str>]) -> String {
    let counts = InstanceCounts::default();
    for error in errors {
        let task = match error {
            Some("") => "{ wait: { hours: 1 } }".to_owned(),
            Some(kind) => format!(
                "{{ do: [{{ pause: {{ wait: {{ seconds: 3 }} }} }}, {{ stop: {{ raise: {{ error: {{ type: '{kind}', \
                 status: 500 }} }} }} }}] }}"
            ),
            None => "{ wait: { seconds: 3 } }".to_owned(),
        };
        let text = format!(
            "document: {{dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0'}}\ndo: [{{ one: {task} }}]\n"
        );
        let plan = load(&text, &Options::default()).plan.unwrap();
        let (id, at) = (InstanceId(uuid::Uuid::nil()), Timestamp(1_000));
        let (mut state, begun) = create(&plan, id, at, Value::Null, Origin::default());
        let of_workflow = counts.of(&plan);
        counts.note(&of_workflow, &state, at, &begun.facts, true);
        let input = match error {
            Some("") => Input::Cancel { reason: None },
            _ => Input::TimerFired { timer: 0 },
        };
        let at = Timestamp(4_000);
        let facts = decide(&plan, &mut state, at, input).unwrap().facts;
        counts.note(&of_workflow, &state, at, &facts, true);
        assert!(state.ending.is_some(), "{text}");
    }
    let mut snapshot = Snapshot::default();
    counts.measured(&mut snapshot);
    Format::OpenMetrics.write(&snapshot)
}

#[test]
fn each_end_is_counted_by_what_it_was() {
    let standard = "https://serverlessworkflow.io/spec/1.0.0/errors/communication";
    let own = "https://shop.example/errors/stock";
    let text = counted(&[None, None, Some(""), Some(standard), Some(own), Some(own)]);
    let of = "{namespace=\"shop\",workflow=\"order\"";
    for line in [
        format!("windlass_instances_started_total{of}}} 6\n"),
        format!("windlass_instances_ended_total{of},status=\"completed\",error=\"\"}} 2\n"),
        format!("windlass_instances_ended_total{of},status=\"cancelled\",error=\"\"}} 1\n"),
        format!(
            "windlass_instances_ended_total{of},status=\"faulted\",error=\"communication\"}} 1\n"
        ),
        format!("windlass_instances_ended_total{of},status=\"faulted\",error=\"_other\"}} 2\n"),
        format!("windlass_instance_duration_seconds_bucket{of},le=\"2.0\"}} 0\n"),
        format!("windlass_instance_duration_seconds_bucket{of},le=\"4.0\"}} 6 # {{trace_id=\""),
        format!("windlass_instance_duration_seconds_sum{of}}} 18.0\n"),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(!text.contains("error=\"timeout\""), "{text}");
}
