//! Checking a trail without the process that wrote it: what is there, and each place that is not as
//! it was written, by its name.
//!
//! Lines are read once, in order, and are never held: a trail may be larger than the memory.

mod follow;
mod known;
mod mend;
mod report;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::chain::Position;
use super::error::AuditError;
use super::key::PublicKey;
use super::noted;
use super::trail::{self, TrailFile};
use crate::audit::lines::Lines;
use follow::Follower;
pub use known::{NotHeads, read_heads};
pub use report::{Defect, Finding, KnownHeads, Report};

/// What a trail is checked against.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// Whose signatures count; without one those of any key do.
    pub keys: Vec<PublicKey>,
    /// What others know of the trail, such as a head that was published.
    pub heads: Vec<Position>,
    /// What the trail's own directory has noted of its end, which tells nothing of who may write
    /// there.
    pub noted: Option<Position>,
}

/// Checks the trail in a data directory. Blocking.
///
/// # Errors
/// When it cannot be read.
pub fn check_directory(directory: &Path, mut against: Against) -> Result<Report, AuditError> {
    let path = directory.join("audit.jsonl");
    let failed = |error| AuditError::File { path: path.clone(), error };
    // Noted first, so that of a trail that grows meanwhile there is more than was noted.
    against.noted = noted::read(&noted::place(&path)).map_err(failed)?;
    let files = trail::files(&path).map_err(failed)?;
    if files.is_empty() && against.heads.is_empty() && against.noted.is_none() {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    check(files, &against)
}

/// Checks files of a trail, in the order in which they were written, the oldest first. Blocking.
///
/// # Errors
/// When one cannot be read.
pub fn check_files(paths: &[PathBuf], against: &Against) -> Result<Report, AuditError> {
    let open =
        |path: PathBuf| TrailFile::open(&path).map_err(|error| AuditError::File { path, error });
    check(in_order(paths).into_iter().map(open).collect::<Result<_, _>>()?, against)
}

/// Checks what comes from a pipe. Blocking.
///
/// # Errors
/// When it cannot be read.
pub fn check_stream(input: impl Read, against: &Against) -> Result<Report, AuditError> {
    let mut follower = Follower::new(against);
    let path = PathBuf::from("-");
    read(&mut follower, &path, input)
        .map_err(|error| AuditError::File { path: path.clone(), error })?;
    Ok(follower.finish())
}

fn check(files: Vec<TrailFile>, against: &Against) -> Result<Report, AuditError> {
    let mut follower = Follower::new(against);
    for TrailFile { path, file, length } in files {
        // What is added meanwhile may be half a line.
        read(&mut follower, &path, file.take(length))
            .map_err(|error| AuditError::File { path: path.clone(), error })?;
    }
    Ok(follower.finish())
}

fn read(follower: &mut Follower, path: &Path, input: impl Read) -> io::Result<()> {
    follower.file(path);
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next()? {
        follower.line(&line);
    }
    Ok(())
}

/// Files as a coordinator numbers them, the oldest first; any others as they were given.
fn in_order(paths: &[PathBuf]) -> Vec<PathBuf> {
    // Others may be named by years.
    let number = |path: &PathBuf| match path.file_name()?.to_str()? {
        "audit.jsonl" => Some(0),
        name => name.strip_prefix("audit.")?.strip_suffix(".jsonl")?.parse::<u32>().ok(),
    };
    let mut numbered: Vec<_> = paths.iter().map(|it| (number(it), it.clone())).collect();
    let mut numbers: Vec<_> = numbered.iter().map(|it| it.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    // Two of one number are of two trails, or were renamed.
    if numbers.len() == paths.len() && numbers.first().is_some_and(Option::is_some) {
        numbered.sort_by_key(|it| std::cmp::Reverse(it.0));
    }
    numbered.into_iter().map(|it| it.1).collect()
}

#[cfg(test)]
mod tests;
