//! Finding by the index and evaluating gives what evaluating for all gives.

mod chance;

use std::sync::Arc;

use uuid::Uuid;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::definition::{Options, load};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::plan::Plan;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::Routing;
use crate::engine::{Input, Instance, Interest, Key, Origin, Route, create, decide, interest};
use chance::Chance;

const AT: Timestamp = Timestamp(1_767_225_600_000);

fn plan(body: &str) -> Arc<Plan> {
    let text = format!(
        "document: {{dsl: '1.0.3', namespace: test, name: test, version: '1.0.0'}}\n{body}\n"
    );
    let loaded = load(&text, &Options::default());
    loaded.plan.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.diagnostics))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// An instance whose input is the input and the context of what listens.
fn started(plan: &Plan, number: u128, input: Value) -> Instance {
    let id = InstanceId(Uuid::from_u128(number));
    create(plan, id, AT, input, Origin::default()).0
}

/// Takes what a decision changed into the index, as the partition does.
fn index(routing: &mut Routing, plan: &Plan, state: &mut Instance) {
    let changes = std::mem::take(&mut state.changes);
    for frame in changes.subscribed {
        if let Some(interest) = interest(plan, state, frame) {
            // As it comes back from the journal.
            let bytes = rmp_serde::to_vec(&interest).unwrap();
            routing.insert((state.id, frame), rmp_serde::from_slice(&bytes).unwrap());
        }
    }
    for frame in changes.unsubscribed {
        routing.remove((state.id, frame));
    }
}

fn offer(plan: &Plan, state: &mut Instance, event: &Arc<CloudEvent>) -> bool {
    decide(plan, state, AT, Input::EventArrived(event.clone())).is_ok()
}

/// Listeners of one definition, once for the index and once without it.
#[derive(Default)]
struct Both {
    routing: Routing,
    all: Vec<(Arc<Plan>, Instance, Instance)>,
    consumed: usize,
    left_out: usize,
}

impl Both {
    fn add(&mut self, plan: &Arc<Plan>, input: Value) {
        let mut state = started(plan, self.all.len() as u128, input);
        let brute = state.clone();
        index(&mut self.routing, plan, &mut state);
        self.all.push((plan.clone(), state, brute));
    }

    fn offer(&mut self, event: &Arc<CloudEvent>, what: &dyn Fn() -> String) {
        let candidates = self.routing.candidates(event).instances;
        for (plan, found, brute) in &mut self.all {
            let takes = offer(plan, brute, event);
            let is_found = candidates.contains(&found.id);
            assert!(is_found || !takes, "{event:?} is kept from {}", what());
            self.left_out += usize::from(!is_found);
            self.consumed += usize::from(takes);
            if is_found {
                assert_eq!(offer(plan, found, event), takes, "{event:?} {}", what());
                index(&mut self.routing, plan, found);
            }
        }
    }

    /// What is indexed is what the states say.
    fn check(&self, what: &dyn Fn() -> String) {
        let mut expected = Routing::default();
        for (plan, found, brute) in &self.all {
            assert_eq!(found.to_bytes().unwrap(), brute.to_bytes().unwrap(), "{}", what());
            for frame in found.frames.keys() {
                if let Some(interest) = interest(plan, found, *frame) {
                    expected.insert((found.id, *frame), interest);
                }
            }
        }
        assert_eq!(self.routing.entries.len(), expected.entries.len(), "{}", what());
        assert_eq!(self.routing.waiting.len(), expected.waiting.len(), "{}", what());
        assert_eq!(self.routing.groups.len(), expected.groups.len(), "{}", what());
    }
}

#[test]
fn the_index_leaves_out_only_what_does_not_match() {
    const CASES: u64 = 300;
    let (mut consumed, mut left_out) = (0, 0);
    for seed in 0..CASES {
        let mut chance = Chance::new(seed);
        let mut both = Both::default();
        let mut texts = Vec::new();
        for _ in 0..chance.up_to(3) {
            let text = chance.definition();
            let plan = plan(&text);
            texts.push(text);
            for _ in 0..chance.up_to(6) {
                both.add(&plan, chance.input());
            }
        }
        let what = || format!("seed {seed}: {}", texts.join("\n"));
        (0..20).for_each(|number| both.offer(&chance.event(number), &what));
        both.check(&what);
        consumed += both.consumed;
        left_out += both.left_out;
    }
    assert!(consumed > 800 && left_out > 10_000, "{consumed} consumed, {left_out} left out");
}

