//! Several coordinators of which one leads: what it commits is in a log that the others follow, and
//! one of these takes over when it is gone.
//!
//! ```text
//!  committer ──┬──> write-ahead log: write, fdatasync ──┬──> replies, dispatches, events
//!   (leader)   └──> log: append by CAS, acknowledged ───┘
//!                       │
//!                   follower ──> its own journal (nothing leaves it)
//! ```
//!
//! - [`entry`]: what is in the log, sealed; [`stream`]: the log in `JetStream`.
//! - [`lease`]: who tries to lead, and who is there. [`appender`]: the leader's end of the log.
//! - [`follow`]: a standby's; [`takeover`]: from one to the other.
//! - [`forward`]: requests that a standby passes on to the leader; [`pipe`]: how they travel.
//!
//! **Invariant:** a commit is told of once the leader's disk and the log have it; whoever is not
//! the leader any more is refused by the log, whatever the clocks say.
//! **Invariant:** what a directory has is what the log has up to a place that it knows, but for the
//! last batch, which is held back when it is opened.

mod appender;
mod entry;
mod files;
mod follow;
mod forward;
mod lease;
mod pipe;
mod places;
mod status;
mod stream;
mod takeover;
mod watched;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::{Context, ContextBuilder};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;
use windlass_bus::Bus;
use windlass_proto::limits;
use windlass_proto::wire::key::CoordinatorKey;
use windlass_proto::wire::subject::Prefix;
use zeroize::Zeroizing;

use appender::{Appender, Ended};
use entry::{GROUP, Sealer};
use follow::{FollowError, Follower};
use forward::{Line, Taken};
use lease::Leases;
use stream::{Away, LogStream, Made};
use takeover::Takeover;
use watched::{Watched, next_beat};

use crate::journal::JournalError;
use crate::journal::sled::{Options, SledJournal};

pub use forward::{Forwarded, Forwarder, MoveOrder, Passed};
pub use lease::{Member, MemberRole};
pub use status::{ClusterStatus, hand_over, status};
pub use watched::{Leader, StandbyView};

/// What a cluster's key is derived for.
const PURPOSE: &[u8] = b"windlass cluster 1";

/// How a coordinator is one of a cluster.
pub struct ClusterOptions {
    /// The name of the cluster: lower case letters, digits, `-` and `_`.
    pub name: String,
    /// The first token of every subject.
    pub prefix: Prefix,
    /// Servers that keep a copy of the log.
    pub replicas: u8,
    /// Where this one answers, for clients that ask another.
    pub url: String,
    /// How long a lease lasts, where the cluster is new.
    pub lasts: Duration,
    /// The JetStream domain that has the streams.
    pub domain: Option<String>,
    /// The cluster's key.
    key: Zeroizing<[u8; 32]>,
}

impl ClusterOptions {
    /// The options for a cluster under a key that all its coordinators have.
    #[must_use]
    pub fn new(name: String, prefix: Prefix, key: &CoordinatorKey) -> Self {
        Self {
            name,
            prefix,
            replicas: 1,
            url: String::new(),
            lasts: Duration::from_millis(limits::CLUSTER_LEASE_MS),
            domain: None,
            key: key.derived(PURPOSE),
        }
    }

    fn context(&self, bus: &Bus) -> Context {
        let builder = ContextBuilder::new().timeout(stream::patience());
        let builder = builder.backpressure_on_inflight(true);
        match &self.domain {
            Some(domain) => builder.domain(domain.clone()).build(bus.client.clone()),
            None => builder.build(bus.client.clone()),
        }
    }

    fn sealer(&self) -> Arc<Sealer> {
        Arc::new(Sealer::new(&self.key, &self.name, GROUP))
    }

    fn made(&self, what: &str, subject: String) -> Made {
        let name = self.prefix.stream(&format!("cluster_{}_{GROUP}_{what}", self.name));
        Made { name, subject, replicas: self.replicas }
    }

    async fn log(&self, bus: &Bus) -> Result<LogStream, Away> {
        let made = self.made("log", self.prefix.cluster_log(&self.name, GROUP));
        LogStream::open(bus, &self.context(bus), made).await
    }

