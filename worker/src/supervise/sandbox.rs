//! A program in its sandbox: bubblewrap between the supervisor and the program.
//!
//! ```text
//!  supervisor ──> bwrap ──> init, the first of the namespace ──> program ──> …
//! ```
//!
//! `bwrap` says who the first process is and waits before it starts the program, which is when the
//! number of processes is bounded. When the program has ended it says so: without that, what ended
//! was the making of the sandbox, and the supervisor ends in a way of its own ([`refuse`]).

use std::ffi::OsString;
use std::fs::File;
use std::io::{Error, PipeReader, Read as _, Result, Seek as _, Write as _, pipe};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, getpid, kill_process};
use serde::Deserialize;
use windlass_proto::limits;

use super::order::Order;
use super::{LOST, command_as, count, id_of};

/// How `bwrap` ends when it cannot make the sandbox, or start the program in it.
pub(super) const FAILED: i32 = 1;

/// What a supervisor ends itself with when there is no sandbox. A program in one cannot send it
/// signals, and its exit code has the other numbers.
const REFUSED: Signal = Signal::USR2;

/// Ends this process so that the worker sees that there is no sandbox.
pub(super) fn refuse() -> i32 {
    let _ = kill_process(getpid(), REFUSED);
    LOST
}

/// True when a supervisor ended because there is no sandbox for its program.
pub(crate) fn was_refused(status: ExitStatus) -> bool {
    status.signal() == Some(REFUSED.as_raw())
}

/// What `bwrap` says of the first process.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Started {
    child_pid: i32,
}

/// The inside of a sandbox.
pub(super) struct Inside {
    /// The first process of the namespace, which leads the program's group. Signals that it does
    /// not handle, as it is the first one, go past it.
    pub(super) first: Pid,
    status: PipeReader,
    told: Vec<u8>,
}

impl Inside {
    /// False when the program was never started: `bwrap` says how it ended otherwise. To be asked
    /// when `bwrap` is gone.
    pub(super) fn has_run(&mut self) -> bool {
        while matches!(more(&mut self.status, &mut self.told), Ok(1..)) {}
        String::from_utf8_lossy(&self.told).contains("\"exit-code\"")
    }
}

/// Starts the program in its sandbox, with `variables`.
pub(super) fn start(order: &Order, variables: &[(OsString, OsString)]) -> Result<(Pid, Inside)> {
    let [program, words @ ..] = order.sandbox.as_slice() else {
        return Err(Error::other("there is no program that makes it"));
    };
    let (mut status, teller) = pipe()?;
    let (gate, mut opener) = pipe()?;
    let options = options(words, variables)?;
    // After these are written, which are no file of the task's.
    order.limits.apply()?;
    let mut command = Command::new(program);
    for (option, descriptor) in [
        ("--args", options.as_fd()),
        ("--json-status-fd", teller.as_fd()),
        ("--block-fd", gate.as_fd()),
    ] {
        fcntl_setfd(descriptor, FdFlags::empty())?;
        command.arg(option).arg(descriptor.as_raw_fd().to_string());
    }
    command.arg("--").arg(&order.program).args(&order.arguments).env_clear();
    let child = command_as(&mut command, order).spawn().map_err(|error| {
        Error::new(error.kind(), format!("cannot start {}: {error}", program.display()))
    })?;
    let child = id_of(child.id())?;
    drop((options, teller, gate));
    let mut told = Vec::new();
    while !told.contains(&b'\n') {
        if more(&mut status, &mut told)? == 0 {
            // What it says of it is on the standard error already.
            return Err(Error::other("it ended before there was one"));
        }
    }
    let line = told.split(|it| *it == b'\n').next().unwrap_or_default();
    let started: Started = serde_json::from_slice(line)?;
    let first = Pid::from_raw(started.child_pid).ok_or_else(|| Error::other("nobody is in it"))?;
    count::bound(first, order)?;
    opener.write_all(b"\n")?;
    Ok((child, Inside { first, status, told }))
}

/// The options in a file that only the two processes have: variables may be credentials, and
/// command lines can be read by others.
fn options(words: &[OsString], variables: &[(OsString, OsString)]) -> Result<File> {
    let mut text = Vec::new();
    let mut add = |word: &[u8]| {
        text.extend_from_slice(word);
        text.push(0);
    };
    add(b"--clearenv");
    for (name, value) in variables {
        add(b"--setenv");
        add(name.as_bytes());
        add(value.as_bytes());
    }
    words.iter().for_each(|it| add(it.as_bytes()));
    let mut file = File::from(memfd_create("sandbox", MemfdFlags::CLOEXEC)?);
    file.write_all(&text)?;
    file.rewind()?;
    Ok(file)
}

/// Reads on what `bwrap` says; gives how much there was, nothing at its end.
fn more(status: &mut PipeReader, told: &mut Vec<u8>) -> Result<usize> {
    let most = Duration::from_millis(limits::SANDBOX_START_MS);
    let most = Timespec::try_from(most).map_err(Error::other)?;
    let mut fds = [PollFd::new(status, PollFlags::IN)];
    if poll(&mut fds, Some(&most))? == 0 {
        return Err(Error::other("it takes too long"));
    }
    let mut part = [0; 512];
    let count = status.read(&mut part)?;
    told.extend_from_slice(part.get(..count).unwrap_or_default());
    if told.len() > limits::SANDBOX_STATUS_BYTES {
        return Err(Error::other("what makes it says too much"));
    }
    Ok(count)
}
