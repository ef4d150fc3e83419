//! Room on the disk, looked at before anything is decided that would have to be written.
//!
//! sled does not go on after a write that fails for want of room, so it must not come to that: what
//! is under way when the disk fills up goes to blocks that belong to the log already, past its end.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;
use windlass_proto::limits::{
    DISK_AGAIN_BYTES, DISK_LOOK_MS, DISK_LOW_BYTES, DISK_RESERVE_LEFT_BYTES, DISK_RESERVED_BYTES,
};

use super::super::Room;
use super::super::store::lock;
use super::open::LOG;

/// Gives what the log keeps past its end to the opening of the store, where the disk has nothing
/// else for it: sled writes a summary of its log then, and what is there can be read at least.
pub(super) fn release(directory: &Path) -> io::Result<()> {
    let log = match OpenOptions::new().write(true).open(directory.join(LOG)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        log => log?,
    };
    let length = log.metadata()?.len();
    if free(&log).is_some_and(|free| free < DISK_RESERVE_LEFT_BYTES) {
        // Even to the length that it has, this frees what is past it.
        log.set_len(length)?;
    }
    Ok(())
}

/// Bytes that a file's disk has left, where it tells.
fn free(file: &File) -> Option<u64> {
    fstatvfs(file).ok().map(|it| it.f_bavail.saturating_mul(it.f_frsize))
}

/// Looks at the file system of a directory.
pub(super) struct Disk {
    path: PathBuf,
    seen: Mutex<Seen>,
}

struct Seen {
    at: Option<Instant>,
    room: Room,
    /// Where the blocks that belong to the log end.
    reserved: u64,
    /// Whether the file system has promised them.
    promised: bool,
}

impl Disk {
    pub(super) fn new(directory: &Path) -> Self {
        let room = Room::enough();
        let seen = Mutex::new(Seen { at: None, room, reserved: 0, promised: false });
        Self { path: directory.to_owned(), seen }
    }

    /// How things are, or were a moment ago.
    pub(super) fn look(&self, log: &File) -> Room {
        let mut seen = lock(&self.seen);
        let fresh = Duration::from_millis(DISK_LOOK_MS);
        // While the reserve is used, each time: it must not be overdrawn.
        if !seen.room.paused && seen.at.is_some_and(|at| at.elapsed() < fresh) {
            return seen.room;
        }
        seen.at = Some(Instant::now());
        let free = free(log);
        let was = seen.room.paused;
        let enough = if was { DISK_AGAIN_BYTES } else { DISK_LOW_BYTES };
        let low = free.is_some_and(|free| free < enough);
        if low && seen.reserved == 0 {
            seen.reserve_what_is_left(log, free.unwrap_or_default());
        }
        let paused = low || !seen.reserve(log);
        let reserve = !paused || seen.has_reserve(log, free);
        seen.room = Room { paused, reserve, free_bytes: free, ..Room::enough() };
        if paused != was {
            self.log_change(seen.room);
        }
        seen.room
    }

    fn log_change(&self, room: Room) {
        let directory = self.path.display();
        let free = room.free_bytes.unwrap_or_default() >> 20;
        if room.paused {
            tracing::error!(
                %directory,
                free_mib = free,
                "the disk is full: starts, events and deployments are refused (507) and open work \
                 waits until {} MiB are free; reads go on, and so do cancelling and suspending",
                DISK_AGAIN_BYTES >> 20
            );
        } else {
            // As loud as the fault: whoever was woken by that may sleep again.
            tracing::warn!(%directory, free_mib = free, "there is room on the disk: work goes on");
        }
    }
}

impl Seen {
    /// Keeps blocks for the log past its end; false when the disk has none to give.
    fn reserve(&mut self, log: &File) -> bool {
        let Ok(length) = log.metadata().map(|it| it.len()) else { return true };
        // Cut off at its end, the log loses what was reserved past it.
        let shrunk = self.reserved > length.saturating_add(DISK_RESERVED_BYTES);
        if !shrunk && self.reserved >= length.saturating_add(DISK_RESERVED_BYTES / 2) {
            return true;
        }
        match fallocate(log, FallocateFlags::KEEP_SIZE, length, DISK_RESERVED_BYTES) {
            Err(Errno::NOSPC | Errno::DQUOT) => false,
            // File systems without this have only the free space that is looked at.
            kept @ (Ok(()) | Err(_)) => {
                self.promised = kept.is_ok();
                self.reserved = length.saturating_add(DISK_RESERVED_BYTES);
                true
            }
        }
    }

    /// Keeps less than a whole reserve on a disk that was full before the start, for what operators
    /// do about that: opening took some of what was kept. Never more than there is, as what is
    /// refused for want of room may be given by half.
    fn reserve_what_is_left(&mut self, log: &File, free: u64) {
        let Ok(length) = log.metadata().map(|it| it.len()) else { return };
        let sizes = [DISK_RESERVED_BYTES, DISK_RESERVED_BYTES / 4 * 3, DISK_RESERVED_BYTES / 2];
        if let Some(bytes) = sizes.into_iter().find(|it| *it <= free)
            && fallocate(log, FallocateFlags::KEEP_SIZE, length, bytes).is_ok()
        {
            (self.promised, self.reserved) = (true, length.saturating_add(bytes));
        }
    }

    /// Whether a few small writes find room: in the blocks kept for that, or beside them.
    fn has_reserve(&self, log: &File, free: Option<u64>) -> bool {
        if free.is_some_and(|free| free >= DISK_LOW_BYTES / 2) {
            return true;
        }
        let Ok(length) = log.metadata().map(|it| it.len()) else { return false };
        self.promised && self.reserved.saturating_sub(length) >= DISK_RESERVE_LEFT_BYTES
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{DISK_LOW_BYTES, DISK_RESERVE_LEFT_BYTES, DISK_RESERVED_BYTES, Disk, Seen};
    use crate::journal::Room;

    #[test]
    fn blocks_past_the_end_belong_to_the_log() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let room = Disk::new(folder.path()).look(&log);
        assert!(room.free_bytes.unwrap() > 0);
        let metadata = log.metadata().unwrap();
        assert_eq!(metadata.len(), 0, "the log is not longer for it");
        if !room.paused && metadata.blocks() > 0 {
            assert!(metadata.blocks() * 512 >= DISK_RESERVED_BYTES);
        }
    }

    #[test]
    fn the_reserve_is_used_up_to_what_is_left_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let room = Room { paused: true, free_bytes: Some(0), ..Room::enough() };
        let seen = |promised| Seen { at: None, room, reserved: DISK_RESERVED_BYTES, promised };
        assert!(seen(true).has_reserve(&log, Some(0)));
        assert!(!seen(false).has_reserve(&log, Some(0)), "nobody has promised it");
        assert!(seen(false).has_reserve(&log, Some(DISK_LOW_BYTES / 2)), "there is room beside it");
        log.set_len(DISK_RESERVED_BYTES - DISK_RESERVE_LEFT_BYTES).unwrap();
        assert!(seen(true).has_reserve(&log, Some(0)));
        log.set_len(DISK_RESERVED_BYTES - DISK_RESERVE_LEFT_BYTES + 1).unwrap();
        assert!(!seen(true).has_reserve(&log, Some(0)));
    }
}