    async fn leases(&self, bus: &Bus, sealer: Arc<Sealer>) -> Result<Leases, Away> {
        let made = self.made("leases", self.prefix.cluster_lease(&self.name, GROUP));
        let members = (self.prefix.clone(), self.name.clone());
        Leases::open(&self.context(bus), made, members, sealer, self.lasts).await
    }
}

/// A coordinator that waits for its turn.
pub struct Standby {
    options: ClusterOptions,
    bus: Bus,
    directory: PathBuf,
    journal: Options,
    id: String,
    view: Arc<watch::Sender<StandbyView>>,
    line: Arc<Line>,
    /// Tells when the lease is given on to this one.
    named: Arc<Notify>,
    /// When the bus was last found not to answer.
    unheard: Mutex<Option<Instant>>,
}

/// A leadership: for as long as it lasts, what the journal commits counts.
pub struct Leadership {
    appender: Arc<Appender>,
    directory: PathBuf,
    keeper: Arc<Keeper>,
    line: Arc<Line>,
    forwarder: Forwarder,
    moves: (mpsc::Sender<MoveOrder>, mpsc::Receiver<MoveOrder>),
    tasks: Vec<JoinHandle<()>>,
}

/// Keeps a lease.
struct Keeper {
    leases: Arc<Leases>,
    held: watch::Sender<u64>,
    appender: watch::Sender<Option<Arc<Appender>>>,
    /// Whether what others pass on is taken.
    answers: watch::Sender<bool>,
    member: Member,
}

impl Standby {
    /// A coordinator of a cluster, with what it has in `directory`.
    #[must_use]
    pub fn new(options: ClusterOptions, bus: Bus, directory: PathBuf, journal: Options) -> Self {
        let id = Uuid::new_v4().simple().to_string();
        let (view, unheard) = (Arc::default(), Mutex::default());
        let (prefix, cluster) = (options.prefix.clone(), options.name.clone());
        let line = Line::new(bus.clone(), prefix, cluster, options.sealer(), id.clone());
        let line = Arc::new(line);
        let named = Arc::default();
        Self { options, bus, directory, journal, id, view, line, named, unheard }
    }

    /// Passes on what it is asked itself.
    #[must_use]
    pub fn forwarder(&self) -> Forwarder {
        Forwarder::new(self.line.clone(), self.view.clone(), self.options.url.as_str().into())
    }

    /// Follows until this coordinator leads.
    ///
    /// # Errors
    /// When the directory or the log cannot be used; while NATS is away it waits.
    pub async fn lead(self) -> Result<(SledJournal, Leadership), JournalError> {
        let sealer = self.options.sealer();
        let log = Arc::new(self.patiently(async || self.options.log(&self.bus).await).await);
        let leases =
            self.patiently(async || self.options.leases(&self.bus, sealer.clone()).await).await;
        let leases = Arc::new(leases);
        let line = self.line.clone();
        tokio::spawn(async move { line.run().await });
        let watched =
            Watched { id: self.id.clone(), view: self.view.clone(), named: self.named.clone() };
        tokio::spawn(watched.run(leases.clone()));
        let mut follower = self.follower(&log, &sealer).await?;
        let mut beats = tokio::time::interval(leases.beat());
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = None;
        loop {
            let tried = tokio::select! {
                ready = follower.ready() => match ready {
                    Ok(()) => follower.go_on().await,
                    error => error,
                },
                () = next_beat(&mut beats, &self.named) => match self
                    .beat(&leases, &log, &mut follower)
                    .await
                {
                    None => Ok(()),
                    Some(held) => match self.take_over(held, follower, &log, &sealer, &leases).await {
                        Ok(led) => return Ok(led),
                        Err(FollowError::Journal(error)) => return Err(error),
                        Err(FollowError::Away(away)) => {
                            follower = self.follower(&log, &sealer).await?;
                            Err(FollowError::Away(away))
                        }
                    },
                },
            };
            match tried {
                Ok(()) => said = None,
                Err(FollowError::Journal(error)) => return Err(error),
                Err(FollowError::Away(away)) => {
                    if said.as_ref() != Some(&away.0) {
                        tracing::warn!(%away, "the log of the cluster cannot be followed for now");
                    }
                    said = Some(away.0);
                    tokio::time::sleep(Duration::from_millis(limits::CLUSTER_RETRY_MS)).await;
                }
            }
        }
    }

