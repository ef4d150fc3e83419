//! Installing packages by pip into a folder of their own.
//!
//! `pip --target` works where the system's Python is marked as externally managed, and needs no
//! virtual environment; a Python without pip makes a throw-away environment to get one.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use tokio::process::Command;

use crate::support::until::moment;

/// How long one installation may take: some tens of megabytes over a slow link.
const INSTALL: Duration = Duration::from_secs(180);
/// How long to wait for one that another process does: a few of them, one after the other.
const QUEUE: Duration = Duration::from_secs(600);

/// Installs `requirements` together, unless they are there already; gives the folder, which has
/// programs in `bin` and `bin/python`, a Python that can import the packages.
pub(super) async fn install(requirements: &[String]) -> Result<PathBuf, String> {
    let tell = "import sys; print(sys.executable, sys.implementation.cache_tag)";
    let python = run(Command::new("python3").args(["-c", tell])).await?;
    let (executable, tag) = python.trim().rsplit_once(' ').ok_or("python3 says nothing")?;
    make(&folder_name(requirements, tag), async |scratch, target| {
        fill(Path::new(executable), scratch, target, requirements).await?;
        wrapper(target, executable).map_err(|error| format!("{}: {error}", target.display()))
    })
    .await
}

/// The folder `name` of the tools, made by `fill` unless it is there already: that gets a folder
/// for what it throws away, and the path to make.
pub(super) async fn make(
    name: &str,
    fill: impl AsyncFnOnce(&Path, &Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let tools = tools()?;
    let place = tools.join(name);
    if place.is_dir() {
        return Ok(place);
    }
    let _lock = lock(&tools.join(".lock")).await?;
    if place.is_dir() {
        return Ok(place);
    }
    let failed = |error: std::io::Error| format!("{}: {error}", tools.display());
    // Beside its place, so that the rename that ends the installation is atomic; an installation
    // that was interrupted is never found.
    let scratch =
        tempfile::Builder::new().prefix(".installing-").tempdir_in(&tools).map_err(failed)?;
    let target = scratch.path().join("target");
    std::fs::create_dir(&target).map_err(failed)?;
    fill(scratch.path(), &target).await?;
    std::fs::rename(&target, &place).map_err(failed)?;
    Ok(place)
}

/// `<target>/tools`; tests run from `<target>/<profile>/deps`.
fn tools() -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = this.ancestors().nth(3).ok_or("the test runs from an unknown folder")?;
    let tools = target.join("tools");
    std::fs::create_dir_all(&tools).map_err(|error| format!("{}: {error}", tools.display()))?;
    Ok(tools)
}

/// Compiled packages fit one version of Python, so that is part of the name.
fn folder_name(requirements: &[String], tag: &str) -> String {
    let mut names: Vec<String> = requirements.iter().map(|it| it.replace("==", "-")).collect();
    names.sort();
    format!("{}-{tag}", names.join("+"))
}

/// Waits until nobody else installs. The kernel releases the lock when its holder dies.
async fn lock(path: &Path) -> Result<File, String> {
    let refused = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::create(path).map_err(|error| refused(&error))?;
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < QUEUE => {
                moment(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(refused(&error)),
        }
    }
}

/// Runs pip: that of `python`, or the one of a new environment when it has none.
async fn fill(
    python: &Path,
    scratch: &Path,
    target: &Path,
    requirements: &[String],
) -> Result<(), String> {
    let pip = run(Command::new(python).args(["-m", "pip", "--version"])).await;
    let python = if pip.is_ok() {
        python.to_path_buf()
    } else {
        let environment = scratch.join("environment");
        run(Command::new(python).args(["-m", "venv"]).arg(&environment)).await.map_err(
            |error| format!("python3 has neither pip nor venv (Debian: python3-pip): {error}"),
        )?;
        environment.join("bin").join("python")
    };
    let mut command = Command::new(python);
    command.args(["-m", "pip", "install", "--quiet", "--no-input", "--retries", "2"]);
    command.args(["--disable-pip-version-check", "--root-user-action", "ignore"]);
    run(command.arg("--target").arg(target).args(requirements)).await.map(drop)
}

/// A `python` that finds the packages beside it. Packages without programs leave no `bin`.
fn wrapper(target: &Path, executable: &str) -> std::io::Result<()> {
    let bin = target.join("bin");
    std::fs::create_dir_all(&bin)?;
    let path = bin.join("python");
    let text = format!(
        "#!/bin/sh\nPYTHONPATH=\"$(dirname \"$0\")/..${{PYTHONPATH:+:$PYTHONPATH}}\"\n\
         export PYTHONPATH\nexec \"{executable}\" \"$@\"\n"
    );
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))
}

/// Standard output of a command that must succeed in time.
pub(super) async fn run(command: &mut Command) -> Result<String, String> {
    let named = format!("{:?}", command.as_std());
    let output = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(INSTALL, output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("{named}: {error}")),
        Err(_) => return Err(format!("{named}: did not end within {INSTALL:?}")),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{named}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
