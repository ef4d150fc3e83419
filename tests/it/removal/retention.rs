//! How long ended instances are kept, and the archive that they go to.

use serde_json::{Value, json};

use super::{definition, echo};
use crate::support::client::Api;
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::paths;
use crate::support::until::{SOON, until};

fn path(id: &Value) -> String {
    format!("/v1/instances/{}", id.as_str().unwrap())
}

async fn is_listed(api: &Api, id: &Value) -> bool {
    let page = api.get("/v1/instances?limit=1000").await.ok();
    page["items"].as_array().unwrap().iter().any(|it| it["id"] == *id)
}

fn flags(words: &[&str]) -> Vec<String> {
    words.iter().map(|it| (*it).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_and_definitions_say_how_long_instances_are_kept() {
    let words = ["--retention-days", "0", "--retention", "removal/echo=1ms"];
    let mut dev = Dev::with(&flags(&[&words[..], &["--retention", "kept=forever"]].concat())).await;
    let named = echo();
    let other = definition("other", "  - a: { set: { x: 1 } }");
    let own = definition("own", "  - a: { set: { x: 1 } }").replace(
        "version: '1.0.0'",
        "version: '1.0.0', metadata: { windlass: { retention: { milliseconds: 1 } } }",
    );
    let kept = named.replace("namespace: removal", "namespace: kept");
    let mut ids = Vec::new();
    for text in [&named, &own, &other, &kept] {
        let workflow = dev.api.deploy(text).await;
        ids.push(dev.api.run(&workflow, &json!({})).await["id"].clone());
    }
    // It looks once it has started.
    dev.restart().await;
    for id in &ids[..2] {
        until(SOON, "its removal", || async { (!is_listed(&dev.api, id).await).then_some(()) })
            .await;
        assert_eq!(dev.api.get(&path(id)).await.problem(404)["code"], "WL0503");
    }
    for id in &ids[2..] {
        assert!(is_listed(&dev.api, id).await);
    }
    dev.kill().await;
    windlass(&["fsck", dev.data().to_str().unwrap()]).await.exits(0);
    let bad = ["dev", "--retention", "removal=soon", "--bind", "127.0.0.1:0"];
    windlass(&bad).await.exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_is_archived_before_and_shown_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive").display().to_string();
    let words = ["--archive", &archive, "--retention", "removal/other=1ms"];
    let mut dev = Dev::with(&flags(&words)).await;
    let url = dev.api.base();
    let workflow = dev.api.deploy(&echo()).await;
    let input = json!({"large": "x".repeat(100_000), "n": 12_345_678_901_234_567_890_u64});
    let id = dev.api.run(&workflow, &input).await["id"].clone();
    let shown = dev.api.get(&path(&id)).await;
    assert!(shown.headers.get("windlass-archived").is_none());
    let name = id.as_str().unwrap();
    windlass(&["delete", name, "--url", &url]).await.exits(0);
    assert!(!is_listed(&dev.api, &id).await);
    let archived = dev.api.get(&path(&id)).await;
    assert_eq!(archived.headers["windlass-archived"], "true");
    assert_eq!(archived.ok(), shown.ok());
    let told = windlass(&["show", name, "--url", &url]).await.exits(0).stdout;
    assert!(told.contains("12345678901234567890"), "a number keeps its digits");
    assert_eq!(dev.api.delete(&path(&id)).await.problem(404)["code"], "WL0503");
    let line = windlass(&["archive", "show", &archive, name]).await.exits(0).stdout;
    let line: Value = serde_json::from_str(&line).unwrap();
    let events: Vec<_> =
        line["history"].as_array().unwrap().iter().map(|it| &it["event"]).collect();
    assert!(events.len() > 2 && events[0] == "instance.started", "{events:?}");
    // One that is not to be kept anywhere.
    let forgotten = dev.api.run(&workflow, &json!({})).await["id"].clone();
    let words = ["delete", forgotten.as_str().unwrap(), "--no-archive", "--url", &url];
    windlass(&words).await.exits(0);
    assert_eq!(dev.api.get(&path(&forgotten)).await.problem(404)["code"], "WL0503");
    // Retention archives as well.
    let other = dev.api.deploy(&definition("other", "  - a: { set: { x: 1 } }")).await;
    let other = dev.api.run(&other, &json!({})).await["id"].clone();
    dev.restart().await;
    until(SOON, "its removal", || async { (!is_listed(&dev.api, &other).await).then_some(()) })
        .await;
    assert_eq!(dev.api.get(&path(&other)).await.ok()["output"], json!({"x": 1}));
    let listed = windlass(&["archive", "list", &archive]).await.exits(0).stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert_eq!(windlass(&["archive", "verify", &archive]).await.exits(0).json()["whole"], 2);
    for file in paths::files(folder.path()) {
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    let verified = windlass(&["archive", "verify", &archive]).await.exits(1);
    assert!(verified.stderr.contains("WL0732"), "{}", verified.stderr);
    assert_eq!(dev.api.get(&path(&id)).await.problem(503)["code"], "WL0558");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_archived_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    let dev = Dev::with(&flags(&["--archive", archive.to_str().unwrap()])).await;
    let workflow = dev.api.deploy(&echo()).await;
    let id = dev.api.run(&workflow, &json!({})).await["id"].clone();
    let name = id.as_str().unwrap();
    // Where its folder should be, there is a file.
    std::fs::write(archive.join(&name[name.len() - 2..]), "").unwrap();
    let problem = dev.api.delete(&path(&id)).await.problem(503);
    assert_eq!(problem["code"], "WL0558", "{problem}");
    assert!(is_listed(&dev.api, &id).await);
    assert_eq!(dev.api.show(name).await["status"], "completed");
    let answer = dev.api.delete(&format!("{}?archive=false", path(&id))).await;
    assert_eq!(answer.status, 204);
    assert!(!is_listed(&dev.api, &id).await);
}