    /// Tries until it is done.
    async fn patiently<T>(&self, run: impl AsyncFn() -> Result<T, Away>) -> T {
        let mut said = None;
        loop {
            match run().await {
                Ok(done) => return done,
                Err(away) => {
                    if said.as_ref() != Some(&away.0) {
                        tracing::warn!(%away, "waiting for the streams of the cluster");
                    }
                    said = Some(away.0);
                }
            }
            tokio::time::sleep(Duration::from_millis(limits::CLUSTER_RETRY_MS)).await;
        }
    }

    async fn follower(
        &self,
        log: &Arc<LogStream>,
        sealer: &Arc<Sealer>,
    ) -> Result<Follower, JournalError> {
        let (log, sealer, cluster) = (log.clone(), sealer.clone(), self.options.name.clone());
        let (directory, options) = (self.directory.clone(), self.journal);
        let open = move || Follower::open(log, sealer, &cluster, &directory, &options);
        let opened = tokio::task::spawn_blocking(open).await;
        opened.map_err(|error| JournalError::Store(error.to_string()))?
    }

    fn member(&self, role: MemberRole, follower: &Follower) -> Member {
        let at = follower.followed().map(|it| it.position).unwrap_or_default();
        Member {
            id: self.id.clone(),
            url: self.options.url.clone(),
            role,
            epoch: at.epoch,
            sequence: at.sequence,
            answers: false,
            to: None,
            waits: follower.unfit().map(str::to_owned),
        }
    }

    /// Says that it is there, and takes the lease where nobody has it and it can lead.
    async fn beat(&self, leases: &Leases, log: &LogStream, follower: &mut Follower) -> Option<u64> {
        let mut is_late = false;
        if let Ok(extent) = log.extent().await {
            follower.compare(extent.last);
            follower.nudge(extent.last);
            is_late = follower.is_late(extent.last);
        }
        let member = self.member(MemberRole::Standby, follower);
        leases.announce(&member).await;
        let looked = leases.look().await;
        // When all come back to a bus that was away, who leads is to renew its lease first.
        let is_early = {
            let mut unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_err() {
                *unheard = Some(Instant::now());
            }
            unheard.is_some_and(|it| it.elapsed() < leases.lasts)
        };
        // What is given on to this one is for nobody else to take.
        let free = match looked {
            Ok(None) => Some(0),
            Ok(Some(held)) if held.is_given_to(&self.id) => Some(held.sequence),
            _ => None,
        };
        let free = free.filter(|it| *it > 0 || !is_early)?;
        if member.waits.is_some() {
            return None;
        }
        // Whoever is further ahead takes over sooner; where nobody is, this one catches up first.
        if is_late {
            return None;
        }
        let member = Member { role: MemberRole::Leader, ..member };
        // What cannot be told is found out by the next beat.
        leases.hold(free, &member).await.ok().flatten()
    }

