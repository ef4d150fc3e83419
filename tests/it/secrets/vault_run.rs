//! Workflows whose secrets are in the store.

use std::time::Duration;

use serde_json::json;
use tokio::process::Command;
use tokio::sync::watch;

use super::vault_setup::Setup;
use crate::support::binary;
use crate::support::command::{finish, spawn, windlass_in};
use crate::support::process::Process;
use crate::support::stub::{Reply, Stub};
use crate::support::until::{SOON, until};

/// How long identities live.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// A store whose secret `default/acme/key` the worker may read, and the file that says how.
async fn setup() -> Setup {
    let setup = Setup::start().await;
    setup.bao.write("secret/data/default/acme/key", json!({"data": {"value": "c4nary-1"}})).await;
    let read = "path \"secret/data/default/*\" { capabilities = [\"read\"] }\n\
                path \"transit/+/windlass-acme\" { capabilities = [\"create\", \"update\"] }";
    setup.bao.write("sys/policies/acl/read", json!({"policy": read})).await;
    let token = setup.token_file(json!({"policies": ["read"]})).await;
    setup.source(&format!("[vault.auth]\nmethod = \"token\"\ntoken-file = \"{token}\"\n"));
    setup
}

#[tokio::test]
async fn a_run_gives_back_what_was_made_for_it_before_it_ends() {
    let setup = Setup::start().await;
    setup.certificates().await;
    let policy = "path \"pki/issue/web\" { capabilities = [\"update\"] }\n\
                  path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
    setup.bao.write("sys/policies/acl/issue", json!({"policy": policy})).await;
    let token = setup.token_file(json!({"policies": ["issue"]})).await;
    setup.source(&format!(
        "[vault.auth]\nmethod = \"token\"\ntoken-file = \"{token}\"\n\
         [vault.secret.key]\nengine = \"pki\"\npath = \"web\"\ncommon-name = \"a.example\"\n\
         field = \"serial_number\"\n"
    ));
    let stub = Stub::http(|_| Reply::Json(200, json!("welcome"))).await;
    let file = definition(&setup, &stub.url("/"), "key");
    windlass_in(setup.folder.path(), &arguments(&file)).await.exits(0);
    assert_eq!(stub.count("/"), 1);
    assert_eq!(setup.requests("update", "pki/issue/web"), 1);
    assert_eq!(setup.leases().await, 0);
}

/// A workflow that calls `url` with the secret `name`.
fn definition(setup: &Setup, url: &str, name: &str) -> String {
    setup.file(
        "call.yaml",
        &format!(
            "document: {{dsl: '1.0.0', namespace: acme, name: orders, version: '1.0.0'}}\n\
             use: {{secrets: [{name}]}}\n\
             do:\n  - ask:\n      call: http\n      with:\n        method: get\n        \
             endpoint: {url}\n        headers: {{x-key: \"${{ $secrets.{name} }}\"}}\n"
        ),
    )
}

fn arguments(file: &str) -> [&str; 4] {
    ["run", file, "--secrets-config", "secrets.toml"]
}

#[tokio::test]
async fn a_workflow_uses_a_secret_of_the_store_and_never_shows_it() {
    let setup = setup().await;
    let stub = Stub::http(|seen| {
        Reply::Json(200, json!({"echo": seen.header("x-key").unwrap_or_default()}))
    })
    .await;
    let file = definition(&setup, &stub.url("/"), "key");
    let output = windlass_in(setup.folder.path(), &arguments(&file)).await.exits(0);
    assert_eq!(stub.seen()[0].header("x-key"), Some("c4nary-1"));
    assert!(!format!("{output:?}").contains("c4nary"), "{output:?}");

    let file = definition(&setup, &stub.url("/"), "other");
    let output = windlass_in(setup.folder.path(), &arguments(&file)).await.exits(1);
    assert!(output.stderr.contains("errors/authorization"), "{output:?}");
    assert!(output.stderr.contains("the secret other cannot be read"), "{output:?}");
    assert!(!output.stderr.contains("secret/data"), "{output:?}");

    setup.bao.seal().await;
    let output = windlass_in(setup.folder.path(), &arguments(&file)).await.exits(1);
    assert!(output.stderr.contains("errors/runtime"), "{output:?}");
    assert!(output.stderr.contains("503") && output.stderr.contains("sealed"), "{output:?}");
}

#[tokio::test]
async fn no_value_token_or_path_reaches_the_log() {
    let setup = setup().await;
    let stub = Stub::http(|_| Reply::Json(200, json!("welcome"))).await;
    let file = definition(&setup, &stub.url("/"), "key");
    let mut command = Command::new(binary::windlass());
    command.current_dir(setup.folder.path()).args(arguments(&file)).env("WINDLASS_LOG", "trace");
    let output = finish(Process::spawn(command)).await.exits(0);
    let token = std::fs::read_to_string(setup.folder.path().join("token")).unwrap();
    assert!(output.stderr.contains("the vault answered"), "{output:?}");
    for leak in ["c4nary-1", token.trim(), "secret/data", "default/acme"] {
        let lines: Vec<&str> = output.stderr.lines().filter(|it| it.contains(leak)).collect();
        assert!(lines.is_empty(), "{leak}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_secret_that_is_replaced_during_a_call_is_used_for_another_try() {
    let setup = setup().await;
    let (open, gate) = watch::channel(false);
    let stub = Stub::http(move |seen| match seen.header("x-key") {
        Some("c4nary-2") => Reply::Json(200, json!("welcome")),
        _ => Reply::Gated(gate.clone(), Box::new(Reply::Text(401, "who?".into()))),
    })
    .await;
    let file = definition(&setup, &stub.url("/"), "key");
    let running = spawn(setup.folder.path(), &arguments(&file));
    until(SOON, "the first request", || async { (stub.count("/") == 1).then_some(()) }).await;
    setup.bao.write("secret/data/default/acme/key", json!({"data": {"value": "c4nary-2"}})).await;
    open.send(true).unwrap();
    let output = finish(running).await.exits(0);
    assert_eq!(output.json(), json!("welcome"));
    assert_eq!(stub.count("/"), 2);
}
