//! What a worker holds: assignments it waits to begin, performs, or has reported and got no answer
//! for.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_bytes::ByteBuf;
use tokio_util::sync::CancellationToken;
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::wire::message::{self, TokenReport};
use windlass_proto::wire::outcome::Outcome;
use windlass_proto::wire::packed::Packed;
use windlass_proto::wire::{Assignment, AssignmentKey, Report};

use crate::trace::Reporting;

/// Everything held.
#[derive(Default)]
pub(super) struct Held {
    all: HashMap<AssignmentKey, Holding>,
    /// Reports that wait until others are answered.
    queued: VecDeque<AssignmentKey>,
    /// Bytes of reports that were sent and are not answered.
    unanswered: u64,
}

struct Holding {
    token: ByteBuf,
    stage: Stage,
}

enum Stage {
    /// Waits for its definition.
    Parked(Box<Assignment>),
    /// Is performed.
    Performing(CancellationToken),
    /// Is no longer wanted; what is performed of it is ending.
    Cancelled,
    /// Is done.
    Reported(Box<Reported>),
}

struct Reported {
    outcome: Packed,
    /// When it was last sent, and how long to wait for an answer; none while it is queued.
    sent: Option<(Instant, Duration)>,
    /// Until it is sent for the first time.
    reporting: Option<Reporting>,
}

impl Reported {
    fn to_report(&self, key: AssignmentKey, token: &ByteBuf) -> TokenReport {
        TokenReport { key, token: token.clone(), outcome: self.outcome.clone() }
    }

    fn weight(&self) -> u64 {
        self.outcome.len() as u64
    }
}

/// What to do when a task has ended.
pub(super) enum Finished {
    /// Report it.
    Report,
    /// Hand it back: nobody wants the result.
    Release,
    /// Nothing: it is not held any more.
    Forgotten,
}