    async fn take_over(
        &self,
        held: u64,
        follower: Follower,
        log: &Arc<LogStream>,
        sealer: &Arc<Sealer>,
        leases: &Arc<Leases>,
    ) -> Result<(SledJournal, Leadership), FollowError> {
        let keeper = Arc::new(Keeper {
            leases: leases.clone(),
            held: watch::Sender::new(held),
            appender: watch::Sender::new(None),
            answers: watch::Sender::new(false),
            member: self.member(MemberRole::Leader, &follower),
        });
        let keeping = tokio::spawn({
            let keeper = keeper.clone();
            async move { keeper.run().await }
        });
        let takeover = Takeover {
            log,
            sealer,
            bus: &self.bus,
            prefix: &self.options.prefix,
            url: &self.options.url,
            lasts: leases.lasts,
            directory: &self.directory,
        };
        match takeover.run(follower).await {
            Ok((appender, journal)) => {
                keeper.appender.send_replace(Some(appender.clone()));
                let telling = tokio::spawn(tell_files(appender.clone(), self.directory.clone()));
                let tasks = vec![keeping, telling];
                let (line, forwarder) = (self.line.clone(), self.forwarder());
                let moves = mpsc::channel(1);
                let directory = self.directory.clone();
                let leads =
                    Leadership { appender, directory, keeper, line, forwarder, moves, tasks };
                Ok((journal, leads))
            }
            Err(error) => {
                keeping.abort();
                let held = *keeper.held.borrow();
                leases.release(held).await;
                Err(error)
            }
        }
    }
}

impl Keeper {
    /// Renews the lease until somebody else has it.
    async fn run(&self) {
        let mut beats = tokio::time::interval(self.leases.beat());
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut answers = self.answers.subscribe();
        loop {
            tokio::select! {
                _ = beats.tick() => {}
                // The others are to know at once.
                _ = answers.changed() => {}
            }
            let appender = self.appender.borrow().clone();
            let at = appender.as_ref().map(|it| it.last_if_idle()).unwrap_or_default();
            let sequence = at.sequence.max(self.member.sequence);
            let epoch = at.epoch.max(self.member.epoch);
            let answers = *self.answers.borrow();
            let member = Member { epoch, sequence, answers, ..self.member.clone() };
            let held = *self.held.borrow();
            let held = match self.leases.hold(held, &member).await {
                Ok(None) => self.lost(&member).await,
                renewed => renewed,
            };
            match held {
                Ok(Some(held)) => {
                    self.held.send_replace(held);
                    if let Some(appender) = &appender {
                        appender.renewed();
                    }
                    self.leases.announce(&member).await;
                }
                Ok(None) => {
                    if let Some(appender) = &appender {
                        let why = "the lease is another one's".to_owned();
                        appender.end(Ended::Fenced(why));
                    }
                    return;
                }
                // Who leads is the log's to say: it goes on.
                Err(away) => tracing::debug!(%away, "the lease was not renewed"),
            }
        }
    }

    /// The lease is not as it was: over, and taken again, or another one's.
    async fn lost(&self, member: &Member) -> Result<Option<u64>, Away> {
        match self.leases.look().await? {
            None => self.leases.hold(0, member).await,
            // Its answer did not come.
            Some(held) if held.by.as_ref().is_some_and(|it| it.id == member.id) => {
                Ok(Some(held.sequence))
            }
            Some(_) => Ok(None),
        }
    }
}

async fn tell_files(appender: Arc<Appender>, directory: PathBuf) {
    let mut told = files::Told::default();
    let mut looks = tokio::time::interval(Duration::from_millis(limits::CLUSTER_FILES_MS));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let (appender, directory) = (appender.clone(), directory.clone());
        let telling = tokio::task::spawn_blocking(move || {
            let done = told.tell(&appender, &directory);
            (told, done)
        });
        let Ok((back, done)) = telling.await else { return };
        told = back;
        match done {
            Ok(()) => {}
            Err(JournalError::Fenced(_) | JournalError::LogAway) => return,
            Err(error) => tracing::error!(%error, "a file beside the journal is not in the log"),
        }
    }
}

impl Leadership {
    /// Tells when it ends.
    #[must_use]
    pub fn ends(&self) -> Ends {
        Ends(self.appender.clone())
    }

    /// Requests that the other coordinators pass on, until they are not taken any more.
    #[must_use]
    pub fn passed(&self) -> mpsc::Receiver<Passed> {
        let (sender, passed) = mpsc::channel(limits::CLUSTER_PASSED);
        let taken = Taken { passed: sender, moves: self.moves.0.clone() };
        tokio::spawn(forward::listen(self.line.clone(), taken, self.keeper.answers.clone()));
        passed
    }

    /// The next order to hand over.
    pub async fn next_move(&mut self) -> Option<MoveOrder> {
        self.moves.1.recv().await
    }

