//! Events that start instances.

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::value::Value;

use super::super::{State, Why};
use super::{World, at};

const NOON: &str = "2026-01-01T12:00:00Z";

const TWO: &str = "{ with: { type: a } }, { with: { type: b } }";

impl World {
    /// Offers an event with this type, this data and this id; true when it counts.
    fn event(&mut self, kind: &str, data: &str, held: bool) -> bool {
        let text = format!(
            "{{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"{kind}\",\"data\":{data}}}"
        );
        let event = CloudEvent::from_value(Value::from_json(&text).unwrap()).unwrap();
        let id = self.id;
        let heard = |state: &mut State, schedule: &_| {
            state.hear(id, schedule, (&event, at(NOON)), (1_000_000, held)).0
        };
        let Some(mut turn) = self.with(heard) else { return false };
        if self.is_full {
            self.state.postpone(&mut turn);
        }
        self.commit(turn, at(NOON));
        // What is kept of it is all there is of it.
        let bytes = rmp_serde::to_vec(&self.state).unwrap();
        self.state = rmp_serde::from_slice(&bytes).unwrap();
        true
    }

    fn inputs(&self) -> Vec<String> {
        self.given.iter().map(Value::to_json).collect()
    }
}

#[test]
fn each_event_that_one_waits_for_starts_an_instance() {
    let on = "{ on: { one: { with: { type: a } } }, read: data }";
    let mut world = World::new(on, "{}", NOON);
    assert!(!world.event("b", "1", false));
    // In one millisecond.
    for number in ["1", "2", "2"] {
        assert!(world.event("a", number, false));
    }
    assert_eq!(world.started.len(), 3);
    assert_eq!(world.inputs(), ["[1]", "[2]", "[2]"]);
}

#[test]
fn events_are_read_as_the_schedule_says() {
    for (read, wanted) in [
        (
            "",
            "[{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a\",\"data\":{\"b\":1}}]",
        ),
        (", read: data", "[{\"b\":1}]"),
        (", read: raw", "[\"{\\\"b\\\":1}\"]"),
    ] {
        let on = format!("{{ on: {{ one: {{ with: {{ type: a }} }} }}{read} }}");
        let mut world = World::new(&on, "{}", NOON);
        assert!(world.event("a", "{\"b\":1}", false));
        assert_eq!(world.inputs(), [wanted], "{read}");
    }
}

#[test]
fn all_takes_one_of_each_in_any_order() {
    let mut world = World::new(&format!("{{ on: {{ all: [{TWO}] }}, read: data }}"), "{}", NOON);
    let events = [("b", "1", true), ("b", "2", false), ("c", "3", false), ("a", "4", true)];
    for (kind, data, counts) in events {
        assert_eq!(world.event(kind, data, false), counts, "{kind} {data}");
    }
    assert_eq!(world.inputs(), ["[1,4]"]);
    assert!(world.event("b", "5", false), "and it begins anew");
    assert_eq!(world.started.len(), 1);
}

#[test]
fn any_gathers_until_it_is_told_to_end() {
    let on = format!("{{ on: {{ any: [{TWO}] }}, read: data }}");
    let mut world = World::new(&on, "{}", NOON);
    world.event("b", "1", false);
    assert_eq!(world.inputs(), ["[1]"]);
    let on = format!("{{ on: {{ any: [{TWO}], until: length >= 3 }}, read: data }}");
    let mut world = World::new(&on, "{}", NOON);
    for number in ["1", "2", "3", "4"] {
        assert!(world.event("a", number, false));
    }
    assert_eq!(world.inputs(), ["[1,2,3]"]);
    assert_eq!(world.state.listener.as_ref().unwrap().gathered(), 1);
    let until = "{ one: { with: { type: end } } }";
    let on = format!("{{ on: {{ any: [{TWO}], until: {until} }}, read: data }}");
    let mut world = World::new(&on, "{}", NOON);
    for (kind, data) in [("a", "1"), ("b", "2"), ("end", "3"), ("a", "4"), ("end", "5")] {
        assert!(world.event(kind, data, false));
    }
    assert_eq!(world.inputs(), ["[1,2]", "[4]"], "what ends it is not part of it");
}

