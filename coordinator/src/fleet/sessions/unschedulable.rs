//! Says it when tasks wait for something that no worker does: otherwise they would wait in silence.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_proto::time::Timestamp;
use windlass_proto::wire::capability::CONTAINER;

use crate::dispatch::backlog::Lane;

/// Lanes that nobody serves: since when, and whether that was told.
#[derive(Default)]
pub(super) struct Unschedulable(BTreeMap<Lane, (Timestamp, bool)>);

impl Unschedulable {
    /// Tells of each of `lanes` that was there for longer than `patience`, once: workers that start
    /// or restart are soon back.
    pub(super) fn look(&mut self, lanes: &[Lane], now: Timestamp, patience: Duration) {
        for lane in self.due(lanes, now, patience) {
            tracing::warn!(
                "unschedulable tasks: no worker of pool `{}` offers `{}`{}",
                lane.pool,
                lane.capability,
                hint(&lane)
            );
        }
    }

    fn due(&mut self, lanes: &[Lane], now: Timestamp, patience: Duration) -> Vec<Lane> {
        self.0.retain(|lane, _| lanes.contains(lane));
        let mut due = Vec::new();
        for lane in lanes {
            let (since, told) = self.0.entry(lane.clone()).or_insert((now, false));
            if !*told && Duration::from_millis(now.since(*since)) >= patience {
                *told = true;
                due.push(lane.clone());
            }
        }
        due
    }
}

/// What a worker has to be told for it.
fn hint(lane: &Lane) -> String {
    match lane.allowed_by() {
        Some(CONTAINER) => {
            format!("; `windlass worker --allow {CONTAINER}` takes them, where an engine answers")
        }
        Some(kind) => {
            format!("; `windlass worker --allow {kind}` takes them, as programs of its machine")
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use windlass_proto::time::Timestamp;
    use windlass_proto::wire::capability::Capability;

    use super::{Unschedulable, hint};
    use crate::dispatch::backlog::Lane;

    #[test]
    fn a_lane_is_told_of_once_and_again_when_it_comes_back() {
        let lane = |it| Lane { pool: "default".into(), capability: Capability::BuiltIn(it) };
        let (shell, http) = (lane("shell"), lane("http"));
        let mut unschedulable = Unschedulable::default();
        let mut due = |lanes: &[Lane], at| {
            unschedulable.due(lanes, Timestamp(at), Duration::from_millis(100))
        };
        assert!(due(std::slice::from_ref(&shell), 0).is_empty());
        assert_eq!(due(&[shell.clone(), http.clone()], 100), std::slice::from_ref(&shell));
        assert_eq!(due(&[shell.clone(), http.clone()], 200), std::slice::from_ref(&http));
        assert!(due(&[], 300).is_empty());
        assert!(due(std::slice::from_ref(&shell), 400).is_empty());
        assert_eq!(due(std::slice::from_ref(&shell), 500), std::slice::from_ref(&shell));
        assert!(hint(&shell).contains("--allow shell") && hint(&http).is_empty());
    }
}
