//! Webhooks that come in: what a service tells by plain JSON becomes a CloudEvent.
//!
//! What an endpoint is like is kept in `webhooks.json` in the data directory; the secrets that its
//! deliveries are signed with are files of the operator's, in a folder for each namespace, of which
//! only the names are known here. They are read for each delivery, so that one can be replaced
//! while the server runs, and wiped after it.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;
use std::{fs, mem};

use serde::{Deserialize, Serialize};
use windlass_proto::cloudevent::CloudEvent;
use windlass_proto::expression::{Budget, Names, Program, Scope};
use windlass_proto::limits;
use windlass_proto::secret::Secret;
use windlass_proto::throttle::Throttle;
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;
use windlass_proto::webhook::{self, Delivery, NotVerified, Preset};
use zeroize::Zeroizing;

use crate::file;

/// The file in the data directory.
const FILE: &str = "webhooks.json";

/// An endpoint, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// The namespace that it belongs to.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// How the service signs: `github`, `stripe`, `standard` or `hmac`.
    pub preset: String,
    /// The file with the secret, in the folder of the namespace.
    pub secret_file: String,
    /// `type` of the events.
    pub r#type: String,
    /// `source` of the events.
    pub source: String,
    /// jq on the body: `subject` of the event; nothing where it gives no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// jq on the body: `data` of the event; all of it unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// The header with the signature, for `hmac`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Why something cannot be done with an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// It is not as one must be.
    #[error("{0}")]
    Invalid(String),
    /// There is none of this name.
    #[error("{0} has no webhook {1}")]
    Unknown(String, String),
    /// There are as many as there may be.
    #[error(
        "{} webhooks are kept, {} of a namespace, and no more: delete some first",
        limits::WEBHOOKS,
        limits::WEBHOOKS_OF_NAMESPACE
    )]
    TooMany,
    /// The server was given no folder with secrets.
    #[error("the server has no secrets of webhooks: start it with --webhook-secrets")]
    NoSecrets,
    /// The file with the secret cannot be used.
    #[error("the secret of the webhook {namespace}/{name} cannot be read: {why}")]
    Secret {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// Why; nothing of what is in the file.
        why: String,
    },
    /// A delivery is not of who says so.
    #[error("the delivery is refused: {0}")]
    NotVerified(#[from] NotVerified),
    /// The same, for whoever is not known: nothing of why, nor of what there is.
    #[error(
        "the delivery is refused: it is not signed as it has to be; the log of the server says why"
    )]
    Refused,
    /// A delivery came too soon after others.
    #[error("more than {} deliveries came within a second", limits::WEBHOOK_RATE)]
    TooOften,
    /// A delivery is no JSON, or the expressions give nothing for it.
    #[error("the delivery makes no event: {0}")]
    NoEvent(String),
    /// What there is cannot be kept.
    #[error("{} cannot be used: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// All endpoints.
pub struct Webhooks {
    file: Option<PathBuf>,
    secrets: Option<PathBuf>,
    all: RwLock<BTreeMap<(String, String), Arc<Endpoint>>>,
    /// Held by whoever changes them.
    changing: Mutex<()>,
    /// What is logged of deliveries that are refused.
    logged: Throttle,
}

/// An endpoint, ready to take deliveries.
pub struct Endpoint {
    /// What it is like.
    pub webhook: Webhook,
    preset: Preset,
    subject: Option<Program>,
    map: Option<Program>,
    rate: Throttle,
}

/// What a delivery is made of, beside its body.
pub trait Headers {
    /// A header that is there once; empty otherwise.
    fn once(&self, name: &str) -> &str;
}

struct NoVariables;

impl Scope for NoVariables {
    fn variable(&self, _: &str) -> Value {
        Value::Null
    }
}

