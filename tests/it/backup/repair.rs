//! One flipped bit in the journal is no outage: what is whole goes on in a new directory.

use std::path::Path;

use serde_json::json;

use super::{ENDS, SLEEPS, all_of};
use crate::support::command::windlass;
use crate::support::dev::Dev;

/// Flips a bit in the middle of what is written of a file.
fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let written = bytes.iter().rposition(|it| *it != 0).unwrap();
    bytes[written / 2] ^= 4;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_whole_of_a_damaged_directory_goes_on_in_another_one() {
    let mut dev = Dev::start().await;
    let (ends, sleeps) = (dev.api.deploy(ENDS).await, dev.api.deploy(SLEEPS).await);
    for number in 0..40 {
        dev.api.run(&ends, &json!({ "number": number })).await;
    }
    let mut sleeping = Vec::new();
    for _ in 0..20 {
        sleeping.push(dev.api.start(&sleeps, &json!({})).await);
    }
    for id in &sleeping {
        dev.api.reaches(id, "waiting").await;
    }
    let before = all_of(&dev.api).await;
    dev.kill().await;
    let data = dev.data().display().to_string();

    // Of a sound one nothing is lost.
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("data").display().to_string();
    let sound = windlass(&["fsck", &data, "--repair", "--to", &to]).await.exits(0).json();
    assert_eq!((&sound["instances"], &sound["misfits"]), (&json!(60), &json!([])));
    assert!(sound["generation"].as_u64().unwrap() > 1_000_000, "{sound}");
    let again = windlass(&["fsck", &data, "--repair", "--to", &to]).await.exits(1);
    assert!(again.stderr.contains("is not empty"), "{again:?}");
    let copy = Dev::on(folder).await;
    assert_eq!(all_of(&copy.api).await, before);

    flip(&dev.data().join("db"));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("data").display().to_string();
    let repaired = windlass(&["fsck", &data, "--repair", "--to", &to]).await;
    assert!(matches!(repaired.code, Some(0 | 1)), "{repaired:?}");
    let report = repaired.json();
    let kept = std::fs::read(folder.path().join("data/repair.json")).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&kept).unwrap(), report);
    assert_eq!(repaired.code, Some(i32::from(repaired.stderr.contains("WL0711"))));
    assert!(report["files"].as_array().unwrap().iter().any(|it| it == "audit.jsonl"), "{report}");
    // Whatever is left is sound, and a coordinator starts on it.
    windlass(&["fsck", &to]).await.exits(0);
    let copy = Dev::on(folder).await;
    let listed = copy.api.get("/v1/instances?limit=1000").await.ok();
    assert_eq!(json!(listed["items"].as_array().unwrap().len()), report["instances"]);
}
