//! A server that asks who somebody is, while it is attacked and while its files are replaced.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Asking;
use crate::load::setting;
use crate::support::client::Api;
use crate::support::tls::{Certificates, certificates};
use crate::support::until::{SOON, until};

/// Writes what a server is started with; gives the flags.
fn serving(folder: &Path, made: &Certificates) -> Vec<String> {
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name).display().to_string()
    };
    let (certificate, key) =
        (write("server.pem", &made.server.0), write("server.key", &made.server.1));
    ["--tls-cert".into(), certificate, "--tls-key".into(), key].into()
}

/// Tells how long calls took; judges nothing by that.
fn print(what: &str, mut taken: Vec<Duration>) {
    taken.sort();
    let at = |share: usize| taken[(taken.len() - 1) * share / 100];
    println!("{what}: {} calls, p50 {:?}, p99 {:?}", taken.len(), at(50), at(99));
}

/// Calls of somebody who is known, each of whom has to be, and of others, who must not be.
async fn calls(known: &Api, stranger: &Api, count: usize) -> Vec<Duration> {
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        assert_eq!(known.get("/v1/auth/whoami").await.ok()["subject"], "root");
        taken.push(begun.elapsed());
        stranger.get("/v1/auth/whoami").await.problem(401);
    }
    taken
}

/// `WINDLASS_HANDSHAKES` makes it large; past some thousand the limit of descriptors of the test has
/// to be as well.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_handshakes_keep_nobody_out_who_is_known() {
    let made = certificates(&["127.0.0.1"]);
    let folder = tempfile::tempdir().unwrap();
    let mut flags = serving(folder.path(), &made);
    flags.extend(["--max-connections", "128", "--max-client-connections", "128"].map(String::from));
    let asking = Asking::with("", &flags).await;
    let url = asking.dev.api.base();
    let stranger = Api::trusting(&url, &made.authority);
    let root = stranger.bearing(&asking.admin);
    print("quiet", calls(&root, &stranger, 30).await);
    let at: SocketAddr = url.trim_start_matches("https://").parse().unwrap();
    let count = setting("WINDLASS_HANDSHAKES", 400);
    let mut held = Vec::new();
    let mut taken = Vec::new();
    for turn in 0..count {
        // One that is refused at once holds nothing.
        let Ok(mut stream) = TcpStream::connect(at).await else { continue };
        // Silent, the head of a record whose rest never comes, or something else altogether.
        let said: &[u8] = match turn % 3 {
            0 => &[],
            1 => &[22, 3, 1, 2, 0, 1],
            _ => &[22, 3],
        };
        let _ = stream.write_all(said).await;
        held.push(stream);
        if turn % 20 == 0 {
            taken.extend(calls(&root, &stranger, 1).await);
        }
    }
    taken.extend(calls(&root, &stranger, 30).await);
    print("among half-open handshakes", taken);
    // Whoever comes now gets in as well.
    let fresh = Api::trusting(&url, &made.authority).bearing(&asking.admin);
    fresh.get("/v1/auth/whoami").await.ok();
    drop(held);
}

/// How often each file is replaced.
const REPLACED: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn files_are_replaced_under_load_and_no_request_is_answered_wrongly() {
    let all = [certificates(&["127.0.0.1"]), certificates(&["127.0.0.1"])];
    let folder = tempfile::tempdir().unwrap();
    let asking = Asking::with("", &serving(folder.path(), &all[0])).await;
    let url = asking.dev.api.base();
    let both = format!("{}{}", all[0].authority, all[1].authority);
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = JoinSet::new();
    for fresh in [false, false, true, true] {
        let (url, both, admin) = (url.clone(), both.clone(), asking.admin.clone());
        let (over, answered) = (over.clone(), answered.clone());
        load.spawn(async move {
            let client = || Api::trusting_all(&url, &both);
            let mut stranger = client();
            while !over.load(Ordering::Relaxed) {
                // Some hold their connections, others make one for each call.
                if fresh {
                    stranger = client();
                }
                calls(&stranger.bearing(&admin), &stranger, 1).await;
                answered.fetch_add(2, Ordering::Relaxed);
            }
        });
    }
    let root = Api::trusting_all(&url, &both).bearing(&asking.admin);
    for turn in 0..REPLACED {
        let role = format!("[roles.own-{turn}]\npermissions = [\"workflow.read\"]\n");
        asking.rewrite(&role);
        let made = json!({"name": "t", "expiresAt": super::in_an_hour(),
            "grants": [{"role": format!("own-{turn}"), "namespaces": ["*"]}]});
        let counts = async || (root.post("/v1/tokens", &made).await.status == 201).then_some(());
        until(SOON, "the new file", counts).await;

        let next = &all[(turn + 1) % 2];
        serving(folder.path(), next);
        let shown = async || {
            let client = Api::trusting(&url, &next.authority);
            Api::send(client.request(reqwest::Method::GET, "/healthz")).await.ok().map(drop)
        };
        until(SOON, "the new certificate", shown).await;
    }
    over.store(true, Ordering::Relaxed);
    load.join_all().await;
    let answered = answered.load(Ordering::Relaxed);
    println!("{answered} requests were answered as they have to be");
    assert!(answered > 0);
}
