//! Secrets of Azure Key Vault, against a stand-in for it, for the metadata service and for Entra
//! ID.

use std::sync::Arc;

use serde_json::{Value, json};
use windlass_worker::{AzureConfig, AzureSecrets, SecretError, SecretStore};

use super::stores::{Content, Fake, Mode, Subject, contract, read, unavailable};
use crate::support::stub::{Reply, Seen};

const MACHINE: &str = "/metadata/identity/oauth2/token";
const DIRECTORY: &str = "/tenant-1/oauth2/v2.0/token";

struct Azure {
    fake: Fake,
    store: Arc<AzureSecrets>,
}

fn refused(status: u16, code: &str) -> Reply {
    let message = format!("production--acme--key: {code}");
    Reply::Json(status, json!({"error": {"code": code, "message": message}}))
}

/// The fields of a form, or a query.
fn fields(text: &str) -> Value {
    text.split('&')
        .filter_map(|it| it.split_once('='))
        .map(|(key, it)| (key.to_owned(), it.to_owned()))
        .map(|(key, it)| {
            let it = percent_encoding::percent_decode_str(&it).decode_utf8_lossy().into_owned();
            (key, json!(it))
        })
        .collect()
}

/// Answers whoever asks for a token in the right way.
fn token(seen: &Seen, token: &str) -> Option<Reply> {
    let asked = match seen.path.as_str() {
        MACHINE => {
            let query = fields(&seen.query);
            seen.header("metadata") == Some("true")
                && query["api-version"] == "2018-02-01"
                && query["resource"] == "https://vault.azure.net"
        }
        DIRECTORY => {
            let form = fields(&seen.body);
            let federated = form["client_assertion"] == "federated"
                && form["client_assertion_type"]
                    == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            (federated || form["client_secret"] == "s3cret")
                && form["client_id"] == "app"
                && form["grant_type"] == "client_credentials"
                && form["scope"] == "https://vault.azure.net/.default"
        }
        _ => return None,
    };
    Some(if asked {
        // The machine's service writes numbers as texts.
        let life = if seen.path == MACHINE { json!("3599") } else { json!(3599) };
        Reply::Json(200, json!({"access_token": token, "expires_in": life, "token_type": "Bearer"}))
    } else {
        Reply::Json(400, json!({"error": "invalid_client", "error_description": seen.body}))
    })
}

async fn vault() -> Fake {
    Fake::start(|state, seen| {
        if let Some(reply) = token(seen, &state.token()) {
            return reply;
        }
        if let Some(fault) = state.fault() {
            return fault;
        }
        if !state.knows(seen) {
            return refused(401, "Unauthorized");
        }
        assert_eq!(seen.query, "api-version=7.4");
        let secrets = state.secrets.lock().unwrap();
        let Some(held) = secrets.get(&seen.path) else { return refused(404, "SecretNotFound") };
        if held.forbidden {
            return refused(403, "Forbidden");
        }
        let structured = matches!(held.content, Content::Fields(_));
        let id = format!("https://v.vault.azure.net{}/{:032x}", seen.path, held.version);
        let mut bundle = json!({"value": held.content.document(), "id": id,
            "attributes": {"enabled": true}});
        if structured {
            bundle["contentType"] = json!("application/json; charset=utf-8");
        }
        Reply::Json(200, bundle)
    })
    .await
}

fn store(settings: Value) -> Arc<AzureSecrets> {
    let config: AzureConfig = serde_json::from_value(settings).unwrap();
    Arc::new(AzureSecrets::new(config).unwrap())
}

impl Subject for Azure {
    async fn start(timeout: &str) -> Self {
        let fake = vault().await;
        let auth = json!({"method": "managed-identity", "endpoint": fake.url()});
        let store = store(json!({"vault": fake.url(), "timeout": timeout, "auth": auth}));
        Self { fake, store }
    }

    fn store(&self) -> Arc<dyn SecretStore> {
        self.store.clone()
    }

    async fn plant(&self, environment: &str, name: &str, content: &Content) {
        self.fake.plant(format!("/secrets/{environment}--acme--{name}"), content);
    }

    async fn forbid(&self, name: &str) {
        self.fake.forbid(&format!("/secrets/production--acme--{name}"));
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
    }
}

contract!(super::Azure:
    text, structured, unicode, large, missing, forbidden, gone, slow, broken, rotated, environments,
    revoked);

#[tokio::test(flavor = "multi_thread")]
async fn one_token_serves_until_it_is_refused() {
    let azure = Azure::start("10s").await;
    let store = azure.store();
    azure.plant("production", "key", &Content::text("x")).await;
    let reads = (0..8).map(|_| read(&store, "production", "key"));
    let all = futures_util::future::join_all(reads).await;
    assert!(all.iter().all(|it| it.as_ref().unwrap().value == "x"), "{all:?}");
    let version = all[0].as_ref().unwrap().version.clone();
    assert_eq!(version.as_deref(), Some("00000000000000000000000000000001"));
    assert_eq!(azure.fake.count(MACHINE), 1);
    azure.revoke().await;
    read(&store, "production", "key").await.unwrap();
    assert_eq!(azure.fake.count(MACHINE), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_prove_themselves_by_a_federated_token_or_a_secret() {
    let fake = vault().await;
    fake.plant("/secrets/production--acme--key".to_owned(), &Content::text("x"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proof");
    let url = fake.url();
    let both = [
        (
            "federated",
            json!({"method": "workload-identity", "tenant-id": "tenant-1",
            "client-id": "app", "token-file": file, "authority": url}),
        ),
        (
            "s3cret",
            json!({"method": "client-secret", "tenant-id": "tenant-1", "client-id": "app",
            "secret-file": file, "authority": url}),
        ),
    ];
    for (proof, auth) in both {
        let store = store(json!({"vault": url, "auth": auth}));
        let store: Arc<dyn SecretStore> = store;
        std::fs::write(&file, "stale\n").unwrap();
        let found = read(&store, "production", "key").await;
        assert_eq!(found, Err(SecretError::Forbidden), "{proof}");
        std::fs::write(&file, format!("{proof}\n")).unwrap();
        assert_eq!(read(&store, "production", "key").await.unwrap().value, "x", "{proof}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metadata_service_that_is_not_ready_is_not_a_refusal() {
    let azure = Azure::start("10s").await;
    azure.plant("production", "key", &Content::text("x")).await;
    let busy = Fake::start(|_, _| Reply::Text(429, "later".to_owned())).await;
    let auth = json!({"method": "managed-identity", "endpoint": busy.url()});
    let store: Arc<dyn SecretStore> = store(json!({"vault": azure.fake.url(), "auth": auth}));
    let reason = unavailable(read(&store, "production", "key").await);
    assert!(reason.contains("429"), "{reason}");
    assert_eq!(azure.fake.count("/secrets"), 0);
}

#[test]
fn unknown_settings_are_refused() {
    for auth in [
        json!({"method": "managed-identity", "tenant-id": "t"}),
        json!({"method": "client-secret", "tenant-id": "t", "client-id": "c", "secret": "s"}),
        json!({"method": "password"}),
    ] {
        let config = json!({"vault": "https://v.vault.azure.net", "auth": auth});
        assert!(serde_json::from_value::<AzureConfig>(config.clone()).is_err(), "{config}");
    }
}