#[test]
fn what_belongs_together_is_told_by_correlation() {
    let of =
        |kind| format!("{{ with: {{ type: {kind} }}, correlate: {{ id: {{ from: .data.id }} }} }}");
    let on = format!("{{ on: {{ all: [{}, {}] }}, read: data }}", of("a"), of("b"));
    let mut world = World::new(&on, "{}", NOON);
    assert!(world.event("a", "{\"id\":1}", false));
    assert!(!world.event("b", "{\"id\":2}", false));
    assert!(world.event("b", "{\"id\":1}", false));
    assert_eq!(world.inputs(), ["[{\"id\":1},{\"id\":1}]"]);
    // The next ones may be of another.
    assert!(world.event("b", "{\"id\":2}", false));
    assert!(world.event("a", "{\"id\":2}", false));
    assert_eq!(world.started.len(), 2);
    let on = "{ on: { one: { with: { type: a, data: '${ .amount > 3 }' } } }, read: data }";
    let mut world = World::new(on, "{}", NOON);
    assert!(!world.event("a", "{\"amount\":3}", false));
    assert!(world.event("a", "{\"amount\":4}", false));
}

#[test]
fn while_paused_or_suspended_starts_are_skipped() {
    let mut world = World::new("{ on: { one: { with: { type: a } } } }", "{}", NOON);
    assert!(world.event("a", "1", true));
    world.state.pause(None, at(NOON));
    assert!(world.event("a", "2", false));
    let why: Vec<Why> = world.skipped().into_iter().map(|it| it.2).collect();
    assert_eq!((why, world.started.len()), (vec![Why::Suspended, Why::Paused], 0));
    world.with(|state, schedule| state.resume(schedule, at(NOON)));
    assert!(world.event("a", "3", false));
    assert_eq!(world.started.len(), 1);
}

#[test]
fn a_start_that_waits_keeps_its_events() {
    let on = "{ on: { one: { with: { type: a } } }, read: data }";
    let mut world = World::new(on, "{ overlap: buffer-all }", NOON);
    for number in ["1", "2", "3"] {
        world.event("a", number, false);
    }
    assert_eq!((world.inputs(), world.state.waiting()), (vec!["[1]".to_owned()], 2));
    for wanted in ["[2]", "[3]"] {
        let running = world.running()[0];
        world.end(running, false, NOON);
        world.look(NOON);
        assert_eq!(world.inputs().last().unwrap(), wanted);
    }
    let running = world.running()[0];
    world.end(running, false, NOON);
    assert_eq!(world.state.busy, None, "nothing is left of them");
    // What would take too much does not wait.
    let large = format!("\"{}\"", "x".repeat(600_000));
    for _ in 0..3 {
        world.event("a", &large, false);
    }
    assert_eq!(world.state.waiting(), 1);
    assert_eq!(world.skipped().last().unwrap().2, Why::Overlap);
}

#[test]
fn a_start_without_memory_waits_with_its_events() {
    let on = "{ on: { one: { with: { type: a } } }, read: data }";
    let mut world = World::new(on, "{}", NOON);
    world.is_full = true;
    for number in ["1", "2"] {
        assert!(world.event("a", number, false), "it counts all the same");
    }
    assert_eq!((world.started.len(), world.state.waiting()), (0, 2));
    assert_eq!(world.look(NOON), 2);
    assert_eq!(
        (world.inputs(), world.state.busy.is_none()),
        (vec!["[1]".into(), "[2]".into()], true)
    );
    // No more than may wait.
    for number in 0..1_001 {
        world.event("a", &number.to_string(), false);
    }
    assert_eq!((world.state.waiting(), world.skipped().len()), (1_000, 1));
}

#[test]
fn what_is_too_much_to_gather_is_given_up_and_told() {
    let on = "{ on: { any: [], until: length >= 1000 }, read: data }";
    let mut world = World::new(on, "{}", NOON);
    let large = format!("\"{}\"", "x".repeat(400_000));
    for _ in 0..3 {
        assert!(world.event("a", &large, false));
    }
    assert_eq!(world.skipped().last().unwrap().2, Why::Failed);
    assert_eq!(world.state.listener.as_ref().unwrap().gathered(), 0, "it begins anew");
}

#[test]
fn a_new_version_listens_for_what_it_says() {
    let mut world = World::new(&format!("{{ on: {{ all: [{TWO}] }} }}"), "{}", NOON);
    world.event("a", "1", false);
    let plan = super::plan("{ on: { one: { with: { type: b } } } }", "{}");
    let definition = (plan.id.clone(), plan.digest.clone());
    let schedule = plan.schedule.as_ref().unwrap();
    let former = Some(world.state);
    world.state = State::deployed(former, world.id, definition, schedule, at(NOON));
    world.plan = plan.clone();
    assert!(!world.event("a", "2", false));
    assert!(world.event("b", "3", false));
    assert_eq!(world.started.len(), 1);
}
