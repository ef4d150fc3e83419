//! The one task that owns sessions and dispatcher: hears what came, decides, says what follows.

mod http;
mod receive;
mod send;
mod told;
mod unschedulable;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};
use windlass_bus::Bus;
use windlass_proto::limits;
use windlass_proto::plan::{DEFAULT_POOL, Plan};
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::throttle;
use windlass_proto::time::Timestamp;
use windlass_proto::wire::capability::Capability;
use windlass_proto::wire::key::CoordinatorKey;
use windlass_proto::wire::session::SessionId;
use windlass_proto::wire::subject::Prefix;
use windlass_proto::wire::{Assignment, AssignmentKey, Report};

use self::unschedulable::Unschedulable;
use super::registration::Throttle;
use super::session::WorkerSession;
use super::{FleetOptions, skew};
use crate::catalog::Catalog;
use crate::clock;
use crate::dispatch::backlog::Lane;
use crate::dispatch::backlog_counts::BacklogCounts;
use crate::dispatch::dispatcher::{Departure, Dispatcher, Order, Whereabouts};
use crate::dispatch::http::HttpRequest;
use crate::dispatch::{FleetView, Reporter, Totals, Verdict};
use crate::secrets::{Granter, Secrets};

/// What the session task is told from inside the coordinator.
pub(super) enum Command {
    /// A new assignment.
    Submit(Box<Assignment>),
    /// One from before the coordinator started.
    Recover(Box<Assignment>),
    /// All of those have come.
    Recovered,
    /// One that is no longer wanted.
    Cancel(AssignmentKey),
    /// A worker's audit events, up to this number, are on disk.
    Audited(SessionId, u64),
    /// A partition has decided on a report.
    Settled(AssignmentKey, Verdict),
    /// Somebody wants to see the fleet.
    View(oneshot::Sender<FleetView>),
    /// Somebody wants to know where these are.
    Whereabouts(Vec<AssignmentKey>, oneshot::Sender<Vec<Option<Whereabouts>>>),
    /// A worker speaks over HTTP.
    Http(HttpRequest),
    /// The coordinator ends: tell the workers.
    Close(oneshot::Sender<()>),
}

/// What the session task works with.
pub(super) struct SessionsContext {
    pub(super) catalog: Arc<Catalog>,
    pub(super) reporter: Reporter,
    /// Who may do what with secrets.
    pub(super) granter: Granter,
    pub(super) secrets: Arc<Secrets>,
    /// The session task's own inbox.
    pub(super) commands: mpsc::WeakUnboundedSender<Command>,
}

/// See the module.
pub(super) struct Sessions {
    /// None where workers come over HTTP alone.
    bus: Option<Bus>,
    prefix: Prefix,
    key: CoordinatorKey,
    lease: Duration,
    catalog: Arc<Catalog>,
    reporter: Reporter,
    granter: Granter,
    secrets: Arc<Secrets>,
    commands: mpsc::WeakUnboundedSender<Command>,
    dispatcher: Dispatcher,
    sessions: HashMap<SessionId, WorkerSession>,
    /// Sessions with something to say.
    pending: Vec<SessionId>,
    /// Reports that wait for their partition, with the session they came from.
    awaited: HashMap<AssignmentKey, SessionId>,
    orders: Vec<Order>,
    /// Sessions to be told that they are no more.
    dismissed: Vec<SessionId>,
    totals: Totals,
    clock: Steady,
    registrations: Throttle,
    /// The same for workers over HTTP, who take nothing from those on the bus.
    http_registrations: Throttle,
    unknown_sessions: Throttle,
    /// Anybody on the bus can cause complaints; what is not logged is counted all the same.
    complaints: Throttle,
    /// Workers that were lost: who comes back is told from who is new.
    missing: HashSet<Arc<str>>,
    /// Lanes that nobody serves, since when, and whether that was told.
    unschedulable: Unschedulable,
    /// Complaints about identities that two workers share.
    contests: Throttle,
    /// Complaints about clocks of stores of secrets.
    skews: Throttle,
    /// What the audit trail is told of workers.
    workers_told: throttle::Throttle,
    /// True once everything that was open before a restart is known.
    recovered: bool,
    /// Told when the workers are; set when the coordinator ends.
    closing: Option<oneshot::Sender<()>>,
}

/// Time that never goes back or jumps: leases must not depend on the wall clock. It goes on while
/// the machine sleeps, so that the dispatcher sees that nobody looked.
struct Steady {
    wall: Timestamp,
    began: Duration,
}

