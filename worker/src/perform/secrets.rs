//! Which secrets an assignment may touch, and reading them.

mod parts;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use windlass_proto::expression::Program;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::SecretName;
use windlass_proto::wire::Field;

use self::parts::Part;
use super::Attempt;
use crate::lease::{SecretContext, SecretError};

/// The secrets that some expressions can reach.
#[derive(Default)]
struct Reached {
    names: BTreeSet<Arc<str>>,
    /// An expression uses `$secrets` in a way that does not tell which: all declared ones.
    all: bool,
}

impl Reached {
    fn add(&mut self, part: Part<'_>) {
        match part {
            Part::Secret(name) => {
                self.names.insert(name.0.clone());
            }
            Part::Template(template) => template.each_program(&mut |it| self.add_program(it)),
            Part::Program(program) => self.add_program(program),
        }
    }

    fn add_program(&mut self, program: &Program) {
        let reached = program.secret_names();
        self.names.extend(reached.names.iter().cloned());
        self.all |= reached.dynamic;
    }
}

impl Attempt<'_> {
    /// Reads what `input.from`, the definition and `output.as` name.
    pub(super) async fn read_secrets_of_task(&mut self) -> Result<(), Problem> {
        let mut reached = Reached::default();
        parts::of_performed(self.task, &mut |part| reached.add(part));
        self.read_secrets(reached).await
    }

    /// Reads what one field names.
    pub(super) async fn read_secrets_of_field(&mut self, field: Field) -> Result<(), Problem> {
        let mut reached = Reached::default();
        parts::of_field(self.task, field, &mut |part| reached.add(part));
        self.read_secrets(reached).await
    }

    async fn read_secrets(&mut self, mut reached: Reached) -> Result<(), Problem> {
        let declared = &self.plan.secrets;
        if reached.all {
            reached.names.extend(declared.iter().map(|name| name.0.clone()));
        }
        if reached.names.is_empty() {
            return Ok(());
        }
        // All are checked before the first is read: a refused task has touched nothing.
        let undeclared =
            reached.names.iter().find(|name| !declared.iter().any(|it| it.0 == **name));
        if let Some(name) = undeclared {
            let detail = format!("the secret {name} is not declared in `use.secrets`");
            return Err(Problem::new(Standard::Authorization, detail));
        }
        let context = SecretContext {
            workflow: self.assignment.workflow.clone(),
            instance: self.assignment.key.instance,
            task: self.assignment.reference.clone(),
        };
        for name in reached.names {
            self.read_secret(SecretName(name), &context).await?;
        }
        Ok(())
    }

    async fn read_secret(
        &mut self,
        name: SecretName,
        context: &SecretContext,
    ) -> Result<(), Problem> {
        let limit = Duration::from_millis(limits::SECRET_TIMEOUT_MS);
        let read = tokio::time::timeout(limit, self.worker.secrets.read(&name, context)).await;
        let secret = read
            .unwrap_or_else(|_| Err(SecretError::Unavailable("it did not answer in time".into())))
            .map_err(|error| secret_problem(&name, &error))?;
        let value = secret.expose().to_value();
        self.seal.add_value(&value);
        self.scope.secrets.insert(name.0, value);
        Ok(())
    }
}

fn secret_problem(name: &SecretName, error: &SecretError) -> Problem {
    let detail = format!("the secret {name} cannot be read: {error}");
    match error {
        SecretError::Missing | SecretError::Forbidden => {
            Problem::new(Standard::Authorization, detail)
        }
        SecretError::Unavailable(_) => Problem::new(Standard::Runtime, detail).with_status(503),
    }
}

#[cfg(test)]
mod tests;
