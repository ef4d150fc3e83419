//! Who the processes of tasks run as.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::str::FromStr;

use rustix::process::{getegid, geteuid};

/// A user and a group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskUser {
    /// The user.
    pub user: u32,
    /// The group; a process has no other.
    pub group: u32,
}

/// The text names no user of this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no user of this machine: write a name of /etc/passwd, a number, or USER:GROUP in numbers"
)]
pub struct TaskUserError(pub String);

impl TaskUser {
    /// Whom everybody takes for nobody: 65534.
    pub const NOBODY: Self = Self { user: 65_534, group: 65_534 };

    /// True when this process is root, and can run tasks as anybody.
    #[must_use]
    pub fn is_root() -> bool {
        geteuid().is_root()
    }

    /// True when this process can run tasks as this user.
    #[must_use]
    pub fn is_possible(self) -> bool {
        Self::is_root() || (geteuid().as_raw(), getegid().as_raw()) == (self.user, self.group)
    }

    /// True when this user may go through a folder, as its mode says: lists of further rights are
    /// not looked at. Root is taken for anybody, as it is in a user namespace.
    pub(crate) fn enters(self, folder: &Path) -> bool {
        let Ok(folder) = std::fs::metadata(folder) else { return false };
        let shift = match (folder.uid() == self.user, folder.gid() == self.group) {
            (true, _) => 6,
            (false, true) => 3,
            (false, false) => 0,
        };
        (folder.mode() >> shift) & 1 == 1
    }

    /// Gives a file or a directory to this user.
    pub(crate) fn own(self, path: &Path) -> std::io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))
    }
}

impl FromStr for TaskUser {
    type Err = TaskUserError;

    /// Reads `NAME`, `UID` or `UID:GID`. Names are those of `/etc/passwd` and of no directory
    /// service; a number that stands there gets its group, another one the group of the same
    /// number.
    fn from_str(text: &str) -> Result<Self, TaskUserError> {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        parse(text, &passwd).ok_or_else(|| TaskUserError(text.to_owned()))
    }
}

fn parse(text: &str, passwd: &str) -> Option<TaskUser> {
    if let Some((user, group)) = text.split_once(':') {
        return Some(TaskUser { user: user.parse().ok()?, group: group.parse().ok()? });
    }
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let (name, _, user, group) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let is_it = name == text || user == text;
        is_it.then_some(TaskUser { user: user.parse().ok()?, group: group.parse().ok()? })
    };
    let number = || text.parse().ok().map(|it| TaskUser { user: it, group: it });
    passwd.lines().find_map(entry).or_else(number)
}

#[cfg(test)]
mod tests {
    use super::{TaskUser, parse};

    #[test]
    fn users_are_read_by_name_and_number() {
        let passwd = "root:x:0:0:root:/:/bin/sh\nme:x:1000:100::/:/bin/sh\nbroken:x\n";
        let user = |user, group| Some(TaskUser { user, group });
        assert_eq!(parse("me", passwd), user(1000, 100));
        assert_eq!(parse("1000", passwd), user(1000, 100));
        assert_eq!(parse("1001", passwd), user(1001, 1001));
        assert_eq!(parse("1000:5", passwd), user(1000, 5));
        for text in ["", "you", "broken", "-1", "1:", "me:me", "1:2:3"] {
            assert_eq!(parse(text, passwd), None, "{text}");
        }
    }
}
