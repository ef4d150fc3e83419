//! The brokers of a cluster: who leads what, and a connection to each that is asked. Whatever they
//! tell of one another is an address that the worker may call, or it is not called.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use windlass_proto::limits;
use windlass_proto::problem::Problem;

use super::connection::Conversation;
use super::refusal::{LEADER_NOT_AVAILABLE, refused};
use super::sasl::{self, Outcome};
use super::wire::{FIND_COORDINATOR, METADATA, Read, Reader, Writer};
use crate::attempt::Attempt;
use crate::http_client::connect::{Peer, authority};
use crate::perform::asyncapi::login::Login;
use crate::perform::asyncapi::server::Mechanism;
use crate::perform::asyncapi::{Target, configuration};

/// See the module.
pub(super) struct Cluster {
    /// The address of the description.
    first: Peer,
    client: String,
    login: Option<Login>,
    mechanism: Mechanism,
    /// A connection to that address.
    seed: Option<Conversation>,
    brokers: BTreeMap<i32, Peer>,
    pub(super) conversations: BTreeMap<i32, Conversation>,
}

/// A partition, and the broker that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) number: i32,
    /// -1 while nobody leads it.
    pub(super) leader: i32,
}

/// What a broker tells of topics.
struct Metadata {
    brokers: Vec<(i32, String, i32)>,
    topics: Vec<(i16, String, Vec<Partition>)>,
}

impl Cluster {
    /// Connects to what `target` tells of.
    pub(super) async fn open(attempt: &Attempt<'_>, target: &Target) -> Result<Self, Problem> {
        let server = target.server();
        let login = Login::of(target.authorization.as_ref())?;
        if let (None, Some(_)) = (&login, server.mechanism) {
            let detail = "the server's security asks for a user and a password: give them in \
                          `authentication`";
            return Err(configuration(detail));
        }
        let client = target.operation.bindings.kafka.client.as_deref().unwrap_or("windlass");
        let mut cluster = Self {
            first: server.peer.clone(),
            client: client.to_owned(),
            login,
            mechanism: server.mechanism.unwrap_or(Mechanism::Scram512),
            seed: None,
            brokers: BTreeMap::new(),
            conversations: BTreeMap::new(),
        };
        cluster.seed = Some(cluster.connect(attempt, &cluster.first.clone()).await?);
        Ok(cluster)
    }

    /// A connection to `peer` that has said who asks.
    pub(super) async fn connect(
        &mut self,
        attempt: &Attempt<'_>,
        peer: &Peer,
    ) -> Result<Conversation, Problem> {
        // What a broker takes instead is asked for once.
        for is_last in [false, true] {
            let stream = attempt.worker.clients.connect(peer, attempt.caller()).await?;
            let mut conversation = Conversation::new(stream, peer.clone(), &self.client);
            let Some(login) = &self.login else { return Ok(conversation) };
            match sasl::log_in(&mut conversation, login, self.mechanism).await? {
                Outcome::Accepted => return Ok(conversation),
                Outcome::Instead(_) if is_last => {}
                Outcome::Instead(other) => self.mechanism = other,
            }
        }
        Err(peer.failed("it takes another mechanism of SASL each time"))
    }

    /// The partitions of `topic`, in the order of their numbers; waits for one that has none yet.
    pub(super) async fn partitions(
        &mut self,
        attempt: &Attempt<'_>,
        topic: &str,
    ) -> Result<Vec<Partition>, Problem> {
        let mut tries = 1;
        loop {
            let (code, partitions) = match self.topics(attempt, &[topic]).await?.pop() {
                Some((code, _, partitions)) => (code, partitions),
                None => (LEADER_NOT_AVAILABLE, Vec::new()),
            };
            match code {
                0 if partitions.iter().any(|it| it.leader >= 0) => return Ok(partitions),
                0 | LEADER_NOT_AVAILABLE if tries < limits::KAFKA_TRIES => {
                    pause().await;
                    tries += 1;
                }
                0 => return Err(refused(&self.first, LEADER_NOT_AVAILABLE)),
                code => {
                    let mut problem = refused(&self.first, code);
                    let detail = problem.detail.as_deref().unwrap_or_default();
                    problem.detail = Some(format!("{detail}, the topic {topic}").into());
                    return Err(problem);
                }
            }
        }
    }

