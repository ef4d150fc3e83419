//! A load of workflows that faults are put upon: each accepted one must end once, with the right
//! output, and no side effect may be lost or repeated under another key.

mod check;
mod drive;
mod instance;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::client::Api;
use crate::support::stub::{Reply, Stub};
use instance::Instance;

/// How long the last instance may take after the last fault.
const DRAIN: Duration = Duration::from_secs(240);
/// How many times a flaky step fails before it succeeds.
const FAILURES: usize = 2;
/// How long a slow step takes: long enough that faults hit it while it is performed.
const SLOW: Duration = Duration::from_millis(600);
/// Clients that start instances at the same time.
const STARTERS: usize = 8;

/// Instances to start, the server that counts their steps, and the clients at work.
pub(crate) struct Load {
    stub: Stub,
    instances: Arc<Vec<Instance>>,
    /// How many of them may have been started by now.
    allowed: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// `count` instances with random ids and inputs; none is started yet.
    pub(crate) async fn new(count: usize, random: &mut fastrand::Rng) -> Self {
        let instances = Arc::new(instance::instances(count, random));
        let stub = counting_server().await;
        Self { stub, instances, allowed: Arc::default(), clients: Vec::new() }
    }

    /// Deploys the workflows and sets the clients to work, as far as `allow` lets them.
    pub(crate) async fn begin(&mut self, api: &Api) {
        for text in instance::definitions(&self.stub.url("")) {
            api.deploy(&text).await;
        }
        let next = Arc::new(AtomicUsize::new(0));
        for _ in 0..STARTERS {
            let instances = self.instances.clone();
            let start =
                drive::start_all(api.clone(), instances, next.clone(), self.allowed.clone());
            self.clients.push(tokio::spawn(start));
        }
        for listener in self.instances.iter().filter(|it| it.needs_event()) {
            let send = drive::send_event(api.clone(), listener.clone());
            self.clients.push(tokio::spawn(send));
        }
    }

    /// Lets the part of the instances be started that `done` is of `all`.
    pub(crate) fn allow(&self, done: u64, all: u64) {
        let share = self.instances.len() as u64 * done.min(all) / all.max(1);
        self.allowed.fetch_max(usize::try_from(share).unwrap(), Ordering::SeqCst);
    }

    /// Starts what is left, waits until all have ended and checks everything; the server must be
    /// reachable from now on. Gives the outcomes by id.
    pub(crate) async fn finish(&mut self, api: &Api) -> HashMap<String, Value> {
        self.allow(1, 1);
        for client in self.clients.drain(..) {
            client.await.unwrap();
        }
        let outcomes = drive::drain(api, &self.instances).await;
        check::outputs(&self.instances, &outcomes);
        check::histories(api, &self.instances).await;
        check::effects(&self.stub, &self.instances);
        outcomes
    }

    /// Checks that what was an outcome still is.
    pub(crate) async fn check_unchanged(&self, api: &Api, outcomes: &HashMap<String, Value>) {
        for instance in self.instances.iter() {
            let view = api.show(&instance.id).await;
            let before = &outcomes[&instance.id];
            assert_eq!((&view["status"], &view["output"]), (&before["status"], &before["output"]));
        }
    }
}

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

/// Answers with the path asked for; steps named `flaky` fail twice first, those named `slow` take
/// their time.
async fn counting_server() -> Stub {
    let failed: Mutex<HashMap<String, usize>> = Mutex::default();
    Stub::http(move |seen| {
        let answer = Reply::Json(200, json!({"step": seen.path}));
        if seen.path.starts_with("/slow/") {
            return Reply::After(SLOW, Box::new(answer));
        }
        if seen.path.starts_with("/flaky/") {
            let mut failed = failed.lock().unwrap();
            let count = failed.entry(seen.path.clone()).or_default();
            if *count < FAILURES {
                *count += 1;
                return Reply::Text(503, "not yet".into());
            }
        }
        answer
    })
    .await
}
