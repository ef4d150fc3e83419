//! What a process that holds secrets must not leave behind: core dumps, and messages of panics.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write as _;
use std::panic::PanicHookInfo;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Turns core dumps off for this process and what it starts, and lets panics tell where they happened
/// and not what they say: the memory and the message may hold a secret. For the beginning of `main`;
/// [`Builder::run`](crate::Builder::run) does it by itself.
pub fn guard_process() {
    let nothing = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    if let Err(error) = setrlimit(Resource::Core, nothing) {
        tracing::warn!(%error, "core dumps cannot be turned off: one could hold a secret");
    }
    std::panic::set_hook(Box::new(|panic| {
        // Standard error may be closed: there is nobody left to tell.
        let _ = std::io::stderr().lock().write_all(describe(panic).as_bytes());
    }));
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
