//! How many processes there may be in a sandbox.
//!
//! The kernel counts processes by user and user namespace, so the bound has to be set in the
//! namespace of the sandbox: on its first process, before that starts the program. Who is neither
//! the same user nor may do it to everybody (`CAP_SYS_RESOURCE`) starts this program once more, as
//! that user, for it.

use std::io::{Error, Result};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::order::Order;
use super::{LOST, command_as};

/// The first argument of a process that sets the bound: `PROCESS NUMBER` follow.
const BOUND: &str = "--windlass-bound";

/// Bounds the number of processes of the namespace whose first one is `first`.
pub(super) fn bound(first: Pid, order: &Order) -> Result<()> {
    let count = order.limits.count;
    match set(first, count) {
        Err(Errno::PERM) if order.user.is_some() => {}
        set => return Ok(set?),
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg0("windlass").args([BOUND, &first.as_raw_nonzero().to_string(), &count.to_string()]);
    let ended = command_as(command.env_clear(), order).status()?;
    match ended.success() {
        true => Ok(()),
        false => Err(Error::other("the number of its processes cannot be bounded")),
    }
}

/// Sets the bound, and never returns, where this process was started for it.
pub(super) fn serve_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|it| it != BOUND) {
        return;
    }
    let mut number = || arguments.next()?.to_str()?.parse::<u64>().ok();
    let process = number().and_then(|it| Pid::from_raw(i32::try_from(it).ok()?));
    let set = process.zip(number()).map(|(process, count)| set(process, count));
    std::process::exit(if matches!(set, Some(Ok(()))) { 0 } else { LOST });
}

/// The bound counts the first process as well. One that this process has itself is not raised.
fn set(first: Pid, count: u64) -> rustix::io::Result<()> {
    let own = getrlimit(Resource::Nproc).maximum.unwrap_or(u64::MAX);
    let most = Some(count.saturating_add(1).min(own));
    prlimit(Some(first), Resource::Nproc, Rlimit { current: most, maximum: most }).map(drop)
}
