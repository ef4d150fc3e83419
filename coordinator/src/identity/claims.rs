//! What a token says.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use windlass_proto::id::{InstanceId, WorkflowId};
use windlass_proto::limits;
use windlass_proto::secret::{NO_SECRET, SecretName, slots};
use windlass_proto::time::Timestamp;

use super::IdentityOptions;

/// The claims that every token has, the slots of secrets apart.
pub(super) const NAMES: [&str; 16] = [
    "iss",
    "aud",
    "sub",
    "iat",
    "nbf",
    "exp",
    "jti",
    "windlass_namespace",
    "windlass_workflow",
    "windlass_version",
    "windlass_instance",
    "windlass_task",
    "windlass_attempt",
    "windlass_environment",
    "windlass_secrets",
    "windlass_slots",
];

/// What a task may do, whichever run of it: everything that the rules of a store may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    workflow: WorkflowId,
    environment: Arc<str>,
    secrets: Arc<[SecretName]>,
    text: String,
}

impl Subject {
    /// The subject of tasks of `workflow` that may read `secrets`, which are sorted and at most
    /// [`limits::SECRETS_PER_TASK`].
    #[must_use]
    pub fn new(workflow: &WorkflowId, environment: &Arc<str>, secrets: Arc<[SecretName]>) -> Self {
        let WorkflowId { namespace, name, version } = workflow;
        // As JSON, so that no two different lists give the same bytes.
        let all = serde_json::json!([namespace, name, version, environment, *secrets]);
        let digest = Sha256::digest(all.to_string());
        let hash: String = digest.iter().take(8).map(|it| format!("{it:02x}")).collect();
        let text = format!("{namespace}:{name}:{version}:{environment}:{hash}");
        Self { workflow: workflow.clone(), environment: environment.clone(), secrets, text }
    }

    /// What it may read.
    #[must_use]
    pub fn secrets(&self) -> &[SecretName] {
        &self.secrets
    }
}

/// One delivery of a task: for the records of a store, no rule depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Its instance.
    pub instance: InstanceId,
    /// JSON pointer of the task.
    pub reference: &'a str,
    /// Which delivery of its visit.
    pub delivery: u32,
    /// When its time is over.
    pub deadline: Option<Timestamp>,
}

/// The claims as JSON.
pub(super) fn claims(
    options: &IdentityOptions,
    subject: &Subject,
    task: &Task<'_>,
    now: Timestamp,
) -> Vec<u8> {
    let signed = now.0 / 1_000;
    let ends = expiry(signed, task.deadline);
    // Early, so that a store whose clock is behind takes it.
    let begins = signed.saturating_sub(limits::IDENTITY_LEEWAY_S);
    let mut all = Map::new();
    let mut say = |name: &str, value: Json| all.insert(name.to_owned(), value);
    say("iss", options.issuer.as_str().into());
    say("aud", options.audience.as_str().into());
    say("sub", subject.text.as_str().into());
    say("iat", begins.into());
    say("nbf", begins.into());
    say("exp", ends.into());
    say("jti", Uuid::new_v4().to_string().into());
    say("windlass_namespace", (*subject.workflow.namespace).into());
    say("windlass_workflow", (*subject.workflow.name).into());
    say("windlass_version", (*subject.workflow.version).into());
    say("windlass_instance", task.instance.to_string().into());
    say("windlass_task", task.reference.into());
    say("windlass_attempt", task.delivery.to_string().into());
    say("windlass_environment", (*subject.environment).into());
    let all_names = subject.secrets.iter().map(|it| Json::from(&*it.0));
    say("windlass_secrets", all_names.collect());
    // So that nobody can use it with a role that leaves some of them out.
    say("windlass_slots", slots(&subject.secrets).to_string().into());
    // Others would spoil them: see `has_slot`. Who claims them is in a group that may read them.
    let names = subject.secrets.iter().filter(|it| it.has_slot()).map(|it| &*it.0);
    let all_slots = names.chain(std::iter::repeat(NO_SECRET)).take(limits::SECRETS_PER_TASK);
    for (slot, name) in all_slots.enumerate() {
        say(&format!("windlass_secret_{slot}"), name.into());
    }
    Json::Object(all).to_string().into_bytes()
}

/// When a token ends. Times in tokens are whole seconds; one that ends before it begins would be of
/// no use to a task that has a moment left, so it lasts a second at least.
fn expiry(begins: u64, deadline: Option<Timestamp>) -> u64 {
    let most = begins.saturating_add(limits::IDENTITY_LIFE_S);
    let deadline = deadline.map_or(most, |it| it.0 / 1_000);
    most.min(deadline).max(begins.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::expiry;
    use windlass_proto::time::Timestamp;

    #[test]
    fn a_token_ends_after_a_minute_or_with_its_task() {
        let at = |ms| expiry(100, Some(Timestamp(ms)));
        assert_eq!(expiry(100, None), 160);
        assert_eq!(at(130_999), 130);
        assert_eq!(at(900_000), 160);
        assert_eq!(at(100_400), 101);
        assert_eq!(at(0), 101);
    }
}
