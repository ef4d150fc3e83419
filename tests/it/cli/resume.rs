//! `windlass run` with `--data-dir` and `--id`: the same command line goes on after a kill.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{definition, file, problem};
use crate::support::command::{spawn, windlass, windlass_in};
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, moment, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_goes_on_after_a_kill() {
    let blocked = Arc::new(AtomicBool::new(true));
    let gate = blocked.clone();
    let stub = Stub::http(move |seen| match seen.path.as_str() {
        "/second" if gate.load(Ordering::SeqCst) => Reply::Never,
        path => Reply::Json(200, json!({"from": path})),
    })
    .await;
    let call = |name: &str| {
        format!(
            "  - {name}: {{ call: http, with: {{ method: post, endpoint: '{}' }} }}",
            stub.url(&format!("/{name}"))
        )
    };
    let (folder, path) = file(definition("goes-on", &[call("first"), call("second")].join("\n")));
    let data = folder.path().join("data").display().to_string();
    let arguments = ["run", &path, "--data-dir", &data, "--id", "nightly"];

    let mut process = spawn(folder.path(), &arguments);
    until(SOON, "the second call", || async { (stub.count("/second") == 1).then_some(()) }).await;
    process.kill().await;
    blocked.store(false, Ordering::SeqCst);

    let output = windlass_in(folder.path(), &arguments).await.exits(0);
    assert_eq!(output.json(), json!({"from": "/second"}));
    assert_eq!(stub.count("/first"), 1, "what was done is not done again");
    assert_eq!(stub.by_path()["/second"].1.len(), 1, "one key over both deliveries");

    let again = windlass_in(folder.path(), &arguments).await.exits(0);
    assert_eq!(again.json(), output.json());
    assert_eq!(stub.seen().len(), 3, "an ended run is not run again");

    let input = [&arguments[..], &["--input", "[1]"]].concat();
    let (_other, elsewhere) = file(definition("elsewhere", "  - a: { set: { x: 1 } }"));
    let workflow = ["run", &elsewhere, "--data-dir", &data, "--id", "nightly"];
    for (other, what) in [(&input[..], "another input"), (&workflow[..], "another workflow")] {
        let refused = windlass(other).await.exits(1);
        let problem = problem(&refused);
        assert_eq!((&*refused.stdout, &problem["code"]), ("", &json!("WL0526")), "{refused:?}");
        assert!(problem["detail"].as_str().unwrap().contains(what), "{refused:?}");
    }

    let other = ["run", &path, "--data-dir", &data, "--id", "weekly"];
    windlass(&other).await.exits(0);
    assert_eq!(stub.count("/first"), 2, "another id is another instance");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_goes_on_from_its_beginning() {
    let tasks = "  - rest: { wait: { seconds: 2 } }\n  - done: { set: { done: true } }";
    let (folder, path) = file(definition("rests", tasks));
    let data = folder.path().join("data").display().to_string();
    let arguments = ["run", &path, "--data-dir", &data, "--id", "one"];
    let begun = Instant::now();
    let mut process = spawn(folder.path(), &arguments);
    moment(Duration::from_secs(1)).await;
    process.kill().await;
    let output = windlass_in(folder.path(), &arguments).await.exits(0);
    assert_eq!(output.json(), json!({"done": true}));
    assert!(begun.elapsed() >= Duration::from_secs(2), "not before its time");
}
