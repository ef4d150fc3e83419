//! What this process uses: CPU time, memory, writes. What the system does not tell stays unknown.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Bytes of the blocks that file systems and disks count in.
const BLOCK: u64 = 512;

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

/// What the process has used since it started, or since another moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    /// CPU time, user and system, of all threads.
    pub(super) cpu: Duration,
    /// Bytes it made the system write to disk: whole pages.
    pub(super) written: Option<u64>,
    /// Bytes that the disk was told to write, by whomever.
    pub(super) device: Option<u64>,
}

impl Usage {
    /// Since the process started, and that of the disk of a directory since it is there; CPU time
    /// includes that of other processes.
    pub(super) fn now(others: &[u32], directory: Option<&Path>) -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let part = |number: i64| u64::try_from(number).unwrap_or(0);
        let nanoseconds = u32::try_from(cpu.tv_nsec).unwrap_or(0);
        let io = fs::read_to_string("/proc/self/io").ok();
        Self {
            cpu: Duration::new(part(cpu.tv_sec), nanoseconds)
                + others.iter().filter_map(|it| cpu_of(*it)).sum::<Duration>(),
            written: io.and_then(|text| field(&text, "write_bytes:")),
            device: directory.and_then(device_of),
        }
    }

    /// What was used since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let since = |(now, then): (u64, u64)| now.saturating_sub(then);
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            written: self.written.zip(earlier.written).map(since),
            device: self.device.zip(earlier.device).map(since),
        }
    }
}

/// Bytes written to the disk that a directory is on; file systems without one of their own have
/// none.
fn device_of(directory: &Path) -> Option<u64> {
    let device = fs::metadata(directory).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let sectors: u64 = stat.split_whitespace().nth(6)?.parse().ok()?;
    Some(sectors * BLOCK)
}

/// CPU time of another process: user and system.
pub(super) fn cpu_of(process: u32) -> Option<Duration> {
    /// Milliseconds of what the system counts in: 100 a second, on every Linux of today.
    const TICK_MS: u64 = 10;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may hold spaces and brackets; fields 14 and 15 are the twelfth and thirteenth
    // after it.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11).map(str::parse::<u64>);
    let (user, system) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(Duration::from_millis((user + system) * TICK_MS))
}

/// How often threads of this process have waited for something and were given a processor again.
pub(super) fn wakeups() -> Option<u64> {
    let mut sum = 0;
    for thread in fs::read_dir("/proc/self/task").ok()? {
        // One that has ended by now does not count.
        let Ok(status) = fs::read_to_string(thread.ok()?.path().join("status")) else { continue };
        sum += field(&status, "voluntary_ctxt_switches:")?;
    }
    Some(sum)
}

/// Makes the peak of memory start anew, where the system lets us.
pub(super) fn reset_peak() {
    // 5 is `CLEAR_REFS_MM_HIWATER_RSS`; without it the peak is that of the whole process.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Memory in use now, in MiB.
pub(super) fn resident_mib() -> Option<f64> {
    status_mib("VmRSS:")
}

/// The most memory that was in use, in MiB.
pub(super) fn peak_mib() -> Option<f64> {
    status_mib("VmHWM:")
}

fn status_mib(name: &str) -> Option<f64> {
    let kib = field(&fs::read_to_string("/proc/self/status").ok()?, name)?;
    Some(kib as f64 * 1024.0 / MIB)
}

/// The number after `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Bytes that the files of a directory occupy on disk.
pub(super) fn occupied(directory: &Path) -> Option<u64> {
    let mut sum = 0;
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).ok()? {
            // A file that is gone by now occupies nothing.
            let Ok(entry) = entry else { continue };
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                open.push(entry.path());
            } else {
                sum += metadata.blocks() * BLOCK;
            }
        }
    }
    Some(sum)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Usage, field, occupied, peak_mib, resident_mib, wakeups};

    #[test]
    fn fields_are_found_by_name() {
        let text = "Name:\tx\nVmRSS:\t    2048 kB\nVmHWM:\tnone\n";
        assert_eq!(field(text, "VmRSS:"), Some(2048));
        assert_eq!(field(text, "VmHWM:"), None);
        assert_eq!(field(text, "VmPeak:"), None);
    }

    #[test]
    fn use_only_grows() {
        let before = Usage::now(&[], None);
        let mut sum = 0_u64;
        while Usage::now(&[], None).cpu == before.cpu {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(Usage::now(&[], None).since(&before).cpu.as_nanos() > 0, "{sum}");
        assert_eq!(before.since(&Usage::now(&[], None)).cpu.as_nanos(), 0);
    }

    #[test]
    fn another_process_counts_too() {
        let own = std::process::id();
        let mut sum = 0_u64;
        while super::cpu_of(own).is_none_or(|it| it.is_zero()) {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(Usage::now(&[own], None).cpu > Usage::now(&[], None).cpu, "{sum}");
    }

    #[test]
    fn waiting_counts_as_being_woken() {
        let before = wakeups().unwrap();
        while wakeups().unwrap() < before + 3 {
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
    }

    #[test]
    fn memory_and_disk_are_told() {
        let (now, most) = (resident_mib().unwrap(), peak_mib().unwrap());
        assert!(now > 0.1 && most > 0.1, "{now} {most}");
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("a")).unwrap();
        let file = directory.path().join("a/b");
        std::fs::write(&file, vec![7; 100_000]).unwrap();
        // Some file systems give a file its blocks only when it is synced.
        std::fs::File::open(&file).unwrap().sync_all().unwrap();
        let bytes = occupied(directory.path()).unwrap();
        assert!((100_000..1_000_000).contains(&bytes), "{bytes}");
        assert_eq!(occupied(std::path::Path::new("/no/such/directory")), None);
    }
}
