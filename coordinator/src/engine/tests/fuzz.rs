//! Whatever comes in, the engine neither panics nor leaves its invariants, which the driver checks
//! after every decision. Seeded: a failure can be run again.

use std::sync::Arc;

use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::plan::Plan;
use windlass_proto::problem::Standard;
use windlass_proto::secret::{SecretName, SecretUse};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::driver::{Answer, Run, definition, plan, problem};
use super::json;
use crate::engine::{ChildOutcome, DeliveryLoss, Ending, Fact, Input, Instance, Unrepairable};

/// SplitMix64: enough for choosing, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()].clone()
    }

    /// A number near those in use, or far from them.
    fn number(&mut self) -> u32 {
        match self.below(20) {
            0 => u32::MAX,
            _ => u32::try_from(self.below(14)).unwrap(),
        }
    }
}

/// Everything the engine runs by itself, in one workflow that goes round.
const BUSY: &str = "
timeout: {after: PT10H}
use:
  secrets: [key]
  extensions:
    - e: {extend: wait, before: [{eb: {set: {n: 1}}}, {ec: {call: work, if: '$context.n == 2', then: exit}}], after: [{ea: {call: work}}]}
  functions:
    f: {do: [{x: {call: work, with: {n: '${ .n }'}}}, {y: {if: .n == 3, raise: {error: {type: runtime, status: 500}}}}]}
do:
  - begin: {set: {n: '${ (.n? // 0) + 1 }'}, export: {as: '{n: .n}'}}
  - loop:
      for: {in: '[1, 2, 3]'}
      do:
        - t:
            try:
              - c: {call: f, with: {n: '${ $item }'}, timeout: {after: PT3S}}
              - k: {if: '$secrets.key == 1', set: {k: '${ $secrets.key }'}}
            catch:
              retry: {delay: PT1S, backoff: {exponential: {}}, limit: {attempt: {count: 2, duration: PT5S}, duration: PT1M}}
              do: [{w: {wait: PT0.5S, output: {as: 'null'}}}]
              then: continue
            export: {as: '$context + {last: .}'}
  - many:
      try:
        - fork:
            fork:
              compete: false
              branches:
                - l:
                    listen: {to: {any: [{with: {type: a}}, {with: {type: b}, correlate: {r: {from: .data.r}}}], until: '. | length == 2'}}
                    foreach: {do: [{lw: {call: work}}], export: {as: '$context + {e: $item}'}}
                    timeout: {after: PT30S}
                - e: {emit: {event: {with: {type: a, data: {r: 1}}}}}
                - r: {run: {workflow: {namespace: test, name: child, version: 1.0.0}}}
                - race: {fork: {compete: true, branches: [{o: {call: work}}, {p: {wait: PT2S}}, {q: {if: $secrets.key, set: {q: 1}}}]}}
      catch: {do: [{s: {set: {n: '${ $context.n }'}}}]}
  - again: {switch: [{more: {when: $context.n < 40, then: begin}}], input: {from: '{n: $context.n}'}}";

fn plans() -> Vec<Arc<Plan>> {
    let suspending = definition(BUSY).replacen(
        "version: '1.0.0'",
        "version: '1.0.0', metadata: {windlass: {onFault: suspend}}",
        1,
    );
    let mut plans = vec![plan(&definition(BUSY)), plan(&suspending)];
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut paths: Vec<_> =
        std::fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let is_definition = |path: &&std::path::PathBuf| {
        let name = path.to_string_lossy();
        name.ends_with(".yaml") && !name.ends_with(".test.yaml")
    };
    for path in paths.iter().filter(is_definition) {
        plans.push(plan(&std::fs::read_to_string(path).unwrap()));
    }
    plans
}

fn value(random: &mut Random) -> Value {
    let all =
        ["null", "true", "0", "[1,2]", "{\"r\":1}", "\"text\"", "{\"key\":1}", "{}", "[]", "1e300"];
    json(random.of(&all))
}

