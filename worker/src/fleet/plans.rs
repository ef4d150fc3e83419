//! Definitions this worker has compiled.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use windlass_proto::definition;
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::plan::Plan;

use crate::shared::PlanSource;

/// Plans by digest; the oldest go first when there are too many.
#[derive(Default)]
pub(super) struct Plans(Mutex<Known>);

#[derive(Default)]
struct Known {
    plans: HashMap<Digest, Arc<Plan>>,
    order: VecDeque<Digest>,
}

impl Plans {
    /// True when the plan is here.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.lock().plans.contains_key(digest)
    }

    pub(super) fn keep(&self, digest: Digest, plan: Arc<Plan>) {
        let mut known = self.lock();
        if known.plans.insert(digest.clone(), plan).is_none() {
            known.order.push_back(digest);
        }
        if known.order.len() > limits::CACHED_PLANS
            && let Some(oldest) = known.order.pop_front()
        {
            known.plans.remove(&oldest);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(|it| it.into_inner())
    }
}

impl PlanSource for Plans {
    fn plan(&self, digest: &Digest) -> Option<Arc<Plan>> {
        self.lock().plans.get(digest).cloned()
    }
}

/// Compiles a definition that the coordinator has accepted; none when it is not what was asked for.
pub(super) fn compile(digest: &Digest, text: &str) -> Option<Arc<Plan>> {
    if Digest::of(text) != *digest {
        return None;
    }
    let lenient = definition::Options { accepted: true, ..definition::Options::default() };
    definition::load(text, &lenient).plan
}
