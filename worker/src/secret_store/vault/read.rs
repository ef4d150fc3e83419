//! Reading a secret from the engine that has it.

use std::collections::HashSet;
use std::sync::Arc;

use vaultrs::api::database::requests::GenerateCredentialsRequest;
use vaultrs::api::kv1::requests::GetSecretRequest;
use vaultrs::api::kv2::requests::ReadSecretRequest;
use vaultrs::api::pki::requests::GenerateCertificateRequest;
use windlass_proto::secret::{Secret, SecretName};

use super::Attempt;
use super::cache::Key;
use super::call::{Answer, Call, Failure, Versioned, WipedData, seconds, whole_seconds};
use super::login::Claims;
use super::token::{HeldLease, Life, Token};
use crate::secret_store::config::{Mapped, PathConfig, PathTemplate, VaultAuth, VaultEngine};
use crate::secret_store::template::Values;
use crate::secret_store::{SecretContext, SecretData, SecretError, SecretValue};

impl Attempt {
    pub(super) async fn read_secret(
        &mut self,
        name: &SecretName,
    ) -> Result<SecretValue, SecretError> {
        let inner = self.inner.clone();
        let own = inner.config.secrets.get(&*name.0);
        // What has neither a slot nor a place of its own is nobody's: nothing would permit it.
        if own.is_none() && !name.has_slot() {
            tracing::warn!(secret = %name, "a secret's name cannot be a part of a path: it needs a place of its own");
            return Err(SecretError::Forbidden);
        }
        let config = own.unwrap_or(&inner.config.paths);
        // Nor what could be more than a part of a path.
        let path =
            config.path.expand(Values::of(&self.context, &name.0)).ok_or(SecretError::Forbidden)?;
        let first = self.read.insert(name.clone());
        let key = self.cache_key(config, &path);
        if let Some(found) = key.as_ref().filter(|_| first).and_then(|key| inner.cache.get(key)) {
            return Ok(found);
        }
        let read = match self.read_with_another(config, &path, name) {
            Some(found) => value(config, found),
            None => self.fetch(config, path, name).await,
        };
        let value = read.map_err(|failure| match failure {
            Failure::Missing => SecretError::Missing,
            Failure::Forbidden => SecretError::Forbidden,
            Failure::LoginRefused => SecretError::LoginRefused,
            Failure::Refused(code) => SecretError::Refused(format!(
                "it answered {code}: the worker's secrets configuration does not fit it"
            )),
            Failure::Unavailable(reason) => SecretError::Unavailable(reason),
        })?;
        if let Some(key) = key {
            inner.cache.put(key, &value);
        }
        Ok(value)
    }

    /// How the cache calls a secret; none where it is not to be kept.
    fn cache_key(&self, config: &PathConfig, path: &Mapped) -> Option<Key> {
        // Credentials that were made for one attempt are never shared.
        let kept = matches!(config.engine, VaultEngine::Kv2 | VaultEngine::Kv1);
        if !kept || !self.inner.cache.is_on() {
            return None;
        }
        let scope = match &self.inner.config.auth {
            // Covers everything that decides about rights.
            VaultAuth::Jwt { .. } => {
                let sub = Claims::of(self.context.identity()?)?.sub;
                (!sub.is_empty()).then_some(sub)?
            }
            _ => String::new(),
        };
        let path = format!("{}/{}", config.mount, path.0);
        Some(Key { scope, path, field: config.field.clone() })
    }

    /// What was read for another secret of this attempt that is at the same path; what is made for
    /// each request is then made once. None where the store is to be asked.
    fn read_with_another(
        &mut self,
        config: &PathConfig,
        path: &Mapped,
        name: &SecretName,
    ) -> Option<SecretValue> {
        let at = (config.mount.clone(), path.0.clone());
        let found = self.together.get_mut(&at)?;
        if !found.others.remove(name) {
            return None;
        }
        let value = found.value.duplicate();
        if found.others.is_empty() {
            self.together.remove(&at);
        }
        Some(value)
    }

    /// The other secrets of this attempt that one request for `name` reads too.
    fn others_at(&self, config: &PathConfig, path: &str, name: &SecretName) -> HashSet<SecretName> {
        // What a certificate is for differs by name.
        if config.engine == VaultEngine::Pki {
            return HashSet::new();
        }
        let same = |it: &&SecretName| {
            let Some(other) = self.inner.config.secrets.get(&*it.0) else { return false };
            let same = other.engine == config.engine && other.mount == config.mount;
            let there = other.path.expand(Values::of(&self.context, &it.0));
            same && there.is_some_and(|it| it.0 == path)
        };
        let granted = self.context.grant.iter().flat_map(|it| &it.secrets);
        granted.filter(|it| *it != name).filter(same).cloned().collect()
    }

