//! `try`: catching and trying again.
//!
//! An error that a clause catches is retried first, as far as its policy goes; then the clause's
//! tasks run. A clause with a spent policy and neither `do` nor `then` raises the error again.

use windlass_proto::expression::{Program, Template};
use windlass_proto::id::FrameId;
use windlass_proto::limits;
use windlass_proto::plan::{Backoff, Catch, ErrorFilter, Kind, Retry};
use windlass_proto::problem::{Problem, same_type};
use windlass_proto::value::Value;

use super::evaluate::{Unevaluated, no_secrets_here};
use super::fact::{Fact, TimerPurpose};
use super::instance::{Body, Step};
use super::scope::Locals;
use super::turn::Turn;

/// What a `try` makes of an error that it catches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another attempt, after milliseconds.
    Retry { clause: u32, delay: u64 },
    /// The clause's tasks, where it has some.
    Handle { clause: u32, has_tasks: bool },
}

impl Turn<'_> {
    /// Begins an attempt of a `try`, and its time limit if the retry policy has one. The policy of
    /// the first clause with such a limit counts: before an error, no clause is chosen yet.
    pub(super) fn begin_attempt(&mut self, id: FrameId, attempt: u32) {
        let Some((_, Kind::Try(task))) = self.work_of(id) else {
            return self.misfit("begin_attempt", id);
        };
        self.record(Fact::AttemptBegan { frame: id, attempt });
        let policies = task.clauses.iter().filter_map(|clause| clause.retry.as_ref());
        if let Some(limit) = policies.filter_map(|retry| retry.attempt_duration.as_ref()).next() {
            match self.duration(limit, id) {
                Ok(after) => self.set_timer(id, TimerPurpose::Attempt, after),
                Err(problem) => return self.fail(id, problem),
            }
        }
        self.steps.push_back(Step::Advance { frame: id, position: 0 });
    }

    /// An attempt as a whole failed, by its time limit.
    pub(super) fn attempt_failed(&mut self, id: FrameId, problem: Problem) {
        if let Some(uncaught) = self.catch(id, problem) {
            self.fail(id, uncaught);
        }
    }

    /// Offers an error to the clauses of a `try`; gives it back when none catches it.
    pub(super) fn catch(&mut self, id: FrameId, problem: Problem) -> Option<Problem> {
        if !matches!(self.work_of(id), Some((Body::Trying { .. }, Kind::Try(_)))) {
            self.misfit("catch", id);
            return Some(problem);
        }
        match self.verdict(id, &problem) {
            Err(wrong) => return Some(wrong),
            Ok(None) => return Some(problem),
            Ok(Some(Verdict::Retry { clause, delay })) => {
                self.schedule_retry(id, clause, delay, problem);
            }
            Ok(Some(Verdict::Handle { clause, has_tasks })) => {
                self.record(Fact::Caught { frame: id, clause, problem });
                self.drop_steps(id);
                if has_tasks {
                    self.steps.push_back(Step::Advance { frame: id, position: 0 });
                } else {
                    let input = self.state.frame(id).map(|it| it.input.clone()).unwrap_or_default();
                    self.finish_task(id, input, None);
                }
            }
        }
        None
    }

    /// What a `try` makes of an error; nothing where no clause catches it, another error where
    /// that cannot be told.
    pub(super) fn verdict(
        &self,
        id: FrameId,
        problem: &Problem,
    ) -> Result<Option<Verdict>, Problem> {
        let Some((&Body::Trying { attempt, .. }, Kind::Try(task))) = self.work_of(id) else {
            return Ok(None);
        };
        for (number, clause) in (0u32..).zip(&task.clauses) {
            let verdict = match self.matches(id, clause, problem) {
                Ok(false) => continue,
                Ok(true) => self.handling(id, number, clause, attempt, problem),
                Err(wrong) => Err(wrong),
            };
            return verdict.map_err(|wrong| wrong.at(&self.reference(id)));
        }
        Ok(None)
    }

    /// True when a clause catches an error.
    fn matches(&self, id: FrameId, clause: &Catch, problem: &Problem) -> Result<bool, Problem> {
        let mut filtered = clause.errors.is_empty();
        for filter in &clause.errors {
            filtered = filtered || self.passes(id, filter, problem)?;
        }
        if !filtered {
            return Ok(false);
        }
        let error = problem.to_value();
        let condition = |program: Option<&_>, absent: bool| match program {
            None => Ok(absent),
            Some(program) => self.condition(id, program, &clause.variable, &error),
        };
        Ok(condition(clause.when.as_ref(), true)?
            && !condition(clause.except_when.as_ref(), false)?)
    }

    /// Evaluates a condition on an error: `.` and the clause's variable are the error.
    fn condition(
        &self,
        id: FrameId,
        program: &Program,
        variable: &str,
        error: &Value,
    ) -> Result<bool, Problem> {
        let locals = Locals { bound: Some((variable, error)), ..Locals::default() };
        let verdict = self.program(program, error, id, &locals);
        verdict
            .map(|verdict| verdict.is_truthy())
            .map_err(|it| it.without_worker("a condition of catch"))
    }

    /// True when an error has all that a static filter asks for.
    fn passes(
        &self,
        id: FrameId,
        filter: &ErrorFilter,
        problem: &Problem,
    ) -> Result<bool, Problem> {
        const WHAT: &str = "a filter of errors";
        let parts = [&filter.kind, &filter.status, &filter.instance, &filter.title, &filter.detail];
        if parts.into_iter().flatten().any(Template::uses_secrets) {
            return Err(no_secrets_here(WHAT));
        }
        let input = self.state.frame(id).map(|it| it.input.clone()).unwrap_or_default();
        let wanted = |template: &Option<_>| match template {
            None => Ok(None),
            Some(template) => {
                let value = self.template(template, &input, id, &Locals::default());
                // Errors hold nothing sealed: a sealed value could equal none of their parts.
                let plain = value.and_then(|value| match value.has_sealed() {
                    true => Err(Unevaluated::plain_needed(WHAT)),
                    false => Ok(value),
                });
                plain.map(Some).map_err(|it| it.without_worker(WHAT))
            }
        };
        if let Some(kind) = wanted(&filter.kind)?
            && !same_type(&kind.to_text(), &problem.kind)
        {
            return Ok(false);
        }
        if let Some(status) = wanted(&filter.status)?
            && status != Value::Int(i64::from(problem.status))
        {
            return Ok(false);
        }
        let texts = [
            (&filter.instance, &problem.instance),
            (&filter.title, &problem.title),
            (&filter.detail, &problem.detail),
        ];
        for (template, text) in texts {
            if let Some(value) = wanted(template)?
                && text.as_deref() != Some(&*value.to_text())
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A clause catches an error: what follows, unless that is the error again.
    fn handling(
        &self,
        id: FrameId,
        number: u32,
        clause: &Catch,
        attempt: u32,
        problem: &Problem,
    ) -> Result<Option<Verdict>, Problem> {
        if let Some(policy) = &clause.retry {
            match self.retry_delay(id, clause, policy, attempt, problem)? {
                Some(delay) => return Ok(Some(Verdict::Retry { clause: number, delay })),
                None if clause.body.is_none() && clause.then.is_none() => return Ok(None),
                None => {}
            }
        }
        let has_tasks = clause.body.is_some();
        Ok(Some(Verdict::Handle { clause: number, has_tasks }))
    }

    /// Steps of a frame that has ended what it was at lead nowhere.
    pub(super) fn drop_steps(&mut self, id: FrameId) {
        self.steps.retain(|step| step.frame() != Some(id));
    }

    fn schedule_retry(&mut self, id: FrameId, clause: u32, delay: u64, problem: Problem) {
        let due = self.at.plus(delay);
        self.record(Fact::RetryScheduled { frame: id, clause, problem, due });
        self.drop_steps(id);
        // Before the next attempt has timers, which count from now on.
        self.go_on_if_none_is_halted();
        if delay == 0 {
            self.next_attempt(id);
        } else {
            self.record(Fact::TimerSet { frame: id, purpose: TimerPurpose::Retry, due });
        }
    }

    /// Milliseconds until the next attempt, or `None` when the policy allows no more.
    fn retry_delay(
        &self,
        id: FrameId,
        clause: &Catch,
        policy: &Retry,
        attempt: u32,
        problem: &Problem,
    ) -> Result<Option<u64>, Problem> {
        if policy.attempts.is_some_and(|most| attempt > most) {
            return Ok(None);
        }
        let error = problem.to_value();
        for (program, wanted) in [(&policy.when, true), (&policy.except_when, false)] {
            if let Some(program) = program
                && self.condition(id, program, &clause.variable, &error)? != wanted
            {
                return Ok(None);
            }
        }
        let delay = self.backoff(id, policy, attempt)?;
        if let Some(limit) = &policy.duration {
            let limit = self.duration(limit, id)?;
            let since = self.state.frame(id).map_or(self.at, |frame| frame.started_at);
            if self.at.since(since).saturating_add(delay) > limit {
                return Ok(None);
            }
        }
        Ok(Some(delay))
    }

    /// The delay before retry number `retry` (from 1): backoff, or what whoever was asked wants
    /// where that is longer, then jitter on top; no longer than any duration, however it grows.
    fn backoff(&self, id: FrameId, policy: &Retry, retry: u32) -> Result<u64, Problem> {
        let base = match &policy.delay {
            Some(delay) => self.duration(delay, id)?,
            None => 0,
        };
        let delay = match policy.backoff {
            Backoff::Constant => base,
            Backoff::Linear => base.saturating_mul(u64::from(retry)),
            Backoff::Exponential { multiplier, longest } => {
                let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
                #[allow(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss
                )]
                let grown = (base as f64 * multiplier.powi(exponent)) as u64;
                grown.min(longest.unwrap_or(u64::MAX))
            }
        };
        // Jitter comes on top: many were told the same.
        let asked = self.hold_back.min(limits::RETRY_AFTER_MOST_MS);
        let delay = delay.max(asked).min(limits::LONGEST_DURATION_MS);
        let Some((from, to)) = &policy.jitter else { return Ok(delay) };
        let (from, to) = (self.duration(from, id)?, self.duration(to, id)?);
        let span = to.saturating_sub(from).saturating_add(1);
        let jitter = from.saturating_add(self.scatter(id, retry) % span);
        Ok(delay.saturating_add(jitter).min(limits::LONGEST_DURATION_MS))
    }

    /// A number that looks random but is a function of instance, visit and attempt: the engine has
    /// no randomness of its own, and instances must not retry in step.
    fn scatter(&self, id: FrameId, attempt: u32) -> u64 {
        let (high, low) = self.state.id.0.as_u64_pair();
        let mut mixed = high ^ low.rotate_left(32) ^ (u64::from(id.0) << 32 | u64::from(attempt));
        // The finaliser of SplitMix64.
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
