//! Kafka: records of topics, published to the partition of their key, and taken from all partitions
//! or, in a consumer group, from those that the group gives.
//!
//! A client of one call, with a codec of its own: the library there for messages makes room for
//! whatever an answer announces, and clients of Kafka look up by themselves what brokers say of one
//! another. Here every connection is made as those of other calls are.

mod assign;
mod cluster;
mod connection;
mod consumer;
mod group;
mod partition;
mod records;
mod refusal;
mod sasl;
mod scram;
mod wire;

use reqwest::header::HeaderMap;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};

use self::cluster::{Cluster, pause};
pub(super) use self::consumer::Subscribed;
use self::records::{KEY, Record};
use self::refusal::{NOT_LEADER, is_moved, refused};
use self::wire::{PRODUCE, Writer};
use super::message::Outgoing;
use super::{Target, configuration};
use crate::attempt::Attempt;
use crate::clock;
use crate::trace::{Messaging, MessagingSpan};

/// The topic of `target`: that of the channel's bindings, or else its address.
fn topic(target: &Target) -> Result<String, Problem> {
    let bound = target.operation.bindings.kafka.topic.as_deref();
    let topic = bound.unwrap_or(&target.address);
    let is_part = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    let is_name = (1..=249).contains(&topic.len()) && topic.chars().all(is_part);
    if is_name && topic != "." && topic != ".." {
        return Ok(topic.to_owned());
    }
    let detail = "the channel's address is no topic of Kafka, which has up to 249 of the letters \
                  a-z, A-Z, digits, `.`, `_` and `-`: name it in the channel's bindings, or give \
                  its parameters values in `server.variables`";
    Err(configuration(detail))
}

/// The names that bindings give must fit into a request.
fn fits(name: &str) -> Result<&str, Problem> {
    if (1..=limits::KAFKA_NAME_BYTES).contains(&name.len()) {
        return Ok(name);
    }
    let most = limits::KAFKA_NAME_BYTES;
    Err(configuration(format!("`groupId` and `clientId` of Kafka have 1 to {most} bytes")))
}

impl Attempt<'_> {
    pub(super) async fn publish_by_kafka(
        &mut self,
        target: &Target,
        mut message: Outgoing,
    ) -> Result<(), Problem> {
        let topic = topic(target)?;
        let span = MessagingSpan::new(Messaging::Send, &self.destination(target));
        // What an author gives for a record's key is no header of it.
        let key = message.headers.iter().position(|(name, _)| name.eq_ignore_ascii_case(KEY));
        let key = key.map(|at| message.headers.remove(at).1);
        let key = key.or_else(|| target.operation.message.key.clone());
        let mut own = HeaderMap::new();
        self.add_own_headers(&mut own);
        span.inject(&mut own);
        message.add_headers(&own);
        let published = self.produce(target, &topic, key.as_deref(), &message).await;
        span.ended(&published);
        published
    }

    async fn produce(
        &self,
        target: &Target,
        topic: &str,
        key: Option<&str>,
        message: &Outgoing,
    ) -> Result<(), Problem> {
        let headers = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let kind = message.content_type.as_deref().map(|it| ("content-type", it));
        let is_none = message.payload.is_empty() && message.content_type.is_none();
        let record = Record {
            key: key.map(str::as_bytes),
            value: Some(&message.payload[..]).filter(|_| !is_none),
            headers: kind.into_iter().chain(headers).collect(),
            time: i64::try_from(clock::now().0).unwrap_or(i64::MAX),
        };
        let batch = record.batch();
        // What is said twice for want of an answer goes to the same partition both times.
        let by = key.map_or_else(|| self.assignment.idempotency_key(), str::to_owned);
        let mut cluster = Cluster::open(self, target).await?;
        for _ in 0..limits::KAFKA_TRIES {
            let partitions = cluster.partitions(self, topic).await?;
            let at = partition::of_key(by.as_bytes(), partitions.len());
            let Some(partition) = partitions.get(at).filter(|it| it.leader >= 0) else {
                pause().await;
                continue;
            };
            let mut asks = Writer::default();
            // No transaction, and confirmed by all replicas that are in step.
            asks.short(-1).short(-1).int(limits::KAFKA_PRODUCE_MS);
            asks.of_topic(topic, [partition.number].into_iter(), |it, number| {
                it.int(number).bytes(&batch)
            });
            let broker = cluster.broker(self, partition.leader).await?;
            let mut answer = broker.call(PRODUCE, &asks).await?;
            let told = answer.of_topic(|it| {
                let code = (it.int()?, it.short()?).1;
                it.long()?;
                it.long()?;
                Ok(code)
            });
            match told.map_err(|why| broker.failed(why))?.first() {
                Some(0) => return Ok(()),
                Some(code) if is_moved(*code) => pause().await,
                Some(code) => return Err(refused(broker.peer(), *code)),
                None => return Err(broker.failed("it does not tell what came of the message")),
            }
        }
        Err(refused(cluster.first(), NOT_LEADER))
    }

    pub(super) async fn listen_by_kafka(&mut self, target: &Target) -> Result<Subscribed, Problem> {
        let topic = topic(target)?;
        let bindings = &target.operation.bindings.kafka;
        let group = bindings.group.as_deref().map(fits).transpose()?;
        let is_earliest = match bindings.reset.as_deref() {
            None | Some("latest") => false,
            Some("earliest") => true,
            Some(_) => {
                let detail = "`x-auto-offset-reset` of the operation's bindings is `earliest` or \
                              `latest`";
                return Err(Problem::new(Standard::Configuration, detail));
            }
        };
        let cluster = Cluster::open(self, target).await?;
        Subscribed::begin(self, cluster, topic, group, is_earliest).await
    }
}
