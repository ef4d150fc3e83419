//! What events over the bus have to say to Prometheus.

use super::text::Text;
use crate::events::{EventsView, StreamStatus};

/// Adds the families of events over the bus.
pub(super) fn add(text: &mut Text, view: &EventsView) {
    let ready = |(stream, status): &(&'static str, StreamStatus)| {
        let ready = u8::from(*status == StreamStatus::Ready);
        (format!("{{stream=\"{stream}\"}}"), ready.to_string())
    };
    let ready: Vec<_> = view.streams.iter().map(ready).collect();
    let help = "1 while a stream is there and as it must be.";
    text.family("windlass_stream_ready", "gauge", help, &ready);
    let help = "Emitted events that JetStream has not acknowledged.";
    text.single("windlass_bus_events_waiting", "gauge", help, view.waiting as u64);
    for (name, help, value) in view.totals.families() {
        text.single(name, "counter", help, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::Text;
    use super::add;
    use crate::events::{EventsView, StreamStatus, Totals};

    #[test]
    fn a_stream_that_cannot_be_used_shows() {
        let streams = vec![("events", StreamStatus::Unusable), ("audit", StreamStatus::Ready)];
        let totals = Totals { dropped: 3, ..Totals::default() };
        let mut text = Text::default();
        add(&mut text, &EventsView { totals, streams, waiting: 7 });
        for line in [
            "windlass_stream_ready{stream=\"events\"} 0\n",
            "windlass_stream_ready{stream=\"audit\"} 1\n",
            "windlass_bus_events_waiting 7\n",
            "windlass_lifecycle_events_dropped_total 3\n",
        ] {
            assert!(text.0.contains(line), "{line}: {}", text.0);
        }
    }
}
