//! Heads of the audit trail, told to a server elsewhere that checks who signs by a library of the
//! Standard Webhooks.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::process::Process;
use crate::support::until::{SOON, until, within};
use crate::support::{paths, tools};

const SECRET: &str = "whsec_dGhlIHdpdG5lc3Mga25vd3MgYWxsIG9mIGl0";

const WORKFLOW: &str = "document: {dsl: 1.0.3, namespace: test, name: told, version: 1.0.0}\n\
                        do: [{a: {set: {b: 1}}}]\n";

/// The server elsewhere, and its port.
async fn witness(kept: &Path) -> (Process, String) {
    let mut command = Command::new(tools::python(&["standardwebhooks==1.1.0"]).await);
    command.arg(paths::root().join("tests/it/access/heads/witness.py")).arg(SECRET).arg(kept);
    let process = Process::spawn(command);
    let line = process.stderr().after("listening on ");
    let port = within(SOON, "the start of the witness", line).await;
    let port = port.unwrap_or_else(|| panic!("{}", process.stderr().text()));
    (process, port)
}

async fn verify(arguments: &[&str], code: i32) -> Value {
    windlass(&[&["audit", "verify"], arguments].concat()).await.exits(code).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_is_cut_off_shows_against_the_heads_that_others_have() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, secret) = (folder.path().join("heads.jsonl"), folder.path().join("secret"));
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let (witness, port) = witness(&kept).await;
    let url = format!("http://127.0.0.1:{port}/of/windlass?token=hunter2");
    let (secret, file) = (secret.display().to_string(), kept.display().to_string());
    let flags = ["--audit-heads-webhook", &url, "--audit-heads-secret-file", &secret];
    let mut dev = Dev::with(&flags.map(str::to_owned)).await;
    dev.api.deploy(WORKFLOW).await;
    let lines = || std::fs::read_to_string(&kept).unwrap_or_default().lines().count();
    // The first one is refused once, and told again.
    until(SOON, "the first head", || async { (lines() > 0).then_some(()) }).await;
    until(SOON, "the numbers of heads", || async {
        let told = dev.api.get("/metrics").await.body;
        let told = told.as_str().unwrap();
        let has = |line: &str| told.lines().any(|it| it == line);
        (!has("windlass_audit_heads_total{outcome=\"delivered\"} 0")
            && has("windlass_audit_heads_total{outcome=\"failed\"} 1")
            && has("windlass_audit_heads_waiting 0"))
        .then_some(())
    })
    .await;
    dev.process().signal(Signal::TERM);
    assert!(within(SOON, "the end", dev.process().wait()).await.success(), "{}", dev.stderr());
    let told = lines();
    assert!(told > 1, "an orderly stop tells the last one: {}", witness.stderr().text());
    let said = dev.stderr();
    assert!(said.contains("a head of the audit trail is not told"), "{said}");
    assert!(!said.contains(&SECRET[6..]) && !said.contains("hunter2"), "{said}");
    let data = dev.data().display().to_string();
    let known = &verify(&["--heads", &file, &data], 0).await["known"];
    assert_eq!((&known["given"], &known["found"]), (&told.into(), &told.into()), "{known}");
    // Somebody who may write to the directory cuts it off where nothing here shows it.
    let trail = dev.data().join("audit.jsonl");
    let text = std::fs::read_to_string(&trail).unwrap();
    let begin: String = text.lines().take(2).flat_map(|it| [it, "\n"]).collect();
    std::fs::write(&trail, begin).unwrap();
    std::fs::remove_file(trail.with_extension("head")).unwrap();
    verify(&[&data], 0).await;
    let report = verify(&["--heads", &file, &data], 1).await;
    let last: Value =
        serde_json::from_str(std::fs::read_to_string(&kept).unwrap().lines().last().unwrap())
            .unwrap();
    let missing = format!("{}:{}", last["sequence"], last["hash"].as_str().unwrap());
    let all = report["known"]["missing"].as_array().unwrap();
    assert_eq!(all.last(), Some(&Value::from(missing)), "{report}");
    assert_eq!(report["defects"][0]["finding"], "cut", "{report}");
    // What is no head is said, not passed over.
    std::fs::write(&kept, "{}\n").unwrap();
    let refused = windlass(&["audit", "verify", "--heads", &file, &data]).await.exits(2);
    assert!(refused.stderr.contains("line 1 is no head"), "{}", refused.stderr);
    let half = ["dev", "--audit-heads-webhook", &url, "--data-dir", &data];
    let refused = windlass(&half).await.exits(2);
    assert!(refused.stderr.contains("--audit-heads-secret-file"), "{}", refused.stderr);
}
