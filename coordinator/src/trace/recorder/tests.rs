use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::definition::{Options, load};
use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_telemetry::opentelemetry::KeyValue;
use windlass_telemetry::{FinishedSpan, names};

use super::{Decided, Recorder};
use crate::engine::{
    Decision, Effect, Fact, Input, Instance, Journaled, Origin, create, decide, decode, encode,
};
use crate::journal::memory::MemoryJournal;
use crate::journal::{Commit, InstanceWrite, Journal as _, StoredInstance};

/// An instance, with what is told of it and its facts in a journal.
struct Run {
    plan: Arc<Plan>,
    state: Instance,
    at: Timestamp,
    recorder: Recorder,
    spans: Vec<FinishedSpan>,
    journal: MemoryJournal,
}

impl Run {
    fn start(tasks: &str) -> Self {
        let text = format!(
            "document: {{dsl: '1.0.3', namespace: n, name: w, version: '1.0.0'}}\ndo:\n{tasks}\n"
        );
        let loaded = load(&text, &Options::default());
        let plan = loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
        let id = InstanceId(uuid::Uuid::from_u128(0x0190_c2f1_8f9a_7d3c_9a51_0c6f_1c1d_2e3f));
        let at = Timestamp(1_000);
        let (state, begun) = create(&plan, id, at, Value::Null, Origin::default());
        let (recorder, journal) = (Recorder::new(id), MemoryJournal::in_memory(1).unwrap());
        let mut run = Self { plan, state, at, recorder, spans: Vec::new(), journal };
        run.take(begun);
        run
    }

    /// Keeps what was decided, and lets it go on until it waits.
    fn take(&mut self, decision: Decision) {
        let Decision { facts, effects } = decision;
        let count = u32::try_from(facts.len()).unwrap();
        let decided = Decided { plan: &self.plan, instance: &self.state, at: self.at };
        self.spans.extend(self.recorder.take(&decided, &facts));
        let mut bytes = Vec::new();
        encode(&Journaled { at: self.at, facts }, &mut bytes).unwrap();
        let write = InstanceWrite {
            instance: self.state.id,
            sequence: self.state.sequence - u64::from(count),
            count,
            facts: bytes.into(),
            head: None,
            hot: None,
            snapshot: None,
        };
        self.journal.commit(&[Commit { writes: vec![write], ..Commit::default() }]).unwrap();
        if effects.iter().any(|it| matches!(it, Effect::Yield)) {
            self.give(Input::Continue);
        }
    }

    fn give(&mut self, input: Input) {
        let decision = decide(&self.plan, &mut self.state, self.at, input).unwrap();
        self.take(decision);
    }

    /// Lets the timer that is due first fire, when it is.
    fn fire(&mut self) {
        let (timer, due) =
            self.state.timers.iter().map(|(id, it)| (*id, it.due)).min_by_key(|it| it.1).unwrap();
        self.at = due;
        self.give(Input::TimerFired { timer });
    }

    /// Lets a `try` at the top try again until it gives up and waits.
    fn caught(&mut self) {
        while self.state.frames.len() < 3 {
            self.fire();
        }
    }

    /// What was decided last.
    fn last(&self) -> Vec<Fact> {
        let all = self.journal.facts(self.state.id, 0, 10_000).unwrap();
        decode(&all.last().unwrap().facts).unwrap().pop().unwrap().facts
    }

    /// What goes on after a restart for which there is a snapshot of all so far.
    fn restored(&self, journal: &MemoryJournal) -> Recorder {
        let snapshot = Some((self.state.sequence, self.state.to_bytes().unwrap()));
        let stored = StoredInstance { snapshot, facts: Vec::new() };
        Recorder::restore(&self.plan, self.state.id, &stored, journal).unwrap()
    }

    /// Ends it; the spans that this tells.
    fn end(&mut self) -> Vec<FinishedSpan> {
        self.spans.clear();
        self.give(Input::Cancel { reason: None });
        std::mem::take(&mut self.spans)
    }

