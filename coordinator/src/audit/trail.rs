//! The files of a trail: which there are, and their lines from the last one back.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use windlass_proto::limits;

/// One file of a trail, opened: others may rename it.
pub(super) struct TrailFile {
    /// What it was called.
    pub(super) path: PathBuf,
    pub(super) file: File,
    /// Its bytes then.
    pub(super) length: u64,
}

impl TrailFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, length })
    }
}

/// `audit.jsonl`, then `audit.1.jsonl` and so on, the older the higher.
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    match number {
        0 => path.to_owned(),
        _ => path.with_extension(format!("{number}.jsonl")),
    }
}

/// All files of a trail, the oldest first. Files move to higher numbers while this looks from the
/// lowest on: it may come upon one twice, and misses none.
pub(super) fn files(path: &Path) -> io::Result<Vec<TrailFile>> {
    let (mut found, mut seen, mut missing) = (Vec::new(), Vec::new(), 0);
    for number in 0..=limits::AUDIT_FILES_MOST {
        match TrailFile::open(&numbered(path, number)) {
            Ok(file) => {
                missing = 0;
                let metadata = file.file.metadata()?;
                let inode = (metadata.dev(), metadata.ino());
                if !seen.contains(&inode) {
                    seen.push(inode);
                    found.push(file);
                }
            }
            // Between two renames one is missing for a moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing += 1,
            Err(error) => return Err(error),
        }
        if missing > 1 {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// Goes through the lines of all files from the last one on, while `visit` wants more.
pub(super) fn backwards(path: &Path, visit: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
    for found in files(path)?.iter_mut().rev() {
        if !backwards_in(&mut found.file, found.length, visit)? {
            return Ok(());
        }
    }
    Ok(())
}

/// As [`backwards`], in the first `end` bytes of one file, a block at a time; false when no more is
/// wanted.
pub(super) fn backwards_in(
    file: &mut File,
    mut end: u64,
    visit: &mut dyn FnMut(&[u8]) -> bool,
) -> io::Result<bool> {
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
