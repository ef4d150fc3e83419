//! Workers over HTTP: the example in Python, and what the server answers whoever asks.

mod hostile;

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::client::{Answer, Api};
use crate::support::dev::Dev;
use crate::support::fleet::Fleet;
use crate::support::paths;
use crate::support::process::Process;
use crate::support::until::{SOON, until};

/// The worker with the functions of `functions.py`, and the folder where they note what they do.
struct Python {
    process: Process,
}

impl Python {
    async fn start(url: &str, folder: &Path) -> Self {
        at(url, folder);
        let mut command = Command::new("python3");
        command
            .arg(paths::root().join("tests/it/http_worker/functions.py"))
            .env("PYTHONPATH", paths::example("http-worker"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TEST_FOLDER", folder);
        let worker = Self { process: Process::spawn(command) };
        worker.joined(1).await;
        worker
    }

    /// Waits until it has joined this often.
    async fn joined(&self, times: usize) {
        let lines = self.process.stderr();
        until(SOON, &format!("join number {times} of the worker"), || async {
            assert!(!lines.ended(), "the worker has ended:\n{}", lines.text());
            let joins = lines.text().lines().filter(|it| it.starts_with("joined as")).count();
            (joins >= times).then_some(())
        })
        .await;
    }
}

/// Tells the worker where its server is.
fn at(url: &str, folder: &Path) {
    std::fs::write(folder.join("url.new"), url).unwrap();
    std::fs::rename(folder.join("url.new"), folder.join("url")).unwrap();
}

/// The output of an instance that completes.
async fn output(api: &Api, instance: &str) -> Value {
    let ended = api.ends(instance).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    ended["output"].clone()
}

fn notes(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("notes")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until this many lines begin so.
async fn noted(folder: &Path, beginning: &str, times: usize) {
    until(SOON, &format!("{times} notes `{beginning}`"), || async {
        let found = notes(folder).iter().filter(|it| it.starts_with(beginning)).count();
        (found >= times).then_some(())
    })
    .await;
}

fn definition(name: &str, tasks: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: http, name: {name}, version: '1.0.0'}}\n\
         do:\n{tasks}\n"
    )
}