    fn told(&self, name: &str) -> &FinishedSpan {
        named(&self.spans, name)
    }
}

fn named<'s>(spans: &'s [FinishedSpan], name: &str) -> &'s FinishedSpan {
    spans.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"))
}

fn value(attributes: &[KeyValue], name: &str) -> Option<String> {
    attributes.iter().find(|it| it.key.as_str() == name).map(|it| it.value.to_string())
}

fn events(span: &FinishedSpan) -> Vec<&str> {
    span.events.iter().map(|it| it.name).collect()
}

#[test]
fn texts_are_cut_when_they_are_noted_and_count_as_memory() {
    let mut run = Run::start(
        r#"- tried:
    try:
    - boom:
        raise: {error: {type: '${ "https://x.example/" + ("x" * 20000) }', status: 503, title: t}}
    catch:
      errors: {with: {status: 503}}
      retry: {delay: {milliseconds: 2}, limit: {attempt: {count: 30}}}
      do: [{w: {wait: {hours: 1}}}]"#,
    );
    let before = run.recorder.bytes();
    run.caught();
    // Every other event is an attempt that failed.
    let kept = run.recorder.bytes() - before;
    let texts = (limits::SPAN_EVENTS / 2 * limits::SPAN_TEXT_BYTES) as u64;
    assert!((texts..2 * texts).contains(&kept), "{kept}");
    let ended = run.end();
    let tried = named(&ended, "task tried");
    let types = tried.events.iter().filter_map(|it| value(&it.attributes, names::ERROR_TYPE));
    let lengths: Vec<_> = types.map(|it| it.len()).collect();
    assert!(lengths.iter().all(|it| *it <= limits::SPAN_TEXT_BYTES), "{lengths:?}");
    assert!(lengths.len() > 10 && tried.dropped_events > 10, "{tried:#?}");
}

#[test]
fn links_beyond_the_bound_are_counted_and_say_where_they_are_from() {
    let mut run = Run::start(
        "- l: {listen: {to: {any: [{with: {type: t.it}}], until: '${ length >= 40 }'}}}\n\
         - e: {listen: {to: {any: [{with: {type: t.it}}], until: '${ length >= 3 }'}}, foreach: \
         {item: it, do: [{s: {set: {a: 1}}}]}}",
    );
    for number in 0..43 {
        let text = format!(
            "{{\"specversion\": \"1.0\", \"id\": \"{number}\", \"source\": \"s:x\", \
             \"type\": \"t.it\", \"traceparent\": \"00-0af7651916cd43dd8448eb211c80319c-{:016x}-01\"}}",
            number + 1
        );
        let event = serde_json::from_str::<Value>(&text).unwrap();
        run.give(Input::EventArrived(CloudEvent::from_value(event).unwrap().into()));
    }
    let listened = run.told("task l");
    assert_eq!((listened.links.len(), listened.dropped_links), (limits::SPAN_EVENTS, 8));
    assert!(listened.links.iter().all(|it| it.is_remote), "{listened:#?}");
    assert_eq!(value(&listened.attributes, names::ITERATIONS), None, "it has no foreach");
    let each = run.told("task e");
    assert_eq!(value(&each.attributes, names::ITERATIONS).as_deref(), Some("3"));
    assert_eq!((each.links.len(), each.dropped_links), (3, 0));
}

/// Two attempts at a loop, whose second one goes beyond the visits that have spans.
const TRIED: &str = "- tried:
    try:
    - all: {for: {each: i, in: '${ [range(0; 520)] }'}, do: [{one: {set: {a: 1}}}]}
    - boom: {raise: {error: {type: 'https://x.example/broken', status: 503, title: t}}}
    catch:
      errors: {with: {status: 503}}
      retry: {delay: {milliseconds: 5}, limit: {attempt: {count: 1}}}
      do: [{w: {wait: {hours: 1}}}]";

