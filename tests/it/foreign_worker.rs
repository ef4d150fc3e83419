//! Workers in other languages that do what others' workers do: what cannot be read, handed back,
//! taken or stopped, over a bus that loses. No instance may hang, nothing may be sent again and
//! again, and no place may be lost.

mod loops;
mod ugly;
mod weather;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::client::is_final;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::process::Process;
use crate::support::until::{SOON, until};
use crate::support::{paths, tools};

/// What the worker in Python needs, as its first lines say.
const PACKAGES: [&str; 3] = ["msgpack==1.2.4", "nats-py==2.16.0", "pynacl==1.6.2"];
/// A short lease, so that what is lost is found out soon.
const LEASE: std::time::Duration = std::time::Duration::from_secs(2);

/// How long a call may take on a bad bus: of the words that begin and end it, each can get lost a
/// few times in a row, and is said again only after seconds.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// What a worker is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Python,
    Node,
}

/// A coordinator, and workers in other languages as its only ones.
struct Stage {
    fleet: Fleet,
    workers: Vec<Process>,
    folder: tempfile::TempDir,
    language: Language,
    nats: Nats,
}

impl Stage {
    async fn new(language: Language) -> Self {
        Self::leasing(language, "2s").await
    }

    async fn leasing(language: Language, lease: &str) -> Self {
        let nats = Nats::start().await;
        let layout = Layout::on(&nats.url(), 0).coordinator(&["--lease", lease]);
        let fleet = Fleet::with(layout).await;
        let folder = tempfile::tempdir().unwrap();
        Self { fleet, workers: Vec::new(), folder, language, nats }
    }

    /// Starts one more worker, with these variables; it has joined when this returns.
    async fn worker(&mut self, variables: &[(&str, &str)]) {
        self.launch(variables).await;
        self.joined(self.workers.len() - 1, 1).await;
    }

    async fn launch(&mut self, variables: &[(&str, &str)]) {
        let mut command = match self.language {
            Language::Python => {
                let mut command = Command::new(tools::python(&PACKAGES).await);
                let example = paths::example("python-worker/worker.py");
                command
                    .arg(paths::root().join("tests/it/foreign_worker/functions.py"))
                    .env("PYTHONPATH", example.parent().unwrap())
                    .env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Language::Node => {
                let mut command = Command::new("node");
                command.arg(node_program(self.folder.path()).await);
                command
            }
        };
        command
            .env("WINDLASS_NATS", self.nats.url())
            .env("WINDLASS_WORKER_KEY", &self.fleet.key)
            .env("WINDLASS_CONCURRENCY", "2")
            .env("TEST_FOLDER", self.folder.path())
            .envs(variables.iter().copied());
        self.workers.push(Process::spawn(command));
    }

    /// Waits until a worker has joined this often.
    async fn joined(&self, worker: usize, times: usize) {
        let lines = self.workers[worker].stderr();
        until(SOON, &format!("join number {times} of the worker"), || async {
            assert!(!lines.ended(), "the worker has ended:\n{}", lines.text());
            let joins = lines.text().lines().filter(|it| it.contains("joined as")).count();
            (joins >= times).then_some(())
        })
        .await;
    }

    /// Deploys a workflow of one call, whose arguments are its input.
    async fn deploy(&self, function: &str) -> Value {
        let text = format!(
            "document: {{dsl: '1.0.3', namespace: foreign, name: {function}, version: '1.0.0'}}\n\
             do:\n- ask: {{call: {function}}}\n"
        );
        self.fleet.api.deploy(&text).await
    }

    async fn start(&self, function: &str, input: &Value) -> String {
        let workflow = self.deploy(function).await;
        self.fleet.api.start(&workflow, input).await
    }

    async fn run(&self, function: &str, input: &Value) -> Value {
        let workflow = self.deploy(function).await;
        self.fleet.api.run(&workflow, input).await
    }

    fn notes(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("notes")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the functions have noted this line.
    async fn noted(&self, line: &str) {
        until(SOON, &format!("the note `{line}`"), || async {
            self.notes().iter().any(|it| it == line).then_some(())
        })
        .await;
    }

    fn open(&self) {
        std::fs::write(self.folder.path().join("open"), "").unwrap();
    }

    /// A counter of the coordinator.
    async fn counter(&self, name: &str) -> u64 {
        let text = self.fleet.api.get("/metrics").await.ok();
        let line = text.as_str().unwrap().lines().find_map(|it| it.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().parse().unwrap()
    }

    /// Asserts that so many places of the only worker are free: as many calls that do not end are
    /// there at once.
    async fn has_places(&self, places: usize) {
        let _ = std::fs::remove_file(self.folder.path().join("open"));
        let mut started = Vec::new();
        for place in 0..places {
            let input = json!({"id": format!("place {place}")});
            started.push(self.start("stubborn", &input).await);
        }
        until(PATIENCE, &format!("{places} calls at once"), || async {
            let notes = self.notes();
            let begun = |place| notes.contains(&format!("begin place {place}"));
            (0..places).all(begun).then_some(())
        })
        .await;
        self.open();
        for id in started {
            let view = until(PATIENCE, "the end of a call", || async {
                Some(self.fleet.api.show(&id).await).filter(is_final)
            })
            .await;
            assert_eq!(view["status"], "completed");
        }
    }
}

impl Drop for Stage {
    /// A test that fails shows what the workers said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for worker in &self.workers {
                eprintln!("-- {:?}\n{}", self.language, worker.stderr().text());
            }
        }
    }
}

/// Lays out example and functions beside the packages they need.
async fn node_program(folder: &Path) -> PathBuf {
    let example = paths::example("node-worker/worker.js");
    let packages = tools::node_modules(example.parent().unwrap()).await;
    let place = folder.join("node");
    if !place.exists() {
        std::fs::create_dir(&place).unwrap();
        std::os::unix::fs::symlink(packages.join("node_modules"), place.join("node_modules"))
            .unwrap();
        std::fs::copy(packages.join("package.json"), place.join("package.json")).unwrap();
        std::fs::copy(&example, place.join("worker.js")).unwrap();
        let functions = paths::root().join("tests/it/foreign_worker/functions.js");
        std::fs::copy(functions, place.join("functions.js")).unwrap();
    }
    place.join("functions.js")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_javascript_runs_as_it_is() {
    let mut stage = Stage::new(Language::Node).await;
    let mut command = Command::new("node");
    let program = node_program(stage.folder.path()).await.with_file_name("worker.js");
    command
        .arg(program)
        .env("WINDLASS_NATS", stage.nats.url())
        .env("WINDLASS_WORKER_KEY", &stage.fleet.key);
    stage.workers.push(Process::spawn(command));
    stage.joined(0, 1).await;
    let workflow = std::fs::read_to_string(paths::example("python-worker/workflow.yaml")).unwrap();
    let workflow = stage.fleet.api.deploy(&workflow).await;
    let view = stage.fleet.api.run(&workflow, &json!({"price": 8})).await;
    assert_eq!(view["output"], json!({"price": "10 USD"}), "{view}");
    let view = stage.fleet.api.run(&workflow, &json!({"price": 8, "currency": "XXX"})).await;
    assert_eq!(view["output"], json!({"price": "8 EUR"}), "{view}");

    stage.workers[0].signal(rustix::process::Signal::TERM);
    let status = stage.workers[0].wait().await;
    assert!(status.success(), "{status}: {}", stage.workers[0].stderr().text());
}
