//! Opening what is sealed before anything looks at it, and sealing what leaves.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use windlass_proto::audit::AuditAction;
use windlass_proto::limits;
use windlass_proto::plan::data_flow::too_large;
use windlass_proto::plan::uses_input;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::sealed::Sealed;
use windlass_proto::value::Value;
use windlass_proto::wire::Sealing;
use zeroize::Zeroizing;

use super::secret_access::in_time;
use crate::attempt::Attempt;
use crate::seal::Content;
use crate::secret_store::{SecretError, jittered};
use crate::trace;

impl Attempt<'_> {
    /// Opens what is sealed in the input and the variables, in one request, if this work looks at
    /// them.
    pub(super) async fn open(&mut self) -> Result<(), Problem> {
        if !self.opens() {
            return Ok(());
        }
        let sealed = self.sealed();
        let opened = trace::open(sealed.len(), Box::pin(self.open_all(&sealed))).await?;
        let mut values: HashMap<Sealed, Value> = HashMap::new();
        for (sealed, content) in sealed.into_iter().zip(opened) {
            self.seal.add_content(&content, Arc::new(sealed.clone()));
            self.within_bounds()?;
            values.insert(sealed, content.value);
        }
        let plain = |value: &Value| {
            value.clone().map_sealed(&mut |it| values.get(&*it).cloned().unwrap_or_default())
        };
        self.input = plain(&self.input);
        let variables = self.scope.data.variables.iter();
        self.scope.data.variables =
            Cow::Owned(variables.map(|(name, value)| (name.clone(), plain(value))).collect());
        Ok(())
    }

    /// True when something is sealed and this work looks at it.
    pub(super) fn opens(&self) -> bool {
        self.assignment.has_sealed() && uses_input(self.task, &self.assignment.work)
    }

    /// What is sealed in the input and the variables, each value once.
    fn sealed(&self) -> Vec<Sealed> {
        let variables = self.assignment.variables.iter().map(|(_, value)| value);
        let mut all: Vec<Sealed> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for value in std::iter::once(&self.assignment.input).chain(variables) {
            value.each_sealed(&mut |it| {
                if known.insert(it.clone()) {
                    all.push((**it).clone());
                }
            });
        }
        all
    }

    async fn open_all(&mut self, sealed: &[Sealed]) -> Result<Vec<Content>, Problem> {
        let namespace = &self.assignment.workflow.namespace;
        if let Some(foreign) = sealed.iter().find(|it| it.namespace != *namespace) {
            let detail = format!(
                "a value that was sealed in the namespace {} cannot be opened in {namespace}",
                foreign.namespace
            );
            self.audit().record(AuditAction::Opened, false, |event| {
                event.detail = Some(detail.as_str().into());
            });
            return Err(Problem::new(Standard::Authorization, detail));
        }
        let texts = in_time(self.secret_session().open(sealed)).await;
        let counts = &self.worker.counts;
        let counter = if texts.is_ok() { &counts.opened } else { &counts.not_opened };
        counter.add(sealed.len() as u64);
        let texts = texts.map_err(|error| sealing_problem("opened", &error))?;
        let contents =
            texts.iter().map(|text| Content::from_bytes(text)).collect::<Option<Vec<_>>>();
        contents.filter(|it| it.len() == sealed.len()).ok_or_else(|| {
            let detail = "a sealed value holds what this version of the worker cannot read";
            Problem::new(Standard::Runtime, detail)
        })
    }

    /// What may be reported of `value`: where it contains a secret, that is as the namespace's
    /// policy says.
    pub(super) async fn protect(&mut self, value: Value) -> Result<Value, Problem> {
        let value = self.protected(value).await?;
        if value.weight() > limits::PAYLOAD_BYTES as u64 {
            return Err(too_large());
        }
        Ok(value)
    }

    async fn protected(&mut self, value: Value) -> Result<Value, Problem> {
        let found = self.seal.find(&value);
        if found.is_empty() {
            return Ok(value);
        }
        let policy = self.assignment.grant.as_ref().map_or(Sealing::default(), |it| it.sealing);
        match policy {
            Sealing::Expose => {
                self.worker.counts.exposed.one();
                self.audit().record(AuditAction::Exposed, true, |_| ());
                return Ok(value);
            }
            Sealing::Refuse => {
                self.worker.counts.refused.one();
                self.audit().record(AuditAction::Refused, true, |_| ());
                let detail =
                    "the result contains a secret, which the policy of this namespace refuses";
                return Err(Problem::new(Standard::Authorization, detail));
            }
            Sealing::Seal => {}
        }
        let (contents, mut replacements) = self.seal.contents(&found);
        if !contents.is_empty() {
            let sealing = Box::pin(self.seal_all(&contents));
            let sealed = trace::seal(contents.len(), sealing).await?;
            replacements.add(&contents, sealed);
        }
        Ok(self.seal.replace(value, &found, &replacements))
    }

    async fn seal_all(&mut self, contents: &[Content]) -> Result<Vec<Sealed>, Problem> {
        let mut texts: Vec<Zeroizing<Vec<u8>>> = Vec::with_capacity(contents.len());
        let mut bytes = 0;
        for content in contents {
            let text = content.to_bytes().ok_or_else(|| {
                Problem::new(Standard::Runtime, "a value cannot be written down to be sealed")
            })?;
            bytes += text.len();
            if bytes > limits::PAYLOAD_BYTES {
                return Err(too_large());
            }
            texts.push(text);
        }
        let sealed = self.seal_until_it_works(&texts).await.and_then(|sealed| {
            let complete = sealed.len() == texts.len();
            complete.then_some(sealed).ok_or_else(|| {
                SecretError::Unavailable("it sealed another number of values than asked".into())
            })
        });
        let counts = &self.worker.counts;
        let counter = if sealed.is_ok() { &counts.sealed } else { &counts.not_sealed };
        counter.add(contents.len() as u64);
        sealed.map_err(|error| sealing_problem("sealed", &error))
    }

    /// Seals, and tries again for as long as the store is away: what was done for the result may
    /// not be done twice. Ends with what the attempt holds of the store, if not with the task.
    async fn seal_until_it_works(
        &mut self,
        texts: &[Zeroizing<Vec<u8>>],
    ) -> Result<Vec<Sealed>, SecretError> {
        let last = Instant::now() + Duration::from_millis(limits::SEAL_MS);
        let longest = Duration::from_millis(limits::SEAL_LONGEST_PAUSE_MS);
        let mut pause = Duration::from_millis(limits::SEAL_AGAIN_MS);
        loop {
            let session = self.secret_session();
            let sealed = in_time(session.seal(texts)).await;
            let ends = session.ends().unwrap_or(last);
            // Not in step with others.
            let wait = jittered(pause);
            if !matches!(sealed, Err(SecretError::Unavailable(_))) || Instant::now() + wait >= ends
            {
                return sealed;
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// The problem of a value that cannot be `done`.
fn sealing_problem(done: &str, error: &SecretError) -> Problem {
    let subject =
        if done == "sealed" { "a result that contains a secret" } else { "a sealed value" };
    let detail = format!("{subject} cannot be {done}: {error}");
    match error {
        SecretError::Missing | SecretError::Forbidden => {
            let detail = format!(
                "{subject} cannot be {done}: the secret store does not permit it to this workflow"
            );
            Problem::new(Standard::Authorization, detail)
        }
        SecretError::LoginRefused => Problem::new(Standard::Authorization, detail),
        SecretError::Unavailable(_) | SecretError::Refused(_) => {
            Problem::new(Standard::Runtime, detail).with_status(503)
        }
        SecretError::OtherKey(_) => Problem::new(Standard::Configuration, detail),
    }
}

#[cfg(test)]
mod tests;