    async fn fetch(
        &mut self,
        config: &PathConfig,
        path: Mapped,
        name: &SecretName,
    ) -> Result<SecretValue, Failure> {
        let others = self.others_at(config, &path.0, name);
        let at = (config.mount.clone(), path.0.clone());
        let whole = self.ask_for(config, path.0, name).await?;
        if !others.is_empty() {
            let value = whole.duplicate();
            self.together.insert(at, ReadTogether { value, others });
        }
        value(config, whole)
    }

    /// All that is at `path`.
    async fn ask_for(
        &mut self,
        config: &PathConfig,
        path: String,
        name: &SecretName,
    ) -> Result<SecretValue, Failure> {
        let mount = || config.mount.clone();
        match config.engine {
            VaultEngine::Kv2 => {
                let call = || {
                    let path = path.clone();
                    Call::of(&ReadSecretRequest { mount: mount(), path, version: None })
                };
                let (answer, token) = self.ask::<Versioned>(call).await?;
                let versioned = answer.data.ok_or(Failure::Missing)?;
                let data = versioned.data.ok_or(Failure::Missing)?;
                let version = versioned.metadata.version.to_string();
                Ok(read(data, Some(version.into()), answer.request_id, &token))
            }
            VaultEngine::Kv1 => {
                let call = || Call::of(&GetSecretRequest { mount: mount(), path: path.clone() });
                let (answer, token) = self.ask::<WipedData>(call).await?;
                let data = answer.data.ok_or(Failure::Missing)?;
                Ok(read(data, None, answer.request_id, &token))
            }
            VaultEngine::Database => {
                let call =
                    || Call::of(&GenerateCredentialsRequest { mount: mount(), name: path.clone() });
                self.issued(call).await
            }
            VaultEngine::Pki => {
                let request = certificate(config, &path, &self.context, name);
                let request = request.ok_or(Failure::Forbidden)?;
                self.issued(|| Call::of(&request)).await
            }
        }
    }

    /// Reads what an engine makes for this attempt alone, and holds the lease it comes with.
    async fn issued(
        &mut self,
        call: impl Fn() -> Option<Call> + Send + Sync,
    ) -> Result<SecretValue, Failure> {
        let (answer, token) = self.ask::<WipedData>(call).await?;
        let Answer { request_id, lease_id, lease_duration, renewable, data, .. } = answer;
        let mut lease = None;
        if !lease_id.0.is_empty() {
            let life = Life::new(seconds(lease_duration), renewable);
            let one = HeldLease::new(lease_id.0, life);
            let (hash, id) = (one.hash.clone(), one.id.clone());
            lease = Some(hash.clone());
            self.held.add_lease(one);
            if let Some(most) = self.too_long(life) {
                let Self { inner, held, context, .. } = self;
                inner.renew_lease(&token, held, &hash, &id, Some(most), context).await;
            }
            self.keep_alive();
        }
        let data = data.ok_or(Failure::Missing)?;
        let mut value = read(data, None, request_id, &token);
        value.lease = lease;
        Ok(value)
    }
}

/// What one request has read for several secrets.
pub(super) struct ReadTogether {
    value: SecretValue,
    /// Those that have not got it yet.
    others: HashSet<SecretName>,
}

/// All of what was read.
fn read(
    data: WipedData,
    version: Option<Arc<str>>,
    request: Arc<str>,
    token: &Token,
) -> SecretValue {
    let mut value = SecretValue::new(data.take());
    value.version = version;
    value.request = (!request.is_empty()).then_some(request);
    // The token's life bounds how long a value may be used that has no lease of its own.
    value.lease = Some(token.hash.clone());
    value
}

/// A secret of what was read: all of it, or one field where that is configured.
fn value(config: &PathConfig, whole: SecretValue) -> Result<SecretValue, Failure> {
    if config.field.is_none() {
        return Ok(whole);
    }
    let mut data = zeroize::Zeroizing::new(whole.data.expose().duplicate());
    let taken = match (&config.field, &mut *data) {
        (Some(field), SecretData::Map(entries)) => {
            let entry = entries.iter_mut().find(|(key, _)| key == field);
            let (_, value) = entry.ok_or(Failure::Missing)?;
            std::mem::replace(value, SecretData::List(Vec::new()))
        }
        _ => return Err(Failure::Missing),
    };
    Ok(SecretValue { data: Secret::new(taken), ..whole })
}

fn certificate(
    config: &PathConfig,
    role: &str,
    context: &SecretContext,
    name: &SecretName,
) -> Option<GenerateCertificateRequest> {
    let pki = config.pki.as_ref()?;
    let mapped = |it: &PathTemplate| it.expand(Values::of(context, &name.0)).map(|it| it.0);
    Some(GenerateCertificateRequest {
        mount: config.mount.clone(),
        role: role.to_owned(),
        common_name: Some(mapped(&pki.common_name)?),
        alt_names: match &pki.alt_names {
            Some(names) => Some(mapped(names)?),
            None => None,
        },
        ttl: pki.ttl.map(|it| format!("{}s", whole_seconds(it))),
        ..GenerateCertificateRequest::default()
    })
}
