//! Makes in a Vault what a layout says; what is as it should be is left alone.

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::layout::{ACCESSOR, Group, Layout};
use crate::command::secret::vault::{Vault, failed};
use crate::error::CliError;
use crate::output;

/// What became of one thing.
enum Outcome {
    Made,
    Changed,
    Unchanged,
}

impl Vault {
    /// Makes everything, and says on standard error what was done.
    ///
    /// # Errors
    /// When Vault refuses something or does not answer: what was made stays, and the command can be
    /// repeated.
    pub(super) async fn apply(&self, layout: &Layout) -> Result<(), CliError> {
        let Layout { auth, config, roles, transit, policies, groups } = layout;
        self.mount("auth", auth, "jwt").await?;
        self.mount("mounts", transit, "transit").await?;
        let mount = self.read(&format!("sys/auth/{auth}")).await?.unwrap_or_default();
        let Some(accessor) = mount["accessor"].as_str() else {
            return Err(failed(&format!("auth/{auth} has no accessor")));
        };
        let trusted = self.write(&format!("auth/{auth}/config"), config).await;
        trusted.map_err(|error| without_keys(error, config))?;
        for (name, text) in policies {
            let policy = json!({ "policy": text.replace(ACCESSOR, accessor) });
            self.write(&format!("sys/policies/acl/{name}"), &policy).await?;
        }
        for (role, definition) in roles {
            self.write(&format!("auth/{auth}/role/{role}"), definition).await?;
        }
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
            self.told(&shown, &Outcome::Unchanged);
            return Ok(());
        }
        self.send(Method::POST, &at, Some(&json!({ "type": kind }))).await?;
        self.told(&shown, &Outcome::Made);
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
        self.told(path, &outcome);
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
            self.told(&shown, &Outcome::Unchanged);
            return Ok(());
        }
        let body = json!({
            "name": group.secret,
            "mount_accessor": accessor,
            "canonical_id": made["id"],
        });
        self.send(Method::POST, "identity/group-alias", Some(&body)).await?;
        self.told(&shown, &Outcome::Made);
        Ok(())
    }

    fn told(&self, what: &str, outcome: &Outcome) {
        let word = match outcome {
            Outcome::Made => "made",
            Outcome::Changed => "changed",
            Outcome::Unchanged => "unchanged",
        };
        if !self.quiet {
            output::message(&format!("{word} {what}"));
        }
    }
}

/// Vault fetches the keys as it is told where they are, and says little when it cannot: what is
/// meant stands before that.
fn without_keys(error: CliError, config: &Json) -> CliError {
    let url = config["jwks_url"].as_str();
    match (error, url) {
        (CliError::Problem(problem), Some(url)) if told_of_keys(&problem) => {
            let said = problem["detail"].as_str().unwrap_or_default();
            failed(&format!(
                "the store cannot fetch the coordinator's public keys from {url}. Start the \
                 coordinator first, at an --issuer that the store reaches; or say where it reaches \
                 them with --jwks-url, or hand them over with --public-key. The store said: {said}"
            ))
        }
        (error, _) => error,
    }
}

/// True for the answers of Vault and OpenBao to an address of keys that they cannot read from.
fn told_of_keys(problem: &Json) -> bool {
    let said = problem["detail"].as_str().unwrap_or_default().to_lowercase();
    ["jwks", "keyset", "key set"].iter().any(|word| said.contains(word))
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
