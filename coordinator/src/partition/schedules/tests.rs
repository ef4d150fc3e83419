//! A partition with schedules over a journal that crashes, on virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::definition;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits::SCHEDULE_STARTS;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use super::{ScheduleAction, ScheduleAnswer, ScheduleOrder};
use crate::admission::{Admission, Suspended};
use crate::catalog::{Catalog, Unsupported};
use crate::engine::Input;
use crate::journal::memory::{CrashPoint, MemoryJournal};
use crate::journal::{Commit, Filter, Journal, JournalError, ScheduleWrite};
use crate::partition::{Done, EventTicket, Message, Partition, PartitionContext, Release};
use crate::schedule::{Kept, Outcome, ScheduleId, State};

/// When everything is deployed, in milliseconds.
const SINCE: u64 = 1_750_000_000_000;

const QUICK: &str = "[{ done: { set: { ok: true } } }]";
const WAITS: &str = "[{ waits: { listen: { to: { one: { with: { type: go } } } } } }]";

struct World {
    journal: Arc<MemoryJournal>,
    partition: Partition,
    now: u64,
    crashes: usize,
}

fn open(journal: &Arc<MemoryJournal>, now: u64) -> Partition {
    let shared = PartitionContext {
        catalog: Arc::new(Catalog::open(journal.clone(), definition::Options::default()).unwrap()),
        admission: Arc::new(Admission::open(journal.clone(), Default::default()).unwrap()),
        journal: journal.clone(),
        epoch: 1,
        losses: 3,
        memory: crate::memory::Memory::new(u64::MAX),
        quarantine: Arc::default(),
        filters: Arc::default(),
        misfits: Arc::default(),
        counts: Arc::default(),
        sampler: None,
        early: Arc::new(crate::early::EarlyEvents::open(journal.clone(), 0).unwrap()),
        successor: Arc::default(),
    };
    Partition::open(PartitionId(0), shared, Timestamp(now)).unwrap()
}

impl World {
    fn new(schedule: &str, options: &str, tasks: &str) -> Self {
        let journal = Arc::new(MemoryJournal::in_memory(1).unwrap());
        let partition = open(&journal, SINCE);
        let mut world = Self { journal, partition, now: SINCE, crashes: 0 };
        world.deploy("1.0.0", schedule, options, tasks);
        // The process ends before the partition hears of the definition.
        world.restart();
        world
    }

    fn deploy(&mut self, version: &str, schedule: &str, options: &str, tasks: &str) {
        let text = format!(
            "document:\n  dsl: 1.0.3\n  namespace: test\n  name: timed\n  version: {version}\n  metadata: {{ \
             windlass: {{ schedule: {options} }} }}\nschedule: {schedule}\ndo: {tasks}\n"
        );
        let now = Timestamp(self.now);
        let catalog = &self.partition.shared.catalog;
        let deployed = catalog.deploy(&text, Unsupported::Refuse, now, |_| Ok(()));
        assert!(deployed.is_ok_and(|it| it.changed));
    }

    /// The process ends, and starts again on what was durable.
    fn restart(&mut self) {
        self.journal = Arc::new(MemoryJournal::reopen(self.journal.durable(), 1).unwrap());
        self.partition = open(&self.journal, self.now);
        let (batch, next) = self.partition.recover(Timestamp(self.now), None).unwrap();
        assert_eq!(next, None);
        self.commit(batch).unwrap();
    }

