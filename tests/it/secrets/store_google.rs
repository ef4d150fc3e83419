//! Secrets of Google's Secret Manager, against a stand-in for it, for the metadata server and for
//! the server of tokens.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use windlass_worker::{GoogleConfig, GoogleSecrets, SecretError, SecretStore};

use super::stores::{Content, Fake, Mode, Subject, contract, read, unavailable};
use crate::support::stub::{Reply, Seen};

const MACHINE: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
/// A key made for this test, which opens nothing, and its public modulus.
const KEY: &str = include_str!("store_google/key.pem");
const MODULUS: &str = "unJI9_QL0gOfnxVPjJX7oIKkVe9geCbqeEH2IC5oDi3VFu4kNWUFn-f0dAO_auA0R_gz1qjy-mRRFmeTl8n5v7mu5dS2QcI5mSMe6hs4STK9_iBeqzNz3x37-j8Obs_DafLJvgoIBf4pzWViPJw6QUOqT9wYFia3Lg0mSG9_YKYF_uLJJjaL7ka8rE2SS0lJ8WGM8tUumPhcqVjaJSnKDRzMQRTQJFl1_vB6XAiZZ7o2gWC_i91d5rACNPjKFmsunSIiwRnQ7mTjuK9DcA6_4PL7O7aqSLhuV_cls6xW6x67yn749HgXrLYFIkasCfShE8Ir6qJhgfHO7LhWGSnMMw";

struct Google {
    fake: Fake,
    store: Arc<GoogleSecrets>,
}

fn refused(code: u16, status: &str) -> Reply {
    let message = format!("projects/7/secrets/production__acme__key: {status}");
    Reply::Json(code, json!({"error": {"code": code, "status": status, "message": message}}))
}

/// Answers whoever asks for a token in the right way.
fn token(seen: &Seen, token: &str) -> Option<Reply> {
    let asked = match seen.path.as_str() {
        MACHINE => seen.header("metadata-flavor") == Some("Google"),
        "/token" => proves(&seen.body, seen.header("host").unwrap_or_default()),
        _ => return None,
    };
    Some(if asked {
        Reply::Json(200, json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}))
    } else {
        Reply::Json(400, json!({"error": "invalid_grant"}))
    })
}

/// Whether a form has an assertion signed with the key.
fn proves(form: &str, host: &str) -> bool {
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let Some(assertion) = form.strip_prefix(grant) else { return false };
    let key = DecodingKey::from_rsa_components(MODULUS, "AQAB").unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[format!("http://{host}/token")]);
    rules.set_issuer(&["worker@p.iam.gserviceaccount.com"]);
    let Ok(token) = jsonwebtoken::decode::<Value>(assertion, &key, &rules) else { return false };
    let claims = token.claims;
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    token.header.kid.as_deref() == Some("key-1")
        && life == 3_600
        && claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
}

/// The checksum of what follows, when it is one of the texts below.
const KNOWN: (&str, &str) = ("123456789", "3808858755");

async fn manager() -> Fake {
    Fake::start(|state, seen| {
        if let Some(reply) = token(seen, &state.token()) {
            return reply;
        }
        if let Some(fault) = state.fault() {
            return fault;
        }
        if !state.knows(seen) {
            return refused(401, "UNAUTHENTICATED");
        }
        let place = seen.path.strip_suffix("/versions/latest:access");
        let secrets = state.secrets.lock().unwrap();
        let held = place.and_then(|it| secrets.get(it));
        let Some(held) = held else { return refused(404, "NOT_FOUND") };
        if held.forbidden {
            return refused(403, "PERMISSION_DENIED");
        }
        let text = held.content.document();
        let name = format!("projects/7/secrets/n/versions/{}", held.version);
        let mut payload = json!({"data": STANDARD.encode(&text)});
        if text.starts_with(KNOWN.0) {
            payload["dataCrc32c"] = json!(KNOWN.1);
        }
        Reply::Json(200, json!({"name": name, "payload": payload}))
    })
    .await
}

fn store(settings: Value) -> Arc<dyn SecretStore> {
    let config: GoogleConfig = serde_json::from_value(settings).unwrap();
    Arc::new(GoogleSecrets::new(config).unwrap())
}

fn place(environment: &str, name: &str) -> String {
    format!("/v1/projects/project-1/secrets/{environment}__acme__{name}")
}

impl Subject for Google {
    async fn start(timeout: &str) -> Self {
        let fake = manager().await;
        let auth = json!({"method": "metadata", "endpoint": fake.url()});
        let settings = json!({"project": "project-1", "endpoint": fake.url(), "auth": auth,
            "timeout": timeout});
        let config: GoogleConfig = serde_json::from_value(settings).unwrap();
        Self { fake, store: Arc::new(GoogleSecrets::new(config).unwrap()) }
    }

    fn store(&self) -> Arc<dyn SecretStore> {
        self.store.clone()
    }

    async fn plant(&self, environment: &str, name: &str, content: &Content) {
        self.fake.plant(place(environment, name), content);
    }

    async fn forbid(&self, name: &str) {
        self.fake.forbid(&place("production", name));
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

contract!(super::Google:
    text, structured, unicode, large, missing, forbidden, gone, slow, broken, rotated, environments,
    revoked);

#[tokio::test(flavor = "multi_thread")]
async fn damaged_payloads_and_destroyed_versions_are_noticed() {
    let google = Google::start("10s").await;
    let store = google.store();
    google.plant("production", "key", &Content::text(KNOWN.0)).await;
    let found = read(&store, "production", "key").await.unwrap();
    assert_eq!((found.value, found.version.as_deref()), (json!(KNOWN.0), Some("1")));
    google.plant("production", "key", &Content::text(format!("{} and more", KNOWN.0))).await;
    let reason = unavailable(read(&store, "production", "key").await);
    assert!(reason.contains("damaged"), "{reason}");
    let body = json!({"error": {"code": 400, "status": "FAILED_PRECONDITION"}});
    google.answer(400, &body.to_string()).await;
    assert_eq!(read(&store, "production", "key").await, Err(SecretError::Missing));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_signs_for_its_tokens() {
    let fake = manager().await;
    fake.plant(place("production", "key"), &Content::text("x"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    let key = |email: &str| {
        json!({"type": "service_account", "client_email": email, "private_key_id": "key-1",
            "private_key": KEY, "token_uri": format!("{}/token", fake.url())})
    };
    let write = |email: &str| std::fs::write(&file, key(email).to_string()).unwrap();
    write("other@p.iam.gserviceaccount.com");
    let auth = json!({"method": "service-account", "key-file": file});
    let settings = json!({"project": "project-1", "endpoint": fake.url(), "auth": auth});
    let store = store(settings.clone());
    assert_eq!(read(&store, "production", "key").await, Err(SecretError::Forbidden));
    write("worker@p.iam.gserviceaccount.com");
    assert_eq!(read(&store, "production", "key").await.unwrap().value, "x");

    for bad in ["{}".to_owned(), key("w").to_string().replace("PRIVATE KEY", "NO KEY")] {
        std::fs::write(&file, bad).unwrap();
        let config: GoogleConfig = serde_json::from_value(settings.clone()).unwrap();
        let error = GoogleSecrets::new(config).err().unwrap().to_string();
        assert!(error.contains("key.json") && !error.contains("MII"), "{error}");
    }
}
