//! Where there is no bubblewrap, and what the supervisor keeps to itself.

use std::process::Command;

use serde_json::json;

use super::all_of;
use crate::processes::definition;
use crate::support::command::{windlass, windlass_under};
use crate::support::dev::Dev;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_needs_a_sandbox_does_not_start_without_one() {
    let arguments =
        ["worker", "--allow", "shell", "--sandbox", "required", "--nats", "nats://127.0.0.1:1"];
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let key = windlass(&["coordinator", "key", "--data-dir", &data]).await;
    let key = key.exits(0).stdout.trim().to_owned();
    let variables = [("PATH", "/no/such/folder"), ("WINDLASS_WORKER_KEY", &*key)];
    let refused = windlass_under(&variables, &arguments).await.exits(2);
    for part in ["a sandbox is required", "not installed", "apt-get install bubblewrap"] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_none_it_says_so_and_limits_hold_all_the_same() {
    let with = ["env", "PATH=/usr/games"].map(str::to_owned);
    let flags = ["--sandbox", "auto", "--process-file-size", "1MiB"].map(str::to_owned);
    let dev = Dev::wrapped(&with, &flags).await;
    let told = dev.stderr();
    assert!(told.contains("isolation: none: bubblewrap (bwrap) is not installed"), "{told}");
    assert!(told.contains("limits(cpu=86400s,memory=4GiB,file=1MiB)"), "{told}");
}

/// What an author gives a program is the program's alone: in the supervisor it would be carried out
/// as the worker's user, whoever the program runs as.
#[tokio::test(flavor = "multi_thread")]
async fn variables_of_a_program_do_not_reach_its_supervisor() {
    let library = "/no/such/library.so";
    let alone = Command::new("sh").args(["-c", ":"]).env("LD_PRELOAD", library).output().unwrap();
    let expected = String::from_utf8_lossy(&alone.stderr).matches(library).count();
    let dev = Dev::start().await;
    let task = all_of(":", &format!(", environment: {{LD_PRELOAD: {library}}}"));
    let workflow = dev.api.deploy(&definition("preloads", &task)).await;
    let view = dev.api.run(&workflow, &json!({})).await;
    let said = view["output"]["stderr"].as_str().unwrap();
    assert_eq!(said.matches(library).count(), expected, "{view}");
    // The linker of a static program looks for none.
    assert!(expected > 0 || cfg!(target_env = "musl"), "{alone:?}");
}
