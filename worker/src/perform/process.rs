//! Runs one process of a task, under a supervisor that ends it and all it has started with the
//! task.
//!
//! Where the worker is not guarded ([`crate::guard_process`]) there is no supervisor, and the
//! process is the leader of a group that is killed: what leaves the group is left. Nor is there a
//! sandbox or a limit then.
//!
//! The environment is not inherited: a process gets `PATH`, the locale (`LANG`, `LC_ALL`, `TZ`),
//! `HOME=/nonexistent` so that nothing of the worker's user is found or left behind, and what the
//! task gives.

mod group;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::getpid;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command};
use windlass_proto::expression::Template;
use windlass_proto::limits;
use windlass_proto::plan::Return;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::value::Value;

pub(in crate::perform) use self::group::Group;
use crate::attempt::Attempt;
use crate::guard;
use crate::processes::{NonZeroExit, ProcessLimits, TaskUser, is_executable};
use crate::request::excerpt;
use crate::supervise::{self, Order, orphans};

/// A process to run.
pub(super) struct Invocation {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) stdin: Option<Vec<u8>>,
    /// Files of the process: removed when it has ended.
    pub(super) files: Option<TempDir>,
}

/// How a process ended.
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Why a program cannot be started that is not there.
const MISSING: &str = "this worker does not have it";

/// What a process gets of the worker's own environment.
const INHERITED: [&str; 4] = ["PATH", "LANG", "LC_ALL", "TZ"];

