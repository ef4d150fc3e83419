//! A member of a consumer group, from joining to leaving, and the offsets that the group keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use super::assign::{self, WAYS};
use super::cluster::{Cluster, pause};
use super::connection::{ANSWER, Conversation};
use super::refusal::{
    COORDINATOR_LOADING, COORDINATOR_NOT_AVAILABLE, ILLEGAL_GENERATION, MEMBER_ID_REQUIRED,
    NOT_COORDINATOR, REBALANCING, UNKNOWN_MEMBER, refused,
};
use super::wire::{
    HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, OFFSET_COMMIT, OFFSET_FETCH, Read, Reader, SYNC_GROUP,
    Writer,
};
use crate::attempt::Attempt;
use crate::http_client::connect::Peer;

/// See the module.
pub(super) struct Group {
    name: String,
    topic: String,
    /// Who tells of it where no broker keeps it.
    first: Peer,
    /// Empty until the group has given one.
    member: String,
    generation: i32,
    /// False from the moment on in which the group divides its partitions anew.
    pub(super) is_joined: bool,
    /// The broker that keeps the group.
    pub(super) conversation: Option<Conversation>,
    /// When it hears from this member next.
    pub(super) beat: Instant,
}

/// How the group has taken a member.
struct Joined {
    code: i16,
    generation: i32,
    way: String,
    leader: String,
    member: String,
    /// Who they are and what they want, where this one leads.
    members: BTreeMap<String, Vec<String>>,
}

impl Group {
    pub(super) fn new(name: &str, topic: &str, first: Peer) -> Self {
        Self {
            name: name.to_owned(),
            topic: topic.to_owned(),
            first,
            member: String::new(),
            generation: -1,
            is_joined: false,
            conversation: None,
            beat: Instant::now(),
        }
    }

    /// Joins, or joins again; gives the partitions of the topic that are this member's.
    pub(super) async fn join(
        &mut self,
        attempt: &Attempt<'_>,
        cluster: &mut Cluster,
    ) -> Result<Vec<i32>, Problem> {
        for _ in 0..limits::KAFKA_TRIES {
            match self.try_to_join(attempt, cluster).await? {
                Ok(partitions) => {
                    self.is_joined = true;
                    self.beat = Instant::now() + Duration::from_millis(limits::KAFKA_BEAT_MS);
                    return Ok(partitions);
                }
                // Some give a name first, and want it said.
                Err(REBALANCING | ILLEGAL_GENERATION | MEMBER_ID_REQUIRED) => {}
                Err(UNKNOWN_MEMBER) => self.member.clear(),
                Err(COORDINATOR_LOADING | COORDINATOR_NOT_AVAILABLE | NOT_COORDINATOR) => {
                    self.conversation = None;
                    pause().await;
                }
                Err(code) => return Err(self.refused(code)),
            }
        }
        let why = format!("the group {} does not come to rest", self.name);
        Err(self.first.failed(why))
    }

    /// One attempt to join, or the number of why it failed.
    async fn try_to_join(
        &mut self,
        attempt: &Attempt<'_>,
        cluster: &mut Cluster,
    ) -> Result<Result<Vec<i32>, i16>, Problem> {
        if self.conversation.is_none() {
            let peer = match cluster.coordinator(attempt, &self.name).await? {
                Ok(peer) => peer,
                Err(code) => return Ok(Err(code)),
            };
            self.conversation = Some(cluster.connect(attempt, &peer).await?);
        }
        let wants = assign::wants(&self.topic);
        let mut asks = Writer::default();
        asks.text(&self.name).int(limits::KAFKA_SESSION_MS).int(limits::KAFKA_SESSION_MS);
        asks.text(&self.member).text("consumer");
        asks.each(WAYS.iter(), |it, way| it.text(way).bytes(&wants.0));
        // It waits for the others, as long as they may take.
        let patience = Duration::from_millis(limits::KAFKA_JOIN_MS);
        let joined = self.ask(patience, JOIN_GROUP, &asks, joined).await?;
        self.member.clone_from(&joined.member);
        if joined.code != 0 {
            return Ok(Err(joined.code));
        }
        self.generation = joined.generation;
        let mut assigned = BTreeMap::new();
        if joined.leader == joined.member {
            let mut topics: Vec<_> =
                joined.members.values().flatten().map(String::as_str).collect();
            topics.sort_unstable();
            topics.dedup();
            let topics = cluster.topics(attempt, &topics).await?.into_iter();
            let topics = topics.filter(|(code, ..)| *code == 0).map(|(_, name, partitions)| {
                (name, partitions.into_iter().map(|it| it.number).collect())
            });
            assigned = assign::assigned(&joined.way, &joined.members, &topics.collect());
        }
        let mut asks = Writer::default();
        asks.text(&self.name).int(self.generation).text(&self.member);
        asks.each(assigned.iter(), |it, (member, taken)| {
            it.text(member).bytes(&assign::takes(taken).0)
        });
        let topic = self.topic.clone();
        let read = |it: &mut Reader| {
            let code = it.short()?;
            let told = Reader(it.bytes()?);
            Ok(if code == 0 { Ok(assign::given(told, &topic)?) } else { Err(code) })
        };
        self.ask(patience, SYNC_GROUP, &asks, read).await
    }

