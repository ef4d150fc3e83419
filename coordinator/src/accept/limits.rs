//! How many connections and requests there may be at once.

use rustix::process::{Resource, getrlimit};
use windlass_proto::limits::{
    API_ADMIN_CONNECTIONS, API_CLIENT_CONNECTIONS, API_CONNECTIONS, RESERVED_DESCRIPTORS,
};

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all; fewer where the process may not open that many descriptors.
    pub all: usize,
    /// Of one client address.
    pub client: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { all: API_CONNECTIONS, client: API_CLIENT_CONNECTIONS }
    }
}

impl ConnectionLimits {
    /// Of the port for health and metrics: probes are few and short.
    pub(super) fn admin() -> Self {
        Self { all: API_ADMIN_CONNECTIONS, client: API_ADMIN_CONNECTIONS }
    }

    /// No more than the process may open beside all else that it opens.
    pub(super) fn within_descriptors(self) -> Self {
        let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let (least, largest) = RESERVED_DESCRIPTORS;
        let all = self.all.min(most.saturating_sub((most / 4).clamp(least, largest))).max(8);
        Self { all, client: self.client.min(all / 4 * 3) }
    }

    /// What a budget of the API is where there may be so many connections: `share` of them at most,
    /// so that all budgets together leave room for others.
    pub(super) fn within(self, budget: usize, share: usize) -> usize {
        budget.min(self.all / share).max(1)
    }
}
