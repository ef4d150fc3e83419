//! What a backup is made of: the journal, then the files beside it.
//!
//! In this order: the audit trail is told of what is done before it is done, so a trail that is
//! read after the journal lacks nothing of what the journal has.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use windlass_proto::limits;
use zeroize::Zeroizing;

use super::{About, BackupError, Sink, Totals, files};
use crate::clock;
use crate::journal::Journal;

/// What a backup is taken of.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The journal.
    pub journal: &'a dyn Journal,
    /// The directory that has the files beside it; none where nothing is kept.
    pub data_dir: Option<&'a Path>,
}

/// What tells one coordinator from another: its audit trail's key, which nobody else has, and which
/// goes along to a copy. None where there is none yet.
fn identity(data_dir: &Path) -> Option<String> {
    let file = File::open(data_dir.join(files::AUDIT_KEY)).ok()?;
    let mut key = Zeroizing::new(Vec::new());
    file.take(limits::BACKUP_HEADER_BYTES).read_to_end(&mut key).ok()?;
    let hash = Sha256::new().chain_update(b"windlass backup of\n").chain_update(&*key).finalize();
    Some(HEXLOWER.encode(hash.get(..16)?))
}

/// Hands all of it to `sink`, while work goes on; returns what was read.
///
/// # Errors
/// When something cannot be read, or `sink` does not take it.
pub fn take(source: Source<'_>, sink: &mut dyn Sink) -> Result<Totals, BackupError> {
    let partitions = source.journal.partitions();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let of = source.data_dir.and_then(identity);
    sink.begin(About { at: clock::now(), version, partitions, of })?;
    let mut refused = None;
    let report = source.journal.pieces(&mut |piece| {
        sink.piece(piece).map_err(|error| {
            let text = error.to_string();
            refused = Some(error);
            crate::journal::JournalError::Backup(text)
        })
    });
    let report = report.map_err(|error| refused.take().unwrap_or(BackupError::Journal(error)))?;
    for opened in source.data_dir.map(files::open).transpose()?.into_iter().flatten() {
        let name = opened.head.name.clone();
        sink.file(opened.head)?;
        let mut rest = opened.file.take(opened.length);
        loop {
            let mut block = Vec::new();
            let most = limits::BACKUP_PIECE_BYTES as u64;
            let read = rest.by_ref().take(most).read_to_end(&mut block);
            read.map_err(|error| BackupError::Io { path: name.clone(), error })?;
            if block.is_empty() {
                break;
            }
            sink.content(block)?;
        }
    }
    let totals = Totals { changes: report.changes, damaged: report.damaged };
    sink.end(totals)?;
    Ok(totals)
}
