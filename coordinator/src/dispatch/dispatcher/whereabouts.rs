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
    /// A worker may hold it that has not been heard yet: since a restart, or a stall of the
    /// network.
    Unheard,
    /// It waits for a worker.
    Waiting(Lane, WaitReason),
}

/// Why no worker has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
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
        if let Some(flight) = self.in_flight.get(key) {
            let member = self.members.get(&flight.session)?;
            return Some(Whereabouts::At(member.profile.identity.clone()));
        }
        if self.orphans.contains(key) {
            return Some(Whereabouts::Unheard);
        }
        let lane = self.backlog.lane_of(key)?;
        let mut pool = self.members.values().filter(|it| it.profile.pool == lane.pool);
        let reason = match pool.clone().next() {
            None => WaitReason::Worker,
            Some(_) if pool.any(|it| it.profile.takes(lane)) => WaitReason::Room,
            Some(_) => WaitReason::Capability,
        };
        Some(Whereabouts::Waiting(lane.clone(), reason))
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lane, reason) = match self {
            Self::At(identity) => return write!(f, "at worker {identity}"),
            Self::Unheard => return f.write_str("waiting to hear from the worker that has it"),
            Self::Waiting(lane, reason) => (lane, reason),
        };
        let Lane { pool, capability } = lane;
        f.write_str("waiting for a worker (")?;
        match (reason, lane.allowed_by()) {
            (WaitReason::Worker, _) => write!(f, "there is none in pool {pool}")?,
            (WaitReason::Capability, Some(kind)) => {
                write!(
                    f,
                    "none in pool {pool} allows {kind}: `windlass worker --allow {kind}` does"
                )?;
            }
            (WaitReason::Capability, None) => write!(f, "none in pool {pool} offers {capability}")?,
            (WaitReason::Room, _) => {
                write!(f, "those in pool {pool} that offer {capability} are busy")?
            }
        }
        f.write_str(")")
    }
}
