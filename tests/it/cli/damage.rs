//! A journal that a bad disk has changed: a message, never a crash, never a silent loss.

use serde_json::json;
use windlass_coordinator::engine;
use windlass_coordinator::journal::sled::{Options, SledJournal};
use windlass_coordinator::journal::{Commit, Filter, InstanceWrite, Journal};
use windlass_proto::time::Timestamp;
use windlass_proto::value::Value;

use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::paths;

#[tokio::test(flavor = "multi_thread")]
async fn fsck_finds_a_sound_journal_sound() {
    let mut dev = Dev::start().await;
    let text = std::fs::read_to_string(paths::example("hello.yaml")).unwrap();
    let workflow = dev.api.deploy(&text).await;
    for index in 0..20 {
        dev.api.run(&workflow, &json!({"name": index.to_string()})).await;
    }
    let data = dev.data().display().to_string();
    let open = windlass(&["fsck", &data]).await;
    assert_ne!(open.code, Some(0), "a journal in use cannot be checked: {open:?}");
    dev.kill().await;
    windlass(&["fsck", &data]).await.exits(0);
    for way in [vec![], vec!["--salvage", "saved"]] {
        let arguments = [vec!["fsck", "no-such-directory"], way].concat();
        let missing = windlass(&arguments).await.exits(2);
        assert_eq!(missing.stderr, "windlass: there is no directory no-such-directory\n");
    }
    let taken = windlass(&["fsck", &data, "--salvage", &data]).await.exits(2);
    assert!(taken.stderr.contains("is not empty"), "{taken:?}");

    // Its settings: the log can be saved without them.
    std::fs::write(dev.data().join("conf"), "segment_size: 1").unwrap();
    let damaged = windlass(&["fsck", &data]).await.exits(1);
    assert!(damaged.stderr.contains("its file conf"), "{damaged:?}");
    // Its log: nothing can be saved, so nobody is told to try.
    std::fs::remove_file(dev.data().join("db")).unwrap();
    let gone = windlass(&["fsck", &data]).await.exits(1);
    assert!(
        gone.stderr.contains("the file db is gone") && gone.stderr.contains("WL0607"),
        "{gone:?}"
    );
    assert!(!gone.stderr.contains("--salvage"), "{gone:?}");
    let empty = tempfile::tempdir().unwrap();
    let none = windlass(&["fsck", &empty.path().display().to_string()]).await.exits(1);
    assert!(none.stderr.contains("there is no journal in"), "{none:?}");
}

/// Each record is sound, and what they say cannot be.
#[tokio::test(flavor = "multi_thread")]
async fn fsck_shows_an_instance_whose_history_does_not_add_up() {
    let mut dev = Dev::start().await;
    let text = std::fs::read_to_string(paths::example("hello.yaml")).unwrap();
    let workflow = dev.api.deploy(&text).await;
    dev.api.run(&workflow, &json!({"name": "Ada"})).await;
    dev.kill().await;
    let id = {
        let journal = SledJournal::open(dev.data(), &Options::default()).unwrap();
        let (id, _) = journal.list(&Filter::default(), None, 1).unwrap().items[0];
        let sequence: u64 = journal
            .facts(id, 0, usize::MAX)
            .unwrap()
            .last()
            .map(|it| it.sequence + u64::from(it.count))
            .unwrap();
        let mut facts = Vec::new();
        let again = engine::Fact::Completed(Value::Null);
        let turn = engine::Journaled { at: Timestamp(1), facts: vec![again] };
        engine::encode(&turn, &mut facts).unwrap();
        let (count, facts, head, hot, snapshot) = (1, facts.into(), None, None, None);
        let write = InstanceWrite { instance: id, sequence, count, facts, head, hot, snapshot };
        let partition = id.partition(journal.partitions());
        let commit = Commit { partition, writes: vec![write], ..Commit::default() };
        journal.commit(&[commit]).unwrap();
        id
    };
    let checked = windlass(&["fsck", &dev.data().display().to_string()]).await;
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stderr.contains("WL0716"), "{checked:?}");
    let report: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    let line = report["misfits"][0].as_str().unwrap();
    assert!(line.contains(&id.to_string()) && line.contains("Completed"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_in_the_file_ends_in_a_message() {
    let mut dev = Dev::start().await;
    let text = std::fs::read_to_string(paths::example("hello.yaml")).unwrap();
    let workflow = dev.api.deploy(&text).await;
    for index in 0..20 {
        dev.api.run(&workflow, &json!({"name": index.to_string()})).await;
    }
    dev.kill().await;
    let files = paths::files(dev.data());
    let store = files.iter().max_by_key(|it| it.metadata().unwrap().len()).unwrap();
    let sound = std::fs::read(store).unwrap();
    let data = dev.data().display().to_string();
    let written = sound.iter().rposition(|it| *it != 0).unwrap();

    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..12 {
        let mut bytes = sound.clone();
        if round % 4 == 3 {
            bytes.truncate(random.usize(0..written));
        } else {
            let at = random.usize(0..written);
            let end = (at + random.usize(1..64)).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|it| *it = random.u8(..));
        }
        std::fs::write(store, &bytes).unwrap();
        let output = windlass(&["fsck", &data]).await;
        // A store may drop what its own log shows to be cut off; then the journal is sound again.
        assert!(matches!(output.code, Some(0..=2)), "round {round}: {output:?}");
        assert!(!output.stderr.contains("panicked"), "round {round}: {output:?}");
        if output.code != Some(0) {
            assert!(output.stderr.len() + output.stdout.len() > 20, "round {round}: {output:?}");
        }
    }
}
