//! What all attempts of a worker share: functions, connections, caches, and where secrets come
//! from.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::task::TaskTracker;
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::plan::Plan;

use crate::audit::AuditSink;
use crate::cache::Cache;
#[cfg(feature = "containers")]
use crate::container::Containers;
use crate::counts::Counts;
use crate::document::DocumentCache;
use crate::function::Functions;
use crate::http_client::Clients;
use crate::processes::ProcessOptions;
use crate::protobuf::{ProtoCache, ReflectedCache};
use crate::secret_store::SecretSource;
use crate::stand_in::StandIn;
use crate::token_cache::TokenCache;

/// Gives the plans that assignments name.
pub trait PlanSource: Send + Sync {
    /// The plan of `digest`; none when it is not known here.
    fn plan(&self, digest: &Digest) -> Option<Arc<Plan>>;
}

/// A plan source that has no plan.
pub(crate) struct NoPlans;

impl PlanSource for NoPlans {
    fn plan(&self, _digest: &Digest) -> Option<Arc<Plan>> {
        None
    }
}

/// What all clones of a worker share.
pub(crate) struct Shared {
    pub(crate) functions: Functions,
    /// True when it offers a fleet the functions that were added and nothing else.
    pub(crate) only_functions: bool,
    pub(crate) plans: Arc<dyn PlanSource>,
    pub(crate) secrets: Arc<dyn SecretSource>,
    pub(crate) audit: Arc<dyn AuditSink>,
    /// Leases that are being given back, and servers that are being told that a call is over.
    pub(crate) releases: TaskTracker,
    pub(crate) clients: Clients,
    pub(crate) processes: ProcessOptions,
    /// Whether an engine of containers answered when the worker began.
    pub(crate) engine_answers: AtomicBool,
    /// None where it runs none.
    #[cfg(feature = "containers")]
    pub(crate) containers: Option<Arc<Containers>>,
    pub(crate) tokens: TokenCache,
    pub(crate) documents: DocumentCache,
    /// Digests of the URLs of MCP servers that are known to keep no sessions.
    pub(crate) stateless_mcp: Cache<Digest, ()>,
    /// Digests of the URLs of A2A agents that are known to speak the version 0.3.
    pub(crate) older_agents: Cache<Digest, ()>,
    pub(crate) protos: ProtoCache,
    pub(crate) reflected: ReflectedCache,
    pub(crate) warnings: Warnings,
    pub(crate) counts: Counts,
    /// Who answers calls in place of the world, where a workflow is tried out.
    pub(crate) stand_in: Option<Arc<dyn StandIn>>,
}

/// The secrets about which a warning was given.
#[derive(Default)]
pub(crate) struct Warnings(Mutex<BTreeSet<Arc<str>>>);

impl Warnings {
    /// True for a secret that was not warned about before, as far as is remembered.
    pub(crate) fn is_first(&self, name: &Arc<str>) -> bool {
        // A panic elsewhere cannot leave the set half changed.
        let mut warned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        warned.len() < limits::SECRET_WARNINGS && warned.insert(name.clone())
    }
}
