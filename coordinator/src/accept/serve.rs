//! The server: a listener, its connections, and an orderly end.
//!
//! Who opens connections and sends nothing, or half of something, keeps nobody out: what is idle or
//! unfinished makes room for what is new, and no phase of a connection lasts for ever.

mod connection;
mod handshake;
pub(super) mod sockets;
mod tls;

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use windlass_proto::audit::AuditAction;
use windlass_proto::limits::{API_ACCEPT_PAUSE_MS, API_DRAIN_MS, API_SWEEP_MS, CLUSTER_AGAIN_MS};
use windlass_telemetry::{MetricPusher, TelemetryCounts};

pub use tls::{Tls, TlsError, TlsFiles};

use self::sockets::{Phase, Sockets};
use super::limits::ConnectionLimits;
use super::problem::ApiProblem;
use super::session::Pages;
use super::standby::{Client, Guard, Standby};
use super::state::{Api, Closing};
use super::{gate, metrics, routes, standby};
use crate::access::Access;
use crate::cluster::{Forwarder, Passed};
use crate::code::Code;
use crate::coordinator::{Coordinator, Operator};

/// Who can reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// This machine alone: requests must name it as their host.
    Loopback,
    /// A network: whoever reaches it can command it.
    Network,
}

/// Where the API listens, and how.
#[derive(Debug)]
pub struct Listeners {
    /// For the API.
    pub api: TcpListener,
    /// Who can reach it.
    pub exposure: Exposure,
    /// What its connections are secured with; plain HTTP without.
    pub tls: Option<Arc<Tls>>,
    /// Who may do what; without it whoever reaches the API may do everything.
    pub access: Option<Arc<Access>>,
    /// Whether there are pages for browsers, under `/ui`.
    pub pages: bool,
    /// A port for health and metrics, in plain HTTP. With it, the API's own has no metrics.
    pub admin: Option<TcpListener>,
    /// What the other coordinators of a cluster pass on, where there are any.
    pub passed: Option<mpsc::Receiver<Passed>>,
}

impl Listeners {
    /// The same ports once more: who waits for its turn answers on them until it leads.
    ///
    /// # Errors
    /// When descriptors are short.
    pub fn shared(&self) -> io::Result<Self> {
        let again = |it: &TcpListener| {
            let descriptor = it.as_fd().try_clone_to_owned()?;
            TcpListener::from_std(std::net::TcpListener::from(descriptor))
        };
        let admin = self.admin.as_ref().map(again).transpose()?;
        let (tls, access) = (self.tls.clone(), self.access.clone());
        let (exposure, pages) = (self.exposure, self.pages);
        Ok(Self { api: again(&self.api)?, exposure, tls, access, pages, admin, passed: None })
    }
}

/// What is told and pushed of telemetry.
#[derive(Debug)]
pub struct Export {
    /// What became of spans, log records and metrics.
    pub counts: Arc<TelemetryCounts>,
    /// Sends metrics; none where that is off.
    pub pusher: Option<MetricPusher>,
}

/// Serves the API until `stop` completes, then lets requests under way end, for a bounded time.
/// What `/metrics` tells is pushed meanwhile, where `export` says so.
///
/// # Errors
/// When the system gives no randomness. A listener that fails is tried again.
pub async fn serve(
    listeners: Listeners,
    coordinator: Coordinator,
    limits: ConnectionLimits,
    export: Option<Export>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let Listeners { api: listener, exposure, tls, access, pages, admin, passed } = listeners;
    let (counts, pusher) = export.map(|it| (it.counts, it.pusher)).unzip();
    let api = Api::new(
        coordinator,
        limits.within_descriptors(),
        counts,
        access.clone(),
        // Beyond this machine tokens travel by TLS, be it that of what stands before this server.
        pages.then(|| Pages::new(tls.is_some() || exposure == Exposure::Network)).transpose()?,
        routes::templates(),
    );
    let push = pusher.flatten().map(|it| it.start(metrics::source(&api)));
    let mut router = routes::routes(api.clone(), admin.is_none());
    // Which host is meant is for who was asked to say.
    let certified = tls.as_ref().is_some_and(|it| it.requires_clients());
    let (own, sockets) = (router.clone(), api.sockets.clone());
    let asks = access.is_some() || certified;
    let guard = Guard { asks, exposed: exposure == Exposure::Network };
    let mut onward = passed.map(|passed| Onward { passed, router: own, sockets, certified, guard });
    if exposure == Exposure::Loopback {
        router = router.layer(axum::middleware::from_fn(gate::loopback_host));
    }
    let following = tls.clone();
    let main = Door { listener, tls, router, sockets: api.sockets.clone() };
    let sockets = Sockets::new(ConnectionLimits::admin().within_descriptors());
    let router = routes::admin(api.clone());
    let is_local = |it: &TcpListener| it.local_addr().is_ok_and(|it| it.ip().is_loopback());
    let router = match admin.as_ref().is_some_and(is_local) {
        true => router.layer(axum::middleware::from_fn(gate::loopback_host)),
        false => router,
    };
    let admin =
        admin.map(|listener| Door { listener, tls: None, router, sockets: Arc::new(sockets) });
    let (mut connections, mut probes, mut others) =
        (JoinSet::new(), JoinSet::new(), JoinSet::new());
    tokio::select! {
        () = main.take(api.closing(), &mut connections) => {}
        () = optional(onward.as_mut().map(|it| it.take(api.closing(), &mut others))) => {}
        () = optional(admin.as_ref().map(|it| it.take(api.closing(), &mut probes))) => {}
        () = optional(following.map(Tls::follow)) => {}
        () = optional(access.map(|it| it.follow(|change| told(&api, change)))) => {}
        () = stop => {}
    }
    drop((main, admin));
    api.close();
    let drained = async {
        if let Some(mut onward) = onward {
            onward.rest(api.closing(), &mut others).await;
        }
        while connections.join_next().await.is_some() {}
        while probes.join_next().await.is_some() {}
        while others.join_next().await.is_some() {}
    };
    if tokio::time::timeout(Duration::from_millis(API_DRAIN_MS), drained).await.is_err() {
        tracing::warn!("shutdown timed out with requests in progress");
    }
    if let Some(push) = push {
        push.finish().await;
    }
    Ok(())
}