impl Held {
    /// True when nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many are held.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn has(&self, key: &AssignmentKey) -> bool {
        self.all.contains_key(key)
    }

    pub(super) fn park(&mut self, assignment: Assignment, token: ByteBuf) {
        let key = assignment.key.clone();
        self.all.insert(key, Holding { token, stage: Stage::Parked(Box::new(assignment)) });
    }

    /// The definitions that parked assignments wait for.
    pub(super) fn wanted(&self) -> Vec<Digest> {
        let mut wanted: Vec<_> = self
            .all
            .values()
            .filter_map(|it| match &it.stage {
                Stage::Parked(assignment) => Some(assignment.digest.clone()),
                _ => None,
            })
            .collect();
        wanted.sort();
        wanted.dedup();
        wanted
    }

    /// Takes out the assignments that waited for a definition.
    pub(super) fn unpark(&mut self, digest: &Digest) -> Vec<(Assignment, ByteBuf)> {
        let waits = |it: &Holding| matches!(&it.stage, Stage::Parked(of) if of.digest == *digest);
        let keys: Vec<_> =
            self.all.iter().filter(|(_, it)| waits(it)).map(|(key, _)| key.clone()).collect();
        let taken = keys.into_iter().filter_map(|key| match self.all.remove(&key)? {
            Holding { token, stage: Stage::Parked(assignment) } => Some((*assignment, token)),
            _ => None,
        });
        taken.collect()
    }

    pub(super) fn perform(&mut self, key: AssignmentKey, token: ByteBuf) -> CancellationToken {
        let cancelled = CancellationToken::new();
        let stage = Stage::Performing(cancelled.clone());
        self.all.insert(key, Holding { token, stage });
        cancelled
    }

    /// The coordinator does not want it any more. True when it can be handed back at once.
    pub(super) fn cancel(&mut self, key: &AssignmentKey) -> bool {
        let Some(holding) = self.all.get_mut(key) else { return false };
        match &holding.stage {
            Stage::Parked(_) => {
                self.all.remove(key);
                true
            }
            Stage::Performing(token) => {
                token.cancel();
                holding.stage = Stage::Cancelled;
                false
            }
            // The answer to the report says all there is to say.
            Stage::Cancelled | Stage::Reported(_) => false,
        }
    }

    /// A task has ended.
    pub(super) fn finish(&mut self, report: Report, reporting: Reporting) -> Finished {
        let Report { key, result, secrets, retry_after_ms } = report;
        let Some(holding) = self.all.get_mut(&key) else { return Finished::Forgotten };
        if matches!(holding.stage, Stage::Cancelled) {
            self.all.remove(&key);
            return Finished::Release;
        }
        let outcome = pack(Outcome { result, secrets, retry_after_ms });
        let reporting = Some(reporting);
        holding.stage = Stage::Reported(Box::new(Reported { outcome, sent: None, reporting }));
        self.queued.push_back(key);
        Finished::Report
    }

    /// A task was not begun, and is handed back.
    pub(super) fn hand_back(&mut self, key: &AssignmentKey) -> Finished {
        self.all.remove(key).map_or(Finished::Forgotten, |_| Finished::Release)
    }

    /// A report that may be sent now, as long as few bytes are unanswered.
    pub(super) fn next_report(&mut self) -> Option<TokenReport> {
        while self.unanswered < limits::OUTSTANDING_BYTES {
            let key = self.queued.pop_front()?;
            let again = Duration::from_millis(limits::REPORT_AGAIN_MS);
            if let Some(Holding { token, stage: Stage::Reported(reported) }) =
                self.all.get_mut(&key)
            {
                reported.sent = Some((Instant::now(), again));
                reported.reporting = None;
                self.unanswered += reported.weight();
                return Some(reported.to_report(key, token));
            }
        }
        None
    }

    /// Reports that have waited too long for an answer.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<TokenReport> {
        let mut overdue = Vec::new();
        for (key, Holding { token, stage }) in &mut self.all {
            if let Stage::Reported(reported) = stage
                && let Some((sent, wait)) = reported.sent
                && now.duration_since(sent) >= wait
            {
                reported.sent = Some((
                    now,
                    (wait * 2).min(Duration::from_millis(limits::REPORT_PAUSE_MOST_MS)),
                ));
                overdue.push(reported.to_report(key.clone(), token));
            }
        }
        overdue
    }

    /// A new session, or a new connection: every report that was not answered is sent again.
    pub(super) fn begin_again(&mut self) {
        self.queued.clear();
        self.unanswered = 0;
        for (key, holding) in &mut self.all {
            if let Stage::Reported(reported) = &mut holding.stage {
                reported.sent = None;
                self.queued.push_back(key.clone());
            }
        }
    }

    /// The coordinator has answered a report.
    pub(super) fn settle(&mut self, key: &AssignmentKey) {
        if let Some(Holding { stage: Stage::Reported(_), .. }) = self.all.get(key)
            && let Some(Holding { stage: Stage::Reported(reported), .. }) = self.all.remove(key)
            && reported.sent.is_some()
        {
            self.unanswered = self.unanswered.saturating_sub(reported.weight());
        }
    }

    /// Gives up everything that is not reported yet; returns what it was.
    pub(super) fn give_up(&mut self) -> Vec<AssignmentKey> {
        let mut released = Vec::new();
        self.all.retain(|key, holding| match &holding.stage {
            Stage::Reported(_) => true,
            Stage::Performing(token) => {
                token.cancel();
                released.push(key.clone());
                false
            }
            Stage::Parked(_) | Stage::Cancelled => {
                released.push(key.clone());
                false
            }
        });
        released
    }

    /// What a beat says is held. What is cancelled is among it until it has ended: it takes the
    /// place of another one as long.
    pub(super) fn list(&self) -> Vec<message::Held> {
        let held = self.all.iter();
        held.map(|(key, it)| message::Held { key: key.clone(), token: it.token.clone() }).collect()
    }
}

/// As it is sent, however often.
fn pack(outcome: Outcome) -> Packed {
    let detail = match outcome.pack() {
        Ok(packed) if packed.len() <= limits::REPORT_BYTES => return packed,
        Ok(packed) => {
            let (size, most) = (packed.len(), limits::REPORT_BYTES);
            format!("the result has {size} bytes: a report takes {most} at most")
        }
        Err(error) => format!("the result cannot be written: {error}"),
    };
    let result = Err(Problem::new(Standard::Runtime, detail));
    Outcome { result, ..outcome }.pack().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use windlass_proto::limits;
    use windlass_proto::problem::{Problem, Standard};
    use windlass_proto::value::Value;
    use windlass_proto::wire::outcome::Outcome;

    use super::pack;

    #[test]
    fn what_no_message_would_hold_is_an_error_in_its_place() {
        let large = "x".repeat(limits::REPORT_BYTES);
        let (value, problem) = (Value::from(&*large), Problem::new(Standard::Timeout, &*large));
        for result in [Ok(value), Err(problem)] {
            let packed = pack(Outcome::from(result));
            assert!(packed.len() < 1_000, "{} bytes", packed.len());
            let problem = Outcome::unpack(&packed).result.unwrap_err();
            assert!(problem.kind.ends_with("/runtime"), "{problem:?}");
            let detail = problem.detail.unwrap_or_default();
            assert!(detail.contains("a report takes 33554432 at most"), "{detail}");
        }
    }
}
