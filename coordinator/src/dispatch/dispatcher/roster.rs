//! One worker, as the dispatcher knows it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::AssignmentKey;
use windlass_proto::wire::capability::Capability;
use windlass_proto::wire::message::Beat;
use windlass_proto::wire::session::SessionId;

use crate::dispatch::backlog::Lane;

/// What a worker said of itself.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Name and a random part: another one for each process.
    pub identity: Arc<str>,
    /// Its pool.
    pub pool: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// What it can do.
    pub capabilities: BTreeSet<Capability>,
    /// Assignments it takes at once.
    pub concurrency: u32,
    /// False when arguments must be evaluated for it.
    pub evaluates: bool,
    /// What it says of how it isolates the programs that it runs.
    pub isolation: Option<Arc<str>>,
    /// Whose token it has, for a worker over HTTP; none for one on the bus, which has the key of
    /// the fleet.
    pub owner: Option<Arc<str>>,
}

impl Profile {
    /// True when this one has to leave its identity to a worker of `owner`: to its own, and one
    /// over HTTP to one on the bus.
    #[must_use]
    pub fn yields_to(&self, owner: Option<&Arc<str>>) -> bool {
        owner.is_none() || self.owner.as_ref() == owner
    }

    /// True when it can take what waits in `lane`.
    #[must_use]
    pub fn takes(&self, lane: &Lane) -> bool {
        self.pool == lane.pool && self.capabilities.contains(&lane.capability)
    }
}

/// A registered worker, for people.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkerView {
    /// Name and a random part: another one for each process.
    #[schema(value_type = String)]
    pub identity: Arc<str>,
    /// Its session.
    pub session: String,
    /// Its pool.
    #[schema(value_type = String)]
    pub pool: Arc<str>,
    /// Its version.
    #[schema(value_type = String)]
    pub version: Arc<str>,
    /// `ready`, `joining` before its first beat, `leaving` while it drains.
    pub state: &'static str,
    /// What it can do: task kinds and `function:<name>`.
    pub capabilities: Vec<String>,
    /// Assignments it takes at once.
    pub concurrency: u32,
    /// Assignments it works on, those that are cancelled and have not ended among them.
    pub in_flight: usize,
    /// When it registered, RFC 3339.
    pub joined_at: String,
    /// Milliseconds since it was last heard of.
    pub silent_ms: u64,
    /// What isolates the programs that it runs, in its own words; absent where it runs none.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Arc<str>>,
}

/// A worker.
pub(super) struct Member {
    pub(super) profile: Profile,
    pub(super) joined_at: Timestamp,
    pub(super) heard_at: Timestamp,
    /// True from its first beat on.
    pub(super) ready: bool,
    pub(super) leaving: bool,
    pub(super) in_flight: HashSet<AssignmentKey>,
    /// What it still works on that nobody wants any more, as of its last beat.
    pub(super) unwanted: usize,
    /// Bytes of the inputs it has not reported on.
    bytes: u64,
    /// Its assignments in flight that are suspected of killing workers, by how many were lost with
    /// them.
    suspects: BTreeMap<u32, usize>,
    /// True while it stands among those that may have room.
    pub(super) in_turns: bool,
}

impl Member {
    pub(super) fn new(profile: Profile, now: Timestamp) -> Self {
        Self {
            profile,
            joined_at: now,
            heard_at: now,
            ready: false,
            leaving: false,
            in_flight: HashSet::new(),
            unwanted: 0,
            bytes: 0,
            suspects: BTreeMap::new(),
            in_turns: false,
        }
    }

    pub(super) fn record_beat(&mut self, beat: &Beat, now: Timestamp) {
        self.heard_at = now;
        self.ready = true;
        self.leaving |= beat.leaving;
        self.profile.concurrency = beat.concurrency.min(limits::WORKER_CONCURRENCY);
    }

    /// How many assignments it can take now.
    pub(super) fn room(&self) -> usize {
        if !self.ready || self.leaving || self.bytes >= limits::OUTSTANDING_BYTES {
            return 0;
        }
        (self.profile.concurrency as usize).saturating_sub(self.in_flight.len() + self.unwanted)
    }

    /// How many more it has than it takes at once.
    pub(super) fn excess(&self) -> usize {
        let most = if self.leaving { 0 } else { self.profile.concurrency as usize };
        (self.in_flight.len() + self.unwanted).saturating_sub(most)
    }

    /// True when it can take a suspect with which so many workers were lost: the more there were,
    /// the fewer other suspects may be there, and in the end none. When such a worker is lost
    /// again, few or none of the innocent were with it; and after a bad night of a whole fleet,
    /// work still goes on by the dozen.
    pub(super) fn takes_suspect(&self, losses: u32) -> bool {
        let most = self.suspects.keys().next_back().copied().unwrap_or_default().max(losses);
        let company = (self.profile.concurrency.checked_shr(2 * most).unwrap_or(0) as usize).max(1);
        self.suspects.values().sum::<usize>() < company
    }

    pub(super) fn add(&mut self, key: AssignmentKey, bytes: u64, losses: u32) {
        self.in_flight.insert(key);
        self.bytes += bytes;
        if losses >= limits::SUSPECT_LOSSES {
            *self.suspects.entry(losses).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, key: &AssignmentKey, bytes: u64, losses: u32) {
        self.in_flight.remove(key);
        self.bytes = self.bytes.saturating_sub(bytes);
        match self.suspects.get_mut(&losses) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.suspects.remove(&losses)),
        }
    }

    pub(super) fn view(&self, session: SessionId, now: Timestamp) -> WorkerView {
        let state = match (self.ready, self.leaving) {
            (false, _) => "joining",
            (true, false) => "ready",
            (true, true) => "leaving",
        };
        WorkerView {
            identity: self.profile.identity.clone(),
            session: session.to_string(),
            pool: self.profile.pool.clone(),
            version: self.profile.version.clone(),
            state,
            capabilities: self.profile.capabilities.iter().map(ToString::to_string).collect(),
            concurrency: self.profile.concurrency,
            in_flight: self.in_flight.len() + self.unwanted,
            joined_at: self.joined_at.to_rfc3339(),
            silent_ms: now.since(self.heard_at),
            isolation: self.profile.isolation.clone(),
        }
    }
}
