//! What keeps processes of tasks from the rest of the machine: namespaces that bubblewrap makes.
//!
//! A task sees the machine's files, which it cannot change, and folders of its own in place of
//! those that are others' business; its own processes and nobody else's. What it needs of the
//! folders that are taken away comes back by name: see [`places`].

mod places;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};
use windlass_proto::limits;

use super::TaskUser;
use places::Places;

/// Whether processes get a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// One if this machine can make one.
    Auto,
    /// Nothing runs without one.
    Required,
    /// None.
    #[default]
    Off,
}

/// What a sandbox can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxNetwork {
    /// The machine's network, all of it.
    #[default]
    Host,
    /// A loopback interface of its own, and nothing else.
    None,
}

/// What sandbox processes get.
#[derive(Clone, Debug, Default)]
pub struct SandboxOptions {
    /// Whether they get one.
    pub mode: SandboxMode,
    /// What it can reach.
    pub network: SandboxNetwork,
    /// Folders and files that can be read in it, of those that are hidden otherwise.
    pub readable: Vec<PathBuf>,
    /// Folders that can be written to in it, whatever else is there.
    pub writable: Vec<PathBuf>,
    /// Files and folders that are hidden in it, whatever shows them: where the worker has its keys
    /// and secrets.
    pub hidden: Vec<PathBuf>,
}

/// Why there is no sandbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// One is required, and cannot be made.
    #[error("a sandbox is required, and this machine makes none: {reason}. {advice}")]
    Unavailable {
        /// Why not.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// A folder that it is to have is not there.
    #[error("the sandbox cannot have {path}: {reason}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What keeps processes from the rest of the machine.
#[derive(Clone, Debug)]
pub enum Isolation {
    /// Nothing but their user.
    None {
        /// Why.
        why: String,
    },
    /// Namespaces.
    Bubblewrap(Sandbox),
}

impl Default for Isolation {
    fn default() -> Self {
        Self::None { why: "no sandbox was asked for".to_owned() }
    }
}

impl Isolation {
    /// The sandbox, where there is one.
    #[must_use]
    pub fn sandbox(&self) -> Option<&Sandbox> {
        match self {
            Self::None { .. } => None,
            Self::Bubblewrap(sandbox) => Some(sandbox),
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None { why } => write!(f, "none: {why}"),
            Self::Bubblewrap(sandbox) => write!(f, "{sandbox}"),
        }
    }
}

/// A sandbox that this machine can make.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// `bwrap`, with its whole path.
    program: PathBuf,
    network: SandboxNetwork,
    user: Option<TaskUser>,
    places: Places,
    /// Whether programs may make user namespaces of their own in it: there they would have all
    /// capabilities again, and memory that nothing bounds. bubblewrap forbids it from 0.8 on.
    nested: bool,
}

impl Sandbox {
    /// The sandbox that the program at `program` makes for processes of `user`.
    ///
    /// # Errors
    /// When a folder that it is to have is not there.
    pub(crate) fn new(
        program: PathBuf,
        options: &SandboxOptions,
        user: Option<TaskUser>,
    ) -> Result<Self, SandboxError> {
        let places = Places::new(options, user)?;
        Ok(Self { program, network: options.network, user, places, nested: false })
    }

    /// The same for a bubblewrap that cannot forbid user namespaces in it.
    pub(crate) fn nested(self) -> Self {
        Self { nested: true, ..self }
    }

    /// True where the kernel counts the processes in it: it does not for root itself.
    pub(crate) fn counts(&self) -> bool {
        self.user.map_or_else(|| geteuid().as_raw(), |it| it.user) != 0
    }

    /// The command line that makes it, without the descriptors and the program to run in it.
    /// Processes start in `directory`; `files` are those of the task.
    pub(crate) fn command(&self, directory: &Path, files: Option<&Path>) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec![self.program.clone().into()];
        all.extend(
            [
                "--unshare-user",
                "--unshare-pid",
                "--unshare-ipc",
                "--unshare-uts",
                "--unshare-cgroup-try",
                "--cap-drop",
                "ALL",
                "--die-with-parent",
                // So that a signal for the program does not end what keeps it.
                "--new-session",
            ]
            .map(OsString::from),
        );
        if !self.nested {
            all.push("--disable-userns".into());
        }
        if self.network == SandboxNetwork::None {
            all.push("--unshare-net".into());
        }
        all.extend(words(&["--ro-bind", "/", "/", "--dev", "/dev"]));
        let shared = limits::SANDBOX_SHM_BYTES.to_string();
        all.extend(words(&["--size", &shared, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]));
        // What the kernel is told there holds for the whole machine, and it takes it from root of
        // the machine, whatever namespace that is in.
        all.extend(words(&["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]));
        self.places.arrange(directory, files, &mut all);
        all
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = match self.network {
            SandboxNetwork::Host => "net=host",
            SandboxNetwork::None => "net",
        };
        let user = if self.nested { "user(nested)" } else { "user" };
        write!(f, "bubblewrap({user},pid,mount,ipc,uts,cgroup,{network})")
    }
}

/// Whose processes they are, where nobody else was named.
fn own() -> TaskUser {
    TaskUser { user: geteuid().as_raw(), group: getegid().as_raw() }
}

fn words(all: &[&str]) -> Vec<OsString> {
    all.iter().map(OsString::from).collect()
}
