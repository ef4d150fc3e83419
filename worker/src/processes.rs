//! Which processes a worker runs, as whom, and how far they reach.

mod limits;
mod sandbox;
mod user;

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

pub use limits::ProcessLimits;
pub use sandbox::{Isolation, Sandbox, SandboxError, SandboxMode, SandboxNetwork, SandboxOptions};
pub use user::{TaskUser, TaskUserError};

use crate::container::ContainerOptions;

/// Which processes a worker runs, and how.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// Whether `run.shell` is allowed: off by default, as it lets whoever writes a definition run
    /// programs on this machine.
    pub shell: bool,
    /// Whether `run.script` is allowed: off by default, for the same reason.
    pub script: bool,
    /// Whether MCP servers may be started as programs (`transport.stdio`): off by default, for the
    /// same reason.
    pub mcp: bool,
    /// Where containers (`run.container`) run; none by default, and then none are allowed.
    pub containers: Option<ContainerOptions>,
    /// Who processes run as, which only root can choose; the worker's own user when absent, so that
    /// they can do what it can.
    pub user: Option<TaskUser>,
    /// The interpreter of JavaScript, a path or a name to look for in `PATH`.
    pub node: PathBuf,
    /// The interpreter of Python, a path or a name to look for in `PATH`.
    pub python: PathBuf,
    /// What an exit code other than 0 means.
    pub non_zero_exit: NonZeroExit,
    /// Where processes start; the worker's own directory when absent.
    pub directory: Option<PathBuf>,
    /// What a process may use at most. Kept where the program is guarded
    /// ([`guard_process`](crate::guard_process)).
    pub limits: ProcessLimits,
    /// What keeps them from the rest of the machine: nothing, unless [`Self::isolate`] has found
    /// something.
    pub isolation: Isolation,
}

impl ProcessOptions {
    /// True when there is a kind of process that may be run.
    #[must_use]
    pub fn any(&self) -> bool {
        self.shell || self.script || self.mcp
    }
}

impl Default for ProcessOptions {
    fn default() -> Self {
        Self {
            shell: false,
            script: false,
            mcp: false,
            containers: None,
            user: None,
            node: "node".into(),
            python: "python3".into(),
            non_zero_exit: NonZeroExit::default(),
            directory: None,
            limits: ProcessLimits::default(),
            isolation: Isolation::default(),
        }
    }
}

/// What an exit code other than 0 means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonZeroExit {
    /// An error where the task returns `stdout` or `none`; data where it returns the code, standard
    /// error or all.
    #[default]
    Fail,
    /// Never an error.
    Ignore,
}

/// Whether it is a program that this process may run.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}
