//! The worker of `examples/python-worker`: the protocol, as spoken by another language.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::process::Process;
use crate::support::until::{SOON, moment, until, within};
use crate::support::{paths, tools};

/// What the example needs, as its first lines say.
const PACKAGES: [&str; 3] = ["msgpack==1.2.4", "nats-py==2.16.0", "pynacl==1.6.2"];
/// A short lease, so that what is lost is found out soon.
const LEASE: std::time::Duration = std::time::Duration::from_secs(2);

/// A coordinator, and a worker in Python as its only one.
struct Stage {
    fleet: Fleet,
    worker: Process,
    folder: tempfile::TempDir,
    _nats: Nats,
}

impl Stage {
    /// With the functions of `functions.py`.
    async fn new() -> Self {
        let file = paths::root().join("tests/it/python_worker/functions.py");
        Self::with(&file).await
    }

    async fn with(file: &Path) -> Self {
        let nats = Nats::start().await;
        let layout = Layout::on(&nats.url(), 0).coordinator(&["--lease", "2s"]);
        let fleet = Fleet::with(layout).await;
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(tools::python(&PACKAGES).await);
        command
            .arg(file)
            .env("PYTHONPATH", example().parent().unwrap())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("WINDLASS_NATS", nats.url())
            .env("WINDLASS_WORKER_KEY", &fleet.key)
            .env("TEST_FOLDER", folder.path());
        let stage = Self { fleet, worker: Process::spawn(command), folder, _nats: nats };
        stage.joined(1).await;
        stage
    }

    /// Waits until the worker has joined this often.
    async fn joined(&self, times: usize) {
        let lines = self.worker.stderr();
        until(SOON, &format!("join number {times} of the worker"), || async {
            assert!(!lines.ended(), "the worker has ended:\n{}", lines.text());
            let joins = lines.text().lines().filter(|it| it.contains("joined as")).count();
            (joins >= times).then_some(())
        })
        .await;
    }

    /// Runs a workflow of these tasks.
    async fn run(&self, tasks: &str, input: Value) -> Value {
        let text = definition("run", tasks);
        let workflow = self.fleet.api.deploy(&text).await;
        self.fleet.api.run(&workflow, &input).await
    }

    /// Starts a workflow whose one task ends when [`Self::open`] is called.
    async fn hold(&self, id: &str) -> String {
        let tasks =
            "- hold: {call: hold, with: {id: '${ .id }'}, output: {as: '${ {got: .held} }'}}";
        let workflow = self.fleet.api.deploy(&definition("hold", tasks)).await;
        let instance = self.fleet.api.start(&workflow, &json!({"id": id})).await;
        self.noted(&format!("begin {id} {instance}/do/0/hold/")).await;
        instance
    }

    fn open(&self) {
        std::fs::write(self.folder.path().join("open"), "").unwrap();
    }

    fn notes(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("notes")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the functions have noted a line that begins so.
    async fn noted(&self, beginning: &str) {
        until(SOON, &format!("the note `{beginning}`"), || async {
            self.notes().iter().any(|it| it.starts_with(beginning)).then_some(())
        })
        .await;
    }
}

impl Drop for Stage {
    /// A test that fails shows what the worker said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- python\n{}", self.worker.stderr().text());
        }
    }
}

fn example() -> PathBuf {
    paths::example("python-worker/worker.py")
}

