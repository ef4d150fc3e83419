//! Group commit: one thread writes for all partitions.
//!
//! While one group is being synced, the next one gathers in the queue; an empty queue never waits
//! for company.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use windlass_proto::limits::{COMMIT_QUEUE_BYTES, GROUP_BYTES, GROUP_RECORDS};
use windlass_proto::metric::{Histogram, Snapshot, table};

use super::indexer::Indexer;
use super::{Commit, EarlyWrite, InstanceWrite, Journal, JournalError};

/// Called when a commit is durable, or will never be.
pub type OnDurable = Box<dyn FnOnce(Result<(), Arc<JournalError>>) + Send>;

/// Starts the thread that writes.
pub struct Committer;

/// A handle on the committer; cheap to clone. The thread ends when [`CommitterHandle::close`] is
/// called or the last handle is dropped.
#[derive(Clone)]
pub struct CommitterHandle {
    sender: SyncSender<Message>,
    closed: Arc<AtomicBool>,
    queued: Arc<Queued>,
    groups: Arc<Groups>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What groups of commits were like.
struct Groups {
    took: Histogram,
    commits: Histogram,
    instances: Histogram,
    bytes: Histogram,
}

impl Groups {
    fn new() -> Self {
        Self {
            took: Histogram::of(&table::journal::COMMIT),
            commits: Histogram::of(&table::journal::GROUP),
            instances: Histogram::of(&table::journal::GROUP_RECORDS),
            bytes: Histogram::of(&table::journal::GROUP_BYTES),
        }
    }

    /// Counts a group that was written, of so many bytes.
    fn wrote(&self, commits: &[Commit], bytes: usize, began: Instant) {
        self.took.time(began.elapsed());
        self.commits.number(commits.len() as u64);
        let instances: usize = commits.iter().map(|it| it.writes.len()).sum();
        self.instances.number(instances as u64);
        self.bytes.number(bytes as u64);
    }
}

/// Bytes of the commits that wait or are being written.
#[derive(Default)]
struct Queued {
    bytes: Mutex<usize>,
    fewer: Condvar,
}

impl Queued {
    /// Waits until there is room.
    fn enter(&self, bytes: usize) {
        let queued = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |queued: &mut usize| *queued > 0 && *queued + bytes > COMMIT_QUEUE_BYTES;
        let waited = self.fewer.wait_while(queued, full);
        *waited.unwrap_or_else(PoisonError::into_inner) += bytes;
    }

    fn leave(&self, bytes: usize) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
        self.fewer.notify_all();
    }
}

/// A commit and who waits for it; none closes.
type Message = Option<(Commit, Pending)>;

/// A callback that is called once, whatever happens: with an error when it is dropped.
struct Pending(Option<OnDurable>);

impl Pending {
    fn answer(mut self, failed: Option<&Arc<JournalError>>) {
        self.call(failed.map_or(Ok(()), |error| Err(error.clone())));
    }

    fn call(&mut self, result: Result<(), Arc<JournalError>>) {
        let Some(callback) = self.0.take() else { return };
        // A callback that panics must not take the others' answers with it.
        if catch_unwind(AssertUnwindSafe(|| callback(result))).is_err() {
            tracing::error!("a callback of the committer panicked");
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let closed = JournalError::Store("the journal is closed".to_owned());
        if self.0.is_some() {
            self.call(Err(Arc::new(closed)));
        }
    }
}

impl Committer {
    /// Starts the thread. `queue_bound` commits, at least one, may wait; then
    /// [`CommitterHandle::submit`] blocks.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        journal: Arc<dyn Journal>,
        queue_bound: usize,
    ) -> Result<CommitterHandle, JournalError> {
        let (sender, receiver) = mpsc::sync_channel(queue_bound.max(1));
        let queued = Arc::new(Queued::default());
        let groups = Arc::new(Groups::new());
        let (leaving, counted) = (queued.clone(), groups.clone());
        let indexer = Indexer::start(journal.clone())?;
        let thread = thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || run(&*journal, &indexer, &receiver, &leaving, &counted))
            .map_err(|error| JournalError::Store(format!("no thread to write: {error}")))?;
        Ok(CommitterHandle {
            sender,
            closed: Arc::default(),
            queued,
            groups,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }
}

impl CommitterHandle {
    /// Hands over a commit; blocks while the queue is full, by number or by bytes. `on_durable`
    /// runs on the committer's thread, in the order of submission, and must not block or call
    /// `submit`. It gets an error when the journal failed, now or earlier, or when the committer is
    /// closed.
    pub fn submit(&self, commit: Commit, on_durable: OnDurable) {
        let pending = Pending(Some(on_durable));
        if !self.closed.load(Ordering::Acquire) {
            let bytes = weight(&commit);
            self.queued.enter(bytes);
            // What cannot be sent any more is dropped, and so answered.
            if self.sender.send(Some((commit, pending))).is_err() {
                self.queued.leave(bytes);
            }
        }
    }

