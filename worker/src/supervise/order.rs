//! What a supervisor is told, as arguments: `WORKER MASK USER:GROUP|- LIMITS COUNT SANDBOX…
//! PROGRAM ARGUMENT…`, where `COUNT` is how many words make the sandbox.
//!
//! The program's variables come as variables of other names: those of the program are the author's
//! of a definition, and `LD_PRELOAD` among them would run in the supervisor, as the worker's user.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::Mode;
use rustix::process::Pid;

use super::SUPERVISE;
use crate::processes::{ProcessLimits, TaskUser};

/// What stands before the name of a variable that is the program's. No linker or library looks for
/// such a name.
const VARIABLE: &[u8] = b"task:";

/// What to run, and for whom.
pub(crate) struct Order {
    /// Whose end is the end of it all.
    pub(crate) worker: Pid,
    /// The mask of its files.
    pub(crate) mask: Mode,
    /// Who it runs as; this process's user where there is none.
    pub(crate) user: Option<TaskUser>,
    /// What a process may use.
    pub(crate) limits: ProcessLimits,
    /// The command line that makes the sandbox it runs in; empty where there is none.
    pub(crate) sandbox: Vec<OsString>,
    /// What to run.
    pub(crate) program: PathBuf,
    /// With what arguments.
    pub(crate) arguments: Vec<OsString>,
}

impl Order {
    /// The supervisor that carries it out: this very program, even where its file was replaced
    /// since.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("windlass").args(self.to_arguments());
        command
    }

    /// All arguments of it.
    fn to_arguments(&self) -> Vec<OsString> {
        let user = match self.user {
            Some(it) => format!("{}:{}", it.user, it.group),
            None => "-".to_owned(),
        };
        let head: [OsString; 6] = [
            SUPERVISE.into(),
            self.worker.as_raw_nonzero().to_string().into(),
            self.mask.as_raw_mode().to_string().into(),
            user.into(),
            self.limits.to_word().into(),
            self.sandbox.len().to_string().into(),
        ];
        let program = [self.program.clone().into()];
        let rest =
            self.sandbox.iter().cloned().chain(program).chain(self.arguments.iter().cloned());
        head.into_iter().chain(rest).collect()
    }

    /// Reads them; none where they are something else.
    pub(super) fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut text = || arguments.next()?.into_string().ok();
        let worker = Pid::from_raw(text()?.parse().ok()?)?;
        let mask = Mode::from_raw_mode(text()?.parse().ok()?);
        let user = match &*text()? {
            "-" => None,
            given => {
                let (user, group) = given.split_once(':')?;
                Some(TaskUser { user: user.parse().ok()?, group: group.parse().ok()? })
            }
        };
        let limits = ProcessLimits::from_word(&text()?)?;
        let words: usize = text()?.parse().ok()?;
        let sandbox: Vec<_> = arguments.by_ref().take(words).collect();
        let program = arguments.next()?.into();
        let whole = sandbox.len() == words;
        let arguments = arguments.collect();
        whole.then_some(Self { worker, mask, user, limits, sandbox, program, arguments })
    }
}

/// What a variable of the program is called on its way to it.
pub(crate) fn carried(name: &OsStr) -> OsString {
    OsString::from_vec([VARIABLE, name.as_bytes()].concat())
}

/// The variables of the program, out of those of this process.
pub(super) fn variables() -> Vec<(OsString, OsString)> {
    let own = |(name, value): (OsString, OsString)| {
        let name = name.as_bytes().strip_prefix(VARIABLE)?.to_vec();
        Some((OsString::from_vec(name), value))
    };
    std::env::vars_os().filter_map(own).collect()
}

/// True when the text of `/proc/self/fdinfo/…` is that of a descriptor that a child gets: it lacks
/// `O_CLOEXEC`.
pub(super) fn goes_on(info: &str) -> bool {
    const CLOEXEC: u32 = 0o2_000_000;
    let flags = info.lines().find_map(|it| it.strip_prefix("flags:"));
    flags.and_then(|it| u32::from_str_radix(it.trim(), 8).ok()).is_some_and(|it| it & CLOEXEC == 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::ffi::OsString;

    use rustix::fs::Mode;
    use rustix::process::getpid;

    use super::{Order, goes_on};
    use crate::processes::{ProcessLimits, TaskUser};

    #[test]
    fn an_order_survives_the_command_line() {
        let words = |all: &[&str]| all.iter().map(OsString::from).collect::<Vec<_>>();
        for (user, sandbox) in [
            (None, words(&[])),
            (Some(TaskUser { user: 65_534, group: 65_533 }), words(&["bwrap", "--bind", "/", "/"])),
        ] {
            let given = Order {
                worker: getpid(),
                mask: Mode::from_raw_mode(0o27),
                user,
                limits: ProcessLimits { count: 9, ..ProcessLimits::default() },
                sandbox: sandbox.clone(),
                program: "sh".into(),
                arguments: words(&["-c", "--", "exit"]),
            };
            let order = Order::parse(given.to_arguments().into_iter().skip(1)).unwrap();
            assert_eq!((order.worker, order.mask.as_raw_mode()), (getpid(), 0o27));
            assert_eq!((order.user, order.program.to_str()), (user, Some("sh")));
            assert_eq!((order.limits, order.sandbox), (given.limits, sandbox));
            assert_eq!(order.arguments, given.arguments);
        }
        for line in [
            "",
            "1 2 - 1,2,3,4",
            "0 2 - 1,2,3,4 0 sh",
            "1 2 a 1,2,3,4 0 sh",
            "1 x - 1,2,3,4 0 sh",
            "1 2 - 1,2,3 0 sh",
            "1 2 - 1,2,3,4 1 sh",
            "1 2 - 1,2,3,4 3 a sh",
        ] {
            assert!(Order::parse(line.split(' ').map(OsString::from)).is_none(), "{line}");
        }
    }

    #[test]
    fn descriptors_that_children_get_are_told_from_others() {
        assert!(goes_on("pos:\t0\nflags:\t0100002\nmnt_id:\t15\n"));
        assert!(!goes_on("pos:\t0\nflags:\t02100002\nmnt_id:\t15\n"));
        assert!(!goes_on(""));
    }
}
