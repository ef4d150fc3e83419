//! One run: partitions, journal, network, workers and clients on one thread, driven by a seed.
//!
//! What can go wrong:
//! - Assignments and reports are lost, doubled, late, out of order. Whoever sends assignments may
//!   notice, and tells that the delivery is lost; what nobody has noticed comes back when the
//!   coordinator takes up its open work after a crash, so a run in which something was lost ends
//!   with a restart.
//! - Workers end while they perform, give back what they have, or are taken for dead and report all
//!   the same; some tasks take down every worker. A restart finds what it sent before still held by
//!   a worker, or by nobody.
//! - The coordinator crashes before, within or after a write, among the releases of a batch, or
//!   between commits. What was in memory is gone, what is on its way to and from workers is not.
//! - Clients repeat starts and events, cancel, suspend, resume and retry; strangers send what belongs to
//!   nothing.
//!
//! After a while all of this stops, and everything must come to its end.

mod clients;
mod crash;
mod network;
mod repair;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use windlass_coordinator::journal::memory::MemoryJournal;
use windlass_coordinator::journal::{Journal, Status};
use windlass_coordinator::partition::{Batch, Message, MisfitCounts, Partition, Refusal, Release};
use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::time::Timestamp;
use windlass_proto::wire::{AssignmentKey, Report};

use super::check::{self, Captured, Outage};
use super::coverage::{self, Coverage};
use super::model::Workflow;
use super::outside::{Outside, State, Told};
use clients::{Awaiting, Client};
use network::Item;

/// When every run begins.
pub(super) const BEGINNING: u64 = 1_750_000_000_000;

/// Steps of the simulation until a run counts as one that never ends.
const STEPS: u32 = 60_000;

/// Virtual time until a run counts as one that never ends, from when faults stop.
const PATIENCE_MS: u64 = 48 * 3_600_000;

/// Batches that wait for the committer at most, as in production.
const COMMIT_QUEUE: usize = 16;

/// Facts shown of one turn, and characters of each.
const SHOWN: (usize, usize) = (40, 160);

/// What is told of a run that fails.
#[derive(Default)]
pub(super) struct Story {
    pub(super) definitions: Vec<String>,
    trace: VecDeque<Line>,
}

/// One thing that happened, put into words only when somebody reads it.
struct Line {
    at: u64,
    text: String,
    facts: Vec<(InstanceId, u64, Vec<u8>)>,
}

impl Story {
    /// What happened last, one thing a line.
    pub(super) fn trace(&self) -> String {
        let lines = self.trace.iter().map(|line| {
            let facts = line.facts.iter().map(|(id, from, entry)| describe(*id, *from, entry));
            format!(
                "{:>9} {}{}\n",
                line.at.saturating_sub(BEGINNING),
                line.text,
                facts.collect::<String>()
            )
        });
        lines.collect()
    }
}

/// How bad a run is: each run has its own mix.
pub(super) struct Knobs {
    /// Percent of messages lost between coordinator and workers.
    lost: u32,
    /// Percent of them that come twice.
    doubled: u32,
    /// How late they are at most, in milliseconds.
    late: u64,
    /// Percent of performances that a worker does not live to end, or gives back.
    deaths: u32,
    /// How many steps in a hundred make something durable, where there is something.
    commits: u32,
    /// Waiting instances that stay in memory, where not as many as in production.
    kept: Option<usize>,
    /// Percent of states captured for comparison.
    captured: u32,
    /// Milliseconds for which events are kept that nobody waits for yet.
    early: u64,
}

/// A batch on its way to the committer.
struct Submitted {
    partition: usize,
    batch: Batch,
}

pub(super) struct Run<'s> {
    story: &'s Mutex<Story>,
    pub(super) coverage: Coverage,
    random: Rng,
    knobs: Knobs,
    now: u64,
    calm_at: u64,
    calm: bool,
    /// Numbers of commits at which the coordinator crashes, and of steps at which it is killed.
    crashes: HashSet<u32>,
    kills: HashSet<u32>,
    commits: u32,
    /// The coordinator's term.
    epoch: u64,
    pub(super) workflows: Vec<Workflow>,
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) outside: Arc<Outside>,
    /// Spans that have left.
    pub(super) told: Told,
    partitions: Vec<Partition>,
    submitted: VecDeque<Submitted>,
    schedule: BTreeMap<(u64, u64), Item>,
    scheduled: u64,
    pub(super) clients: Vec<Client>,
    awaiting: Vec<Awaiting>,
    /// Instances that have not ended, as far as is durable.
    live: HashSet<InstanceId>,
    captured: Captured,
    pub(super) outages: Vec<Outage>,
    /// Visits of a task that were dispatched, in order.
    visits: HashMap<(InstanceId, Arc<str>), Vec<FrameId>>,
    /// Deliveries that asked for a performance, not for an evaluation.
    performed: HashSet<Delivery>,
    /// Deliveries that were sent.
    sent: BTreeSet<Delivery>,
    /// Reports in this life of the coordinator whose fate has not been told.
    reporting: Vec<Report>,
    /// Reports that were accepted, durably.
    pub(super) reports: HashSet<Delivery>,
    /// Visits whose performance was accepted, durably.
    accepted: HashSet<(InstanceId, FrameId)>,
    posted: Vec<(usize, u64)>,
    /// How often each of them was sent.
    pub(super) sent_events: HashMap<u64, u32>,
    /// Those that were kept, as nobody waited for them.
    pub(super) kept: HashSet<u64>,
    /// Who had them.
    pub(super) takers: HashMap<u64, InstanceId>,
    /// What goes on for which instance, as operators were told.
    pub(super) retried: HashMap<InstanceId, InstanceId>,
    /// Instances for which what a worker gives is not what the oracle thinks.
    pub(super) mended: HashSet<InstanceId>,
    /// What cannot be: nothing, in a run.
    pub(super) misfits: Arc<MisfitCounts>,
}

