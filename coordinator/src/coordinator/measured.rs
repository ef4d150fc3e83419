//! What a coordinator has to tell of itself, for monitoring.

use windlass_proto::metric::Snapshot;
use windlass_proto::metric::table::{instances, journal};

use super::Coordinator;
use crate::partition::{Inbox, MisfitSource};

impl Coordinator {
    /// Adds what there is to tell of instances, journal and audit trail. Reads nothing from the
    /// disk but the sizes of files.
    pub fn measured(&self, snapshot: &mut Snapshot) {
        let runtime = &*self.runtime;
        runtime.counts.measured(snapshot);
        let waiting: usize = runtime.router.inboxes.iter().map(Inbox::depth).sum();
        snapshot.add(&instances::MESSAGES_WAITING, waiting);
        snapshot.add(&instances::STARTED_BY_INSTANCES, runtime.admission.counts().0);
        snapshot.add(&instances::FILTERS_TOO_DEAR, runtime.filters.count());
        for found in MisfitSource::ALL {
            let count = runtime.misfits.count(found);
            snapshot.labelled(&instances::MISFITS, [found.word()], count);
        }
        runtime.router.early.measured(snapshot);
        snapshot.add(&instances::QUARANTINED, runtime.quarantine.aside());
        snapshot.add(&instances::MEMORY, runtime.router.memory.used());
        snapshot.add(&instances::MEMORY_BUDGET, runtime.router.memory.budget());
        self.measured_journal(snapshot);
        runtime.backups.measured(snapshot);
        runtime.router.secrets.audit.measured(snapshot);
        runtime.router.measured(snapshot);
    }

    fn measured_journal(&self, snapshot: &mut Snapshot) {
        let runtime = &*self.runtime;
        runtime.committer.measured(snapshot);
        runtime.journal.measured(snapshot);
        let recovered_in = runtime.router.recovered_in.get().map_or(0.0, |it| it.as_secs_f64());
        snapshot.add(&journal::RECOVERY, recovered_in);
        let room = runtime.journal.room();
        snapshot.add(&journal::PAUSED, room.paused);
        if let Some(free) = room.free_bytes {
            snapshot.add(&journal::FREE, free);
        }
    }
}
