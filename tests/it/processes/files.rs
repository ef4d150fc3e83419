//! Files are for their user alone, whatever the mask that a process is given.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::{definition, shell};
use crate::support::dev::Dev;
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;

/// Runs what follows without any mask.
fn unmasked() -> Vec<String> {
    ["sh", "-c", "umask 0; exec \"$0\" \"$@\""].map(str::to_owned).into()
}

/// What below `folder` others may touch, and how much there is.
fn open_to_others(folder: &Path) -> (Vec<String>, usize) {
    let mut folders = vec![folder.to_owned()];
    let (mut open, mut all) = (Vec::new(), 0);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path());
        let (inner, files): (Vec<_>, Vec<_>) = entries.partition(|it| it.is_dir());
        for (path, expected) in files.iter().map(|it| (it, 0o600)).chain([(&folder, 0o700)]) {
            // The store may have removed one of its files since.
            let Ok(found) = path.metadata() else { continue };
            let mode = found.permissions().mode() & 0o777;
            all += 1;
            if mode != expected {
                open.push(format!("{} {mode:o}", path.display()));
            }
        }
        folders.extend(inner);
    }
    (open, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dev_keeps_is_its_users_and_tasks_get_the_mask_that_was_given() {
    let mut dev = Dev::wrapped(&unmasked(), &[]).await;
    let workflow = dev.api.deploy(&definition("mask", &shell("umask"))).await;
    let view = dev.api.run(&workflow, &json!({})).await;
    assert_eq!(view["output"].as_str().unwrap().trim().trim_start_matches('0'), "", "{view}");
    let (open, all) = open_to_others(dev.data());
    assert!(open.is_empty() && all > 3, "{open:?} of {all}");
    // The signing key would let a task speak for any other.
    assert!(!dev.data().join("identity.json").exists());

    // One of a version that left it open.
    dev.kill().await;
    std::fs::set_permissions(dev.data(), PermissionsExt::from_mode(0o755)).unwrap();
    for file in crate::support::paths::files(dev.data()) {
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o644)).unwrap();
    }
    dev.launch();
    dev.ready().await;
    let top: Vec<_> = open_to_others(dev.data()).0;
    let below = |it: &&String| it.matches('/').count() > dev.data().components().count();
    let left: Vec<_> = top.iter().filter(|it| !below(it)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_coordinator_keeps_is_its_users() {
    let nats = Nats::start().await;
    let layout = Layout::on(&nats.url(), 1).worker(&["--secret", "it=hunter2"]);
    let mut fleet = Fleet::prepare(layout).await;
    fleet.coordinator.wrapper = unmasked();
    fleet.start_all().await;
    let text = "document: {dsl: '1.0.3', namespace: processes, name: kept, version: '1.0.0'}\n\
                use: {secrets: [it]}\ndo:\n- it: {set: {length: '${ $secrets.it | length }'}}\n";
    let workflow = fleet.api.deploy(text).await;
    assert_eq!(fleet.api.run(&workflow, &json!({})).await["status"], "completed");
    let (open, all) = open_to_others(&fleet.data());
    assert!(open.is_empty() && all > 5, "{open:?} of {all}");
    for name in ["coordinator.key", "identity.json", "audit.jsonl", "audit.key"] {
        assert!(fleet.data().join(name).exists(), "{name}");
    }
}