    /// Adds what there is to tell of groups.
    pub fn measured(&self, snapshot: &mut Snapshot) {
        snapshot.add(&table::journal::COMMIT, &self.groups.took);
        snapshot.add(&table::journal::GROUP, &self.groups.commits);
        snapshot.add(&table::journal::GROUP_RECORDS, &self.groups.instances);
        snapshot.add(&table::journal::GROUP_BYTES, &self.groups.bytes);
    }

    /// Writes what was submitted before, then ends the thread and waits for it.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let thread = super::store::lock(&self.thread).take();
        if let Some(thread) = thread {
            // An error means that the thread has ended already.
            let _ = self.sender.send(None);
            if thread.join().is_err() {
                tracing::error!("the committer's thread panicked");
            }
        }
    }
}

fn run(
    journal: &dyn Journal,
    indexer: &Indexer,
    receiver: &Receiver<Message>,
    queued: &Queued,
    groups: &Groups,
) {
    let mut failed: Option<Arc<JournalError>> = None;
    let mut commits = Vec::new();
    let mut pending = Vec::new();
    let mut open = true;
    while open {
        open = gather(receiver, &mut commits, &mut pending);
        let bytes = commits.iter().map(weight).sum();
        if failed.is_none() && !commits.is_empty() {
            let began = Instant::now();
            failed = write(journal, &commits).err().map(Arc::new);
            groups.wrote(&commits, bytes, began);
        }
        commits.clear();
        queued.leave(bytes);
        for pending in pending.drain(..) {
            pending.answer(failed.as_ref());
        }
        indexer.committed(journal);
    }
}

/// Waits for a commit and takes what else is there, within a group's bounds; false when no more
/// will come.
fn gather(
    receiver: &Receiver<Message>,
    commits: &mut Vec<Commit>,
    pending: &mut Vec<Pending>,
) -> bool {
    let Ok(mut message) = receiver.recv() else { return false };
    let (mut records, mut bytes) = (0, 0);
    loop {
        match message {
            Some((commit, answer)) => {
                records += count(&commit);
                bytes += weight(&commit);
                commits.push(commit);
                pending.push(answer);
            }
            None => return false,
        }
        if records >= GROUP_RECORDS || bytes >= GROUP_BYTES {
            return true;
        }
        message = match receiver.try_recv() {
            Ok(next) => next,
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return false,
        };
    }
}

/// Records a commit writes, roughly; at least one.
fn count(commit: &Commit) -> usize {
    let Commit { writes, timers_set, timers_cleared, subscribed, unsubscribed, seen, .. } = commit;
    let writes_and_removals = writes.len() + commit.removed.len();
    let indexes = timers_set.len() + timers_cleared.len() + subscribed.len() + unsubscribed.len();
    let others =
        commit.schedules.len() + commit.open.len() + commit.early.len() + commit.rows.len();
    1 + writes_and_removals + indexes + seen.len() + others
}

/// Bytes of the parts of a commit that can be large.
fn weight(commit: &Commit) -> usize {
    let of_write =
        |write: &InstanceWrite| write.facts.len() + write.snapshot.as_ref().map_or(0, Vec::len);
    commit.writes.iter().map(of_write).sum::<usize>()
        + commit.subscribed.iter().map(|(_, _, data)| data.len()).sum::<usize>()
        + commit.early.iter().map(EarlyWrite::weight).sum::<usize>()
}

