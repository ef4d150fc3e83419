//! What a fleet has to say to Prometheus, and to those who scale by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_proto::limits;
use windlass_proto::metric::table::{fleet as table, process};
use windlass_proto::metric::{Measured, OTHER, Snapshot};
use windlass_proto::plan::DEFAULT_POOL;
use windlass_proto::time::Timestamp;

use crate::dispatch::{FleetView, Totals};

/// Adds the families of a fleet. Every pool with a worker or an assignment has one sample in each
/// family by pool, the default pool always: a scaler must tell "nothing" from "unknown". Who writes
/// definitions names pools, so beyond [`limits::METRIC_POOLS`] all others are one.
pub(super) fn add(snapshot: &mut Snapshot, view: &FleetView, now: Timestamp) {
    let FleetView { totals, times, connected, reconnects, store_ahead_ms, .. } = view;
    for (pool, of_pool) in pools(view) {
        let mut by_pool = |family, value: Measured| {
            snapshot.labelled(family, [pool.clone()], value);
        };
        by_pool(&table::WAITING, of_pool.waiting.into());
        by_pool(&table::OLDEST, seconds(of_pool.oldest, now).into());
        by_pool(&table::IN_FLIGHT, of_pool.in_flight.into());
        by_pool(&table::WORKERS, of_pool.workers.into());
        by_pool(&table::CONCURRENCY, of_pool.concurrency.into());
    }
    for times in times {
        let labels = || times.labels.iter().cloned();
        snapshot.labelled(&table::SCHEDULE_TO_START, labels(), times.waited.clone());
        snapshot.labelled(&table::RUN, labels(), times.ran.clone());
    }
    snapshot.add(&process::BUS_CONNECTED, *connected);
    snapshot.add(&process::BUS_RECONNECTS, *reconnects);
    if let Some(ahead) = store_ahead_ms {
        // Milliseconds between two clocks fit a float's digits.
        #[allow(clippy::cast_precision_loss)]
        snapshot.add(&table::CLOCK_AHEAD, *ahead as f64 / 1_000.0);
    }
    add_totals(snapshot, totals);
}

fn add_totals(snapshot: &mut Snapshot, totals: &Totals) {
    for (family, value) in [
        (&table::SENT, totals.sent),
        (&table::REPORTS_ACCEPTED, totals.accepted),
        (&table::REPORTS_STALE, totals.stale),
        (&table::LOST, totals.lost),
        (&table::EXPIRED, totals.expired),
        (&table::DELAYED, totals.delayed),
        (&table::JOINED, totals.joined),
        (&table::REFUSED, totals.refused),
        (&table::FOREIGN, totals.foreign),
        (&table::CONTESTED, totals.contested),
        (&table::UNREADABLE, totals.unreadable),
        (&table::FRAMES_REFUSED, totals.forged),
    ] {
        snapshot.add(family, value);
    }
}

/// What there is of one pool.
#[derive(Default)]
struct OfPool {
    waiting: usize,
    /// Since when the oldest waits.
    oldest: Option<Timestamp>,
    in_flight: usize,
    workers: usize,
    concurrency: u64,
}

/// The pools by name: those with workers before others, where there are too many.
fn pools(view: &FleetView) -> BTreeMap<Arc<str>, OfPool> {
    let mut pools = BTreeMap::from([(Arc::from(DEFAULT_POOL), OfPool::default())]);
    for worker in &view.workers {
        let of = of_pool(&mut pools, &worker.pool);
        of.workers += 1;
        of.concurrency += u64::from(worker.concurrency);
    }
    for (pool, count) in &view.depths.in_flight {
        of_pool(&mut pools, pool).in_flight += count;
    }
    for (lane, (count, since)) in &view.depths.waiting {
        let of = of_pool(&mut pools, &lane.pool);
        of.waiting += count;
        of.oldest = Some(of.oldest.map_or(*since, |it| it.min(*since)));
    }
    pools
}

fn of_pool<'p>(pools: &'p mut BTreeMap<Arc<str>, OfPool>, name: &Arc<str>) -> &'p mut OfPool {
    let is_one_too_many = pools.len() >= limits::METRIC_POOLS && !pools.contains_key(name);
    pools.entry(if is_one_too_many { Arc::from(OTHER) } else { name.clone() }).or_default()
}

fn seconds(since: Option<Timestamp>, now: Timestamp) -> f64 {
    // Milliseconds of an age fit a float's digits.
    #[allow(clippy::cast_precision_loss)]
    since.map_or(0.0, |since| now.since(since) as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use windlass_proto::limits;
    use windlass_proto::metric::Snapshot;
    use windlass_proto::metric::text::Format;
    use windlass_proto::time::Timestamp;
    use windlass_proto::wire::capability::Capability;

    use super::add;
    use crate::dispatch::FleetView;
    use crate::dispatch::backlog::Lane;

    fn view() -> FleetView {
        FleetView {
            workers: Vec::new(),
            depths: Default::default(),
            totals: Default::default(),
            times: Vec::new(),
            connected: true,
            reconnects: 0,
            store_ahead_ms: None,
        }
    }

    fn rendered(view: &FleetView) -> String {
        let mut snapshot = Snapshot::default();
        add(&mut snapshot, view, Timestamp(5_000));
        Format::Prometheus.write(&snapshot)
    }

    #[test]
    fn the_default_pool_is_there_without_workers() {
        let text = rendered(&view());
        assert!(text.contains("windlass_assignments_waiting{pool=\"default\"} 0\n"));
        assert!(text.contains("windlass_assignments_in_flight{pool=\"default\"} 0\n"));
    }

    #[test]
    fn pools_beyond_the_bound_are_told_together() {
        let mut view = view();
        for number in 0..1_000 {
            let pool: Arc<str> = format!("p{number:04}").into();
            let lane = Lane { pool, capability: Capability::BuiltIn("http") };
            view.depths.waiting.insert(lane, (2, Timestamp(number)));
        }
        let text = rendered(&view);
        let samples = text.lines().filter(|it| it.starts_with("windlass_assignments_waiting{"));
        assert_eq!(samples.count(), limits::METRIC_POOLS + 1);
        let other = 2 * (1_000 - (limits::METRIC_POOLS - 1));
        let line = format!("windlass_assignments_waiting{{pool=\"_other\"}} {other}\n");
        assert!(text.contains(&line), "{text}");
        // The oldest of them: that with the lowest number.
        let oldest = 5.0 - (limits::METRIC_POOLS - 1) as f64 / 1_000.0;
        let line = format!("windlass_assignments_oldest_seconds{{pool=\"_other\"}} {oldest:?}\n");
        assert!(text.contains(&line), "{text}");
    }

    #[test]
    fn the_clock_of_a_store_is_there_once_it_is_known() {
        let name = "windlass_secret_store_clock_ahead_seconds";
        assert!(!rendered(&view()).contains(name));
        let text = rendered(&FleetView { store_ahead_ms: Some(-8_250), ..view() });
        assert!(text.contains(&format!("{name} -8.25\n")), "{text}");
    }

    #[test]
    fn lanes_of_one_pool_are_added_up() {
        let mut view = view();
        for (kind, count, since) in [("http", 2, 4_000), ("shell", 3, 3_500)] {
            let lane = Lane { pool: "gpu".into(), capability: Capability::BuiltIn(kind) };
            view.depths.waiting.insert(lane, (count, Timestamp(since)));
        }
        let text = rendered(&view);
        assert!(text.contains("windlass_assignments_waiting{pool=\"gpu\"} 5\n"));
        assert!(text.contains("windlass_assignments_oldest_seconds{pool=\"gpu\"} 1.5\n"));
    }
}
