//! Lines, alone: who is given what, in which order.

use std::sync::Arc;

use windlass_proto::id::{FrameId, InstanceId};
use windlass_proto::plan::{LimitTerms, OnFull, Rate};
use windlass_proto::time::Timestamp;

use super::{LimitNews, Limits, Name, Stage};
use crate::engine::{Claim, LimitVerdict};
use LimitVerdict::{Displaced, Full, Taken};

/// A line, and what its members have come to.
struct Bench {
    limits: Limits,
    terms: LimitTerms,
    now: u64,
    claims: Vec<Claim>,
}

fn name(number: usize) -> Name {
    (InstanceId(uuid::Uuid::from_u128(number as u128)), FrameId(0))
}

impl Bench {
    fn new(concurrency: Option<u32>, rate: Option<(u32, u64)>, on_full: OnFull) -> Self {
        let rate = rate.map(|(count, period_ms)| Rate { count, period_ms });
        let terms = LimitTerms { concurrency, rate, on_full };
        Self { limits: Limits::default(), terms, now: 1_000_000, claims: Vec::new() }
    }

    /// Hears of a claim; gives what came of it, by numbers.
    fn hear(&mut self, number: usize, stage: Stage) -> Vec<(usize, LimitVerdict)> {
        let claim = self.claims[number].clone();
        let news = LimitNews { name: name(number), claim, stage };
        let told = self.limits.hear(&news, Timestamp(self.now));
        self.took(told.verdicts)
    }

    /// Those who were given a share take it.
    fn took(&mut self, verdicts: Vec<(Name, LimitVerdict)>) -> Vec<(usize, LimitVerdict)> {
        let mut all = Vec::new();
        for ((id, _), verdict) in verdicts {
            let number = id.0.as_u128() as usize;
            all.push((number, verdict));
            if verdict == Taken {
                self.claims[number].taken = Some(Timestamp(self.now));
                all.extend(self.hear(number, Stage::Open));
            }
        }
        all
    }

    fn ask(&mut self) -> Vec<(usize, LimitVerdict)> {
        self.now += 1;
        let (terms, asked) = (self.terms, Timestamp(self.now));
        self.claims.push(Claim { key: Arc::from("a\0w/b\0"), terms, asked, taken: None });
        self.hear(self.claims.len() - 1, Stage::Open)
    }

    fn leave(&mut self, number: usize) -> Vec<(usize, LimitVerdict)> {
        let spent = self.terms.rate.is_some() && self.claims[number].taken.is_some();
        self.hear(number, if spent { Stage::Spent } else { Stage::Gone })
    }

    fn at(&mut self, now: u64) -> Vec<(usize, LimitVerdict)> {
        self.now = now;
        let told = self.limits.due(Timestamp(now));
        self.took(told.verdicts)
    }
}

#[test]
fn nobody_makes_room_that_a_rate_keeps_free() {
    let mut bench = Bench::new(Some(3), Some((3, 60_000)), OnFull::CancelOldest);
    for number in 0..3 {
        assert_eq!(bench.ask(), [(number, Taken)]);
    }
    let first = bench.now - 2;
    assert_eq!(bench.ask(), []);
    assert_eq!(bench.at(first + 59_999), []);
    assert_eq!(bench.at(first + 60_000), [(0, Displaced)]);
    assert_eq!(bench.leave(0), [(3, Taken)]);
}

#[test]
fn room_is_made_for_who_is_in_front_only() {
    let mut bench = Bench::new(Some(1), None, OnFull::Wait);
    assert_eq!(bench.ask(), [(0, Taken)]);
    assert_eq!((bench.ask(), bench.ask()), (vec![], vec![]));
    bench.terms.on_full = OnFull::CancelOldest;
    assert_eq!(bench.ask(), [], "two who wait are before it");
    assert_eq!(bench.leave(0), [(1, Taken)]);
    assert_eq!(bench.leave(1), [(2, Taken), (2, Displaced)]);
    assert_eq!(bench.leave(2), [(3, Taken)]);
}

#[test]
fn who_waits_is_served_in_order_and_leaves_the_line() {
    let mut bench = Bench::new(Some(2), None, OnFull::Wait);
    assert_eq!((bench.ask(), bench.ask()), (vec![(0, Taken)], vec![(1, Taken)]));
    for _ in 2..6 {
        assert_eq!(bench.ask(), []);
    }
    assert_eq!(bench.limits.waiting, 4);
    let place = |bench: &Bench, it| bench.limits.place("a\0w/b\0", name(it)).unwrap();
    assert_eq!((place(&bench, 4).before, place(&bench, 4).holding), (Some(2), 2));
    assert_eq!(bench.leave(3), [], "cancelled while it waits");
    assert_eq!(place(&bench, 4).before, Some(1));
    assert_eq!(bench.leave(1), [(2, Taken)]);
    assert_eq!(bench.leave(0), [(4, Taken)]);
    // One that has not heard asks again and is not given a second one.
    bench.claims[4].taken = None;
    assert_eq!(bench.hear(4, Stage::Open)[0], (4, Taken));
    assert_eq!((bench.leave(2), bench.leave(4)), (vec![(5, Taken)], vec![]));
    bench.leave(5);
    assert!(bench.limits.lines.is_empty() && bench.limits.waiting == 0);
}

