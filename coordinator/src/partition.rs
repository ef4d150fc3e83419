//! One owner a share of the instances: messages in, one commit and its releases out.
//!
//! [`Partition`] is synchronous and has no thread, clock or channel of its own, so that the
//! simulation drives the very code that production runs; `owner` puts it on a thread. A turn takes
//! whatever messages are there, lets the engine decide on each, and hands over one [`Batch`]: what
//! must become durable, and what may leave once it is.
//!
//! **Invariant:** nothing leaves a partition except through the releases of a batch.

mod approvals;
mod batch;
mod budget;
mod counts;
mod decide;
mod early;
mod effects;
mod events;
mod filters;
mod handlers;
mod lanes;
mod lifecycle;
mod load;
mod message;
mod misfits;
mod outcome;
mod owner;
mod parked;
mod paused;
mod quarantine;
mod release;
mod remove;
mod reporter;
mod reports;
mod resident;
mod routing;
mod schedules;
mod shares;
mod start;
mod start_key;
mod start_policy;
mod succeed;
mod take;
mod timers;
mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;
use windlass_proto::id::{InstanceId, PartitionId};
use windlass_proto::limits;
use windlass_proto::time::Timestamp;
use windlass_telemetry::Sampler;

pub use approvals::decode as approval;
pub use batch::Batch;
pub use counts::InstanceCounts;
pub use filters::Filters;
pub use message::{
    Done, Earlier, EventOutcome, EventTicket, Message, NewInstance, NewSuccessor, NoSuccessor,
    NotRemoved, Refusal, RemovalReply, Reply, Shown, StartReply, SuccessorReply, Verdict, Watch,
};
pub use misfits::{MisfitCounts, MisfitSource};
pub use owner::{Inbox, Mailbox, Owner, OwnerContext, mailbox};
pub use release::{Emitted, Release, ReleaseTarget};
pub use reporter::Reporter;
pub(crate) use resident::fold;
pub use schedules::{ScheduleAction, ScheduleAnswer, ScheduleOrder};
pub(crate) use shares::owner as limit_owner;
pub use shares::{LimitNews, LimitPlace};
pub use start_policy::{OnEnded, OnRunning, StartPolicy};

use crate::admission::Admission;
use crate::catalog::Catalog;
use crate::early::EarlyEvents;
use crate::engine::{Ending, Instance};
use crate::events::lifecycle::Level;
use crate::journal::{Journal, JournalError};
use crate::memory::Memory;
use crate::quarantine::Quarantine;
use crate::successor::Successor;
use counts::OpenCounts;
use early::Eager;
use handlers::Handlers;
use lanes::Lanes;
use parked::Parked;
use resident::{Resident, Residents};
use routing::Routing;
use schedules::Schedules;
use shares::Limits;
use start_key::RecentKeys;
use timers::Timers;

/// What a partition shares with others.
#[derive(Clone)]
pub struct PartitionContext {
    /// Where facts go and come from.
    pub journal: Arc<dyn Journal>,
    /// Definitions.
    pub catalog: Arc<Catalog>,
    /// The term of ownership.
    pub epoch: u64,
    /// Workers that may be lost while they hold one visit of a task, before it is given up.
    pub losses: u32,
    /// What instances may take of the process's memory.
    pub memory: Arc<Memory>,
    /// Which instances the process ended over.
    pub quarantine: Arc<Quarantine>,
    /// Which instances may start.
    pub admission: Arc<Admission>,
    /// Filters of events that took too many steps.
    pub filters: Arc<Filters>,
    /// What cannot be, and was met all the same.
    pub misfits: Arc<MisfitCounts>,
    /// What is counted of instances.
    pub counts: Arc<InstanceCounts>,
    /// Which instances are recorded, where traces are on.
    pub sampler: Option<Sampler>,
    /// Events that came before anybody waited for them.
    pub early: Arc<EarlyEvents>,
    /// Whether a restored copy has taken over.
    pub successor: Arc<Successor>,
}

/// A share of the instances.
pub struct Partition {
    id: PartitionId,
    shared: PartitionContext,
    residents: Residents,
    timers: Timers,
    routing: Routing,
    schedules: Schedules,
    /// How many instances have not ended.
    open: OpenCounts,
    watches: HashMap<InstanceId, Vec<Watch>>,
    /// Batches handed over so far.
    submitted: u64,
    /// Batches known to be durable; written by whoever commits them.
    durable: Arc<AtomicU64>,
    /// Event keys recorded lately, by the batch that records them: the journal may not show them
    /// yet.
    seen: HashMap<Arc<[u8]>, u64>,
    /// Who has the key of a start since lately.
    recent_keys: RecentKeys,
    /// What is told of instances.
    lifecycle: Level,
    /// Messages that wait for their turn.
    lanes: Lanes,
    /// Who wants to know when nothing waits in them any more.
    settling: Vec<oneshot::Sender<()>>,
    /// Who has shares of the limits whose keys this partition owns, and who waits for some.
    limits: Limits,
    /// Instances that are removed, by the batch that says so: until it is durable.
    removed: HashMap<InstanceId, u64>,
    /// Children whose start waits.
    parked: Parked,
    /// What faults start, as long as it is not known to have started.
    handlers: Handlers,
    /// Who may want events that came before.
    eager: Eager,
    /// What the turn in progress has cost, in steps of expressions.
    cost: u64,
    /// Instances that the quarantine was told of when the turn began.
    named: HashSet<InstanceId>,
}

