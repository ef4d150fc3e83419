//! A fleet whose workers run programs in sandboxes only.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{all_of, definition};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::{skip, tools};

pub(super) struct World {
    pub(super) fleet: Fleet,
    /// What programs can read of the temporary files: the worker's key and another file.
    pub(super) shown: PathBuf,
    /// What they can write to.
    pub(super) kept: PathBuf,
    /// How many tasks it has run.
    tried: AtomicUsize,
    _nats: Nats,
    _folder: tempfile::TempDir,
}

impl World {
    /// Starts it: one worker with the machine's network, and one of the pool `quiet` without. None
    /// where bubblewrap does not work here.
    pub(super) async fn start(test: &str) -> Option<Self> {
        let path = match path_with_bwrap().await {
            Ok(path) => path,
            Err(reason) => {
                skip(test, &reason, "sandbox");
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let (shown, kept) = (folder.path().join("shown"), folder.path().join("kept"));
        for open in [folder.path(), &shown, &kept] {
            std::fs::create_dir_all(open).unwrap();
            std::fs::set_permissions(open, PermissionsExt::from_mode(0o777)).unwrap();
        }
        let nats = Nats::start().await;
        let flags = [
            "--allow",
            "shell,script",
            "--sandbox",
            "required",
            "--process-memory",
            "512MiB",
            "--process-count",
            "16",
            "--process-cpu",
            "1s",
            "--process-file-size",
            "8MiB",
        ];
        let mut fleet = Fleet::prepare(Layout::on(&nats.url(), 2).worker(&flags)).await;
        std::fs::write(shown.join("other"), "to be read").unwrap();
        let key = shown.join("worker.key");
        std::fs::write(&key, &fleet.key).unwrap();
        for file in ["other", "worker.key"] {
            // Whoever sees it could read it.
            let open = PermissionsExt::from_mode(0o644);
            std::fs::set_permissions(shown.join(file), open).unwrap();
        }
        for worker in &mut fleet.workers {
            worker.variables.retain(|(name, _)| name != "WINDLASS_WORKER_KEY");
            worker.variables.push(("PATH".to_owned(), path.clone()));
            let text = |it: &Path| it.display().to_string();
            let more = ["--key-file", &text(&key), "--sandbox-readable", &text(&shown)];
            worker.arguments.extend(more.map(str::to_owned));
            worker.arguments.extend(["--sandbox-writable".to_owned(), text(&kept)]);
        }
        let quiet = ["--pool", "quiet", "--sandbox-network", "none"].map(str::to_owned);
        fleet.workers[1].arguments.extend(quiet);
        fleet.start_all().await;
        Some(Self { fleet, shown, kept, tried: AtomicUsize::new(0), _nats: nats, _folder: folder })
    }

    /// Runs a workflow of one task to its end.
    pub(super) async fn run(&self, task: &str) -> Value {
        let number = self.tried.fetch_add(1, Ordering::Relaxed);
        let workflow = self.fleet.api.deploy(&definition(&format!("tried-{number}"), task)).await;
        self.fleet.api.run(&workflow, &json!({})).await
    }

    /// Runs `command` in a shell, for all that comes of it.
    pub(super) async fn shell(&self, command: &str) -> Value {
        self.run(&all_of(command, "")).await
    }
}

/// A `PATH` that has bubblewrap, or why it does not work here.
async fn path_with_bwrap() -> Result<String, String> {
    let path = std::env::var("PATH").unwrap();
    let has = std::env::split_paths(&path).any(|it| it.join("bwrap").is_file());
    let path = match has {
        true => path,
        false => {
            let folder = tools::debian(&["bubblewrap"]).await;
            let folder = folder.ok_or("there is no apt-get to install bubblewrap with")?;
            format!("{}:{path}", folder.join("usr/bin").display())
        }
    };
    let mut command = tokio::process::Command::new("bwrap");
    command.args(["--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc"]);
    let told = command.arg("true").env("PATH", &path).output().await;
    let told = told.map_err(|error| error.to_string())?;
    match told.status.success() {
        true => Ok(path),
        false => Err(String::from_utf8_lossy(&told.stderr).into_owned()),
    }
}
