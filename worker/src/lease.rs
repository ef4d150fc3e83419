//! Where secrets come from: the trait of a store, and the store for development.

mod development;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use windlass_proto::id::{InstanceId, WorkflowId};
use windlass_proto::secret::{Secret, SecretName};
use windlass_proto::value::Value;
use zeroize::Zeroize;

pub use development::{DevelopmentSecrets, DevelopmentSecretsError};

/// What a secret holds: text, or a structure with texts inside. Wiped when its [`Secret`] drops.
pub enum SecretData {
    /// Text; never parsed, even where it looks like a number or JSON.
    Text(String),
    /// A number or boolean of a structured secret, or null.
    Scalar(Value),
    /// A list.
    List(Vec<SecretData>),
    /// Values by key, in the store's order.
    Map(Vec<(String, SecretData)>),
}

impl SecretData {
    /// Takes over a value that was read as JSON or YAML.
    #[must_use]
    pub fn from_value(value: &Value) -> Self {
        if let Some(text) = value.as_str() {
            Self::Text(text.to_owned())
        } else if let Some(elements) = value.as_array() {
            Self::List(elements.iter().map(Self::from_value).collect())
        } else if let Some(members) = value.as_object() {
            let entry =
                |(key, value): (&Arc<str>, &Value)| (key.to_string(), Self::from_value(value));
            Self::Map(members.iter().map(entry).collect())
        } else {
            Self::Scalar(value.clone())
        }
    }

    /// The value that `$secrets.<name>` has: a map whose only key is `value` stands for that value.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Map(entries) => match entries.as_slice() {
                [(key, only)] if key == "value" => only.to_plain_value(),
                _ => self.to_plain_value(),
            },
            _ => self.to_plain_value(),
        }
    }

    fn to_plain_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Scalar(value) => value.clone(),
            Self::List(elements) => {
                Value::array(elements.iter().map(Self::to_plain_value).collect())
            }
            Self::Map(entries) => Value::object(
                entries.iter().map(|(key, value)| (key.as_str(), value.to_plain_value())),
            ),
        }
    }
}

impl Zeroize for SecretData {
    fn zeroize(&mut self) {
        match self {
            Self::Text(text) => text.zeroize(),
            Self::Scalar(value) => *value = Value::Null,
            Self::List(elements) => elements.iter_mut().for_each(Zeroize::zeroize),
            Self::Map(entries) => entries.iter_mut().for_each(|(_, value)| value.zeroize()),
        }
    }
}

/// On whose behalf a secret is read.
#[derive(Clone, Debug)]
pub struct SecretContext {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its instance.
    pub instance: InstanceId,
    /// JSON pointer of the task.
    pub task: Arc<str>,
}

/// Why a secret could not be had. The messages name no path and no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The store has no such secret.
    #[error("it does not exist in the secret store")]
    Missing,
    /// The store refuses it to this workflow.
    #[error("the secret store does not permit this workflow to read it")]
    Forbidden,
    /// The store did not answer, or not usefully; trying again may help.
    #[error("the secret store is unavailable: {0}")]
    Unavailable(String),
}

/// A store of secrets. Implementations bound their own waiting; a read that takes longer than
/// [`windlass_proto::limits::SECRET_TIMEOUT_MS`] counts as unavailable.
pub trait SecretStore: Send + Sync {
    /// Reads the secret `name` for the task in `context`.
    ///
    /// The future fails when the secret is missing, forbidden, or cannot be read now.
    fn read<'a>(
        &'a self,
        name: &'a SecretName,
        context: &'a SecretContext,
    ) -> BoxFuture<'a, Result<Secret<SecretData>, SecretError>>;
}
