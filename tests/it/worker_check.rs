//! `windlass worker check`: the workers of the examples keep to the protocol, and one that does not
//! is found out.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use crate::support::{binary, paths, tools};

/// What the worker in Python needs, as its first lines say.
const PACKAGES: [&str; 3] = ["msgpack==1.2.4", "nats-py==2.16.0", "pynacl==1.6.2"];

/// What its function takes.
const ARGUMENTS: &str = r#"{"amount": 8, "from": "EUR", "to": "USD"}"#;

/// What came of a check.
struct Checked {
    code: Option<i32>,
    checks: Vec<Value>,
    junit: String,
    stderr: String,
}

impl Checked {
    /// The rules that did not hold.
    fn failed(&self) -> Vec<&str> {
        let failed = self.checks.iter().filter(|it| it["passed"] == false);
        failed.filter_map(|it| it["check"].as_str()).collect()
    }
}

async fn check(program: &[&str]) -> Checked {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("junit.xml");
    let server = tools::program(&tools::NATS_SERVER).await;
    let path = format!("{}:{}", server.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(binary::windlass());
    command
        .args(["worker", "check", "--function", "convert", "--arguments", ARGUMENTS])
        .args(["--output", "json", "--junit"])
        .arg(&junit)
        .arg("--")
        .args(program)
        .env("PATH", path)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}\n{stderr}", String::from_utf8_lossy(&output.stdout))
    });
    Checked {
        code: output.status.code(),
        checks: told["items"].as_array().unwrap().clone(),
        junit: std::fs::read_to_string(&junit).unwrap(),
        stderr,
    }
}

fn python_worker() -> PathBuf {
    paths::example("python-worker/worker.py")
}

/// A copy of the worker in Python in which `from` is `to`.
fn broken(folder: &Path, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(python_worker()).unwrap();
    assert!(text.contains(from), "the example has changed: {from}");
    let path = folder.join("worker.py");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_in_python_keeps_to_the_protocol() {
    let python = tools::python(&PACKAGES).await.display().to_string();
    let checked = check(&[&python, &python_worker().display().to_string()]).await;
    assert!(checked.failed().is_empty(), "{:#?}\n{}", checked.checks, checked.stderr);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(checked.checks.len() > 30, "{:#?}", checked.checks);
    assert!(checked.junit.contains("failures=\"0\""), "{}", checked.junit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_forgets_what_is_not_settled_is_found_out() {
    let python = tools::python(&PACKAGES).await.display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = broken(folder.path(), "AGAIN, LONGEST = 2.0, 8.0", "AGAIN, LONGEST = 900.0, 900.0");
    let checked = check(&[&python, &file]).await;
    assert_eq!(checked.code, Some(1), "{}", checked.stderr);
    assert!(checked.stderr.contains("WL0743"), "{}", checked.stderr);
    let failed = checked.failed();
    assert!(failed.contains(&"a report is repeated until it is settled"), "{failed:?}");
    assert!(checked.junit.contains("<failure message="), "{}", checked.junit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_counts_wrong_is_found_out() {
    let python = tools::python(&PACKAGES).await.display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file =
        broken(folder.path(), "            self.sent += 1\n", "            self.sent += 2\n");
    let checked = check(&[&python, &file]).await;
    let failed = checked.failed();
    assert!(failed.contains(&"its frames are numbered without gaps, and open"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_takes_a_frame_twice_is_found_out() {
    let python = tools::python(&PACKAGES).await.display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = broken(folder.path(), "if counter <= self.seen:", "if False:");
    let checked = check(&[&python, &file]).await;
    let failed = checked.failed();
    for rule in ["a frame that comes twice counts once", "a frame that comes late is refused"] {
        assert!(failed.contains(&rule), "{rule}: {failed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_worker_is_told() {
    let checked = check(&["/no/such/program"]).await;
    assert_eq!(checked.failed(), ["it can be started"], "{:#?}", checked.checks);
}
