//! Due times: which come next, which are over, and which of those were missed.

use windlass_proto::limits::{
    SCHEDULE_CATCH_UP, SCHEDULE_COUNTED, SCHEDULE_GRACE_MS, SCHEDULE_LOOKED_AT, SCHEDULE_STARTS,
};
use windlass_proto::plan::Schedule;
use windlass_proto::time::Timestamp;

use super::{Due, Occurrence, Outcome, State, Trigger, Why};

/// The first due times of a schedule that was deployed at `since`.
pub(super) fn first(schedule: &Schedule, since: Timestamp) -> [Option<Timestamp>; 3] {
    [
        after(schedule, Trigger::Every, since, since),
        after(schedule, Trigger::Cron, since, since),
        schedule.after.map(|_| since),
    ]
}

/// The first due time after `at`; those of `every` are counted from `since`.
pub(super) fn after(
    schedule: &Schedule,
    trigger: Trigger,
    since: Timestamp,
    at: Timestamp,
) -> Option<Timestamp> {
    match trigger {
        Trigger::Every => {
            let every = schedule.every?.max(1);
            if at < since {
                // By a clock that was ahead then: the multiples are the same before it.
                return Some(Timestamp(since.0 - (since.0 - at.0 - 1) / every * every));
            }
            let passed = at.since(since) / every;
            Some(since.plus(every.saturating_mul(passed.saturating_add(1))))
        }
        Trigger::Cron => schedule.cron.as_ref()?.next_after(at),
        Trigger::After | Trigger::Manual | Trigger::Backfill | Trigger::On => None,
    }
}

/// The last due time of a stretch that begins with one.
pub(super) fn last(
    schedule: &Schedule,
    trigger: Trigger,
    (next, until): (Timestamp, Timestamp),
) -> Option<Timestamp> {
    match trigger {
        Trigger::Every => {
            let every = schedule.every?.max(1);
            Some(next.plus(until.since(next) / every * every))
        }
        Trigger::Cron => {
            let cron = schedule.cron.as_ref()?;
            // Mostly there is this one only.
            match cron.next_after(next).filter(|it| *it <= until) {
                Some(later) => cron.last_until(Timestamp(later.0 - 1), until),
                None => Some(next),
            }
        }
        Trigger::After | Trigger::Manual | Trigger::Backfill | Trigger::On => Some(next),
    }
}

/// What a stretch of due times comes to.
pub(super) struct Stretch {
    /// Those that were missed.
    pub(super) missed: Option<Occurrence>,
    /// Those that are due now: as many as one turn takes.
    pub(super) due: Vec<Timestamp>,
    /// The one after them, which may be over as well.
    pub(super) next: Option<Timestamp>,
}

/// Parts a stretch of due times into what was missed and what is due: what is within the window or
/// no later than a loaded machine is; without a window, of what was missed the last one.
pub(super) fn split(
    schedule: &Schedule,
    trigger: Trigger,
    since: Timestamp,
    (next, until): (Timestamp, Timestamp),
) -> Stretch {
    let last = last(schedule, trigger, (next, until)).unwrap_or(next);
    let window = schedule.catch_up.unwrap_or(0).max(SCHEDULE_GRACE_MS);
    let from = Timestamp(until.0.saturating_sub(window));
    let begin = match schedule.catch_up {
        _ if next >= from => next,
        None => last,
        Some(_) => {
            let before = Timestamp(from.0.saturating_sub(1));
            let within = after(schedule, trigger, since, before).filter(|it| *it <= until);
            let Some(within) = within else {
                let missed = Some(stretch(schedule, trigger, (next, last), Why::Missed));
                let next = after(schedule, trigger, since, last);
                return Stretch { missed, due: Vec::new(), next };
            };
            within
        }
    };
    let begin = newest(schedule, trigger, since, (begin, last));
    let missed = (next < begin).then(|| {
        let before = Timestamp(begin.0 - 1);
        let last = self::last(schedule, trigger, (next, before)).unwrap_or(next);
        stretch(schedule, trigger, (next, last), Why::Missed)
    });
    let (mut due, mut next) = (Vec::new(), Some(begin));
    while let Some(at) = next.filter(|it| *it <= until && due.len() < SCHEDULE_STARTS) {
        due.push(at);
        next = after(schedule, trigger, since, at);
    }
    Stretch { missed, due, next }
}

