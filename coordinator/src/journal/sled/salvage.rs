//! Saving what can be read of a damaged journal into a new one.
//!
//! Reading stops where sled cannot read on; what lies behind is reached from the other end and from
//! places in between. Then what belongs to no whole instance is left out, so that all that the new
//! journal holds can be relied on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits;

use super::super::ordered::Ordered;
use super::super::space::{Change, Order, Space};
use super::super::store::Missing;
use super::super::{Journal, JournalError, disk, keys, record};
use super::copy::Copy;
use super::open::{self, Options, in_time};
use super::{Sled, SledJournal, Unfinished, log, witness};

/// What was saved.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SalvageReport {
    /// Instances saved whole.
    pub instances: u64,
    /// Records saved: fewer than were stored, as facts in the ring are put together and bookkeeping
    /// is made anew.
    pub saved: u64,
    /// Definitions saved.
    pub definitions: u64,
    /// Records that were found and fail their checksum.
    pub damaged: u64,
    /// Damaged places in the log that were passed over to reach what follows.
    pub passed_over: u64,
    /// Ranges of keys that cannot be read.
    pub unreadable: u64,
    /// Instances of which something was found and not all; they were left out. At most a thousand.
    pub incomplete: BTreeSet<InstanceId>,
    /// Instances in each partition that the witness knows of and that were not saved; none where
    /// there is no witness that can be read, and nobody knows.
    pub missing: Option<BTreeMap<PartitionId, u64>>,
}

impl SalvageReport {
    /// True when nothing is known to be missing.
    #[must_use]
    pub fn is_all(&self) -> bool {
        let Self { damaged, passed_over, unreadable, incomplete, missing, .. } = self;
        *damaged == 0
            && *passed_over == 0
            && *unreadable == 0
            && incomplete.is_empty()
            && missing.as_ref().is_none_or(BTreeMap::is_empty)
    }
}

/// Makes a journal in `to`, which must not exist or be empty, of what can be read in `directory`,
/// which stays as it is. Needs room for two copies beside `to`.
///
/// # Errors
/// When nothing can be read, or `to` cannot be written.
pub fn salvage(directory: &Path, to: &Path) -> Result<SalvageReport, JournalError> {
    let unusable = |error: io::Error| disk::error(to, &error);
    if !directory.join(open::LOG).exists() {
        return Err(super::without_log(directory));
    }
    let making = Unfinished::begin(to, ".salvaging")?;
    let unfinished = making.path();
    fs::create_dir_all(unfinished).map_err(unusable)?;
    let _lock = open::lock(directory)?;
    let known = witness::read(directory).ok().flatten();
    let mut report = SalvageReport::default();
    {
        let copy = Copy::take(directory, unfinished)?;
        report.passed_over = log::mend(copy.path()).map_err(unusable)?;
        let source = readable(&copy)?;
        report.damaged += u64::from(source.found.lost.is_some());
        let (target, options) = (unfinished.to_owned(), Options::default());
        // Whatever is read of a damaged store may never end.
        report = in_time(directory, options.deadline, move || {
            let target = open::empty(&target, &options)?;
            let mut sweep = Sweep { source: &source, target: &target, batch: Vec::new(), report };
            sweep.range(Vec::new(), vec![0xff; 32], limits::SALVAGE_HALVINGS)?;
            sweep.waiting()?;
            sweep.write()?;
            Ok(sweep.report)
        })?;
    }
    let options = Options { missing: Missing::Accept, ..Options::default() };
    let journal = SledJournal::open(unfinished, &options)?;
    keep_whole(&journal, &mut report)?;
    report.missing = known.map(|it| journal.fewer_than(&it));
    drop(journal);
    making.finish()?;
    Ok(report)
}

/// The copy, opened: as it is, or without what it can do without.
fn readable(copy: &Copy) -> Result<Sled, JournalError> {
    let options = Options::default();
    let unusable = |error: io::Error| disk::error(copy.path(), &error);
    let error = match open::empty(copy.path(), &options) {
        Ok(sled) => return Ok(sled),
        Err(error) => error,
    };
    copy.without_snapshots().map_err(unusable)?;
    if let Ok(sled) = open::empty(copy.path(), &options) {
        return Ok(sled);
    }
    copy.without_settings().map_err(unusable)?;
    open::empty(copy.path(), &options).map_err(|_| error)
}

struct Sweep<'a> {
    source: &'a Sled,
    target: &'a Sled,
    batch: Vec<Change>,
    report: SalvageReport,
}

