//! What is kept of a login while several commands have to do with it.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::watch;

use crate::support::binary;
use crate::support::command::finish;
use crate::support::process::Process;
use crate::support::stub::{Reply, Seen, Stub};
use crate::support::until::{SOON, until, within};

/// A server that is a provider as well, and somebody who is logged in with a token that has ended.
struct Somebody {
    stub: Stub,
    home: tempfile::TempDir,
}

impl Somebody {
    async fn new(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let somebody = Self { stub: Stub::http(answer).await, home: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(somebody.place().parent().unwrap()).unwrap();
        let kept = json!({
            "token": "a.b.c", "issuedAt": 1, "expiresAt": 2,
            "refresh": {"refreshToken": "first", "client": "windlass-cli",
                "tokenEndpoint": somebody.stub.url("/token"),
                "revocationEndpoint": somebody.stub.url("/revoke")},
        });
        std::fs::write(somebody.place(), kept.to_string()).unwrap();
        somebody
    }

    fn place(&self) -> PathBuf {
        let name = format!("http_127.0.0.1_{}", self.stub.address.port());
        self.home.path().join("windlass/tokens").join(name)
    }

    fn kept(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.place()).unwrap()).unwrap()
    }

    fn windlass(&self, command: &str) -> Process {
        let mut started = Command::new(binary::windlass());
        started.args([command, "--url", &self.stub.url("")]);
        for name in ["WINDLASS_PROFILE", "WINDLASS_TOKEN", "WINDLASS_TOKEN_FILE"] {
            started.env_remove(name);
        }
        started.env("XDG_CONFIG_HOME", self.home.path());
        Process::spawn(started)
    }

    /// Which refresh tokens came to a path, in order.
    fn shown(&self, path: &str, field: &str) -> Vec<String> {
        let seen = self.stub.seen();
        let of = |body: &str| {
            let field = format!("{field}=");
            body.split('&').find_map(|it| it.strip_prefix(&field).map(str::to_owned))
        };
        seen.iter().filter(|it| it.path == path).filter_map(|it| of(&it.body)).collect()
    }
}

/// Somebody whose `list` waits for a renewal until the gate is open.
async fn renewing() -> (Somebody, Process, watch::Sender<bool>) {
    let (open, gate) = watch::channel(false);
    let somebody = Somebody::new(move |seen| match seen.path.as_str() {
        "/token" => {
            let tokens = json!({"access_token": "d.e.f", "refresh_token": "second"});
            Reply::Gated(gate.clone(), Box::new(Reply::Json(200, tokens)))
        }
        _ => Reply::Json(200, json!({"items": []})),
    })
    .await;
    let listing = somebody.windlass("list");
    until(SOON, "a renewal", || async { (somebody.stub.count("/token") == 1).then_some(()) }).await;
    (somebody, listing, open)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_under_way_brings_nothing_back_after_a_logout() {
    let (somebody, listing, open) = renewing().await;
    let leaving = somebody.windlass("logout");
    open.send(true).unwrap();
    within(SOON, "the end of the logout", finish(leaving)).await.exits(0);
    // Whichever of the two was first: there is nobody, or there is a new token for this command.
    within(SOON, "the end of the list", finish(listing)).await;
    assert!(!somebody.place().exists(), "nobody is logged in");
    // And nothing that came is left with the provider.
    assert_eq!(somebody.shown("/revoke", "token"), ["second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_writes_over_nothing_that_came_meanwhile() {
    let (somebody, listing, open) = renewing().await;
    // Of somebody who knows of no lock.
    let other = json!({"token": "x.y.z", "issuedAt": 1});
    std::fs::write(somebody.place(), other.to_string()).unwrap();
    open.send(true).unwrap();
    within(SOON, "the end of the list", finish(listing)).await.exits(0);
    assert_eq!(somebody.kept(), other);
    assert_eq!(somebody.shown("/revoke", "token"), ["second"]);
    let seen = somebody.stub.seen();
    let last = seen.iter().find(|it| it.path == "/v1/instances").unwrap();
    assert_eq!(last.header("authorization"), Some("Bearer x.y.z"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_counts_once_also_where_nothing_useful_came() {
    let somebody = Somebody::new(|_| {
        Reply::Json(200, json!({"access_token": "opaque", "refresh_token": "second"}))
    })
    .await;
    for _ in 0..2 {
        let refused = finish(somebody.windlass("list")).await.exits(1);
        assert!(refused.stderr.contains("no signed token"), "{refused:?}");
    }
    assert_eq!(somebody.shown("/token", "refresh_token"), ["first", "second"]);
    assert_eq!(somebody.kept()["refresh"]["refreshToken"], "second");
}
