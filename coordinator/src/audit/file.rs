//! The file: appended to, one line an event, and followed by another when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use uuid::Uuid;
use windlass_proto::limits;
use windlass_proto::time::Timestamp;

use super::AuditLine;
use crate::file::sync_folder;

/// How large files grow, and how many full ones are kept.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) bytes: u64,
    pub(super) files: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { bytes: limits::AUDIT_FILE_BYTES, files: limits::AUDIT_FILES }
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
        sync_folder(path)?;
        Ok(Self { path: path.to_owned(), sizes, file, length })
    }

    /// Adds whole lines, durably. After an error it is as if nothing had been added.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.length > 0 && self.length + lines.len() as u64 > self.sizes.bytes {
            self.rotate()?;
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

    /// Begins another file: the last ones move on, the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (0..self.sizes.files).rev() {
            match fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = create(&self.path)?;
        self.length = self.file.metadata()?.len();
        sync_folder(&self.path)
    }

    /// The last lines that are of `since` or later, the oldest first, as far as they can be read.
    pub(super) fn lines_since(&self, since: Timestamp) -> Vec<AuditLine> {
        let mut lines = Vec::new();
        let read = backwards(&self.path, &mut |line| {
            let line = serde_json::from_slice::<AuditLine>(line).ok();
            let Some(line) = line.filter(|it| it.event.at >= since) else { return false };
            lines.push(line);
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

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)
}

/// `audit.jsonl`, then `audit.1.jsonl` and so on, the older the higher.
fn numbered(path: &Path, number: u32) -> PathBuf {
    match number {
        0 => path.to_owned(),
        _ => path.with_extension(format!("{number}.jsonl")),
    }
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

/// The last lines, newest first.
pub(super) fn last(path: &Path, limit: usize) -> io::Result<Vec<AuditLine>> {
    let mut lines = Vec::new();
    if limit > 0 {
        backwards(path, &mut |line| {
            lines.extend(serde_json::from_slice::<AuditLine>(line).ok());
            lines.len() < limit
        })?;
    }
    Ok(lines)
}

/// Goes through the lines of all files from the last one on, while `visit` wants more.
fn backwards(path: &Path, visit: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
    for number in 0..=limits::AUDIT_FILES {
        let mut file = match File::open(numbered(path, number)) {
            Ok(file) => file,
            // Between two renames the current one may be missing for a moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound && number == 0 => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if !backwards_in(&mut file, visit)? {
            return Ok(());
        }
    }
    Ok(())
}

/// As [`backwards`], in one file, a block at a time; false when no more is wanted.
fn backwards_in(file: &mut File, visit: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<bool> {
    let mut end = file.metadata()?.len();
    // The begin of a line that ends in a later block.
    let mut rest = Vec::new();
    while end > 0 {
        let from = end.saturating_sub(limits::AUDIT_BLOCK_BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut block = vec![0; usize::try_from(end - from).unwrap_or(0)];
        file.read_exact(&mut block)?;
        block.append(&mut rest);
        end = from;
        let mut lines: Vec<_> = block.split(|it| *it == b'\n').collect();
        if end > 0 && !lines.is_empty() {
            rest = lines.remove(0).to_vec();
        }
        if rest.len() > 2 * limits::AUDIT_EVENT_BYTES {
            // No line of ours is that long: skipped.
            rest.clear();
        }
        for line in lines.into_iter().rev().filter(|it| !it.is_empty()) {
            if !visit(line) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