impl Steady {
    fn now(&self) -> Timestamp {
        let passed = clock::uptime().saturating_sub(self.began);
        self.wall.plus(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Sessions {
    pub(super) fn new(
        bus: Option<Bus>,
        options: FleetOptions,
        context: SessionsContext,
        backlog_counts: Arc<BacklogCounts>,
    ) -> Self {
        let SessionsContext { catalog, reporter, granter, secrets, commands } = context;
        let FleetOptions { prefix, key, lease, backlog: _ } = options;
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        Self {
            bus,
            prefix,
            key,
            lease,
            catalog,
            reporter,
            granter,
            secrets,
            commands,
            dispatcher: Dispatcher::new(lease_ms, backlog_counts),
            sessions: HashMap::new(),
            pending: Vec::new(),
            awaited: HashMap::new(),
            orders: Vec::new(),
            dismissed: Vec::new(),
            totals: Totals::default(),
            clock: Steady { wall: clock::now(), began: clock::uptime() },
            registrations: Throttle::registrations(),
            http_registrations: Throttle::new(limits::HTTP_REGISTRATIONS_A_SECOND),
            unknown_sessions: Throttle::new(limits::UNKNOWN_SESSIONS_A_SECOND),
            complaints: Throttle::new(limits::FLEET_COMPLAINTS_A_SECOND),
            missing: HashSet::new(),
            unschedulable: Unschedulable::default(),
            contests: Throttle::once_in(Duration::from_millis(limits::CONTEST_COMPLAINT_MS)),
            skews: Throttle::once_in(Duration::from_millis(limits::SKEW_COMPLAINT_MS)),
            workers_told: throttle::Throttle::new(
                limits::AUDIT_WORKERS_TOLD,
                limits::AUDIT_WORKERS_TOLD_MS,
            ),
            recovered: false,
            closing: None,
        }
    }

    /// Works until the coordinator drops its end.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Command>) {
        // A worker that joined before would show what it holds to somebody who does not know it
        // yet.
        while !self.recovered && self.closing.is_none() {
            match inbox.recv().await {
                Some(command) => self.handle_command(command),
                None => return,
            }
        }
        let Some(bus) = self.bus.clone() else { return self.run_alone(inbox).await };
        let client = bus.client.clone();
        let subscribed = (
            client.subscribe(self.prefix.hello()).await,
            client.subscribe(self.prefix.all_sessions()).await,
            client.subscribe(self.prefix.presence()).await,
        );
        let (Ok(mut hellos), Ok(mut frames), Ok(mut presence)) = subscribed else {
            tracing::error!("subscribing to NATS failed");
            return;
        };
        let mut link = bus.link();
        let mut commands = Vec::with_capacity(limits::FLEET_ROUND);
        let mut ticks = self.ticks();
        while self.closing.is_none() {
            tokio::select! {
                taken = inbox.recv_many(&mut commands, limits::FLEET_ROUND) => {
                    if taken == 0 {
                        return;
                    }
                    commands.drain(..).for_each(|command| self.handle_command(command));
                }
                Some(frame) = frames.next() => self.recv_all(Some(frame), &mut frames),
                Some(question) = presence.next() => {
                    if let Some(reply) = question.reply {
                        self.publish(reply, Vec::new()).await;
                    }
                }
                Some(hello) = hellos.next() => self.register(hello).await,
                _ = ticks.tick() => {
                    // Nobody is judged whose words lie here.
                    self.recv_all(None, &mut frames);
                    self.take_waiting(&mut inbox);
                    self.tick();
                }
                Ok(()) = link.changed() => {
                    if link.borrow_and_update().up {
                        self.dispatcher.reconnected(self.clock.now());
                    }
                }
            }
            self.execute_orders().await;
        }
        // Who closes waits no longer than this.
        let _ = tokio::time::timeout(Duration::from_millis(limits::BUS_TIMEOUT_MS), client.flush())
            .await;
        if let Some(reply) = self.closing.take() {
            let _ = reply.send(());
        }
    }

    /// The same where there is no bus.
    async fn run_alone(mut self, mut inbox: mpsc::UnboundedReceiver<Command>) {
        let mut commands = Vec::with_capacity(limits::FLEET_ROUND);
        let mut ticks = self.ticks();
        while self.closing.is_none() {
            tokio::select! {
                taken = inbox.recv_many(&mut commands, limits::FLEET_ROUND) => {
                    if taken == 0 {
                        return;
                    }
                    commands.drain(..).for_each(|command| self.handle_command(command));
                }
                _ = ticks.tick() => {
                    // Nobody is judged whose words lie here.
                    self.take_waiting(&mut inbox);
                    self.tick();
                }
            }
            self.execute_orders().await;
        }
        if let Some(reply) = self.closing.take() {
            let _ = reply.send(());
        }
    }

    fn ticks(&self) -> Interval {
        let mut ticks =
            interval((self.lease / 10).clamp(Duration::from_millis(50), Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// False while the bus is away; workers over HTTP need none.
    fn is_up(&self) -> bool {
        self.bus.as_ref().is_none_or(Bus::is_up)
    }

    /// Takes a frame, and those that are there already.
    fn recv_all(&mut self, first: Option<Message>, frames: &mut Subscriber) {
        if let Some(first) = first {
            self.receive(&first);
        }
        for _ in 1..limits::FLEET_ROUND {
            let Some(Some(frame)) = frames.next().now_or_never() else { return };
            self.receive(&frame);
        }
    }

    /// Takes what lies in the inbox now, turns of workers over HTTP among it; not what comes
    /// meanwhile, which could go on for ever.
    fn take_waiting(&mut self, inbox: &mut mpsc::UnboundedReceiver<Command>) {
        for _ in 0..inbox.len() {
            let Ok(command) = inbox.try_recv() else { return };
            self.handle_command(command);
        }
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Submit(assignment) => {
                if let Some(lane) = self.lane(&assignment) {
                    self.dispatcher.submit(lane, *assignment, self.clock.now());
                }
            }
            Command::Recover(assignment) => {
                if let Some(lane) = self.lane(&assignment) {
                    self.dispatcher.recover(lane, *assignment, self.clock.now());
                }
            }
            Command::Recovered => self.recovered = true,
            Command::Cancel(key) => self.dispatcher.cancel(&key, &mut self.orders),
            Command::Audited(session, number) => self.audited(session, number),
            Command::Settled(key, verdict) => self.settled(key, verdict),
            Command::View(reply) => {
                let view = FleetView {
                    workers: self.dispatcher.workers(self.clock.now()),
                    depths: self.dispatcher.depths(self.clock.now()),
                    totals: self.totals,
                    times: self.dispatcher.times(),
                    connected: self.is_up(),
                    reconnects: self.bus.as_ref().map_or(0, Bus::reconnects),
                    store_ahead_ms: skew::worst(
                        self.sessions.values().filter_map(|it| it.store_ahead_ms),
                    ),
                };
                // Who asked may have gone.
                let _ = reply.send(view);
            }
            Command::Whereabouts(keys, reply) => {
                let of = |key| self.dispatcher.whereabouts(key);
                // Who asked may have gone.
                let _ = reply.send(keys.iter().map(of).collect());
            }
            Command::Http(request) => self.http(request),
            Command::Close(reply) => {
                let all: Vec<_> = self.sessions.keys().copied().collect();
                self.orders
                    .extend(all.into_iter().map(|id| Order::Dismiss(id, Departure::Closing)));
                self.closing = Some(reply);
            }
        }
    }

    /// What a worker must have to take an assignment; an answer of our own where it cannot be
    /// known.
    fn lane(&mut self, assignment: &Assignment) -> Option<Lane> {
        let plan = self.plan(assignment);
        let Some(task) = plan.as_ref().and_then(|it| it.tasks.get(assignment.task.0 as usize))
        else {
            let detail = "the definition of the task cannot be read";
            self.answer(&assignment.key, Problem::new(Standard::Runtime, detail));
            return None;
        };
        let pool = match &assignment.pool {
            Some(pool) => pool.clone(),
            None => Arc::from(DEFAULT_POOL),
        };
        Some(Lane { pool, capability: Capability::needed(task, &assignment.work) })
    }

    fn plan(&self, assignment: &Assignment) -> Option<Arc<Plan>> {
        // It is there: the instance that sent the assignment runs by it.
        self.catalog.plan(&assignment.digest)
    }

    fn tick(&mut self) {
        let before = self.orders.len();
        let held = self.dispatcher.holds_judgement();
        if self.is_up() {
            self.dispatcher.tick(self.clock.now(), &mut self.orders);
        }
        if self.dispatcher.holds_judgement() && !held {
            tracing::warn!(
                "most workers missed heartbeats at once: none is declared dead until they are heard \
                 again or a lease has passed; check NATS"
            );
        }
        let lost = self.orders[before..].iter().filter(|it| matches!(it, Order::Lost(..)));
        self.totals.expired += lost.count() as u64;
        let now = self.clock.now();
        self.unschedulable.look(&self.dispatcher.unschedulable(), now, self.lease);
        self.answer_late_polls();
    }

    /// Reports on an assignment that was never sent.
    fn answer(&mut self, key: &AssignmentKey, problem: Problem) {
        self.reporter.report(Report::new(key.clone(), Err(problem)));
    }

    /// A session has something to send.
    fn mark_pending(&mut self, session: SessionId) {
        if let Some(peer) = self.sessions.get_mut(&session)
            && !peer.waiting
        {
            peer.waiting = true;
            self.pending.push(session);
        }
    }
}

/// Milliseconds until `deadline`, by the coordinator's clock.
fn remaining_ms(deadline: Option<Timestamp>) -> Option<u64> {
    deadline.map(|deadline| deadline.since(clock::steady()))
}
