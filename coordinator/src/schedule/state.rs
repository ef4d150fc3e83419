//! What is kept of a schedule.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_proto::id::{Digest, InstanceId, WorkflowId};
use windlass_proto::limits::{SCHEDULE_CATCH_UP, SCHEDULE_PAST, SCHEDULE_STARTS};
use windlass_proto::plan::{Plan, Schedule};
use windlass_proto::time::Timestamp;

use super::due::{self, first};
use super::{Due, Given, Listener, Occurrence, Outcome, ScheduleId, Trigger, Turn, Why};

/// A schedule's state: durable, changed only together with what follows from the change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The workflow, in the version whose schedule it is.
    pub workflow: WorkflowId,
    /// Its definition.
    pub digest: Digest,
    /// When that was deployed.
    pub since: Timestamp,
    /// The next due time of `every`, `cron` and `after`, before it is spread.
    pub next: [Option<Timestamp>; 3],
    /// By how much it is spread, in milliseconds.
    pub delay: u64,
    /// Whether an operator has paused it.
    pub paused: Option<Box<Pause>>,
    /// What is open or waits; absent while there is nothing.
    pub busy: Option<Box<Busy>>,
    /// Starts so far.
    pub fired: u64,
    /// Due times skipped so far, as far as they were counted.
    pub skipped: u64,
    /// The number of the next occurrence.
    pub sequence: u64,
    /// What listens for the events of `on`; absent without it.
    #[serde(default)]
    pub listener: Option<Box<Listener>>,
    /// When due times were last reckoned.
    #[serde(default)]
    pub reckoned: Timestamp,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Why, as the operator said.
    pub reason: Option<Arc<str>>,
}

/// What is under way of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Busy {
    /// Its open instances, where their ends matter.
    pub running: Vec<InstanceId>,
    /// Starts that wait for their ends.
    pub waiting: VecDeque<Due>,
    /// Due times to be made up for as turns have room for them.
    #[serde(default)]
    pub backfill: VecDeque<Due>,
    /// What those of `waiting` get that events have started.
    #[serde(default)]
    pub given: Vec<Given>,
}

impl State {
    /// The state of a definition's schedule when it takes the place of `former`, of an earlier
    /// version: what runs of that is followed further, what waits waits on, and an operator's pause
    /// holds.
    #[must_use]
    pub fn deployed(
        former: Option<Self>,
        id: ScheduleId,
        (workflow, digest): (WorkflowId, Digest),
        schedule: &Schedule,
        since: Timestamp,
    ) -> Self {
        let delay = id.delay(schedule.jitter);
        let next = first(schedule, since);
        let mut state = Self {
            workflow,
            digest,
            since,
            next,
            delay,
            paused: None,
            busy: None,
            fired: 0,
            skipped: 0,
            sequence: 0,
            listener: None,
            reckoned: since,
        };
        let number =
            former.as_ref().and_then(|it| it.listener.as_ref()).map_or(0, |it| it.number());
        let listener = |plan: &Arc<Plan>| Listener::new(id, plan, since, number.wrapping_add(1));
        state.listener = schedule.on.as_ref().map(|plan| Box::new(listener(plan)));
        if let Some(former) = former {
            let Self { paused, busy, fired, skipped, sequence, .. } = former;
            state = Self { paused, busy, fired, skipped, sequence, ..state };
            if !schedule.follows_ends() {
                // Whatever waited for an end need not any more; what runs is not followed.
                if let Some(busy) = &mut state.busy {
                    busy.running.clear();
                }
            }
            if !state.running().is_empty() {
                // The first run of `after` is over when that is.
                state.next[Trigger::After as usize] = None;
            }
            state.tidy();
        }
        state
    }

    /// Instances whose ends matter.
    #[must_use]
    pub fn running(&self) -> &[InstanceId] {
        self.busy.as_ref().map_or(&[], |it| &it.running)
    }

