//! Data directories and backups of every format there was, which stay here for ever: each is read,
//! followed, listed, and goes on.
//!
//! `WINDLASS_RECORD=NAME cargo test --workspace --test it backup::recorded` records one more, below
//! `tests/recorded`; do it when a format changes, with the build before.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{ENDS, Kept, WAITS, all_of};
use crate::support::client::Api;
use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::paths;

/// Sleeps while it is recorded, and is over soon after that.
const NAPS: &str = "
document: { dsl: '1.0.3', namespace: backup, name: naps, version: '1.0.0' }
do:
  - naps: { wait: PT30S }
";

fn folder() -> PathBuf {
    paths::root().join("tests/recorded")
}

/// Writes the files of a folder into one: name, length and bytes of each.
fn pack(from: &Path, to: &Path) {
    let mut out = GzEncoder::new(std::fs::File::create(to).unwrap(), Compression::best());
    let mut files = paths::files(from);
    files.sort();
    for file in files {
        let name = file.strip_prefix(from).unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&file).unwrap();
        writeln!(out, "{name} {}", bytes.len()).unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap();
}

fn unpack(from: &Path, to: &Path) {
    let mut all = Vec::new();
    GzDecoder::new(std::fs::File::open(from).unwrap()).read_to_end(&mut all).unwrap();
    let mut rest = all.as_slice();
    std::fs::create_dir_all(to).unwrap();
    while let Some(end) = rest.iter().position(|it| *it == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        let (name, length) = line.rsplit_once(' ').unwrap();
        let (bytes, after) = rest[end + 1..].split_at(length.parse().unwrap());
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        rest = after;
    }
}

/// Does something of every kind, and keeps what is on the disk then and what people see of it.
async fn record(name: &str) {
    let place = folder().join(name);
    std::fs::create_dir_all(&place).unwrap();
    let kept = Kept::new();
    let mut dev = kept.dev().await;
    let ends = dev.api.deploy(ENDS).await;
    for number in 0..5 {
        dev.api.run(&ends, &json!({ "number": number })).await;
    }
    for text in [NAPS, WAITS] {
        let workflow = dev.api.deploy(text).await;
        let id = dev.api.start(&workflow, &json!({})).await;
        dev.api.reaches(&id, "waiting").await;
    }
    let backup = place.join("one.backup");
    let to = backup.display().to_string();
    let (url, token) = (dev.api.base(), kept.path("token").display().to_string());
    let take = ["backup", "--to", &to, "--unencrypted", "--url", &url, "--token-file", &token];
    windlass(&take).await.exits(0);
    let all = all_of(&dev.api).await;
    let waiting = all[0]["items"].as_array().unwrap().iter().filter(|it| it["status"] == "waiting");
    assert_eq!(waiting.count(), 2, "it took too long");
    let seen = serde_json::to_string_pretty(&all).unwrap();
    std::fs::write(place.join("seen.json"), seen + "\n").unwrap();
    dev.kill().await;
    pack(dev.data(), &place.join("data.gz"));
}

/// True when all that was seen is seen now; there may be more.
fn covers(now: &Value, then: &Value) -> bool {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            then.iter().all(|(name, it)| now.get(name).is_some_and(|now| covers(now, it)))
        }
        (Value::Array(now), Value::Array(then)) => {
            now.len() >= then.len() && now.iter().zip(then).all(|(now, then)| covers(now, then))
        }
        (now, then) => now == then,
    }
}

async fn goes_on(api: &Api, seen: &[Value]) {
    let listed = api.get("/v1/instances?limit=1000").await.ok();
    let items = listed["items"].as_array().unwrap();
    for then in seen[0]["items"].as_array().unwrap() {
        let now = items.iter().find(|it| it["id"] == then["id"]).unwrap();
        // What slept then is over by now.
        let has_ended = then["status"] == "completed";
        assert!(!has_ended || covers(now, then), "{now}\n{then}");
    }
    for then in &seen[1..] {
        let now = json!(api.history(then["id"].as_str().unwrap()).await);
        assert!(covers(&now, &then["history"]), "{now}\n{then}");
    }
    let event = json!({ "type": "backup.go", "source": "/t", "id": "1", "specversion": "1.0",
        "data": { "told": "now" } });
    assert_eq!(api.event(&event).await["consumed"], 1);
    for then in seen[0]["items"].as_array().unwrap() {
        let ended = api.ends(then["id"].as_str().unwrap()).await;
        assert_eq!(ended["status"], "completed", "{ended}");
    }
    let workflow = json!({ "namespace": "backup", "name": "ends", "version": "1.0.0" });
    let answer = api.run(&workflow, &json!({ "number": 21 })).await;
    assert_eq!(answer["output"], json!({ "answer": 42 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_earlier_formats_have_written_is_read_and_goes_on() {
    if let Ok(name) = std::env::var("WINDLASS_RECORD") {
        record(&name).await;
    }
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let place = entry.unwrap().path();
        let seen = std::fs::read_to_string(place.join("seen.json")).unwrap();
        let seen: Vec<Value> = serde_json::from_str(&seen).unwrap();
        for of in ["data", "backup"] {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path().join("data");
            let to = data.display().to_string();
            if of == "data" {
                unpack(&place.join("data.gz"), &data);
            } else {
                let from = place.join("one.backup").display().to_string();
                windlass(&["backup", "verify", &from]).await.exits(0);
                windlass(&["restore", &from, "--to", &to]).await.exits(0);
            }
            windlass(&["fsck", &to]).await.exits(0);
            let dev = Dev::on(folder).await;
            goes_on(&dev.api, &seen).await;
            count += 1;
        }
    }
    assert!(count > 0, "there are none");
}
