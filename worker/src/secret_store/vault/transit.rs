//! Sealing with Vault's transit engine: its keys never leave it, and the coordinator has no right
//! to use them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass_proto::audit::AuditAction;
use windlass_proto::sealed::Sealed;
use zeroize::Zeroizing;

use super::Attempt;
use super::call::{Call, Failure, Wiped};
use crate::secret_store::SecretError;
use crate::secret_store::config::safe;

#[derive(Serialize)]
struct Asked<T> {
    batch_input: Vec<T>,
}

#[derive(Serialize)]
struct Plain<'a> {
    plaintext: &'a str,
    associated_data: &'a str,
}

#[derive(Serialize)]
struct Closed<'a> {
    ciphertext: &'a str,
    associated_data: String,
}

#[derive(Deserialize)]
struct Batch<T> {
    batch_results: Vec<T>,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: Option<String>,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: Option<Wiped>,
}

impl Attempt {
    /// The name of the key of this attempt's namespace.
    fn key(&self) -> Result<String, SecretError> {
        let namespace = safe(&self.context.workflow.namespace).ok_or(SecretError::Forbidden)?;
        Ok(format!("windlass-{namespace}"))
    }

    pub(super) async fn encrypt(
        &mut self,
        texts: &[Zeroizing<Vec<u8>>],
    ) -> Result<Vec<Sealed>, SecretError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.key()?;
        let namespace = self.context.workflow.namespace.clone();
        let instance = self.context.instance;
        let origin = origin(&namespace, &instance.to_string());
        let plain: Vec<Zeroizing<String>> =
            texts.iter().map(|it| Zeroizing::new(STANDARD.encode(it))).collect();
        let item = |it: &'_ Zeroizing<String>| it.len() + origin.len() + 64;
        let room = plain.iter().map(item).sum::<usize>() + 64;
        let batch_input =
            plain.iter().map(|plaintext| Plain { plaintext, associated_data: &origin }).collect();
        let answer = self.transit("encrypt", &key, Asked { batch_input }, texts.len(), room).await;
        let result = answer.and_then(|(results, request)| {
            let one = |it: Encrypted| {
                let ciphertext = it.ciphertext.ok_or_else(|| unavailable("it did not encrypt"))?;
                Ok(Sealed {
                    key: key.as_str().into(),
                    namespace: namespace.clone(),
                    instance,
                    ciphertext: ciphertext.into_bytes(),
                })
            };
            Ok((results.into_iter().map(one).collect::<Result<_, _>>()?, request))
        });
        let away = matches!(result, Err(SecretError::Unavailable(_)));
        if away && std::mem::replace(&mut self.told_away, true) {
            return result.map(|(sealed, _)| sealed);
        }
        self.told(AuditAction::Sealed, result)
    }

    pub(super) async fn decrypt(
        &mut self,
        sealed: &[Sealed],
    ) -> Result<Vec<Zeroizing<Vec<u8>>>, SecretError> {
        if sealed.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.key()?;
        let namespace = &*self.context.workflow.namespace;
        let ours = |it: &Sealed| *it.namespace == *namespace && *it.key == *key;
        if !sealed.iter().all(ours) {
            return self.told(AuditAction::Opened, Err(SecretError::Forbidden));
        }
        let Some(batch_input) = sealed.iter().map(closed).collect::<Option<Vec<_>>>() else {
            return self.told(AuditAction::Opened, Err(SecretError::Forbidden));
        };
        let room = sealed.iter().map(|it| it.ciphertext.len() + 256).sum();
        let asked = Asked { batch_input };
        let answer = self.transit("decrypt", &key, asked, sealed.len(), room).await;
        let result = answer.and_then(|(results, request)| {
            let one = |it: Decrypted| {
                let text = it.plaintext.ok_or(SecretError::Forbidden)?;
                let bytes = STANDARD.decode(text.0.as_bytes());
                bytes.map(Zeroizing::new).map_err(|_| unavailable("its answer is not understood"))
            };
            Ok((results.into_iter().map(one).collect::<Result<_, _>>()?, request))
        });
        self.told(AuditAction::Opened, result)
    }

    /// One request for all `items`.
    async fn transit<T: DeserializeOwned, B: Serialize + Send + Sync>(
        &mut self,
        verb: &str,
        key: &str,
        asked: B,
        expected: usize,
        room: usize,
    ) -> Result<(Vec<T>, Arc<str>), SecretError> {
        let path = format!("{}/{verb}/{key}", self.inner.config.transit_mount);
        let call = || Call::post(path.clone(), &asked, room);
        let (answer, _) = self.ask::<Batch<T>>(call).await.map_err(|failure| match failure {
            Failure::Unavailable(reason) => SecretError::Unavailable(reason),
            Failure::Missing => unavailable("it has no transit engine where it is looked for"),
            // Among the refusals is a ciphertext that was not made where it says.
            Failure::Refused(code) if verb == "encrypt" => {
                SecretError::Refused(format!("it answered {code} to a request to encrypt"))
            }
            Failure::LoginRefused => SecretError::LoginRefused,
            Failure::Forbidden | Failure::Refused(_) => SecretError::Forbidden,
        })?;
        let results = answer.data.map(|it| it.batch_results).unwrap_or_default();
        if results.len() != expected {
            return Err(unavailable("its answer is not understood"));
        }
        Ok((results, answer.request_id))
    }

    /// Tells what came of it and takes the request's id off.
    fn told<T>(
        &self,
        action: AuditAction,
        result: Result<(T, Arc<str>), SecretError>,
    ) -> Result<T, SecretError> {
        self.context.audit.record(action, result.is_ok(), |event| match &result {
            Ok((_, request)) => event.request = Some(request.clone()),
            Err(error) => event.detail = Some(error.to_string().into()),
        });
        result.map(|(value, _)| value)
    }
}

/// How a sealed text is given to be opened; none if it was not sealed like this.
fn closed(sealed: &Sealed) -> Option<Closed<'_>> {
    let ciphertext = std::str::from_utf8(&sealed.ciphertext).ok()?;
    let associated_data = origin(&sealed.namespace, &sealed.instance.to_string());
    Some(Closed { ciphertext, associated_data })
}

/// What binds a ciphertext to where it was made.
fn origin(namespace: &str, instance: &str) -> String {
    STANDARD.encode(format!("{namespace}/{instance}"))
}

fn unavailable(reason: &str) -> SecretError {
    SecretError::Unavailable(reason.to_owned())
}
