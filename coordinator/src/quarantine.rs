//! Which instance each partition works on, kept where it survives the end of the process: one that
//! the process ended over again and again is set aside, so that the others go on.
//!
//! The file `working` of the data directory is written before each decision and not synced: it must
//! survive an abort or a kill, not a power cut. An orderly stop removes it. A start that finds it
//! counts a death for each instance named, and keeps the counts in `deaths`; an instance that is
//! not named again is forgotten, and so is one that has come further since.
//!
//! A partition has one slot for the instance it works on, and more for all that its turn is likely
//! to work on. After a death only the first is used, so that the next death names the one; before
//! the first, a write for each instance would be a quarter of what a partition does.
//!
//! ```text
//! partition: { the one | up to TURN_MESSAGES of its turn }      a slot: id: 16 | facts: u64 | room: 8
//! ```

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use uuid::Uuid;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits::{self, QUARANTINE_DEATHS, TURN_MESSAGES, TURN_STEPS};

const WORKING: &str = "working";
const DEATHS: &str = "deaths";

/// Bytes of a slot: id, facts so far, and room.
const SLOT: usize = 32;

/// Slots of a partition.
const SLOTS: usize = 1 + TURN_MESSAGES;

/// Facts of an instance that is not loaded yet.
pub(crate) const UNREAD: u64 = u64::MAX;

/// What is kept of instances that were worked on when the process ended.
#[derive(Default)]
pub struct Quarantine {
    directory: PathBuf,
    working: Option<File>,
    deaths: HashMap<InstanceId, Deaths>,
    /// The partition that works on an instance which was named before: one at a time, so that the
    /// next death names the one.
    suspect: Mutex<Option<PartitionId>>,
    free: Condvar,
    /// Instances set aside since the start.
    aside: AtomicU64,
}

/// How often in a row the process ended over an instance, and how far that had come the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deaths {
    count: u32,
    facts: u64,
}

/// What to do about an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    Innocent,
    /// Set it aside.
    Aside(u32),
    /// Even that has ended the process: leave it as it is.
    Untouchable(u32),
}

impl Quarantine {
    /// Takes over what the last process left in `directory`, which is this process's alone.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let (path, counts) = (directory.join(WORKING), directory.join(DEATHS));
        let deaths = match fs::read(&path) {
            Ok(slots) => named(&slots, &read(&counts)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => return Err(error),
        };
        write(directory, &deaths)?;
        let working = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        for (instance, deaths) in deaths.iter().take(limits::QUARANTINE_NAMED) {
            tracing::warn!(%instance, deaths = deaths.count,
                "the process ended while it worked on this instance");
        }
        if let Some(others) =
            deaths.len().checked_sub(limits::QUARANTINE_NAMED).filter(|it| *it > 0)
        {
            tracing::warn!(others, "the process may have ended over one of these as well");
        }
        Ok(Self {
            directory: directory.to_owned(),
            working: Some(working),
            deaths,
            ..Self::default()
        })
    }