    /// Passes on what it is asked, to itself while it leads.
    #[must_use]
    pub fn forwarder(&self) -> Forwarder {
        self.forwarder.clone()
    }

    /// The standby that can take over, by the address that it advertises or the name of its
    /// process; the one that is furthest where none is named.
    ///
    /// # Errors
    /// In words, when there is none.
    pub async fn successor(&self, named: Option<&str>) -> Result<Member, String> {
        let members = self.keeper.leases.members().await.map_err(|it| it.to_string())?;
        let own = &self.keeper.member.id;
        let mut standbys: Vec<_> = members
            .into_iter()
            .filter(|it| it.id != *own && it.role == MemberRole::Standby)
            .filter(|it| named.is_none_or(|name| it.url == name || it.id == name))
            .collect();
        standbys.sort_by_key(|it| (it.waits.is_none(), it.sequence));
        match (standbys.pop(), named) {
            (Some(Member { waits: Some(waits), url, .. }), _) => {
                Err(format!("{url} cannot take over: it {waits}"))
            }
            (Some(member), _) => Ok(member),
            (None, Some(name)) => Err(format!(
                "there is no standby `{name}`: write the address of one, as `windlass cluster status` \
                 shows it"
            )),
            (None, None) => Err("there is no standby".to_owned()),
        }
    }

    /// Why it has ended, where that was not this process's own doing.
    #[must_use]
    pub fn why_ended(&self) -> Option<JournalError> {
        let ended = self.appender.ended().borrow().clone();
        ended.filter(|it| *it != Ended::Stopping).map(Ended::error)
    }

    /// Writes that were refused since it ended.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.appender.refused()
    }

    /// What waits for the log is given up after a while: the process ends.
    pub fn stop_soon(&self) {
        let appender = self.appender.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(limits::CLUSTER_STOP_MS)).await;
            appender.end(Ended::Stopping);
        });
    }

    /// Gives the lease on, or back, once the journal is closed: that one, or another one, takes
    /// over at once.
    pub async fn release(self, to: Option<Member>) {
        // A token that was revoked a moment ago is to be revoked at the next one as well.
        let (appender, directory) = (self.appender.clone(), self.directory);
        let telling =
            tokio::task::spawn_blocking(move || files::Told::default().tell(&appender, &directory));
        let within = Duration::from_millis(limits::CLUSTER_FILES_MS);
        match tokio::time::timeout(within, telling).await {
            Ok(Ok(Ok(()))) => {}
            _ => tracing::warn!("what was last changed beside the journal may not be in the log"),
        }
        self.appender.end(Ended::Stopping);
        let at = self.appender.last_if_idle();
        for task in self.tasks {
            task.abort();
            // One that renews the lease a moment later would take back what is given on.
            let _ = task.await;
        }
        let (leases, own) = (&self.keeper.leases, &self.keeper.member);
        // It may have been renewed in the moment in which that was ended.
        let seen = leases.look().await.ok().flatten();
        let seen = seen.filter(|it| it.by.as_ref().is_some_and(|it| it.id == own.id));
        let held = seen.map_or(*self.keeper.held.borrow(), |it| it.sequence);
        let to = to.map(|it| it.id);
        if to.is_some() {
            let (epoch, sequence) = (at.epoch, at.sequence);
            let member = Member { to, epoch, sequence, ..own.clone() };
            if matches!(leases.hold(held, &member).await, Ok(Some(_))) {
                return;
            }
        }
        leases.release(held).await;
    }
}

/// Tells when a leadership ends.
pub struct Ends(Arc<Appender>);

impl Ends {
    /// Returns when another coordinator leads or the log cannot be used.
    pub async fn ended(&mut self) {
        let mut ended = self.0.ended();
        let is_over = |it: &Option<Ended>| it.as_ref().is_some_and(|it| *it != Ended::Stopping);
        if ended.wait_for(is_over).await.is_err() {
            // The sender lives in `self`.
            std::future::pending::<()>().await;
        }
    }
}
