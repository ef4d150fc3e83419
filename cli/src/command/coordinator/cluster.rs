//! A coordinator that is one of a cluster: it waits for its turn, and leads for as long as it may.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};
use windlass_coordinator::cluster::{
    ClusterOptions, Leadership, Member, MoveOrder, Passed, Standby,
};
use windlass_coordinator::coordinator::{Coordinator, CoordinatorError};
use windlass_coordinator::journal::sled::{Options, SledJournal};
use windlass_proto::limits;
use windlass_proto::wire::key::CoordinatorKey;
use windlass_proto::wire::subject::Prefix;
use windlass_worker::fleet::bus::Bus;

use crate::error::CliError;
use crate::options::duration;
use crate::serve::Bound;
use crate::{key, output, signal};

/// Which cluster, and how. See docs/cluster.md.
#[derive(clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// Be one of the coordinators of this cluster: one leads, the others follow its log in NATS and
    /// one of them takes over when it is gone. All are given the same --key-file
    #[arg(long, env = "WINDLASS_CLUSTER", value_name = "NAME", value_parser = name)]
    cluster: Option<String>,
    /// NATS servers that keep a copy of the cluster's log, where it is made: 1 or 3
    #[arg(long, env = "WINDLASS_CLUSTER_REPLICAS", default_value_t = 1, value_name = "NUMBER",
        value_parser = replicas)]
    replicas: u8,
    /// A key, as `windlass coordinator key` makes one in --key-file, that seals the cluster's log
    /// and that all its coordinators are given [default: that of --key-file]
    #[arg(long, env = "WINDLASS_CLUSTER_KEY", value_name = "FILE")]
    cluster_key: Option<PathBuf>,
    /// Where clients reach this coordinator: what a standby tells those who ask it [default: where
    /// it listens]
    #[arg(long, env = "WINDLASS_ADVERTISE", value_name = "URL", value_parser = advertised)]
    advertise: Option<String>,
    /// How long a leader that is not heard of keeps others from taking over, where the cluster is
    /// new
    #[arg(long, env = "WINDLASS_CLUSTER_LEASE", default_value = "2s", value_name = "DURATION",
        value_parser = lease)]
    cluster_lease: Duration,
}

/// The name of a cluster: part of the names of streams, which differ by more than case.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let fits = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-' || it == b'_';
    match !text.is_empty() && text.len() <= limits::POOL_NAME_BYTES && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => {
            Err("a cluster's name consists of lower case letters, digits, `-` and `_`".to_owned())
        }
    }
}

fn replicas(text: &str) -> Result<u8, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("the log has 1 or 3 replicas".to_owned()),
    }
}

fn advertised(text: &str) -> Result<String, String> {
    let is_http = ["http://", "https://"].iter().any(|it| text.starts_with(it));
    // A name with a password in it would be told to everybody.
    match is_http && text.is_ascii() && !text.contains('@') && text.len() <= limits::ADVERTISE_BYTES
    {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err("write http://HOST:PORT or https://HOST:PORT".to_owned()),
    }
}

fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    let milliseconds = |it| Duration::from_millis(it);
    let bounds =
        milliseconds(limits::CLUSTER_LEASE_LEAST_MS)..=milliseconds(limits::CLUSTER_LEASE_MOST_MS);
    match bounds.contains(&lease) {
        true => Ok(lease),
        false => Err("a lease lasts from 500ms to 60s".to_owned()),
    }
}

impl ClusterArgs {
    /// None where this coordinator is alone.
    ///
    /// # Errors
    /// When the cluster's key cannot be read.
    pub(super) fn options(
        &self,
        own: &CoordinatorKey,
        prefix: &Prefix,
        domain: Option<&str>,
        url: &str,
    ) -> Result<Option<ClusterOptions>, CliError> {
        let Some(name) = self.cluster.clone() else { return Ok(None) };
        let mut options = match &self.cluster_key {
            Some(file) => ClusterOptions::new(name, prefix.clone(), &key::existing(file)?),
            None => ClusterOptions::new(name, prefix.clone(), own),
        };
        options.replicas = self.replicas;
        options.lasts = self.cluster_lease;
        options.domain = domain.map(str::to_owned);
        options.url = self.advertise.clone().unwrap_or_else(|| url.to_owned());
        Ok(Some(options))
    }
}

/// A coordinator that leads its cluster.
pub(super) struct Led {
    leadership: Leadership,
    /// Answers for as long as nothing else does.
    answering: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// Ends the serving, as another coordinator is to lead.
    hands_over: Arc<Notify>,
    /// The one that was asked for.
    to: Option<Member>,
    /// Passes on to the next leader once this one serves no more.
    after: Option<After>,
}

/// What passes on once this coordinator serves no more.
struct After {
    stop: oneshot::Sender<()>,
    answering: oneshot::Receiver<JoinHandle<()>>,
}

