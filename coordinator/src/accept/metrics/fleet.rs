//! What a fleet has to say to Prometheus, and to those who scale by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_proto::plan::DEFAULT_POOL;
use windlass_proto::time::Timestamp;

use super::text::Text;
use crate::dispatch::dispatcher::Depths;
use crate::dispatch::{FleetView, Totals};

/// Adds the families of a fleet. Every pool with a worker or an assignment has one sample in each
/// family by pool, the default pool always: a scaler must tell "nothing" from "unknown".
pub(super) fn add(text: &mut Text, view: &FleetView, now: Timestamp) {
    let FleetView { workers, depths, totals, connected, store_ahead_ms } = view;
    let mut pools: BTreeSet<Arc<str>> = workers.iter().map(|it| it.pool.clone()).collect();
    pools.insert(Arc::from(DEFAULT_POOL));
    pools.extend(depths.in_flight.keys().cloned());
    pools.extend(depths.waiting.keys().map(|lane| lane.pool.clone()));
    let by_pool = |value: &dyn Fn(&str) -> String| -> Vec<(String, String)> {
        pools.iter().map(|pool| (format!("{{pool=\"{pool}\"}}"), value(pool))).collect()
    };
    let waiting = by_pool(&|pool| waiting(depths, pool).to_string());
    text.family("windlass_assignments_waiting", "gauge", "Assignments without a worker.", &waiting);
    let flying = |pool: &str| depths.in_flight.get(pool).copied().unwrap_or_default().to_string();
    let help = "Assignments at workers.";
    text.family("windlass_assignments_in_flight", "gauge", help, &by_pool(&flying));
    let age = by_pool(&|pool| format!("{:.3}", oldest(depths, pool, now)));
    let help = "Age of the oldest assignment without a worker.";
    text.family("windlass_assignments_oldest_seconds", "gauge", help, &age);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    workers.iter().for_each(|it| *counts.entry(&it.pool).or_default() += 1);
    let registered = by_pool(&|pool| counts.get(pool).copied().unwrap_or_default().to_string());
    text.family("windlass_workers", "gauge", "Registered workers.", &registered);
    let room = by_pool(&|pool| {
        let of_pool = workers.iter().filter(|it| &*it.pool == pool);
        of_pool.map(|it| it.concurrency as usize).sum::<usize>().to_string()
    });
    text.family("windlass_workers_concurrency", "gauge", "Assignments they take at once.", &room);
    text.single(
        "windlass_bus_connected",
        "gauge",
        "1 while NATS is connected.",
        u64::from(*connected),
    );
    let seconds = |ms: &i64| {
        let (sign, ms) = (if *ms < 0 { "-" } else { "" }, ms.unsigned_abs());
        format!("{sign}{}.{:03}", ms / 1_000, ms % 1_000)
    };
    let ahead: Vec<_> = store_ahead_ms.iter().map(|it| (String::new(), seconds(it))).collect();
    if !ahead.is_empty() {
        let help = "By how much the clock of a store of secrets is ahead of the coordinator's.";
        text.family("windlass_secret_store_clock_ahead_seconds", "gauge", help, &ahead);
    }
    add_totals(text, totals);
}

fn add_totals(text: &mut Text, totals: &Totals) {
    for (name, help, value) in [
        ("windlass_assignments_sent_total", "Assignments sent to workers.", totals.sent),
        (
            "windlass_reports_accepted_total",
            "Reports that became part of an instance.",
            totals.accepted,
        ),
        ("windlass_reports_stale_total", "Reports too late or for nothing.", totals.stale),
        ("windlass_assignments_lost_total", "Deliveries given up and sent again.", totals.lost),
        ("windlass_leases_expired_total", "Of these: the worker was silent.", totals.expired),
        ("windlass_workers_joined_total", "Registrations accepted.", totals.joined),
        ("windlass_workers_refused_total", "Registrations refused.", totals.refused),
        (
            "windlass_registrations_foreign_total",
            "Registrations not made for this coordinator's key, left without an answer.",
            totals.foreign,
        ),
        (
            "windlass_messages_unreadable_total",
            "Messages of workers that could not be read.",
            totals.unreadable,
        ),
        (
            "windlass_losses_delayed_total",
            "Deliveries given up that are sent again after a pause: it had happened before.",
            totals.delayed,
        ),
        (
            "windlass_registrations_contested_total",
            "Registrations under the identity of another worker, not let in.",
            totals.contested,
        ),
        ("windlass_frames_refused_total", "Frames and reports not authentic.", totals.forged),
    ] {
        text.single(name, "counter", help, value);
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
    use windlass_proto::time::Timestamp;
    use windlass_proto::wire::capability::Capability;

    use super::super::text::Text;
    use super::add;
    use crate::dispatch::FleetView;
    use crate::dispatch::backlog::Lane;

    fn view() -> FleetView {
        FleetView {
            workers: Vec::new(),
            depths: Default::default(),
            totals: Default::default(),
            connected: true,
            store_ahead_ms: None,
        }
    }

    fn rendered(view: &FleetView) -> String {
        let mut text = Text::default();
        add(&mut text, view, Timestamp(5_000));
        text.0
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
        assert!(text.contains(&format!("{name} -8.250\n")), "{text}");
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
        assert!(text.contains("windlass_assignments_oldest_seconds{pool=\"gpu\"} 1.500\n"));
    }
}
