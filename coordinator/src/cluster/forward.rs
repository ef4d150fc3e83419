//! Requests that a standby passes on to the leader, and what the leader takes of them: a pipe each.
//!
//! ```text
//!  standby ── hello: chance ──> leader        nothing of the request yet: it may be repeated
//!          <── welcome: chance ─
//!          ── purpose, bytes ─> <── bytes ──  under a key of both
//! ```
//!
//! Whose lease it is says whom to ask, and each process has a name of its own: what was meant for
//! one that is gone is heard by nobody, and the bus says so at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use uuid::Uuid;
use windlass_bus::{Bus, Message};
use windlass_proto::limits;
use windlass_proto::wire::subject::Prefix;

use super::entry::Sealer;
use super::pipe::{Pipe, Pipes};
use super::{Leader, StandbyView};

/// Begins a pipe.
#[derive(Serialize, Deserialize)]
struct Hello {
    /// The name of the pipe.
    pipe: Uuid,
    /// Chance.
    nonce: Uuid,
    /// The process that asks.
    from: String,
}

/// Answers a hello.
#[derive(Serialize, Deserialize)]
struct Welcome {
    /// Chance of the other end.
    nonce: Uuid,
}

/// What a pipe is for.
#[derive(Serialize, Deserialize)]
enum Purpose {
    /// A request, of whom somebody else says the rest.
    Request(String),
    /// To hand over, for whom and to whom.
    Move { by: String, to: String },
}

/// How a process of a cluster speaks with the others.
pub(super) struct Line {
    bus: Bus,
    prefix: Prefix,
    cluster: String,
    sealer: Arc<Sealer>,
    /// The name of this process.
    id: String,
    pipes: Arc<Pipes>,
}

impl Line {
    pub(super) fn new(
        bus: Bus,
        prefix: Prefix,
        cluster: String,
        sealer: Arc<Sealer>,
        id: String,
    ) -> Self {
        let own = prefix.cluster_pipes(&cluster, &id);
        let pipes = Pipes::new(bus.client.clone(), own);
        Self { bus, prefix, cluster, sealer, id, pipes }
    }

    /// Hears what the other ends of pipes send. Does not end by itself.
    pub(super) async fn run(&self) {
        self.pipes.run().await;
    }

    /// A pipe to a process; none where it does not answer. Nothing has been asked for then.
    async fn open(&self, peer: &str) -> Option<Pipe> {
        let subject = self.prefix.cluster_ask(&self.cluster, peer);
        let hello = Hello { pipe: Uuid::new_v4(), nonce: Uuid::new_v4(), from: self.id.clone() };
        let said = serde_json::to_vec(&hello).ok()?;
        let sealed = self.sealer.seal_member(&subject, &said).ok()?;
        let asked = self.bus.client.request(subject.clone(), sealed.into());
        let patience = Duration::from_millis(limits::CLUSTER_REQUEST_MS);
        let answer = timeout(patience, asked).await.ok()?.ok()?;
        let said = self.sealer.open_member(&welcoming(&subject, &hello), &answer.payload)?;
        let welcome: Welcome = serde_json::from_slice(&said).ok()?;
        Some(self.pipe(&hello, &welcome, peer, 0))
    }

    fn pipe(&self, hello: &Hello, welcome: &Welcome, peer: &str, side: u8) -> Pipe {
        let (one, other) = (hello.nonce.as_bytes(), welcome.nonce.as_bytes());
        let cipher = self.sealer.pipe(&[hello.pipe.as_bytes(), &one[..], &other[..]].concat());
        let peer = self.prefix.cluster_pipes(&self.cluster, peer);
        self.pipes.pipe(hello.pipe.simple().to_string(), &peer, cipher, side)
    }

