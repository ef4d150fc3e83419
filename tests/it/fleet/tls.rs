//! A bus that asks for certificates and NKEYs.

use std::path::PathBuf;

use nkeys::KeyPair;
use serde_json::json;

use super::{Gate, call};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::tls::{Certificates, certificates};
use crate::support::until::{SOON, until};

/// Certificates and seeds in files, as operators hand them out.
struct Handed {
    folder: tempfile::TempDir,
    coordinator: KeyPair,
    worker: KeyPair,
}

impl Handed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let Certificates { authority, server, client } = certificates(&["127.0.0.1"]);
        let (coordinator, worker) = (KeyPair::new_user(), KeyPair::new_user());
        for (name, text) in [
            ("ca.pem", authority),
            ("server.pem", server.0),
            ("server.key", server.1),
            ("client.pem", client.0),
            ("client.key", client.1),
            ("coordinator.nk", coordinator.seed().unwrap()),
            ("worker.nk", worker.seed().unwrap()),
        ] {
            std::fs::write(folder.path().join(name), format!("{text}\n")).unwrap();
        }
        Self { folder, coordinator, worker }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the server is told.
    fn configuration(&self) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}\n\
             authorization {{ users: [ {{ nkey: {} }}, {{ nkey: {} }} ] }}",
            path("server.pem"),
            path("server.key"),
            path("ca.pem"),
            self.coordinator.public_key(),
            self.worker.public_key()
        )
    }

    /// What a process is told.
    fn flags(&self, seed: &str) -> Vec<String> {
        let all = [
            ("--nats-ca", "ca.pem"),
            ("--nats-cert", "client.pem"),
            ("--nats-key", "client.key"),
            ("--nats-nkey", seed),
        ];
        all.iter()
            .flat_map(|(flag, name)| [(*flag).to_owned(), self.path(name).display().to_string()])
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_shows_its_certificates_and_keys() {
    let (gate, handed) = (Gate::new().await, Handed::new());
    let nats = Nats::with(&handed.configuration()).await;
    let mut layout = Layout::on(&nats.url(), 1).worker(&handed.flags("worker.nk"));
    layout.coordinator_flags = handed.flags("coordinator.nk");
    let fleet = Fleet::with(layout).await;
    let workflow = gate.deploy(&fleet).await;
    let view = fleet.api.run(&workflow, &call("quick", "a")).await;
    assert_eq!(view["output"], json!({"path": "/quick/a"}), "{view}");
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_may_want_the_handshake_first() {
    let (gate, handed) = (Gate::new().await, Handed::new());
    let first =
        handed.configuration().replace("verify: true", "verify: true, handshake_first: true");
    let nats = Nats::with(&first).await;
    let told = |seed| [handed.flags(seed), vec!["--nats-tls-first".to_owned()]].concat();
    let mut layout = Layout::on(&nats.url(), 1).worker(&told("worker.nk"));
    layout.coordinator_flags = told("coordinator.nk");
    let fleet = Fleet::with(layout).await;
    let workflow = gate.deploy(&fleet).await;
    let view = fleet.api.run(&workflow, &call("quick", "a")).await;
    assert_eq!(view["output"], json!({"path": "/quick/a"}), "{view}");
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_certificate_stays_outside() {
    let handed = Handed::new();
    let nats = Nats::with(&handed.configuration()).await;
    let mut layout = Layout::on(&nats.url(), 1);
    layout.coordinator_flags = handed.flags("coordinator.nk");
    let mut fleet = Fleet::prepare(layout).await;
    let flags = handed.flags("worker.nk");
    // All but the certificate and its key.
    fleet.workers[0].arguments.extend(flags[..2].iter().chain(&flags[6..]).cloned());
    fleet.coordinator.launch();
    fleet.coordinator_ready().await;
    fleet.workers[0].launch();
    until(SOON, "the server refusing the connection", || async {
        nats.stderr().contains("TLS handshake error").then_some(())
    })
    .await;
    let workers = fleet.api.get("/v1/workers").await.ok();
    assert_eq!(workers["items"], json!([]));
}