impl Sweep<'_> {
    /// Saves what lies from `from` on and before `to`.
    fn range(&mut self, from: Vec<u8>, to: Vec<u8>, depth: u32) -> Result<(), JournalError> {
        let (source, mut low) = (self.source, from);
        let up = source.raw(&low.clone(), &to, Order::Up, &mut |key, value| {
            low = keys::next(key.to_vec());
            self.take(key, value)
        });
        match up {
            Err(JournalError::Damaged(_)) => {}
            done => return done,
        }
        let mut high = to.clone();
        let down = source.raw(&low, &to, Order::Down, &mut |key, value| {
            high = key.to_vec();
            self.take(key, value)
        });
        match down {
            Err(JournalError::Damaged(_)) => {}
            done => {
                self.report.unreadable += 1;
                return done;
            }
        }
        let middle = between(&low, &high);
        if depth == 0 || middle <= low || middle >= high {
            self.report.unreadable += 1;
            return Ok(());
        }
        self.range(low, middle.clone(), depth - 1)?;
        self.range(middle, high, depth - 1)
    }

    /// Saves what sled was still to get, whatever can be read around it.
    fn waiting(&mut self) -> Result<(), JournalError> {
        for (place, value) in self.source.base.all_waiting() {
            if let Some(value) = value {
                let _always = self.take(&place, &value)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, place: &[u8], value: &[u8]) -> Result<ControlFlow<()>, JournalError> {
        let Some((space, key)) = keys::split(place) else {
            self.report.damaged += 1;
            return Ok(ControlFlow::Continue(()));
        };
        if record::open(key, value).is_err() {
            self.report.damaged += 1;
        } else if !is_made_anew(space, key) {
            let (key, value) = (key.to_vec(), Some(value.to_vec()));
            self.batch.push(Change { space, key, value });
            if self.batch.len() >= limits::SALVAGE_RECORDS {
                self.write()?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn write(&mut self) -> Result<(), JournalError> {
        match self.batch.is_empty() {
            true => Ok(()),
            false => self.target.write(std::mem::take(&mut self.batch)),
        }
    }
}

/// True for bookkeeping that follows from the rest.
fn is_made_anew(space: Space, key: &[u8]) -> bool {
    match space {
        Space::Common => [keys::TALLY, keys::WITNESSED, keys::COUNTED].contains(&key),
        Space::Partition(_) => key.first() == Some(&keys::OPEN),
    }
}

/// A key about half way.
fn between(low: &[u8], high: &[u8]) -> Vec<u8> {
    let same = low.iter().zip(high).take_while(|(low, high)| low == high).count();
    let number = |key: &[u8]| {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(key.iter().skip(same)) {
            *to = *from;
        }
        u64::from_be_bytes(bytes)
    };
    let (low, top) = (number(low), number(high));
    let mut middle = high.get(..same).unwrap_or_default().to_vec();
    middle.extend_from_slice(&(low + top.saturating_sub(low) / 2).to_be_bytes());
    middle
}

/// Leaves out what belongs to no whole instance, and counts the rest.
fn keep_whole(journal: &SledJournal, report: &mut SalvageReport) -> Result<(), JournalError> {
    journal.settle()?;
    let mut whole = BTreeSet::new();
    for number in 0..journal.partitions() {
        let space = Space::Partition(PartitionId(number));
        for instance in journal.heads(space)? {
            if journal.is_whole(instance) {
                whole.insert(instance);
            }
        }
        for key in journal.stray_parts(space)? {
            if let Some(owner) = keys::owner(&key) {
                whole.remove(&owner);
            }
        }
        let mut gone = Vec::new();
        journal.ordered.scan(space, &[], &[0xff], Order::Up, &mut |key, _| {
            // With what is left of removed instances, the notes that say so go too.
            let is_note = key.first() == Some(&keys::REMOVED);
            if let Some(owner) = keys::owner(key)
                && (is_note || !whole.contains(&owner))
            {
                gone.push(Change { space, key: key.to_vec(), value: None });
                if !journal.is_gone(owner) && report.incomplete.len() < limits::SALVAGE_NAMED {
                    report.incomplete.insert(owner);
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        journal.remove_all(&gone)?;
    }
    report.instances = whole.len() as u64;
    journal.count_open()?;
    report.saved = journal.records();
    report.definitions = journal.prune_definitions()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn a_key_lies_between_two_others() {
        for (low, high) in [(&b"a"[..], &b"c"[..]), (b"", b"\xff"), (b"ab", b"ad"), (b"a", b"ab")] {
            let middle = between(low, high);
            assert!(low < middle.as_slice() && middle.as_slice() < high, "{middle:?}");
        }
    }
}