fn definition(name: &str, tasks: &str) -> String {
    format!(
        "document: {{dsl: '1.0.3', namespace: python, name: {name}, version: '1.0.0'}}\n\
         do:\n{tasks}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_evaluated_around_the_function() {
    let stage = Stage::new().await;
    let tasks = r"
- first:
    call: describe
    input: {from: '${ .order }'}
    with: {total: '${ .price * .pieces }', who: '${ $workflow.input.customer }', fixed: [1, two]}
    timeout: {after: PT50S}
    output: {as: '${ . + {price: $input.price} }'}
    export: {as: '${ $context + {seen: .price} }'}
- second:
    call: count
    with: {all: [1, 2.5, '${ $context.seen }']}
    output: {as: '${ {first: $workflow.input.customer, counted: .} }'}
";
    let order = json!({"order": {"price": 3, "pieces": 4}, "customer": "Ada"});
    let only_first = tasks.split("- second").next().unwrap();
    let view = stage.run(only_first, order.clone()).await;
    let (id, output) = (view["id"].as_str().unwrap(), &view["output"]);
    assert_eq!(output["arguments"], json!({"total": 12, "who": "Ada", "fixed": [1, "two"]}));
    assert_eq!(output["price"], 3);
    assert_eq!(output["reference"], "/do/0/first");
    assert_eq!(output["hasTime"], true, "{output}");
    assert_eq!(output["workflow"]["namespace"], "python");
    let key = output["key"].as_str().unwrap();
    assert!(key.starts_with(&format!("{id}/do/0/first/")), "{key}");

    let text = definition("both", tasks);
    let workflow = stage.fleet.api.deploy(&text).await;
    let view = stage.fleet.api.run(&workflow, &order).await;
    let counted = json!({"sum": 6.5, "text": "ééé", "none": null, "half": 0.5});
    assert_eq!(view["output"], json!({"first": "Ada", "counted": counted}), "{view}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_large_values_survive_the_way_there_and_back() {
    let stage = Stage::new().await;
    let large = "x".repeat(3 << 20);
    let tasks = "
- echo:
    call: echo
    with:
      big: [123456789012345678901234567890, -9223372036854775809, 18446744073709551615]
      exact: 9007199254740993
      text: '${ .text }'
";
    let workflow = stage.fleet.api.deploy(&definition("echo", tasks)).await;
    let body = json!({"workflow": workflow, "input": {"text": large}});
    // As text: what reads JSON here would round the numbers.
    let url = format!("{}/v1/instances?wait=30s", stage.fleet.api.base());
    let request = reqwest::Client::new().post(url).json(&body);
    let answer = within(SOON, "the answer", request.send()).await.unwrap();
    let text = answer.text().await.unwrap();
    let big = "[123456789012345678901234567890,-9223372036854775809,18446744073709551615]";
    for part in [big, r#""exact":9007199254740993"#, &large] {
        assert!(text.contains(part), "{}", text.chars().take(400).collect::<String>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_functions_are_problems_that_definitions_catch() {
    let stage = Stage::new().await;
    let tasks = r"
- guarded:
    try:
    - ask: {call: refuse}
    catch:
      errors: {with: {type: https://example.com/errors/stock, status: 409}}
      as: problem
      do:
      - note: {set: {caught: '${ $problem }'}}
";
    let view = stage.run(tasks, json!({})).await;
    let caught = json!({
        "type": "https://example.com/errors/stock", "status": 409, "title": "Sold Out",
        "detail": "none left", "instance": "/do/0/guarded/try/0/ask",
    });
    assert_eq!(view["output"], json!({"caught": caught}), "{view}");

    for (function, detail) in
        [("fail", "the printer is on fire"), ("bytes", "bytes"), ("deep", "nested")]
    {
        let text = definition(function, &format!("- ask: {{call: {function}}}"));
        let workflow = stage.fleet.api.deploy(&text).await;
        let view = stage.fleet.api.run(&workflow, &json!({})).await;
        let error = &view["error"];
        assert!(error["type"].as_str().unwrap().ends_with("/runtime"), "{view}");
        assert_eq!(error["instance"], "/do/0/ask");
        assert!(error["detail"].as_str().unwrap().contains(detail), "{view}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_outlives_a_restart_of_the_coordinator() {
    let mut stage = Stage::new().await;
    let instance = stage.hold("a").await;
    stage.fleet.restart_coordinator().await;
    stage.joined(2).await;
    // Time enough for the call to be taken for lost, had it not been adopted.
    moment(LEASE * 2).await;
    stage.open();
    let view = stage.fleet.api.ends(&instance).await;
    assert_eq!(view["output"], json!({"got": "a"}), "{view}");
    assert_eq!(stage.notes().len(), 1, "{:?}", stage.notes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_is_cancelled_in_the_function() {
    let stage = Stage::new().await;
    let instance = stage.hold("a").await;
    stage.fleet.api.post(&format!("/v1/instances/{instance}/cancel"), &json!({})).await.ok();
    stage.noted("cancelled a").await;
    assert_eq!(stage.fleet.api.ends(&instance).await["status"], "cancelled");
    // The worker has room again and goes on.
    let view = stage.run("- ask: {call: count, with: {all: [1, 2]}}", json!({})).await;
    assert_eq!(view["output"]["sum"], 3, "{view}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_end_finishes_what_it_runs_and_leaves() {
    let mut stage = Stage::new().await;
    let instances = [stage.hold("a").await, stage.hold("b").await];
    stage.worker.signal(Signal::TERM);
    let stopping = stage.worker.stderr().after("windlass: stopping");
    within(SOON, "the beginning of the drain", stopping).await.unwrap();
    until(SOON, "a worker that takes no more", || async {
        let listed = stage.fleet.api.get("/v1/workers").await.ok();
        listed.to_string().contains("leaving").then_some(())
    })
    .await;
    stage.open();
    let status = stage.worker.wait().await;
    assert!(status.success(), "{status}: {}", stage.worker.stderr().text());
    for (instance, id) in instances.iter().zip(["a", "b"]) {
        assert_eq!(stage.fleet.api.ends(instance).await["output"], json!({"got": id}));
    }
    assert_eq!(stage.notes().len(), 2, "{:?}", stage.notes());
    until(SOON, "the worker's leaving", || async {
        let listed = stage.fleet.api.get("/v1/workers").await.ok();
        (!listed.to_string().contains("function:hold")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_as_it_is() {
    let stage = Stage::with(&example()).await;
    let workflow = std::fs::read_to_string(paths::example("python-worker/workflow.yaml")).unwrap();
    let workflow = stage.fleet.api.deploy(&workflow).await;
    let view = stage.fleet.api.run(&workflow, &json!({"price": 8})).await;
    assert_eq!(view["output"], json!({"price": "10.0 USD"}), "{view}");
    let view = stage.fleet.api.run(&workflow, &json!({"price": 8, "currency": "XXX"})).await;
    assert_eq!(view["output"], json!({"price": "8 EUR"}), "{view}");
}
