//! What a client shows in TLS, from a secret: `certificate`, and `tls_client_auth` of OAuth2.

use windlass_proto::problem::{Problem, Standard};
use windlass_proto::secret::SecretName;
use windlass_proto::value::Value;
use zeroize::Zeroizing;

use super::Authorization;
use crate::attempt::Attempt;
use crate::http_client::identity::ClientIdentity;

/// Where the certificate is: as it is called here and by Vault, and in Secrets of Kubernetes.
const CERTIFICATE: [&str; 2] = ["certificate", "tls.crt"];

/// Where the private key is, likewise; the second is Vault's.
const KEY: [&str; 3] = ["key", "private_key", "tls.key"];

/// The certificates that lead from it to an authority that the server trusts; one text or many.
const CHAIN: [&str; 2] = ["chain", "ca_chain"];

impl Attempt<'_> {
    pub(super) fn certificate(&self, name: &SecretName) -> Result<Authorization, Problem> {
        self.client_identity(name, "certificate").map(Authorization::Certificate)
    }

    /// What the secret `name` holds for `scheme`.
    pub(super) fn client_identity(
        &self,
        name: &SecretName,
        scheme: &str,
    ) -> Result<ClientIdentity, Problem> {
        let secret = self.secret(name)?;
        identity(name, scheme, "", |key| secret.get(key).cloned())
    }
}

/// What `find` has of it in the secret `name`, below `prefix`.
pub(super) fn identity(
    name: &SecretName,
    scheme: &str,
    prefix: &str,
    find: impl Fn(&str) -> Option<Value>,
) -> Result<ClientIdentity, Problem> {
    let first = |keys: &[&str]| keys.iter().find_map(|key| find(key));
    let need = |keys: &[&str]| {
        let found = first(keys).filter(|it| it.as_str().is_some());
        found.ok_or_else(|| super::missing_key(name, scheme, &format!("{prefix}{}", keys[0])))
    };
    let mut parts = vec![need(&CERTIFICATE)?];
    if let Some(chain) = first(&CHAIN) {
        parts.extend_from_slice(chain.as_array().unwrap_or(std::slice::from_ref(&chain)));
    }
    parts.push(need(&KEY)?);
    let mut pem = Zeroizing::new(String::new());
    for text in parts.iter().filter_map(Value::as_str) {
        pem.push_str(text.trim());
        pem.push('\n');
    }
    ClientIdentity::from_pem(&pem).ok_or_else(|| {
        let detail = format!(
            "the secret {name} is no certificate with its private key in PEM, which `{scheme}` \
             needs"
        );
        Problem::new(Standard::Configuration, detail)
    })
}
