//! One line: who holds a share of a limit, who waits for one, and when shares were taken lately.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use windlass_proto::limits::LIMIT_WAITING;
use windlass_proto::plan::{LimitTerms, OnFull, Rate};
use windlass_proto::time::Timestamp;

use super::{Name, Told};
use crate::engine::{Claim, LimitVerdict};

/// Who holds a share.
#[derive(Clone, Copy, Debug)]
struct Holder {
    /// When it was taken; nothing while it is on its way to who was given it.
    taken: Option<Timestamp>,
    /// True for one that was told to make room.
    displaced: bool,
}

/// What stands in the way of who is first.
enum Obstacle {
    /// So many hold a share.
    Concurrency,
    /// So many began lately; one may when this is over, where that is known.
    Rate(Option<Timestamp>),
}

/// Where somebody stands in a line: when they asked, and who they are.
type Place = (Timestamp, Name);

/// A line.
#[derive(Default)]
pub(super) struct Line {
    holders: BTreeMap<Name, Holder>,
    waiting: BTreeMap<Place, LimitTerms>,
    places: HashMap<Name, Timestamp>,
    /// Those that came since it was last decided and do not wait.
    impatient: Vec<Place>,
    /// When shares were taken, for as long as a rate counts them.
    takes: BTreeSet<Place>,
    /// Those of them whose holders are gone: their rows are there for the rate alone.
    spent: BTreeSet<Name>,
    /// The longest time that a rate has counted in.
    longest_ms: u64,
    /// When to look again.
    pub(super) wake: Option<Timestamp>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.holders.is_empty() && self.waiting.is_empty() && self.takes.is_empty()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn holding(&self) -> usize {
        self.holders.len()
    }

    /// How many are before this one, where it waits.
    pub(super) fn before(&self, name: Name) -> Option<usize> {
        let asked = self.places.get(&name)?;
        Some(self.waiting.range(..(*asked, name)).count())
    }

    /// Somebody asks, or has taken what they were given.
    pub(super) fn claimed(&mut self, name: Name, claim: &Claim, told: &mut Told) {
        if let Some(rate) = claim.terms.rate {
            self.longest_ms = self.longest_ms.max(rate.period_ms);
        }
        // A visit that asks again, as one that failed and is resumed, needs its row.
        self.spent.remove(&name);
        if let Some(taken) = claim.taken {
            self.leave(name);
            let displaced = self.holders.get(&name).is_some_and(|it| it.displaced);
            self.holders.insert(name, Holder { taken: Some(taken), displaced });
            if claim.terms.rate.is_some() {
                self.takes.insert((taken, name));
            }
        } else if self.holders.contains_key(&name) {
            // It had not heard.
            told.verdicts.push((name, LimitVerdict::Taken));
        } else if self.waiting.len() >= LIMIT_WAITING {
            told.verdicts.push((name, LimitVerdict::Full));
        } else if self.places.insert(name, claim.asked).is_none() {
            let place = (claim.asked, name);
            self.waiting.insert(place, claim.terms);
            if matches!(claim.terms.on_full, OnFull::Skip | OnFull::Fail) {
                self.impatient.push(place);
            }
        }
    }

    /// Somebody has no claim any more.
    pub(super) fn gone(&mut self, name: Name) {
        self.leave(name);
        self.holders.remove(&name);
    }

    /// Somebody's share is free, and is counted by a rate for a while.
    pub(super) fn over(&mut self, name: Name, claim: &Claim) {
        self.gone(name);
        if let (Some(taken), Some(rate)) = (claim.taken, claim.terms.rate) {
            self.longest_ms = self.longest_ms.max(rate.period_ms);
            self.takes.insert((taken, name));
            self.spent.insert(name);
        }
    }

    fn leave(&mut self, name: Name) {
        if let Some(asked) = self.places.remove(&name) {
            self.waiting.remove(&(asked, name));
        }
    }