/// Some that are declared, some that are not, with versions of any length.
fn secrets(random: &mut Random) -> Vec<SecretUse> {
    let of = |random: &mut Random| SecretUse {
        name: SecretName(random.of(&["key", "flag", "undeclared"]).into()),
        version: (random.below(2) == 0).then(|| "9".repeat(random.number() as usize % 300).into()),
    };
    (0..random.below(4) * random.below(20)).map(|_| of(random)).collect()
}

fn result(random: &mut Random) -> Result<Value, windlass_proto::problem::Problem> {
    match random.below(4) {
        0 => Err(problem(Standard::Communication, random.of(&[500, 503, 404]))),
        _ => Ok(value(random)),
    }
}

/// A frame that is open, or a number that means nothing.
fn frame(run: &Run, random: &mut Random) -> (FrameId, u32) {
    let open: Vec<_> = run.state.frames.iter().map(|(id, it)| (*id, it.delivery)).collect();
    match random.below(4) {
        0 => (FrameId(random.number()), random.number()),
        _ if open.is_empty() => (FrameId(1), 1),
        _ => random.of(&open),
    }
}

fn input(run: &Run, random: &mut Random) -> Input {
    let (frame, delivery) = frame(run, random);
    let timers: Vec<u32> = run.state.timers.keys().copied().collect();
    match random.below(60) {
        0..17 => {
            let retry_after_ms = (random.below(4) == 0).then(|| u64::from(random.number()));
            let (result, secrets) = (result(random), secrets(random));
            Input::Reported { frame, delivery, result, secrets, retry_after_ms }
        }
        17..20 => {
            let loss = DeliveryLoss { blamed: random.below(4) > 0, ..Default::default() };
            Input::Lost { frame, delivery, loss, most: 5 }
        }
        20..30 if !timers.is_empty() => Input::TimerFired { timer: random.of(&timers) },
        30 => Input::TimerFired { timer: random.number() },
        20..40 => {
            let kind = random.of(&["a", "b", "c", "io.serverlessworkflow.x", "order.placed"]);
            let data = value(random).to_json();
            let event = format!(
                r#"{{"specversion":"1.0","id":"1","source":"/s","type":"{kind}","data":{data}}}"#
            );
            Input::EventArrived(Arc::new(CloudEvent::from_value(json(&event)).unwrap()))
        }
        40..44 => Input::Published { frame, result: result(random).map(|_| ()) },
        44 => Input::ChildAccepted { frame },
        45 => {
            let abandoned: Vec<InstanceId> = run.state.abandoned.iter().copied().collect();
            let none = InstanceId(uuid::Uuid::nil());
            Input::ChildGone { child: abandoned.first().copied().unwrap_or(none) }
        }
        46..50 => {
            let outcome = match result(random) {
                Ok(output) => ChildOutcome::Completed(output),
                Err(problem) if random.below(2) == 0 => ChildOutcome::Faulted(problem),
                Err(_) => ChildOutcome::Cancelled(InstanceId(uuid::Uuid::nil())),
            };
            Input::ChildEnded { frame, outcome }
        }
        50..54 => Input::Continue,
        54 => Input::Skip { frame, output: value(random) },
        55 | 56 => Input::Suspend,
        57 | 58 => Input::Resume,
        _ if random.below(20) == 0 => Input::Cancel { reason: None },
        _ => Input::Resume,
    }
}

