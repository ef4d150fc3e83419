//! Which secrets an assignment may touch, and reading them.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use windlass_proto::audit::AuditAction;
use windlass_proto::limits;
use windlass_proto::plan::ReachableSecrets;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::{SecretName, SecretUse};
use windlass_proto::value::Value;

use crate::attempt::Attempt;
use crate::secret_store::{SecretContext, SecretError, SecretSession, SecretValue};
use crate::trace;

/// Events of an attempt until it has read its secrets: its login, and that it opened what was
/// sealed.
const EVENTS_OF_AN_ATTEMPT: usize = 2;

/// Events of one read: that it was asked for, and what came of it.
const EVENTS_OF_A_READ: usize = 2;

impl Attempt<'_> {
    /// Reads what the expressions of this work name.
    pub(super) async fn read_secrets(&mut self) -> Result<(), Problem> {
        let declared = &self.plan.secrets;
        let names = ReachableSecrets::by(self.task, &self.assignment.work).among(declared);
        // All are checked before the first is read: a refused task has touched nothing.
        let undeclared = names.iter().find(|name| !declared.iter().any(|it| it.0 == **name));
        if let Some(name) = undeclared {
            self.denied(name, "it is not declared");
            let detail = format!("the secret {name} is not declared in `use.secrets`");
            return Err(Problem::new(Standard::Authorization, detail));
        }
        let granted = self.assignment.grant.as_ref().map(|grant| &grant.secrets);
        let denied = names
            .iter()
            .find(|&name| granted.is_some_and(|granted| !granted.iter().any(|it| it.0 == *name)));
        if let Some(name) = denied {
            self.denied(name, "the policy does not permit it");
            let detail =
                format!("the policy does not permit this workflow to read the secret {name}");
            return Err(Problem::new(Standard::Authorization, detail));
        }
        for name in names {
            Box::pin(self.read_secret(SecretName(name))).await?;
        }
        // Others may read now: what this attempt still tells is a matter of a few events.
        if let Some(audit) = self.audit.get() {
            audit.give_back();
        }
        Ok(())
    }

    /// Waits until what it will do with secrets can be told; false when that took so long that its
    /// identity should be made anew.
    pub(super) async fn make_room(&self) -> Result<bool, Problem> {
        let declared = &self.plan.secrets;
        let reads = match declared.is_empty() {
            true => 0,
            false => ReachableSecrets::by(self.task, &self.assignment.work).among(declared).len(),
        };
        if reads == 0 && !self.opens() {
            return Ok(true);
        }
        let patience = Duration::from_millis(limits::AUDIT_WAIT_MS);
        let reserved = self.audit().reserve(EVENTS_OF_AN_ATTEMPT + reads * EVENTS_OF_A_READ);
        let waited = trace::intake(tokio::time::timeout(patience, reserved)).await;
        Ok(waited.is_ok())
    }

    async fn read_secret(&mut self, name: SecretName) -> Result<(), Problem> {
        let read = self.ask_for(&name).await;
        let secret = read.map_err(|error| secret_problem(&name, &error))?;
        let value = secret.data.expose().to_value();
        self.bind_secret(&name, value)?;
        self.used.push(SecretUse { name, version: secret.version });
        Ok(())
    }

    /// For when a server has refused a request: reads the secrets of this attempt again, and says
    /// whether one of them is another by now. Only once in an attempt.
    pub(super) async fn secrets_changed(&mut self) -> Result<bool, Problem> {
        if std::mem::replace(&mut self.read_again, true) {
            return Ok(false);
        }
        let mut changed = false;
        for at in 0..self.used.len() {
            let Some(SecretUse { name, version }) = self.used.get(at).cloned() else { break };
            // What cannot be read now is used as it was: the refusal is what matters.
            let Ok(secret) = self.ask_for(&name).await else { continue };
            let value = secret.data.expose().to_value();
            let same = match (&version, &secret.version) {
                (Some(old), Some(new)) => old == new,
                _ => self.scope.secrets.get(&*name.0) == Some(&value),
            };
            if same {
                continue;
            }
            changed = true;
            self.bind_secret(&name, value)?;
            if let Some(used) = self.used.get_mut(at) {
                used.version = secret.version;
            }
        }
        Ok(changed)
    }

    /// Makes a secret known to expressions, and keeps it from leaving.
    fn bind_secret(&mut self, name: &SecretName, value: Value) -> Result<(), Problem> {
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
        Ok(())
    }

    /// Reads a secret from the store, and tells of it.
    async fn ask_for(&mut self, name: &SecretName) -> Result<SecretValue, SecretError> {
        trace::lease(&name.0, Box::pin(self.ask(name))).await
    }

    async fn ask(&mut self, name: &SecretName) -> Result<SecretValue, SecretError> {
        let audit = self.audit().clone();
        audit.record(AuditAction::Requested, true, |event| event.secret = Some(name.clone()));
        let asked = Instant::now();
        let read = in_time(self.secret_session().read(name)).await;
        self.worker.counts.read(&read, asked.elapsed());
        match &read {
            Ok(secret) => audit.record(AuditAction::Granted, true, |event| {
                event.secret = Some(name.clone());
                event.version.clone_from(&secret.version);
                event.request.clone_from(&secret.request);
                event.lease.clone_from(&secret.lease);
            }),
            Err(error) => self.denied(&name.0, &error.to_string()),
        }
        read
    }

    fn denied(&self, name: &str, why: &str) {
        self.audit().record(AuditAction::Denied, false, |event| {
            event.secret = Some(SecretName(name.into()));
            event.detail = Some(why.into());
        });
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
    pub(super) fn secret_session(&mut self) -> &mut dyn SecretSession {
        let audit = self.audit().clone();
        let Self { secret_session, worker, assignment, began, .. } = self;
        &mut **secret_session.get_or_insert_with(|| {
            worker.secrets.session(SecretContext {
                workflow: assignment.workflow.clone(),
                instance: assignment.key.instance,
                task: assignment.reference.clone(),
                grant: assignment.grant.clone(),
                deadline: assignment.deadline,
                began: *began,
                audit,
            })
        })
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
        SecretError::Missing | SecretError::Forbidden | SecretError::LoginRefused => {
            Problem::new(Standard::Authorization, detail)
        }
        SecretError::Unavailable(_) | SecretError::Refused(_) => {
            Problem::new(Standard::Runtime, detail).with_status(503)
        }
        SecretError::OtherKey(_) => Problem::new(Standard::Configuration, detail),
    }
}

#[cfg(test)]
mod tests;
