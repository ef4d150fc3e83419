//! Coordinator and workers as processes of their own, over a real NATS server.

mod backlog;
mod bus;
mod credentials;
mod egress;
mod failover;
mod health;
mod logs;
mod poison;
mod rogue;
mod size;
mod tls;
mod trail;
mod trust;
mod variants;
mod whereabouts;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::ctk::{self, hosts};
use crate::support::command::{Output, windlass};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};
use crate::support::{paths, skip};

/// Runs a client command against the coordinator.
async fn at(fleet: &Fleet, arguments: &[&str]) -> Output {
    let url = fleet.api.base();
    let mut all = arguments.to_vec();
    all.extend(["--url", &url]);
    windlass(&all).await
}

/// A server whose `/held/…` answers only once the gate is open; everything else at once.
pub(crate) struct Gate {
    pub(crate) stub: Stub,
    open: watch::Sender<bool>,
}

impl Gate {
    pub(crate) async fn new() -> Self {
        let (open, opened) = watch::channel(false);
        let stub = Stub::http(move |seen| {
            let answer = Reply::Json(200, json!({"path": seen.path}));
            if seen.path.starts_with("/held/") {
                Reply::Gated(opened.clone(), Box::new(answer))
            } else {
                answer
            }
        })
        .await;
        Self { stub, open }
    }

    /// Deploys a workflow that makes one call, to the path in its input.
    pub(crate) async fn deploy(&self, fleet: &Fleet) -> Value {
        let endpoint = self.stub.url("/{kind}/{id}");
        let text = format!(
            "document: {{dsl: '1.0.3', namespace: fleet, name: call, version: '1.0.0'}}\n\
             do:\n- call: {{call: http, with: {{method: post, endpoint: '{endpoint}'}}}}\n"
        );
        fleet.api.deploy(&text).await
    }

    /// Waits until this path was asked for so often.
    pub(crate) async fn reached(&self, path: &str, times: usize) {
        until(SOON, &format!("request number {times} to {path}"), || async {
            (self.stub.count(path) >= times).then_some(())
        })
        .await;
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}

pub(crate) fn call(kind: &str, id: &str) -> Value {
    json!({"kind": kind, "id": id})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_run_over_nats() {
    let host = "jsonplaceholder.typicode.com";
    let stub = Stub::https(&[host], |seen| match seen.path.as_str() {
        "/todos/7" => Reply::Json(200, json!({"id": 7, "title": "haul", "completed": true})),
        _ => Reply::Text(404, "no such item".into()),
    })
    .await;
    let nats = Nats::start().await;
    let fleet = Fleet::with(Layout::on(&nats.url(), 1).worker(&stub.flags(&[host]))).await;
    let files = ["hello.yaml", "http.yaml"].map(|it| paths::example(it).display().to_string());
    at(&fleet, &["deploy", &files[0], &files[1]]).await.exits(0);

    let start = ["start", "examples/hello", "--wait", "30s", "--input", r#"{"name": "Ada"}"#];
    let hello = at(&fleet, &start).await.exits(0).json();
    assert_eq!(hello["output"], json!({"greeting": "Hello, Ada!"}));
    let start = ["start", "examples/http:1.0.0", "--wait", "30s", "--input", r#"{"id": 7}"#];
    let fetched = at(&fleet, &start).await.exits(0).json();
    assert_eq!(fetched["output"], json!({"title": "haul", "done": true}));
    let remote = format!("--remote={}", fleet.api.base());
    let run = ["run", &files[0], "--input", r#"{"name": "Bob"}"#, &remote];
    assert_eq!(windlass(&run).await.exits(0).json(), json!({"greeting": "Hello, Bob!"}));
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_of_the_conformance_kit_passes_over_nats() {
    let folders = ctk::folders();
    if folders.is_empty() {
        return skip("ctk over nats", ctk::MISSING, "ctk");
    }
    let stub = hosts::serve().await;
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 2).worker(&stub.flags(&hosts::HOSTS));
    // The kit's scenarios give one version several texts.
    let fleet = Fleet::with(layout.coordinator(&["--allow-replace"])).await;
    ctk::pass(&fleet.api, &folders, || fleet.stderr()).await;
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_workers_names_those_that_live() {
    let nats = Nats::start().await;
    let mut fleet = Fleet::with(Layout::on(&nats.url(), 2).coordinator(&["--lease", "2s"])).await;
    let names = async |fleet: &Fleet| {
        let list = at(fleet, &["worker", "list", "--output", "json"]).await.exits(0).json();
        let mut names = Vec::new();
        for item in list["items"].as_array().expect("a list") {
            // Each process adds a random part.
            let identity = item["identity"].as_str().unwrap();
            names.push(identity.rsplit_once('-').unwrap().0.to_owned());
            assert_eq!((&item["state"], &item["pool"]), (&json!("ready"), &json!("default")));
        }
        names
    };
    assert_eq!(names(&fleet).await, ["worker-0", "worker-1"]);
    let table = at(&fleet, &["worker", "list", "--output", "table"]).await.exits(0);
    assert!(table.stdout.contains("worker-1") && !table.stdout.contains('{'), "{table:?}");

    fleet.workers[0].kill().await;
    until(SOON, "the worker that died leaving the list", || async {
        (names(&fleet).await == ["worker-1"]).then_some(())
    })
    .await;
}
