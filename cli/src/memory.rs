//! How much memory the instances of this process may take.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use windlass_proto::limits;

use crate::options::of_units;

/// How much memory instances may take.
#[derive(clap::Args, Default)]
pub(crate) struct MemoryOptions {
    /// Memory that instances may take, such as 512MiB or 2GiB; past three quarters of it starts get
    /// 429 [default: a quarter of what the machine, the container and ulimit -v allow]
    #[arg(long, env = "WINDLASS_MEMORY_BUDGET", value_name = "SIZE", value_parser = size)]
    memory_budget: Option<u64>,
}

impl MemoryOptions {
    /// Bytes that instances may take.
    pub(crate) fn budget(&self) -> u64 {
        let of_machine =
            || available().unwrap_or(limits::MEMORY_UNKNOWN_BYTES) / limits::MEMORY_SHARE;
        self.memory_budget.unwrap_or_else(of_machine).max(limits::MEMORY_LEAST)
    }
}

/// Reads `512MiB`, `2GiB`, …
fn size(text: &str) -> Result<u64, String> {
    let size = of_units(text, &[("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)])
        .ok_or("write a number of MiB or GiB, such as 512MiB")?;
    if size < limits::MEMORY_LEAST {
        return Err(format!("at least {} MiB", limits::MEMORY_LEAST >> 20));
    }
    Ok(size)
}

/// What the process may have: of the machine, of its control groups, of its address space.
fn available() -> Option<u64> {
    let address_space = getrlimit(Resource::As).current;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = of_groups(&groups, Path::new("/sys/fs/cgroup"));
    let machine = of_machine(&fs::read_to_string("/proc/meminfo").unwrap_or_default());
    [address_space, groups, machine].into_iter().flatten().min()
}

/// `MemTotal` of `/proc/meminfo`.
fn of_machine(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

/// The lowest limit of the control groups in `/proc/self/cgroup`, of either version, and those
/// above.
fn of_groups(text: &str, root: &Path) -> Option<u64> {
    let mut lowest: Option<u64> = None;
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next()?, parts.next()?);
        let (folder, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            it if it.split(',').any(|it| it == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // In a container the path may be that of the host, of which only the root is there.
        let below = PathBuf::from(path.trim_start_matches('/'));
        for group in below.ancestors() {
            let limit = fs::read_to_string(folder.join(group).join(file));
            let limit = limit.ok().and_then(|text| text.trim().parse().ok());
            lowest = lowest.into_iter().chain(limit).min();
        }
    }
    lowest
}

#[cfg(test)]
mod tests {
    use std::fs;

    use windlass_proto::limits;

    use super::{MemoryOptions, of_groups, of_machine, size};

    #[test]
    fn sizes_are_written_in_binary_units_and_have_a_least() {
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("536870912"), Ok(512 << 20));
        for wrong in ["", "GiB", "1MB", "-1GiB", "1 TiB", "99999999999GiB", "1KiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_lowest_limit_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("memory.max", "max\n");
        write("a/memory.max", "1000000\n");
        write("a/b/memory.max", "2000000\n");
        write("memory/c/memory.limit_in_bytes", "500\n");
        let limit = |text: &str| of_groups(text, folder.path());
        assert_eq!(limit("0::/a/b\n"), Some(1_000_000));
        assert_eq!(limit("0::/\n"), None);
        assert_eq!(limit("0::/elsewhere/of/the/host\n"), None);
        assert_eq!(limit("12:cpu:/x\n3:memory,other:/c\n0::/a\n"), Some(500));
    }

    #[test]
    fn the_machine_says_what_it_has() {
        assert_eq!(of_machine("MemFree: 1 kB\nMemTotal:       16 kB\n"), Some(16 << 10));
        assert_eq!(of_machine(""), None);
        let given = MemoryOptions { memory_budget: Some(1 << 30) };
        assert_eq!(given.budget(), 1 << 30);
        assert!(MemoryOptions { memory_budget: None }.budget() >= limits::MEMORY_LEAST);
    }
}
