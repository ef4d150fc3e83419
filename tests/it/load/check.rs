//! What must hold when all has ended.

use std::collections::HashMap;

use serde_json::Value;

use super::FAILURES;
use super::instance::Instance;
use crate::support::client::Api;
use crate::support::json::same;
use crate::support::stub::Stub;

/// Every instance completed with the output it must have.
pub(super) fn outputs(instances: &[Instance], outcomes: &HashMap<String, Value>) {
    for instance in instances {
        let view = &outcomes[&instance.id];
        assert_eq!(view["status"], "completed", "{}: {view}", instance.workflow);
        let wanted = instance.output();
        assert!(same(&view["output"], &wanted), "{}: {view}, wanted {wanted}", instance.workflow);
    }
}

/// One start and one end in each history, and no gap in its numbers.
pub(super) async fn histories(api: &Api, instances: &[Instance]) {
    for instance in instances {
        let history = api.history(&instance.id).await;
        let count = |event: &str| history.iter().filter(|it| it["event"] == event).count();
        assert_eq!(count("instance.started"), 1, "{history:?}");
        assert_eq!(count("instance.completed"), 1, "{history:?}");
        assert_eq!(count("instance.faulted") + count("instance.cancelled"), 0, "{history:?}");
        let numbers: Vec<u64> = history.iter().map(|it| it["sequence"].as_u64().unwrap()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

/// The counting server saw every step, repeats only under the same key, and nothing else.
pub(super) fn effects(stub: &Stub, instances: &[Instance]) {
    let mut seen = stub.by_path();
    let mut repeats = 0;
    for step in instances.iter().flat_map(Instance::steps) {
        let (count, keys) =
            seen.remove(&step).unwrap_or_else(|| panic!("the step {step} was never seen"));
        assert_eq!(keys.len(), 1, "{step} came {count} times under {keys:?}");
        assert!(!keys.contains(""), "{step} came without an idempotency key");
        let needed = if step.starts_with("/flaky/") { FAILURES + 1 } else { 1 };
        assert!(count >= needed, "{step} came {count} times");
        repeats += count - needed;
    }
    assert!(seen.is_empty(), "the server saw steps no instance has: {seen:?}");
    println!("load: {repeats} steps were repeated, each under its own key");
}
