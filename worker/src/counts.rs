//! What a worker counts of attempts and secrets.

use std::sync::OnceLock;
use std::time::Duration;

use windlass_proto::metric::table::worker as table;
use windlass_proto::metric::{Counter, Histogram, Snapshot, Traced};
use windlass_proto::plan::Task;
use windlass_proto::wire::Work;
use windlass_proto::wire::capability::{BUILT_IN, Capability, FUNCTION_KIND};

use crate::secret_store::SecretError;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With an output.
    Completed,
    /// With an error.
    Faulted,
    /// Before it began: it was handed back.
    Returned,
}

const OUTCOMES: [&str; 3] = ["completed", "faulted", "returned"];

/// What comes of reading a secret.
const READS: [&str; 6] = ["read", "missing", "forbidden", "unavailable", "refused", "other_key"];

/// What all attempts of a worker count.
#[derive(Debug)]
pub(crate) struct Counts {
    /// By kind of task, and by [`OUTCOMES`]; most never come.
    attempts: [[OnceLock<Histogram>; OUTCOMES.len()]; BUILT_IN.len() + 1],
    /// By [`READS`].
    reads: [Histogram; READS.len()],
    pub(crate) sealed: Counter,
    pub(crate) not_sealed: Counter,
    pub(crate) refused: Counter,
    pub(crate) exposed: Counter,
    pub(crate) opened: Counter,
    pub(crate) not_opened: Counter,
}

impl Default for Counts {
    fn default() -> Self {
        let (sealed, not_sealed, refused, exposed, opened, not_opened) = Default::default();
        Self {
            attempts: Default::default(),
            reads: std::array::from_fn(|_| Histogram::of(&table::SECRET_READ)),
            sealed,
            not_sealed,
            refused,
            exposed,
            opened,
            not_opened,
        }
    }
}

impl Counts {
    /// Counts an attempt at `work` on a task, that was made within the span `traced`.
    pub(crate) fn attempted(
        &self,
        (task, work): (&Task, &Work),
        outcome: Outcome,
        time: Duration,
        traced: Option<Traced>,
    ) {
        let kind = Capability::needed(task, work).kind();
        let at = BUILT_IN.iter().position(|it| *it == kind);
        let [built_in @ .., function] = &self.attempts;
        let of_kind = at.and_then(|at| built_in.get(at)).unwrap_or(function);
        let times = of_kind[outcome as usize].get_or_init(|| Histogram::of(&table::ATTEMPT));
        times.traced_time(time, traced);
    }

    /// Counts that a store was asked for a secret, and what it answered.
    pub(crate) fn read<T>(&self, answer: &Result<T, SecretError>, time: Duration) {
        let at = match answer {
            Ok(_) => 0,
            Err(SecretError::Missing) => 1,
            Err(SecretError::Forbidden | SecretError::LoginRefused) => 2,
            Err(SecretError::Unavailable(_)) => 3,
            Err(SecretError::Refused(_)) => 4,
            Err(SecretError::OtherKey(_)) => 5,
        };
        self.reads[at].time(time);
    }

    /// Adds what there is to tell.
    pub(crate) fn measured(&self, snapshot: &mut Snapshot) {
        let kinds = BUILT_IN.iter().copied().chain([FUNCTION_KIND]);
        for (kind, of_kind) in kinds.zip(&self.attempts) {
            for (outcome, times) in OUTCOMES.into_iter().zip(of_kind) {
                if let Some(times) = times.get() {
                    snapshot.labelled(&table::ATTEMPT, [kind, outcome], times);
                }
            }
        }
        for (outcome, times) in READS.into_iter().zip(&self.reads) {
            snapshot.labelled(&table::SECRET_READ, [outcome], times);
        }
        for (outcome, count) in [
            ("sealed", &self.sealed),
            ("failed", &self.not_sealed),
            ("refused", &self.refused),
            ("exposed", &self.exposed),
        ] {
            snapshot.labelled(&table::SEALED, [outcome], count);
        }
        snapshot.labelled(&table::OPENED, ["opened"], &self.opened);
        snapshot.labelled(&table::OPENED, ["failed"], &self.not_opened);
    }
}
