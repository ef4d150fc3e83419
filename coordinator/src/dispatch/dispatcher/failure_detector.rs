//! Whether workers are silent, or the coordinator cannot hear: a worker is judged by its silence
//! only while there is reason to believe that it would have been heard.
//!
//! It would not have been
//! - while this process did not look: it was stopped, starved, or its machine slept;
//! - while the bus was away, which who owns it tells with [`FailureDetector::begin_again`];
//! - while most workers fell silent at once. Then judgement is held, until they speak again or a
//!   lease has passed.
//!
//! After each of these every worker has a whole lease to be heard, and until all have been, no loss
//! is blamed on what a worker held.

use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::roster::Member;

/// What follows from the silence there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Nobody is given up.
    Nobody,
    /// Whoever has been silent for a lease is dead.
    Each {
        /// Whether what it held may be the reason.
        blame: bool,
    },
    /// Most have been silent for two leases: they are given up, and nothing they held is blamed.
    /// `heard` says that somebody else was heard meanwhile.
    Together {
        /// See above.
        heard: bool,
        /// Whether it is a single one, which what it held may have ended.
        suspect: bool,
    },
}

/// See the module.
pub(super) struct FailureDetector {
    lease_ms: u64,
    /// When somebody last looked.
    looked_at: Option<Timestamp>,
    /// Silence before this moment says nothing.
    since: Timestamp,
    /// When this process, or the bus, was last away for a while and came back.
    back_at: Option<Timestamp>,
    /// Since when judgement is held because most are silent.
    held_at: Option<Timestamp>,
    /// How often in a row the end of a common silence has given everybody another lease.
    grace_periods: u32,
    /// True while some have not been heard in time since nobody could be.
    unsettled: bool,
}

impl FailureDetector {
    pub(super) fn new(lease_ms: u64) -> Self {
        let since = Timestamp::default();
        Self {
            lease_ms,
            looked_at: None,
            since,
            back_at: None,
            held_at: None,
            grace_periods: 0,
            unsettled: false,
        }
    }

    /// True while judgement is held.
    pub(super) fn holds(&self) -> bool {
        self.held_at.is_some()
    }

    /// Takes note of the time. Where too much has passed since the last look, nobody looked.
    pub(super) fn look(&mut self, now: Timestamp) {
        let gap = self.looked_at.map_or(0, |at| now.since(at));
        self.looked_at = Some(now);
        if gap > self.lease_ms / limits::LOOKS_PER_LEASE {
            self.begin_again(now);
        }
    }

    /// Every lease begins anew: before this moment nobody could be heard.
    pub(super) fn begin_again(&mut self, now: Timestamp) {
        self.back_at = Some(now);
        self.restart(now);
    }

    fn restart(&mut self, now: Timestamp) {
        self.since = self.since.max(now);
        self.held_at = None;
        self.unsettled = true;
    }

    /// When this process, or the bus, came back from being away, for a lease after that.
    pub(super) fn just_back(&self, now: Timestamp) -> Option<Timestamp> {
        self.back_at.filter(|at| now.since(*at) <= self.lease_ms)
    }

    /// Milliseconds that something has not happened, `last` being when it last did, as far as it
    /// would have been noticed.
    pub(super) fn silence(&self, last: Timestamp, now: Timestamp) -> u64 {
        now.since(last.max(self.since))
    }

    /// A worker speaks after this silence. Where most were silent until now, it was not theirs.
    pub(super) fn heard_from<'a>(
        &mut self,
        silence: u64,
        now: Timestamp,
        members: impl Iterator<Item = &'a Member>,
    ) {
        if silence > self.quiet_ms() && self.count(now, members).most() {
            self.grace_period(now);
        }
    }

    /// Looks at all workers.
    pub(super) fn judge<'a>(
        &mut self,
        now: Timestamp,
        members: impl Iterator<Item = &'a Member>,
    ) -> Judgement {
        let count = self.count(now, members);
        if count.late == 0 {
            (self.grace_periods, self.unsettled) = (0, false);
        }
        if count.silent == 0 {
            self.held_at = None;
            return Judgement::Nobody;
        }
        match (count.most(), self.held_at) {
            (true, None) => {
                self.held_at = Some(now);
                Judgement::Nobody
            }
            (true, Some(at)) if now.since(at) <= self.lease_ms => Judgement::Nobody,
            (true, Some(_)) => {
                self.held_at = None;
                Judgement::Together {
                    heard: count.quiet < count.all,
                    suspect: count.silent == 1 && !self.unsettled,
                }
            }
            // The others speak again.
            (false, Some(_)) if self.grace_period(now) => Judgement::Nobody,
            (false, _) => {
                self.held_at = None;
                Judgement::Each { blame: !self.unsettled }
            }
        }
    }

    /// The end of a common silence. False when there have been so many in a row that it no longer
    /// counts: else one worker that beats late could keep all the dead alive.
    fn grace_period(&mut self, now: Timestamp) -> bool {
        if self.grace_periods >= limits::GRACE_PERIODS {
            return false;
        }
        self.grace_periods += 1;
        self.restart(now);
        true
    }

    /// Silence after which a worker is late: it has missed a beat.
    fn quiet_ms(&self) -> u64 {
        self.lease_ms / 2
    }

    /// Counts those that have said so far that they live: who has only asked to join has no voice.
    fn count<'a>(&self, now: Timestamp, members: impl Iterator<Item = &'a Member>) -> Count {
        let mut count = Count::default();
        for member in members.filter(|it| it.ready) {
            let silence = self.silence(member.heard_at, now);
            count.all += 1;
            count.late += usize::from(now.since(member.heard_at) > self.quiet_ms());
            count.quiet += usize::from(silence > self.quiet_ms());
            count.silent += usize::from(silence > self.lease_ms);
        }
        count
    }
}

/// How many workers there are.
#[derive(Default)]
struct Count {
    all: usize,
    /// Late with a beat, whoever's doing it is.
    late: usize,
    /// Late with a beat that would have been heard.
    quiet: usize,
    /// Past their lease.
    silent: usize,
}

impl Count {
    fn most(&self) -> bool {
        2 * self.quiet > self.all
    }
}
