//! The worker of `examples/rust-worker`: functions of a user's own program.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::process::Process;
use crate::support::until::{SOON, until, within};
use crate::support::{binary, paths};

/// Starts the example with these variables.
fn worker(variables: &[(&str, &str)]) -> Process {
    let mut command = Command::new(binary::rust_worker());
    command.env_remove("WINDLASS_WORKER_KEY").env_remove("WINDLASS_KEY_FILE");
    command.envs(variables.iter().copied());
    Process::spawn(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_serves_its_functions_until_it_is_told_to_end() {
    let nats = Nats::start().await;
    let fleet = Fleet::with(Layout::on(&nats.url(), 0)).await;
    let file = fleet.data().join("worker.key");
    std::fs::write(&file, format!("{}\n", fleet.key)).unwrap();
    let url = nats.url();
    let file = file.display().to_string();
    let mut worker = worker(&[("WINDLASS_NATS", &url), ("WINDLASS_KEY_FILE", &file)]);
    let joined = worker.stderr().find(|line| line.contains("joined").then_some(()));
    within(SOON, "the joining of the worker", joined).await.unwrap();
    let listed = fleet.api.get("/v1/workers").await.ok().to_string();
    assert!(
        listed.contains("function:charge-card") && !listed.contains("function:echo"),
        "{listed}"
    );

    let text = std::fs::read_to_string(paths::example("rust-worker/order.yaml")).unwrap();
    let order = fleet.api.deploy(&text).await;
    let run = async |input: Value| fleet.api.run(&order, &input).await;
    let view = run(json!({"card": "4111", "cents": 999, "items": ["a hat", "a stick"]})).await;
    let receipt = format!("{}/do/0/pay/try/0/charge/", view["id"].as_str().unwrap());
    assert_eq!(view["output"]["shipped"], "a parcel of a hat and a stick", "{view}");
    assert!(view["output"]["receipt"].as_str().unwrap().starts_with(&receipt), "{view}");

    let view = run(json!({"card": "0000", "cents": 999, "items": []})).await;
    assert_eq!(view["output"], json!({"refused": "the bank does not know this card"}), "{view}");

    let view = run(json!({"card": "4111", "cents": "many", "items": []})).await;
    let error = &view["error"];
    assert_eq!((&view["status"], &error["status"]), (&json!("faulted"), &json!(400)), "{view}");
    let detail = "the input does not fit the function `charge-card`: invalid type: string \"many\"";
    assert!(error["detail"].as_str().unwrap().starts_with(detail), "{view}");

    worker.signal(Signal::TERM);
    let status = worker.wait().await;
    assert!(status.success(), "{status}: {}", worker.stderr().text());
    until(Duration::from_secs(5), "the worker's leaving", || async {
        let listed = fleet.api.get("/v1/workers").await.ok();
        (!listed.to_string().contains("charge-card")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_worker_without_a_key_says_what_is_missing() {
    let mut worker = worker(&[]);
    let status = worker.wait().await;
    worker.stderr().end().await;
    let said = worker.stderr().text();
    assert!(!status.success() && said.contains("WINDLASS_WORKER_KEY"), "{status}: {said}");
}
