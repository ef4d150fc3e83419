//! What is known of workers, for whoever asks.

use windlass_proto::time::Timestamp;
use windlass_proto::wire::session::SessionId;

use super::super::backlog::Lane;
use super::roster::Member;
use super::{Dispatcher, WorkerView};

impl Dispatcher {
    /// True for a worker that is registered, in whatever session.
    #[must_use]
    pub fn has(&self, identity: &str) -> bool {
        self.members.values().any(|it| &*it.profile.identity == identity)
    }

    /// How many more a worker has than it takes at once now: what was not sent to it yet can go to
    /// others.
    #[must_use]
    pub fn excess(&self, session: SessionId) -> usize {
        self.members.get(&session).map_or(0, Member::excess)
    }

    /// True for a session that is known.
    #[must_use]
    pub fn knows(&self, session: SessionId) -> bool {
        self.members.contains_key(&session)
    }

    /// Workers registered.
    #[must_use]
    pub fn workers(&self, now: Timestamp) -> Vec<WorkerView> {
        let mut views: Vec<_> =
            self.members.iter().map(|(session, member)| member.view(*session, now)).collect();
        views.sort_by(|a, b| (&a.pool, &a.identity).cmp(&(&b.pool, &b.identity)));
        views
    }

    /// How many workers are registered.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.members.len()
    }

    /// Lanes with assignments that no registered worker can take.
    #[must_use]
    pub fn unschedulable(&mut self) -> Vec<Lane> {
        let lanes = self.backlog.lanes();
        let taken = |lane: &Lane| self.members.values().any(|it| it.profile.takes(lane));
        lanes.into_iter().filter(|lane| !taken(lane)).collect()
    }
}