    /// What is known of topics, with the brokers.
    pub(super) async fn topics(
        &mut self,
        attempt: &Attempt<'_>,
        topics: &[&str],
    ) -> Result<Vec<(i16, String, Vec<Partition>)>, Problem> {
        let mut asks = Writer::default();
        // None is made by asking for it.
        asks.each(topics.iter(), |it, topic| it.text(topic)).octet(0);
        let metadata = self.ask_first(attempt, METADATA, &asks, metadata).await?;
        self.brokers.clear();
        for (id, host, port) in metadata.brokers {
            if let Some(peer) = self.peer(&host, port) {
                self.brokers.insert(id, peer);
            }
        }
        // One that has moved is another.
        let brokers = &self.brokers;
        self.conversations.retain(|id, it| brokers.get(id) == Some(it.peer()));
        Ok(metadata.topics)
    }

    /// The broker that keeps `group`, or the number of why there is none.
    pub(super) async fn coordinator(
        &mut self,
        attempt: &Attempt<'_>,
        group: &str,
    ) -> Result<Result<Peer, i16>, Problem> {
        let mut asks = Writer::default();
        asks.text(group).octet(0);
        let read = |it: &mut Reader| {
            it.int()?;
            let code = it.short()?;
            it.text()?;
            it.int()?;
            Ok((code, it.text()?, it.int()?))
        };
        let (code, host, port) = self.ask_first(attempt, FIND_COORDINATOR, &asks, read).await?;
        if code != 0 {
            return Ok(Err(code));
        }
        let peer = self.peer(&host, port);
        peer.map(Ok).ok_or_else(|| self.first.failed("it tells of a broker without an address"))
    }

    /// Asks the first broker; once more where it has closed a connection that was silent too long.
    async fn ask_first<T>(
        &mut self,
        attempt: &Attempt<'_>,
        api: super::wire::Api,
        asks: &Writer,
        read: impl FnOnce(&mut Reader) -> Read<T>,
    ) -> Result<T, Problem> {
        let mut seed = match self.seed.take() {
            Some(seed) => seed,
            None => self.connect(attempt, &self.first.clone()).await?,
        };
        let mut answer = match seed.call(api, asks).await {
            Err(_) if seed.is_stale() => {
                seed = self.connect(attempt, &self.first.clone()).await?;
                seed.call(api, asks).await?
            }
            answer => answer?,
        };
        self.seed = Some(seed);
        read(&mut answer).map_err(|why| self.first.failed(why))
    }

    /// A connection to a broker by its number.
    pub(super) async fn broker(
        &mut self,
        attempt: &Attempt<'_>,
        id: i32,
    ) -> Result<&mut Conversation, Problem> {
        if !self.conversations.contains_key(&id) {
            let peer = self.brokers.get(&id).cloned();
            let peer = peer.ok_or_else(|| {
                self.first.failed(format!("it names the broker {id}, and not where that is"))
            })?;
            if self.conversations.len() >= limits::KAFKA_BROKERS {
                let why = "more brokers have the topic than are asked by one call";
                return Err(self.first.failed(why));
            }
            let conversation = self.connect(attempt, &peer).await?;
            self.conversations.insert(id, conversation);
        }
        self.conversations.get_mut(&id).ok_or_else(|| self.first.failed("it is not connected"))
    }

    /// Where a broker says that another is; none of what is no address.
    fn peer(&self, host: &str, port: i32) -> Option<Peer> {
        let port = u16::try_from(port).ok().filter(|it| *it > 0)?;
        let host = match host.parse::<Ipv6Addr>() {
            Ok(address) => address.to_string(),
            Err(_) => authority(host).filter(|(_, port)| port.is_none())?.0,
        };
        Some(Peer { host, port, tls: self.first.tls })
    }

    pub(super) fn first(&self) -> &Peer {
        &self.first
    }
}

fn metadata(answer: &mut Reader) -> Read<Metadata> {
    answer.int()?;
    let brokers = answer.each(|it| {
        let broker = (it.int()?, it.text()?, it.int()?);
        // Its rack.
        it.text()?;
        Ok(broker)
    })?;
    // The cluster's name, and who controls it.
    answer.text()?;
    answer.int()?;
    let topics = answer.each(|it| {
        let (code, name) = (it.short()?, it.text()?);
        it.octet()?;
        let mut partitions = it.each(|it| {
            it.short()?;
            let partition = Partition { number: it.int()?, leader: it.int()? };
            it.each(Reader::int)?;
            it.each(Reader::int)?;
            Ok(partition)
        })?;
        partitions.sort_by_key(|it| it.number);
        partitions.dedup_by_key(|it| it.number);
        Ok((code, name, partitions))
    })?;
    Ok(Metadata { brokers, topics })
}

/// Waits until a cluster may have agreed.
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(limits::KAFKA_PAUSE_MS)).await;
}
