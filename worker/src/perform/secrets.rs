//! Which secrets an assignment may touch, and reading them.

use std::future::Future;
use std::time::Duration;

use windlass_proto::limits;
use windlass_proto::plan::Reached;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::{SecretName, SecretUse};

use super::Attempt;
use crate::audit::AttemptAudit;
use crate::lease::{Lease, SecretContext, SecretError};

impl Attempt<'_> {
    /// Reads what the expressions of this work name.
    pub(super) async fn read_secrets(&mut self) -> Result<(), Problem> {
        let declared = &self.plan.secrets;
        let names = Reached::by(self.task, &self.assignment.work).among(declared);
        // All are checked before the first is read: a refused task has touched nothing.
        let undeclared = names.iter().find(|name| !declared.iter().any(|it| it.0 == **name));
        if let Some(name) = undeclared {
            let detail = format!("the secret {name} is not declared in `use.secrets`");
            return Err(Problem::new(Standard::Authorization, detail));
        }
        let granted = self.assignment.grant.as_ref().map(|grant| &grant.secrets);
        let denied = names
            .iter()
            .find(|&name| granted.is_some_and(|granted| !granted.iter().any(|it| it.0 == *name)));
        if let Some(name) = denied {
            let detail =
                format!("the policy does not permit this workflow to read the secret {name}");
            return Err(Problem::new(Standard::Authorization, detail));
        }
        for name in names {
            self.read_secret(SecretName(name)).await?;
        }
        Ok(())
    }

    async fn read_secret(&mut self, name: SecretName) -> Result<(), Problem> {
        let read = in_time(self.lease().read(&name)).await;
        let secret = read.map_err(|error| secret_problem(&name, &error))?;
        let value = secret.data.expose().to_value();
        if self.seal.add_value(&value) && self.worker.warnings.is_first(&name.0) {
            tracing::warn!(
                secret = %name.0,
                "a text or number of a secret is too short to be recognised: results that contain it \
                 are not sealed (a secret has to have {} bytes or more)",
                limits::SECRET_SHORTEST_BYTES
            );
        }
        self.within_bounds()?;
        self.scope.secrets.insert(name.0.clone(), value);
        self.used.push(SecretUse { name, version: secret.version });
        Ok(())
    }

    /// Nothing is used that could not be recognised later.
    pub(super) fn within_bounds(&self) -> Result<(), Problem> {
        if self.seal.is_overfull() {
            let detail = format!(
                "the secrets and sealed values of this task consist of more than {} texts, too many \
                 to search its result for",
                limits::SECRET_TEXTS
            );
            return Err(Problem::new(Standard::Runtime, detail));
        }
        Ok(())
    }

    /// What this attempt holds of the store.
    pub(super) fn lease(&mut self) -> &mut dyn Lease {
        let Self { lease, worker, assignment, .. } = self;
        &mut **lease.get_or_insert_with(|| {
            worker.secrets.lease(SecretContext {
                workflow: assignment.workflow.clone(),
                instance: assignment.key.instance,
                task: assignment.reference.clone(),
                grant: assignment.grant.clone(),
                deadline: assignment.deadline,
                audit: AttemptAudit::new(worker.audit.clone(), assignment),
            })
        })
    }

    /// Where to tell what this attempt does with secrets.
    pub(super) fn audit(&self) -> AttemptAudit {
        AttemptAudit::new(self.worker.audit.clone(), self.assignment)
    }
}

/// What a store answers, or that it did not in time.
pub(super) async fn in_time<T>(
    answer: impl Future<Output = Result<T, SecretError>>,
) -> Result<T, SecretError> {
    let limit = Duration::from_millis(limits::SECRET_TIMEOUT_MS);
    let answer = tokio::time::timeout(limit, answer).await;
    answer.unwrap_or_else(|_| Err(SecretError::Unavailable("it did not answer in time".into())))
}

fn secret_problem(name: &SecretName, error: &SecretError) -> Problem {
    let detail = format!("the secret {name} cannot be read: {error}");
    match error {
        SecretError::Missing | SecretError::Forbidden => {
            Problem::new(Standard::Authorization, detail)
        }
        SecretError::Unavailable(_) => Problem::new(Standard::Runtime, detail).with_status(503),
        SecretError::OtherKey(_) => Problem::new(Standard::Configuration, detail),
    }
}

#[cfg(test)]
mod tests;