    /// Answers a hello; the pipe says what it is for later.
    async fn welcome(&self, message: &Message) -> Option<Pipe> {
        let reply = message.reply.clone()?;
        let said = self.sealer.open_member(&message.subject, &message.payload)?;
        let hello: Hello = serde_json::from_slice(&said).ok()?;
        let welcome = Welcome { nonce: Uuid::new_v4() };
        let said = serde_json::to_vec(&welcome).ok()?;
        let scope = welcoming(&message.subject, &hello);
        let sealed = self.sealer.seal_member(&scope, &said).ok()?;
        // Its frames may come as soon as it is welcome.
        let pipe = self.pipe(&hello, &welcome, &hello.from, 1);
        let sent = self.bus.client.publish(reply, sealed.into());
        let patience = Duration::from_millis(limits::CLUSTER_REQUEST_MS);
        timeout(patience, sent).await.ok()?.ok()?;
        Some(pipe)
    }
}

/// What an answer to a hello is sealed for.
fn welcoming(subject: &str, hello: &Hello) -> String {
    format!("{subject} {} {}", hello.pipe, hello.nonce)
}

/// Passes requests on to whoever leads; cheap to clone.
#[derive(Clone)]
pub struct Forwarder {
    line: Arc<Line>,
    view: Arc<watch::Sender<StandbyView>>,
    url: Arc<str>,
}

/// A way to the leader.
#[derive(Debug)]
pub struct Forwarded {
    /// What is written is read by the leader, and the other way round.
    pub stream: DuplexStream,
    /// Where the leader answers.
    pub leader: String,
}

impl Forwarder {
    pub(super) fn new(
        line: Arc<Line>,
        view: Arc<watch::Sender<StandbyView>>,
        url: Arc<str>,
    ) -> Self {
        Self { line, view, url }
    }

    /// Where this coordinator answers.
    #[must_use]
    pub fn url(&self) -> &Arc<str> {
        &self.url
    }

    /// What is known of the leader.
    #[must_use]
    pub fn view(&self) -> StandbyView {
        self.view.borrow().clone()
    }

    /// Returns when another coordinator answers, or nobody does for a while.
    pub async fn answered(&self) {
        let mut view = self.view.subscribe();
        let own = &self.line.id;
        let other = view.wait_for(|it| it.leader.as_ref().is_some_and(|it| it.id != *own));
        // Whoever waits here for longer is told so.
        let _ = timeout(Duration::from_millis(limits::CLUSTER_ELECTION_MS), other).await;
    }

    /// A way to the leader for one request, of which `said` tells what the leader needs to know.
    /// While nobody leads it waits a moment; none where that was not enough. Nothing has been asked
    /// for then.
    pub async fn open(&self, said: String) -> Option<Forwarded> {
        let purpose = serde_json::to_vec(&Purpose::Request(said)).ok()?;
        let (mut view, began) = (self.view.subscribe(), Instant::now());
        let most = Duration::from_millis(limits::CLUSTER_ELECTION_MS);
        while let Some(left) = most.checked_sub(began.elapsed()) {
            let leader = match timeout(left, view.wait_for(|it| it.leader.is_some())).await {
                Ok(Ok(seen)) => seen.leader.clone()?,
                _ => return None,
            };
            if let Some(pipe) = self.line.open(&leader.id).await
                && pipe.say(&purpose).await.is_ok()
            {
                return Some(Forwarded { stream: pipe.start(), leader: leader.url });
            }
            // It does not answer: whoever reads the lease says whether it is still the one.
            self.view.send_if_modified(|it| it.lose(&leader));
        }
        None
    }
}

/// A request that another coordinator passes on to this one.
#[derive(Debug)]
pub struct Passed {
    /// What that says of it.
    pub said: String,
    /// The request, and the way of its answer.
    pub stream: DuplexStream,
}

/// Somebody who has the cluster's key wants another coordinator to lead.
#[derive(Debug)]
pub struct MoveOrder {
    /// Who, as they say.
    pub by: String,
    /// Which one: the address that it advertises, or the name of its process.
    pub to: String,
    answer: DuplexStream,
}

/// What is answered to that.
#[derive(Serialize, Deserialize)]
struct MoveAnswer {
    refused: Option<String>,
}

