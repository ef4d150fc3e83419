//! What a process that holds secrets must not show or leave behind: its environment, its memory,
//! core dumps, files that others read, messages of panics.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};
use rustix::process::{set_dumpable_behavior, umask};

use crate::{handover, supervise};

/// Set by [`guard_process`]: the mask for the files of tasks, which is what this process was given.
static GUARDED: OnceLock<Mode> = OnceLock::new();

/// Guards a process that holds secrets. It must be the **first thing in `main`**, before threads
/// and files: the program may begin again here, or be a supervisor of a task and never return.
///
/// - Credentials in the environment and on the command line are taken out of sight: see
///   [`variable`](crate::variable) and [`arguments`](crate::arguments).
/// - No other process of the same user can read its memory, and it leaves no core dump.
/// - Files it makes are for its user alone.
/// - Panics tell where they happened and not what they say: the message may hold a secret.
/// - Processes of tasks get a supervisor, this program once more, that ends them with their task or
///   with this process, whichever ends first, and all they have started.
pub fn guard_process() {
    supervise::serve_if_asked();
    deny_memory();
    let given = umask(Mode::RWXG | Mode::RWXO);
    if let Err(error) = handover::take() {
        report(&format!(
            "credentials stay in the environment, which other processes can read: {error}"
        ));
    }
    let _ = GUARDED.set(given);
    harden();
}

/// What of [`guard_process`] can be done at any moment.
pub(crate) fn harden() {
    deny_memory();
    let nothing = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    if let Err(error) = setrlimit(Resource::Core, nothing) {
        report(&format!("core dumps cannot be turned off: one could hold a secret: {error}"));
    }
    std::panic::set_hook(Box::new(|panic| {
        // Standard error may be closed: there is nobody left to tell.
        let _ = std::io::stderr().lock().write_all(describe(panic).as_bytes());
    }));
}

/// The mask that processes of tasks get, where this program can supervise them.
pub(crate) fn mask_of_tasks() -> Option<Mode> {
    GUARDED.get().copied()
}

fn deny_memory() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        report(&format!("other processes of this user can read this one's memory: {error}"));
    }
}

/// Tells people; there is no log yet.
fn report(text: &str) {
    let _ = std::io::stderr().lock().write_all(format!("windlass: {text}\n").as_bytes());
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>").to_owned();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        "thread '{name}' panicked at {place}\nthe message is not shown: it may hold a secret\n"
    );
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        text.push_str(&backtrace.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::process::Command;

    /// Set in the process that panics.
    const PANICS: &str = "WINDLASS_TEST_PANICS";

    #[test]
    fn a_panic_tells_where_and_not_what() {
        if std::env::var_os(PANICS).is_some() {
            super::guard_process();
            panic!("it holds the c4nary");
        }
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "guard::tests::a_panic_tells_where_and_not_what", "--nocapture"]);
        let output = again.env(PANICS, "1").env("RUST_BACKTRACE", "1").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{told}");
        assert!(told.contains("guard.rs:") && told.contains("panicked at"), "{told}");
        let all = format!("{told}{}", String::from_utf8_lossy(&output.stdout));
        assert!(!all.contains("c4nary"), "{all}");
    }
}