/// Where a stretch begins when no more of it is left than is made up for at once.
fn newest(
    schedule: &Schedule,
    trigger: Trigger,
    since: Timestamp,
    (begin, last): (Timestamp, Timestamp),
) -> Timestamp {
    if let (Trigger::Every, Some(every)) = (trigger, schedule.every) {
        let most = every.saturating_mul(SCHEDULE_CATCH_UP - 1);
        return begin.max(Timestamp(last.0.saturating_sub(most)));
    }
    let mut at = begin;
    let mut times = 1;
    while let Some(next) = after(schedule, trigger, since, at).filter(|it| *it <= last) {
        (at, times) = (next, times + 1);
        if times > SCHEDULE_CATCH_UP {
            break;
        }
    }
    if times <= SCHEDULE_CATCH_UP {
        return begin;
    }
    let before = |at: Timestamp| {
        let stretch = (begin, Timestamp(at.0.saturating_sub(1)));
        self::last(schedule, trigger, stretch)
    };
    let earlier = std::iter::successors(Some(last), |at| before(*at));
    earlier.take(usize::try_from(SCHEDULE_CATCH_UP).unwrap_or(1)).last().unwrap_or(last)
}

/// How many due times there are from one to another; none for more than are counted.
fn count(
    schedule: &Schedule,
    trigger: Trigger,
    since: Timestamp,
    (first, last): (Timestamp, Timestamp),
) -> Option<u64> {
    if let (Trigger::Every, Some(every)) = (trigger, schedule.every) {
        return Some(last.since(first) / every.max(1) + 1);
    }
    let (mut count, mut at) = (1, first);
    while let Some(next) = after(schedule, trigger, since, at).filter(|it| *it <= last) {
        count += 1;
        if count > SCHEDULE_COUNTED {
            return None;
        }
        at = next;
    }
    Some(count)
}

/// The due times from `from` to `to` that are `wanted`, the first of them: at most as many as are
/// made up for at once, of at most [`SCHEDULE_LOOKED_AT`].
pub(super) fn between(
    schedule: &Schedule,
    since: Timestamp,
    (from, to): (Timestamp, Timestamp),
    wanted: &mut dyn FnMut(Timestamp) -> bool,
) -> Vec<Timestamp> {
    let most = usize::try_from(SCHEDULE_CATCH_UP).unwrap_or(usize::MAX);
    let mut times = Vec::new();
    let mut at = Timestamp(from.0.saturating_sub(1));
    for _ in 0..SCHEDULE_LOOKED_AT {
        let next = [Trigger::Every, Trigger::Cron].map(|it| after(schedule, it, since, at));
        let next = next.into_iter().flatten().min().filter(|it| *it <= to);
        let Some(next) = next.filter(|_| times.len() < most) else { break };
        if wanted(next) {
            times.push(next);
        }
        at = next;
    }
    times
}

/// What is told of due times from one to another that were all skipped.
pub(super) fn stretch(
    schedule: &Schedule,
    trigger: Trigger,
    (at, last): (Timestamp, Timestamp),
    why: Why,
) -> Occurrence {
    let counted = || count(schedule, trigger, at, (at, last));
    let until = (at < last).then(|| (last, counted()));
    Occurrence { due: Due::at(at, trigger), until, outcome: Outcome::Skipped(why) }
}

/// The next due times of a schedule, at most `most`, as they come.
#[must_use]
pub fn next_times(state: &State, schedule: &Schedule, most: usize) -> Vec<Due> {
    let mut times = Vec::new();
    for trigger in [Trigger::Every, Trigger::Cron, Trigger::After] {
        let mut next = state.next[trigger as usize];
        for _ in 0..most {
            let Some(at) = next else { break };
            times.push(Due::at(at, trigger));
            next = after(schedule, trigger, state.since, at);
        }
    }
    times.sort_by_key(|it| (it.at, it.trigger));
    times.truncate(most);
    times
}
