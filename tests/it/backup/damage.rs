//! Backups that were changed, and orders that make no sense.

use std::time::Duration;

use serde_json::json;

use super::{ENDS, Kept, SLEEPS};
use crate::support::command::{spawn, windlass};
use crate::support::dev::Dev;
use crate::support::paths;
use crate::support::until::moment;

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found_named_and_mended() {
    let dev = Dev::start().await;
    let ends = dev.api.deploy(ENDS).await;
    dev.api.run(&ends, &json!({ "number": 1 })).await;
    let kept = Kept::new();
    let (directory, archive) = (kept.path("all"), kept.path("one.backup"));
    std::fs::create_dir(&directory).unwrap();
    kept.take(&dev.api, &directory).await;
    kept.take(&dev.api, &archive).await;

    let objects = paths::files(&directory.join("objects"));
    let object = objects.iter().max_by_key(|it| it.metadata().unwrap().len()).unwrap();
    for damaged in [object, &archive] {
        let sound = std::fs::read(damaged).unwrap();
        let mut bytes = sound.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(damaged, &bytes).unwrap();
        let from = if damaged == object { &directory } else { &archive };
        let from = from.display().to_string();
        let found = kept.windlass(&["backup", "verify", &from]).await.exits(1);
        assert!(found.stderr.contains("WL0614"), "{found:?}");
        let to = kept.path("restored").display().to_string();
        let refused = kept.windlass(&["restore", &from, "--to", &to]).await.exits(1);
        assert!(refused.stderr.contains("WL0614"), "{refused:?}");
        assert!(!kept.path("restored").exists());
        if damaged == object {
            let name = object.file_name().unwrap().to_string_lossy().into_owned();
            let line = found.json()["damage"][0].as_str().unwrap().to_owned();
            assert!(line.contains(&name), "{line}");
            let again = kept.take(&dev.api, &directory).await;
            let listed = kept.windlass(&["backup", "list", &from]).await.exits(0).json();
            assert_eq!(listed["items"].as_array().unwrap().len(), 2);
            // What it was needed for is still in the journal, unless that has changed.
            if again["mended_objects"] == 0 {
                std::fs::write(damaged, &sound).unwrap();
            }
            kept.windlass(&["backup", "verify", &from]).await.exits(0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_in_words() {
    let dev = Dev::start().await;
    dev.api.deploy(SLEEPS).await;
    let kept = Kept::new();
    let archive = kept.path("one.backup");
    let (url, to) = (dev.api.base(), archive.display().to_string());
    // Nothing is left open that nobody asked for.
    let open = windlass(&["backup", "--to", &to, "--url", &url]).await.exits(2);
    assert!(open.stderr.contains("--unencrypted"), "{open:?}");
    kept.take(&dev.api, &archive).await;
    let closed = windlass(&["backup", "list", &to]).await.exits(1);
    assert!(closed.stderr.contains("WL0615"), "{closed:?}");
    let wrong = kept.path("wrong");
    std::fs::write(&wrong, "another horse entirely\n").unwrap();
    let wrong = wrong.display().to_string();
    let wrong = windlass(&["backup", "verify", &to, "--passphrase-file", &wrong]).await.exits(1);
    assert!(wrong.stderr.contains("not the one"), "{wrong:?}");
    let taken = kept.path(".").display().to_string();
    let full = kept.windlass(&["restore", &to, "--to", &taken]).await.exits(1);
    assert!(full.stderr.contains("is not empty"), "{full:?}");
    let others = kept.windlass(&["backup", "--to", &taken, "--url", &url]).await.exits(1);
    assert!(others.stderr.contains("has no backups and is not empty"), "{others:?}");
    let used = dev.data().display().to_string();
    let used = kept.windlass(&["backup", "--data", &used, "--to", &to]).await.exits(1);
    assert!(used.stderr.contains("WL0604"), "{used:?}");
    // The one that was there is whole.
    kept.windlass(&["backup", "verify", &to]).await.exits(0);
}

/// Any moment is right: the process begins, reads, writes, syncs, or is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_killed_leaves_the_former_ones_whole() {
    let dev = Dev::start().await;
    let ends = dev.api.deploy(ENDS).await;
    let kept = Kept::new();
    let (directory, archive) = (kept.path("all"), kept.path("one.backup"));
    std::fs::create_dir(&directory).unwrap();
    kept.take(&dev.api, &directory).await;
    kept.take(&dev.api, &archive).await;
    let passphrase = kept.path("passphrase").display().to_string();
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..10 {
        dev.api.run(&ends, &json!({ "number": round })).await;
        let to = if round % 2 == 0 { &directory } else { &archive };
        let to = to.display().to_string();
        let url = dev.api.base();
        let words = ["backup", "--to", &to, "--url", &url, "--passphrase-file", &passphrase];
        let mut process = spawn(&paths::root(), &words);
        moment(Duration::from_millis(random.u64(0..600))).await;
        process.kill().await;
        kept.windlass(&["backup", "verify", &to]).await.exits(0);
    }
    // What they left is in nobody's way.
    kept.take(&dev.api, &archive).await;
    kept.take(&dev.api, &directory).await;
    let from = directory.display().to_string();
    let pruned = kept.windlass(&["backup", "prune", &from, "--keep", "1"]).await.exits(0).json();
    assert_eq!(pruned["kept"], 1);
    let verified = kept.windlass(&["backup", "verify", &from]).await.exits(0).json();
    let left = paths::files(&directory.join("objects")).len();
    assert_eq!(json!(left), verified["objects"]);
    let copy = Dev::on(kept.restore(&directory).await).await;
    assert_eq!(super::all_of(&copy.api).await, super::all_of(&dev.api).await);
}