/// A sending of a visit, whichever term it belongs to.
type Delivery = (InstanceId, FrameId, u32);

fn delivery(key: &AssignmentKey) -> Delivery {
    (key.instance, key.frame, key.delivery)
}

impl<'s> Run<'s> {
    /// Runs to the end, and checks what there is to check on the way and then.
    pub(super) fn drive(&mut self) {
        self.open();
        let mut steps = 0;
        while !self.is_done() {
            steps += 1;
            assert!(steps < STEPS, "the run does not end: {}", self.remains());
            if self.kills.remove(&steps) && !self.calm {
                self.coverage.note("crash between commits");
                self.restart("killed between commits");
            }
            self.step();
            if !self.calm && (self.now >= self.calm_at || steps > 3_000) {
                self.calm_down();
            }
            let patience = self.calm_at.saturating_add(PATIENCE_MS);
            assert!(self.now < patience, "after two days these go on: {}", self.remains());
        }
        assert!(self.reporting.is_empty(), "nothing is told of {:?}", self.reporting);
        check::end(self);
    }

    /// What has not ended, with the facts that led there.
    fn remains(&self) -> String {
        let facts = self.live.iter().map(|id| {
            let facts = check::facts(&*self.journal, *id);
            let lines = facts.iter().map(|(at, fact)| {
                let text: String = format!("{fact:?}").chars().take(SHOWN.1).collect();
                format!("\n{:>9} {text}", at.0.saturating_sub(BEGINNING))
            });
            format!("\n{id}{}", lines.collect::<String>())
        });
        facts.collect()
    }

    pub(super) fn tell(&self, text: impl FnOnce() -> String) {
        self.tell_facts(text(), Vec::new());
    }

    fn tell_facts(&self, text: String, facts: Vec<(InstanceId, u64, Vec<u8>)>) {
        let trace = &mut self.story.lock().unwrap().trace;
        if trace.len() == 400 {
            trace.pop_front();
        }
        trace.push_back(Line { at: self.now, text, facts });
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }

    /// The end of all faults. What was lost comes back when the coordinator starts again.
    fn calm_down(&mut self) {
        self.calm = true;
        self.calm_at = self.now;
        self.knobs = Knobs { lost: 0, doubled: 0, late: 50, deaths: 0, ..self.knobs };
        self.restart("the last time");
    }

    fn is_done(&self) -> bool {
        self.live.is_empty()
            && self.submitted.is_empty()
            && self.clients.iter().all(|client| client.acknowledged)
            && self.outside.state().inboxes.iter().all(VecDeque::is_empty)
            && self.schedule.values().all(Item::is_idle)
    }

    /// One thing happens, or time passes.
    fn step(&mut self) {
        let due = self.schedule.first_key_value().is_some_and(|(at, _)| at.0 <= self.now);
        let ready: Vec<usize> =
            (0..self.partitions.len()).filter(|it| self.is_ready(*it)).collect();
        let full = self.submitted.len() >= COMMIT_QUEUE;
        let commit = !self.submitted.is_empty()
            && (full || (ready.is_empty() && !due) || self.chance(self.knobs.commits));
        if commit {
            self.commit();
        } else if due && (ready.is_empty() || full || self.random.bool()) {
            self.deliver();
        } else if !ready.is_empty() && !full {
            let chosen = self.random.usize(0..ready.len());
            self.turn(ready[chosen]);
        } else {
            let next = self.schedule.first_key_value().map(|(at, _)| at.0);
            let wakes = self.partitions.iter().map(|it| it.next_wake().0);
            let next = wakes.chain(next).min().unwrap();
            self.now = self.now.max(next);
        }
        self.now += self.random.u64(0..=2);
    }

    fn is_ready(&self, partition: usize) -> bool {
        !self.outside.state().inboxes[partition].is_empty()
            || self.partitions[partition].next_wake().0 <= self.now
    }