    /// How many starts wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.busy.as_ref().map_or(0, |it| it.waiting.len())
    }

    /// When there is something to do next; none while it is paused or nothing is due any more.
    #[must_use]
    pub fn wake(&self) -> Option<Timestamp> {
        if self.busy.as_ref().is_some_and(|it| !it.backfill.is_empty()) {
            return Some(Timestamp(0));
        }
        if self.paused.is_some() {
            return None;
        }
        if self.waiting() > 0 && self.running().is_empty() {
            return Some(Timestamp(0));
        }
        self.next.iter().flatten().min().map(|next| next.plus(self.delay))
    }

    /// What is due by `now`: each due time is fired, skipped or waits. `held` says that starts of
    /// the workflow are suspended.
    pub fn due(&mut self, schedule: &Schedule, now: Timestamp, held: bool) -> Turn {
        let mut turn = Turn::default();
        self.reckoned = now;
        if !held {
            self.make_up(schedule, &mut turn);
        }
        if self.paused.is_some() {
            return turn;
        }
        if !held {
            self.start_waiting(&mut turn);
        }
        let until = Timestamp(now.0.saturating_sub(self.delay));
        for trigger in [Trigger::Every, Trigger::Cron, Trigger::After] {
            let slot = trigger as usize;
            let Some(next) = self.next[slot].filter(|next| *next <= until) else { continue };
            match (trigger, held) {
                // It would never come again: it waits for the end of the suspension.
                (Trigger::After, true) => {}
                (Trigger::After, false) => {
                    self.next[slot] = None;
                    self.admit(schedule, Due::at(next, trigger), &mut turn);
                }
                (_, true) => self.pass(schedule, trigger, (next, until), Why::Suspended, &mut turn),
                (_, false) => self.fire(schedule, trigger, (next, until), &mut turn),
            }
        }
        self.tidy();
        turn
    }

    /// Skips all due times of a stretch.
    fn pass(
        &mut self,
        schedule: &Schedule,
        trigger: Trigger,
        (next, until): (Timestamp, Timestamp),
        why: Why,
        turn: &mut Turn,
    ) {
        let last = due::last(schedule, trigger, (next, until)).unwrap_or(next);
        turn.occurrences.push(due::stretch(schedule, trigger, (next, last), why));
        self.next[trigger as usize] = due::after(schedule, trigger, self.since, last);
    }

    /// Fires the due times of a stretch, but for those that were missed.
    fn fire(
        &mut self,
        schedule: &Schedule,
        trigger: Trigger,
        (next, until): (Timestamp, Timestamp),
        turn: &mut Turn,
    ) {
        let stretch = due::split(schedule, trigger, self.since, (next, until));
        turn.occurrences.extend(stretch.missed);
        for at in stretch.due {
            self.admit(schedule, Due::at(at, trigger), turn);
        }
        self.next[trigger as usize] = stretch.next;
    }

    /// An instance of the schedule has ended.
    pub fn ended(
        &mut self,
        schedule: &Schedule,
        instance: InstanceId,
        cancelled: bool,
        now: Timestamp,
    ) {
        self.reckoned = now;
        let Some(busy) = &mut self.busy else { return };
        busy.running.retain(|it| *it != instance);
        let is_last = busy.running.is_empty();
        if let Some(after) = schedule.after.filter(|_| is_last && !cancelled) {
            self.next[Trigger::After as usize] = Some(now.plus(after));
        }
        self.tidy();
    }

    /// Pauses it; what is due meanwhile is skipped.
    pub fn pause(&mut self, reason: Option<Arc<str>>, now: Timestamp) {
        let since = self.paused.as_ref().map_or(now, |it| it.since);
        self.paused = Some(Box::new(Pause { since, reason }));
    }

    /// Lets it go on; false when it was not paused.
    pub fn resume(&mut self, schedule: &Schedule, now: Timestamp) -> (bool, Turn) {
        let mut turn = Turn::default();
        if self.paused.take().is_none() {
            return (false, turn);
        }
        let until = Timestamp(now.0.saturating_sub(self.delay));
        for trigger in [Trigger::Every, Trigger::Cron] {
            if let Some(next) = self.next[trigger as usize].filter(|next| *next <= until) {
                self.pass(schedule, trigger, (next, until), Why::Paused, &mut turn);
            }
        }
        (true, turn)
    }

    /// Starts an instance at once, whatever runs and although it may be paused.
    pub fn trigger(&mut self, schedule: &Schedule, due: Due) -> Turn {
        let mut turn = Turn::default();
        turn.starts.push(due);
        // It takes the place of the first run, or of the one that was waited for.
        if schedule.after.is_some() {
            self.next[Trigger::After as usize] = None;
        }
        turn
    }

    /// Takes up what was due from one time to another, at most as much as is made up for at once:
    /// it starts as turns have room for it, paused or not. What was `started` before, by whatever
    /// made it due, is passed over. Gives how many due times were taken up.
    pub fn backfill(
        &mut self,
        schedule: &Schedule,
        (from, to): (Timestamp, Timestamp),
        started: &mut dyn FnMut(Timestamp) -> bool,
    ) -> usize {
        let queue = &mut self.busy.get_or_insert_default().backfill;
        let most = usize::try_from(SCHEDULE_CATCH_UP).unwrap_or(usize::MAX);
        let room = most.saturating_sub(queue.len());
        let before = queue.len();
        let known: BTreeSet<Timestamp> = queue.iter().map(|it| it.at).collect();
        let mut wanted = |at| !known.contains(&at) && !started(at);
        let times = due::between(schedule, self.since, (from, to), &mut wanted).into_iter();
        queue.extend(times.take(room).map(|at| Due::at(at, Trigger::Backfill)));
        let taken = queue.len() - before;
        self.tidy();
        taken
    }

    /// Starts what is made up for, as much as one turn takes. It goes by what happens to instances
    /// that overlap, as if it was due now.
    fn make_up(&mut self, schedule: &Schedule, turn: &mut Turn) {
        for _ in 0..SCHEDULE_STARTS {
            let next = self.busy.as_mut().and_then(|it| it.backfill.pop_front());
            let Some(due) = next else { break };
            self.admit(schedule, due, turn);
        }
        self.tidy();
    }

    /// Brings due times near that a clock put off which was ahead; true when there were some.
    pub fn mend(&mut self, schedule: &Schedule, now: Timestamp) -> bool {
        let mut mended = false;
        self.reckoned = now;
        for trigger in [Trigger::Every, Trigger::Cron, Trigger::After] {
            let latest = match trigger {
                Trigger::After => schedule.after.map(|it| now.plus(it)),
                _ => due::after(schedule, trigger, self.since, now),
            };
            let next = &mut self.next[trigger as usize];
            if let (Some(far), Some(latest)) = (*next, latest)
                && far > latest
            {
                (*next, mended) = (Some(latest), true);
            }
        }
        mended
    }

    /// An instance is not there any more.
    pub fn gone(&mut self, instance: InstanceId) {
        if let Some(busy) = &mut self.busy {
            busy.running.retain(|it| *it != instance);
        }
        self.tidy();
    }

    /// An instance was started: it is followed where its end matters.
    pub fn started(&mut self, schedule: &Schedule, instance: InstanceId) {
        if schedule.follows_ends() {
            let busy = self.busy.get_or_insert_default();
            if !busy.running.contains(&instance) {
                busy.running.push(instance);
            }
        }
    }

    /// The place of an occurrence among those that are kept; it is counted.
    pub fn place(&mut self, occurrence: &Occurrence) -> u8 {
        match occurrence.outcome {
            Outcome::Fired(..) => self.fired += 1,
            Outcome::Skipped(_) => self.skipped += occurrence.count(),
        }
        let place = u8::try_from(self.sequence % SCHEDULE_PAST).unwrap_or_default();
        self.sequence += 1;
        place
    }

    /// Drops what is empty: there may be a hundred thousand schedules at rest.
    pub(super) fn tidy(&mut self) {
        let is_idle =
            |it: &Busy| it.running.is_empty() && it.waiting.is_empty() && it.backfill.is_empty();
        if self.busy.as_deref().is_some_and(is_idle) {
            self.busy = None;
        }
    }
}