    /// The process stops in an orderly way.
    pub fn close(&self) {
        for name in [WORKING, DEATHS] {
            // Left behind, it says that instances were worked on which have all been let go.
            if self.working.is_some()
                && let Err(error) = fs::remove_file(self.directory.join(name))
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, name, "cannot be removed");
            }
        }
    }

    /// A partition begins a turn that is likely to work on these. False when it must name each by
    /// itself as it comes to it: there was a death.
    pub(crate) fn begin_turn(
        &self,
        partition: PartitionId,
        instances: &HashSet<InstanceId>,
    ) -> bool {
        let Some(working) = &self.working else { return true };
        if !self.deaths.is_empty() || instances.is_empty() {
            return false;
        }
        let mut slots = Vec::with_capacity((instances.len() + 2) * SLOT);
        slots.extend_from_slice(&[0; SLOT]);
        for instance in instances.iter().take(TURN_MESSAGES) {
            slots.extend_from_slice(&slot(*instance, UNREAD));
        }
        if instances.len() < TURN_MESSAGES {
            // What an earlier turn wrote behind it does not count.
            slots.extend_from_slice(&[0; SLOT]);
        }
        put(working, partition, &slots);
        true
    }

    /// A partition begins to work on an instance that has so many facts.
    pub(crate) fn begin(&self, partition: PartitionId, instance: InstanceId, facts: u64) {
        let Some(working) = &self.working else { return };
        if self.deaths.contains_key(&instance) {
            let suspect = self.suspect.lock().unwrap_or_else(PoisonError::into_inner);
            let other = |it: &mut Option<PartitionId>| it.is_some_and(|it| it != partition);
            let free = self.free.wait_while(suspect, other);
            *free.unwrap_or_else(PoisonError::into_inner) = Some(partition);
        }
        put(working, partition, &slot(instance, facts));
    }

    /// A partition has ended its turn.
    pub(crate) fn end(&self, partition: PartitionId) {
        let Some(working) = &self.working else { return };
        put(working, partition, &[0; 2 * SLOT]);
        if !self.deaths.is_empty() {
            let mut suspect = self.suspect.lock().unwrap_or_else(PoisonError::into_inner);
            if *suspect == Some(partition) {
                *suspect = None;
                self.free.notify_all();
            }
        }
    }

    /// What to do about an instance when the process starts.
    pub(crate) fn verdict(&self, instance: InstanceId) -> Verdict {
        match self.deaths.get(&instance).map_or(0, |it| it.count) {
            deaths if deaths < QUARANTINE_DEATHS => Verdict::Innocent,
            QUARANTINE_DEATHS => Verdict::Aside(QUARANTINE_DEATHS),
            deaths => Verdict::Untouchable(deaths),
        }
    }

    /// Instances that the last process named often enough, whatever else is known of them.
    pub(crate) fn accused(&self) -> impl Iterator<Item = InstanceId> {
        let often = self.deaths.iter().filter(|(_, it)| it.count >= QUARANTINE_DEATHS);
        often.map(|(instance, _)| *instance)
    }

    pub(crate) fn set_aside(&self) {
        self.aside.fetch_add(1, Ordering::Relaxed);
    }

    /// Instances set aside since the start.
    #[must_use]
    pub fn aside(&self) -> u64 {
        self.aside.load(Ordering::Relaxed)
    }
}

fn slot(instance: InstanceId, facts: u64) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..16].copy_from_slice(instance.0.as_bytes());
    slot[16..24].copy_from_slice(&facts.to_be_bytes());
    slot
}

/// What cannot be written is not known after a death, and nothing else rests on it.
fn put(working: &File, partition: PartitionId, slots: &[u8]) {
    let _ = working.write_all_at(slots, u64::from(partition.0) * (SLOTS * SLOT) as u64);
}

/// The instances in the slots, with the deaths over each.
fn named(slots: &[u8], before: &HashMap<InstanceId, Deaths>) -> HashMap<InstanceId, Deaths> {
    let mut deaths = HashMap::new();
    for (instance, facts) in slots.chunks(SLOTS * SLOT).flat_map(of_partition) {
        // One that gets on is not what ends the process.
        let stuck = |it: &&Deaths| {
            it.facts == UNREAD || facts == UNREAD || facts <= it.facts + u64::from(TURN_STEPS)
        };
        let count = before.get(&instance).filter(stuck).map_or(0, |it| it.count) + 1;
        deaths.insert(instance, Deaths { count, facts });
    }
    deaths
}

/// What the slots of one partition name.
fn of_partition(slots: &[u8]) -> impl Iterator<Item = (InstanceId, u64)> {
    let read = |slot: &[u8]| {
        let (id, facts) = (slot.first_chunk::<16>()?, slot.get(16..)?.first_chunk::<8>()?);
        let instance = InstanceId(Uuid::from_bytes(*id));
        (!instance.0.is_nil()).then_some((instance, u64::from_be_bytes(*facts)))
    };
    let one = slots.chunks_exact(SLOT).take(1).filter_map(read);
    one.chain(slots.chunks_exact(SLOT).skip(1).map_while(read))
}

/// One line an instance: id, deaths, facts.
fn read(path: &Path) -> io::Result<HashMap<InstanceId, Deaths>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let instance = InstanceId(words.next()?.parse().ok()?);
        let (count, facts) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((instance, Deaths { count, facts }))
    };
    // A line that cannot be read is a death that is not counted.
    Ok(text.lines().filter_map(line).collect())
}