/// A workflow of one call of `hold`.
async fn hold(api: &Api, id: &str) -> String {
    let tasks = "- hold: {call: hold, with: {id: '${ .id }'}, output: {as: '${ {got: .held} }'}}";
    let workflow = api.deploy(&definition("hold", tasks)).await;
    api.start(&workflow, &json!({"id": id})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_takes_workers_from_outside_without_nats() {
    let (dev, folder) = (Dev::start().await, tempfile::tempdir().unwrap());
    let tasks = "- a: {call: describe, with: {n: '${ .n + 1 }', big: 12345678901234567890}}\n\
                 - b: {try: [{c: {call: refuse}}], catch: {errors: {with: {status: 409}}, as: e, \
                 do: [{d: {set: {caught: '${ $e.title }'}}}]}, output: {as: '${ $input + . }'}}\n\
                 - e: {try: [{f: {call: fail}}], catch: {as: e, do: [{g: {set: {why: '${ $e.detail }'}}}]}, \
                 output: {as: '${ $input + . }'}}";
    let workflow = dev.api.deploy(&definition("all", tasks)).await;
    let started = dev.api.start(&workflow, &json!({"n": 1})).await;
    // Nobody offers the function yet: it waits for whoever does.
    dev.api.reaches(&started, "running").await;
    let _worker = Python::start(&dev.api.base(), folder.path()).await;
    let output = output(&dev.api, &started).await;
    assert_eq!(output["arguments"], json!({"n": 2, "big": 12_345_678_901_234_567_890_u64}));
    assert_eq!(output["workflow"], "http/all:1.0.0");
    assert_eq!(output["reference"], "/do/0/a");
    assert_eq!(output["caught"], "Sold Out");
    assert!(output["why"].as_str().unwrap().contains("ZeroDivisionError"), "{output}");
    let workers = dev.api.get("/v1/workers").await.ok();
    assert_eq!(workers["items"][0]["capabilities"].as_array().map(Vec::len), Some(5), "{workers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_held_another_one_does() {
    let (dev, folder) = (Dev::start().await, tempfile::tempdir().unwrap());
    let mut first = Python::start(&dev.api.base(), folder.path()).await;
    let instance = hold(&dev.api, "x").await;
    noted(folder.path(), "begin x", 1).await;
    first.process.kill().await;
    let mut second = Python::start(&dev.api.base(), folder.path()).await;
    noted(folder.path(), "begin x", 2).await;
    std::fs::write(folder.path().join("open-x"), "").unwrap();
    assert_eq!(output(&dev.api, &instance).await, json!({"got": "x"}));
    let begun: Vec<_> = notes(folder.path());
    let key = |at: usize| begun[at].split(' ').nth(3).map(str::to_owned);
    assert_eq!(key(0), key(1), "the same visit has the same key: {begun:?}");
    second.process.signal(Signal::TERM);
    assert_eq!(second.process.wait().await.code(), Some(0), "it ends when it is told to");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_has_nothing_done_twice() {
    let (mut dev, folder) = (Dev::start().await, tempfile::tempdir().unwrap());
    let worker = Python::start(&dev.api.base(), folder.path()).await;
    let instance = hold(&dev.api, "y").await;
    noted(folder.path(), "begin y", 1).await;
    dev.restart().await;
    at(&dev.api.base(), folder.path());
    worker.joined(2).await;
    std::fs::write(folder.path().join("open-y"), "").unwrap();
    assert_eq!(output(&dev.api, &instance).await, json!({"got": "y"}));
    assert_eq!(notes(folder.path()).iter().filter(|it| it.starts_with("begin")).count(), 1);
}

/// A worker that is no program: what it says, a test says.
struct Hand<'a> {
    api: &'a Api,
    session: String,
}

impl<'a> Hand<'a> {
    async fn join(api: &'a Api, identity: &str) -> Self {
        Self::join_of(api, identity, 2).await
    }

    async fn join_of(api: &'a Api, identity: &str, concurrency: u32) -> Self {
        let me = json!({"identity": identity, "functions": ["act"], "concurrency": concurrency});
        let welcome = api.post("/v1/worker-sessions", &me).await.ok();
        assert!(welcome["beatMs"].as_u64() < welcome["leaseMs"].as_u64(), "{welcome}");
        Self { api, session: welcome["session"].as_str().unwrap().to_owned() }
    }

    async fn turn(&self, said: Value) -> Answer {
        self.api.post(&format!("/v1/worker-sessions/{}/turns", self.session), &said).await
    }

    /// A turn in the text of this, which serde's JSON may not be able to hold; its answer as text.
    async fn turn_text(&self, said: String) -> String {
        let path = format!("/v1/worker-sessions/{}/turns", self.session);
        let request = self.api.request(reqwest::Method::POST, &path).body(said);
        let request = request.header("content-type", "application/json");
        request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }

    /// Takes turns, the first one of which says this, until a report is settled; gives that answer.
    async fn settled(&self, said: Value) -> Value {
        let first = self.turn(said.clone()).await.ok();
        if first["settled"] != json!([]) {
            return first;
        }
        let more = json!({"seen": said["seen"], "held": said["held"]});
        until(SOON, "the settlement of a report", || async {
            let answer = self.turn(more.clone()).await.ok();
            (answer["settled"] != json!([])).then_some(answer)
        })
        .await
    }

    /// Takes turns until there is a call; gives its answer.
    async fn call(&self) -> Value {
        until(SOON, "a call", || async {
            let answer = self.turn(json!({})).await.ok();
            (!answer["calls"].as_array().unwrap().is_empty()).then_some(answer)
        })
        .await
    }
}

const ACT: &str = "- a: {call: act, with: {n: '${ .n }'}}";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_repeated_until_it_is_seen_and_a_report_counts_once() {
    let dev = Dev::start().await;
    let workflow = dev.api.deploy(&definition("act", ACT)).await;
    let instance = dev.api.start(&workflow, &json!({"n": 7})).await;
    let hand = Hand::join(&dev.api, "hand-1").await;
    let first = hand.call().await;
    assert_eq!(first["calls"][0]["arguments"], json!({"n": 7}));
    let again = hand.turn(json!({})).await.ok();
    assert_eq!(again, first, "it was not seen");
    let delivery = first["calls"][0]["delivery"].as_str().unwrap().to_owned();
    let seen = first["number"].as_u64().unwrap();
    let quiet = hand.turn(json!({"seen": seen, "held": [delivery], "waitMs": 0})).await.ok();
    assert_eq!((&quiet["calls"], &quiet["number"]), (&json!([]), &json!(seen)));

    let report = json!({"delivery": delivery, "output": {"done": true}});
    let said = json!({"seen": seen, "held": [delivery], "reports": [report]});
    let settled = hand.settled(said).await;
    assert_eq!(settled["settled"], json!([{"delivery": delivery, "accepted": true}]));
    let said = json!({"seen": settled["number"], "held": [], "reports": [report]});
    let late = hand.settled(said).await;
    assert_eq!(late["settled"], json!([{"delivery": delivery, "accepted": false}]), "{late}");
    assert_eq!(output(&dev.api, &instance).await, json!({"done": true}));
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_in_words_and_harms_nobody() {
    let dev = Dev::start().await;
    let hand = Hand::join(&dev.api, "hand-2").await;
    for wrong in [
        json!({"held": ["AAAA"]}),
        json!({"seen": -1}),
        json!({"unknown": true}),
        json!({"released": ["é"]}),
    ] {
        let answer = hand.turn(wrong.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (400, &json!("WL0510")),
            "{wrong}"
        );
    }
    for wrong in [
        json!({"identity": "w", "functions": []}),
        json!({"identity": "w", "functions": ["f"], "concurrency": 0}),
        json!({"functions": ["f"]}),
    ] {
        assert_eq!(
            dev.api.post("/v1/worker-sessions", &wrong).await.status.as_u16(),
            400,
            "{wrong}"
        );
    }
    let odd = json!({"identity": "a b", "functions": ["f"]});
    let odd = dev.api.post("/v1/worker-sessions", &odd).await;
    assert_eq!((odd.status.as_u16(), &odd.body["code"]), (409, &json!("WL0577")), "{odd:?}");
    for session in ["none", "0123456789abcdef0123456789abcdef"] {
        let answer =
            dev.api.post(&format!("/v1/worker-sessions/{session}/turns"), &json!({})).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (404, &json!("WL0576")));
    }
    // Who says that it goes is gone. It joins anew, as all this may have taken longer than a lease.
    let hand = Hand::join(&dev.api, "hand-2b").await;
    hand.turn(json!({"goodbye": true})).await.ok();
    assert_eq!(hand.turn(json!({})).await.status.as_u16(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_for_workers_over_http() {
    let flags = ["--secret", "key=canary-of-http-workers-0123"].map(str::to_owned);
    let dev = Dev::with(&flags).await;
    let text = definition("secret", "- a: {call: act, with: {n: '${ $secrets.key }'}}");
    let workflow = dev.api.deploy(&text.replace("do:\n", "use: {secrets: [key]}\ndo:\n")).await;
    let instance = dev.api.start(&workflow, &json!({})).await;
    let hand = Hand::join(&dev.api, "hand-3").await;
    let ended = until(SOON, "the end of the instance", || async {
        let told = hand.turn(json!({"waitMs": 100})).await.ok();
        assert!(!told.to_string().contains("canary-of-http"), "{told}");
        let shown = dev.api.show(&instance).await;
        (shown["status"] == "faulted").then_some(shown)
    })
    .await;
    let error = &ended["error"];
    assert!(error["detail"].as_str().unwrap().contains("evaluates expressions"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_of_a_fleet_takes_them_beside_others() {
    let nats = crate::support::nats::Nats::start().await;
    let fleet = Fleet::with(crate::support::fleet::Layout::on(&nats.url(), 0)).await;
    let workflow = fleet.api.deploy(&definition("act", ACT)).await;
    let instance = fleet.api.start(&workflow, &json!({"n": 1})).await;
    let hand = Hand::join(&fleet.api, "hand-4").await;
    let told = hand.call().await;
    let delivery = &told["calls"][0]["delivery"];
    let report = json!({"delivery": delivery, "error": {"type": "https://e/x", "status": 418}});
    let said = json!({"seen": told["number"], "held": [delivery], "reports": [report]});
    hand.turn(said).await.ok();
    let ended = until(SOON, "the end of the instance", || async {
        let shown = fleet.api.show(&instance).await;
        (shown["status"] == "faulted").then_some(shown)
    })
    .await;
    assert_eq!(ended["error"]["status"], 418);
}
