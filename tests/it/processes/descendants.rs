//! Nothing that a task's program has started outlives the task, or its worker.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::{definition, shell};
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until};

/// A program that starts one which has left its session, has lost its parent, and does not listen
/// to SIGTERM; `more` is done once that is there. Its number is in `file` then.
fn leaves(file: &Path, more: &str) -> String {
    let file = file.display();
    shell(&format!(
        "(setsid sh -c 'trap \"\" TERM; echo $$ > {file}.new; mv {file}.new {file}; \
         exec sleep 36000' & )\n\
         while [ ! -s {file} ]; do sleep 0.05; done\n{more}"
    ))
}

/// A folder that tasks may write to whoever they run as.
fn open_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

/// The number in `file`, once it is there.
async fn number(file: &Path) -> String {
    until(SOON, "the start of a program", || async {
        std::fs::read_to_string(file).ok().map(|it| it.trim().to_owned())
    })
    .await
}

/// Whether the program that called itself by this number runs.
fn runs(number: &str) -> bool {
    let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains("36000")
}

async fn goes(number: &str) {
    until(SOON, "the end of a program", || async { (!runs(number)).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_its_session_ends_with_the_task() {
    let folder = open_folder();
    let dev = Dev::start().await;

    let file = folder.path().join("ended");
    let workflow = dev.api.deploy(&definition("ended", &leaves(&file, "exit 0"))).await;
    let view = dev.api.run(&workflow, &json!({})).await;
    assert_eq!(view["status"], "completed", "{view}");
    // At once: it was gone before the task ended.
    assert!(!runs(&number(&file).await), "it outlives its task");

    let file = folder.path().join("timed-out");
    let task = leaves(&file, "sleep 36000");
    let task = task.strip_suffix('}').unwrap().to_owned() + ", timeout: {after: PT5S}}";
    let workflow = dev.api.deploy(&definition("timed-out", &task)).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    let left = number(&file).await;
    assert!(runs(&left), "it has ended by itself");
    let view = dev.api.ends(&id).await;
    assert!(view["error"].to_string().contains("/errors/timeout"), "{view}");
    goes(&left).await;

    let file = folder.path().join("cancelled");
    let workflow = dev.api.deploy(&definition("cancelled", &leaves(&file, "sleep 36000"))).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    let left = number(&file).await;
    assert!(runs(&left), "it has ended by itself");
    dev.api.post(&format!("/v1/instances/{id}/cancel"), &json!({})).await.ok();
    goes(&left).await;
}

/// A program of the worker's own user can kill its supervisor; what that was parent of ends all the
/// same.
#[tokio::test(flavor = "multi_thread")]
async fn what_left_its_session_ends_with_a_task_that_killed_its_supervisor() {
    let folder = open_folder();
    let user = std::fs::metadata("/proc/self").unwrap().uid().to_string();
    let dev = Dev::with(&["--task-user".to_owned(), user]).await;
    for (name, more) in [("ends", "kill -9 $PPID"), ("goes-on", "kill -9 $PPID; sleep 36000")] {
        let file = folder.path().join(name);
        let workflow = dev.api.deploy(&definition(name, &leaves(&file, more))).await;
        let id = dev.api.start(&workflow, &json!({})).await;
        let left = number(&file).await;
        let view = dev.api.ends(&id).await;
        assert_eq!(view["status"], "faulted", "{view}");
        assert!(view["error"].to_string().contains("exit code 137"), "{view}");
        // At once, as where nobody kills it.
        assert!(!runs(&left), "it outlives its task");
    }
    // Another task's are left alone.
    let own = folder.path().join("own");
    let more = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 36000", own.display());
    let workflow = dev.api.deploy(&definition("other", &shell(&more))).await;
    dev.api.start(&workflow, &json!({})).await;
    let other = number(&own).await;
    let workflow = dev.api.deploy(&definition("again", &shell("kill -9 $PPID"))).await;
    let view = dev.api.run(&workflow, &json!({})).await;
    assert_eq!(view["status"], "faulted", "{view}");
    until(SOON, "the other program", || async { runs(&other).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_on_when_the_worker_is_killed() {
    let folder = open_folder();
    let nats = Nats::start().await;
    let mut fleet = Fleet::with(Layout::on(&nats.url(), 1).worker(&["--allow", "shell"])).await;
    let file = folder.path().join("left");
    let own = folder.path().join("own");
    let more = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 36000", own.display());
    let workflow = fleet.api.deploy(&definition("killed", &leaves(&file, &more))).await;
    fleet.api.start(&workflow, &json!({})).await;
    let programs = [number(&own).await, number(&file).await];
    until(SOON, "both programs", || async { programs.iter().all(|it| runs(it)).then_some(()) })
        .await;
    fleet.workers[0].kill().await;
    for program in &programs {
        goes(program).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ignores_its_end_is_killed_and_tells_its_exit_code_otherwise() {
    let dev = Dev::start().await;
    let code =
        |command: &str| shell(command).strip_suffix("}}").unwrap().to_owned() + ", return: code}}";
    for (name, command, expected) in [
        ("own", "exit 7", 7),
        ("signalled", "kill -9 $$", 128 + 9),
        ("missing", "exec /no/such/program", 127),
    ] {
        let workflow = dev.api.deploy(&definition(name, &code(command))).await;
        let view = dev.api.run(&workflow, &json!({})).await;
        assert_eq!(view["output"], json!(expected), "{view}");
    }
    let stubborn = code("trap '' TERM; while :; do sleep 1; done");
    let stubborn = stubborn.strip_suffix('}').unwrap().to_owned() + ", timeout: {after: PT0.2S}}";
    let workflow = dev.api.deploy(&definition("stubborn", &stubborn)).await;
    let id = dev.api.start(&workflow, &json!({})).await;
    let ended = tokio::time::timeout(Duration::from_secs(60), dev.api.ends(&id)).await.unwrap();
    assert!(ended["error"].to_string().contains("/errors/timeout"), "{ended}");
}
