//! The coordinator's side: what the session task does around the dispatcher, and partitions that
//! send again what is lost.

use std::collections::HashMap;

use windlass_proto::time::Timestamp;
use windlass_proto::wire::message::Beat;
use windlass_proto::wire::session::SessionId;
use windlass_proto::wire::{Assignment, AssignmentKey};

use super::super::{Bench, LEASE, Order, lane, profile, task};
use super::Pipe;

/// What a worker says.
pub(super) enum Up {
    Hello { identity: String, ask: u64 },
    Beat(SessionId, Beat),
    Report(SessionId, AssignmentKey),
    Released(SessionId, AssignmentKey),
}

/// What a worker is told; a frame has its number.
pub(super) enum Down {
    Welcome { session: SessionId, ask: u64 },
    Frame(SessionId, u64, Said),
    Gone(SessionId),
}

/// What is in a frame.
pub(super) enum Said {
    Perform(AssignmentKey, u64),
    Cancel(AssignmentKey),
    Settled(AssignmentKey),
    Heard,
}

/// Both directions between the coordinator and a worker.
pub(super) struct Way {
    pub(super) up: Pipe<Up>,
    pub(super) down: Pipe<Down>,
}

struct Task {
    takes: u64,
    delivery: u32,
    done: bool,
    lost: u32,
    blamed: u32,
}

pub(super) struct Sessions {
    bench: Bench,
    pub(super) ways: Vec<Way>,
    pub(super) still_until: u64,
    tick_at: u64,
    sessions: u64,
    /// Worker and frames sent of each.
    open: HashMap<SessionId, (usize, u64)>,
    tasks: Vec<Task>,
}

impl Sessions {
    pub(super) fn new(workers: usize, takes: impl Iterator<Item = u64>) -> Self {
        let ways = (0..workers).map(|_| Way { up: Pipe::new(), down: Pipe::new() }).collect();
        let task = |takes| Task { takes, delivery: 1, done: false, lost: 0, blamed: 0 };
        let tasks = takes.map(task).collect();
        let (bench, open) = (Bench::new(), HashMap::new());
        let mut all = Self { bench, ways, still_until: 0, tick_at: 0, sessions: 0, open, tasks };
        (0..all.tasks.len()).for_each(|number| all.submit(number));
        all
    }

    /// Whether a task is done, how often it was lost and how often blamed.
    pub(super) fn fate(&self, number: u128) -> (bool, u32, u32) {
        let task = &self.tasks[usize::try_from(number).unwrap()];
        (task.done, task.lost, task.blamed)
    }

    /// The tasks that were sent to a worker and are not back.
    pub(super) fn at(&self, worker: usize) -> Vec<u128> {
        let in_flight = self.bench.dispatcher.in_flight.iter();
        let of = |session: &SessionId| self.open.get(session).is_some_and(|it| it.0 == worker);
        in_flight.filter(|(_, it)| of(&it.session)).map(|it| it.0.instance.0.as_u128()).collect()
    }

    pub(super) fn turn(&mut self, now: u64, arrives: u64) {
        if now < self.still_until {
            return;
        }
        let mut orders = Vec::new();
        for number in 0..self.ways.len() {
            while let Some(said) = self.ways[number].up.arrived(now) {
                self.hear(number, said, now, arrives, &mut orders);
            }
        }
        if self.tick_at <= now {
            self.tick_at = now + LEASE / 10;
            self.bench.dispatcher.tick(Timestamp(now), &mut orders);
        }
        self.bench.dispatcher.assign(&mut orders);
        self.follow(orders, arrives);
    }

    fn hear(&mut self, worker: usize, said: Up, now: u64, arrives: u64, orders: &mut Vec<Order>) {
        let of = match &said {
            Up::Hello { .. } => None,
            Up::Beat(session, _) | Up::Report(session, _) | Up::Released(session, _) => {
                Some(*session)
            }
        };
        if let Some(session) = of.filter(|it| !self.open.contains_key(it)) {
            return self.ways[worker].down.send(Down::Gone(session), arrives);
        }
        match said {
            Up::Hello { identity, ask } => {
                self.sessions += 1;
                let session = SessionId(u128::from(self.sessions).to_be_bytes());
                self.bench.dispatcher.join(session, profile(&identity, 4), Timestamp(now));
                self.open.insert(session, (worker, 0));
                self.ways[worker].down.send(Down::Welcome { session, ask }, arrives);
            }
            Up::Beat(session, beat) => {
                let Bench { dispatcher, known, .. } = &mut self.bench;
                dispatcher.beat(session, &beat, Timestamp(now), known, orders);
                self.say(session, Said::Heard, arrives);
            }
            Up::Report(session, key) => {
                self.bench.dispatcher.reported(&key);
                let task = &mut self.tasks[index(&key)];
                task.done |= task.delivery == key.delivery;
                self.say(session, Said::Settled(key), arrives);
            }
            Up::Released(session, key) => self.bench.dispatcher.released(session, &key, orders),
        }
    }

    fn follow(&mut self, orders: Vec<Order>, arrives: u64) {
        for order in orders {
            match order {
                Order::Send(session, assignment) => {
                    let key = assignment.key.clone();
                    let takes = self.tasks[index(&key)].takes;
                    let frame = self.say(session, Said::Perform(key.clone(), takes), arrives);
                    self.bench.dispatcher.sent(&key, frame);
                }
                Order::Cancel(session, key) => {
                    self.say(session, Said::Cancel(key), arrives);
                }
                Order::Lost(key, loss) => self.lost(&key, loss.blamed),
                Order::Delayed(..) => {}
                Order::GiveUp(key, times, worker) => panic!("{key:?} {times} {worker}"),
                Order::Dismiss(session, _) => {
                    if let Some((worker, _)) = self.open.remove(&session) {
                        self.ways[worker].down.send(Down::Gone(session), arrives);
                    }
                }
            }
        }
    }

    fn lost(&mut self, key: &AssignmentKey, blamed: bool) {
        let number = index(key);
        let task = &mut self.tasks[number];
        if task.delivery != key.delivery || task.done {
            return;
        }
        task.delivery += 1;
        task.lost += 1;
        task.blamed += u32::from(blamed);
        self.submit(number);
    }

    fn submit(&mut self, number: usize) {
        let key = task(number as u128).key;
        let key = AssignmentKey { delivery: self.tasks[number].delivery, ..key };
        let assignment = Assignment { key, ..task(number as u128) };
        self.bench.dispatcher.submit(lane("http"), assignment, Timestamp(0));
    }

    /// Sends a frame; gives its number.
    fn say(&mut self, session: SessionId, said: Said, arrives: u64) -> u64 {
        let Some((worker, frames)) = self.open.get_mut(&session) else { return 0 };
        *frames += 1;
        self.ways[*worker].down.send(Down::Frame(session, *frames, said), arrives);
        *frames
    }
}

fn index(key: &AssignmentKey) -> usize {
    usize::try_from(key.instance.0.as_u128()).unwrap()
}