/// One instance under random inputs; gives its facts.
fn play(plan: &Arc<Plan>, seed: u64) -> Vec<Fact> {
    let mut random = Random(seed);
    let mut run = Run::planned(plan.clone())
        .value(value(&mut random))
        .secrets("{\"key\":1}")
        .child(|_, _| None)
        .script(|_| Answer::Never);
    run.hold();
    run.begin();
    for _ in 0..250 {
        if run.state.ending.is_some() && random.below(10) == 0 {
            break;
        }
        run.at = run.at.plus(random.of(&[0, 0, 1, 400, 1_000, 5_000]));
        if run.state.ending.is_some() && random.below(2) == 0 {
            retry(&mut run);
        }
        match random.below(40) {
            0 => run.crash(),
            1 => run.nudge(),
            _ => {
                let input = input(&run, &mut random);
                let _ = run.feed(input);
            }
        }
    }
    run.facts.clone()
}

/// Goes on for an instance that has faulted, unless no task of it has failed.
fn retry(run: &mut Run) {
    let result = run.retry();
    let fits = match result {
        Ok(()) => true,
        Err(Unrepairable::NotFaulted) => !matches!(run.state.ending, Some(Ending::Faulted(_))),
        Err(Unrepairable::NoTask) => run.problem().instance.as_deref() == Some("/"),
        // Only facts of earlier versions do not say all.
        Err(Unrepairable::Incomplete | Unrepairable::Limited) => false,
    };
    assert!(fits, "{result:?} of {:?}", run.state.ending);
}

/// Enough to reach nearly every kind of fact within a second or two.
const SEEDS: u64 = 40;

#[test]
fn no_sequence_of_inputs_breaks_an_instance() {
    let plans = plans();
    let mut kinds = std::collections::HashSet::new();
    for seed in 0..SEEDS {
        for plan in plans.iter().take(if seed % 4 == 0 { plans.len() } else { 2 }) {
            kinds.extend(play(plan, seed).iter().map(std::mem::discriminant));
        }
    }
    assert!(kinds.len() >= 28, "the inputs reach {} kinds of facts", kinds.len());
}

/// Every kind of fact is a misfit before an instance begins and after it has ended, but for those
/// that belong there.
#[test]
fn no_kind_of_fact_can_be_at_any_time() {
    let plans = plans();
    let facts = (0..SEEDS).flat_map(|seed| plans.iter().take(3).flat_map(move |it| play(it, seed)));
    let mut kinds = std::collections::HashSet::new();
    for fact in facts.collect::<Vec<_>>() {
        if !kinds.insert(std::mem::discriminant(&fact)) {
            continue;
        }
        let mut state = Instance::not_started(InstanceId(uuid::Uuid::nil()));
        state.evolve(Timestamp(1), &fact);
        let begins = matches!(fact, Fact::Started { .. });
        assert_eq!(state.changes.misfits.count(), u64::from(!begins), "{fact:?}");
        let mut run = Run::planned(plans[0].clone());
        run.begin();
        run.feed(Input::Cancel { reason: None }).unwrap();
        let mut state = run.state.clone();
        state.evolve(run.at, &fact);
        let follows = matches!(fact, Fact::ChildAbandoned { .. } | Fact::Succeeded { .. });
        assert_eq!(state.changes.misfits.count(), u64::from(!follows), "{fact:?}");
    }
    assert!(kinds.len() >= 26, "only {} kinds of facts", kinds.len());
}

#[test]
fn facts_out_of_order_and_out_of_place_leave_a_state() {
    let plans = plans();
    let mut pool: Vec<Fact> = Vec::new();
    for seed in 0..20 {
        pool.extend(plans.iter().take(3).flat_map(|plan| play(plan, seed)));
    }
    for seed in 0..300u64 {
        let mut random = Random(seed);
        let mut state = Instance::not_started(InstanceId(uuid::Uuid::nil()));
        for _ in 0..300 {
            let fact = random.of(&pool);
            state.evolve(Timestamp(random.below(1_000)), &fact);
        }
        assert!(state.changes.misfits.count() > 0, "all of it passes for a history");
        let bytes = state.to_bytes().unwrap();
        let reread = Instance::from_bytes(&bytes).unwrap();
        assert!(reread.to_bytes().unwrap() == bytes);
        let _ = state.status();
    }
}
