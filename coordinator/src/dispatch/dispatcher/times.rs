//! How long assignments wait for a worker, and how long workers take.

use std::collections::HashMap;
use std::sync::Arc;

use windlass_proto::limits;
use windlass_proto::metric::table::fleet as table;
use windlass_proto::metric::{Distribution, Histogram, Series};
use windlass_proto::time::Timestamp;

use super::Dispatcher;
use crate::dispatch::backlog::Lane;

/// Times of assignments, by pool and kind of task.
#[derive(Debug)]
pub(super) struct Times {
    all: Series<LaneTimes, 2>,
    /// Those of each lane, so that a lane is looked up once: functions share those of their pool.
    lanes: HashMap<Lane, Arc<LaneTimes>>,
}

/// Times of one pool and kind.
#[derive(Debug)]
pub(super) struct LaneTimes {
    /// From when it was to be done to when it was sent.
    pub(super) waited: Histogram,
    /// From when it was sent to its report.
    pub(super) ran: Histogram,
}

/// Times of one pool and kind, as they are now.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneView {
    /// The pool, and the kind of task.
    pub labels: [Arc<str>; 2],
    /// How long assignments waited for a worker.
    pub waited: Distribution,
    /// How long workers took.
    pub ran: Distribution,
}

impl Dispatcher {
    /// Takes note of the time where nothing else tells it; says nothing of who is silent.
    pub fn passes(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// How long assignments waited and took, by pool and kind of task.
    #[must_use]
    pub fn times(&self) -> Vec<LaneView> {
        self.times.views()
    }
}

impl Default for Times {
    fn default() -> Self {
        let make = || LaneTimes {
            waited: Histogram::of(&table::SCHEDULE_TO_START),
            ran: Histogram::of(&table::RUN),
        };
        Self { all: Series::new(limits::METRIC_POOLS, make), lanes: HashMap::new() }
    }
}

impl Times {
    /// Those of a lane.
    pub(super) fn of(&mut self, lane: &Lane) -> Arc<LaneTimes> {
        if let Some(times) = self.lanes.get(lane) {
            return times.clone();
        }
        let times = self.all.get([&lane.pool, &Arc::from(lane.capability.kind())]);
        if self.lanes.len() < limits::METRIC_LANES {
            self.lanes.insert(lane.clone(), times.clone());
        }
        times
    }

    pub(super) fn views(&self) -> Vec<LaneView> {
        let view = |(labels, times): ([Arc<str>; 2], Arc<LaneTimes>)| LaneView {
            labels,
            waited: times.waited.distribution(),
            ran: times.ran.distribution(),
        };
        self.all.all().into_iter().map(view).collect()
    }
}
