//! Who may do what: each route for each role, tokens, identity providers, certificates.

mod accounts;
mod approvals;
mod canary;
mod certificates;
mod heads;
mod jwt;
mod kept;
mod load;
mod login;
mod matrix;
mod outcomes;
mod tokens;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::client::Api;
use crate::support::dev::Dev;

/// A server that asks everybody who they are, and what only its administrator knows.
struct Asking {
    dev: Dev,
    /// Asks as the administrator.
    root: Api,
    folder: tempfile::TempDir,
    admin: String,
}

impl Asking {
    /// Starts one; `more` stands in its file beside the administrator's token.
    async fn start(more: &str) -> Self {
        Self::with(more, &[]).await
    }

    /// Starts one with further flags.
    async fn with(more: &str, flags: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin = windlass_coordinator::access::generate().unwrap().expose().clone();
        std::fs::write(folder.path().join("auth.toml"), file(&admin, more)).unwrap();
        let path = folder.path().join("auth.toml").display().to_string();
        let mut all = vec!["--auth".to_owned(), path];
        all.extend_from_slice(flags);
        let dev = Dev::with(&all).await;
        let root = dev.api.bearing(&admin);
        Self { dev, root, folder, admin }
    }

    /// Writes the file anew.
    fn rewrite(&self, more: &str) {
        // In one step, as an editor or a volume does.
        let draft = self.folder.path().join("draft");
        std::fs::write(&draft, file(&self.admin, more)).unwrap();
        std::fs::rename(draft, self.path()).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("auth.toml")
    }

    /// A token that gives a role in a namespace.
    async fn token(&self, role: &str, namespace: &str) -> String {
        let grant = json!({"role": role, "namespaces": [namespace]});
        let made = self.root.post("/v1/tokens", &wanted(role, &[grant])).await.ok();
        made["token"].as_str().unwrap().to_owned()
    }

    /// Somebody with such a token.
    async fn with_role(&self, role: &str, namespace: &str) -> Api {
        self.dev.api.bearing(&self.token(role, namespace).await)
    }
}

/// A file with the administrator's token.
fn file(admin: &str, more: &str) -> String {
    let hash = windlass_coordinator::access::sha256(admin);
    format!(
        "[[token]]\nname = \"root\"\nsha256 = \"{hash}\"\n\
         grants = [{{ role = \"admin\", namespaces = [\"*\"] }}]\n{more}"
    )
}

/// The request of a token.
fn wanted(name: &str, grants: &[Value]) -> Value {
    json!({"name": name, "grants": grants, "expiresAt": in_an_hour()})
}

fn in_an_hour() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let then = u64::try_from(now.as_millis()).unwrap() + 3_600_000;
    windlass_proto::time::Timestamp(then).to_rfc3339()
}

/// A workflow of a namespace that ends at once.
fn greet(namespace: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: {namespace}, name: greet, version: '1.0.0' }}\n\
         do:\n- greet: {{ set: {{ of: {namespace} }} }}\n"
    )
}

/// A workflow of a namespace that waits for an event that never comes.
fn waits(namespace: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: {namespace}, name: waits, version: '1.0.0' }}\n\
         do:\n- waits: {{ listen: {{ to: {{ one: {{ with: {{ type: com.example.never }} }} }} }} }}\n"
    )
}

/// A workflow of a namespace with a schedule that is never due.
fn tick(namespace: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: {namespace}, name: tick, version: '1.0.0' }}\n\
         schedule: {{ every: {{ days: 300 }} }}\ndo:\n- tick: {{ set: {{ of: {namespace} }} }}\n"
    )
}