/// Follows until this coordinator leads; gives the journal to lead with.
///
/// # Errors
/// When what is here or the log cannot be used, or the process is to end.
pub(super) async fn lead(
    options: ClusterOptions,
    bound: &Bound,
    bus: &Bus,
    directory: &Path,
    journal: &Options,
) -> Result<(SledJournal, Led), CliError> {
    let stop = signal::stop();
    let cluster = options.name.clone();
    let standby = Standby::new(options, bus.clone(), directory.to_owned(), *journal);
    let (stopping, stopped) = oneshot::channel();
    let answers = bound.answer_as_standby(standby.forwarder(), stopped)?;
    let answering = Some((stopping, tokio::spawn(answers)));
    output::message(&format!("standby of the cluster {cluster} on {}", bound.url()));
    tokio::select! {
        led = standby.lead() => {
            let (journal, leadership) = led.map_err(CoordinatorError::from)?;
            output::message(&format!("leads the cluster {cluster}"));
            let (hands_over, to, after) = Default::default();
            Ok((journal, Led { leadership, answering, hands_over, to, after }))
        }
        () = stop => Err(CliError::Interrupted),
    }
}

impl Led {
    /// Waits until the journal is open. A log that is away may hold that up, and the process can be
    /// stopped meanwhile.
    pub(super) async fn while_opening<T>(
        &self,
        mut opening: JoinHandle<T>,
    ) -> Result<Result<T, JoinError>, CliError> {
        tokio::select! {
            opened = &mut opening => Ok(opened),
            () = signal::stop() => {
                self.stop_soon();
                let _ = opening.await;
                Err(CliError::Interrupted)
            }
        }
    }

    /// What the other coordinators pass on.
    pub(super) fn passed(&self) -> mpsc::Receiver<Passed> {
        self.leadership.passed()
    }

    /// Completes when another coordinator is to lead, or `stop` does: what comes to the ports from
    /// then on waits for the next leader, and is passed on to it.
    pub(super) fn until_handed_over(
        &mut self,
        bound: &Bound,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Pin<Box<dyn Future<Output = ()> + Send>>, CliError> {
        let (stopping, stopped) = oneshot::channel();
        // The ports are open for it from here on.
        let answers = bound.answer_as_standby(self.leadership.forwarder(), stopped)?;
        let (spawned, answering) = oneshot::channel();
        self.after = Some(After { stop: stopping, answering });
        let (hands_over, stop) = (self.hands_over.clone(), Box::pin(stop));
        Ok(Box::pin(async move {
            tokio::select! {
                () = hands_over.notified() => {}
                () = stop => {}
            }
            // Nobody takes it where the process ends at once.
            let _ = spawned.send(tokio::spawn(answers));
        }))
    }

    /// Whether it hands over to who is asked for.
    async fn may_move(
        &self,
        coordinator: &Coordinator,
        order: &MoveOrder,
    ) -> Result<Member, String> {
        let to = self.leadership.successor(Some(&order.to)).await?;
        let audited = coordinator.moves_leadership(&to.url, &order.by).await;
        audited.map_err(|error| error.to_string())?;
        Ok(to)
    }

    /// Takes orders to hand over, until one is followed.
    async fn moved(&mut self, coordinator: &Coordinator) {
        while let Some(order) = self.leadership.next_move().await {
            match self.may_move(coordinator, &order).await {
                Ok(to) => {
                    output::message(&format!("hands over to {}", to.url));
                    self.to = Some(to);
                    order.answer(None).await;
                    self.hands_over.notify_one();
                    break;
                }
                Err(why) => {
                    coordinator.refuses_to_move(&order.to, &order.by, &why);
                    order.answer(Some(why)).await;
                }
            }
        }
        std::future::pending().await
    }

    /// Serves for as long as this coordinator leads.
    pub(super) async fn while_leading(
        &mut self,
        coordinator: &Coordinator,
        served: impl Future<Output = Result<(), CliError>>,
    ) -> Result<(), CliError> {
        if let Some((stop, _)) = self.answering.take() {
            // What waits there for a leader is answered while this one serves already. It may have
            // ended by itself.
            let _ = stop.send(());
        }
        let mut ended = self.leadership.ends();
        let served = tokio::select! {
            served = served => Some(served),
            () = ended.ended() => None,
            () = self.moved(coordinator) => None,
        };
        match (self.leadership.why_ended(), served) {
            (Some(why), _) => {
                let refused = self.leadership.refused();
                output::message(&format!("writes that were refused: {refused}"));
                Err(CoordinatorError::from(why).into())
            }
            (None, served) => served.unwrap_or(Ok(())),
        }
    }

    /// What waits for a log that is away is given up after a while.
    pub(super) fn stop_soon(&self) {
        self.leadership.stop_soon();
    }

    /// Lets another one take over at once, and passes on to it what has come meanwhile.
    pub(super) async fn release(self, served: Result<(), CliError>) -> Result<(), CliError> {
        let Self { leadership, to, after, .. } = self;
        let is_moved = to.is_some();
        let to = match (to, &served) {
            (Some(to), _) => Some(to),
            // Where nobody can, whoever can later finds the lease free.
            (None, Ok(())) => leadership.successor(None).await.ok(),
            (None, Err(_)) => None,
        };
        let passes_on = to.is_some() && served.is_ok();
        let forwarder = leadership.forwarder();
        leadership.release(to).await;
        if let Some(mut after) = after
            && let Ok(answering) = after.answering.try_recv()
        {
            if passes_on {
                forwarder.answered().await;
            }
            let _ = after.stop.send(());
            // Each of them has a bound of its own.
            let _ = answering.await;
        }
        match served {
            Ok(()) if is_moved => Err(CliError::Anew),
            served => served,
        }
    }
}
