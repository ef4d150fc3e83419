//! A clock that is set while instances wait.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{definition, long};
use crate::support::dev::Dev;
use crate::support::skip;

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_neither_holds_timers_nor_fires_them_early() {
    let library = match faketime() {
        Ok(library) => library,
        Err(reason) => return skip("api clock", &reason, "faketime"),
    };
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    set(&offset, "+0");
    let wrapper = [
        "env".to_owned(),
        format!("LD_PRELOAD={library}"),
        format!("FAKETIME_TIMESTAMP_FILE={}", offset.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        // Only the time of day is set; intervals are what they are.
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        "DONT_FAKE_MONOTONIC=1".to_owned(),
    ];
    let dev = Dev::wrapped(&wrapper, &[]).await;
    let short = dev.api.deploy(&definition("short", "  - rest: { wait: PT2S }")).await;
    let long = dev.api.deploy(&long()).await;
    let hour = dev.api.start(&long, &json!({})).await;
    dev.api.reaches(&hour, "waiting").await;
    for change in ["-1h", "+3h", "-2d", "+0"] {
        let before = dev.api.start(&short, &json!({})).await;
        dev.api.reaches(&before, "waiting").await;
        set(&offset, change);
        // Both what waited already and what begins to wait now.
        let after = dev.api.start(&short, &json!({})).await;
        for id in [before, after] {
            dev.api.reaches(&id, "completed").await;
        }
        assert_eq!(dev.api.show(&hour).await["status"], "waiting", "after {change}");
    }
}

/// Replaces the file in one step, as it is read all the time.
fn set(file: &Path, offset: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{offset}\n")).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Where the library is that fakes the time.
fn faketime() -> Result<String, String> {
    let tried = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
    match tried {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => Err(format!("faketime fails: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("faketime is not installed ({error})")),
    }
}