impl Attempt<'_> {
    /// Runs `invocation` to its end.
    pub(super) async fn run_process(&self, invocation: Invocation) -> Result<Ended, Problem> {
        let stdin = invocation.stdin.clone();
        let mut group = self.spawn(invocation, true)?;
        let (input, stdout, stderr) = group.take_pipes();
        let exchange = async {
            let (_, stdout, stderr) =
                tokio::try_join!(feed(input, stdin), collect(stdout), collect(stderr))?;
            Ok((stdout, stderr))
        };
        let mut exchange = std::pin::pin!(exchange);
        let (status, (stdout, stderr)) = tokio::select! {
            output = &mut exchange => {
                let output = output?;
                (group.wait().await, output)
            }
            status = group.wait() => {
                // What the process left running must not keep its output open.
                group.kill();
                let rest = Duration::from_millis(limits::PROCESS_LAST_OUTPUT_MS);
                let output = tokio::time::timeout(rest, &mut exchange).await;
                let output = output.unwrap_or_else(|_| Ok((Vec::new(), Vec::new())))?;
                (status, output)
            }
        };
        let status = status.map_err(|error| {
            Problem::new(Standard::Runtime, format!("the process was lost: {error}"))
        })?;
        if let Some(problem) = self.refusal(status, &stderr) {
            return Err(problem);
        }
        Ok(Ended { code: code_of(status), stdout, stderr })
    }

    /// Starts `invocation` and lets it run on, for as long as a task may at most.
    pub(super) fn detach_process(&self, invocation: Invocation) -> Result<(), Problem> {
        let stdin = invocation.stdin.clone();
        let mut group = self.spawn(invocation, false)?;
        let (input, _, _) = group.take_pipes();
        tokio::spawn(async move {
            let work = async {
                // A process that does not read its input is none of our business any more.
                let _ = feed(input, stdin).await;
                group.wait().await
            };
            let most = Duration::from_millis(limits::PROCESS_TIMEOUT_MS);
            match tokio::time::timeout(most, work).await {
                Ok(Ok(status)) if supervise::was_refused(status) => {
                    tracing::warn!("detached process not started: there is no sandbox for it");
                }
                Ok(_) => {}
                Err(_) => tracing::warn!("detached process killed: it ran too long"),
            }
        });
        Ok(())
    }

    /// Starts `invocation`, and collects what it writes where that is `captured`.
    pub(super) fn spawn(&self, invocation: Invocation, captured: bool) -> Result<Group, Problem> {
        let output = || if captured { Stdio::piped() } else { Stdio::null() };
        let program = invocation.program.display();
        let refused =
            |why: String| Problem::new(Standard::Runtime, format!("cannot start {program}: {why}"));
        let user = self.worker.processes.user;
        if let (Some(user), Some(files)) = (user, &invocation.files) {
            hand_over(files.path(), user).map_err(|error| refused(error.to_string()))?;
        }
        let mask = guard::mask_of_tasks();
        let mut command = match mask {
            Some(mask) => self.supervised(&invocation, mask).map_err(refused)?,
            None => alone(&invocation, user),
        };
        command.env_clear();
        for (name, value) in variables(&invocation) {
            let name = if mask.is_some() { supervise::carried(&name) } else { name };
            command.env(name, value);
        }
        if let Some(directory) = &self.worker.processes.directory {
            command.current_dir(directory);
        }
        let input = if invocation.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(input).stdout(output()).stderr(output());
        let started = match mask {
            Some(_) => orphans::start(&mut command).map(|(child, it)| (child, Some(it))),
            None => command.process_group(0).spawn().map(|child| (child, None)),
        };
        let (child, supervisor) = started.map_err(|error| match error.kind() {
            ErrorKind::NotFound => refused(MISSING.to_owned()),
            _ => refused(error.to_string()),
        })?;
        Ok(Group::new(child, supervisor, invocation.files))
    }

    /// The program, as the child of a supervisor. That it is there is looked for here, so that who
    /// asks for it is told so, and not by an exit code.
    fn supervised(&self, invocation: &Invocation, mask: Mode) -> Result<Command, String> {
        let options = &self.worker.processes;
        if !is_there(&invocation.program, &invocation.environment) {
            return Err(MISSING.to_owned());
        }
        let mut sandbox = Vec::new();
        if let Some(given) = options.isolation.sandbox() {
            let own = || std::env::current_dir().unwrap_or_else(|_| "/".into());
            let directory = options.directory.clone().unwrap_or_else(own);
            sandbox = given.command(&directory, invocation.files.as_ref().map(TempDir::path));
        }
        let order = Order {
            worker: getpid(),
            mask,
            user: options.user,
            limits: options.limits,
            sandbox,
            program: invocation.program.clone(),
            arguments: invocation.arguments.iter().map(OsString::from).collect(),
        };
        Ok(order.command().into())
    }

    /// The problem of a program that was not started as there is no sandbox for it: one of its own,
    /// as trying again elsewhere may help.
    pub(super) fn refusal(&self, status: ExitStatus, stderr: &[u8]) -> Option<Problem> {
        if !supervise::was_refused(status) || self.worker.processes.isolation.sandbox().is_none() {
            return None;
        }
        let tail = tail_of(&self.seal.text(&String::from_utf8_lossy(stderr)));
        let detail = format!("the program was not started, as there is no sandbox for it: {tail}");
        let problem = Problem::new(Standard::Runtime, detail).with_status(503);
        Some(Problem { title: Some("Sandbox Error".into()), ..problem })
    }

    /// What the task returns of an ended process.
    pub(super) fn process_output(&self, output: Return, ended: &Ended) -> Result<Value, Problem> {
        let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes).into_owned());
        let judged = matches!(output, Return::Stdout | Return::None)
            && self.worker.processes.non_zero_exit == NonZeroExit::Fail;
        if judged && ended.code != 0 {
            let tail = self.seal.text(&String::from_utf8_lossy(&ended.stderr));
            let hint = ProcessLimits::hint(ended.code);
            let mut detail = format!("the process ended with exit code {}{hint}", ended.code);
            let tail = tail_of(&tail);
            if !tail.is_empty() {
                detail.push_str(": ");
                detail.push_str(&tail);
            }
            return Err(Problem::new(Standard::Runtime, detail));
        }
        let code = Value::Int(i64::from(ended.code));
        Ok(match output {
            Return::Stdout => text(&ended.stdout),
            Return::Stderr => text(&ended.stderr),
            Return::Code => code,
            Return::All => Value::object([
                ("code", code),
                ("stdout", text(&ended.stdout)),
                ("stderr", text(&ended.stderr)),
            ]),
            Return::None => Value::Null,
        })
    }

    /// `stdin`: text as it is, anything else as JSON.
    pub(super) fn stdin(
        &self,
        template: Option<&Template>,
        input: &Value,
    ) -> Result<Option<Vec<u8>>, Problem> {
        let value = self.evaluate_optional(template, input)?;
        Ok(value.filter(|it| !it.is_null()).map(|it| it.to_text().into_bytes()))
    }

    /// `environment`: values as text, null left out.
    pub(super) fn environment(
        &self,
        template: Option<&Template>,
        input: &Value,
    ) -> Result<Vec<(String, String)>, Problem> {
        let Some(value) = self.evaluate_optional(template, input)? else { return Ok(Vec::new()) };
        environment_of(&value)
    }
}

