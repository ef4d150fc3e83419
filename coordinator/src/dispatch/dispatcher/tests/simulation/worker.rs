//! A worker, as `fleet/session` is one: keeps what it holds over sessions, shows it in each beat.

use windlass_proto::limits;
use windlass_proto::wire::AssignmentKey;
use windlass_proto::wire::message::Beat;
use windlass_proto::wire::session::SessionId;

use super::super::{LEASE, held};
use super::STEP;
use super::sessions::{Down, Said, Up, Way};

const BEAT: u64 = LEASE / limits::BEATS_PER_LEASE;

/// Its end of a session.
struct Seat {
    session: SessionId,
    seen: u64,
    heard_at: u64,
    looked_at: u64,
    beats: u64,
}

struct Holding {
    key: AssignmentKey,
    /// Milliseconds of work that are left.
    left: u64,
    /// When that it is done was last said.
    told_at: Option<u64>,
}

pub(super) struct Worker {
    identity: String,
    pub(super) still_until: u64,
    seat: Option<Seat>,
    /// Registrations asked for; an answer to an older one is not heard.
    asks: u64,
    /// When it beats next, or asks next.
    next_at: u64,
    held: Vec<Holding>,
    /// What it began.
    pub(super) performed: Vec<AssignmentKey>,
}

impl Worker {
    /// A new process in a place, from a moment on.
    pub(super) fn new(number: usize, from: u64) -> Self {
        Self {
            identity: format!("{number} from {from}"),
            still_until: from,
            seat: None,
            // So that no answer to its predecessor is one to it.
            asks: from * 1_000,
            next_at: from,
            held: Vec::new(),
            performed: Vec::new(),
        }
    }

    /// The tasks it holds.
    pub(super) fn holds(&self) -> Vec<u128> {
        self.held.iter().map(|it| it.key.instance.0.as_u128()).collect()
    }

    pub(super) fn turn(&mut self, now: u64, arrives: u64, way: &mut Way) {
        if now < self.still_until {
            return;
        }
        while let Some(said) = way.down.arrived(now) {
            self.hear(said, now, arrives, way);
        }
        for holding in &mut self.held {
            holding.left = holding.left.saturating_sub(STEP);
            let due = holding.told_at.is_none_or(|at| now - at >= LEASE / 3);
            if let Some(seat) = &self.seat
                && holding.left == 0
                && due
            {
                holding.told_at = Some(now);
                way.up.send(Up::Report(seat.session, holding.key.clone()), arrives);
            }
        }
        if self.next_at <= now {
            self.speak(now, arrives, way);
        }
    }

    /// Beats, or asks to join.
    fn speak(&mut self, now: u64, arrives: u64, way: &mut Way) {
        self.next_at = now + BEAT;
        if let Some(seat) = &mut self.seat {
            if now - seat.looked_at > 2 * BEAT {
                seat.heard_at = now;
            }
            seat.looked_at = now;
            if now - seat.heard_at > LEASE {
                self.seat = None;
            }
        }
        let Some(seat) = &mut self.seat else {
            self.asks += 1;
            let (identity, ask) = (self.identity.clone(), self.asks);
            return way.up.send(Up::Hello { identity, ask }, arrives);
        };
        seat.beats += 1;
        let keys: Vec<_> = self.held.iter().map(|it| &it.key).collect();
        let (number, seen, held) = (seat.beats, seat.seen, held(&keys));
        let beat = Beat { number, seen, held, concurrency: 4, ..Beat::default() };
        way.up.send(Up::Beat(seat.session, beat), arrives);
    }

    fn hear(&mut self, said: Down, now: u64, arrives: u64, way: &mut Way) {
        let current = self.seat.as_ref().map(|it| it.session);
        match said {
            Down::Welcome { session, ask } if current.is_none() && ask == self.asks => {
                let (seen, heard_at, looked_at, beats) = (0, now, now, 0);
                self.seat = Some(Seat { session, seen, heard_at, looked_at, beats });
                self.held.iter_mut().for_each(|it| it.told_at = None);
                self.next_at = now;
            }
            Down::Gone(session) if current == Some(session) => {
                self.seat = None;
                self.next_at = now;
            }
            Down::Frame(session, number, said) if current == Some(session) => {
                if let Some(seat) = &mut self.seat {
                    (seat.seen, seat.heard_at) = (number, now);
                }
                self.take(said, session, arrives, way);
            }
            Down::Welcome { .. } | Down::Gone(_) | Down::Frame(..) => {}
        }
    }

    fn take(&mut self, said: Said, session: SessionId, arrives: u64, way: &mut Way) {
        match said {
            Said::Perform(key, takes) => {
                if !self.held.iter().any(|it| it.key == key) {
                    self.performed.push(key.clone());
                    self.held.push(Holding { key, left: takes, told_at: None });
                }
            }
            Said::Cancel(key) => {
                let before = self.held.len();
                self.held.retain(|it| it.key != key || it.left == 0);
                if self.held.len() < before {
                    way.up.send(Up::Released(session, key), arrives);
                }
            }
            Said::Settled(key) => self.held.retain(|it| it.key != key),
            Said::Heard => {}
        }
    }
}
