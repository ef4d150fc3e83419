//! Secrets of Kubernetes, against a stand-in for its API.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use windlass_worker::{KubernetesConfig, KubernetesSecrets, SecretError, SecretStore};

use super::stores::{Content, Fake, Held, Mode, Subject, contract, read};
use crate::support::stub::{Reply, Stub};

struct Kubernetes {
    fake: Fake,
    folder: tempfile::TempDir,
    store: Arc<KubernetesSecrets>,
}

/// A `Secret` of the API.
fn object(held: &Held) -> Value {
    let data: Value = match &held.content {
        Content::Text(text) => json!({"value": STANDARD.encode(text)}),
        Content::Fields(fields) => {
            fields.iter().map(|(key, it)| ((*key), json!(STANDARD.encode(it)))).collect()
        }
    };
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
        "metadata": {"name": "n", "namespace": "windlass", "resourceVersion": held.version.to_string()}})
}

fn status(code: u16, reason: &str) -> Reply {
    let message = format!("secrets \"production.acme.key\" is {reason}");
    Reply::Json(
        code,
        json!({"kind": "Status", "status": "Failure", "reason": reason,
        "message": message, "code": code}),
    )
}

fn store(settings: Value) -> KubernetesSecrets {
    let config: KubernetesConfig = serde_json::from_value(settings).unwrap();
    KubernetesSecrets::new(config).unwrap()
}

impl Kubernetes {
    fn write_token(&self) {
        let path = self.folder.path().join("token");
        std::fs::write(path, format!("{}\n", self.fake.state.token())).unwrap();
    }
}

impl Subject for Kubernetes {
    async fn start(timeout: &str) -> Self {
        let fake = Fake::start(|state, seen| {
            if let Some(fault) = state.fault() {
                return fault;
            }
            if !state.knows(seen) {
                return status(401, "Unauthorized");
            }
            match state.secrets.lock().unwrap().get(&seen.path) {
                Some(held) if held.forbidden => status(403, "Forbidden"),
                Some(held) => Reply::Json(200, object(held)),
                None => status(404, "NotFound"),
            }
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let store = store(json!({"address": fake.url(), "namespace": "windlass",
            "token-file": folder.path().join("token"), "timeout": timeout}));
        let subject = Self { fake, folder, store: Arc::new(store) };
        subject.write_token();
        subject
    }

    fn store(&self) -> Arc<dyn SecretStore> {
        self.store.clone()
    }

    async fn plant(&self, environment: &str, name: &str, content: &Content) {
        let path = format!("/api/v1/namespaces/windlass/secrets/{environment}.acme.{name}");
        self.fake.plant(path, content);
    }

    async fn forbid(&self, name: &str) {
        let path = format!("/api/v1/namespaces/windlass/secrets/production.acme.{name}");
        self.fake.forbid(&path);
    }

    async fn hang(&self) {
        self.fake.set(Mode::Hanging);
    }

    async fn stop(&mut self) {
        self.fake.stop().await;
    }

    async fn answer(&self, status: u16, body: &str) {
        self.fake.set(Mode::Broken(status, body.to_owned()));
    }

    async fn revoke(&self) {
        self.fake.revoke();
        self.write_token();
    }
}

contract!(super::Kubernetes:
    text, structured, unicode, large, missing, forbidden, gone, slow, broken, rotated, environments,
    revoked);

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_those_of_the_resource_and_other_namespaces_can_be_named() {
    let kubernetes = Kubernetes::start("10s").await;
    let path = "/api/v1/namespaces/shared-test/secrets/db".to_owned();
    kubernetes.fake.plant(path, &Content::Fields(vec![("password", "p"), ("user", "u")]));
    let own = json!({"path": "shared-{environment}/db", "field": "password"});
    let store = store(json!({"address": kubernetes.fake.url(), "secret": {"db": own},
        "token-file": kubernetes.folder.path().join("token")}));
    let store: Arc<dyn SecretStore> = Arc::new(store);
    let found = read(&store, "test", "db").await.unwrap();
    assert_eq!((found.value, found.version.as_deref()), (json!("p"), Some("1")));
    assert_eq!(read(&store, "production", "db").await, Err(SecretError::Missing));
    assert_eq!(read(&store, "te/st", "db").await, Err(SecretError::Missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_its_token_is_told_so() {
    let kubernetes = Kubernetes::start("10s").await;
    std::fs::remove_file(kubernetes.folder.path().join("token")).unwrap();
    let reason = super::stores::unavailable(read(&kubernetes.store(), "test", "db").await);
    assert!(reason.contains("credential"), "{reason}");
    assert_eq!(kubernetes.fake.count("/"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_is_known_by_the_authority_of_the_cluster_only() {
    let held = Held { content: Content::text("x"), version: 1, forbidden: false };
    let stub = Stub::https(&["localhost"], move |_| Reply::Json(200, object(&held))).await;
    let other = Stub::https(&["localhost"], |_| Reply::Never).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "t").unwrap();
    let trusting = |ca_file| -> Arc<dyn SecretStore> {
        let address = format!("https://localhost:{}", stub.address.port());
        Arc::new(store(json!({"address": address, "namespace": "windlass", "token-file": token,
            "ca-file": ca_file})))
    };
    let found = read(&trusting(stub.ca_file()), "test", "key").await;
    assert_eq!(found.unwrap().value, "x");
    let seen = stub.seen().len();
    super::stores::unavailable(read(&trusting(other.ca_file()), "test", "key").await);
    assert_eq!(stub.seen().len(), seen, "the token went to a stranger");
}

#[test]
fn unknown_settings_are_refused() {
    let settings = json!({"adress": "https://x"});
    assert!(serde_json::from_value::<KubernetesConfig>(settings).is_err());
    let config = json!({"address": "https://x", "ca-file": "/none"});
    let config: KubernetesConfig = serde_json::from_value(config).unwrap();
    let error = KubernetesSecrets::new(config).err().unwrap().to_string();
    assert!(error.contains("/none"), "{error}");
}
