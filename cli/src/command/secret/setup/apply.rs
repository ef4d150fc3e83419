//! Makes in a Vault what a layout says; what is as it should be is left alone.

use std::path::Path;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::layout::{ACCESSOR, Group, Layout};
use crate::code::SETUP_FAILED;
use crate::error::CliError;
use crate::output;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);

/// A Vault, and an operator's right to change it.
pub(super) struct Vault {
    http: reqwest::Client,
    address: String,
    namespace: Option<String>,
    token: Zeroizing<String>,
}

/// What became of one thing.
enum Outcome {
    Made,
    Changed,
    Unchanged,
}

impl Vault {
    /// The Vault at `address`.
    ///
    /// # Errors
    /// When the certificates in `ca` cannot be used.
    pub(super) fn new(
        address: &str,
        namespace: Option<&str>,
        ca: Option<&Path>,
        token: Zeroizing<String>,
    ) -> Result<Self, CliError> {
        // An error means that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder().timeout(REQUEST).no_proxy();
        if let Some(path) = ca {
            let unusable = |error: &dyn std::fmt::Display| {
                CliError::Usage(format!("the certificates in {}: {error}", path.display()))
            };
            let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem);
            let certificates = certificates.map_err(|error| unusable(&error))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| CliError::Usage(error.to_string()))?;
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { http, address, namespace: namespace.map(str::to_owned), token })
    }

    /// Makes everything, and says on standard error what was done.
    ///
    /// # Errors
    /// When Vault refuses something or does not answer: what was made stays, and the command can be
    /// repeated.
    pub(super) async fn apply(&self, layout: &Layout) -> Result<(), CliError> {
        let Layout { auth, config, role: (role, definition), transit, policies, groups } = layout;
        self.mount("auth", auth, "jwt").await?;
        self.mount("mounts", transit, "transit").await?;
        let mount = self.read(&format!("sys/auth/{auth}")).await?.unwrap_or_default();
        let Some(accessor) = mount["accessor"].as_str() else {
            return Err(failed(&format!("auth/{auth} has no accessor")));
        };
        self.write(&format!("auth/{auth}/config"), config).await?;
        for (name, text) in policies {
            let policy = json!({ "policy": text.replace(ACCESSOR, accessor) });
            self.write(&format!("sys/policies/acl/{name}"), &policy).await?;
        }
        self.write(&format!("auth/{auth}/role/{role}"), definition).await?;
        for group in groups {
            self.group(group, accessor).await?;
        }
        Ok(())
    }

    /// Enables an engine or a way to log in, unless it is there.
    async fn mount(&self, family: &str, path: &str, kind: &str) -> Result<(), CliError> {
        let (at, shown) = (format!("sys/{family}/{path}"), format!("{kind} at {path}/"));
        if let Some(mount) = self.read(&at).await? {
            if mount["type"] != kind {
                return Err(failed(&format!("{path}/ is a {} mount, not {kind}", mount["type"])));
            }
            tell(&shown, &Outcome::Unchanged);
            return Ok(());
        }
        self.send(Method::POST, &at, Some(&json!({ "type": kind }))).await?;
        tell(&shown, &Outcome::Made);
        Ok(())
    }

    /// Writes what differs from what is there.
    async fn write(&self, path: &str, wanted: &Json) -> Result<(), CliError> {
        let present = self.read(path).await?;
        let outcome = match &present {
            Some(present) if holds(present, wanted) => Outcome::Unchanged,
            Some(_) => Outcome::Changed,
            None => Outcome::Made,
        };
        if !matches!(outcome, Outcome::Unchanged) {
            self.send(Method::POST, path, Some(wanted)).await?;
        }
        tell(path, &outcome);
        Ok(())
    }

    /// A group, and what makes a claim a membership.
    async fn group(&self, group: &Group, accessor: &str) -> Result<(), CliError> {
        let path = format!("identity/group/name/{}", group.name);
        self.write(&path, &json!({ "type": "external", "policies": [group.name] })).await?;
        let made = self.read(&path).await?.unwrap_or_default();
        let alias = &made["alias"];
        let shown = format!("members of {}", group.name);
        if alias["name"] == group.secret.as_str() && alias["mount_accessor"] == accessor {
            tell(&shown, &Outcome::Unchanged);
            return Ok(());
        }
        let body = json!({
            "name": group.secret,
            "mount_accessor": accessor,
            "canonical_id": made["id"],
        });
        self.send(Method::POST, "identity/group-alias", Some(&body)).await?;
        tell(&shown, &Outcome::Made);
        Ok(())
    }

    /// What is at `path`; none when nothing is.
    async fn read(&self, path: &str) -> Result<Option<Json>, CliError> {
        match self.send(Method::GET, path, None).await? {
            Some(mut answer) => Ok(Some(answer["data"].take())),
            None => Ok(None),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Option<Json>, CliError> {
        let reading = method == Method::GET;
        let mut request = self.http.request(method, format!("{}/v1/{path}", self.address));
        request = request.header("X-Vault-Token", self.token.as_str());
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| failed(&format!("{path}: {error}"));
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let answer: Json = response.json().await.unwrap_or_default();
        if status.is_success() {
            return Ok(Some(answer));
        }
        let errors = answer["errors"].as_array().cloned().unwrap_or_default();
        // Of a mount that is not there Vault says "bad request".
        let absent = status == StatusCode::NOT_FOUND
            || (status == StatusCode::BAD_REQUEST && path.starts_with("sys/"));
        if reading && absent {
            return Ok(None);
        }
        let said: Vec<&str> = errors.iter().filter_map(Json::as_str).collect();
        Err(failed(&format!("{path}: {status} {}", said.join("; ").trim())))
    }
}

/// True when everything wanted is there as wanted; what Vault adds by itself does not count.
fn holds(present: &Json, wanted: &Json) -> bool {
    let Some(wanted) = wanted.as_object() else { return present == wanted };
    wanted.iter().all(|(key, value)| match value {
        Json::Object(_) => holds(&present[key], value) && same_size(&present[key], value),
        _ => present[key] == *value,
    })
}

fn same_size(present: &Json, wanted: &Json) -> bool {
    present.as_object().map(serde_json::Map::len) == wanted.as_object().map(serde_json::Map::len)
}

fn tell(what: &str, outcome: &Outcome) {
    let word = match outcome {
        Outcome::Made => "made",
        Outcome::Changed => "changed",
        Outcome::Unchanged => "unchanged",
    };
    output::message(&format!("{word} {what}"));
}

fn failed(detail: &str) -> CliError {
    CliError::coded(&SETUP_FAILED, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::holds;

    #[test]
    fn only_what_is_wanted_is_compared() {
        let wanted = json!({"ttl": 60, "claims": {"a": "b"}, "list": ["x"]});
        let with = |change: fn(&mut serde_json::Value)| {
            let mut present = json!({"ttl": 60, "claims": {"a": "b"}, "list": ["x"], "more": 1});
            change(&mut present);
            holds(&present, &wanted)
        };
        assert!(with(|_| {}));
        assert!(!with(|it| it["ttl"] = json!(61)));
        assert!(!with(|it| it["claims"]["c"] = json!("d")));
        assert!(!with(|it| it["list"] = json!(["x", "y"])));
        assert!(!with(|it| it["list"] = json!(null)));
    }
}
