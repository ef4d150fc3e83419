//! What the traces of a run must be, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use windlass_coordinator::trace;
use windlass_proto::id::InstanceId;
use windlass_proto::trace::{span_of_instance, trace_of};
use windlass_telemetry::{FinishedSpan, Sampler};

use super::run::Run;

/// What of a span is the same, whoever tells it: a coordinator that took the instance up from a
/// snapshot does not know all that happened before.
fn outline(span: &FinishedSpan) -> impl PartialEq + std::fmt::Debug + use<> {
    let ids = (span.trace_id, span.parent, span.name.to_string());
    (ids, span.end, span.status.clone())
}

/// Each instance's history tells one whole tree, and what was told live is of it and told once. All
/// of it, where there was no crash.
pub(super) fn check(run: &Run<'_>, ids: &[InstanceId]) {
    let catalog = run.outside.shared_catalog();
    let mut all = BTreeMap::new();
    for id in ids {
        let spans = trace::told(Sampler::default(), &*run.journal, &catalog, *id).unwrap();
        whole(*id, &spans);
        all.extend(spans.into_iter().map(|it| ((it.trace_id.number(), it.span_id.number()), it)));
    }
    let mut live = BTreeSet::new();
    for span in &*run.told.lock().unwrap() {
        let key = (span.trace_id.number(), span.span_id.number());
        assert!(live.insert(key), "told twice: {span:#?}");
        let of_history = all.get(&key).unwrap_or_else(|| panic!("not of the history: {span:#?}"));
        assert_eq!(outline(span), outline(of_history), "{span:#?}\n{of_history:#?}");
    }
    if run.outages.is_empty() {
        let missing: Vec<_> = all.iter().filter(|(key, _)| !live.contains(key)).collect();
        assert!(missing.is_empty(), "not told: {missing:#?}");
    }
}

/// The spans are one tree below that of the instance, none twice, and each lies within its parent.
fn whole(id: InstanceId, spans: &[FinishedSpan]) {
    let by_id: BTreeMap<_, _> = spans.iter().map(|it| (it.span_id.number(), it)).collect();
    assert_eq!(by_id.len(), spans.len(), "{id} tells a span twice: {spans:#?}");
    let root = span_of_instance(id);
    assert!(by_id.contains_key(&root.number()), "{id} has no root: {spans:#?}");
    for span in spans {
        assert_eq!(span.trace_id, trace_of(id));
        assert!(span.start <= span.end, "{span:#?}");
        let Some(parent) = span.parent else {
            assert_eq!(span.span_id, root, "{span:#?}");
            continue;
        };
        let parent = by_id.get(&parent.number());
        let parent = parent.unwrap_or_else(|| panic!("{id}: no parent of {span:#?}"));
        let inside = parent.start <= span.start && span.end <= parent.end;
        assert!(inside, "{id}: {span:#?} is not within {parent:#?}");
    }
}
