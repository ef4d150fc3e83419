//! Those who reach the bus, and want more than that.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::Client;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_bytes::ByteBuf;
use windlass_proto::value::Value;
use windlass_proto::wire::AssignmentKey;
use windlass_proto::wire::hello::{HelloError, Introduction, Joined, introduce};
use windlass_proto::wire::key::{CoordinatorKey, WorkerKey};
use windlass_proto::wire::message::{Beat, ToCoordinator, ToWorker, TokenReport, decode, encode};
use windlass_proto::wire::outcome::Outcome;
use windlass_proto::wire::subject::Prefix;

use super::{Gate, call};
use crate::support::fleet::{Fleet, Layout};
use crate::support::nats::Nats;
use crate::support::until::{SOON, until};

/// Frames and reports that the coordinator has refused.
async fn refused(fleet: &Fleet) -> u64 {
    counter(fleet, "windlass_frames_refused_total").await
}

async fn counter(fleet: &Fleet, name: &str) -> u64 {
    let text = fleet.api.get("/metrics").await.ok();
    let line = text.as_str().unwrap().lines().find_map(|it| it.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().parse().unwrap()
}

fn introduction(identity: &str) -> Introduction {
    Introduction {
        enrolment: ByteBuf::new(),
        pool: "default".into(),
        identity: identity.into(),
        version: "0.0.0".into(),
        capabilities: vec!["http".into()],
        concurrency: 1,
        evaluates: true,
        isolation: None,
    }
}

/// Joins as a worker by hand; none when nobody answers.
async fn join(
    client: &Client,
    key: &WorkerKey,
    identity: &str,
) -> Option<Result<Joined, HelloError>> {
    let (hello, joining) = introduce(key, introduction(identity)).unwrap();
    let asked = client.request(Prefix::default().hello(), hello.into());
    let answer = tokio::time::timeout(Duration::from_secs(20), asked).await.ok()?.ok()?;
    Some(joining.finish(&answer.payload))
}

/// Says something within a session.
async fn say(client: &Client, joined: &mut Joined, said: &ToCoordinator) {
    for frame in joined.channel.seal(&encode(said).unwrap(), 4_096) {
        let subject = Prefix::default().to_coordinator(joined.session);
        client.publish(subject, frame.into()).await.unwrap();
    }
    client.flush().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_key_cannot_join_and_who_has_another_pool_s_cannot_join_this_one() {
    let nats = Nats::start().await;
    let fleet = Fleet::start(&nats, 0).await;
    let client = async_nats::connect(nats.url()).await.unwrap();
    let stranger = CoordinatorKey::generate().worker_key(None);
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    // The coordinator may not yet be on the bus: it serves its API without one.
    until(SOON, "the stranger to be heard", || async {
        let (hello, _) = introduce(&stranger, introduction("stranger")).unwrap();
        let subject = Prefix::default().hello();
        client.publish_with_reply(subject, inbox.clone(), hello.into()).await.unwrap();
        client.flush().await.unwrap();
        (counter(&fleet, "windlass_registrations_foreign_total").await > 0).then_some(())
    })
    .await;

    let file = fleet.data().join("coordinator.key");
    let coordinator = CoordinatorKey::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    let gpu = coordinator.worker_key(Some("gpu"));
    let refusal = join(&client, &gpu, "gpu").await.unwrap().err();
    assert!(matches!(refusal, Some(HelloError::Refused(_))), "{refusal:?}");
    assert_eq!(counter(&fleet, "windlass_workers_refused_total").await, 1);
    assert_eq!(counter(&fleet, "windlass_workers_joined_total").await, 0);
    while let Some(answer) = answers.next().now_or_never().flatten() {
        let nobody = answer.status == Some(async_nats::StatusCode::NO_RESPONDERS);
        assert!(nobody, "a stranger is answered: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cannot_report_what_it_was_not_given() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let fleet = Fleet::start(&nats, 1).await;
    let workflow = gate.deploy(&fleet).await;
    let id = fleet.api.start(&workflow, &call("held", "a")).await;
    gate.reached("/held/a", 1).await;

    // One worker that was admitted, and knows all there is to know but the token.
    let client = async_nats::connect(nats.url()).await.unwrap();
    let key = WorkerKey::parse(&fleet.key).unwrap();
    let mut joined = join(&client, &key, "rogue").await.unwrap().unwrap();
    let beat = Beat { number: 1, concurrency: 0, ..Beat::default() };
    say(&client, &mut joined, &ToCoordinator { beat: Some(beat), ..Default::default() }).await;
    let instance = id.parse().unwrap();
    for frame in 1..8 {
        let key = AssignmentKey {
            instance,
            frame: windlass_proto::id::FrameId(frame),
            delivery: 1,
            partition: windlass_proto::id::PartitionId(0),
            epoch: 1,
        };
        for token in [vec![], vec![0; 16], vec![7; 32]] {
            let token = ByteBuf::from(token);
            let outcome = Outcome::from(Ok(Value::from("forged")));
            let outcome = outcome.pack().unwrap();
            let reports = vec![TokenReport { key: key.clone(), token, outcome }];
            say(&client, &mut joined, &ToCoordinator { reports, ..Default::default() }).await;
        }
    }
    until(SOON, "all forged reports refused", || async {
        (refused(&fleet).await == 21).then_some(())
    })
    .await;
    assert_eq!(fleet.api.show(&id).await["status"], "running");
    gate.open();
    let view = fleet.api.ends(&id).await;
    assert_eq!(view["output"]["path"], "/held/a", "{view}");
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_frames_are_worth_nothing() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let client = async_nats::connect(nats.url()).await.unwrap();
    let mut tap = client.subscribe("windlass.>").await.unwrap();
    let mut fleet = Fleet::with(Layout::on(&nats.url(), 1).coordinator(&["--lease", "1s"])).await;
    let workflow = gate.deploy(&fleet).await;
    fleet.api.run(&workflow, &call("quick", "a")).await;

    // Everything said so far, once more, in order: to the same processes, then to new ones.
    let mut recorded = Vec::new();
    while let Ok(Some(message)) = tokio::time::timeout(Duration::from_millis(200), tap.next()).await
    {
        if recorded.len() == 64 {
            break;
        }
        recorded.push(message);
    }
    let mut kinds: HashMap<&str, usize> = HashMap::new();
    for message in &recorded {
        let kind = message.subject.split('.').nth(1).unwrap_or_default();
        *kinds.entry(if kind == "worker" { "worker" } else { "coordinator" }).or_default() += 1;
    }
    assert!(kinds.len() == 2 && recorded.len() > 4, "{kinds:?}");
    for round in 0..2 {
        for message in &recorded {
            client.publish(message.subject.clone(), message.payload.clone()).await.unwrap();
        }
        client.flush().await.unwrap();
        let view = fleet.api.run(&workflow, &call("quick", &format!("after-{round}"))).await;
        assert_eq!(view["status"], "completed", "{view}");
        assert_eq!(gate.stub.count("/quick/a"), 1, "a recorded task was performed again");
        if round == 0 {
            assert!(refused(&fleet).await > 0, "repeats are counted");
            fleet.restart_coordinator().await;
            fleet.restart_worker(0).await;
        }
    }
    fleet.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_forged_for_a_worker_is_not_performed() {
    let (gate, nats) = (Gate::new().await, Nats::start().await);
    let fleet = Fleet::start(&nats, 1).await;
    let workflow = gate.deploy(&fleet).await;
    let workers = fleet.api.get("/v1/workers").await.ok();
    let session: windlass_proto::wire::session::SessionId =
        workers["items"][0]["session"].as_str().unwrap().parse().unwrap();
    // Made with a key pair of its own, for a session whose id is no secret.
    let client = async_nats::connect(nats.url()).await.unwrap();
    let own = CoordinatorKey::generate();
    let (hello, _) = introduce(&own.worker_key(None), introduction("x")).unwrap();
    let mut channel = windlass_proto::wire::hello::receive(&own, &hello).unwrap().channel(session);
    for _ in 0..10_000 / 100 {
        channel.seal(b"", 100);
    }
    let forged = encode(&ToWorker { beat: Some(1), ..ToWorker::default() }).unwrap();
    for frame in channel.seal(&forged, 4_096) {
        client.publish(Prefix::default().to_worker(session), frame.into()).await.unwrap();
    }
    client.flush().await.unwrap();
    let said = fleet.workers[0].lines();
    until(SOON, "the worker refusing the frame", || async {
        said.text().contains("frame rejected").then_some(())
    })
    .await;
    let view = fleet.api.run(&workflow, &call("quick", "after")).await;
    assert_eq!(view["status"], "completed", "{view}");
    // What a reader of the bus could decode, had it not been sealed.
    assert!(decode::<ToWorker>(&forged).is_ok());
}