/// Passes on what comes to the same ports while another coordinator leads, until `stop` completes;
/// then lets requests under way end, for a bounded time. The leader is told whether this one `asks`
/// who clients are, which it leaves to the leader to do.
///
/// # Errors
/// When a port cannot be shared.
pub async fn serve_standby(
    listeners: Listeners,
    (forwarder, asks): (Forwarder, bool),
    limits: ConnectionLimits,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let Listeners { api, exposure, tls, admin, .. } = listeners;
    let asks = asks || tls.as_ref().is_some_and(|it| it.requires_clients());
    let guard = Guard { asks, exposed: exposure == Exposure::Network };
    let standby = Standby { forwarder, guard };
    let is_local = |it: &TcpListener| it.local_addr().is_ok_and(|it| it.ip().is_loopback());
    let door = |listener: TcpListener, router: Router, tls, limits: ConnectionLimits, guarded| {
        let router = match guarded {
            true => router.layer(axum::middleware::from_fn(gate::loopback_host)),
            false => router,
        };
        let sockets = Arc::new(Sockets::new(limits.within_descriptors()));
        Door { listener, tls, router, sockets }
    };
    let following = tls.clone();
    let main =
        door(api, standby::router(standby.clone()), tls, limits, exposure == Exposure::Loopback);
    let admin = admin.map(|it| {
        let guarded = is_local(&it);
        door(it, standby::admin(standby.clone()), None, ConnectionLimits::admin(), guarded)
    });
    let closing = Closing::default();
    let (mut connections, mut probes) = (JoinSet::new(), JoinSet::new());
    tokio::select! {
        () = main.take(&closing, &mut connections) => {}
        () = optional(admin.as_ref().map(|it| it.take(&closing, &mut probes))) => {}
        () = optional(following.map(Tls::follow)) => {}
        () = stop => {}
    }
    drop((main, admin));
    closing.close();
    let drained = async {
        while connections.join_next().await.is_some() {}
        while probes.join_next().await.is_some() {}
    };
    // What waits for a leader has one, as this coordinator leads now.
    let _ = tokio::time::timeout(Duration::from_millis(API_DRAIN_MS), drained).await;
    Ok(())
}

/// Tells the audit trail that the rules of access change; false when it cannot be told.
async fn told(api: &Api, change: Result<String, String>) -> bool {
    let coordinator = &api.coordinator;
    let (action, by) = (AuditAction::AccessChanged, Operator::default());
    match change {
        Ok(digest) => {
            let detail = format!("read anew, digest {digest}");
            coordinator.audited(action, detail, &by).await.is_ok()
        }
        Err(reason) => {
            coordinator.refused(action, reason, &by);
            true
        }
    }
}