    fn commit(&mut self, batch: crate::partition::Batch) -> Result<(), JournalError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.journal.commit(&[batch.commit])?;
        self.partition.durable().store(batch.number, Ordering::Release);
        for release in batch.releases {
            if let crate::partition::Release::Scheduled(reply, answer) = release {
                let _ = reply.send(answer);
            }
        }
        Ok(())
    }

    /// Turns until nothing is due at this time; after a crash it goes on from what was durable.
    fn until(&mut self, now: u64) {
        self.now = now;
        while self.partition.next_wake().0 <= now {
            let batch = self.partition.turn(Timestamp(now), &mut Vec::new()).unwrap();
            let before = batch.number;
            if self.commit(batch).is_err() {
                self.crashes += 1;
                self.restart();
            } else if before == 0 {
                break;
            }
            if self.partition.schedules.next_wake().is_none_or(|wake| wake.0 > now) {
                break;
            }
        }
    }

    fn tell(&mut self, message: Message) {
        let batch = self.partition.turn(Timestamp(self.now), &mut vec![message]).unwrap();
        self.commit(batch).unwrap();
    }

    fn order(&mut self, action: ScheduleAction) -> ScheduleAnswer {
        let (reply, answer) = oneshot::channel();
        let (namespace, name) = ("test".into(), "timed".into());
        self.tell(Message::Schedule(ScheduleOrder { namespace, name, action, reply }));
        answer.blocking_recv().unwrap()
    }

    fn state(&self) -> State {
        let bytes = self.journal.schedule(ScheduleId::of("test", "timed")).unwrap().unwrap();
        rmp_serde::from_slice(&bytes).unwrap()
    }

    /// All instances by id, with the label that says what they are for.
    fn instances(&self) -> BTreeMap<InstanceId, String> {
        let page = self.journal.list(&Filter::default(), None, 10_000).unwrap();
        let due = |labels: &[(Arc<str>, Arc<str>)]| {
            labels.iter().find(|it| &*it.0 == super::DUE).unwrap().1.to_string()
        };
        page.items.into_iter().map(|(id, head)| (id, due(&head.labels))).collect()
    }

    fn past(&self) -> Vec<Kept> {
        let past = self.journal.occurrences(ScheduleId::of("test", "timed")).unwrap();
        let mut past: Vec<Kept> =
            past.iter().map(|it| rmp_serde::from_slice(it).unwrap()).collect();
        past.sort_by_key(|it| it.0);
        past
    }
}

const POINTS: [CrashPoint; 4] = [
    CrashPoint::BeforeWrite,
    CrashPoint::AfterWrite { kept: false },
    CrashPoint::AfterWrite { kept: true },
    CrashPoint::AfterSync,
];

#[test]
fn each_due_time_starts_one_instance_wherever_the_process_ends() {
    let mut world = World::new("{ every: PT1S }", "{ catchUp: PT1H }", QUICK);
    for second in 1..=100 {
        // In the batch that fires, or in the one after it.
        let point = POINTS[second as usize % POINTS.len()];
        world.journal.crash_at(second as usize / 4 % 2, point);
        world.until(SINCE + second * 1_000);
    }
    assert!(world.crashes >= 50, "{}", world.crashes);
    world.until(SINCE + 101_000);
    let instances = world.instances();
    let mut due: Vec<String> = instances.values().cloned().collect();
    due.sort();
    let wanted: Vec<String> =
        (1..=101).map(|it| Timestamp(SINCE + it * 1_000).to_rfc3339()).collect();
    assert_eq!(due, wanted);
    let (state, past) = (world.state(), world.past());
    assert_eq!((state.fired, state.skipped, state.running().len()), (101, 0, 0));
    // The last hundred are kept, each with its instance.
    let numbers: Vec<u64> = past.iter().map(|it| it.0).collect();
    assert_eq!(numbers, (1..=100).collect::<Vec<u64>>());
    for (_, occurrence) in past {
        let Outcome::Fired(id, _) = occurrence.outcome else { panic!("{occurrence:?}") };
        assert_eq!(instances[&id], occurrence.due.at.to_rfc3339());
    }
    assert!(world.journal.check().unwrap().damage.is_empty());
}

#[test]
fn an_end_and_what_follows_from_it_are_one_batch() {
    for point in POINTS {
        let mut world = World::new("{ after: PT1M }", "{}", WAITS);
        world.until(SINCE);
        for number in 1..=3 {
            let running = world.state().running().to_vec();
            assert_eq!((running.len(), world.instances().len()), (1, number));
            let fault = || Message::Input {
                instance: running[0],
                input: Input::Cancel { reason: None },
                reply: None,
            };
            // A cancelled one ends the chain, so an operator begins it again.
            world.journal.crash_at(0, point);
            let now = Timestamp(world.now);
            let batch = world.partition.turn(now, &mut vec![fault()]).unwrap();
            assert!(world.commit(batch).is_err());
            world.restart();
            if world.state().running() == running {
                world.tell(fault());
            }
            assert_eq!(world.state().busy, None);
            world.until(world.now + 3_600_000);
            assert_eq!(world.instances().len(), number);
            let answer = world.order(ScheduleAction::Trigger);
            assert!(matches!(answer, ScheduleAnswer::Started(_)));
        }
    }
}

