//! What events over the bus have to say to Prometheus.

use windlass_proto::metric::Snapshot;
use windlass_proto::metric::table::events as table;

use crate::events::{EventsView, StreamStatus};

/// Adds the families of events over the bus.
pub(super) fn add(snapshot: &mut Snapshot, view: &EventsView) {
    for (stream, status) in &view.streams {
        let ready = *status == StreamStatus::Ready;
        snapshot.labelled(&table::STREAM_READY, [*stream], ready);
    }
    snapshot.add(&table::WAITING, view.waiting);
    for (family, value) in view.totals.families() {
        snapshot.add(family, value);
    }
    snapshot.add(&table::INTAKE, view.age.clone());
}

#[cfg(test)]
mod tests {
    use windlass_proto::metric::table::events::INTAKE;
    use windlass_proto::metric::text::Format;
    use windlass_proto::metric::{Histogram, Snapshot};

    use super::add;
    use crate::events::{EventsView, StreamStatus, Totals};

    #[test]
    fn a_stream_that_cannot_be_used_shows() {
        let streams = vec![("events", StreamStatus::Unusable), ("audit", StreamStatus::Ready)];
        let totals = Totals { dropped: 3, ..Totals::default() };
        let mut snapshot = Snapshot::default();
        let age = Histogram::of(&INTAKE).distribution();
        add(&mut snapshot, &EventsView { totals, streams, waiting: 7, age });
        let text = Format::Prometheus.write(&snapshot);
        for line in [
            "windlass_stream_ready{stream=\"events\"} 0\n",
            "windlass_stream_ready{stream=\"audit\"} 1\n",
            "windlass_bus_events_waiting 7\n",
            "windlass_lifecycle_events_dropped_total 3\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
