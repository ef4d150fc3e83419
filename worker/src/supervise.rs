//! The process between a worker and a task's program: it ends the program and everything that came
//! of it when the task ends, and when the worker does.
//!
//! A process group is not enough for that: whoever calls `setsid` leaves it, and nobody tells a
//! group that the worker was killed. So the worker starts its own program once more, which becomes
//! the parent of whatever loses its own (`PR_SET_CHILD_SUBREAPER`), watches the worker through a
//! pidfd, and does not end before it has no descendants left. It is a small process without the
//! worker's memory: it knows what the task's program knows. A program of the worker's own user can
//! kill it; then the worker does the same (`orphans`).
//!
//! ```text
//!  worker ──> supervisor ──> program ──> …
//!    └ SIGTERM: ask, then kill   └ its end: kill what is left, exit with its code
//! ```
//!
//! Where there is a sandbox, its maker stands between the supervisor and the program ([`sandbox`]).

mod count;
mod descendants;
mod order;
pub(crate) mod orphans;
mod sandbox;

use std::collections::HashSet;
use std::io::{ErrorKind, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, getppid,
    kill_process_group, pidfd_open, set_child_subreaper, set_dumpable_behavior, setsid, umask,
    wait,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};
use windlass_proto::limits;

pub(crate) use order::{Order, carried};
pub(crate) use sandbox::was_refused;

/// The first argument of a supervisor.
const SUPERVISE: &str = "--windlass-supervise";

/// The exit code of a supervisor whose worker is gone, or that cannot do its work.
const LOST: i32 = 125;
/// What shells say of a program that cannot be started, or is not there.
const NOT_STARTED: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Is a supervisor, and never returns, where this process was started as one.
pub(crate) fn serve_if_asked() {
    count::serve_if_asked();
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|it| it != SUPERVISE) {
        return;
    }
    let Some(order) = Order::parse(arguments) else { std::process::exit(LOST) };
    // On a thread of its own: this one may be a runtime's already.
    let supervised = std::thread::spawn(move || supervise(&order));
    let code = match supervised.join() {
        Ok(Ok(Some(code))) => code,
        Ok(Ok(None)) => sandbox::refuse(),
        Ok(Err(error)) => {
            report(&format!("the task cannot be supervised: {error}"));
            LOST
        }
        Err(_) => LOST,
    };
    std::process::exit(code);
}

/// Runs the program to its end; gives the exit code, and none where it was not started as there is
/// no sandbox for it.
fn supervise(order: &Order) -> std::io::Result<Option<i32>> {
    // Nothing of the task can join the worker's session, and nobody makes it end in another way
    // than by a signal.
    setsid()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_child_subreaper(Some(getpid()))?;
    let worker = pidfd_open(order.worker, PidfdFlags::NONBLOCK)?;
    if getppid() != Some(order.worker) {
        return Ok(Some(LOST));
    }
    close_inherited();
    umask(order.mask);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(attend(order, worker))
}

async fn attend(order: &Order, worker: OwnedFd) -> std::io::Result<Option<i32>> {
    let mut gone = std::pin::pin!(end_of(worker));
    // Both before the program starts, so that nothing is missed.
    let mut asked = signal(SignalKind::terminate())?;
    let mut children = signal(SignalKind::child())?;
    let mut program = match start(order) {
        Ok(program) => program,
        Err(error) if order.sandbox.is_empty() => {
            report(&format!("cannot start {}: {error}", order.program.display()));
            let found = error.kind() != ErrorKind::NotFound;
            return Ok(Some(if found { NOT_STARTED } else { NOT_FOUND }));
        }
        Err(error) => {
            report(&format!("the sandbox: {error}"));
            end_all().await;
            return Ok(None);
        }
    };
    let id = program.id;
    let_go()?;
    let mut killed_at: Option<Instant> = None;
    let code = loop {
        if let Reaped::Program(status) = reap(Some(id)) {
            break code_of(status);
        }
        let grace = async {
            match killed_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = children.recv() => {}
            _ = asked.recv() => {
                // An error means that nobody is left in the group.
                let _ = kill_process_group(program.group(), Signal::TERM);
                let grace = Duration::from_millis(limits::PROCESS_GRACE_MS);
                killed_at.get_or_insert_with(|| Instant::now() + grace);
            }
            // At once: the task may have begun again elsewhere.
            _ = &mut gone => break LOST,
            () = grace => break 128 + Signal::KILL.as_raw(),
        }
    };
    end_all().await;
    // Whoever was asked to end, or killed, did not end because there was no sandbox.
    let refused = code == sandbox::FAILED && killed_at.is_none() && !program.has_run();
    Ok((!refused).then_some(code))
}

