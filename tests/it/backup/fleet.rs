//! A coordinator that is replaced by its restored copy, with its workers, in the middle of work.

use std::path::Path;

use serde_json::{Value, json};

use super::{ENDS, Kept, SLEEPS};
use crate::fleet::{Gate, call};
use crate::support::client::Api;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::paths;
use crate::support::until::{SOON, until};

/// Starts instances until it is told to stop; gives what was acknowledged.
async fn load(
    api: Api,
    workflow: Value,
    mut stop: tokio::sync::watch::Receiver<bool>,
) -> Vec<String> {
    let mut started = Vec::new();
    while !*stop.borrow_and_update() {
        started.push(api.start(&workflow, &json!({ "number": started.len() })).await);
    }
    started
}

/// The drill of docs/backup.md.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_restored_from_a_backup_under_load_takes_over_the_workers() {
    let (nats, gate) = (Nats::start().await, Gate::new().await);
    let kept = Kept::new();
    let mut fleet = kept.fleet(Layout::on(&nats.url(), 2)).await;
    let calls = gate.deploy(&fleet).await;
    let (ends, sleeps) = (fleet.api.deploy(ENDS).await, fleet.api.deploy(SLEEPS).await);
    let held = fleet.api.start(&calls, &call("held", "before")).await;
    let sleeping = fleet.api.start(&sleeps, &json!({})).await;
    fleet.api.reaches(&sleeping, "waiting").await;
    gate.reached("/held/before", 1).await;
    let before = load_some(&fleet.api, &ends).await;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let loading = tokio::spawn(load(fleet.api.clone(), ends.clone(), stopped));
    let directory = kept.path("all");
    std::fs::create_dir(&directory).unwrap();
    for _ in 0..3 {
        kept.take(&fleet.api, &directory).await;
    }
    stop.send_replace(true);
    loading.await.unwrap();
    // What the copy will not know, and its number for the worker's task.
    let after = fleet.api.start(&calls, &call("held", "after")).await;
    gate.reached("/held/after", 1).await;
    let from = directory.display().to_string();
    kept.windlass(&["backup", "verify", &from]).await.exits(0);

    fleet.coordinator.kill().await;
    let copy = kept.restore(&directory).await;
    let data = copy.path().join("data").display().to_string();
    let checked = crate::support::command::windlass(&["fsck", &data]).await.exits(0);
    assert_eq!(checked.json()["misfits"], json!([]));
    let first = fleet.data();
    moved(&mut fleet, &first, &copy.path().join("data"));
    fleet.coordinator.launch();
    fleet.coordinator_ready().await;
    // What a worker holds of the one before is done anew, for the copy.
    gate.reached("/held/before", 2).await;
    until(SOON, "a worker that has it", || async {
        let shown = fleet.api.show(&held).await.to_string();
        shown.contains("worker-").then_some(())
    })
    .await;
    gate.open();
    assert_eq!(fleet.api.ends(&held).await["status"], "completed");
    assert_eq!(fleet.api.show(&sleeping).await["status"], "waiting");
    fleet.api.get(&format!("/v1/instances/{after}")).await.problem(404);
    for id in &before {
        assert_eq!(fleet.api.ends(id).await["status"], "completed");
    }
    let open = until(SOON, "the end of all that was started", || async {
        let count = "/v1/instances/count?name=ends&status=running";
        let counted = fleet.api.get(count).await.ok();
        (counted["count"] == 0).then_some(counted)
    });
    open.await;
    let answer = fleet.api.run(&ends, &json!({ "number": 21 })).await;
    assert_eq!(answer["output"], json!({ "answer": 42 }));
    fleet.assert_sound();
}

async fn load_some(api: &Api, workflow: &Value) -> Vec<String> {
    let mut started = Vec::new();
    for number in 0..10 {
        started.push(api.start(workflow, &json!({ "number": number })).await);
    }
    started
}