fn of(to: &str) -> Vec<Route> {
    let plan = plan(&format!("do: [{{l: {{listen: {to}}}}}]"));
    let state = started(&plan, 1, json(r#"{"k": 7, "s": "x"}"#));
    let frame = *state.frames.keys().next_back().unwrap();
    interest(&plan, &state, frame).unwrap().into_routes()
}

/// Type and places of each route.
fn shapes(to: &str) -> Vec<String> {
    let shape = |route: Route| {
        let places: Vec<String> = route.places.iter().map(|it| it.join(".")).collect();
        format!("{} {}", route.kind.as_deref().unwrap_or("*"), places.join(","))
    };
    of(to).into_iter().map(shape).collect()
}

#[test]
fn equalities_of_filters_are_routes() {
    for (with, shape) in [
        ("{type: a}", "a "),
        ("{type: 'a.*'}", "* "),
        ("{source: s}", "* source"),
        ("{type: a, source: s, subject: 't.*'}", "a source"),
        ("{type: a, data: {order: {id: 1}, x: '.*'}}", "a data.order.id"),
        ("{type: a, data: '${ .id == \"7\" }'}", "a data.id"),
        ("{type: a, data: '${ 7 == .id and .n > 3 and .m.x == $input.k }'}", "a data.id,data.m.x"),
        ("{type: a, data: '${ .id == 7 or .n > 3 }'}", "a "),
        ("{type: a, data: '${ .id == 7 and (.x[] == 1) }'}", "a "),
        ("{type: a, data: '${ .id != 7 }'}", "a "),
        ("{type: a, data: {id: '${ $input.k }', n: '${ . > 3 }'}}", "a data.id"),
        ("{type: a, subject: '${ $input.s }'}", "a subject"),
        ("{type: a, subject: 'order-${ $input.k }'}", "a subject"),
        ("{type: '${ $input.s }'}", "x "),
        ("{type: a, data: '${ . == $runtime.version }'}", "a "),
    ] {
        assert_eq!(shapes(&format!("{{to: {{one: {{with: {with}}}}}}}")), [shape], "{with}");
    }
}

#[test]
fn all_filters_of_a_listen_are_routes() {
    let all = "{to: {all: [{with: {type: b}}, {with: {type: a}}, {with: {type: a}}]}}";
    assert_eq!(shapes(all), ["a ", "b "]);
    let until = "{to: {any: [{with: {type: a}}], until: {one: {with: {type: end}}}}}";
    assert_eq!(shapes(until), ["a ", "end "]);
    assert_eq!(shapes("{to: {any: []}}"), ["* "]);
    // An attribute is a number, or its text.
    let spelled = of("{to: {one: {with: {type: a, priority: 5}}}}");
    let digests: Vec<u64> = spelled.iter().map(|it| it.digest).collect();
    let digest = |value: &Value| Key::digest(&[Key::of(value).unwrap()]);
    let mut expected = [digest(&Value::Int(5)), digest(&Value::from("5"))];
    expected.sort_unstable();
    assert_eq!(digests, expected);
    let expect =
        "{to: {one: {with: {type: a}, correlate: {o: {from: .data.o, expect: '${ $input.k }'}}}}}";
    assert_eq!(shapes(expect), ["a data.o"]);
    let open = "{to: {one: {with: {type: a}, correlate: {o: {from: .data.o}}}}}";
    assert_eq!(shapes(open), ["a "]);
}

#[test]
fn too_many_filters_are_found_by_type() {
    let filters: Vec<String> =
        (0..300).map(|it| format!("{{with: {{type: a{}, subject: s{it}}}}}", it % 2)).collect();
    let many = format!("{{to: {{any: [{}]}}}}", filters.join(", "));
    assert_eq!(shapes(&many), ["a0 ", "a1 "]);
}

#[test]
fn equal_values_have_equal_keys() {
    let same = ["1", "1.0", "10e-1"].map(json);
    let key = |it: &Value| Key::of(it).map(|key| Key::digest(&[key]));
    assert!(same.iter().all(|it| key(it) == key(&same[0]) && *it == same[0]));
    assert_eq!(key(&Value::Float(-0.0)), key(&Value::Int(0)));
    let different = ["1", "\"1\"", "true", "null", "2", "\"\"", "false", "1.5"].map(json);
    for (at, one) in different.iter().enumerate() {
        assert!(different.iter().skip(at + 1).all(|other| key(one) != key(other)), "{one}");
    }
    for none in [json("[1]"), json("{}"), Value::Float(f64::NAN), Value::from("x".repeat(2_000))] {
        assert_eq!(key(&none), None);
    }
    let parts = |it: [&'static str; 2]| Key::digest(&it.map(Key::Text));
    assert_ne!(parts(["ab", "c"]), parts(["a", "bc"]));
}

/// Digests and routes are in journals: these are the bytes of the first version that wrote them.
#[test]
fn what_is_in_the_journal_is_read_in_all_versions() {
    assert_eq!(Key::digest(&[]), 0xe3b0_c442_98fc_1c14);
    let keys = [Key::Null, Key::Bool(true), Key::Number(1.5_f64.to_bits()), Key::Text("a")];
    assert_eq!(Key::digest(&keys), 6_457_349_456_975_759_999);
    let typed = |kind: Option<&str>| Route {
        kind: kind.map(Arc::from),
        places: Vec::new(),
        digest: Key::digest(&[]),
    };
    for (old, routes) in [
        (&b"\x81\xa5Types\x92\xa1a\xa1b"[..], vec![typed(Some("a")), typed(Some("b"))]),
        (b"\xa3All", vec![typed(None)]),
    ] {
        let interest: Interest = rmp_serde::from_slice(old).unwrap();
        assert_eq!(interest.into_routes(), routes);
    }
    let place = vec![vec![Arc::from("data"), Arc::from("id")]];
    let route = Route { kind: None, places: place, digest: 7 };
    let bytes = rmp_serde::to_vec(&Interest::Routes(vec![route])).unwrap();
    assert_eq!(bytes, b"\x81\xa6Routes\x91\x93\xc0\x91\x92\xa4data\xa2id\x07");
}

#[test]
fn nothing_is_left_of_those_that_have_gone() {
    let mut routing = Routing::default();
    let visit = |number| (InstanceId(Uuid::from_u128(number)), FrameId(1));
    let wants =
        |id: u128| of(&format!("{{to: {{one: {{with: {{type: a{}, subject: s{id}}}}}}}}}", id % 3));
    for number in 0..30 {
        assert!(routing.insert(visit(number), Interest::Routes(wants(number / 2))));
        assert!(!routing.insert(visit(number), Interest::Routes(wants(number / 2))), "the same");
    }
    assert_eq!((routing.groups.len(), routing.waiting.len()), (3, 15));
    let event = json(r#"{"specversion":"1.0","id":"1","source":"s","type":"a1","subject":"s4"}"#);
    let event = CloudEvent::from_value(event).unwrap();
    let found = |routing: &Routing| {
        let found = routing.candidates(&event);
        (found.instances.into_iter().collect::<Vec<_>>(), found.lookups)
    };
    assert_eq!(found(&routing), (vec![visit(8).0, visit(9).0], 1));
    routing.remove(visit(8));
    assert!(routing.insert(visit(9), Interest::Types(vec!["b".into()])));
    assert!(routing.insert(visit(0), Interest::All));
    assert_eq!(found(&routing), (vec![visit(0).0], 2));
    (0..30).for_each(|number| routing.remove(visit(number)));
    assert_eq!((routing.groups.len(), routing.waiting.len(), routing.entries.len()), (0, 0, 0));
}
