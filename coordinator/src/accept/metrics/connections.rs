//! Metrics of connections and of those who wait on them.

use windlass_proto::metric::Snapshot;
use windlass_proto::metric::table::api as table;

use crate::accept::serve::sockets::{Sockets, Waits};

/// Adds what there is to say.
pub(super) fn add(snapshot: &mut Snapshot, sockets: &Sockets, waits: &Waits) {
    snapshot.add(&table::CONNECTIONS, sockets.count());
    for (phase, count) in sockets.ended() {
        snapshot.labelled(&table::CONNECTIONS_CLOSED, [phase.word()], count);
    }
    snapshot.add(&table::CONNECTIONS_REFUSED, sockets.refused());
    let (waiting, shed) = waits.counts();
    snapshot.add(&table::WAITS, waiting);
    snapshot.add(&table::WAITS_SHED, shed);
}
