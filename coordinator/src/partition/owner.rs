//! The thread that owns a partition: waits for messages and timers, takes turns, hands batches to
//! the committer, and goes on with the next turn while the last one is being synced.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use windlass_proto::id::PartitionId;
use windlass_proto::limits::{self, INBOX_TAKEN, TURN_MESSAGES};
use windlass_proto::time::Timestamp;

use super::paused::PausedMessages;
use super::{Batch, Message, Partition, PartitionContext, ReleaseTarget};
use crate::clock;
use crate::journal::committer::CommitterHandle;
use crate::journal::{Journal, JournalError};
use crate::memory::{Charge, Memory};

/// Where messages for a partition go.
///
/// The channel itself has no bound: partitions, the committer and workers send without ever
/// blocking, or they could wait for each other in a circle. What is in it is bounded all the same:
/// by the work that is open, which admission bounds (see `accept`).
#[derive(Clone)]
pub struct Inbox {
    sender: Sender<Delivery>,
    depth: Arc<AtomicUsize>,
    waiting: Arc<Waiting>,
    memory: Arc<Memory>,
}

/// What travels to an owner.
enum Delivery {
    /// A message for its partition, with the memory it takes where that is much.
    Message(Message, Option<Charge>),
    /// Nothing but a reason to look whether it is to stop.
    Wake,
}

/// Messages taken and not yet decided on, by namespace; events as `None`.
type Waiting = RwLock<HashMap<Option<Arc<str>>, usize>>;

impl Inbox {
    /// Hands a message over; false when the partition has stopped.
    pub fn send(&self, message: Message) -> bool {
        self.depth.fetch_add(1, Ordering::Relaxed);
        let charge = self.memory.waiting_if_large(message.weight());
        self.sender.send(Delivery::Message(message, charge)).is_ok()
    }

    /// Ends the owner's wait, so that it notices at once that it is to stop.
    pub fn wake(&self) {
        // An owner that has ended needs no waking.
        let _ = self.sender.send(Delivery::Wake);
    }

    /// Messages that wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        let waiting = self.waiting.read().unwrap_or_else(|it| it.into_inner());
        self.depth.load(Ordering::Relaxed) + waiting.values().sum::<usize>()
    }

    /// Messages of one namespace that wait in line, or events.
    #[must_use]
    pub fn waiting(&self, namespace: Option<&str>) -> usize {
        let waiting = self.waiting.read().unwrap_or_else(|it| it.into_inner());
        if waiting.is_empty() {
            return 0;
        }
        waiting.get(&namespace.map(Arc::from)).copied().unwrap_or(0)
    }
}

/// The receiving end, until the owner starts.
pub struct Mailbox {
    receiver: Receiver<Delivery>,
    depth: Arc<AtomicUsize>,
    waiting: Arc<Waiting>,
}

/// An inbox and its mailbox.
#[must_use]
pub fn mailbox(memory: Arc<Memory>) -> (Inbox, Mailbox) {
    let (sender, receiver) = mpsc::channel();
    let (depth, waiting) = (Arc::new(AtomicUsize::new(0)), Arc::<Waiting>::default());
    let inbox = Inbox { sender, depth: depth.clone(), waiting: waiting.clone(), memory };
    (inbox, Mailbox { receiver, depth, waiting })
}

/// A partition on its thread.
pub struct Owner {
    thread: JoinHandle<()>,
}