    /// A partition takes a turn with some of its messages.
    fn turn(&mut self, number: usize) {
        let mut messages: Vec<Message> = {
            let mut state = self.outside.state();
            let inbox = &mut state.inboxes[number];
            let count = match self.random.u32(0..3) {
                0 => inbox.len().min(1),
                1 => self.random.usize(0..=inbox.len()),
                _ => inbox.len(),
            };
            inbox.drain(..count).collect()
        };
        let alone = match &messages[..] {
            [Message::Input { instance, .. }] if !self.is_awake(number) => Some(*instance),
            _ => None,
        };
        let before = alone.and_then(|id| self.state_of(number, id));
        let count = messages.len();
        let at = Timestamp(self.now);
        let batch = self.partitions[number].turn(at, &mut messages).unwrap();
        let refused = batch.releases.iter().any(|it| matches!(it, Release::Answered(_, Err(_))));
        if let Some(id) = alone.filter(|_| refused) {
            assert!(batch.is_quiet(), "what was refused is written all the same");
            let after = self.state_of(number, id);
            // An instance that has ended may leave memory meanwhile.
            let same = before.is_none() || after.is_none() || before == after;
            assert!(same, "what was refused changes {id}");
        }
        let writes = batch.commit.writes.iter();
        let facts = writes.map(|it| (it.instance, it.sequence, it.facts.clone().into())).collect();
        self.tell_facts(format!("turn of {number}, {count} messages"), facts);
        self.submit(number, batch);
    }

    fn is_awake(&self, number: usize) -> bool {
        self.partitions[number].next_wake().0 <= self.now
    }

    fn state_of(&self, number: usize, id: InstanceId) -> Option<Vec<u8>> {
        self.partitions[number].instance(id).map(|it| it.to_bytes().unwrap())
    }

    fn submit(&mut self, number: usize, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        for write in &batch.commit.writes {
            if write.snapshot.is_some() {
                self.coverage.note("snapshot");
            }
            if self.random.u32(0..100) < self.knobs.captured {
                let bytes = self.state_of(number, write.instance).unwrap();
                let sequence = write.sequence + u64::from(write.count);
                self.captured.keep(write.instance, sequence, bytes);
            }
        }
        self.submitted.push_back(Submitted { partition: number, batch });
    }

    /// Some batches become durable, then their releases go; or the coordinator crashes.
    fn commit(&mut self) {
        let count = self.random.usize(1..=self.submitted.len());
        let group: Vec<Submitted> = self.submitted.drain(..count).collect();
        self.commits += 1;
        let crash = self.crashes.remove(&self.commits) && !self.calm;
        let (mut commits, mut releases) = (Vec::new(), Vec::new());
        for Submitted { partition, batch } in group {
            let durable = self.partitions[partition].durable();
            releases.push((durable, batch.number, batch.releases));
            commits.push(batch.commit);
        }
        if crash && self.crash_in_commit(&commits) {
            return;
        }
        self.journal.commit(&commits).unwrap();
        self.tell(|| format!("{count} batches are durable"));
        let mut faulted = Vec::new();
        for write in commits.iter().flat_map(|commit| &commit.writes) {
            if let Some(head) = &write.head {
                match head.status.is_final() {
                    true => self.live.remove(&write.instance),
                    false => self.live.insert(write.instance),
                };
                faulted.extend((head.status == Status::Faulted).then_some(write.instance));
            }
        }
        for write in commits.iter().flat_map(|commit| &commit.writes) {
            self.captured.compare(&self.journal, write.instance);
        }
        self.plan_retries(faulted);
        // Only now may anything leave.
        let all: usize = releases.iter().map(|it| it.2.len()).sum();
        let mut left = if crash { self.random.usize(0..=all) } else { usize::MAX };
        for (durable, number, releases) in releases {
            durable.store(number, Ordering::Release);
            for release in releases {
                if left == 0 {
                    break;
                }
                left -= 1;
                self.coverage.note(coverage::release(&release));
                if let Release::Tell(_, input) = &release {
                    self.coverage.note(coverage::input(input));
                }
                if let Release::Answered(_, Err(Refusal::Rejected(why, _))) = &release {
                    self.coverage.note(coverage::refusal(*why));
                }
                if let Release::Answered(_, Err(Refusal::Unknown)) = &release {
                    self.coverage.note("refused Unknown");
                }
                release.go(&*self.outside);
            }
        }
        self.collect();
        if crash {
            self.coverage.note("crash among releases");
            self.restart("killed among releases");
        }
    }

    /// Takes up what has left the partitions.
    fn collect(&mut self) {
        let State { dispatched, cancelled, settled, .. } = self.outside.take();
        for (assignment, recovered) in dispatched {
            self.dispatched(assignment, recovered);
        }
        for (key, verdict) in settled {
            self.settled(&key, verdict);
        }
        for key in cancelled {
            self.tell(|| format!("assignment {} of {} is not wanted", key.frame.0, key.instance));
        }
        self.hear();
    }
}

fn describe(id: InstanceId, from: u64, entry: &[u8]) -> String {
    let turns = windlass_coordinator::engine::decode(entry).unwrap();
    let facts = turns.iter().flat_map(|turn| &turn.facts).take(SHOWN.0).map(|fact| {
        let text: String = format!("{fact:?}").chars().take(SHOWN.1).collect();
        format!("\n{:14}{text}", "")
    });
    format!("\n{:12}{id} from {from}:{}", "", facts.collect::<String>())
}