#[test]
fn who_does_not_wait_is_told_at_once() {
    for on_full in [OnFull::Skip, OnFull::Fail] {
        let mut bench = Bench::new(Some(1), None, on_full);
        assert_eq!((bench.ask(), bench.ask()), (vec![(0, Taken)], vec![(1, Full)]));
        bench.leave(1);
        bench.leave(0);
        assert_eq!(bench.ask(), [(2, Taken)]);
    }
}

#[test]
fn the_oldest_makes_room_once_for_each_that_wants_it() {
    let mut bench = Bench::new(Some(2), None, OnFull::CancelOldest);
    bench.ask();
    bench.ask();
    assert_eq!(bench.ask(), [(0, Displaced)]);
    assert_eq!(bench.ask(), [(1, Displaced)]);
    assert_eq!(bench.ask(), [], "both make room already");
    assert_eq!(bench.leave(0), [(2, Taken), (2, Displaced)], "the last one wants it too");
    assert_eq!(bench.leave(1), [(3, Taken)]);
    assert_eq!(bench.leave(2), [(4, Taken)]);
}

#[test]
fn no_window_has_more_than_the_rate() {
    let mut bench = Bench::new(None, Some((3, 1_000)), OnFull::Wait);
    let begin = bench.now;
    for _ in 0..10 {
        bench.ask();
    }
    for number in 0..3 {
        assert_eq!(bench.leave(number), [], "the end of one makes no room");
    }
    let mut taken: Vec<u64> = Vec::new();
    while let Some(at) = bench.limits.next_wake().filter(|_| taken.len() < 10) {
        bench.at(at.0);
        taken = bench.claims.iter().filter_map(|it| Some(it.taken?.0)).collect();
    }
    assert_eq!(taken.len(), 10);
    for window in taken.windows(4) {
        assert!(window[3] - window[0] >= 1_000, "{taken:?}");
    }
    assert!(taken[9] - begin < 4_000, "and no less: {taken:?}");
}

#[test]
fn what_is_spent_counts_after_a_restart_and_its_row_goes_then() {
    let mut bench = Bench::new(Some(5), Some((1, 1_000)), OnFull::Fail);
    assert_eq!(bench.ask(), [(0, Taken)]);
    bench.leave(0);
    let news = LimitNews { name: name(0), claim: bench.claims[0].clone(), stage: Stage::Spent };
    bench.limits = Limits::default();
    bench.limits.learn(&news, &mut super::Told::default());
    let now = bench.now;
    assert!(bench.limits.decide_all(Timestamp(now)).expired.is_empty());
    assert_eq!(bench.ask(), [(1, Full)]);
    bench.leave(1);
    let told = bench.limits.due(Timestamp(now + 1_000));
    assert_eq!(told.expired, [name(0)]);
    assert!(bench.limits.lines.is_empty());
    bench.now = now + 1_000;
    assert_eq!(bench.ask(), [(2, Taken)]);
}

#[test]
fn by_chance_no_more_hold_than_may_and_all_are_served() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let most = random.u32(1..4);
        let rate = random.bool().then(|| (random.u32(1..5), random.u64(1..200)));
        let mut bench = Bench::new(Some(most), rate, OnFull::Wait);
        let mut over = std::collections::BTreeSet::new();
        let mut order: Vec<usize> = Vec::new();
        for _ in 0..120 {
            let holding: Vec<usize> = (0..bench.claims.len())
                .filter(|it| bench.claims[*it].taken.is_some() && !over.contains(it))
                .collect();
            assert!(holding.len() <= most as usize, "seed {seed}");
            let now = bench.now + random.u64(0..40);
            let new = match random.u8(0..3) {
                0 => bench.ask(),
                1 if !holding.is_empty() => {
                    let it = holding[random.usize(..holding.len())];
                    over.insert(it);
                    bench.leave(it)
                }
                _ => bench.at(now),
            };
            order.extend(new.iter().map(|(number, _)| *number));
        }
        assert!(order.is_sorted(), "seed {seed}: in order of asking: {order:?}");
    }
}
