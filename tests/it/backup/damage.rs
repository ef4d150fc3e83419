//! Backups that were changed, and orders that make no sense.

use std::time::Duration;

use serde_json::json;
use windlass_coordinator::backup::{About, Protection, Sink as _, Totals, Writer};
use windlass_proto::time::Timestamp;

use super::{ENDS, Kept, SLEEPS};
use crate::support::command::{spawn, windlass};
use crate::support::dev::Dev;
use crate::support::paths;
use crate::support::until::moment;

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found_named_and_mended() {
    let kept = Kept::new();
    let dev = kept.dev().await;
    let ends = dev.api.deploy(ENDS).await;
    dev.api.run(&ends, &json!({ "number": 1 })).await;
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
    let kept = Kept::new();
    let dev = kept.dev().await;
    dev.api.deploy(SLEEPS).await;
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
    // What is no journal is not made one, and is left alone.
    let foreign = kept.path("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis"), "").unwrap();
    let of = foreign.display().to_string();
    let refused = kept.windlass(&["backup", "--data", &of, "--to", &to]).await.exits(1);
    assert!(refused.stderr.contains("WL0605"), "{refused:?}");
    assert_eq!(paths::files(&foreign), [foreign.join("thesis")]);
    // Nor is what is no backup replaced by one.
    let thesis = foreign.join("thesis");
    std::fs::write(&thesis, "chapter one").unwrap();
    let refused = kept.tried(&dev.api, &thesis).await.exits(1);
    assert!(refused.stderr.contains("is no backup"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&thesis).unwrap(), "chapter one");
    // The one that was there is whole.
    kept.windlass(&["backup", "verify", &to]).await.exits(0);
}

/// The keys are in it.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_nothing_gets_no_backup() {
    let (dev, kept) = (Dev::start().await, Kept::new());
    let to = kept.path("one.backup");
    let refused = kept.tried(&dev.api, &to).await.exits(1);
    assert!(refused.stderr.contains("WL0581"), "{refused:?}");
    assert!(!to.exists());
    let refused = dev.api.post("/v1/backups", &json!({})).await.problem(403);
    assert_eq!(refused["code"], "WL0581");
    assert!(refused["detail"].as_str().unwrap().contains("--auth"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_headers_is_enough_and_without_both_no_other_is_made() {
    let kept = Kept::new();
    let dev = kept.dev().await;
    dev.api.deploy(ENDS).await;
    let directory = kept.path("all");
    std::fs::create_dir(&directory).unwrap();
    kept.take(&dev.api, &directory).await;
    let from = directory.display().to_string();
    let names = ["windlass-backup.json", "windlass-backup.json.2"];
    let sound = std::fs::read(directory.join(names[0])).unwrap();
    assert_eq!(std::fs::read(directory.join(names[1])).unwrap(), sound);
    for name in names {
        let header = directory.join(name);
        for flipped in [true, false] {
            let mut bytes = sound.clone();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            match flipped {
                true => std::fs::write(&header, bytes).unwrap(),
                false => std::fs::remove_file(&header).unwrap(),
            }
            let found = kept.windlass(&["backup", "verify", &from]).await.exits(1);
            assert!(found.stderr.contains(name) && found.stderr.contains("WL0614"), "{found:?}");
            kept.restore(&directory).await;
            kept.take(&dev.api, &directory).await;
            kept.windlass(&["backup", "verify", &from]).await.exits(0);
            assert_eq!(std::fs::read(&header).unwrap(), sound);
        }
    }
    names.iter().for_each(|it| std::fs::remove_file(directory.join(it)).unwrap());
    let refused = kept.tried(&dev.api, &directory).await.exits(1);
    assert!(refused.stderr.contains("WL0614"), "{refused:?}");
    assert!(refused.stderr.contains("are missing"), "{refused:?}");
    assert!(names.iter().all(|it| !directory.join(it).exists()));
    std::fs::write(directory.join(names[1]), &sound).unwrap();
    kept.take(&dev.api, &directory).await;
    kept.windlass(&["backup", "verify", &from]).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_damaged_journal_is_told_and_replaces_no_clean_one() {
    let kept = Kept::new();
    let directory = kept.path("all");
    std::fs::create_dir(&directory).unwrap();
    for damaged in [0, 1, 2] {
        let mut writer = Writer::open(&directory, &Protection::None).unwrap();
        let about = About { at: Timestamp(1), version: "1".into(), partitions: 1, of: None };
        writer.begin(about).unwrap();
        writer.piece(vec![damaged; 9]).unwrap();
        writer.end(Totals { changes: 3, damaged: damaged.into() }).unwrap();
        writer.finish().unwrap();
    }
    let from = directory.display().to_string();
    let pruned = windlass(&["backup", "prune", &from, "--keep", "1"]).await.exits(0).json();
    assert_eq!((&pruned["kept"], &pruned["removed_objects"]), (&json!(2), &json!(1)));
    let listed = windlass(&["backup", "list", &from]).await.exits(0).json();
    let damaged: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|it| &it["damaged_records"]).collect();
    assert_eq!(damaged, [&json!(0), &json!(2)]);
    let told = windlass(&["backup", "verify", &from]).await.exits(1);
    assert_eq!(told.json()["of_damaged_journal"], json!([listed["items"][1]["backup"]]));
    assert!(told.stderr.contains("fsck"), "{told:?}");
    let clean = listed["items"][0]["backup"].as_str().unwrap();
    windlass(&["backup", "verify", &from, "--backup", clean]).await.exits(0);
}

/// Any moment is right: the process begins, reads, writes, syncs, or is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_killed_leaves_the_former_ones_whole() {
    let kept = Kept::new();
    let dev = kept.dev().await;
    let ends = dev.api.deploy(ENDS).await;
    let (directory, archive) = (kept.path("all"), kept.path("one.backup"));
    std::fs::create_dir(&directory).unwrap();
    kept.take(&dev.api, &directory).await;
    kept.take(&dev.api, &archive).await;
    let [passphrase, token] = ["passphrase", "token"].map(|it| kept.path(it).display().to_string());
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..10 {
        dev.api.run(&ends, &json!({ "number": round })).await;
        let to = if round % 2 == 0 { &directory } else { &archive };
        let to = to.display().to_string();
        let url = dev.api.base();
        let words = ["backup", "--to", &to, "--url", &url, "--passphrase-file", &passphrase];
        let words = [&words[..], &["--token-file", &token]].concat();
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