/// `environment` of a process: values as text, null left out.
pub(super) fn environment_of(value: &Value) -> Result<Vec<(String, String)>, Problem> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let refused = |detail: String| Problem::new(Standard::Configuration, detail);
    let members =
        value.as_object().ok_or_else(|| refused("`environment` must be an object".into()))?;
    let mut environment = Vec::with_capacity(members.len());
    for (name, value) in members {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(refused(format!("{name:?} cannot name an environment variable")));
        }
        if !value.is_null() {
            environment.push((name.to_string(), value.to_text()));
        }
    }
    Ok(environment)
}

/// The variables of a process.
fn variables(invocation: &Invocation) -> Vec<(OsString, OsString)> {
    let mut all = vec![("HOME".into(), "/nonexistent".into())];
    let inherited = INHERITED.iter().filter_map(|it| Some((it.into(), std::env::var_os(it)?)));
    all.extend(inherited);
    all.extend(invocation.environment.iter().map(|(name, value)| (name.into(), value.into())));
    all
}

/// The program itself.
fn alone(invocation: &Invocation, user: Option<TaskUser>) -> Command {
    let mut command = Command::new(&invocation.program);
    command.args(&invocation.arguments);
    if let Some(user) = user {
        command.gid(user.group).uid(user.user);
    }
    command
}

/// Gives a directory and the files in it to the user that is to read them.
fn hand_over(directory: &Path, user: TaskUser) -> std::io::Result<()> {
    for file in std::fs::read_dir(directory)? {
        user.own(&file?.path())?;
    }
    user.own(directory)
}

/// True for a program that can be executed: a path, or a name in `PATH`.
fn is_there(program: &Path, environment: &[(String, String)]) -> bool {
    if program.components().count() > 1 {
        return is_executable(program);
    }
    let given = environment.iter().rev().find(|(name, _)| name == "PATH");
    let path = given.map(|(_, value)| value.into()).or_else(|| std::env::var_os("PATH"));
    // What the C library looks through where there is no PATH.
    let path = path.unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path).any(|it| is_executable(&it.join(program)))
}

/// `arguments` of a process: an array in its order, an object as `--key value`; null is left out.
pub(super) fn arguments_of(value: &Value) -> Result<Vec<String>, Problem> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    if let Some(elements) = value.as_array() {
        return Ok(elements.iter().map(Value::to_text).collect());
    }
    let members = value.as_object().ok_or_else(|| {
        Problem::new(Standard::Configuration, "`arguments` must be an array or an object")
    })?;
    let given = members.iter().filter(|(_, value)| !value.is_null());
    Ok(given.flat_map(|(key, value)| [format!("--{key}"), value.to_text()]).collect())
}

/// Writes all of `bytes`; a process that stops reading is not an error.
async fn feed(pipe: Option<ChildStdin>, bytes: Option<Vec<u8>>) -> Result<(), Problem> {
    if let (Some(mut pipe), Some(bytes)) = (pipe, bytes) {
        let _ = pipe.write_all(&bytes).await;
        let _ = pipe.shutdown().await;
    }
    Ok(())
}

/// Reads `pipe` to its end.
async fn collect(pipe: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, Problem> {
    let Some(pipe) = pipe else { return Ok(Vec::new()) };
    let most = limits::PROCESS_OUTPUT_BYTES;
    let mut bytes = Vec::new();
    pipe.take(most as u64 + 1).read_to_end(&mut bytes).await.map_err(|error| {
        Problem::new(Standard::Runtime, format!("cannot read what the process writes: {error}"))
    })?;
    if bytes.len() > most {
        let detail = format!("the process was ended: it wrote more than {most} bytes");
        return Err(Problem::new(Standard::Runtime, detail));
    }
    Ok(bytes)
}

/// The exit code, as shells count: 128 and the signal where one ended the process.
pub(super) fn code_of(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// The end of what a process wrote: its last words usually say why it failed.
pub(super) fn tail_of(text: &str) -> String {
    let text = text.trim();
    let from = text.len().saturating_sub(limits::EXCERPT_BYTES);
    let start = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let cut = if start > 0 { "…" } else { "" };
    format!("{cut}{}", excerpt(&text.as_bytes()[start..]))
}
