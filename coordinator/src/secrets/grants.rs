//! What each delivery may do: made when it is sent, for tasks that have to do with secrets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::plan::{Plan, ReachableSecrets, Task};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::SecretName;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::{Assignment, Field, Grant, IdentityToken, Work};

use super::Secrets;
use crate::catalog::Catalog;
use crate::identity::{self, Subject};
use crate::policy::Policy;

/// Kinds of work on one task: to perform it, and its fields.
const WORKS: usize = 6;

/// Makes grants.
pub struct Granter {
    secrets: Arc<Secrets>,
    catalog: Arc<Catalog>,
    known: Mutex<Known>,
}

/// What the tasks of definitions need and may have, by the policy that was in force last.
#[derive(Default)]
struct Known {
    policy: Option<Arc<Policy>>,
    /// Nothing for definitions that declare no secret.
    plans: HashMap<Digest, Option<Arc<[Needs]>>>,
}

/// What each kind of work on one task needs; none where that is nothing.
type Needs = [Option<Arc<Need>>; WORKS];

/// What one kind of work on one task needs.
struct Need {
    /// How many secrets it reaches.
    reached: usize,
    /// Who it is, with those that it may read.
    subject: Subject,
}

impl Granter {
    /// Grants by `secrets` for tasks of the definitions in `catalog`.
    #[must_use]
    pub fn new(secrets: Arc<Secrets>, catalog: Arc<Catalog>) -> Self {
        Self { secrets, catalog, known: Mutex::default() }
    }

    /// Says in advance why [`Self::grant`] would fail.
    ///
    /// # Errors
    /// When the task reaches too many secrets, or its definition cannot be read.
    pub fn check(&self, assignment: &Assignment) -> Result<(), Problem> {
        self.need(assignment).map(drop)
    }

    /// What the delivery may do with secrets; none where it has nothing to do with them. It holds a
    /// token, so it must go nowhere but to the worker.
    ///
    /// # Errors
    /// When the task reaches too many secrets, or its definition cannot be read.
    pub fn grant(&self, assignment: &Assignment, now: Timestamp) -> Result<Option<Grant>, Problem> {
        let need = self.need(assignment)?;
        let sealed = assignment.has_sealed();
        if need.is_none() && !sealed {
            return Ok(None);
        }
        let (workflow, environment) = (&assignment.workflow, &self.secrets.environment);
        let sealing = self.secrets.policies.current().sealing(&workflow.namespace);
        let nobody;
        let subject = match &need {
            Some(need) => &need.subject,
            None => {
                nobody = Subject::new(workflow, environment, Arc::default());
                &nobody
            }
        };
        // Without a secret to read or a value to open there is nothing to prove.
        let proves = !subject.secrets().is_empty() || sealed;
        let identity = proves.then(|| self.sign(subject, assignment, now));
        let (environment, secrets) = (environment.clone(), subject.secrets().to_vec());
        Ok(Some(Grant { environment, secrets, identity, sealing }))
    }

    /// A grant of nothing: for a task that may not be told otherwise.
    pub(crate) fn nothing(&self) -> Grant {
        let environment = self.secrets.environment.clone();
        Grant { environment, secrets: Vec::new(), identity: None, sealing: Default::default() }
    }

    fn sign(&self, subject: &Subject, assignment: &Assignment, now: Timestamp) -> IdentityToken {
        let task = identity::Task {
            instance: assignment.key.instance,
            reference: &assignment.reference,
            delivery: assignment.key.delivery,
            deadline: assignment.deadline,
        };
        self.secrets.identity.sign(subject, &task, now)
    }

    /// What the work needs, and may have by the policy of this moment; none where that is nothing.
    fn need(&self, assignment: &Assignment) -> Result<Option<Arc<Need>>, Problem> {
        let policy = self.secrets.policies.current();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { policy: last, plans } = &mut *known;
        let is_same = last.as_ref().is_some_and(|it| Arc::ptr_eq(it, &policy));
        if !is_same || plans.len() >= limits::CACHED_PLANS {
            plans.clear();
            *last = Some(policy.clone());
        }
        let found = match plans.get(&assignment.digest) {
            Some(found) => found.clone(),
            None => {
                let Some(plan) = self.catalog.plan(&assignment.digest) else {
                    // Without a grant a worker would take everything for permitted.
                    let detail = "the definition of the task cannot be read";
                    return Err(Problem::new(Standard::Runtime, detail));
                };
                let found = of_plan(&plan, &policy, &self.secrets.environment);
                plans.insert(assignment.digest.clone(), found.clone());
                found
            }
        };
        let works = found.as_ref().and_then(|it| it.get(assignment.task.0 as usize));
        match works.and_then(|it| it[index(&assignment.work)].clone()) {
            Some(need) => few(need.reached).map(|()| Some(need)),
            None => Ok(None),
        }
    }
}

fn few(reached: usize) -> Result<(), Problem> {
    let most = limits::SECRETS_PER_TASK;
    if reached <= most {
        return Ok(());
    }
    let detail = format!(
        "the task reaches {reached} secrets, more than the limit of {most}: name those it needs, as \
         `$secrets` by itself means all that are declared, or divide the task"
    );
    Err(Problem::new(Standard::Configuration, detail))
}

fn of_plan(plan: &Plan, policy: &Policy, environment: &Arc<str>) -> Option<Arc<[Needs]>> {
    if plan.secrets.is_empty() {
        return None;
    }
    let permitted = |it: &&SecretName| policy.permits(&plan.id, environment, it);
    let permitted: Vec<_> = plan.secrets.iter().filter(permitted).collect();
    Some(plan.tasks.iter().map(|it| of_task(plan, it, &permitted, environment)).collect())
}

fn of_task(plan: &Plan, task: &Task, permitted: &[&SecretName], environment: &Arc<str>) -> Needs {
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
        let names = ReachableSecrets::by(task, &work).among(&plan.secrets);
        // What is not declared, the worker refuses by itself.
        let declared = |it: &SecretName| plan.secrets.contains(it);
        let names: Vec<_> = names.into_iter().map(SecretName).filter(declared).collect();
        if names.is_empty() {
            continue;
        }
        let reached = names.len();
        let secrets = names.into_iter().filter(|it| permitted.contains(&it)).collect();
        let subject = Subject::new(&plan.id, environment, secrets);
        needs[index(&work)] = Some(Arc::new(Need { reached, subject }));
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