    /// Gives what is free, and tells those that do not wait.
    pub(super) fn decide(&mut self, now: Timestamp, told: &mut Told) {
        self.forget(now, told);
        let (mut again, mut later) = (None, None);
        let mut is_full = false;
        while let Some((&(_, name), terms)) = self.waiting.first_key_value() {
            match self.obstacle(*terms, now) {
                None => {
                    self.leave(name);
                    self.holders.insert(name, Holder { taken: None, displaced: false });
                    told.verdicts.push((name, LimitVerdict::Taken));
                }
                Some(Obstacle::Concurrency) => {
                    is_full = true;
                    break;
                }
                Some(Obstacle::Rate(at)) => {
                    again = at;
                    break;
                }
            }
        }
        for (asked, name) in std::mem::take(&mut self.impatient) {
            if self.places.get(&name) == Some(&asked) {
                self.leave(name);
                told.verdicts.push((name, LimitVerdict::Full));
            }
        }
        if is_full {
            later = self.make_room(now, told);
        }
        // What is spent has a row, which goes when no rate counts it any more.
        let first = self.takes.first().filter(|_| !self.spent.is_empty());
        let spent = first.map(|(at, _)| at.plus(self.longest_ms));
        self.wake = again.into_iter().chain(later).chain(spent).min();
    }

    /// Forgets what no rate counts any more.
    fn forget(&mut self, now: Timestamp, told: &mut Told) {
        while let Some(&(taken, name)) = self.takes.first() {
            if taken.plus(self.longest_ms) > now {
                break;
            }
            self.takes.pop_first();
            if self.spent.remove(&name) {
                told.expired.push(name);
            }
        }
    }

    fn obstacle(&self, terms: LimitTerms, now: Timestamp) -> Option<Obstacle> {
        if terms.concurrency.is_some_and(|most| self.holders.len() >= most as usize) {
            return Some(Obstacle::Concurrency);
        }
        self.too_fast(terms.rate?, now)
    }

    /// Whether another one may not begin now. What was given and not taken yet counts: nobody knows
    /// when that will begin.
    fn too_fast(&self, rate: Rate, now: Timestamp) -> Option<Obstacle> {
        let given = self.holders.values().filter(|it| it.taken.is_none()).count();
        // Those of this very time are over: it has a first and no last moment.
        let since = Timestamp(now.0.saturating_sub(rate.period_ms));
        let counted = |it: &&Place| it.0 > since || now.0 < rate.period_ms;
        let lately = match rate.period_ms == self.longest_ms {
            // All that is older was forgotten.
            true => self.takes.len(),
            false => self.takes.iter().filter(counted).count(),
        };
        let more = (lately + given + 1).checked_sub(rate.count as usize).filter(|it| *it > 0)?;
        let until = self.takes.iter().filter(counted).nth(more - 1);
        Some(Obstacle::Rate(until.map(|(at, _)| at.plus(rate.period_ms))))
    }

    /// Has those that hold a share longest make room for those in front that want it so; gives the
    /// time to look again where a rate stands in their way as well, as room would be of no use to
    /// them before.
    fn make_room(&mut self, now: Timestamp, told: &mut Told) -> Option<Timestamp> {
        let wants = |it: &&LimitTerms| it.on_full == OnFull::CancelOldest;
        let rate = self.waiting.values().next().filter(wants)?.rate;
        if let Some(Obstacle::Rate(at)) = rate.and_then(|it| self.too_fast(it, now)) {
            return at;
        }
        // Who is behind others that wait gets nothing of what these make room for. With a rate
        // one after the other: only the first is known to be let in.
        let most = if rate.is_some() { 1 } else { self.holders.len() };
        let wanting = self.waiting.values().take_while(wants).take(most).count();
        let making = self.holders.values().filter(|it| it.displaced).count();
        for _ in making..wanting {
            let candidates = self.holders.iter_mut().filter(|(_, it)| !it.displaced);
            let taken = candidates.filter_map(|(name, it)| Some((it.taken?, *name, it)));
            let (_, name, holder) = taken.min_by_key(|it| (it.0, it.1))?;
            holder.displaced = true;
            told.verdicts.push((name, LimitVerdict::Displaced));
        }
        None
    }
}
