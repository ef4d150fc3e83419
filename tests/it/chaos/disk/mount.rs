//! A small disk of its own for one directory, which only processes of its name space see.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::support::process::Process;
use crate::support::until::{SOON, within};

/// Mounts a disk over a directory, and holds the name space it is mounted in.
const SCRIPT: &str = r#"
set -e
cp -a "$1" "$1.kept"
mount -t tmpfs -o size="$2" windlass-test "$1"
cp -a "$1.kept/." "$1"
echo mounted
exec setpriv --pdeathsig KILL tail -f /dev/null
"#;

/// A file system in memory. It lives as long as the process that holds its name space, so that
/// nothing is left mounted whatever becomes of the test.
pub(super) struct Disk {
    _holder: Process,
    wrapper: Vec<String>,
    directory: PathBuf,
    /// The directory as seen through the holder.
    inside: PathBuf,
}

impl Disk {
    /// Mounts one of so many bytes over `directory`, keeping what is in it: as root, or as the
    /// root of a user name space where users may have those.
    pub(super) async fn mount(directory: &Path, bytes: u64) -> Result<Self, String> {
        let mut reasons = Vec::new();
        let mapped = ["--user", "--map-root-user"];
        let entered = ["--user", "--preserve-credentials"];
        for (leave, enter) in [(&[][..], &[][..]), (&mapped, &entered)] {
            match Self::mount_with(leave, enter, directory, bytes).await {
                Ok(disk) => return Ok(disk),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(format!("no disk can be mounted: {}", reasons.join("; ")))
    }

    async fn mount_with(
        leave: &[&str],
        enter: &[&str],
        directory: &Path,
        bytes: u64,
    ) -> Result<Self, String> {
        let mut command = Command::new("unshare");
        command.args(leave).args(["--mount", "sh", "-c", SCRIPT, "sh"]);
        command.arg(directory).arg(bytes.to_string());
        let holder = Process::spawn(command);
        let mounted = within(SOON, "a mount", holder.stdout().after("mounted")).await;
        if mounted.is_none() {
            return Err(holder.stderr().text().trim().to_owned());
        }
        let target = holder.id().to_string();
        let mut wrapper = vec!["nsenter"];
        wrapper.extend(enter);
        wrapper.extend(["--mount", "--wd=.", "--target", &target]);
        let wrapper = wrapper.into_iter().map(str::to_owned).collect();
        let relative = directory.strip_prefix("/").map_err(|error| error.to_string())?;
        let inside = PathBuf::from(format!("/proc/{target}/root")).join(relative);
        Ok(Self { _holder: holder, wrapper, directory: directory.to_owned(), inside })
    }

    /// What runs a command where the disk is.
    pub(super) fn wrapper(&self) -> Vec<String> {
        self.wrapper.clone()
    }

    /// Leaves no byte free.
    pub(super) fn fill(&self) {
        let mut file = std::fs::File::create(self.ballast()).unwrap();
        let block = vec![0_u8; 1 << 20];
        while std::io::Write::write(&mut file, &block).is_ok_and(|written| written > 0) {}
    }

    /// Gives back what `fill` took.
    pub(super) fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    /// From now on it can be read only.
    pub(super) async fn make_read_only(&self) {
        let mut command = Command::new(&self.wrapper[0]);
        command.args(&self.wrapper[1..]).args(["mount", "-o", "remount,ro"]).arg(&self.directory);
        let done = command.output().await.unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    fn ballast(&self) -> PathBuf {
        self.inside.join("ballast")
    }
}

#[tokio::test]
async fn a_disk_is_small_and_seen_by_those_inside_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("before"), "kept").unwrap();
    let disk = match Disk::mount(&data, 1 << 20).await {
        Ok(disk) => disk,
        Err(reason) => return crate::support::skip("a small disk", &reason, "mount"),
    };
    let write = async || {
        let wrapper = disk.wrapper();
        let mut command = Command::new(&wrapper[0]);
        command.args(&wrapper[1..]).args(["sh", "-c", "cat \"$1/before\" > \"$1/after\"", "sh"]);
        command.arg(&data).current_dir(folder.path()).output().await.unwrap()
    };
    disk.fill();
    let full = write().await;
    assert!(String::from_utf8_lossy(&full.stderr).contains("No space left"), "{full:?}");
    disk.free();
    let free = write().await;
    assert!(free.status.success(), "{free:?}");
    assert_eq!(std::fs::read_to_string(disk.inside.join("after")).unwrap(), "kept");
    assert!(!data.join("after").exists(), "the mount is seen outside");
}
