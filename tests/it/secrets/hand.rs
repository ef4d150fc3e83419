//! A worker by hand: says and hears what a worker does, and shows everything.

use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt as _;
use serde_bytes::ByteBuf;
use windlass_proto::value::Value;
use windlass_proto::wire::Assignment;
use windlass_proto::wire::hello::{Introduction, Joined, introduce};
use windlass_proto::wire::key::WorkerKey;
use windlass_proto::wire::message::{
    Audited, Beat, ToCoordinator, ToWorker, TokenReport, decode, encode,
};
use windlass_proto::wire::outcome::Outcome;
use windlass_proto::wire::subject::Prefix;

use crate::support::fleet::Fleet;
use crate::support::nats::Nats;
use crate::support::until::{SOON, until, within};

/// A task that was given.
pub(super) struct Given {
    pub(super) assignment: Assignment,
    token: ByteBuf,
}

/// A session of a worker that is written out.
pub(super) struct Hand {
    client: Client,
    joined: Joined,
    frames: Subscriber,
    beats: u64,
}

impl Hand {
    /// Joins under this name, as soon as a coordinator answers.
    pub(super) async fn join(nats: &Nats, fleet: &Fleet, identity: &str) -> Self {
        let client = async_nats::connect(nats.url()).await.unwrap();
        let key = WorkerKey::parse(&fleet.key).unwrap();
        let joined = until(SOON, "the joining of a worker by hand", || async {
            let introduction = Introduction {
                enrolment: ByteBuf::new(),
                pool: "default".into(),
                identity: identity.into(),
                version: "0.0.0".into(),
                capabilities: vec!["http".into()],
                concurrency: 8,
                evaluates: true,
                isolation: None,
            };
            let (hello, joining) = introduce(&key, introduction).unwrap();
            let asked = client.request(Prefix::default().hello(), hello.into());
            let answer = tokio::time::timeout(Duration::from_secs(1), asked).await.ok()?.ok()?;
            Some(joining.finish(&answer.payload).unwrap())
        })
        .await;
        let subject = Prefix::default().to_worker(joined.session);
        let frames = client.subscribe(subject).await.unwrap();
        let mut hand = Self { client, joined, frames, beats: 0 };
        hand.beat(8).await;
        hand
    }

    /// A sign of life, with so many places.
    pub(super) async fn beat(&mut self, concurrency: u32) {
        self.beats += 1;
        let seen = self.joined.channel.received();
        let beat = Beat { number: self.beats, seen, concurrency, ..Beat::default() };
        self.say(&ToCoordinator { beat: Some(beat), ..ToCoordinator::default() }).await;
    }

    /// Tells what was done with secrets.
    pub(super) async fn tell(&mut self, audit: Vec<Audited>) {
        self.say(&ToCoordinator { audit, ..ToCoordinator::default() }).await;
    }

    async fn say(&mut self, said: &ToCoordinator) {
        let subject = Prefix::default().to_coordinator(self.joined.session);
        for frame in self.joined.channel.seal(&encode(said).unwrap(), 4_096) {
            self.client.publish(subject.clone(), frame.into()).await.unwrap();
        }
        self.client.flush().await.unwrap();
    }

    /// The next message; none when it does not come within `patience`, or the session is gone.
    async fn hear(&mut self, patience: Duration) -> Option<ToWorker> {
        loop {
            let frame = tokio::time::timeout(patience, self.frames.next()).await.ok()??;
            if frame.payload.is_empty() {
                return None;
            }
            if let Some(bytes) = self.joined.channel.open(&frame.payload).unwrap() {
                return Some(decode(&bytes).unwrap());
            }
        }
    }

    /// Waits for the next task.
    pub(super) async fn task(&mut self) -> Given {
        within(SOON, "a task for the worker by hand", async {
            loop {
                let heard = self.hear(SOON).await.expect("the session lives");
                if let Some(sent) = heard.assignments.into_iter().next() {
                    let assignment = sent.assignment.read().expect("an assignment");
                    return Given { assignment, token: sent.token };
                }
            }
        })
        .await
    }

    /// Ends a task.
    pub(super) async fn report(&mut self, sent: &Given, output: Value) {
        let (key, token) = (sent.assignment.key.clone(), sent.token.clone());
        let outcome = Outcome::from(Ok(output)).pack().unwrap();
        let reports = vec![TokenReport { key, token, outcome }];
        self.say(&ToCoordinator { reports, ..ToCoordinator::default() }).await;
    }

    /// The highest number of the audit events that are on disk, if it is told within `patience`.
    pub(super) async fn audited(&mut self, patience: Duration) -> Option<u64> {
        loop {
            if let Some(number) = self.hear(patience).await?.audited {
                return Some(number);
            }
        }
    }
}