#[test]
fn a_definition_that_the_partition_did_not_hear_of_counts_after_a_restart() {
    let mut world = World::new("{ every: PT1S }", "{}", QUICK);
    world.until(SINCE + 1_000);
    world.deploy("2.0.0", "{ cron: '* * * * *' }", "{}", QUICK);
    world.restart();
    let state = world.state();
    assert_eq!((&*state.workflow.version, state.fired), ("2.0.0", 1));
    assert_eq!(state.next[0], None);
    world.deploy("3.0.0", "{}", "{}", QUICK);
    assert_eq!(world.order(ScheduleAction::Sync), ScheduleAnswer::Done(0));
    let id = ScheduleId::of("test", "timed");
    assert_eq!(world.journal.schedule(id).unwrap(), None);
    assert!(world.past().is_empty(), "nothing is left of it");
    assert_eq!(world.order(ScheduleAction::Resume), ScheduleAnswer::Unknown);
    assert!(world.journal.check().unwrap().damage.is_empty());
}

#[test]
fn a_pause_holds_over_a_restart_and_a_trigger_goes_through_it() {
    let mut world = World::new("{ every: PT1S }", "{}", QUICK);
    world.order(ScheduleAction::Pause(Some("closed".into())));
    world.restart();
    world.until(SINCE + 60_000);
    assert_eq!(world.instances().len(), 0);
    assert_eq!(world.state().paused.unwrap().reason.as_deref(), Some("closed"));
    // Two in one millisecond are two instances.
    let (first, second) =
        (world.order(ScheduleAction::Trigger), world.order(ScheduleAction::Trigger));
    assert_ne!(first, second);
    assert_eq!(world.instances().len(), 2);
    world.order(ScheduleAction::Resume);
    assert_eq!(world.state().skipped, 60);
    world.until(SINCE + 61_000);
    assert_eq!(world.instances().len(), 3);
}

#[test]
fn a_backfill_repeated_starts_nothing_again() {
    let mut world = World::new("{ every: PT1M }", "{}", QUICK);
    let stretch = || (Timestamp(SINCE - 600_000), Timestamp(SINCE - 60_000));
    let backfill = || ScheduleAction::Backfill(stretch().0, stretch().1);
    let preview = || ScheduleAction::Preview(stretch().0, stretch().1);
    assert_eq!(world.order(preview()), ScheduleAnswer::Done(10));
    world.until(SINCE);
    assert_eq!(world.instances().len(), 0, "a preview starts nothing");
    assert_eq!(world.order(backfill()), ScheduleAnswer::Done(10));
    assert_eq!(world.order(preview()), ScheduleAnswer::Done(0));
    world.until(SINCE);
    assert_eq!(world.order(backfill()), ScheduleAnswer::Done(0));
    world.until(SINCE);
    assert_eq!((world.instances().len(), world.state().fired), (10, 10));
    // What was started by the clock was started as well.
    [60_000, 120_000].into_iter().for_each(|it| world.until(SINCE + it));
    let since = ScheduleAction::Backfill(Timestamp(SINCE - 60_000), Timestamp(SINCE + 120_000));
    assert_eq!(world.order(since), ScheduleAnswer::Done(1), "the one at the deployment itself");
}

#[test]
fn a_backfill_of_what_runs_does_not_cancel_it() {
    let mut world = World::new("{ every: PT1M }", "{ overlap: cancel }", WAITS);
    let stretch = || (Timestamp(SINCE - 60_000), Timestamp(SINCE - 60_000));
    let backfill = || ScheduleAction::Backfill(stretch().0, stretch().1);
    assert_eq!(world.order(backfill()), ScheduleAnswer::Done(1));
    world.until(SINCE);
    for _ in 0..2 {
        assert_eq!(world.order(backfill()), ScheduleAnswer::Done(0));
        world.until(SINCE);
    }
    let page = world.journal.list(&Filter::default(), None, 10).unwrap();
    let statuses: Vec<_> = page.items.iter().map(|(_, head)| head.status).collect();
    assert!(matches!(&*statuses, [only] if !only.is_final()), "{statuses:?}");
}

