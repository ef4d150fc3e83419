//! Which tasks of which workflows use which secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_proto::id::WorkflowId;
use windlass_proto::plan::{Plan, ReachableSecrets};
use windlass_proto::secret::SecretName;
use windlass_proto::wire::{Field, Work};

use super::Secrets;
use crate::catalog::Catalog;

/// One secret, and who uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUses {
    /// The secret.
    pub name: SecretName,
    /// The workflows that declare it, in their order.
    pub uses: Vec<UsedBy>,
}

/// One workflow that declares a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedBy {
    /// The workflow.
    pub workflow: WorkflowId,
    /// JSON pointers of the tasks that can reach it; of functions, relative to the function.
    pub tasks: Vec<Arc<str>>,
    /// True when the policy permits it.
    pub permitted: bool,
}

impl Secrets {
    /// The secrets of all current definitions, by name. Blocking: it reads definitions.
    #[must_use]
    pub fn uses(&self, catalog: &Catalog) -> Vec<SecretUses> {
        let policy = self.policies.current();
        let mut all: BTreeMap<SecretName, Vec<UsedBy>> = BTreeMap::new();
        for stored in catalog.all() {
            let Some(plan) = catalog.plan(&stored.digest) else { continue };
            for (name, tasks) in of_plan(&plan) {
                let permitted = policy.permits(&plan.id, &self.environment, &name);
                let workflow = plan.id.clone();
                all.entry(name).or_default().push(UsedBy { workflow, tasks, permitted });
            }
        }
        all.into_iter().map(|(name, uses)| SecretUses { name, uses }).collect()
    }
}

fn of_plan(plan: &Plan) -> BTreeMap<SecretName, Vec<Arc<str>>> {
    const FIELDS: [Field; 5] =
        [Field::Condition, Field::InputFrom, Field::Definition, Field::OutputAs, Field::ExportAs];
    let mut all: BTreeMap<_, Vec<Arc<str>>> =
        plan.secrets.iter().map(|it| (it.clone(), Vec::new())).collect();
    if all.is_empty() {
        return all;
    }
    for task in &plan.tasks {
        let works = std::iter::once(Work::Perform).chain(FIELDS.map(Work::Evaluate));
        for name in works.flat_map(|it| ReachableSecrets::by(task, &it).among(&plan.secrets)) {
            if let Some(tasks) = all.get_mut(&SecretName(name))
                && tasks.last() != Some(&task.reference)
            {
                tasks.push(task.reference.clone());
            }
        }
    }
    all
}
