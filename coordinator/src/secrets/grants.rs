//! What each delivery may do: made when it is sent, for tasks that have to do with secrets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use windlass_proto::id::{Digest, WorkflowId};
use windlass_proto::limits;
use windlass_proto::plan::{Plan, Reached, Task};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::SecretName;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::{Assignment, Field, Grant, Work};

use super::Secrets;
use crate::catalog::Catalog;
use crate::identity::{self, Subject};

/// Kinds of work on one task: to perform it, and its fields.
const WORKS: usize = 6;

/// Makes grants.
pub struct Granter {
    secrets: Arc<Secrets>,
    catalog: Arc<Catalog>,
    /// What the tasks of definitions reach; nothing for definitions that declare no secret.
    needs: Mutex<HashMap<Digest, Option<Arc<[Needs]>>>>,
}

/// What each kind of work on one task reaches; none where that is nothing.
type Needs = [Option<Arc<[SecretName]>>; WORKS];

impl Granter {
    /// Grants by `secrets` for tasks of the definitions in `catalog`.
    #[must_use]
    pub fn new(secrets: Arc<Secrets>, catalog: Arc<Catalog>) -> Self {
        Self { secrets, catalog, needs: Mutex::default() }
    }

    /// Says in advance why [`Self::grant`] would fail.
    ///
    /// # Errors
    /// When the task reaches too many secrets.
    pub fn check(&self, assignment: &Assignment) -> Result<(), Problem> {
        match self.needs(assignment) {
            Some(needs) => few(&needs),
            None => Ok(()),
        }
    }

    /// What the delivery may do with secrets; none where it has nothing to do with them. It holds a
    /// token, so it must go nowhere but to the worker.
    ///
    /// # Errors
    /// When the task reaches too many secrets.
    pub fn grant(&self, assignment: &Assignment, now: Timestamp) -> Result<Option<Grant>, Problem> {
        let needs = self.needs(assignment);
        if needs.is_none() && !carries_sealed(assignment) {
            return Ok(None);
        }
        let needs = needs.unwrap_or_default();
        few(&needs)?;
        let (workflow, environment) = (&assignment.workflow, &self.secrets.environment);
        let policy = self.secrets.policies.current();
        let sealing = policy.sealing(&workflow.namespace);
        let permitted = |it: &SecretName| policy.permits(workflow, environment, it);
        let secrets = match needs.iter().all(permitted) {
            true => needs,
            false => needs.iter().filter(|it| permitted(it)).cloned().collect(),
        };
        // Without one there is nothing to prove.
        let proves = !secrets.is_empty() || carries_sealed(assignment);
        let identity = proves.then(|| self.sign(workflow, secrets.clone(), assignment, now));
        let (environment, secrets) = (environment.clone(), secrets.to_vec());
        Ok(Some(Grant { environment, secrets, identity, sealing }))
    }

    /// A grant of nothing: for a task that may not be told otherwise.
    pub(crate) fn nothing(&self) -> Grant {
        let environment = self.secrets.environment.clone();
        Grant { environment, secrets: Vec::new(), identity: None, sealing: Default::default() }
    }

    fn sign(
        &self,
        workflow: &WorkflowId,
        secrets: Arc<[SecretName]>,
        assignment: &Assignment,
        now: Timestamp,
    ) -> windlass_proto::wire::IdentityToken {
        let subject = Subject::new(workflow, &self.secrets.environment, secrets);
        let task = identity::Task {
            instance: assignment.key.instance,
            reference: &assignment.reference,
            delivery: assignment.key.delivery,
            deadline: assignment.deadline,
        };
        self.secrets.identity.sign(&subject, &task, now)
    }

    /// The declared secrets that the work reaches, sorted; none where there are none.
    fn needs(&self, assignment: &Assignment) -> Option<Arc<[SecretName]>> {
        let mut known = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match known.get(&assignment.digest) {
            Some(found) => found.clone(),
            None => {
                if known.len() >= limits::CACHED_PLANS {
                    known.clear();
                }
                let found = self.catalog.plan(&assignment.digest).and_then(|it| of_plan(&it));
                known.insert(assignment.digest.clone(), found.clone());
                found
            }
        };
        found?.get(assignment.task.0 as usize)?[index(&assignment.work)].clone()
    }
}

/// True when a value that workers have sealed travels with the assignment: its worker has to log in
/// to open it, even where the task reaches no secret.
fn carries_sealed(assignment: &Assignment) -> bool {
    assignment.input.has_sealed() || assignment.variables.iter().any(|(_, it)| it.has_sealed())
}

fn few(needs: &[SecretName]) -> Result<(), Problem> {
    let most = limits::SECRETS_PER_TASK;
    if needs.len() <= most {
        return Ok(());
    }
    let detail = format!(
        "the task reaches {} secrets, more than the limit of {most}: name those it needs, as \
         `$secrets` by itself means all that are declared, or divide the task",
        needs.len()
    );
    Err(Problem::new(Standard::Configuration, detail))
}

fn of_plan(plan: &Plan) -> Option<Arc<[Needs]>> {
    (!plan.secrets.is_empty()).then(|| plan.tasks.iter().map(|it| of_task(plan, it)).collect())
}

fn of_task(plan: &Plan, task: &Task) -> Needs {
    const ALL: [Work; WORKS] = [
        Work::Perform,
        Work::Evaluate(Field::Condition),
        Work::Evaluate(Field::InputFrom),
        Work::Evaluate(Field::Definition),
        Work::Evaluate(Field::OutputAs),
        Work::Evaluate(Field::ExportAs),
    ];
    let mut needs = Needs::default();
    for work in ALL {
        let names = Reached::by(task, &work).among(&plan.secrets);
        // What is not declared, the worker refuses by itself.
        let declared = |it: &SecretName| plan.secrets.contains(it);
        let names: Arc<[_]> = names.into_iter().map(SecretName).filter(declared).collect();
        needs[index(&work)] = (!names.is_empty()).then_some(names);
    }
    needs
}

fn index(work: &Work) -> usize {
    match work {
        Work::Perform => 0,
        Work::Evaluate(Field::Condition) => 1,
        Work::Evaluate(Field::InputFrom) => 2,
        Work::Evaluate(Field::Definition) => 3,
        Work::Evaluate(Field::OutputAs) => 4,
        Work::Evaluate(Field::ExportAs) => 5,
    }
}