/// The one that was replaced comes back, and is told by a worker.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_one_stops_when_a_worker_shows_it_a_task_of_the_copy() {
    let (nats, gate) = (Nats::start().await, Gate::new().await);
    let kept = Kept::new();
    let mut fleet = kept.fleet(Layout::on(&nats.url(), 1)).await;
    let calls = gate.deploy(&fleet).await;
    let archive = kept.path("one.backup");
    kept.take(&fleet.api, &archive).await;
    fleet.coordinator.kill().await;
    let copy = kept.restore(&archive).await;
    let (first, second) = (fleet.data(), copy.path().join("data"));
    moved(&mut fleet, &first, &second);
    fleet.coordinator.launch();
    fleet.coordinator_ready().await;
    fleet.api.start(&calls, &call("held", "copy")).await;
    gate.reached("/held/copy", 1).await;
    fleet.coordinator.kill().await;
    moved(&mut fleet, &second, &first);
    fleet.coordinator.launch();
    fleet.coordinator_ready().await;
    // The worker holds a task of the copy, and has only this one to show it.
    let ended = fleet.coordinator.ended().await;
    assert!(!ended.success());
    let log = fleet.coordinator.stderr();
    assert!(log.contains("has been replaced"), "{log}");
    // A service manager starts it again, when nobody is left to show it anything.
    fleet.workers[0].kill().await;
    fleet.coordinator.launch();
    let refused = fleet.coordinator.ended().await;
    assert_eq!(refused.code(), Some(2), "{}", fleet.coordinator.stderr());
    let log = fleet.coordinator.stderr();
    assert!(log.contains("WL0613"), "{log}");
    // What is restored of it comes after all that were.
    let (again, of) = (kept.path("again.backup"), first.display().to_string());
    let to = again.display().to_string();
    kept.windlass(&["backup", "--data", &of, "--to", &to]).await.exits(0);
    let last = kept.restore(&again).await;
    moved(&mut fleet, &first, &last.path().join("data"));
    fleet.coordinator.launch();
    fleet.coordinator_ready().await;
}

/// The next launch of the coordinator is on another data directory.
fn moved(fleet: &mut Fleet, from: &Path, to: &Path) {
    let (from, to) = (from.display().to_string(), to.display().to_string());
    let of = fleet.coordinator.arguments.iter_mut().filter(|it| **it == from);
    of.for_each(|it| it.clone_from(&to));
}

/// Nothing of what was kept can be read in a backup, and one that nobody asks for is taken.
#[tokio::test(flavor = "multi_thread")]
async fn scheduled_backups_are_taken_and_tell_nothing() {
    const CANARY: &str = "c4nary-in-a-payload-5721";
    let nats = Nats::start().await;
    let kept = Kept::new();
    let directory = kept.path("all");
    let passphrase = kept.path("passphrase").display().to_string();
    let options = kept.path("windlass.toml");
    let text = format!(
        "[backup]\nto = {directory:?}\nevery = \"1h\"\nkeep = 2\n\
         passphrase-file = {passphrase:?}\n"
    );
    std::fs::write(&options, text).unwrap();
    let options = options.display().to_string();
    std::fs::create_dir(&directory).unwrap();
    let layout = Layout::on(&nats.url(), 1).coordinator(&["--config", &options]);
    let fleet = kept.fleet(layout).await;
    until(SOON, "the first backup", || async {
        let metrics = fleet.api.get("/metrics").await;
        let done = "windlass_backups_total{outcome=\"succeeded\"} 1";
        metrics.body.as_str().is_some_and(|it| it.contains(done)).then_some(())
    })
    .await;
    let sleeps = fleet.api.deploy(SLEEPS).await;
    fleet.api.start(&sleeps, &json!({ "secret": CANARY })).await;
    kept.take(&fleet.api, &directory).await;
    // Whether what went over the API is kept, is not known here.
    let metrics = fleet.api.get("/metrics").await.body;
    let sent = "windlass_backups_total{outcome=\"sent\"} 1";
    assert!(metrics.as_str().is_some_and(|it| it.contains(sent)), "{metrics}");
    let key = std::fs::read_to_string(fleet.data().join("coordinator.key")).unwrap();
    // A file that nobody has thought of would be missing in a restored copy.
    let mut known = windlass_coordinator::backup::kept_names(&fleet.data()).unwrap();
    known.extend(windlass_coordinator::backup::LEFT.map(str::to_owned));
    for entry in std::fs::read_dir(fleet.data()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let passing = name.starts_with("snap.") || name.ends_with(".new");
        assert!(passing || known.contains(&name), "is {name} in a backup, and why?");
    }
    let needles = crate::support::leak::Needles::of([
        ("the payload", &json!(CANARY)),
        ("the key", &json!(key.trim().trim_start_matches("ck1_"))),
        ("the namespace", &json!("document: { dsl")),
    ]);
    for file in paths::files(&directory) {
        let bytes = std::fs::read(&file).unwrap();
        needles.absent_from(&file.display().to_string(), &bytes);
    }
    // They are there once it is opened.
    let copy = kept.restore(&directory).await;
    let restored = std::fs::read_to_string(copy.path().join("data/coordinator.key")).unwrap();
    assert_eq!(restored, key);
    for name in ["identity.json", "audit.jsonl", "audit.key"] {
        assert!(copy.path().join("data").join(name).exists(), "{name}");
    }
    fleet.assert_sound();
}
