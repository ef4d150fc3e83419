//! Who leads, for how long, and who else is there.
//!
//! A lease is the last message of a subject, in a stream that drops what is older than a lease
//! lasts: it ends by itself, and to take, renew or give it back is a compare-and-set on its
//! sequence number. That needs neither a bucket of keys nor a lifetime of each message, and works
//! with any server that has streams. Leases decide who tries to lead. That nobody else writes is
//! the log's doing.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{
    Config, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use windlass_proto::limits;
use windlass_proto::wire::subject::Prefix;

use super::entry::Sealer;
use super::stream::{Away, Made, ensure, patience};
use crate::journal::JournalError;

/// What a coordinator of a cluster does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    /// It answers.
    Leader,
    /// It follows the leader.
    Standby,
}

/// What a coordinator of a cluster says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// A name for its process.
    pub id: String,
    /// Where it answers.
    pub url: String,
    /// What it does.
    pub role: MemberRole,
    /// The epoch of the last entry that it has.
    pub epoch: u64,
    /// The sequence number of the last entry that it has.
    pub sequence: u64,
    /// Whether it answers what others pass on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers: bool,
    /// The process that the lease is given on to: it may take it at once, and nobody else before it
    /// is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What keeps it from taking over, if something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}

/// A lease that somebody has.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) sequence: u64,
    /// Who; none where that cannot be read.
    pub(super) by: Option<Member>,
}

impl Held {
    /// Whether it is given on to this process.
    pub(super) fn is_given_to(&self, id: &str) -> bool {
        self.by.as_ref().is_some_and(|it| it.to.as_deref() == Some(id))
    }
}

/// The leases of a cluster.
pub(super) struct Leases {
    context: Context,
    stream: Stream,
    config: Config,
    lease: String,
    members: (Prefix, String),
    sealer: Arc<Sealer>,
    /// How long a lease lasts.
    pub(super) lasts: Duration,
}

impl Leases {
    pub(super) async fn open(
        context: &Context,
        made: Made,
        members: (Prefix, String),
        sealer: Arc<Sealer>,
        lasts: Duration,
    ) -> Result<Self, Away> {
        let Made { name, subject, replicas } = made;
        let config = Config {
            name: name.clone(),
            description: Some("Windlass: who leads a cluster".to_owned()),
            subjects: vec![subject.clone(), members.0.cluster_member(&members.1, "*")],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            max_messages_per_subject: 1,
            max_age: lasts,
            max_message_size: i32::try_from(limits::CLUSTER_MEMBER_BYTES).unwrap_or(i32::MAX),
            num_replicas: usize::from(replicas),
            ..Config::default()
        };
        let stream = ensure(context, config.clone()).await?;
        let found = &stream.cached_info().config;
        // All must mean the same by it, so what the stream says counts.
        let lasts = found.max_age;
        if lasts.is_zero() || found.max_messages_per_subject != 1 {
            return Err(Away(format!("stream {name} is no stream of leases: remove it")));
        }
        let context = context.clone();
        Ok(Self { context, stream, config, lease: subject, members, sealer, lasts })
    }

    /// How often a lease is renewed, and looked at.
    pub(super) fn beat(&self) -> Duration {
        self.lasts / 3
    }

    /// Tells when somebody takes, renews or gives on the lease, or tries to.
    pub(super) async fn heard(&self) -> Result<Subscriber, Away> {
        let client = self.context.client();
        let heard = client.subscribe(self.lease.clone());
        timeout(patience(), heard).await.map_err(Away::of)?.map_err(Away::of)
    }

    pub(super) async fn look(&self) -> Result<Option<Held>, Away> {
        let found = self.stream.get_last_raw_message_by_subject(&self.lease);
        match timeout(patience(), found).await.map_err(Away::of)? {
            Ok(message) => {
                let by = self.read(&self.lease, &message.payload);
                Ok(Some(Held { sequence: message.sequence, by }))
            }
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => {
                Ok(None)
            }
            Err(error) => Err(Away::of(error)),
        }
    }

    /// What somebody said who takes or renews the lease.
    pub(super) fn read_lease(&self, sealed: &[u8]) -> Option<Member> {
        self.read(&self.lease, sealed)
    }

    fn read(&self, subject: &str, sealed: &[u8]) -> Option<Member> {
        serde_json::from_slice(&self.sealer.open_member(subject, sealed)?).ok()
    }

    /// Takes the lease where nobody has it (`held` is 0), or renews it; gives its number, or none
    /// where somebody else has it.
    pub(super) async fn hold(&self, held: u64, member: &Member) -> Result<Option<u64>, Away> {
        let sealed = self.sealed(&self.lease, member).map_err(Away::of)?;
        let message =
            PublishMessage::build().expected_last_subject_sequence(held).payload(sealed.into());
        let sent = async { self.context.send_publish(self.lease.clone(), message).await?.await };
        match timeout(patience(), sent).await.map_err(Away::of)? {
            Ok(acknowledged) => Ok(Some(acknowledged.sequence)),
            Err(error) => match error.kind() {
                PublishErrorKind::WrongLastSequence => Ok(None),
                PublishErrorKind::StreamNotFound => {
                    // Somebody has removed it: who leads is in the log.
                    ensure(&self.context, self.config.clone()).await?;
                    Err(Away::of(error))
                }
                _ => Err(Away::of(error)),
            },
        }
    }

    /// Gives the lease back, as far as it is still this one.
    pub(super) async fn release(&self, held: u64) {
        let deleted = timeout(patience(), self.stream.delete_message(held)).await;
        if !matches!(deleted, Ok(Ok(true))) {
            tracing::debug!("the lease was not given back: it ends by itself");
        }
    }

    /// Says that a coordinator is there.
    pub(super) async fn announce(&self, member: &Member) {
        let subject = self.members.0.cluster_member(&self.members.1, &member.id);
        let Ok(sealed) = self.sealed(&subject, member) else { return };
        // Who is not heard of for as long as a lease lasts is not there.
        let client = self.context.client();
        let sent = client.publish(subject, sealed.into());
        if !matches!(timeout(patience(), sent).await, Ok(Ok(()))) {
            tracing::debug!("could not say that this coordinator is there");
        }
    }

    fn sealed(&self, subject: &str, member: &Member) -> Result<Vec<u8>, JournalError> {
        let text =
            serde_json::to_vec(member).map_err(|error| JournalError::Store(error.to_string()))?;
        self.sealer.seal_member(subject, &text)
    }

    /// All that are there.
    pub(super) async fn members(&self) -> Result<Vec<Member>, Away> {
        let all = self.members.0.cluster_member(&self.members.1, "*");
        let info = timeout(patience(), self.stream.info_with_subjects(all)).await;
        let subjects = info.map_err(Away::of)?.map_err(Away::of)?;
        let subjects: Vec<(String, usize)> = timeout(patience(), subjects.try_collect())
            .await
            .map_err(Away::of)?
            .map_err(Away::of)?;
        let mut members = Vec::new();
        for (subject, _) in subjects.into_iter().take(limits::CLUSTER_MEMBERS) {
            let found = self.stream.get_last_raw_message_by_subject(&subject);
            // What is over meanwhile is not there any more.
            if let Ok(Ok(message)) = timeout(patience(), found).await {
                members.extend(self.read(&subject, &message.payload));
            }
        }
        members.sort_by(|one, other| one.url.cmp(&other.url).then(one.id.cmp(&other.id)));
        Ok(members)
    }
}
