//! Which processes have recorded traces and not ended in order: after a crash only what the process
//! before it had recorded is told.
//!
//! A file of a few lines in the data directory, each a process. It is written to the page cache
//! only, as what they have told is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_telemetry::{Root, Sampler};

/// A process that has recorded, from its begin to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Life {
    pub(crate) began: Timestamp,
    /// None while it goes on. Of one that crashed, when the next process began.
    pub(crate) ended: Option<Timestamp>,
    /// What it has recorded.
    pub(crate) sampler: Sampler,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Written {
    began: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
    follows_parent: bool,
    /// None for everything, less than zero for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
}

/// The file, as the process that goes on has it.
#[derive(Debug)]
pub(crate) struct Lives {
    path: PathBuf,
    all: Vec<Life>,
}

impl Life {
    /// Whether something that ended then ended in it.
    pub(crate) fn has(&self, at: Timestamp) -> bool {
        self.began <= at && self.ended.is_none_or(|it| at < it)
    }

    /// Whether something may have ended in it that began at one time and ended at another, or has
    /// not ended.
    pub(crate) fn meets(&self, began: Timestamp, ended: Option<Timestamp>) -> bool {
        self.ended.is_none_or(|it| began < it) && ended.is_none_or(|it| self.began <= it)
    }
}

impl Lives {
    /// Begins one; also those before it whose spans a collector may not have.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(crate) fn begin(
        directory: &Path,
        now: Timestamp,
        sampler: Sampler,
    ) -> io::Result<(Self, Vec<Life>)> {
        let mut lives = Self::read(directory)?;
        lives.close(now);
        let kept = lives.all.len().saturating_sub(limits::TOLD_LIVES);
        let before = lives.all.split_off(kept);
        lives.all = before.clone();
        lives.all.push(Life { began: now, ended: None, sampler });
        lives.write()?;
        Ok((lives, before))
    }

    /// A process begins that records nothing: what is not over is over.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(crate) fn off(directory: &Path, now: Timestamp) -> io::Result<()> {
        let mut lives = Self::read(directory)?;
        if lives.close(now) { lives.write() } else { Ok(()) }
    }

    /// The process ends in order. What is owed to a collector ended at a given time or later, in
    /// this process or in those before it whose spans it was to tell; where nothing is, nothing
    /// need be told again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn end(mut self, now: Timestamp, owed: Option<Timestamp>) -> io::Result<()> {
        self.close(now);
        self.all.retain(|it| owed.is_some_and(|since| it.ended.is_none_or(|end| since < end)));
        self.all.iter_mut().for_each(|it| it.began = it.began.max(owed.unwrap_or_default()));
        self.write()
    }

    /// True where something was not over.
    fn close(&mut self, now: Timestamp) -> bool {
        let is_open = self.all.iter().any(|it| it.ended.is_none());
        self.all.iter_mut().for_each(|it| it.ended = it.ended.or(Some(now)));
        is_open
    }

    fn read(directory: &Path) -> io::Result<Self> {
        let path = directory.join("traces.lives");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // A line that cannot be read is of a process of which is not known what it recorded.
        let lines = text.lines().filter_map(|it| serde_json::from_str::<Written>(it).ok());
        Ok(Self { path, all: lines.map(Life::from).collect() })
    }

    fn write(&self) -> io::Result<()> {
        let mut text = String::new();
        for life in &self.all {
            text.push_str(&serde_json::to_string(&Written::from(life)).map_err(io::Error::other)?);
            text.push('\n');
        }
        let new = self.path.with_extension("lives.new");
        fs::write(&new, text)?;
        fs::rename(&new, &self.path)
    }
}

impl From<Written> for Life {
    fn from(written: Written) -> Self {
        let Written { began, ended, follows_parent, share } = written;
        let root = match share {
            None => Root::All,
            Some(share) if share < 0.0 => Root::None,
            Some(share) => Root::Share(share),
        };
        Self { began, ended, sampler: Sampler { follows_parent, root } }
    }
}

impl From<&Life> for Written {
    fn from(life: &Life) -> Self {
        let Life { began, ended, sampler: Sampler { follows_parent, root } } = *life;
        let share = match root {
            Root::All => None,
            Root::None => Some(-1.0),
            Root::Share(share) => Some(share),
        };
        Self { began, ended, follows_parent, share }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use windlass_proto::limits;
    use windlass_proto::time::Timestamp;
    use windlass_telemetry::{Root, Sampler};

    use super::{Life, Lives};

    fn sampler(root: Root) -> Sampler {
        Sampler { follows_parent: true, root }
    }

    #[test]
    fn only_what_a_crash_cut_off_is_told_again_and_as_it_was_sampled() {
        let folder = tempfile::tempdir().unwrap();
        let begin = |at, root| Lives::begin(folder.path(), Timestamp(at), sampler(root)).unwrap();
        let life = |began, ended, root| Life {
            began: Timestamp(began),
            ended: Some(Timestamp(ended)),
            sampler: sampler(root),
        };
        let (first, before) = begin(10, Root::Share(0.25));
        assert_eq!(before, [], "whatever ran before was not recorded");
        first.end(Timestamp(20), None).unwrap();
        let (_, before) = begin(30, Root::Share(0.5));
        assert_eq!(before, [], "an end in order");
        // That one crashed; then there was one without telemetry, and one more of those.
        Lives::off(folder.path(), Timestamp(40)).unwrap();
        Lives::off(folder.path(), Timestamp(50)).unwrap();
        let crashed = life(30, 40, Root::Share(0.5));
        let (_, before) = begin(60, Root::All);
        assert_eq!(before, [crashed]);
        // It crashed too, and may not have told what it was to tell again.
        let (fourth, before) = begin(70, Root::None);
        assert_eq!(before, [crashed, life(60, 70, Root::All)]);
        // Its collector was away at its end.
        fourth.end(Timestamp(80), Some(Timestamp(0))).unwrap();
        let (fifth, before) = begin(90, Root::All);
        assert_eq!(before, [crashed, life(60, 70, Root::All), life(70, 80, Root::None)]);
        // It has told those before, and lacked room for something later.
        fifth.end(Timestamp(95), Some(Timestamp(91))).unwrap();
        let (sixth, before) = begin(96, Root::All);
        assert_eq!(before, [life(91, 95, Root::All)]);
        // It lacked room for what one before it had left.
        sixth.end(Timestamp(98), Some(Timestamp(93))).unwrap();
        let (seventh, before) = begin(99, Root::All);
        assert_eq!(before, [life(93, 95, Root::All), life(96, 98, Root::All)]);
        seventh.end(Timestamp(99), None).unwrap();
        assert_eq!(begin(100, Root::All).1, []);
        for at in 0..100 {
            begin(200 + at, Root::All);
        }
        assert_eq!(begin(300, Root::All).1.len(), limits::TOLD_LIVES);
    }

    #[test]
    fn what_ended_in_a_life_is_told_of_it() {
        let life =
            Life { began: Timestamp(10), ended: Some(Timestamp(20)), sampler: Sampler::default() };
        let has = [9, 10, 19, 20].map(|at| life.has(Timestamp(at)));
        assert_eq!(has, [false, true, true, false]);
        let meets = |began, ended: Option<u64>| life.meets(Timestamp(began), ended.map(Timestamp));
        assert!(meets(1, None) && meets(1, Some(15)) && meets(1, Some(30)) && meets(19, None));
        assert!(!meets(1, Some(9)) && !meets(20, None));
    }
}