impl Partition {
    /// Opens a partition: reads its timers and subscriptions, not its instances.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open(
        id: PartitionId,
        shared: PartitionContext,
        now: Timestamp,
    ) -> Result<Self, JournalError> {
        let routing = Routing::load(&*shared.journal, id)?;
        let schedules = Schedules::load(&*shared.journal, shared.catalog.clone(), id)?;
        let timers = Timers::load(&*shared.journal, id, now)?;
        let limits = Limits::load(&*shared.journal, id)?;
        let open = OpenCounts::load(&*shared.journal, id, &shared.counts)?;
        Ok(Self {
            id,
            shared,
            residents: Residents::default(),
            timers,
            routing,
            schedules,
            open,
            watches: HashMap::new(),
            submitted: 0,
            durable: Arc::new(AtomicU64::new(0)),
            seen: HashMap::new(),
            recent_keys: HashMap::new(),
            lifecycle: Level::Off,
            lanes: Lanes::default(),
            settling: Vec::new(),
            limits,
            removed: HashMap::new(),
            parked: Parked::default(),
            handlers: Handlers::default(),
            eager: Eager::default(),
            cost: 0,
            named: HashSet::new(),
        })
    }

    /// The number of batches that are durable; whoever commits a batch stores its number here.
    #[must_use]
    pub fn durable(&self) -> Arc<AtomicU64> {
        self.durable.clone()
    }

    /// True when nothing is on its way to the disk.
    fn is_durable(&self) -> bool {
        self.known_durable() >= self.submitted
    }

    /// The number of the last batch that is known to be durable.
    fn known_durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// True when nothing is on its way to the disk, nor in memory only until it is there.
    fn is_settled(&self) -> bool {
        self.is_durable() && self.residents.retired() == 0 && self.removed.is_empty()
    }

    /// Takes up what a restart left open: one page of hot instances after `after`. Returns the
    /// batch and where the next page starts.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn recover(
        &mut self,
        now: Timestamp,
        after: Option<InstanceId>,
    ) -> Result<(Batch, Option<InstanceId>), JournalError> {
        let hot = self.shared.journal.hot(self.id, after, limits::RECOVERY_PAGE)?;
        let mut batch = self.batch(now);
        if after.is_none() {
            self.set_aside(&mut batch)?;
            self.sync_schedules(now)?;
            self.recover_limits(&mut batch);
            self.look_for_early(now);
        }
        let mut read = 0;
        let mut last = None;
        for id in &hot {
            read += self.recover_instance(&mut batch, *id)?;
            last = Some(*id);
            if batch.is_full() || read >= limits::TURN_BYTES {
                break;
            }
        }
        let all = last == hot.last().copied() && hot.len() < limits::RECOVERY_PAGE;
        let next = if all { None } else { last };
        if next.is_none() {
            batch.releases.push(Release::Recovered);
        }
        Ok((self.seal(batch)?, next))
    }

    /// One turn at `now`: messages, then timers that are due, as many as one turn has room for.
    /// Messages beyond wait in line by namespace; see [`Partition::next_wake`].
    ///
    /// # Errors
    /// When the journal cannot be read, or holds damaged records.
    pub fn turn(
        &mut self,
        now: Timestamp,
        messages: &mut Vec<Message>,
    ) -> Result<Batch, JournalError> {
        let mut batch = self.batch(now);
        self.forget_removed();
        self.cost = 0;
        self.take_all(&mut batch, messages)?;
        self.admit_parked(&mut batch)?;
        self.ask_for_handlers(&mut batch)?;
        self.fire_timers(&mut batch)?;
        self.fire_schedules(&mut batch)?;
        self.fire_limits(&mut batch);
        self.offer_early(&mut batch)?;
        self.settle(&mut batch);
        let batch = self.seal(batch)?;
        let durable = self.known_durable();
        self.residents.evict(durable);
        self.seen.retain(|_, recorded| *recorded > durable);
        self.recent_keys.retain(|_, (_, recorded)| *recorded > durable);
        self.timers.extend(&*self.shared.journal, self.id, now, self.submitted, durable)?;
        Ok(batch)
    }

    /// Takes messages that only ask, or that operators get out of a full disk with; what waits in
    /// line goes on waiting, and no timer fires. For as long as nothing else can be written.
    ///
    /// # Errors
    /// As for [`Partition::turn`].
    pub fn look(
        &mut self,
        now: Timestamp,
        messages: &mut Vec<Message>,
    ) -> Result<Batch, JournalError> {
        let mut batch = self.batch(now);
        self.forget_removed();
        for message in messages.drain(..) {
            self.take(&mut batch, message)?;
        }
        self.settle(&mut batch);
        let batch = self.seal(batch)?;
        self.residents.evict(self.known_durable());
        Ok(batch)
    }

    /// Answers who wants to know when nothing waits any more: what was sent before they asked may
    /// wait in another line than they did.
    fn settle(&mut self, batch: &mut Batch) {
        self.settling.retain(|it| !it.is_closed());
        if self.lanes.is_empty() {
            batch.releases.extend(self.settling.drain(..).map(Release::Settle));
        }
    }

    /// Changes how many waiting instances stay in memory; the others are read from the journal when
    /// something happens to them. For the simulation, which has only a few.
    pub fn keep(&mut self, waiting: usize) {
        self.residents.keep(waiting, limits::WAITING_BYTES);
    }

    /// Chooses what is told of instances; nothing unless this is called.
    pub fn set_lifecycle(&mut self, lifecycle: Level) {
        self.lifecycle = lifecycle;
    }

    /// Chooses whether workflows start by their schedules; they do unless this is called.
    pub fn set_scheduled(&mut self, scheduled: bool) {
        self.schedules.enable(scheduled);
    }

    /// What instances may take of the process's memory.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.shared.memory
    }

    /// When the next turn has something to do even without new messages: at once when messages wait
    /// in line, else when the next timer is due or needs looking up, or a child may start.
    #[must_use]
    pub fn next_wake(&self) -> Timestamp {
        if !self.lanes.is_empty() || !self.eager.is_empty() {
            return Timestamp(0);
        }
        let timers = self.timers.next_wake();
        self.others_due().into_iter().flatten().fold(timers, Timestamp::min)
    }

    /// When something beside timers is due.
    fn others_due(&self) -> [Option<Timestamp>; 4] {
        let (parked, handlers) = (self.parked.next_wake(), self.handlers.next_wake());
        [parked, handlers, self.schedules.next_wake(), self.limits.next_wake()]
    }

    /// When something is due, however far away: for who drives a partition on a clock of its own,
    /// where looking up what is due soon ([`Partition::next_wake`]) would take most of the time.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        let until = Timestamp(u64::MAX);
        let timers = self.shared.journal.timers(self.id, None, until, 1)?;
        let others = self.others_due();
        let all = timers.first().map(|it| it.due).into_iter().chain(others.into_iter().flatten());
        Ok(all.min())
    }

    /// Messages that wait in line, by namespace; events as `None`.
    #[must_use]
    pub fn waiting(&self) -> HashMap<Option<Arc<str>>, usize> {
        self.lanes.depths()
    }

    /// Children whose start waits.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Instances held in memory.
    #[must_use]
    pub fn resident(&self) -> usize {
        self.residents.len()
    }

    /// The state of an instance, if it is in memory: for the simulation, which compares it with
    /// what the journal adds up to.
    #[must_use]
    pub fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.residents.get(id).map(|resident| &resident.instance)
    }

    fn batch(&mut self, now: Timestamp) -> Batch {
        self.submitted += 1;
        Batch::new(self.id, self.submitted, now)
    }

    /// Closes a batch: instances hand over their new facts, those who watch are told.
    fn seal(&mut self, mut batch: Batch) -> Result<Batch, JournalError> {
        self.shared.quarantine.end(self.id);
        self.named.clear();
        let mut over = Vec::new();
        for id in std::mem::take(&mut batch.touched) {
            let Some(resident) = self.residents.get_mut(id) else { continue };
            let was = resident.is_known_open();
            let write = resident.write(batch.number)?;
            let open = (was, resident.is_known_open());
            self.open.note(&resident.plan, &self.shared.counts, open);
            let (sequence, ended) = (resident.instance.sequence, resident.instance.ending.clone());
            let (parent, namespace) =
                (resident.instance.parent, resident.plan.id.namespace.clone());
            batch.commit.writes.push(write);
            self.tell_watchers(&mut batch, id, sequence, ended.as_ref());
            match ended {
                Some(ending) => {
                    if self.schedules.follows(id) {
                        over.push((id, matches!(ending, Ending::Cancelled(_))));
                    }
                    if let Some(parent) = parent {
                        self.shared.admission.leave(id, parent.root(), &namespace);
                    }
                    self.residents.retire(id, batch.number);
                }
                None => self.residents.touched(id),
            }
        }
        self.tell_schedules(over, batch.now)?;
        self.keep_schedules(&mut batch)?;
        self.open.keep(&mut batch.commit);
        if batch.is_empty() {
            // Nobody commits it, so its number must not be waited for.
            self.submitted -= 1;
        }
        Ok(batch)
    }
}
