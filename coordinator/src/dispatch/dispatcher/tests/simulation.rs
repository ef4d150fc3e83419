//! Dispatcher and workers on a virtual clock, by seeds: pauses of either side, ways that stand
//! still for all in both directions or in one. Performances are counted, not only outcomes.

mod sessions;
mod worker;

use std::collections::{HashSet, VecDeque};

use super::LEASE;
use sessions::Sessions;
use worker::Worker;

/// Milliseconds from one moment to the next.
const STEP: u64 = 10;
const TASKS: u128 = 12;
const SEEDS: u64 = 200;
/// How long a frame takes at most.
const LATENCY: u64 = LEASE / 20;

/// One direction of a way: everything arrives, in order, and nothing while it stands still.
struct Pipe<T> {
    frames: VecDeque<(u64, T)>,
    still_until: u64,
}

impl<T> Pipe<T> {
    fn new() -> Self {
        Self { frames: VecDeque::new(), still_until: 0 }
    }

    fn send(&mut self, frame: T, arrives: u64) {
        let last = self.frames.back().map_or(0, |it| it.0);
        self.frames.push_back((arrives.max(last), frame));
    }

    fn arrived(&mut self, now: u64) -> Option<T> {
        if now < self.still_until || self.frames.front()?.0 > now {
            return None;
        }
        self.frames.pop_front().map(|it| it.1)
    }
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The coordinator stands still, its ways do not.
    Coordinator,
    /// Nothing gets from the coordinator to the workers, or to it, or neither.
    Bus { up: bool, down: bool },
    /// A worker stands still.
    Worker(usize),
    /// A worker dies; another takes its place when the time is over.
    Death(usize),
}

struct World {
    random: fastrand::Rng,
    now: u64,
    sessions: Sessions,
    workers: Vec<Worker>,
    /// Tasks that were at a worker that died, or was itself silent for long.
    excused: HashSet<u128>,
    /// Such workers, and until when what they get is excused.
    tainted: Vec<(usize, u64)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(1..=5);
        let workers = (0..count).map(|number| Worker::new(number, 0)).collect();
        let sessions = Sessions::new(count, (0..TASKS).map(|_| random.u64(50..3 * LEASE)));
        Self { random, now: 0, sessions, workers, excused: HashSet::new(), tainted: Vec::new() }
    }

    fn passes(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while self.now < end {
            self.now += STEP;
            for (number, worker) in self.workers.iter_mut().enumerate() {
                let arrives = self.now + self.random.u64(1..LATENCY);
                worker.turn(self.now, arrives, &mut self.sessions.ways[number]);
            }
            let arrives = self.now + self.random.u64(1..LATENCY);
            self.sessions.turn(self.now, arrives);
            self.tainted.retain(|it| it.1 > self.now);
            for (number, _) in &self.tainted {
                self.excused.extend(self.sessions.at(*number));
                self.excused.extend(self.workers[*number].holds());
            }
        }
    }

    fn happens(&mut self, fault: Fault, milliseconds: u64) {
        let until = self.now + milliseconds;
        match fault {
            Fault::Coordinator => self.sessions.still_until = until,
            Fault::Bus { up, down } => {
                for way in &mut self.sessions.ways {
                    // Connections do not come back all at once.
                    let until = until + self.random.u64(0..LEASE / 5);
                    way.up.still_until = if up { until } else { 0 };
                    way.down.still_until = if down { until } else { 0 };
                }
            }
            Fault::Worker(number) => {
                if milliseconds > LEASE / 3 {
                    self.tainted.push((number, until + 3 * LEASE));
                }
                self.workers[number].still_until = until;
            }
            Fault::Death(number) => {
                self.excused.extend(self.sessions.at(number));
                self.excused.extend(self.workers[number].holds());
                // What is sent to it until that is noticed.
                self.tainted.push((number, until + 3 * LEASE));
                let mut successor = Worker::new(number, until);
                std::mem::swap(&mut successor.performed, &mut self.workers[number].performed);
                self.workers[number] = successor;
                // Nobody hears what was on its way there.
                self.sessions.ways[number].down.frames.clear();
            }
        }
    }

    fn performances(&self, task: u128) -> usize {
        let all = self.workers.iter().flat_map(|it| &it.performed);
        all.filter(|key| key.instance.0.as_u128() == task).count()
    }
}

/// Runs one seed; `single` lets single workers die and stand still too. Gives how many tasks were
/// not excused by that.
fn run(seed: u64, single: bool) -> usize {
    let mut world = World::new(seed);
    world.passes(LEASE / 2);
    let mut faults = Vec::new();
    for _ in 0..8 {
        let worker = world.random.usize(..world.workers.len());
        // Past this the silence of an only worker is its death.
        let mut most = 4 * LEASE;
        let fault = match world.random.u8(..if single { 6 } else { 5 }) {
            0 => Fault::Coordinator,
            1 => Fault::Bus { up: true, down: true },
            2 => Fault::Bus { up: true, down: false },
            3 => Fault::Bus { up: false, down: true },
            4 => {
                most = if single { most } else { LEASE / 3 };
                Fault::Worker(worker)
            }
            _ => Fault::Death(worker),
        };
        let long = world.random.u64(STEP..most);
        let pause = world.random.u64(LEASE / 2..3 * LEASE);
        faults.push((world.now, fault, long));
        world.happens(fault, long);
        world.passes(long + pause);
    }
    world.passes(40 * LEASE);
    for task in 0..TASKS {
        let (done, lost, blamed) = world.sessions.fate(task);
        let performed = world.performances(task);
        let told = format!(
            "seed {seed}, task {task}: performed {performed} times, lost {lost}, blamed {blamed}; \
             {faults:?}"
        );
        assert!(done, "never done: {told}");
        let excused = world.excused.contains(&task);
        assert!(excused || (performed == 1 && blamed == 0), "{told}");
    }
    (0..TASKS).filter(|task| !world.excused.contains(task)).count()
}

#[test]
fn what_stands_still_for_all_repeats_nothing_and_blames_nobody() {
    let counted: usize = (0..SEEDS).map(|seed| run(seed, false)).sum();
    assert_eq!(counted as u128, u128::from(SEEDS) * TASKS);
}

#[test]
fn among_deaths_all_is_done_and_what_was_elsewhere_is_done_once() {
    let counted: usize = (0..SEEDS).map(|seed| run(seed, true)).sum();
    assert!(counted as u128 > u128::from(SEEDS) * TASKS / 4, "too few that count: {counted}");
}
