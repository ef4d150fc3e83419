//! The thread that owns a partition: waits for messages and timers, takes turns, hands batches to
//! the committer, and goes on with the next turn while the last one is being synced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use windlass_proto::id::PartitionId;
use windlass_proto::time::Timestamp;

use super::{Batch, Message, Partition, Shared, TURN_MESSAGES, World};
use crate::clock;
use crate::events::Outlet;
use crate::events::lifecycle::Level;
use crate::journal::JournalError;
use crate::journal::committer::CommitterHandle;
use crate::memory::{Charge, Memory};

/// Bytes from which on what waits is counted.
const COUNTED_BYTES: u64 = 16 << 10;

/// Where messages for a partition go.
///
/// The channel itself has no bound: partitions, the committer and workers send without ever
/// blocking, or they could wait for each other in a circle. What is in it is bounded all the same:
/// by the work that is open, which admission bounds (see `accept`).
#[derive(Clone)]
pub struct Inbox {
    sender: Sender<Letter>,
    depth: Arc<AtomicUsize>,
    memory: Arc<Memory>,
}

/// A message, with the memory it takes where that is much.
struct Letter(Message, Option<Charge>);

impl Letter {
    /// The message, which from now on takes the memory of its instance.
    fn open(self) -> Message {
        drop(self.1);
        self.0
    }
}

impl Inbox {
    /// Hands a message over; false when the partition has stopped.
    pub fn send(&self, message: Message) -> bool {
        self.depth.fetch_add(1, Ordering::Relaxed);
        let bytes = message.weight();
        let charge = (bytes >= COUNTED_BYTES).then(|| self.memory.waiting(bytes));
        self.sender.send(Letter(message, charge)).is_ok()
    }

    /// Messages not yet taken.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }
}

/// The receiving end, until the owner starts.
pub struct Mailbox {
    receiver: Receiver<Letter>,
    depth: Arc<AtomicUsize>,
}

/// An inbox and its mailbox.
#[must_use]
pub fn mailbox(memory: Arc<Memory>) -> (Inbox, Mailbox) {
    let (sender, receiver) = mpsc::channel();
    let depth = Arc::new(AtomicUsize::new(0));
    (Inbox { sender, depth: depth.clone(), memory }, Mailbox { receiver, depth })
}

/// A partition on its thread.
pub struct Owner {
    thread: JoinHandle<()>,
}

/// What an owner needs beside its partition.
pub struct Surroundings {
    /// Where releases go.
    pub world: Arc<dyn World>,
    /// Who makes batches durable.
    pub committer: CommitterHandle,
    /// Set when the coordinator stops.
    pub stopping: Arc<AtomicBool>,
    /// Called once, with the reason, when the journal fails: the coordinator must stop then.
    pub failed: Arc<dyn Fn(String) + Send + Sync>,
}

impl Owner {
    /// Opens the partition and starts its thread.
    ///
    /// # Errors
    /// When the journal cannot be read, or the system gives no thread.
    pub fn start(
        id: PartitionId,
        shared: Shared,
        mailbox: Mailbox,
        surroundings: Surroundings,
    ) -> Result<Self, JournalError> {
        let mut partition = Partition::open(id, shared, clock::now())?;
        partition.tell(surroundings.world.outlet().map_or(Level::Off, Outlet::level));
        let thread = thread::Builder::new()
            .name(format!("partition-{}", id.0))
            .spawn(move || {
                if let Err(error) = run(partition, &mailbox, &surroundings) {
                    (surroundings.failed)(error.to_string());
                }
            })
            .map_err(|error| JournalError::Store(format!("no thread to be had: {error}")))?;
        Ok(Self { thread })
    }

    /// Waits until the thread has ended.
    pub fn join(self) {
        // A panic there was reported already; nothing is left to clean up here.
        let _ = self.thread.join();
    }
}

fn run(
    mut partition: Partition,
    mailbox: &Mailbox,
    surroundings: &Surroundings,
) -> Result<(), JournalError> {
    let mut after = None;
    loop {
        let (batch, next) = partition.recover(clock::now(), after)?;
        submit(&partition, batch, surroundings);
        after = next;
        if after.is_none() {
            break;
        }
    }
    let mut messages = Vec::with_capacity(TURN_MESSAGES);
    while !surroundings.stopping.load(Ordering::Acquire) {
        if !gather(mailbox, partition.next_wake(), &mut messages) {
            return Ok(());
        }
        let batch = partition.turn(clock::now(), &mut messages)?;
        submit(&partition, batch, surroundings);
    }
    Ok(())
}

/// Waits for a message or until `wake`, unless the last turn left some, then takes what else is there.
/// False when nobody can send any more.
fn gather(mailbox: &Mailbox, wake: Timestamp, messages: &mut Vec<Message>) -> bool {
    /// So that a stop is noticed and the clock may be set back without harm.
    const LONGEST_MS: u64 = 500;
    let left = messages.len();
    if left == 0 {
        let patience = Duration::from_millis(wake.since(clock::now()).min(LONGEST_MS));
        match mailbox.receiver.recv_timeout(patience) {
            Ok(letter) => messages.push(letter.open()),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    while messages.len() < TURN_MESSAGES
        && let Ok(letter) = mailbox.receiver.try_recv()
    {
        messages.push(letter.open());
    }
    mailbox.depth.fetch_sub(messages.len() - left, Ordering::Relaxed);
    true
}

/// Hands a batch to the committer; its releases go once it is durable.
fn submit(partition: &Partition, batch: Batch, surroundings: &Surroundings) {
    if batch.is_empty() {
        return;
    }
    let (world, failed) = (surroundings.world.clone(), surroundings.failed.clone());
    let durable = partition.durable();
    let Batch { number, commit, releases, bytes, .. } = batch;
    let charge = (bytes >= COUNTED_BYTES).then(|| partition.memory().waiting(bytes));
    let on_durable = move |result: Result<(), Arc<JournalError>>| match result {
        Ok(()) => {
            drop(charge);
            durable.store(number, Ordering::Release);
            for release in releases {
                release.go(&*world);
            }
        }
        // Replies are dropped: whoever waits learns that the coordinator has stopped.
        Err(error) => failed(error.to_string()),
    };
    surroundings.committer.submit(commit, Box::new(on_durable));
}
