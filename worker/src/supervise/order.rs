//! What a supervisor is told, as arguments: `WORKER MASK USER:GROUP|- PROGRAM ARGUMENT…`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::Pid;

use crate::processes::TaskUser;

/// What to run, and for whom.
pub(crate) struct Order {
    /// Whose end is the end of it all.
    pub(crate) worker: Pid,
    /// The mask of its files.
    pub(crate) mask: Mode,
    /// Who it runs as; this process's user where there is none.
    pub(crate) user: Option<TaskUser>,
    /// What to run.
    pub(crate) program: PathBuf,
    /// With what arguments.
    pub(crate) arguments: Vec<OsString>,
}

impl Order {
    /// The arguments that say it, without those of the program.
    pub(crate) fn head(
        worker: Pid,
        mask: Mode,
        user: Option<TaskUser>,
        program: &Path,
    ) -> [OsString; 4] {
        let user = user.map_or_else(|| "-".to_owned(), |it| format!("{}:{}", it.user, it.group));
        [
            worker.as_raw_nonzero().to_string().into(),
            mask.as_raw_mode().to_string().into(),
            user.into(),
            program.into(),
        ]
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
        let program = arguments.next()?.into();
        Some(Self { worker, mask, user, program, arguments: arguments.collect() })
    }
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
    use std::path::Path;

    use rustix::fs::Mode;
    use rustix::process::getpid;

    use super::{Order, goes_on};
    use crate::processes::TaskUser;

    #[test]
    fn an_order_survives_the_command_line() {
        for user in [None, Some(TaskUser { user: 65_534, group: 65_533 })] {
            let head = Order::head(getpid(), Mode::from_raw_mode(0o27), user, Path::new("sh"));
            let all = head.into_iter().chain(["-c", "--", "exit"].map(OsString::from));
            let order = Order::parse(all).unwrap();
            assert_eq!((order.worker, order.mask.as_raw_mode()), (getpid(), 0o27));
            assert_eq!((order.user, order.program.to_str()), (user, Some("sh")));
            assert_eq!(order.arguments, ["-c", "--", "exit"]);
        }
        for line in ["", "1 2 -", "0 2 - sh", "1 2 a sh", "1 x - sh"] {
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
