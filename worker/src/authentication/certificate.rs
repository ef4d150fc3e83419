//! `certificate`: what a client shows in TLS, from a secret.

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
        let pem = pem(self.secret(name)?, name)?;
        ClientIdentity::from_pem(&pem).map(Authorization::Certificate).ok_or_else(|| {
            let detail = format!(
                "the secret {name} is no certificate with its private key in PEM, which \
                 `certificate` needs"
            );
            Problem::new(Standard::Configuration, detail)
        })
    }
}

/// All that `secret` has of it, in one text.
fn pem(secret: &Value, name: &SecretName) -> Result<Zeroizing<String>, Problem> {
    let find = |keys: &[&str]| keys.iter().find_map(|key| secret.get(key));
    let need = |keys: &[&str]| {
        let found = find(keys).and_then(Value::as_str);
        found.ok_or_else(|| super::missing_key(name, "certificate", keys[0]))
    };
    let mut texts = vec![need(&CERTIFICATE)?];
    if let Some(chain) = find(&CHAIN) {
        let all = chain.as_array().unwrap_or(std::slice::from_ref(chain));
        texts.extend(all.iter().filter_map(Value::as_str));
    }
    texts.push(need(&KEY)?);
    let mut pem = Zeroizing::new(String::new());
    for text in texts {
        pem.push_str(text.trim());
        pem.push('\n');
    }
    Ok(pem)
}