/// What an owner needs beside its partition.
pub struct OwnerContext {
    /// Where releases go.
    pub target: Arc<dyn ReleaseTarget>,
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
        shared: PartitionContext,
        mailbox: Mailbox,
        context: OwnerContext,
    ) -> Result<Self, JournalError> {
        let journal = shared.journal.clone();
        let mut partition = Partition::open(id, shared, clock::steady())?;
        partition.set_lifecycle(context.target.lifecycle());
        partition.set_scheduled(context.target.fires_schedules());
        let thread = thread::Builder::new()
            .name(format!("partition-{}", id.0))
            .spawn(move || {
                if let Err(error) = run(partition, &*journal, &mailbox, &context) {
                    (context.failed)(error.to_string());
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
    journal: &dyn Journal,
    mailbox: &Mailbox,
    context: &OwnerContext,
) -> Result<(), JournalError> {
    let mut after = None;
    loop {
        let (batch, next) = partition.recover(clock::steady(), after)?;
        submit(&partition, batch, context);
        after = next;
        if after.is_none() {
            break;
        }
    }
    let mut messages = Vec::with_capacity(TURN_MESSAGES);
    let (mut paused_messages, mut paused) = (PausedMessages::default(), false);
    while !context.stopping.load(Ordering::Acquire) {
        let wake = match (paused, paused_messages.is_empty()) {
            (true, _) => Timestamp(clock::steady().0.saturating_add(limits::DISK_LOOK_AGAIN_MS)),
            (false, false) => Timestamp(0),
            (false, true) => partition.next_wake(),
        };
        let longest = if partition.is_settled() {
            limits::SETTLED_WAIT_MS
        } else {
            limits::UNSETTLED_WAIT_MS
        };
        let latest = Timestamp(clock::steady().0.saturating_add(longest));
        if !gather(mailbox, wake.min(latest), &mut messages) {
            return Ok(());
        }
        let room = journal.room();
        paused = room.paused;
        let batch = if paused {
            // What went into the reserve before counts once it is there.
            paused_messages.keep(&mut messages, room.reserve && partition.is_durable());
            partition.look(clock::steady(), &mut messages)?
        } else {
            paused_messages.give_back(&mut messages);
            partition.turn(clock::steady(), &mut messages)?
        };
        mailbox.waits(&partition);
        submit(&partition, batch, context);
    }
    Ok(())
}

/// Waits for a message or until `wake`, then takes what else is there. False when nobody can send
/// any more.
fn gather(mailbox: &Mailbox, wake: Timestamp, messages: &mut Vec<Message>) -> bool {
    let patience = Duration::from_millis(wake.since(clock::steady()));
    match mailbox.receiver.recv_timeout(patience) {
        // From now on it takes the memory of its instance, or of its place in line.
        Ok(Delivery::Message(message, _charge)) => messages.push(message),
        Ok(Delivery::Wake) | Err(RecvTimeoutError::Timeout) => return true,
        Err(RecvTimeoutError::Disconnected) => return false,
    }
    // All there are, or those behind many of one namespace would wait for them.
    while messages.len() < INBOX_TAKEN
        && let Ok(Delivery::Message(message, _charge)) = mailbox.receiver.try_recv()
    {
        messages.push(message);
    }
    mailbox.depth.fetch_sub(messages.len(), Ordering::Relaxed);
    true
}

impl Mailbox {
    /// Publishes what waits in line in the partition.
    fn waits(&self, partition: &Partition) {
        let now = partition.waiting();
        let mut waiting = self.waiting.write().unwrap_or_else(|it| it.into_inner());
        if !(now.is_empty() && waiting.is_empty()) {
            *waiting = now;
        }
    }
}

/// Hands a batch to the committer; its releases go once it is durable.
fn submit(partition: &Partition, batch: Batch, context: &OwnerContext) {
    if batch.is_empty() {
        return;
    }
    let (target, failed) = (context.target.clone(), context.failed.clone());
    let durable = partition.durable();
    let Batch { number, commit, releases, bytes, .. } = batch;
    let charge = partition.memory().waiting_if_large(bytes);
    let on_durable = move |result: Result<(), Arc<JournalError>>| match result {
        Ok(()) => {
            drop(charge);
            durable.store(number, Ordering::Release);
            for release in releases {
                release.go(&*target);
            }
        }
        // Replies are dropped: whoever waits learns that the coordinator has stopped.
        Err(error) => failed(error.to_string()),
    };
    context.committer.submit(commit, Box::new(on_durable));
}