/// What was started.
struct Program {
    /// The program, or what makes its sandbox.
    id: Pid,
    inside: Option<sandbox::Inside>,
}

impl Program {
    /// The group that the program is in.
    fn group(&self) -> Pid {
        self.inside.as_ref().map_or(self.id, |it| it.first)
    }

    /// False when it surely was never started.
    fn has_run(&mut self) -> bool {
        self.inside.as_mut().is_none_or(sandbox::Inside::has_run)
    }
}

/// Waits for the end of a process. A file descriptor of one becomes readable then, of which a
/// thread waits: it lives as long as this process.
async fn end_of(process: OwnedFd) {
    let (sender, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut fds = [PollFd::new(&process, PollFlags::IN)];
        while poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
        drop(sender);
    });
    // Dropped, which is all that is to be told.
    let _ = ended.await;
}

/// Starts the program in a group of its own.
fn start(order: &Order) -> std::io::Result<Program> {
    if order.user.is_some() {
        // What it could get by set-user-ID programs is what it was put under another user for.
        rustix::thread::set_no_new_privs(true)?;
    }
    let variables = order::variables();
    if !order.sandbox.is_empty() {
        let (child, inside) = sandbox::start(order, &variables)?;
        return Ok(Program { id: child, inside: Some(inside) });
    }
    order.limits.apply()?;
    let mut command = Command::new(&order.program);
    command.args(&order.arguments).env_clear().envs(variables);
    let child = command_as(&mut command, order).spawn()?;
    Ok(Program { id: id_of(child.id())?, inside: None })
}

/// Whoever reads the program's output must see the end of it, and whoever feeds it that it does not
/// read.
fn let_go() -> std::io::Result<()> {
    let nothing = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    Ok(rustix::stdio::dup2_stderr(&nothing)?)
}

/// The command in a group of its own, as who the program runs as.
fn command_as<'c>(command: &'c mut Command, order: &Order) -> &'c mut Command {
    command.process_group(0);
    if let Some(user) = order.user {
        command.gid(user.group).uid(user.user);
    }
    command
}

fn id_of(child: u32) -> std::io::Result<Pid> {
    let id = i32::try_from(child).ok().and_then(Pid::from_raw);
    id.ok_or_else(|| std::io::Error::other("it has no id"))
}

/// What has become of the children of this process.
enum Reaped {
    /// The program ended.
    Program(WaitStatus),
    /// There are others, or the program runs.
    Some,
    /// There is none left.
    None,
}

/// Collects children that have ended.
fn reap(program: Option<Pid>) -> Reaped {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((id, status))) if Some(id) == program => return Reaped::Program(status),
            Ok(Some(_)) => {}
            Ok(None) => return Reaped::Some,
            Err(rustix::io::Errno::INTR) => {}
            // ECHILD
            Err(_) => return Reaped::None,
        }
    }
}

/// Kills all descendants, those that appear meanwhile as well. What cannot be killed, because it
/// waits for a broken disk or became another user, is left after [`limits::PROCESS_GRACE_MS`].
async fn end_all() {
    let most = Instant::now() + Duration::from_millis(limits::PROCESS_GRACE_MS);
    let mut killed = HashSet::new();
    while !matches!(reap(None), Reaped::None) && Instant::now() < most {
        if !descendants::kill(&mut killed) {
            tokio::time::sleep(Duration::from_millis(limits::DESCENDANTS_LOOK_MS)).await;
        }
    }
}

/// Descriptors that the worker's own parent left open are no task's business.
fn close_inherited() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<i32> = open
        .filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok())
        .filter(|it| *it > 2)
        .collect();
    for number in numbers {
        // Those that are ours go with an execution, and nothing of ours is open yet but the pidfd.
        let Ok(flags) = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")) else {
            continue;
        };
        if order::goes_on(&flags) {
            let _ = nix::unistd::close(number);
        }
    }
}

/// The exit code, as shells count.
fn code_of(status: WaitStatus) -> i32 {
    let signal = || status.terminating_signal().map(|it| 128 + it);
    status.exit_status().or_else(signal).unwrap_or(LOST)
}

/// On the standard error that the program would have had.
fn report(text: &str) {
    let _ = std::io::stderr().lock().write_all(format!("windlass: {text}\n").as_bytes());
}