/// Replaces the counts as a whole: a process may end at any moment.
fn write(directory: &Path, deaths: &HashMap<InstanceId, Deaths>) -> io::Result<()> {
    let line = |(instance, deaths): (&InstanceId, &Deaths)| {
        format!("{instance} {} {}\n", deaths.count, deaths.facts)
    };
    let new = directory.join("deaths.new");
    fs::write(&new, deaths.iter().map(line).collect::<String>())?;
    fs::rename(new, directory.join(DEATHS))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;
    use windlass_proto::id::{InstanceId, PartitionId};
    use windlass_proto::limits::QUARANTINE_DEATHS;

    use super::{Quarantine, UNREAD, Verdict};

    fn instance(number: u128) -> InstanceId {
        InstanceId(Uuid::from_u128(number))
    }

    #[test]
    fn an_instance_that_the_process_ends_over_again_and_again_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let (killer, other) = (instance(1), instance(2));
        for death in 0..QUARANTINE_DEATHS {
            let it = Quarantine::open(folder.path()).unwrap();
            assert_eq!(it.verdict(killer), Verdict::Innocent, "after {death}");
            it.begin(PartitionId(0), other, UNREAD);
            it.end(PartitionId(0));
            it.begin(PartitionId(1), killer, UNREAD);
            it.begin(PartitionId(1), killer, 7);
        }
        let it = Quarantine::open(folder.path()).unwrap();
        assert_eq!(it.verdict(killer), Verdict::Aside(QUARANTINE_DEATHS));
        assert_eq!(it.verdict(other), Verdict::Innocent);
        assert_eq!(it.accused().collect::<Vec<_>>(), [killer]);
        it.begin(PartitionId(1), killer, UNREAD);
        let it = Quarantine::open(folder.path()).unwrap();
        assert_eq!(it.verdict(killer), Verdict::Untouchable(QUARANTINE_DEATHS + 1));
        it.close();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let it = Quarantine::open(folder.path()).unwrap();
        assert_eq!(it.verdict(killer), Verdict::Innocent, "an orderly stop forgets");
    }

    #[test]
    fn deaths_count_in_a_row_and_only_while_the_instance_does_not_get_on() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Quarantine::open(folder.path()).unwrap();
        for facts in [10, 20, 5_000, 10_000, 20_000, 20_500] {
            let it = open();
            assert_eq!(it.verdict(instance(1)), Verdict::Innocent, "{facts}");
            it.begin(PartitionId(0), instance(1), facts);
        }
        // Another one in between.
        open().begin(PartitionId(0), instance(2), 1);
        for _ in 1..QUARANTINE_DEATHS {
            open().begin(PartitionId(0), instance(1), 20_500);
        }
        assert_eq!(open().verdict(instance(1)), Verdict::Innocent);
    }

    #[test]
    fn a_turn_names_all_it_may_work_on_and_after_a_death_only_the_one() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Quarantine::open(folder.path()).unwrap();
        let turn = |range: std::ops::Range<u128>| range.map(instance).collect::<HashSet<_>>();
        let it = open();
        assert!(it.begin_turn(PartitionId(1), &turn(0..40)), "an id of nothing is no instance");
        it.end(PartitionId(1));
        assert!(it.begin_turn(PartitionId(1), &turn(1..4)));
        assert!(it.begin_turn(PartitionId(2), &turn(10..266)));
        let it = open();
        let named = |it: &Quarantine| {
            let mut named: Vec<u128> = it.deaths.keys().map(|it| it.0.as_u128()).collect();
            named.sort_unstable();
            named
        };
        assert_eq!(named(&it), (1..4).chain(10..266).collect::<Vec<_>>());
        assert!(!it.begin_turn(PartitionId(1), &turn(1..4)), "the next death must name the one");
        it.begin(PartitionId(1), instance(2), 7);
        let it = open();
        assert_eq!((named(&it), it.deaths[&instance(2)].count), (vec![2], 2));
    }

    #[test]
    fn nothing_is_kept_without_a_directory() {
        let it = Quarantine::default();
        it.begin(PartitionId(0), instance(1), 0);
        it.end(PartitionId(0));
        it.close();
        assert_eq!((it.verdict(instance(1)), it.aside()), (Verdict::Innocent, 0));
    }
}
