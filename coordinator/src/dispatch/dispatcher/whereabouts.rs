//! Where an assignment is, for people who ask why a task does not go on.

use std::fmt;
use std::sync::Arc;

use windlass_proto::wire::AssignmentKey;

use super::Dispatcher;
use crate::dispatch::backlog::Lane;

/// Where an assignment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// A worker performs it, or it is on its way there.
    At(Arc<str>),
    /// A worker may hold it that has not been heard yet: since a restart, or a stall of the network.
    Unheard,
    /// It waits for a worker.
    Waiting(Lane, Wanting),
}

/// Why no worker has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanting {
    /// Some could take it, and are busy.
    Room,
    /// There are workers in its pool, and none does such tasks.
    Capability,
    /// There is no worker in its pool.
    Worker,
}

impl Dispatcher {
    /// Where an assignment is; nothing when it is not known here.
    #[must_use]
    pub fn whereabouts(&self, key: &AssignmentKey) -> Option<Whereabouts> {
        if let Some(flight) = self.flights.get(key) {
            let member = self.members.get(&flight.session)?;
            return Some(Whereabouts::At(member.profile.identity.clone()));
        }
        if self.adrift.contains(key) {
            return Some(Whereabouts::Unheard);
        }
        let lane = self.backlog.lane_of(key)?;
        let mut pool = self.members.values().filter(|it| it.profile.pool == lane.pool);
        let wanting = match pool.clone().next() {
            None => Wanting::Worker,
            Some(_) if pool.any(|it| it.profile.takes(lane)) => Wanting::Room,
            Some(_) => Wanting::Capability,
        };
        Some(Whereabouts::Waiting(lane.clone(), wanting))
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lane, wanting) = match self {
            Self::At(identity) => return write!(f, "at worker {identity}"),
            Self::Unheard => return f.write_str("waiting to hear from the worker that has it"),
            Self::Waiting(lane, wanting) => (lane, wanting),
        };
        let Lane { pool, capability } = lane;
        f.write_str("waiting for a worker (")?;
        match (wanting, lane.allowed_by()) {
            (Wanting::Worker, _) => write!(f, "there is none in pool {pool}")?,
            (Wanting::Capability, Some(kind)) => {
                write!(
                    f,
                    "none in pool {pool} allows {kind}: `windlass worker --allow {kind}` does"
                )?;
            }
            (Wanting::Capability, None) => write!(f, "none in pool {pool} offers {capability}")?,
            (Wanting::Room, _) => {
                write!(f, "those in pool {pool} that offer {capability} are busy")?
            }
        }
        f.write_str(")")
    }
}
