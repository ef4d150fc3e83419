//! `windlass bench`, as far as it is more than what it measures.

use rustix::process::Signal;
use tokio::process::Command;

use crate::support::binary;
use crate::support::command::{finish, windlass};
use crate::support::paths;
use crate::support::process::Process;
use crate::support::until::{SOON, until};

/// `idle` leaves its coordinator alone for longer than this takes.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_interrupted_leaves_nothing_behind() {
    let windlass = binary::windlass().display().to_string();
    for against in [&[][..], &["--against", &windlass]] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary::windlass());
        command.args(["bench", "--workload", "idle"]).args(against);
        command.env("TMPDIR", folder.path());
        let bench = Process::spawn(command);
        until(SOON, "a journal", async || {
            let files = paths::files(folder.path());
            files.iter().any(|it| it.ends_with("journal.witness")).then_some(())
        })
        .await;
        bench.signal(Signal::INT);
        let ended = finish(bench).await;
        assert_eq!(ended.code, Some(130), "{against:?}: {ended:?}");
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "{against:?}: {:?}", paths::files(folder.path()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_what_is_not_done_are_null() {
    let report = windlass(&["bench", "--workload", "idle", "--output", "json"]).await.exits(0);
    let report = report.json();
    for name in [
        "workflows_per_second",
        "steps_per_second",
        "latency_ms",
        "cpu_seconds_per_1000_steps",
        "bytes_per_1000_steps",
        "disk_bytes_per_1000_steps",
    ] {
        assert!(report[name].is_null() && report.get(name).is_some(), "{name}: {report}");
    }
    for name in ["seconds", "wakeups_per_second", "cpu_seconds", "peak_rss_mib"] {
        assert!(report[name].is_f64() || report[name].is_u64(), "{name}: {report}");
    }
    let refused = windlass(&["bench", "--workload", "idle", "--workflows", "9"]).await.exits(2);
    assert!(refused.stderr.contains("--workflows"), "{refused:?}");
}
