//! What a fleet has to say to Prometheus, and to those who scale by it.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_proto::metric::table::{fleet as table, process};
use windlass_proto::metric::{Measured, Snapshot};
use windlass_proto::plan::DEFAULT_POOL;
use windlass_proto::time::Timestamp;

use crate::dispatch::dispatcher::Depths;
use crate::dispatch::{FleetView, Totals};

/// Adds the families of a fleet. Every pool with a worker or an assignment has one sample in each
/// family by pool, the default pool always: a scaler must tell "nothing" from "unknown".
pub(super) fn add(snapshot: &mut Snapshot, view: &FleetView, now: Timestamp) {
    let FleetView { workers, depths, totals, times, connected, reconnects, store_ahead_ms } = view;
    let mut pools: BTreeSet<Arc<str>> = workers.iter().map(|it| it.pool.clone()).collect();
    pools.insert(Arc::from(DEFAULT_POOL));
    pools.extend(depths.in_flight.keys().cloned());
    pools.extend(depths.waiting.keys().map(|lane| lane.pool.clone()));
    for pool in pools {
        let mut by_pool = |family, value: Measured| {
            snapshot.labelled(family, [pool.clone()], value);
        };
        by_pool(&table::WAITING, waiting(depths, &pool).into());
        by_pool(&table::OLDEST, oldest(depths, &pool, now).into());
        let flying = depths.in_flight.get(&pool).copied().unwrap_or_default();
        by_pool(&table::IN_FLIGHT, flying.into());
        let of_pool = || workers.iter().filter(|it| it.pool == pool);
        by_pool(&table::WORKERS, of_pool().count().into());
        let room: u64 = of_pool().map(|it| u64::from(it.concurrency)).sum();
        by_pool(&table::CONCURRENCY, room.into());
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

fn waiting(depths: &Depths, pool: &str) -> usize {
    let of_pool = depths.waiting.iter().filter(|(lane, _)| &*lane.pool == pool);
    of_pool.map(|(_, (count, _))| count).sum()
}

fn oldest(depths: &Depths, pool: &str, now: Timestamp) -> f64 {
    let of_pool = depths.waiting.iter().filter(|(lane, _)| &*lane.pool == pool);
    let oldest = of_pool.map(|(_, (_, since))| *since).min();
    // Milliseconds of an age fit a float's digits.
    #[allow(clippy::cast_precision_loss)]
    oldest.map_or(0.0, |since| now.since(since) as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
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
