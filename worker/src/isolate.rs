//! Finds out what keeps processes of tasks from the rest of this machine.
//!
//! That `bwrap` is there says little: the kernel, the container or a security module may refuse it
//! what it needs. So a program is run in a sandbox exactly as tasks' programs are, before the
//! worker says what it can do.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::getpid;
use tokio::process::Command;
use windlass_proto::limits;

use crate::guard;
use crate::processes::{
    Isolation, ProcessOptions, Sandbox, SandboxError, SandboxMode, SandboxOptions, is_executable,
};
use crate::supervise::{Order, carried};

/// The program that makes sandboxes.
const PROGRAM: &str = "bwrap";

/// What to do where it is not there.
const INSTALL: &str = "Install bubblewrap (`apt-get install bubblewrap`, `dnf install bubblewrap`), \
                       or allow tasks no programs";

/// What to do where it is there and does not work.
const PERMIT: &str = "Let the worker make user namespaces (`sysctl kernel.unprivileged_userns_clone=1`, \
                      `user.max_user_namespaces`, `kernel.apparmor_restrict_unprivileged_userns=0`; \
                      of a container its seccomp profile and masked /proc), or allow tasks no \
                      programs; docs/processes.md has more";

impl ProcessOptions {
    /// Finds what isolates processes, and has them run in it. Asks this machine only where
    /// processes may be run at all.
    ///
    /// # Errors
    /// When a sandbox is required and there is none, or a folder that it is to have is not there.
    pub async fn isolate(mut self, options: &SandboxOptions) -> Result<Self, SandboxError> {
        let none = |why: &str| Isolation::None { why: why.to_owned() };
        self.isolation = match options.mode {
            SandboxMode::Off => none("--sandbox off"),
            _ if !self.any() => none("there are no programs"),
            mode => match self.find(options).await? {
                Ok(sandbox) => Isolation::Bubblewrap(sandbox),
                Err((why, _)) if mode == SandboxMode::Auto => Isolation::None { why },
                Err((reason, advice)) => {
                    return Err(SandboxError::Unavailable { reason, advice });
                }
            },
        };
        Ok(self)
    }

    /// What isolates processes and bounds them, as people read it.
    #[must_use]
    pub fn describe_isolation(&self) -> String {
        let isolation = &self.isolation;
        if guard::mask_of_tasks().is_none() {
            return isolation.to_string();
        }
        let counted = isolation.sandbox().is_some_and(Sandbox::counts);
        let comma = if isolation.sandbox().is_some() { "" } else { ";" };
        format!("{isolation}{comma} {}", self.limits.describe(counted))
    }

    /// A sandbox that works, or why there is none and what to do.
    async fn find(
        &self,
        options: &SandboxOptions,
    ) -> Result<Result<Sandbox, (String, &'static str)>, SandboxError> {
        if guard::mask_of_tasks().is_none() {
            let reason = "this program does not begin with `guard_process`".to_owned();
            return Ok(Err((reason, "Call it first thing in `main`")));
        }
        let Some(program) = on_path() else {
            return Ok(Err(("bubblewrap (bwrap) is not installed".to_owned(), INSTALL)));
        };
        let sandbox = Sandbox::new(program, options, self.user)?;
        if self.probe(&sandbox).await.is_ok() {
            return Ok(Ok(sandbox));
        }
        // One of before 0.8, or a kernel that refuses what it takes to forbid them.
        let sandbox = sandbox.nested();
        Ok(match self.probe(&sandbox).await {
            Ok(()) => Ok(sandbox),
            Err(why) => Err((why, PERMIT)),
        })
    }

    /// Runs nothing in `sandbox`.
    async fn probe(&self, sandbox: &Sandbox) -> Result<(), String> {
        let Some(mask) = guard::mask_of_tasks() else { return Err("nobody watches it".to_owned()) };
        let directory = std::env::current_dir().unwrap_or_else(|_| "/".into());
        let order = Order {
            worker: getpid(),
            mask,
            user: self.user,
            limits: self.limits,
            sandbox: sandbox.command(&directory, None),
            program: "sh".into(),
            arguments: ["-c", "exit 0"].map(Into::into).into(),
        };
        let mut command = Command::from(order.command());
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        let path = std::env::var_os("PATH").map(|it| (carried("PATH".as_ref()), it));
        command.envs(path);
        let most = Duration::from_millis(limits::SANDBOX_START_MS);
        match tokio::time::timeout(most, command.output()).await {
            Err(_) => Err("bwrap takes too long".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => Err(words_of(&output)),
        }
    }
}

/// What was said of a sandbox that cannot be made: a line or two, or how it ended.
fn words_of(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|it| !it.is_empty()).take(2).collect();
    match said.is_empty() {
        true => format!("bwrap ended: {}", output.status),
        false => said.join("; "),
    }
}

/// `bwrap`, with its whole path.
fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut folders = std::env::split_paths(&path).filter(|it| it.is_absolute());
    folders.find_map(|it| {
        let program = it.join(PROGRAM);
        is_executable(&program).then_some(program)
    })
}
