//! Timers: waits, retries, timeouts.

use windlass_proto::id::FrameId;
use windlass_proto::problem::{Problem, Standard};

use super::fact::{Fact, TimerPurpose};
use super::instance::{Body, Ending, ROOT, Step};
use super::turn::Turn;

impl Turn<'_> {
    /// A timer is due.
    pub(super) fn timer_fired(&mut self, number: u32) {
        let Some(timer) = self.state.timers.get(&number).copied() else {
            return self.misfit("timer_fired", ROOT);
        };
        let of_workflow = timer.frame == ROOT && timer.purpose == TimerPurpose::Timeout;
        if self.state.suspended || (self.state.is_held_back() && !of_workflow) {
            return self.defer(number);
        }
        self.record(Fact::TimerFired { timer: number });
        let id = timer.frame;
        match timer.purpose {
            TimerPurpose::Wait => {
                let input = self.state.frame(id).map(|it| it.input.clone()).unwrap_or_default();
                self.finish_task(id, input, None);
            }
            TimerPurpose::Retry => self.next_attempt(id),
            TimerPurpose::Timeout if id == ROOT => {
                let problem = Problem::new(Standard::Timeout, "the workflow took too long");
                self.end(Ending::Faulted(problem.at(&"/".into())));
            }
            TimerPurpose::Timeout => self.fail(id, timed_out("the task took too long")),
            // The attempt is over, only its `output.as` is still at a worker.
            TimerPurpose::Attempt if !self.is_trying(id) => {}
            TimerPurpose::Attempt => {
                let problem = timed_out("the attempt took too long").at(&self.reference(id));
                self.attempt_failed(id, problem);
            }
        }
    }

    fn is_trying(&self, id: FrameId) -> bool {
        matches!(self.state.frame(id).map(|it| &it.body), Some(Body::Trying { .. }))
    }

    /// Timers keep counting while the instance is suspended; what they do waits for resume.
    fn defer(&mut self, timer: u32) {
        let mut steps = self.state.pending.clone();
        steps.push(Step::Fire { timer });
        self.record(Fact::Yielded(steps));
    }

    /// Begins the attempt after the one that failed.
    pub(super) fn next_attempt(&mut self, id: FrameId) {
        let Some(Body::Retrying { attempt, .. }) = self.state.frame(id).map(|it| &it.body) else {
            return self.misfit("next_attempt", id);
        };
        let attempt = attempt.saturating_add(1);
        self.begin_attempt(id, attempt);
    }
}

fn timed_out(detail: &str) -> Problem {
    Problem::new(Standard::Timeout, detail)
}
