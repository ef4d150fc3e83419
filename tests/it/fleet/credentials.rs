//! A bus whose users are signed by an operator: `--nats-creds`.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::{Gate, call};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until};

/// What an operator has: its own key, and that of the account everybody is in.
struct Operator {
    key: KeyPair,
    account: KeyPair,
    folder: tempfile::TempDir,
}

impl Operator {
    fn new() -> Self {
        let (key, account) = (KeyPair::new_operator(), KeyPair::new_account());
        Self { key, account, folder: tempfile::tempdir().unwrap() }
    }

    /// What the server is told.
    fn configuration(&self) -> String {
        let kind = json!({"type": "operator", "version": 2});
        let operator = token(&self.key, &self.key.public_key(), "operator", kind);
        let talk = ["subs", "data", "payload", "imports", "exports", "conn", "leaf"];
        let store = ["mem_storage", "disk_storage", "streams", "consumer"];
        let account = |id: &str, name, limits: &[&str]| {
            let mut limits: Value = limits.iter().map(|it| ((*it).to_owned(), json!(-1))).collect();
            limits["wildcards"] = json!(true);
            let kind = json!({"type": "account", "version": 2, "limits": limits});
            format!("{id}: {}", token(&self.key, id, name, kind))
        };
        // JetStream wants an account that keeps house, and stores nothing for it.
        let house = KeyPair::new_account().public_key();
        let fleet = self.account.public_key();
        let accounts = [
            account(&fleet, "fleet", &[&talk[..], &store[..]].concat()),
            account(&house, "house", &talk),
        ];
        format!(
            "operator: {operator}\nsystem_account: {house}\nresolver: MEMORY\n\
             resolver_preload: {{\n{}\n}}\n",
            accounts.join("\n")
        )
    }

    /// A file of credentials for a user who may publish and hear these subjects, signed by `by`.
    fn user(&self, by: &KeyPair, name: &str, publish: &[&str], hear: &[&str]) -> PathBuf {
        let user = KeyPair::new_user();
        let kind = json!({
            "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
            "pub": {"allow": publish}, "sub": {"allow": hear},
        });
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            token(by, &user.public_key(), name, kind),
            user.seed().unwrap()
        );
        let path = self.folder.path().join(format!("{name}.creds"));
        std::fs::write(&path, text).unwrap();
        path
    }

    /// For the coordinator: everything that it has to do with.
    fn coordinator(&self) -> PathBuf {
        self.user(&self.account, "coordinator", &[">"], &[">"])
    }

    /// For workers: what they say to the coordinator and hear from it.
    fn worker(&self, by: &KeyPair, name: &str) -> PathBuf {
        let (says, hears) = (["windlass.coordinator.>"], ["windlass.worker.>", "_INBOX.>"]);
        self.user(by, name, &says, &hears)
    }
}

/// A token of NATS: about `subject`, signed by `issuer`.
fn token(issuer: &KeyPair, subject: &str, name: &str, about: Value) -> String {
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let claims = json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": name,
        "sub": subject, "nats": about,
    });
    let encoded = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn flags(path: PathBuf) -> [String; 2] {
    ["--nats-creds".to_owned(), path.display().to_string()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_shows_what_an_operator_signed() {
    let (gate, operator) = (Gate::new().await, Operator::new());
    let nats = Nats::with(&operator.configuration()).await;
    let worker = operator.worker(&operator.account, "worker");
    let mut layout = Layout::on(&nats.url(), 1).worker(&flags(worker));
    layout.coordinator_flags = flags(operator.coordinator()).into();
    let mut fleet = Fleet::with(layout).await;
    let workflow = gate.deploy(&fleet).await;
    let view = fleet.api.run(&workflow, &call("quick", "a")).await;
    assert_eq!(view["output"], json!({"path": "/quick/a"}), "{view}");
    let log = nats.stderr();
    assert!(!log.contains("Permissions Violation"), "{log}");
    fleet.assert_sound();

    // Somebody whom another account signed.
    let stranger = operator.worker(&KeyPair::new_account(), "stranger");
    let place = fleet.add_worker(&nats.url());
    let arguments = &mut fleet.workers[place].arguments;
    let last = arguments.len() - 1;
    arguments[last] = stranger.display().to_string();
    fleet.workers[place].launch();
    until(SOON, "the server refusing the stranger", || async {
        nats.stderr().contains("authentication error").then_some(())
    })
    .await;
    let workers = fleet.api.get("/v1/workers").await.ok();
    assert_eq!(workers["items"].as_array().map(Vec::len), Some(1), "{workers}");
}