fn write(journal: &dyn Journal, commits: &[Commit]) -> Result<(), JournalError> {
    catch_unwind(AssertUnwindSafe(|| journal.commit(commits)))
        .unwrap_or_else(|_| Err(JournalError::Store("writing panicked".to_owned())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{self, Receiver};
    use std::thread;
    use std::time::Duration;

    use uuid::Uuid;
    use windlass_proto::id::{InstanceId, PartitionId};

    use super::super::memory::{CrashPoint, MemoryJournal};
    use super::super::sled::{Options, SledJournal};
    use super::super::{Commit, InstanceWrite, Journal, JournalError};
    use super::{Committer, CommitterHandle};

    const PARTITIONS: u16 = 4;

    fn instance(partition: u16) -> InstanceId {
        InstanceId(Uuid::from_u128(0x7 << 76 | u128::from(partition)))
    }

    fn commit(partition: u16, sequence: u64) -> Commit {
        let write = InstanceWrite {
            instance: instance(partition),
            sequence,
            count: 1,
            facts: sequence.to_be_bytes().to_vec().into(),
            head: None,
            hot: None,
            snapshot: None,
        };
        Commit { partition: PartitionId(partition), writes: vec![write], ..Commit::default() }
    }

    type Answer = (u64, Result<(), Arc<JournalError>>);

    fn submit(
        handle: &CommitterHandle,
        partition: u16,
        range: std::ops::Range<u64>,
    ) -> Receiver<Answer> {
        let (sender, receiver) = mpsc::channel();
        for sequence in range {
            let sender = sender.clone();
            let answer = move |result| sender.send((sequence, result)).unwrap();
            handle.submit(commit(partition, sequence), Box::new(answer));
        }
        receiver
    }

    fn next(receiver: &Receiver<Answer>) -> Answer {
        receiver.recv_timeout(Duration::from_secs(30)).unwrap()
    }

    #[test]
    fn partitions_commit_side_by_side_and_hear_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Arc::new(SledJournal::open(directory.path(), &Options::default()).unwrap());
        let handle = Committer::start(journal.clone(), 8).unwrap();
        thread::scope(|scope| {
            for partition in 0..PARTITIONS {
                let (handle, journal) = (handle.clone(), journal.clone());
                scope.spawn(move || {
                    let answers = submit(&handle, partition, 0..200);
                    for expected in 0..200 {
                        let (sequence, result) = next(&answers);
                        assert_eq!(sequence, expected);
                        result.unwrap();
                        if expected % 50 == 0 {
                            let found = journal.facts(instance(partition), expected, 1).unwrap();
                            assert_eq!(found.len(), 1, "durable before it is told");
                        }
                    }
                });
            }
        });
        handle.close();
    }

    #[test]
    fn after_a_failure_nothing_more_is_written_and_everyone_hears() {
        let journal = Arc::new(MemoryJournal::in_memory(PARTITIONS).unwrap());
        let handle = Committer::start(journal.clone(), 8).unwrap();
        next(&submit(&handle, 0, 0..1)).1.unwrap();
        journal.crash_at(0, CrashPoint::BeforeWrite);
        let answers = submit(&handle, 0, 1..100);
        for expected in 1..100 {
            let (sequence, result) = next(&answers);
            assert_eq!(sequence, expected);
            assert!(result.unwrap_err().to_string().contains("crashed as arranged"));
        }
        handle.close();
        assert_eq!(journal.facts(instance(0), 0, 1000).unwrap().len(), 1);
    }

    #[test]
    fn closing_writes_what_was_submitted_and_refuses_what_comes_later() {
        let journal = Arc::new(MemoryJournal::in_memory(PARTITIONS).unwrap());
        let handle = Committer::start(journal.clone(), 1000).unwrap();
        let answers = submit(&handle, 2, 0..500);
        handle.close();
        assert!(answers.iter().all(|(_, result)| result.is_ok()));
        assert_eq!(journal.facts(instance(2), 0, 1000).unwrap().len(), 500);
        let (_, late) = next(&submit(&handle, 2, 500..501));
        assert!(late.unwrap_err().to_string().contains("closed"));
        handle.close();
    }

    #[test]
    fn a_callback_that_panics_harms_no_other() {
        let journal = Arc::new(MemoryJournal::in_memory(PARTITIONS).unwrap());
        let handle = Committer::start(journal, 8).unwrap();
        handle.submit(commit(1, 0), Box::new(|_| panic!("as arranged")));
        next(&submit(&handle, 1, 1..2)).1.unwrap();
        handle.close();
    }

    #[test]
    fn the_queue_is_bounded() {
        let journal = Arc::new(MemoryJournal::in_memory(PARTITIONS).unwrap());
        let handle = Committer::start(journal, 1).unwrap();
        let (entered, inside) = mpsc::channel();
        let (release, hold) = mpsc::channel::<()>();
        handle.submit(
            commit(0, 0),
            Box::new(move |_| {
                entered.send(()).unwrap();
                hold.recv_timeout(Duration::from_secs(30)).unwrap();
            }),
        );
        inside.recv_timeout(Duration::from_secs(30)).unwrap();
        // The thread is held in the callback: one commit fits the queue, the next one has to wait.
        let (told, done) = mpsc::channel();
        let submitting = thread::spawn({
            let handle = handle.clone();
            move || {
                for sequence in 1..4 {
                    handle.submit(commit(0, sequence), Box::new(|result| result.unwrap()));
                    told.send(sequence).unwrap();
                }
            }
        });
        assert_eq!(done.recv_timeout(Duration::from_secs(30)).unwrap(), 1);
        assert!(done.recv_timeout(Duration::from_millis(50)).is_err(), "the second one waits");
        release.send(()).unwrap();
        for expected in 2..4 {
            assert_eq!(done.recv_timeout(Duration::from_secs(30)).unwrap(), expected);
        }
        submitting.join().unwrap();
        handle.close();
    }
}