#[test]
fn a_restart_knows_what_happened_before_the_snapshot() {
    let mut run = Run::start(TRIED);
    run.caught();
    run.give(Input::Suspend);
    run.give(Input::Resume);
    let mut restored = run.restored(&run.journal);
    assert_eq!(restored.bytes(), run.recorder.bytes());
    std::mem::swap(&mut run.recorder, &mut restored);
    let after = run.end();
    let tried = named(&after, "task tried");
    let expected = [names::RETRY_SCHEDULED, names::RETRY, names::CAUGHT];
    assert_eq!(events(tried), expected, "{tried:#?}");
    assert_eq!(value(&tried.attributes, names::ATTEMPTS).as_deref(), Some("2"));
    let root = named(&after, "workflow n/w");
    assert_eq!(events(root), [names::SUSPENDED, names::RESUMED]);
    // Neither what was caught nor the wait has a span any more.
    assert_eq!(value(&tried.attributes, names::UNTRACED).as_deref(), Some("2"), "{tried:#?}");
    // What went on without a restart tells the same.
    let decided = Decided { plan: &run.plan, instance: &run.state, at: run.at };
    assert_eq!(after, restored.take(&decided, &run.last()));
}

#[test]
fn a_restart_knows_what_the_state_says_where_there_are_too_many_facts() {
    let empty = MemoryJournal::in_memory(1).unwrap();
    let mut run = Run::start(TRIED);
    run.recorder = run.restored(&empty);
    run.caught();
    run.recorder = run.restored(&empty);
    let after = run.end();
    let root = named(&after, "workflow n/w");
    // Of 1046 visits; the last one is open, and in the `try`.
    assert_eq!(value(&root.attributes, names::UNTRACED).as_deref(), Some("45"), "{root:#?}");
    let tried = named(&after, "task tried");
    assert_eq!(value(&tried.attributes, names::UNTRACED).as_deref(), Some("1"));

    let mut run = Run::start(
        "- both:\n    fork:\n      branches:\n\
         \x20     - sub: {run: {workflow: {namespace: n, name: c, version: '1.0.0'}}}\n\
         \x20     - all: {for: {each: i, in: '[1, 2]'}, do: [{w: {wait: {hours: 1}}}]}\n\
         \x20     - again:\n          try: [{boom: {raise: {error: {type: 'https://x.example/b', \
         status: 503, title: t}}}}]\n          catch: {errors: {with: {status: 503}}, retry: \
         {delay: {hours: 2}, limit: {attempt: {count: 2}}}}\n\
         \x20     - each:\n          listen: {to: {any: [{with: {type: t.it}}]}}\n          \
         foreach: {item: it, do: [{v: {wait: {hours: 3}}}]}\n",
    );
    run.fire();
    let event = r#"{"specversion": "1.0", "id": "1", "source": "s:x", "type": "t.it"}"#;
    let event = serde_json::from_str::<Value>(event).unwrap();
    run.give(Input::EventArrived(CloudEvent::from_value(event).unwrap().into()));
    let mut by_state = run.restored(&empty);
    let whole = run.end();
    let decided = Decided { plan: &run.plan, instance: &run.state, at: run.at };
    let known = by_state.take(&decided, &run.last());
    for (name, attribute, said) in [
        ("task sub", names::CHILD, value(&named(&whole, "task sub").attributes, names::CHILD)),
        ("task all", names::ITERATIONS, Some("2".to_owned())),
        ("task again", names::ATTEMPTS, Some("1".to_owned())),
        ("task each", names::ITERATIONS, Some("1".to_owned())),
    ] {
        for spans in [&whole, &known] {
            let span = named(spans, name);
            assert!(said.is_some());
            assert_eq!(value(&span.attributes, attribute), said, "{span:#?}");
            assert_eq!(span.links, named(&whole, name).links);
        }
    }
}
