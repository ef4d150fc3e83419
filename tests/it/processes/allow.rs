//! Workers run programs only if they are told to.

use serde_json::json;

use super::{definition, shell};
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_task_waits_for_a_worker_that_may_run_it_and_the_log_says_so() {
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 1).coordinator(&["--lease", "500ms"]);
    let mut fleet = Fleet::with(layout).await;
    let workflow = fleet.api.deploy(&definition("waits", &shell("echo done"))).await;
    let id = fleet.api.start(&workflow, &json!({})).await;
    let said = |line: &str| line.contains("offers `shell`").then(|| line.to_owned());
    let log = fleet.coordinator.lines();
    let line = within(SOON, "the warning", log.find(said)).await.expect("it goes on");
    assert!(line.contains("pool `default`") && line.contains("--allow shell"), "{line}");
    assert_eq!(fleet.api.show(&id).await["status"], "running");
    // One that may run something else does not take it either.
    let other = fleet.add_worker(&nats.url());
    fleet.workers[other].arguments.extend(["--allow", "script"].map(str::to_owned));
    fleet.workers[other].launch();
    fleet.joins(other, 1).await;
    assert_eq!(fleet.api.show(&id).await["status"], "running");
    let able = fleet.add_worker(&nats.url());
    fleet.workers[able].arguments.extend(["--allow", "shell"].map(str::to_owned));
    fleet.workers[able].launch();
    let view = fleet.api.ends(&id).await;
    assert_eq!((&view["status"], &view["output"]), (&json!("completed"), &json!("done\n")));
    let told = fleet.workers[able].stderr();
    assert!(told.contains("shell tasks are allowed and run as "), "{told}");
    assert!(!fleet.workers[0].stderr().contains("tasks are allowed"), "{}", fleet.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_runs_programs_and_says_so_unless_it_is_told_not_to() {
    let task = definition("here", &shell("echo done"));
    let dev = Dev::start().await;
    assert!(
        dev.stderr().contains("shell, script and mcp.stdio tasks are allowed"),
        "{}",
        dev.stderr()
    );
    let workflow = dev.api.deploy(&task).await;
    assert_eq!(dev.api.run(&workflow, &json!({})).await["status"], "completed");

    let dev = Dev::with(&["--allow", "none"].map(str::to_owned)).await;
    assert!(!dev.stderr().contains("tasks are allowed"), "{}", dev.stderr());
    let workflow = dev.api.deploy(&task).await;
    let view = dev.api.run(&workflow, &json!({})).await;
    // There is no other worker that it could wait for.
    assert_eq!(view["status"], "faulted", "{view}");
    let problem = view["error"].to_string();
    assert!(problem.contains("/errors/configuration") && problem.contains("allow"), "{view}");
}
