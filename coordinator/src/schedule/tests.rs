//! Schedules on virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod events;
mod policies;
mod year;

use std::collections::BTreeMap;

use windlass_proto::definition::{Options, load};
use windlass_proto::id::InstanceId;
use windlass_proto::plan::{Plan, Schedule};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::{Occurrence, Outcome, ScheduleId, State, Turn, Why};

const PARTITIONS: u16 = 16;

fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().unwrap();
    Timestamp(moment.as_millisecond().try_into().unwrap())
}

/// A plan with this schedule, and this in `metadata.windlass.schedule`.
fn plan(schedule: &str, options: &str) -> std::sync::Arc<Plan> {
    let text = format!(
        "document:\n  dsl: 1.0.3\n  namespace: test\n  name: timed\n  version: 1.0.0\n  metadata: {{ windlass: {{ \
         schedule: {options} }} }}\nschedule: {schedule}\ndo: [{{ a: {{ set: {{ b: 1 }} }} }}]\n"
    );
    let loaded = load(&text, &Options::default());
    loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

/// A schedule with the world around it: what it has started, and what has become of due times.
struct World {
    plan: std::sync::Arc<Plan>,
    id: ScheduleId,
    state: State,
    /// Starts by instance: the due time, and when.
    started: BTreeMap<InstanceId, (Timestamp, Timestamp)>,
    cancelled: Vec<InstanceId>,
    past: Vec<Occurrence>,
    /// What those got that events have started.
    given: Vec<Value>,
    /// True while there is no memory for starts by events.
    is_full: bool,
}

impl World {
    fn new(schedule: &str, options: &str, since: &str) -> Self {
        let plan = plan(schedule, options);
        let id = ScheduleId::of("test", "timed");
        let definition = (plan.id.clone(), plan.digest.clone());
        let schedule = plan.schedule.as_ref().unwrap();
        let state = State::deployed(None, id, definition, schedule, at(since));
        let (started, cancelled, past, given, is_full) = Default::default();
        Self { plan, id, state, started, cancelled, past, given, is_full }
    }

    fn schedule(&self) -> std::sync::Arc<Plan> {
        self.plan.clone()
    }

    fn with<T>(&mut self, change: impl FnOnce(&mut State, &Schedule) -> T) -> T {
        let plan = self.schedule();
        change(&mut self.state, plan.schedule.as_ref().unwrap())
    }

    /// Commits what a turn leads to.
    fn commit(&mut self, turn: Turn, now: Timestamp) -> usize {
        let count = turn.starts.len();
        for due in turn.starts {
            let instance = due.instance(self.id, PARTITIONS);
            assert_eq!(instance.partition(PARTITIONS), self.id.partition(PARTITIONS));
            let former = self.started.insert(instance, (due.at, now));
            assert_eq!(former, None, "{due:?} is started twice");
            self.with(|state, schedule| state.started(schedule, instance));
            let outcome = Outcome::Fired(instance, now);
            self.past.push(Occurrence { due, until: None, outcome });
        }
        self.given.extend(turn.given.into_iter().map(|it| it.input));
        self.past.extend(turn.occurrences);
        self.cancelled.extend(turn.cancels);
        count
    }

    /// The partition looks at the schedule at `now`, until nothing is due any more.
    fn look(&mut self, now: &str) -> usize {
        self.look_at(at(now), false)
    }

    fn look_at(&mut self, now: Timestamp, held: bool) -> usize {
        let mut count = 0;
        while self.state.wake().is_some_and(|wake| wake <= now) {
            let before = self.state.clone();
            let turn = self.with(|state, schedule| state.due(schedule, now, held));
            let empty = turn == Turn::default();
            count += self.commit(turn, now);
            if empty && self.state == before {
                break;
            }
        }
        count
    }

    fn end(&mut self, instance: InstanceId, cancelled: bool, now: &str) {
        self.with(|state, schedule| state.ended(schedule, instance, cancelled, at(now)));
    }

    /// Due times of what was started, in order.
    fn due(&self) -> Vec<String> {
        let mut due: Vec<_> = self.started.values().map(|it| it.0).collect();
        due.sort();
        due.into_iter().map(|it| it.to_rfc3339().replace(".000Z", "Z")).collect()
    }

    /// What was skipped: from when, how many, why.
    fn skipped(&self) -> Vec<(String, Option<u64>, Why)> {
        let skipped = self.past.iter().filter_map(|it| match it.outcome {
            Outcome::Skipped(why) => {
                let count = it.until.map_or(Some(1), |(_, count)| count);
                Some((it.due.at.to_rfc3339().replace(".000Z", "Z"), count, why))
            }
            Outcome::Fired(..) => None,
        });
        skipped.collect()
    }

    fn running(&self) -> Vec<InstanceId> {
        self.state.running().to_vec()
    }
}