impl Endpoint {
    /// Checks what an endpoint is to be like.
    ///
    /// # Errors
    /// When it is not as one must be.
    pub fn new(webhook: Webhook) -> Result<Self, WebhookError> {
        let invalid = |text: String| Err(WebhookError::Invalid(text));
        let Some(preset) = Preset::named(&webhook.preset) else {
            return invalid("`preset` must be github, stripe, standard or hmac".to_owned());
        };
        for (what, text) in [("namespace", &webhook.namespace), ("name", &webhook.name)] {
            if !is_name(text) {
                return invalid(format!("`{what}` must be {NAME}"));
            }
        }
        if !is_name(&webhook.secret_file) {
            return invalid(format!("`secretFile` must be the name of a file, {NAME}"));
        }
        for (what, text) in [("type", &webhook.r#type), ("source", &webhook.source)] {
            if text.is_empty() || text.len() > limits::WEBHOOK_TEXT_BYTES {
                let most = limits::WEBHOOK_TEXT_BYTES;
                return invalid(format!("`{what}` must be a text of 1 to {most} bytes"));
            }
        }
        let is_header = |it: &String| {
            is_name(it) && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
        };
        if webhook.header.as_ref().is_some_and(|it| preset != Preset::Hmac || !is_header(it)) {
            return invalid("`header` is the name of a header, for the preset hmac".to_owned());
        }
        let compile = |what: &str, text: &Option<String>| {
            let Some(text) = text else { return Ok(None) };
            if text.len() > limits::WEBHOOK_TEXT_BYTES {
                return Err(WebhookError::Invalid(format!("`{what}` is too long")));
            }
            let no_jq = |why: String| WebhookError::Invalid(format!("`{what}` is no jq: {why}"));
            let program = Program::compile(text, &Names::default());
            let program = program.map_err(|error| no_jq(error.to_string()))?;
            // There is no workflow here whose arguments it could name.
            match program.variables().first() {
                Some(name) => Err(no_jq(format!("there is no ${name} here, only the body"))),
                None => Ok(Some(program)),
            }
        };
        let (subject, map) = (compile("subject", &webhook.subject)?, compile("map", &webhook.map)?);
        let rate = Throttle::new(limits::WEBHOOK_RATE, limits::WEBHOOK_RATE_MS);
        Ok(Self { webhook, preset, subject, map, rate })
    }

    /// The header with the signature.
    fn header(&self) -> &str {
        self.webhook.header.as_deref().unwrap_or(self.preset.header())
    }

    /// The event of a delivery that is of who says so.
    fn event(
        &self,
        id: &str,
        headers: &dyn Headers,
        body: &[u8],
        now: Timestamp,
    ) -> Result<CloudEvent, WebhookError> {
        let no_event = |why: String| WebhookError::NoEvent(why);
        let text = std::str::from_utf8(body).map_err(|error| no_event(error.to_string()))?;
        let body = Value::from_json(text).map_err(|error| no_event(error.to_string()))?;
        if body.depth() > limits::VALUE_DEPTH {
            return Err(no_event("it is nested too deeply".to_owned()));
        }
        let evaluate = |program: &Program| {
            let budget = Budget { steps: limits::WEBHOOK_STEPS, ..Budget::at(now) };
            let value = program.evaluate(body.clone(), &NoVariables, budget);
            value.map_err(|error| no_event(error.to_string()))
        };
        let subject = match &self.subject {
            Some(program) => evaluate(program)?,
            None if self.preset == Preset::Github => Value::from(headers.once("x-github-event")),
            None if self.preset == Preset::Stripe => body.get("type").cloned().unwrap_or_default(),
            None => Value::Null,
        };
        let data = self.map.as_ref().map_or_else(|| Ok(body.clone()), evaluate)?;
        let text = |it: &str| Value::from(it);
        let mut members = vec![
            ("specversion", text("1.0")),
            ("id", text(id)),
            ("source", text(&self.webhook.source)),
            ("type", text(&self.webhook.r#type)),
            ("datacontenttype", text("application/json")),
            ("data", data),
        ];
        if subject.as_str().is_some_and(|it| !it.is_empty()) {
            members.push(("subject", subject));
        }
        let delivery = headers.once("x-github-delivery");
        if self.preset == Preset::Github && !delivery.is_empty() {
            members.push(("deliveryid", text(delivery)));
        }
        CloudEvent::from_value(Value::object(members)).map_err(|error| no_event(error.to_string()))
    }
}

const NAME: &str = "1 to 64 letters, digits, dots, dashes and underscores, not first a dot";

/// True for what is one part of a path, and shows as it is.
fn is_name(text: &str) -> bool {
    let is_part = |it: u8| it.is_ascii_alphanumeric() || b"._-".contains(&it);
    (1..=limits::WEBHOOK_NAME_BYTES).contains(&text.len())
        && text.bytes().all(is_part)
        && !text.starts_with('.')
}

impl Webhooks {
    /// Reads the endpoints that are kept in a data directory; `secrets` is the folder with theirs.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn open(directory: Option<&Path>, secrets: Option<PathBuf>) -> Result<Self, WebhookError> {
        let file = directory.map(|it| it.join(FILE));
        let mut all = BTreeMap::new();
        if let Some(path) = &file {
            let failed = |error| WebhookError::File { path: path.clone(), error };
            let kept: Vec<Webhook> = match fs::read(path) {
                Ok(bytes) => serde_json::from_slice(&bytes)
                    .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(failed(error)),
            };
            for webhook in kept {
                let endpoint = Endpoint::new(webhook)?;
                all.insert(key(&endpoint.webhook), Arc::new(endpoint));
            }
        }
        let logged = Throttle::new(1, limits::WEBHOOK_LOG_MS);
        Ok(Self { file, secrets, all: RwLock::new(all), changing: Mutex::new(()), logged })
    }

    /// Those of a namespace, by name.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Vec<Arc<Endpoint>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().filter(|it| it.webhook.namespace == namespace).cloned().collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn get(&self, namespace: &str, name: &str) -> Result<Arc<Endpoint>, WebhookError> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(&(namespace.to_owned(), name.to_owned())).cloned();
        found.ok_or_else(|| WebhookError::Unknown(namespace.to_owned(), name.to_owned()))
    }

    /// Makes an endpoint, or changes it, durably. Its secret must be there. Blocking.
    ///
    /// # Errors
    /// When its secret cannot be read, there are too many, or it cannot be kept.
    pub fn put(&self, endpoint: Endpoint) -> Result<Arc<Endpoint>, WebhookError> {
        let _guard = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.secrets_of(&endpoint)?;
        let endpoint = Arc::new(endpoint);
        let mut all = self.all.read().unwrap_or_else(PoisonError::into_inner).clone();
        let is_new = all.insert(key(&endpoint.webhook), endpoint.clone()).is_none();
        let namespace = &endpoint.webhook.namespace;
        let of_namespace = all.keys().filter(|it| it.0 == *namespace).count();
        let is_many = all.len() > limits::WEBHOOKS || of_namespace > limits::WEBHOOKS_OF_NAMESPACE;
        if is_new && is_many {
            return Err(WebhookError::TooMany);
        }
        self.keep(all)?;
        Ok(endpoint)
    }

    /// Ends an endpoint, durably. Blocking.
    ///
    /// # Errors
    /// When there is none, or that cannot be kept.
    pub fn remove(&self, namespace: &str, name: &str) -> Result<(), WebhookError> {
        let _guard = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let endpoint = self.get(namespace, name)?;
        let mut all = self.all.read().unwrap_or_else(PoisonError::into_inner).clone();
        all.remove(&key(&endpoint.webhook));
        self.keep(all)
    }

    fn keep(&self, all: BTreeMap<(String, String), Arc<Endpoint>>) -> Result<(), WebhookError> {
        if let Some(path) = &self.file {
            let kept: Vec<&Webhook> = all.values().map(|it| &it.webhook).collect();
            let failed = |error| WebhookError::File { path: path.clone(), error };
            let bytes = serde_json::to_vec_pretty(&kept)
                .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
            file::replace(path, &bytes, 0o600).map_err(failed)?;
        }
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }

    /// Lets a delivery be read whose sender may have signed it.
    ///
    /// # Errors
    /// When there is no such endpoint, or the header with the signature is missing.
    pub fn may_come(
        &self,
        (namespace, name): (&str, &str),
        headers: &dyn Headers,
    ) -> Result<(), WebhookError> {
        let endpoint = self.get(namespace, name).map_err(|it| self.refused(it))?;
        match headers.once(endpoint.header()).is_empty() {
            true => Err(self.refused(NotVerified::Malformed.into())),
            false => Ok(()),
        }
    }

    /// What a stranger hears of a refusal; why is in the log.
    fn refused(&self, error: WebhookError) -> WebhookError {
        let of_stranger = matches!(
            error,
            WebhookError::Unknown(..)
                | WebhookError::NoSecrets
                | WebhookError::Secret { .. }
                | WebhookError::NotVerified(_)
        );
        if !of_stranger {
            return error;
        }
        if self.logged.admit(Instant::now()).through {
            tracing::warn!(%error, "a delivery of a webhook is refused");
        }
        WebhookError::Refused
    }

    /// The event of a delivery to an endpoint. Blocking.
    ///
    /// # Errors
    /// When there is no such endpoint, the delivery is not of who says so, or makes no event.
    pub fn take(
        &self,
        place: (&str, &str),
        headers: &dyn Headers,
        body: &[u8],
        now: Timestamp,
    ) -> Result<CloudEvent, WebhookError> {
        self.checked(place, headers, body, now).map_err(|it| self.refused(it))
    }

    fn checked(
        &self,
        (namespace, name): (&str, &str),
        headers: &dyn Headers,
        body: &[u8],
        now: Timestamp,
    ) -> Result<CloudEvent, WebhookError> {
        let endpoint = self.get(namespace, name)?;
        let delivery = Delivery {
            signature: headers.once(endpoint.header()),
            id: headers.once("webhook-id"),
            timestamp: headers.once("webhook-timestamp"),
            body,
        };
        let secrets = self.secrets_of(&endpoint)?;
        let secrets: Vec<&[u8]> = secrets.iter().map(|it| it.expose().as_bytes()).collect();
        let id = webhook::verify(endpoint.preset, &secrets, &delivery, now.0 / 1_000)?;
        // Only of those that are signed: who cannot sign keeps nobody out.
        if !endpoint.rate.admit(Instant::now()).through {
            return Err(WebhookError::TooOften);
        }
        endpoint.event(&id, headers, body, now)
    }

    /// The secrets that may sign for an endpoint: each line of its file.
    fn secrets_of(&self, endpoint: &Endpoint) -> Result<Vec<Secret<String>>, WebhookError> {
        let folder = self.secrets.as_ref().ok_or(WebhookError::NoSecrets)?;
        let Webhook { namespace, name, secret_file, .. } = &endpoint.webhook;
        let failed = |why: String| {
            let (namespace, name) = (namespace.clone(), name.clone());
            WebhookError::Secret { namespace, name, why }
        };
        let path = folder.join(namespace).join(secret_file);
        let text = read_secret(&path).map_err(|error| failed(error.kind().to_string()))?;
        let lines = text.expose().lines().map(str::trim).filter(|it| !it.is_empty());
        let secrets: Vec<_> =
            lines.take(limits::WEBHOOK_SECRETS).map(|it| Secret::new(it.to_owned())).collect();
        if secrets.is_empty() {
            return Err(failed("it is empty, or no text".to_owned()));
        }
        let preset = endpoint.preset;
        if !secrets.iter().all(|it| webhook::is_secret(preset, it.expose().as_bytes())) {
            let least = limits::WEBHOOK_SECRET_LEAST;
            let why = format!("a secret in it has less than {least} bytes, or is no base64");
            return Err(failed(why));
        }
        Ok(secrets)
    }
}

/// The beginning of a file with secrets.
pub(crate) fn read_secret(path: &Path) -> io::Result<Secret<String>> {
    // Room for all of it: what grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(limits::WEBHOOK_SECRET_BYTES));
    let most = u64::try_from(limits::WEBHOOK_SECRET_BYTES).unwrap_or(u64::MAX);
    fs::File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(Secret::new(mem::take(&mut *text)))
}

fn key(webhook: &Webhook) -> (String, String) {
    (webhook.namespace.clone(), webhook.name.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
