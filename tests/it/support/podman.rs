//! A real engine of containers: Podman, with storage, sockets and an image of its own, where this
//! machine can run one.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;

use super::process::Process;
use super::skip;
use super::until::{SOON, until, within};

/// The image there is: a shell and its programs.
pub(crate) const IMAGE: &str = "localhost/shell:1";

/// How long making the image may take, on a machine that does much else.
const MADE: Duration = Duration::from_secs(60);

/// Limits that a sandbox lets a container have, and cgroups that need no systemd.
const CONFIGURATION: &str = "[containers]\n\
    default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
    [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n";

/// An engine; its containers go with it when this is dropped.
pub(crate) struct Podman {
    folder: tempfile::TempDir,
    runtime: &'static str,
    _service: Process,
}

impl Podman {
    /// Starts one; none where this machine cannot, and says for `test` why.
    pub(crate) async fn start(test: &str) -> Option<Self> {
        match Self::try_start().await {
            Ok(podman) => Some(podman),
            Err(reason) => {
                skip(test, &reason, "containers");
                None
            }
        }
    }

    async fn try_start() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("containers.conf"), CONFIGURATION).unwrap();
        let image = image(folder.path()).await?;
        let mut refused = String::new();
        for runtime in ["runc", "crun"] {
            let podman = |arguments: &[&str]| {
                let mut command = command(folder.path(), runtime);
                command.args(arguments);
                run(command)
            };
            let import = ["import", image.to_str().unwrap(), IMAGE];
            let probe = ["run", "--rm", "--network", "none", IMAGE, "/bin/sh", "-c", "exit 0"];
            let tried = match podman(&import).await {
                Ok(_) => podman(&probe).await,
                Err(error) => Err(error),
            };
            match tried {
                Ok(_) => return Ok(Self::serve(folder, runtime).await),
                Err(error) => refused = format!("{refused}; with {runtime}: {error}"),
            }
        }
        Err(format!("podman runs no container here{refused}"))
    }

    async fn serve(folder: tempfile::TempDir, runtime: &'static str) -> Self {
        let mut service = command(folder.path(), runtime);
        let url = format!("unix://{}", folder.path().join("engine.sock").display());
        let service = Process::spawn({
            service.args(["system", "service", "--time", "0", &url]);
            service
        });
        let podman = Self { folder, runtime, _service: service };
        let socket = podman.folder.path().join("engine.sock");
        until(SOON, "the engine's socket", || async {
            tokio::net::UnixStream::connect(&socket).await.ok()
        })
        .await;
        podman
    }

    /// Where it listens, as `--container-engine` takes it.
    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.folder.path().join("engine.sock").display())
    }

    /// Its containers, a line each: state and name.
    pub(crate) async fn containers(&self) -> Vec<String> {
        let mut list = command(self.folder.path(), self.runtime);
        list.args(["ps", "--all", "--format", "{{.State}} {{.Names}}"]);
        let output = run(list).await.unwrap();
        String::from_utf8_lossy(&output.stdout).lines().map(state_and_name).collect()
    }

    /// Waits until this many containers are there.
    pub(crate) async fn has(&self, count: usize) -> Vec<String> {
        until(SOON, &format!("{count} containers"), || async {
            let all = self.containers().await;
            (all.len() == count).then_some(all)
        })
        .await
    }
}

/// Versions of Podman say the state in a word, or in more: "Exited (0) 2 seconds ago".
fn state_and_name(line: &str) -> String {
    let mut words = line.split_whitespace();
    let (state, name) = (words.next().unwrap_or_default(), words.next_back().unwrap_or_default());
    let state = if state == "Up" { "running".to_owned() } else { state.to_lowercase() };
    format!("{state} {name}")
}

impl Drop for Podman {
    fn drop(&mut self) {
        let mut remove = std::process::Command::new("podman");
        remove.args(flags(self.folder.path(), self.runtime));
        remove.env("CONTAINERS_CONF", self.folder.path().join("containers.conf"));
        let _ = remove.args(["rm", "--all", "--force", "--time", "0"]).output();
    }
}

fn flags(folder: &Path, runtime: &str) -> Vec<String> {
    let at = |name: &str| folder.join(name).display().to_string();
    let flags = [
        "--root",
        &at("root"),
        "--runroot",
        &at("run"),
        "--storage-driver",
        "vfs",
        "--runtime",
        runtime,
    ];
    flags.map(str::to_owned).to_vec()
}

fn command(folder: &Path, runtime: &str) -> Command {
    let mut command = Command::new("podman");
    command.args(flags(folder, runtime)).kill_on_drop(true);
    command.env("CONTAINERS_CONF", folder.join("containers.conf"));
    command
}

async fn run(mut command: Command) -> Result<Output, String> {
    let output = within(MADE, "podman", command.output()).await;
    let output = output.map_err(|error| format!("podman does not start: {error}"))?;
    match output.status.success() {
        true => Ok(output),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// An archive with nothing but a static busybox.
async fn image(folder: &Path) -> Result<PathBuf, String> {
    let (tree, archive) = (folder.join("tree"), folder.join("image.tar"));
    std::fs::create_dir_all(tree.join("bin")).unwrap();
    let copied = std::fs::copy("/bin/busybox", tree.join("bin/busybox"));
    copied.map_err(|error| format!("there is no /bin/busybox: {error}"))?;
    for program in ["sh", "cat", "sleep", "grep", "touch", "wc"] {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(program)).unwrap();
    }
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&tree).arg("-cf").arg(&archive).arg(".");
    run(tar).await.map(|_| archive)
}