    /// Asks the broker that keeps the group.
    async fn ask<T>(
        &mut self,
        patience: Duration,
        api: super::wire::Api,
        asks: &Writer,
        read: impl FnOnce(&mut Reader) -> Read<T>,
    ) -> Result<T, Problem> {
        let Some(conversation) = &mut self.conversation else {
            let detail = format!("no broker keeps the group {}", self.name);
            return Err(Problem::new(Standard::Communication, detail).with_status(503));
        };
        let mut answer = conversation.call_within(patience, api, asks).await?;
        read(&mut answer).map_err(|why| conversation.failed(why))
    }

    /// Has a sign of life sent with what is said next, where it is time.
    pub(super) fn beats(&mut self) {
        let Some(conversation) = self.conversation.as_mut().filter(|_| self.is_joined) else {
            return;
        };
        if Instant::now() < self.beat {
            return;
        }
        self.beat = Instant::now() + Duration::from_millis(limits::KAFKA_BEAT_MS);
        if !conversation.is_waiting() {
            let mut asks = Writer::default();
            asks.text(&self.name).int(self.generation).text(&self.member);
            conversation.ask(HEARTBEAT, ANSWER, &asks);
        }
    }

    /// Takes what has come as answer to signs of life.
    pub(super) fn hear(&mut self) -> Result<(), Problem> {
        let Some(conversation) = &mut self.conversation else { return Ok(()) };
        while let Some((_, mut answer)) = conversation.answer()? {
            match answer.short().map_err(|why| conversation.failed(why))? {
                0 => {}
                REBALANCING | ILLEGAL_GENERATION => self.is_joined = false,
                UNKNOWN_MEMBER => {
                    self.is_joined = false;
                    self.member.clear();
                }
                COORDINATOR_LOADING | COORDINATOR_NOT_AVAILABLE | NOT_COORDINATOR => {
                    self.is_joined = false;
                    self.conversation = None;
                    return Ok(());
                }
                code => return Err(self.refused(code)),
            }
        }
        Ok(())
    }

    /// From where on the group has `partitions` still to take; none of those that it has not begun.
    pub(super) async fn offsets(
        &mut self,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, i64>, Problem> {
        let mut asks = Writer::default();
        asks.text(&self.name);
        asks.of_topic(&self.topic, partitions.iter(), |it, number| it.int(*number));
        let read = |it: &mut Reader| {
            it.of_topic(|it| {
                let (number, offset) = (it.int()?, it.long()?);
                it.text()?;
                Ok((number, offset, it.short()?))
            })
        };
        let told = self.ask(ANSWER, OFFSET_FETCH, &asks, read).await?;
        if let Some((.., code)) = told.iter().find(|(.., code)| *code != 0) {
            return Err(self.refused(*code));
        }
        let begun = told.into_iter().filter(|(_, offset, _)| *offset >= 0);
        Ok(begun.map(|(number, offset, _)| (number, offset)).collect())
    }

    /// Tells the group what was taken: of each partition the offset that comes next.
    pub(super) async fn commit(
        &mut self,
        taken: &BTreeMap<i32, i64>,
    ) -> Result<Result<(), i16>, Problem> {
        if taken.is_empty() {
            return Ok(Ok(()));
        }
        let mut asks = Writer::default();
        // As long as the broker keeps offsets, with nothing beside them.
        asks.text(&self.name).int(self.generation).text(&self.member).long(-1);
        asks.of_topic(&self.topic, taken.iter(), |it, (number, offset)| {
            it.int(*number).long(*offset).text("")
        });
        let read = |it: &mut Reader| it.of_topic(|it| Ok((it.int()?, it.short()?)));
        let told = self.ask(ANSWER, OFFSET_COMMIT, &asks, read).await?;
        let failed = told.into_iter().find(|(_, code)| *code != 0);
        Ok(failed.map_or(Ok(()), |(_, code)| Err(code)))
    }

    /// Leaves, so that others take its partitions at once.
    pub(super) async fn leave(&mut self) {
        let mut asks = Writer::default();
        asks.text(&self.name).text(&self.member);
        let goodbye = self.ask(ANSWER, LEAVE_GROUP, &asks, Reader::short);
        let _ = tokio::time::timeout(Duration::from_millis(limits::GOODBYE_MS), goodbye).await;
    }

    pub(super) fn refused(&self, code: i16) -> Problem {
        let peer = self.conversation.as_ref().map_or(&self.first, Conversation::peer);
        let mut problem = refused(peer, code);
        let detail = problem.detail.as_deref().unwrap_or_default();
        problem.detail = Some(format!("{detail}, the group {}", self.name).into());
        problem
    }
}

fn joined(answer: &mut Reader) -> Read<Joined> {
    answer.int()?;
    let code = answer.short()?;
    let (generation, way) = (answer.int()?, answer.text()?);
    let (leader, member) = (answer.text()?, answer.text()?);
    let members = answer.each(|it| Ok((it.text()?, assign::wanted(Reader(it.bytes()?))?)))?;
    let members = members.into_iter().collect();
    Ok(Joined { code, generation, way, leader, member, members })
}