impl World {
    /// Offers an event, as often as the process ends over it; how many times it counted at last.
    fn event(&mut self, kind: &str, id: u64) -> usize {
        let text = format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"s\",\"type\":\"{kind}\",\"data\":{id}}}"
        );
        let event = CloudEvent::from_value(Value::from_json(&text).unwrap()).unwrap();
        let event = Arc::new(event);
        loop {
            let (done, _answer) = oneshot::channel();
            let ticket = EventTicket::new(event.clone(), 1, Done::Caller(done));
            let now = Timestamp(self.now);
            let batch = self.partition.turn(now, &mut vec![Message::Event(ticket)]).unwrap();
            let consumed = batch.releases.iter().find_map(|release| match release {
                Release::Stamp(_, consumed) => Some(*consumed),
                _ => None,
            });
            match self.commit(batch) {
                Ok(()) => return consumed.unwrap(),
                Err(_) => {
                    self.crashes += 1;
                    self.restart();
                }
            }
        }
    }

    /// The inputs of all instances.
    fn inputs(&mut self) -> BTreeSet<String> {
        let ids: Vec<InstanceId> = self.instances().into_keys().collect();
        let mut load = |id| self.partition.load(id).unwrap().unwrap().instance.input.to_json();
        ids.into_iter().map(&mut load).collect()
    }
}

#[test]
fn events_start_one_instance_each_time_wherever_the_process_ends() {
    let on = "{ on: { all: [{ with: { type: a } }, { with: { type: b } }] }, read: data }";
    let mut world = World::new(on, "{}", QUICK);
    for number in 0..40 {
        world.now += 1;
        for (kind, id) in [("a", 2 * number), ("b", 2 * number + 1)] {
            world.journal.crash_at(0, POINTS[(id as usize / 2) % POINTS.len()]);
            world.event(kind, id);
            assert_eq!(world.event(kind, id), 0, "it is a repeat");
        }
    }
    assert!(world.crashes >= 60, "{}", world.crashes);
    let wanted = (0..40).map(|it| format!("[{},{}]", 2 * it, 2 * it + 1)).collect();
    assert_eq!((world.inputs(), world.state().fired), (wanted, 40));
    assert!(world.journal.check().unwrap().damage.is_empty());
    world.partition.set_scheduled(false);
    assert_eq!(world.event("a", 1_000), 0, "where schedules are left alone");
}

#[test]
fn a_version_without_the_event_does_not_listen_any_more() {
    let mut world = World::new("{ on: { one: { with: { type: a } } } }", "{}", QUICK);
    assert_eq!(world.event("a", 1), 1);
    world.deploy("2.0.0", "{ on: { one: { with: { type: b } } } }", "{}", QUICK);
    world.order(ScheduleAction::Sync);
    assert_eq!((world.event("a", 2), world.event("b", 3)), (0, 1));
    world.deploy("3.0.0", "{}", "{}", QUICK);
    world.order(ScheduleAction::Sync);
    assert_eq!(world.event("b", 4), 0);
    assert_eq!(world.instances().len(), 2);
}

#[test]
fn what_a_clock_put_off_comes_back_at_the_next_start() {
    let mut world = World::new("{ every: PT1M }", "{}", QUICK);
    world.until(SINCE + 60_000);
    world.until(SINCE + 200_000_000_000);
    assert_eq!(world.instances().len(), 2);
    world.now = SINCE + 90_000;
    world.restart();
    world.until(SINCE + 120_000);
    let due = Timestamp(SINCE + 120_000).to_rfc3339();
    assert!(world.instances().values().any(|it| *it == due), "{:?}", world.instances());
}