/// Never ends where there is nothing to do.
async fn optional(work: Option<impl Future<Output = ()>>) {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// A port that is listened on.
struct Door {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    sockets: Arc<Sockets>,
}

impl Door {
    /// Takes connections, and closes those whose time is over. Does not end by itself.
    async fn take(&self, closing: &Closing, connections: &mut JoinSet<()>) {
        let mut sweeps = tokio::time::interval(Duration::from_millis(API_SWEEP_MS));
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                // Nobody is woken for nothing.
                _ = sweeps.tick(), if !connections.is_empty() => {
                    self.sockets.sweep();
                    while connections.try_join_next().is_some() {}
                    continue;
                }
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                // That one is gone; the next one has nothing to do with it.
                Err(error) if is_of_one(&error) => continue,
                Err(error) => {
                    // Most likely descriptors are short, so one connection makes room for the next.
                    self.sockets.make_room();
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(API_ACCEPT_PAUSE_MS)).await;
                    continue;
                }
            };
            // Without it an answer may only be a little later.
            let _ = stream.set_nodelay(true);
            let Some(place) = self.sockets.enter(address.ip()) else {
                // Words would have to be said in TLS, which costs what is short.
                if self.tls.is_none() {
                    connections.spawn(refuse(stream));
                }
                continue;
            };
            let tls = self.tls.as_ref().map(|it| it.acceptor());
            if tls.is_some() {
                // Its handshake has begun: as bounded as the head of a request is, and as soon
                // given up for others, also before its task first runs.
                place.socket.enters(Phase::Head);
            }
            let (router, closing) = (self.router.clone(), closing.clone());
            connections.spawn(async move {
                connection::serve(stream, tls, place, router, closing.closed()).await;
            });
        }
    }
}

/// What the other coordinators of a cluster pass on.
struct Onward {
    passed: mpsc::Receiver<Passed>,
    router: Router,
    sockets: Arc<Sockets>,
    /// True where only clients with a certificate are let in.
    certified: bool,
    /// How this one lets clients in itself.
    guard: Guard,
}

impl Onward {
    /// Takes them. Does not end by itself.
    async fn take(&mut self, closing: &Closing, connections: &mut JoinSet<()>) {
        loop {
            let next = tokio::select! {
                next = self.passed.recv() => next,
                Some(_) = connections.join_next() => continue,
            };
            let Some(passed) = next else { return std::future::pending().await };
            self.serve(passed, closing, connections);
        }
    }

    /// Takes no more but those that were welcome already.
    async fn rest(&mut self, closing: &Closing, connections: &mut JoinSet<()>) {
        self.passed.close();
        while let Some(passed) = self.passed.recv().await {
            self.serve(passed, closing, connections);
        }
    }

    fn serve(&self, passed: Passed, closing: &Closing, connections: &mut JoinSet<()>) {
        // Whoever was to let nobody in without a certificate is not configured as this one is.
        let Some(mut client) = Client::read(&passed) else { return };
        let certificate = client.certificate();
        if self.certified && certificate.is_none() {
            tracing::warn!(via = %client.via, "a request without a certificate was passed on");
            return;
        }
        if !self.guard.takes_from(client.guard) {
            tracing::debug!(via = %client.via, "what was passed on is refused: {UNGUARDED}");
            let problem = ApiProblem::new(Code::Standby, UNGUARDED);
            let problem = problem.retry_after(Duration::from_millis(CLUSTER_AGAIN_MS));
            connections.spawn(refuse_passed(passed.stream, problem));
            return;
        }
        let Some(place) = self.sockets.enter(client.address) else { return };
        let (router, closing) = (self.router.clone(), closing.clone());
        connections.spawn(async move {
            let (stream, stop) = (passed.stream, closing.closed());
            connection::passed(stream, certificate, client.via, place, router, stop).await;
        });
    }
}

fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Why a leader that asks nobody takes nothing of those that do.
const UNGUARDED: &str = "the leader asks nobody who they are, and the coordinator that was asked \
    does or can be reached from other machines: start all coordinators of a cluster with the same \
    --auth, --tls-client-ca and --bind";

/// Says why a request that was passed on is not served.
async fn refuse_passed(mut stream: DuplexStream, problem: ApiProblem) {
    let answered = async {
        let _ = stream.write_all(problem.to_http().as_bytes()).await;
        // What comes of the request is not looked at; to leave it would look like a loss.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    };
    let _ = tokio::time::timeout(Duration::from_millis(API_DRAIN_MS), answered).await;
}

/// Says why a connection is not served, to whoever reads it.
async fn refuse(mut stream: TcpStream) {
    let wait = Duration::from_secs(1);
    let answer = ApiProblem::overloaded("too many connections are open", wait).to_http();
    let sent = stream.write_all(answer.as_bytes());
    // It fits into the socket's buffer, or nobody reads it.
    let _ = tokio::time::timeout(Duration::from_millis(API_ACCEPT_PAUSE_MS), sent).await;
}
