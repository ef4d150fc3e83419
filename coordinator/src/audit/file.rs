//! The file that is written: appended to, one line an event, and followed by another when it is
//! full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use uuid::Uuid;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::chain::{LineHash, Link, Position, Tip};
use super::trail::{backwards, numbered};
use crate::file::sync_folder;

/// How large files grow, and how many full ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) bytes: u64,
    pub(super) files: u32,
}

impl Sizes {
    /// So many bytes in all.
    pub(super) fn of(retention: u64) -> Self {
        let retention = retention.max(limits::AUDIT_RETENTION_LEAST);
        let bytes = limits::AUDIT_FILE_BYTES.min(retention / 2);
        let files = u32::try_from(retention / bytes - 1).unwrap_or(u32::MAX);
        Self { bytes, files: files.min(limits::AUDIT_FILES_MOST) }
    }
}

/// The file that is written.
pub(super) struct AuditFile {
    path: PathBuf,
    sizes: Sizes,
    file: File,
    /// Bytes that are whole lines.
    length: u64,
}

impl AuditFile {
    /// Opens it, or makes it. A line that was cut off by a crash was acknowledged to nobody, and is
    /// removed.
    pub(super) fn open(path: &Path, sizes: Sizes) -> io::Result<Self> {
        let file = create(path)?;
        let length = whole(&file)?;
        file.set_len(length)?;
        file.sync_all()?;
        remove_surplus(path, sizes.files)?;
        sync_folder(path)?;
        Ok(Self { path: path.to_owned(), sizes, file, length })
    }

    /// Adds whole lines, durably. After an error it is as if nothing had been added.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line would spoil the next one.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += lines.len() as u64;
        Ok(())
    }

    /// True when nothing is in it yet.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// True when so many bytes more belong into the next file.
    pub(super) fn is_full_with(&self, bytes: usize) -> bool {
        self.length > 0 && self.length + bytes as u64 > self.sizes.bytes
    }

    /// Begins another file: the last ones move on, the oldest goes.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        // Once more after a failure, or a crash in between, nothing moves that has moved: only what
        // is in front of a gap goes on, into it.
        let is_gap = |number: &u32| !numbered(&self.path, *number).exists();
        let gap = (0..=self.sizes.files).find(is_gap).unwrap_or(self.sizes.files);
        for number in (0..gap).rev() {
            fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1))?;
        }
        self.file = create(&self.path)?;
        self.length = self.file.metadata()?.len();
        sync_folder(&self.path)
    }

    /// Where the chain has come to; with the hash of the last line where there is no chain yet.
    pub(super) fn tip(&self) -> io::Result<Tip> {
        let (mut tip, mut last) = (None, None);
        backwards(&self.path, &mut |line| {
            last.get_or_insert_with(|| LineHash::of(line));
            let Ok(link) = serde_json::from_slice::<Link<'_>>(line) else { return true };
            // A build that makes no chain may have written after one that does.
            let Some(sequence) = link.sequence else { return true };
            let tip: &mut Tip = tip.get_or_insert_with(|| {
                let hash = LineHash::of(line);
                Tip { at: Position { sequence, hash }, unsigned: 0 }
            });
            tip.unsigned += u32::from(!link.is_head());
            !link.is_head() && tip.unsigned < limits::AUDIT_HEAD_ENTRIES
        })?;
        let before = Position { sequence: 0, hash: last.unwrap_or_default() };
        Ok(tip.unwrap_or(Tip { at: before, unsigned: 0 }))
    }

    /// The last lines that are of `since` or later, the oldest first, as far as they can be read.
    pub(super) fn lines_since(&self, since: Timestamp) -> Vec<Vec<u8>> {
        #[derive(Deserialize)]
        struct When {
            at: Timestamp,
        }
        let mut lines = Vec::new();
        let read = backwards(&self.path, &mut |line| {
            let when = serde_json::from_slice::<When>(line).ok();
            if when.is_none_or(|it| it.at < since) {
                return false;
            }
            lines.push(line.to_vec());
            lines.len() < limits::AUDIT_PUBLISH_QUEUE
        });
        if let Err(error) = read {
            tracing::warn!(%error, "the last audit events cannot be read, and are not published");
        }
        lines.reverse();
        lines
    }

    /// The ids of the last events, the oldest first, as far as they can be read.
    pub(super) fn recent(&self) -> Vec<Uuid> {
        #[derive(Deserialize)]
        struct Id {
            id: Uuid,
        }
        let mut ids = Vec::new();
        let read = backwards(&self.path, &mut |line| {
            ids.extend(serde_json::from_slice::<Id>(line).ok().map(|it| it.id));
            ids.len() < limits::AUDIT_REMEMBERED
        });
        if let Err(error) = read {
            tracing::warn!(%error, "the last audit events cannot be read: repeats may be kept");
        }
        ids.reverse();
        ids
    }
}

/// Removes the oldest files where fewer are kept than there were.
fn remove_surplus(path: &Path, files: u32) -> io::Result<()> {
    // The oldest first: what a crash leaves has no gap, and is removed the next time.
    for number in (files + 1..=limits::AUDIT_FILES_MOST).rev() {
        match fs::remove_file(numbered(path, number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)
}

/// Bytes up to the end of the last whole line.
fn whole(mut file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    // What a crash leaves behind the last line need not be short.
    while end > 0 {
        let from = end.saturating_sub(limits::AUDIT_EVENT_BYTES as u64);
        file.seek(SeekFrom::Start(from))?;
        let mut block = Vec::new();
        file.take(end - from).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|it| *it == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}