#[test]
fn a_backfill_is_spread_over_turns() {
    let mut world = World::new("{ every: PT1M }", "{}", QUICK);
    let stretch = ScheduleAction::Backfill(Timestamp(SINCE - 60_000_000), Timestamp(SINCE));
    assert_eq!(world.order(stretch), ScheduleAnswer::Done(1_000));
    let after_one_turn = world.instances().len();
    assert!(after_one_turn <= SCHEDULE_STARTS, "{after_one_turn} in one turn");
    world.restart();
    while world.partition.next_wake() == Timestamp(0) {
        let before = world.instances().len();
        let batch = world.partition.turn(Timestamp(world.now), &mut Vec::new()).unwrap();
        world.commit(batch).unwrap();
        assert!(world.instances().len() <= before + SCHEDULE_STARTS);
    }
    assert_eq!((world.instances().len(), world.state().fired), (1_000, 1_000));
}

#[test]
fn a_schedule_at_rest_takes_little_memory() {
    // A place in a table, which is half empty at worst, and one in the order of due times, whose
    // leaves are two thirds full.
    let (table, order) = (2 * (16 + 8 + 1), 24 * 3 / 2);
    let held = size_of::<super::Held>() + 16;
    assert!(held + table + order <= 200, "{held} {table} {order}");
    let mut world = World::new("{ every: PT1S }", "{ overlap: skip }", QUICK);
    world.until(SINCE + 5_000);
    let held = &world.partition.schedules.all[&ScheduleId::of("test", "timed")];
    assert!(held.is_plain(), "nothing is kept that is empty");
    let catalog = &world.partition.shared.catalog;
    let latest = catalog.latest().remove(0);
    let shared = catalog.shared(&latest.id, &latest.digest).unwrap();
    assert!(std::ptr::eq(held.definition(), &*shared), "the definition is the catalog's");
    world.restart();
    let held = &world.partition.schedules.all[&ScheduleId::of("test", "timed")];
    let shared = world.partition.shared.catalog.shared(&latest.id, &latest.digest).unwrap();
    assert!(std::ptr::eq(held.definition(), &*shared), "after a restart as well");
}

#[test]
fn where_schedules_are_left_alone_nothing_starts() {
    let mut world = World::new("{ every: PT1S }", "{}", QUICK);
    world.partition.set_scheduled(false);
    world.until(SINCE + 10_000);
    assert_eq!(world.instances().len(), 0);
}

#[test]
fn what_a_damaged_journal_has_lost_is_not_waited_for() {
    let mut world = World::new("{ every: PT1M }", "{ overlap: skip }", QUICK);
    let (timed, gone) = (ScheduleId::of("test", "timed"), ScheduleId::of("test", "gone"));
    let mut state = world.state();
    let of_nothing = rmp_serde::to_vec(&state).unwrap();
    state.busy.get_or_insert_default().running.push(InstanceId(uuid::Uuid::max()));
    let waiting = rmp_serde::to_vec(&state).unwrap();
    let states = [(timed, waiting), (gone, of_nothing)];
    let schedules = states.map(|(id, bytes)| ScheduleWrite::State(id, Some(bytes))).into();
    world.journal.commit(&[Commit { schedules, ..Default::default() }]).unwrap();
    world.restart();
    assert_eq!(world.state().busy, None);
    assert_eq!(world.journal.schedule(gone).unwrap(), None);
    world.until(SINCE + 60_000);
    assert_eq!(world.instances().len(), 1);
}

#[test]
fn what_waits_for_the_end_of_a_suspension_is_not_written_again_and_again() {
    let mut world = World::new("{ after: PT1M }", "{}", QUICK);
    let admission = world.partition.shared.admission.clone();
    admission.suspend(Suspended::Namespace("test".into()), Timestamp(SINCE)).unwrap();
    for second in 0..5 {
        let now = SINCE + second * 1_000;
        let batch = world.partition.turn(Timestamp(now), &mut Vec::new()).unwrap();
        assert!(batch.is_empty(), "second {second}");
    }
    assert_eq!(world.instances().len(), 0);
}

#[test]
fn what_is_to_come_is_not_made_up_for() {
    let mut world = World::new("{ every: PT1M }", "{}", QUICK);
    let backfill = ScheduleAction::Backfill(Timestamp(SINCE + 1), Timestamp(SINCE + 600_000));
    assert_eq!(world.order(backfill), ScheduleAnswer::Done(0));
}