impl MoveOrder {
    /// Says whether it is done; why not, where it is not.
    pub async fn answer(mut self, refused: Option<String>) {
        let Ok(mut line) = serde_json::to_vec(&MoveAnswer { refused }) else { return };
        line.push(b'\n');
        // Whoever asked may be gone: they look at how the cluster stands.
        let _ = self.answer.write_all(&line).await;
        let _ = self.answer.shutdown().await;
    }
}

impl Line {
    /// Asks the leader to hand over; why it does not, where it does not.
    pub(super) async fn ask_to_move(
        &self,
        leader: &str,
        by: String,
        to: String,
    ) -> Result<(), String> {
        let lost = || "the leader does not answer: see `windlass cluster status`".to_owned();
        let purpose = serde_json::to_vec(&Purpose::Move { by, to }).map_err(|_| lost())?;
        let pipe = self.open(leader).await.ok_or_else(lost)?;
        pipe.say(&purpose).await.map_err(|_| lost())?;
        let mut answer = Vec::new();
        let read = pipe.start().take(limits::CLUSTER_CLIENT_BYTES as u64);
        let patience = Duration::from_millis(limits::CLUSTER_STATUS_MS);
        let read = timeout(patience, async { { read }.read_to_end(&mut answer).await }).await;
        if !matches!(read, Ok(Ok(_))) {
            return Err(lost());
        }
        let answer: MoveAnswer = serde_json::from_slice(&answer).map_err(|_| lost())?;
        answer.refused.map_or(Ok(()), Err)
    }
}

/// Where what others send a leader goes.
pub(super) struct Taken {
    pub(super) passed: mpsc::Sender<Passed>,
    pub(super) moves: mpsc::Sender<MoveOrder>,
}

/// Takes requests that others pass on, until nobody takes `passed` any more.
pub(super) async fn listen(line: Arc<Line>, taken: Taken, heard: watch::Sender<bool>) {
    let subject = line.prefix.cluster_ask(&line.cluster, &line.id);
    let taken = Arc::new(taken);
    let opening = Arc::new(Semaphore::new(limits::CLUSTER_PIPES_OPENING));
    loop {
        let subscribed = line.bus.client.subscribe(subject.clone()).await;
        if let Ok(mut hellos) = subscribed {
            heard.send_replace(true);
            loop {
                let hello = tokio::select! {
                    hello = hellos.next() => hello,
                    () = taken.passed.closed() => {
                        heard.send_replace(false);
                        // The process may end: the bus forgets it then.
                        let _ = hellos.unsubscribe().await;
                        return;
                    }
                };
                let Some(hello) = hello else { break };
                // Whoever says hello and nothing more takes no room for long.
                let Ok(permit) = opening.clone().try_acquire_owned() else { continue };
                let (line, taken) = (line.clone(), taken.clone());
                tokio::spawn(async move {
                    take(&line, &hello, &taken).await;
                    drop(permit);
                });
            }
        }
        tokio::time::sleep(Duration::from_millis(limits::CLUSTER_RETRY_MS)).await;
    }
}

async fn take(line: &Line, hello: &Message, taken: &Taken) {
    // Who is not answered asks again, and nothing is lost; who is answered is taken.
    let Ok(place) = taken.passed.clone().try_reserve_owned() else { return };
    let Some(mut pipe) = line.welcome(hello).await else { return };
    let patience = Duration::from_millis(limits::CLUSTER_REQUEST_MS);
    let Ok(Ok(purpose)) = timeout(patience, pipe.purpose()).await else { return };
    match serde_json::from_slice(&purpose) {
        Ok(Purpose::Request(said)) => {
            place.send(Passed { said, stream: pipe.start() });
        }
        Ok(Purpose::Move { by, to }) => {
            let _ = taken.moves.try_send(MoveOrder { by, to, answer: pipe.start() });
        }
        Err(error) => tracing::debug!(%error, "a pipe of a kind that is not known here"),
    }
}

impl StandbyView {
    /// This leader does not answer; true where that is news.
    fn lose(&mut self, leader: &Leader) -> bool {
        let is_it = self.leader.as_ref().is_some_and(|it| it.id == leader.id);
        if is_it {
            self.leader = None;
            self.lost = Some(Instant::now());
        }
        is_it
    }
}
