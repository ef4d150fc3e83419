//! How many instances there are of each status, for lists in browsers: counted by one at a time,
//! and once for all who ask the same within a while.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use windlass_proto::limits::{UI_COUNT_MS, UI_COUNT_REST, UI_COUNT_WAIT_MS, UI_COUNTS};

use crate::coordinator::{Coordinator, CoordinatorError};
use crate::journal::{Filter, Status};

/// How many there are of each status, and whether all were counted.
pub(super) type ByStatus = Arc<[(Status, u64, bool)]>;

/// What was counted lately.
#[derive(Default)]
pub(super) struct Counts(Mutex<VecDeque<Known>>);

struct Known {
    /// The filter, all of it: what its reader may see as well.
    filter: String,
    counts: ByStatus,
    until: Instant,
}

impl Counts {
    /// How many match, whatever statuses the filter asks for; none where others are counted first
    /// for too long.
    pub(super) async fn of(
        &self,
        coordinator: &Coordinator,
        filter: &Filter,
    ) -> Result<Option<ByStatus>, CoordinatorError> {
        let filter = Filter { statuses: Vec::new(), ..filter.clone() };
        let key = format!("{filter:?}");
        let patience = Duration::from_millis(UI_COUNT_WAIT_MS);
        let Ok(mut known) = tokio::time::timeout(patience, self.0.lock()).await else {
            return Ok(None);
        };
        let began = Instant::now();
        if let Some(counts) = recall(&mut known, &key, began) {
            return Ok(Some(counts));
        }
        let mut counts = Vec::new();
        for status in Status::ALL {
            let filter = Filter { statuses: vec![status], ..filter.clone() };
            let counted = coordinator.count(filter).await?;
            counts.push((status, counted.count, counted.is_whole));
        }
        let counts: ByStatus = counts.into();
        let rest = began.elapsed().saturating_mul(UI_COUNT_REST);
        let until = Instant::now() + rest.min(Duration::from_millis(UI_COUNT_MS));
        keep(&mut known, Known { filter: key, counts: counts.clone(), until });
        Ok(Some(counts))
    }
}

/// What is known of a filter and still new enough.
fn recall(known: &mut VecDeque<Known>, filter: &str, now: Instant) -> Option<ByStatus> {
    known.retain(|it| it.until > now);
    known.iter().find(|it| it.filter == filter).map(|it| it.counts.clone())
}

fn keep(known: &mut VecDeque<Known>, new: Known) {
    if known.len() >= UI_COUNTS {
        known.pop_front();
    }
    known.push_back(new);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use super::{Known, UI_COUNTS, keep, recall};
    use crate::journal::Status;

    #[test]
    fn what_was_counted_counts_for_a_while_and_for_the_same_filter() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let known = |name: String, count| Known {
            filter: name,
            counts: [(Status::Waiting, count, true)].into(),
            until: now + second,
        };
        let mut all = VecDeque::new();
        for number in 0..=UI_COUNTS {
            keep(&mut all, known(number.to_string(), number as u64));
        }
        assert_eq!(all.len(), UI_COUNTS, "they are bounded");
        assert_eq!(recall(&mut all, "1", now).unwrap()[0].1, 1);
        assert!(recall(&mut all, "0", now).is_none() && recall(&mut all, "x", now).is_none());
        assert!(recall(&mut all, "1", now + second).is_none(), "it is too old");
        assert!(all.is_empty());
    }
}
