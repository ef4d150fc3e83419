//! Metrics of connections and of those who wait on them.

use super::text::Text;
use crate::accept::serve::sockets::{Sockets, Waits};

/// Adds what there is to say.
pub(super) fn add(text: &mut Text, sockets: &Sockets, waits: &Waits) {
    let help = "Connections that are open.";
    text.single("windlass_http_connections", "gauge", help, sockets.count() as u64);
    let ended: Vec<_> = sockets
        .ended()
        .map(|(phase, count)| (format!("{{at=\"{}\"}}", phase.word()), count.to_string()))
        .collect();
    let help = "Connections closed because their time was over or others needed room, by what they were at.";
    text.family("windlass_http_connections_closed_total", "counter", help, &ended);
    let help = "Connections refused because all others worked.";
    text.single("windlass_http_connections_refused_total", "counter", help, sockets.refused());
    let (waiting, shed) = waits.counts();
    text.single("windlass_http_waits", "gauge", "Callers that wait for outcomes.", waiting as u64);
    let help = "Callers told before their time that there is no outcome yet, as too many waited.";
    text.single("windlass_http_waits_shed_total", "counter", help, shed as u64);
}
